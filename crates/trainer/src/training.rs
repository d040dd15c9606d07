//! A stage of training: forward, backward, update, and at every epoch's end a look at the validation split.
//!
//! The batches are a function of (seed, step): step `t` takes batch `t mod n` of the order of epoch `t div n`, with `n`
//! batches an epoch. So a stage may begin and end anywhere, and a resumed run takes the same batches.

use crate::Error;
use crate::checkpoint::Best;
use crate::config::Teacher as Whose;
use crate::data::{self, Split};
use crate::learning_rate::turns;
use crate::observer::Tick;
use crate::plan::Training;
use crate::session::{Progress, Session};
use crate::state::State;
use crate::teacher::Teacher;
use secateur_report::event::{EpochEnded, Event, Score, StoppedEarly};
use std::time::Instant;

impl Session<'_> {
    /// Trains from the cursor to the stage's end, an early stop, or a signal.
    pub(crate) fn train(&mut self, cycle: u64, training: Training) -> Result<Progress, Error> {
        let mut lap = Lap::start();
        let mut order = Order::default();
        self.open_teacher()?;
        let (epoch_steps, schedule) = (self.experiment.plan().epoch_steps, self.experiment.config().train.lr_schedule);
        self.engine.focus(training.focus.and_then(|target| self.experiment.kept(target)));
        while self.cursor.stage_step < training.steps {
            if self.stopping() {
                return Ok(Progress::Stopped);
            }
            let lr = training.rate(self.cursor.stage_step, &schedule, epoch_steps);
            let (seen, loss) = self.step(&mut order, lr)?;
            if !loss.is_finite() {
                return Err(Error::Diverged { step: self.cursor.step + 1, loss });
            }
            self.cursor.stage_step += 1;
            self.cursor.step += 1;
            if training.chooses {
                self.take_into_average();
            }
            lap.images += seen;
            self.observer.step(&self.tick(&training, loss, lap.speed()));

            let done = self.cursor.stage_step == training.steps;
            let boundary = self.cursor.step.is_multiple_of(epoch_steps);
            // A training that ends within an epoch is scored like any other: what comes next is another network.
            if boundary || (done && training.closes) {
                self.end_epoch(cycle, &training, lap.speed())?;
                lap = Lap::start();
                if training.chooses && self.stops_early() {
                    let saved = training.steps - self.cursor.stage_step;
                    let stopped = StoppedEarly { cycle, step: self.cursor.step, steps_saved: saved };
                    if saved > 0 {
                        self.record(&Event::StoppedEarly(stopped), Some(self.timing(None)))?;
                    }
                    break;
                }
            }
            if !done && self.cursor.stage_step.is_multiple_of(self.experiment.config().checkpoint.every_steps) {
                self.save()?;
            }
        }
        let average = self.average.take();
        if let Some(parameters) = self.best.take().or(average) {
            self.set(State { parameters, ..self.engine.state()? })?;
        }
        self.cursor.best = None;
        self.cursor.stale_epochs = 0;
        Ok(Progress::Done)
    }

    /// One step over the next batch; gives its number of images and its mean loss. Images that are varied are made while the
    /// step before is computed.
    fn step(&mut self, order: &mut Order, lr: f64) -> Result<(usize, f64), Error> {
        let (config, train) = (self.experiment.config(), &self.dataset.train);
        let epoch_steps = self.experiment.plan().epoch_steps;
        let step = self.cursor.step;
        let batch = order.batch(self, step, epoch_steps).to_vec();
        let Some(augment) = &config.data.augment else {
            let taught = self.teacher.as_mut().map_or(vec![], |own| own.logits(train, &batch));
            return Ok((batch.len(), self.engine.step(train, &batch, &taught, lr, &mut self.cursor.tally)?));
        };
        let made = |indices: &[u32], step: u64| train.augmented(indices, augment, config.seed, step / epoch_steps);
        let own = order.made.take().filter(|(of, _)| *of == step);
        let split = own.map_or_else(|| made(&batch, step), |(_, split)| split);
        // The order of the next epoch is not known yet.
        let next = (!(step + 1).is_multiple_of(epoch_steps)).then(|| order.batch(self, step + 1, epoch_steps).to_vec());
        let all: Vec<u32> = (0..split.len() as u32).collect();
        let taught = self.teacher.as_mut().map_or(vec![], |own| own.logits(&split, &all));
        let (engine, tally) = (&mut self.engine, &mut self.cursor.tally);
        let (loss, next) = std::thread::scope(|scope| {
            let next = next.as_ref().map(|next| scope.spawn(|| made(next, step + 1)));
            let loss = engine.step(&split, &all, &taught, lr, tally);
            (loss, next.and_then(|next| next.join().ok()))
        });
        order.made = next.map(|next| (step + 1, next));
        Ok((batch.len(), loss?))
    }

    /// Opens the teacher, once there is one to learn from.
    fn open_teacher(&mut self) -> Result<(), Error> {
        let Some(config) = &self.experiment.config().train.distillation else { return Ok(()) };
        let is_early = config.teacher == Whose::Dense && self.cursor.stage <= *self.experiment.plan().dense().end();
        if self.teacher.is_none() && !is_early {
            let (experiment, dataset) = (self.experiment, self.dataset);
            self.teacher = Teacher::open(experiment, &self.folder, &self.device, dataset, &mut *self.observer)?;
        }
        Ok(())
    }

    /// Scores the validation split, keeps the best epoch's weights, and writes the epoch down.
    fn end_epoch(&mut self, cycle: u64, training: &Training, speed: f64) -> Result<(), Error> {
        let split = &self.dataset.validation;
        let validation = (!split.is_empty()).then(|| self.validated()).transpose()?;
        let best = validation.is_some_and(|score| beats(score, self.cursor.best));
        if let Some(score) = validation.filter(|_| best) {
            self.cursor.best = Some(Best { correct: score.correct, loss: score.loss });
            self.cursor.stale_epochs = 0;
            self.best = (training.chooses && self.experiment.keeps_best()).then(|| self.outcome());
        } else {
            self.cursor.stale_epochs += 1;
        }
        let tally = std::mem::take(&mut self.cursor.tally);
        let rates = self.rates(training, tally.score().total);
        let ended = EpochEnded {
            cycle,
            epoch: self.cursor.step.div_ceil(self.experiment.plan().epoch_steps),
            step: self.cursor.step,
            learning_rate: rates.last().map_or(0.0, |(_, rate)| *rate),
            learning_rates: rates,
            train: tally.score(),
            validation,
            best,
        };
        self.record(&Event::EpochEnded(ended), Some(self.timing(Some(speed))))
    }

    /// Steps and learning rates at which the rate turns, of the steps that took the last `images`: all batches but an epoch's
    /// last one are whole.
    fn rates(&self, training: &Training, images: u64) -> Vec<(u64, f64)> {
        let (plan, config) = (self.experiment.plan(), &self.experiment.config().train);
        let steps = images.div_ceil(config.batch_size.max(1) as u64).max(1);
        let last = self.cursor.stage_step.saturating_sub(1);
        let rates = training.rates_to(last, steps, &config.lr_schedule, plan.epoch_steps);
        let first = self.cursor.step + 1 - rates.len() as u64;
        turns(&rates).into_iter().map(|at| (first + at as u64, rates[at])).collect()
    }

    fn stops_early(&self) -> bool {
        let rule = self.experiment.config().train.early_stop;
        rule.is_some_and(|rule| self.cursor.stale_epochs >= rule.patience)
    }

    fn tick(&self, training: &Training, loss: f64, images_per_s: f64) -> Tick {
        Tick {
            stage_step: self.cursor.stage_step,
            stage_steps: training.steps,
            step: self.cursor.step,
            epoch: (self.cursor.step - 1) / self.experiment.plan().epoch_steps + 1,
            loss,
            accuracy: self.cursor.tally.score().accuracy(),
            images_per_s,
        }
    }
}

/// Whether a score is better than the best so far: more right answers, or as many at a lower loss, NaN being the highest.
fn beats(score: Score, best: Option<Best>) -> bool {
    let lower = |loss: f64, than: f64| loss < than || (than.is_nan() && !loss.is_nan());
    best.is_none_or(|best| {
        score.correct > best.correct || (score.correct == best.correct && lower(score.loss, best.loss))
    })
}

/// The order of the epoch that is going on, made once an epoch.
#[derive(Default)]
struct Order {
    epoch: Option<u64>,
    indices: Vec<u32>,
    /// The varied images of a step, once they are made.
    made: Option<(u64, Split)>,
}

impl Order {
    /// The images of a step.
    fn batch(&mut self, session: &Session<'_>, step: u64, epoch_steps: u64) -> &[u32] {
        let (epoch, place) = (step / epoch_steps, step % epoch_steps);
        if self.epoch != Some(epoch) {
            let seed = session.experiment.config().seed;
            (self.epoch, self.indices) = (Some(epoch), data::order(session.dataset.train.len(), seed, epoch));
        }
        let size = session.experiment.config().train.batch_size;
        let start = place as usize * size;
        &self.indices[start..(start + size).min(self.indices.len())]
    }
}

/// Throughput since the last epoch's end.
struct Lap {
    began: Instant,
    images: usize,
}

impl Lap {
    fn start() -> Self {
        Self { began: Instant::now(), images: 0 }
    }

    fn speed(&self) -> f64 {
        self.images as f64 / self.began.elapsed().as_secs_f64().max(1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_right_answers_win_and_loss_breaks_ties() {
        let score = |correct, loss| Score { correct, total: 100, loss };
        let best = Some(Best { correct: 90, loss: 0.5 });
        assert!(beats(score(0, 9.0), None));
        assert!(beats(score(91, 9.0), best) && beats(score(90, 0.4), best));
        assert!(!beats(score(90, 0.5), best) && !beats(score(89, 0.1), best));
        let nan = Some(Best { correct: 90, loss: f64::NAN });
        assert!(beats(score(90, 9.0), nan) && !beats(score(90, f64::NAN), nan) && !beats(score(89, 0.1), nan));
        assert!(!beats(score(90, f64::NAN), best));
    }
}
