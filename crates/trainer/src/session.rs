//! A run in progress: walks the plan stage by stage, and saves its state at the end of every stage that changes it.
//!
//! Resuming is not a special case: a session is always made from a checkpoint's content, which for a new run is the
//! start of the plan.

use crate::checkpoint::{self, Checkpoint, Cursor, Snapshot};
use crate::data::{Dataset, Split};
use crate::device::Device;
use crate::engine::Engine;
use crate::evaluate::evaluate;
use crate::files::write_atomically;
use crate::folder::{self, LockedRun, is_missing};
use crate::observer::{Observer, StageView};
use crate::plan::{Planned, Stage};
use crate::size::size;
use crate::start::{self, Start};
use crate::state::{State, Weights};
use crate::teacher::Teacher;
use crate::{Error, Experiment, InputHashes, device, engine, export, memory};
use secateur_pruner::{Mask, MaskSet, Saliency, Sparsity};
use secateur_report::event::{self, Event, Score, Timing};
use secateur_report::{RunLog, RunRecord, read_log};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every stage of the plan is done.
    Finished {
        /// The final model.
        model: PathBuf,
    },
    /// It was asked to stop, and saved its state first.
    Interrupted {
        /// Name of the checkpoint.
        checkpoint: String,
    },
    /// It had come to its end before, and nothing was done.
    FinishedBefore {
        /// The final model.
        model: PathBuf,
    },
    /// It had come to its end before, but its final model was gone or damaged; the same bytes were made from a checkpoint.
    Restored {
        /// The final model.
        model: PathBuf,
        /// Name of the checkpoint.
        checkpoint: String,
    },
}

/// A run in progress.
pub(crate) struct Session<'a> {
    pub(crate) experiment: &'a Experiment,
    pub(crate) dataset: &'a Dataset,
    pub(crate) folder: LockedRun,
    log: RunLog,
    pub(crate) observer: &'a mut dyn Observer,
    stop: &'a AtomicBool,
    pub(crate) device: Device,
    /// Scores that somebody else computed, where the criterion wants them.
    pub(crate) scores: Option<Saliency>,
    pub(crate) engine: Box<dyn Engine>,
    /// Whose answers training learns from, once somebody has asked.
    pub(crate) teacher: Option<Teacher>,
    pub(crate) remembered: Option<Vec<Weights>>,
    /// The best epoch's parameters of the training stage that is going on.
    pub(crate) best: Option<Vec<Weights>>,
    /// The average of the weights over the steps of that stage.
    pub(crate) average: Option<Vec<Weights>>,
    pub(crate) cursor: Cursor,
    pub(crate) masks: MaskSet,
    began: Instant,
    before: Duration,
}

/// What a session needs besides its folder.
pub(crate) struct Surroundings<'a> {
    /// What is run.
    pub experiment: &'a Experiment,
    /// Its data.
    pub dataset: &'a Dataset,
    /// Where it computes.
    pub device: Device,
    /// Commit that the program was built from, when known.
    pub commit: Option<&'a str>,
    /// SHA-256 of the file that the run starts from, when it starts from one.
    pub start: Option<&'a str>,
    /// The scores that the config names a file of, and its SHA-256.
    pub scores: Option<(Saliency, String)>,
    /// Who watches.
    pub observer: &'a mut dyn Observer,
    /// Set by a signal: finish the step, save, and return.
    pub stop: &'a AtomicBool,
}

impl<'a> Session<'a> {
    /// Opens the run in `folder`: at its newest good checkpoint, or at the start when it had not come to its first one.
    ///
    /// # Errors
    /// When log or checkpoints cannot be read, or do not belong to this experiment; then nothing has changed, except that
    /// checkpoints with damaged files are set aside.
    pub(crate) fn open(folder: LockedRun, around: Surroundings<'a>) -> Result<Self, Error> {
        let shapes = export::shapes(around.experiment.graph());
        let Some((name, found)) = checkpoint::newest(&folder.checkpoints(), &shapes)? else {
            refuse_lost(&folder, around.experiment)?;
            return Self::begin(folder, around, |_| Ok(()));
        };
        folder.mark_saved(&name)?;
        tracing::info!("going on from checkpoint {name}");
        let (position, sha256) = (found.cursor.log_bytes, found.cursor.log_sha256.clone());
        let restored = restore(around.experiment, &around.device, found)?;
        let session = event::SessionStarted { checkpoint: Some(name), ..started(&folder, &around, &restored.cursor)? };
        let resumed = RunLog::resume(folder.log(), position, sha256.as_deref());
        let log = resumed.map_err(|source| Error::log(folder.path(), source))?;
        let mut own = Self::assemble(folder, around, log, restored);
        own.record(&Event::SessionStarted(session), Some(own.timing(None)))?;
        Ok(own)
    }

    /// Begins the run in `folder` anew, whatever was trained. What it has left is removed when nothing else can be refused any more.
    ///
    /// # Errors
    /// When the run cannot begin; then nothing has changed.
    pub(crate) fn restart(folder: LockedRun, around: Surroundings<'a>) -> Result<Self, Error> {
        Self::begin(folder, around, LockedRun::restart)
    }

    /// Begins at the start of the plan; `clear` makes place for it once its inputs are read and its engine is there.
    fn begin(
        folder: LockedRun,
        around: Surroundings<'a>,
        clear: impl FnOnce(&LockedRun) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let path = folder.log();
        let start = start::read(around.experiment, around.start)?;
        let fresh = restore(around.experiment, &around.device, fresh(around.experiment, start))?;
        clear(&folder)?;
        let log = if path.exists() { RunLog::resume(&path, 0, None)? } else { RunLog::create(&path)? };
        let scores = around.scores.as_ref().map(|(_, sha256)| sha256.as_str());
        let files = InputHashes { start: around.start, scores };
        let run = around.experiment.started(&around.dataset.name, files);
        let session = started(&folder, &around, &fresh.cursor)?;
        let mut own = Self::assemble(folder, around, log, fresh);
        own.record(&Event::RunStarted(run), None)?;
        own.record(&Event::SessionStarted(session), None)?;
        own.record_paths(0)?;
        Ok(own)
    }

    fn assemble(folder: LockedRun, around: Surroundings<'a>, log: RunLog, restored: Restored) -> Self {
        let Surroundings { experiment, dataset, device, scores, observer, stop, .. } = around;
        let Restored { engine, masks, remembered, best, average, cursor } = restored;
        let before = Duration::from_millis(cursor.elapsed_ms);
        let scores = scores.map(|(scores, _)| scores);
        let began = Instant::now();
        Self {
            experiment,
            dataset,
            folder,
            log,
            observer,
            stop,
            device,
            scores,
            engine,
            teacher: None,
            remembered,
            best,
            average,
            cursor,
            masks,
            began,
            before,
        }
    }

    /// Walks the plan to its end, or until it is asked to stop.
    ///
    /// # Errors
    /// When training diverges, or something cannot be written; the last checkpoint stays good.
    pub(crate) fn walk(mut self) -> Result<Outcome, Error> {
        self.stages().map_err(|error| self.folder.cause(error))
    }

    fn stages(&mut self) -> Result<Outcome, Error> {
        while let Some(planned) = self.experiment.plan().stages.get(self.cursor.stage) {
            self.observer.stage(&self.view(planned));
            self.keep_dense()?;
            match &planned.stage {
                Stage::Train(training) => {
                    if self.train(planned.cycle, *training)? == Progress::Stopped {
                        return Ok(Outcome::Interrupted { checkpoint: self.save()? });
                    }
                }
                Stage::Prune(target) => {
                    let before = self.experiment.plan().target_before(self.cursor.stage);
                    self.prune(planned.cycle, before, *target)?;
                }
                Stage::Test(when) => self.test(planned.cycle, *when)?,
                Stage::Remember => self.remembered = Some(self.engine.parameters()),
                Stage::Rewind => self.rewind()?,
                Stage::Reinitialise => self.reinitialise(planned.cycle)?,
                Stage::Exchange(share) => self.exchange(planned.cycle, *share)?,
                Stage::Choose(target) => self.choose_anew(planned.cycle, *target)?,
                Stage::Judge => self.judge(planned.cycle)?,
                Stage::Refine => match self.refinement() {
                    Some(target) => {
                        let before = self.cursor.search.as_ref().map_or(0.0, |search| search.held);
                        self.prune(planned.cycle, Sparsity::new(before)?, target)?;
                    }
                    None => self.skip_refinements(),
                },
                Stage::Settle => self.settle()?,
            }
            let worth = self.is_worth_saving(&planned.stage);
            self.cursor.stage += 1;
            self.cursor.stage_step = 0;
            let stopping = self.stopping();
            let is_last = self.cursor.stage >= self.experiment.plan().stages.len();
            if !(worth || stopping || is_last) {
                continue;
            }
            let checkpoint = self.save()?;
            if stopping {
                return Ok(Outcome::Interrupted { checkpoint });
            }
        }
        self.finish()
    }

    /// Whether a stage leaves a state that would take long to make again. A test changes none; where masks move every few
    /// steps, the part of a training before it is saved as often as `checkpoint.every_steps` says.
    fn is_worth_saving(&self, stage: &Stage) -> bool {
        let every = self.experiment.config().checkpoint.every_steps;
        let Cursor { step, stage_step, .. } = self.cursor;
        match stage {
            Stage::Train(training) => training.closes || step / every > (step - stage_step) / every,
            Stage::Test(_) | Stage::Exchange(_) | Stage::Choose(_) => false,
            Stage::Prune(_)
            | Stage::Remember
            | Stage::Rewind
            | Stage::Reinitialise
            | Stage::Judge
            | Stage::Refine
            | Stage::Settle => true,
        }
    }

    /// Hands the engine a state that belongs to the masks.
    pub(crate) fn set(&mut self, state: State) -> Result<(), Error> {
        self.engine.set(state, &self.masks)
    }

    /// Writes down how the layers are computed from here on, where that is ours to choose.
    pub(crate) fn record_paths(&mut self, cycle: u64) -> Result<(), Error> {
        let Some((instruction_set, layers)) = self.engine.paths() else { return Ok(()) };
        let compiled = event::LayersCompiled { cycle, step: self.cursor.step, instruction_set, layers };
        self.record(&Event::LayersCompiled(compiled), None)
    }

    /// The only reader of the test split.
    pub(crate) fn test(&mut self, cycle: u64, stage: event::Stage) -> Result<(), Error> {
        let (began, dataset) = (Instant::now(), self.dataset);
        let score = self.score("test", dataset.test_split());
        // A network that was never trained has nothing to lose.
        if stage != event::Stage::JustPruned
            && self.cursor.step > 0
            && score.is_collapsed(self.experiment.data().classes as u64)
        {
            let event::Score { correct, total, .. } = score;
            tracing::warn!("cycle {cycle}: the network has collapsed, {correct} of {total} images are right");
        }
        let speed = score.total as f64 / began.elapsed().as_secs_f64();
        let tested = event::Tested { cycle, step: self.cursor.step, stage, score, size: self.size() };
        let timing = Timing { peak_memory_bytes: memory::take_peak(), ..self.timing(Some(speed)) };
        self.record(&Event::Tested(tested), Some(timing))?;
        if stage == event::Stage::JustPruned || !self.experiment.config().measure.enabled {
            return Ok(());
        }
        self.measure(cycle)
    }

    /// Writes the final model and the log's last line; safe to do again after a crash in between.
    fn finish(&mut self) -> Result<Outcome, Error> {
        let (path, parameters) = (self.folder.model(), self.engine.parameters());
        self.folder.still_here()?;
        let manifest = folder::read_manifest(self.folder.path())?;
        let notes = export::model_notes(self.experiment, &manifest);
        let model = write_atomically(&path, |out| export::write(&parameters, &self.masks, &notes, out))?;
        let ended = event::RunEnded { step: self.cursor.step, model_sha256: model.sha256, model_bytes: model.bytes };
        self.record(&Event::RunEnded(ended), Some(self.timing(None)))?;
        self.log.sync()?;
        self.forget_kept()?;
        Ok(Outcome::Finished { model: path })
    }

    /// Keeps the parameters before the first prune, which checkpoints that come and go would lose.
    fn keep_dense(&self) -> Result<(), Error> {
        let (plan, path) = (self.experiment.plan(), self.folder.dense());
        if plan.prunes() == 0 || !plan.dense().contains(&self.cursor.stage) || path.exists() {
            return Ok(());
        }
        self.folder.still_here()?;
        let state = State { moments: vec![], counters: Default::default(), ..self.engine.state()? };
        let mut cursor = self.cursor.clone();
        cursor.count(&state);
        let beside = self.folder.path().join("dense.tmp");
        if beside.exists() {
            fs::remove_dir_all(&beside).map_err(Error::io(&beside, "remove"))?;
        }
        fs::create_dir(&beside).map_err(Error::io(&beside, "create"))?;
        let saved = Snapshot {
            cursor: &cursor,
            state: &state,
            masks: &self.masks,
            remembered: None,
            best: None,
            average: None,
        }
        .save(&beside, 1)
        .and_then(|_| fs::rename(&beside, &path).map_err(Error::io(&path, "rename")));
        if saved.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_dir_all(&beside);
        }
        saved
    }

    /// The score of the network as it is on a split of this name.
    pub(crate) fn score(&mut self, name: &str, split: &Split) -> Score {
        let (batch, observer) = (self.experiment.config().train.batch_size, &mut self.observer);
        evaluate(self.engine.as_mut(), split, batch, |seen| observer.evaluating(name, seen, split.len()))
    }

    /// What is left of the model.
    pub(crate) fn size(&self) -> event::Size {
        size(&self.engine.parameters(), &self.masks, self.experiment)
    }

    /// Saves the state with the log that belongs to it; returns the checkpoint's name.
    pub(crate) fn save(&mut self) -> Result<String, Error> {
        self.folder.still_here()?;
        self.log.sync()?;
        self.cursor.log_bytes = self.log.position();
        self.cursor.log_sha256 = Some(self.log.sha256());
        self.cursor.elapsed_ms = self.elapsed().as_millis() as u64;
        let state = self.engine.state()?;
        self.cursor.count(&state);
        let snapshot = Snapshot {
            cursor: &self.cursor,
            state: &state,
            masks: &self.masks,
            remembered: self.remembered.as_deref(),
            best: self.best.as_deref(),
            average: self.average.as_deref(),
        };
        let name = snapshot.save(&self.folder.checkpoints(), self.experiment.config().checkpoint.keep)?;
        self.folder.mark_saved(&name)?;
        tracing::debug!("saved checkpoint {name}");
        Ok(name)
    }

    /// Appends to the log and tells the observer.
    pub(crate) fn record(&mut self, event: &Event, timing: Option<Timing>) -> Result<(), Error> {
        self.log.append(event, timing.clone())?;
        self.observer.event(event, timing);
        Ok(())
    }

    /// Clock readings for an event that closes work at this speed.
    pub(crate) fn timing(&self, images_per_s: Option<f64>) -> Timing {
        Timing { elapsed_ms: self.elapsed().as_millis() as u64, images_per_s, ..Timing::default() }
    }

    /// Whether a signal asked for the end.
    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn elapsed(&self) -> Duration {
        self.before + self.began.elapsed()
    }

    fn view<'p>(&self, planned: &'p Planned) -> StageView<'p> {
        StageView {
            planned,
            cycles: self.experiment.plan().stages.last().map_or(0, |last| last.cycle),
            stage_step: self.cursor.stage_step,
            step: self.cursor.step,
            steps: self.experiment.plan().steps(),
            sparsity: if self.masks.total() == 0 {
                0.0
            } else {
                self.masks.pruned() as f64 / self.masks.total() as f64
            },
        }
    }
}

/// Whether a training stage came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Done,
    Stopped,
}

/// The live half of a checkpoint.
struct Restored {
    engine: Box<dyn Engine>,
    masks: MaskSet,
    remembered: Option<Vec<Weights>>,
    best: Option<Vec<Weights>>,
    average: Option<Vec<Weights>>,
    cursor: Cursor,
}

/// Where and by which program a session goes on.
fn started(folder: &LockedRun, around: &Surroundings<'_>, cursor: &Cursor) -> Result<event::SessionStarted, Error> {
    Ok(event::SessionStarted {
        step: cursor.step,
        checkpoint: None,
        secateur: env!("CARGO_PKG_VERSION").into(),
        commit: around.commit.map(str::to_owned),
        platform: device::platform(),
        processor: device::processor(),
        device: around.experiment.config().device.clone(),
        instruction_set: around.device.kernels().map(|kernels| kernels.instruction_set),
        threads: device::threads(around.experiment.config()) as u64,
        manifest_sha256: Some(folder::manifest_sha256(folder.path())?),
    })
}

/// Refuses to begin a run anew that has saved a checkpoint: its folder says so, or its log tells more than a run does before
/// its first one.
fn refuse_lost(folder: &LockedRun, experiment: &Experiment) -> Result<(), Error> {
    let record = match read_log(folder.log()) {
        Ok(record) => Some(record),
        Err(error) if is_missing(&error) => None,
        Err(source) => return Err(Error::log(folder.path(), source)),
    };
    let first = experiment.plan().first_checkpoint(experiment.config().checkpoint.every_steps);
    let early = |record: &RunRecord| {
        // Where the first training has no steps, the network is tested and pruned before there is a checkpoint.
        let untrained = record.step() == 0;
        let unsaved = record.tests.is_empty() && record.judged.is_empty() && record.step() <= first;
        record.ended.is_none() && (untrained || unsaved)
    };
    let told = match (folder.saved()?, record.filter(|record| !early(record))) {
        (Some(what), _) => what,
        (None, Some(record)) => format!(
            "the log tells of {} steps, {} prunes and {} tests",
            record.step(),
            record.prunes.len(),
            record.tests.len()
        ),
        (None, None) => return Ok(()),
    };
    let why = format!(
        "found no checkpoint, but {told}: put the checkpoints back, or train anew and lose what is left with \
         `secateur resume {} --restart`",
        folder.path().display()
    );
    Err(Error::Run { path: folder.checkpoints(), why })
}

/// The state of a run that has not begun.
fn fresh(experiment: &Experiment, start: Option<Start>) -> Checkpoint {
    let (parameters, masks) = match start {
        Some(Start { parameters, masks, .. }) => (parameters, masks),
        None => (experiment.initial(experiment.config().seed), fresh_masks(experiment)),
    };
    let state = State::fresh(parameters, &masks, experiment.has_shadows());
    Checkpoint { cursor: Cursor::start(), state, masks, remembered: None, best: None, average: None }
}

/// Masks that keep everything, for a run that prunes; none for one that does not.
pub(crate) fn fresh_masks(experiment: &Experiment) -> MaskSet {
    let shapes = export::shapes(experiment.graph());
    let names = experiment.prunable().into_iter().filter(|_| experiment.prunes());
    let full = |name: &str| {
        let (_, shape) = shapes.iter().find(|(own, _)| own == name).expect("prunable names are the model's");
        (name.to_owned(), Mask::full(shape))
    };
    MaskSet::new(names.map(full).collect())
}

/// Brings a checkpoint to life on a device.
fn restore(experiment: &Experiment, device: &Device, checkpoint: Checkpoint) -> Result<Restored, Error> {
    let Checkpoint { cursor, state, masks, remembered, best, average } = checkpoint;
    let engine = engine::open(experiment, device, state, &masks)?;
    Ok(Restored { engine, masks, remembered, best, average, cursor })
}
