//! What a run will do, computed before anything runs: a flat list of stages, which the loop then walks.
//!
//! ```text
//! cycle 0: train, test (dense)
//! cycle i: [fade], prune, test (just pruned), [rewind], train, [move masks, train]..., test (retrained)
//! ```
//!
//! With an accuracy budget no test is made before the end, each cycle is judged on validation, and what follows from it is
//! the run's to decide: the plan holds all stages that may be walked.

use crate::config::{ExperimentConfig, Length, PruneConfig, Retrain};
use crate::learning_rate::{LrSchedule, Restart};
use secateur_pruner::{Error, Sparsity};
use secateur_report::event;
use std::ops::RangeInclusive;

/// The stages of a run, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The stages; a run's cursor is a place in this list.
    pub stages: Vec<Planned>,
    /// Training steps in an epoch, the last, smaller batch included.
    pub epoch_steps: u64,
}

/// A stage and the cycle that it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// 0 for the dense training, then one more for each prune.
    pub cycle: u64,
    /// What is done.
    pub stage: Stage,
}

/// One thing that a run does.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Train for a number of steps, at most.
    Train(Training),
    /// Prune to this sparsity of the prunable parameters.
    Prune(Sparsity),
    /// Measure on the test split.
    Test(event::Stage),
    /// Remember the weights, to rewind to.
    Remember,
    /// Set the kept weights back to the remembered ones, and start the optimizer afresh.
    Rewind,
    /// Draw the kept weights anew, and start the optimizer afresh.
    Reinitialise,
    /// Exchange this share of each layer's living weights for others.
    Exchange(f64),
    /// Choose the masks anew for this target, from weights and shadows.
    Choose(Sparsity),
    /// Ask validation whether the accuracy budget bears this cycle's network.
    Judge,
    /// Prune half-way between the last target that held and the first that did not; skipped when all held.
    Refine,
    /// Take up the last network that held, and the dense one to be tested beside it.
    Settle,
}

/// A stretch of training, and the piece of the learning-rate schedule that it walks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Steps, at most: early stopping may end it before.
    pub steps: u64,
    /// Base learning rate.
    pub lr: f64,
    /// Position of the first step in the schedule.
    pub schedule_from: u64,
    /// Length of the schedule in steps.
    pub schedule_total: u64,
    /// Whether it may end early, and with its best epoch; not so where an exact step is to be remembered.
    pub chooses: bool,
    /// Whether a training ends with it, and not only the part before masks move or weights are remembered. Its end is written
    /// into the log, and scored on validation, also within an epoch.
    pub closes: bool,
    /// The target whose weights alone receive gradients, where the others are to fade.
    pub focus: Option<Sparsity>,
}

impl Training {
    /// The learning rate of its step `step`, from 0. After the schedule's end, which only a retraining that rewinds can come
    /// to, it stays what it was at the schedule's last step.
    pub fn rate(&self, step: u64, schedule: &LrSchedule, epoch_steps: u64) -> f64 {
        self.rate_at(self.schedule_from + step, schedule, epoch_steps)
    }

    /// The learning rates of `count` steps of which the last is its step `last`, from 0. Parts of the same training before it
    /// walked the same schedule, so the first may lie before its own first step.
    pub(crate) fn rates_to(&self, last: u64, count: u64, schedule: &LrSchedule, epoch_steps: u64) -> Vec<f64> {
        let end = self.schedule_from + last + 1;
        (end.saturating_sub(count)..end).map(|position| self.rate_at(position, schedule, epoch_steps)).collect()
    }

    fn rate_at(&self, position: u64, schedule: &LrSchedule, epoch_steps: u64) -> f64 {
        let position = position.min(self.schedule_total.saturating_sub(1));
        self.lr * schedule.factor(position, self.schedule_total, epoch_steps)
    }

    /// Steps of it that come after the schedule's end.
    pub fn steps_after_schedule(&self) -> u64 {
        (self.schedule_from + self.steps).saturating_sub(self.schedule_total.max(self.schedule_from))
    }

    /// A part of it from one step to another that may neither end early nor go back to its best epoch.
    fn piece(&self, from: u64, to: u64) -> Self {
        Self { steps: to - from, schedule_from: self.schedule_from + from, chooses: false, closes: false, ..*self }
    }
}

/// More steps than a run can walk are a typing error.
const MOST_STEPS: u64 = 1 << 40;

impl Plan {
    /// Computes the plan. `train_images` is the size of the training split, `targets` what the config's schedule says.
    ///
    /// # Errors
    /// When there are more steps than a run can walk.
    pub fn new(config: &ExperimentConfig, train_images: usize, targets: &[Sparsity]) -> Result<Self, Error> {
        let epoch_steps = (train_images.div_ceil(config.train.batch_size.max(1))).max(1) as u64;
        let refinements = config.prune.as_ref().and_then(PruneConfig::budget).map_or(0, |until| until.refinements);
        let run_steps = run_steps(config, epoch_steps, targets.len() as u64 + refinements)?;
        let builder = Builder { config, targets, epoch_steps, stages: vec![], position: 0, run_steps };
        Ok(Self { stages: builder.build(), epoch_steps })
    }

    /// Training steps of all stages together.
    pub fn steps(&self) -> u64 {
        self.trainings().map(|training| training.steps).sum()
    }

    /// Number of prunes, at most.
    pub fn prunes(&self) -> usize {
        self.stages.iter().filter(|planned| matches!(planned.stage, Stage::Prune(_) | Stage::Refine)).count()
    }

    /// The stages that a run can go on with whose network is dense and trained: from its test to the first prune, or to the
    /// end.
    pub(crate) fn dense(&self) -> RangeInclusive<usize> {
        let place = |is: fn(&Stage) -> bool| self.stages.iter().position(|planned| is(&planned.stage));
        let tested = place(|stage| matches!(stage, Stage::Test(event::Stage::Dense) | Stage::Judge)).unwrap_or(0);
        tested..=place(|stage| matches!(stage, Stage::Prune(_))).unwrap_or(self.stages.len())
    }

    /// Steps after which a run has saved its first checkpoint at the latest, when training saves `every` so many.
    pub(crate) fn first_checkpoint(&self, every: u64) -> u64 {
        let mut step = 0;
        for planned in &self.stages {
            match &planned.stage {
                Stage::Train(training) if training.steps > every => return step + every,
                Stage::Train(training) => {
                    step += training.steps;
                    if training.closes || step / every > (step - training.steps) / every {
                        return step;
                    }
                }
                Stage::Test(_) | Stage::Exchange(_) | Stage::Choose(_) => {}
                Stage::Prune(_)
                | Stage::Remember
                | Stage::Rewind
                | Stage::Reinitialise
                | Stage::Judge
                | Stage::Refine
                | Stage::Settle => return step,
            }
        }
        step
    }

    /// The target of the last prune before this stage.
    pub(crate) fn target_before(&self, stage: usize) -> Sparsity {
        let before = self.stages.iter().take(stage).rev();
        let mut targets = before.filter_map(|planned| match planned.stage {
            Stage::Prune(target) => Some(target),
            _ => None,
        });
        targets.next().unwrap_or(Sparsity::DENSE)
    }

    /// The stretches of training, in order.
    pub fn trainings(&self) -> impl Iterator<Item = &Training> {
        self.stages.iter().filter_map(|planned| match &planned.stage {
            Stage::Train(training) => Some(training),
            _ => None,
        })
    }
}

/// Training steps of all cycles together, the dense one included.
fn run_steps(config: &ExperimentConfig, epoch: u64, cycles: u64) -> Result<u64, Error> {
    let mut total = config.train.length.steps(epoch);
    if let Some(prune) = &config.prune {
        let last = config.retrain.last.unwrap_or(prune.every).steps(epoch);
        let fading = prune.gsm.map_or(0, |gsm| gsm.steps(epoch));
        total = total.saturating_add(fading.saturating_mul(cycles));
        total = total
            .saturating_add(prune.every.steps(epoch).saturating_mul(cycles.saturating_sub(1)))
            .saturating_add(last);
    }
    if total > MOST_STEPS {
        return Err(Error::Schedule(format!("the run has {total} steps, wanted at most {MOST_STEPS}")));
    }
    Ok(total)
}

struct Builder<'a> {
    config: &'a ExperimentConfig,
    targets: &'a [Sparsity],
    epoch_steps: u64,
    stages: Vec<Planned>,
    /// Where the training planned last ended on a schedule that spans the run.
    position: u64,
    run_steps: u64,
}

impl Builder<'_> {
    fn build(mut self) -> Vec<Planned> {
        self.dense();
        if let Some(prune) = &self.config.prune {
            let cycles = self.targets.len() as u64;
            for (cycle, &target) in (1..).zip(self.targets) {
                let every = match self.config.retrain.last {
                    Some(last) if cycle == cycles => last,
                    _ => prune.every,
                };
                let test = cycle.is_multiple_of(self.config.test.every_cycles) || cycle == cycles;
                self.cycle(cycle, Some(target), every, test && prune.budget().is_none());
            }
            if let Some(until) = prune.budget() {
                (1..=until.refinements).for_each(|more| self.cycle(cycles + more, None, prune.every, false));
                self.push(cycles + until.refinements, Stage::Settle);
            }
        }
        self.stages
    }

    /// A prune and what belongs to it; without a `target` it is a refinement of a budget.
    fn cycle(&mut self, cycle: u64, target: Option<Sparsity>, every: Length, test: bool) {
        let Some(prune) = &self.config.prune else { return };
        if let Some(gsm) = prune.gsm {
            self.fade(cycle, gsm.steps(self.epoch_steps), target.filter(|_| prune.enabled));
        }
        if prune.enabled {
            self.push(cycle, target.map_or(Stage::Refine, Stage::Prune));
            if test {
                self.push(cycle, Stage::Test(event::Stage::JustPruned));
            }
            match self.config.retrain.kind {
                Retrain::RewindWeights => self.push(cycle, Stage::Rewind),
                Retrain::Reinitialise => self.push(cycle, Stage::Reinitialise),
                Retrain::FineTune | Retrain::RewindLr => {}
            }
        }
        self.retrain(cycle, every.steps(self.epoch_steps), target);
        if test {
            self.push(cycle, Stage::Test(event::Stage::Retrained));
        }
        if prune.budget().is_some() {
            self.push(cycle, Stage::Judge);
        }
    }

    /// The dense training, split where its weights are remembered.
    fn dense(&mut self) {
        let steps = self.config.train.length.steps(self.epoch_steps);
        let lr = self.config.train.optimizer.lr();
        let whole = self.dense_schedule();
        let piece = |builder: &mut Self, from: u64, to: u64| {
            if from < to {
                let ends = to == steps;
                let training = Training {
                    steps: to - from,
                    lr,
                    schedule_from: from,
                    schedule_total: whole,
                    chooses: ends,
                    closes: ends,
                    focus: None,
                };
                builder.push(0, Stage::Train(training));
            }
        };
        if self.config.retrain.kind == Retrain::RewindWeights {
            let at = self.rewind_to();
            piece(self, 0, at);
            self.push(0, Stage::Remember);
            piece(self, at, steps);
        } else {
            piece(self, 0, steps);
        }
        self.position = steps;
        let judged = self.config.prune.as_ref().is_some_and(|prune| prune.budget().is_some());
        self.push(0, if judged { Stage::Judge } else { Stage::Test(event::Stage::Dense) });
    }

    /// Training in which only the weights that the next prune is to leave receive gradients.
    fn fade(&mut self, cycle: u64, steps: u64, focus: Option<Sparsity>) {
        let training = self.following(steps);
        if steps > 0 {
            self.push(cycle, Stage::Train(Training { chooses: false, focus, ..training }));
        }
        self.position += steps;
    }

    /// Training after a prune, cut where masks move.
    fn retrain(&mut self, cycle: u64, steps: u64, target: Option<Sparsity>) {
        let whole = self.retraining(steps);
        let moves = self.moves(steps, target);
        let mut from = 0;
        for (at, stage) in moves {
            self.push(cycle, Stage::Train(whole.piece(from, at)));
            self.push(cycle, stage);
            from = at;
        }
        if from < steps {
            self.push(cycle, Stage::Train(Training { chooses: true, closes: true, ..whole.piece(from, steps) }));
        }
        self.position = whole.schedule_from + steps;
    }

    /// After how many of a training's `steps` the masks move, and how.
    fn moves(&self, steps: u64, target: Option<Sparsity>) -> Vec<(u64, Stage)> {
        let Some(prune) = self.config.prune.as_ref().filter(|prune| prune.enabled) else { return vec![] };
        let (Some(regrow), Some(target)) = (prune.regrow, target) else { return vec![] };
        let every = regrow.every().steps(self.epoch_steps).max(1);
        let end = (steps as f64 * regrow.until()) as u64;
        let stage = |at: u64| match regrow.share(at as f64 / end as f64) {
            Some(share) => (share > 0.0).then_some(Stage::Exchange(share)),
            None => Some(Stage::Choose(target)),
        };
        let times = (1..).map(|count| count * every).take_while(|at| *at <= end && *at < steps);
        times.filter_map(|at| Some((at, stage(at)?))).collect()
    }

    /// The training after a prune. One that rewinds walks the dense training's own schedule from the step that it goes back
    /// to: at every step it has the learning rate that the dense training had there.
    fn retraining(&self, steps: u64) -> Training {
        match self.config.retrain.kind {
            Retrain::RewindWeights | Retrain::RewindLr => Training {
                schedule_from: self.rewind_to(),
                schedule_total: self.dense_schedule(),
                ..self.following(steps)
            },
            Retrain::FineTune | Retrain::Reinitialise => self.following(steps),
        }
    }

    /// A training that goes on where the one before ended.
    fn following(&self, steps: u64) -> Training {
        let (schedule_from, schedule_total) = match self.config.train.lr_schedule.restart() {
            Restart::Cycle => (0, steps),
            Restart::Never => (self.position, self.run_steps),
        };
        let lr = self.config.retrain.lr.unwrap_or(self.config.train.optimizer.lr());
        Training { steps, lr, schedule_from, schedule_total, chooses: true, closes: true, focus: None }
    }

    /// Length of the schedule that the dense training walks, in steps.
    fn dense_schedule(&self) -> u64 {
        match self.config.train.lr_schedule.restart() {
            Restart::Cycle => self.config.train.length.steps(self.epoch_steps),
            Restart::Never => self.run_steps,
        }
    }

    fn rewind_to(&self) -> u64 {
        self.config.retrain.rewind_to.unwrap_or(Length::Steps(0)).steps(self.epoch_steps)
    }

    fn push(&mut self, cycle: u64, stage: Stage) {
        self.stages.push(Planned { cycle, stage });
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
