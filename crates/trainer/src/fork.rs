//! A dense training that several runs begin with, trained once: a run of its own, and cells that go on from its end.
//!
//! A cell that goes on from a shared start has the bytes of one that trained by itself: the plans begin with the same
//! stages, and everything random is named by seed and place, not by what ran before.

use crate::checkpoint::{self, Checkpoint, Snapshot};
use crate::config::{Paths, RetrainConfig};
use crate::folder::{self, ForkedFrom, LockedRun, Manifest, RunFolder};
use crate::observer::Observer;
use crate::run::{Facts, Place, ResumeOptions, input, resume};
use crate::session::{Outcome, fresh_masks};
use crate::{Error, Experiment, InputHashes, device, export, files, scores, start};
use secateur_report::RunLog;
use secateur_report::event::{Entry, Event, RunStarted};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Folder of shared starts, beside the runs that began with them.
pub const STARTS: &str = ".starts";

/// Names of runs that are shared starts: what is measured is no part of a run's hash, but of its log.
const NAMES: [&str; 2] = ["start-unmeasured", "start"];

/// The dense training that a run begins with, as a run of its own; `None` when it cannot be told apart from what follows.
///
/// # Errors
/// Never for an experiment that makes sense.
pub fn start_of(experiment: &Experiment) -> Result<Option<Experiment>, Error> {
    let mut config = experiment.config().clone();
    // Paths that are measured may come out otherwise in the next process.
    if experiment.watches_movement() || experiment.has_shadows() || config.train.paths == Paths::Measured {
        return Ok(None);
    }
    config.name = NAMES[usize::from(config.measure.enabled)].into();
    // A file to start from may prune with its zeros, which takes the section that says what may be pruned.
    if start::path(&config).is_some() {
        return Ok(None);
    }
    (config.prune, config.retrain) = (None, RetrainConfig::default());
    let start = Experiment::on_data(config, experiment.data().clone())?;
    let shared = &start.plan().stages;
    let same = experiment.plan().stages.starts_with(shared) && start.plan().steps() > 0;
    Ok(same.then_some(start))
}

/// Runs a cell of a sweep to its end: goes on with it if it was begun, else from the shared start of this name below `starts`, else from
/// nothing. What is finished stays as it is.
///
/// # Errors
/// When the start is not finished, or the run fails.
pub fn run_cell(
    experiment: &Experiment,
    start: Option<&str>,
    places: CellPlaces<'_>,
    facts: Facts<'_>,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<(PathBuf, Outcome), Error> {
    let path = places.out.join(experiment.run_name());
    if folder::is_finished(&path) {
        let model = RunFolder::at(&path).model();
        return Ok((path, Outcome::FinishedBefore { model }));
    }
    let place = Place { threads: places.threads, ..Place::default() };
    if !path.exists() {
        fs::create_dir_all(places.out).map_err(Error::io(places.out, "create"))?;
        match start {
            Some(start) => fork(experiment, &places.starts.join(start), places.out, facts)?,
            None => return crate::run(&place.apply(experiment.clone())?, places.out, facts, observer, stop),
        }
    }
    let options = ResumeOptions { restart: false, commit: facts.commit };
    let outcome = resume(&path, place, options, observer, stop)?;
    Ok((path, outcome))
}

/// Where a cell of a sweep is run.
#[derive(Clone, Copy, Debug)]
pub struct CellPlaces<'a> {
    /// Folder of the cells.
    pub out: &'a Path,
    /// Folder of the shared starts.
    pub starts: &'a Path,
    /// Threads, when that differs from the config.
    pub threads: Option<usize>,
}

/// Makes the folder of a run that goes on from the end of `start`.
fn fork(experiment: &Experiment, start: &Path, out: &Path, facts: Facts<'_>) -> Result<(), Error> {
    let refuse = |why: &str| Error::Run { path: start.to_owned(), why: why.into() };
    if !folder::is_finished(start) {
        return Err(refuse("the dense training that this run begins with has not finished"));
    }
    let begun = folder::read_experiment(start)?;
    let stages = &begun.plan().stages;
    let shapes = export::shapes(begun.graph());
    let from = RunFolder::at(start);
    // Read only: it is another run's, and what is damaged there is for that run's own `resume` to set aside.
    let newest = checkpoint::list(&from.checkpoints())?.pop();
    let found = newest.map(|name| Checkpoint::load(&from.checkpoints().join(name), &shapes)).transpose()?;
    let Some(Checkpoint { mut cursor, state, .. }) = found.filter(|own| own.cursor.stage == stages.len()) else {
        return Err(refuse("its last checkpoint is not that of its end"));
    };
    if !experiment.plan().stages.starts_with(stages) {
        return Err(refuse("its plan is another one than the run begins with"));
    }
    let sha256 = scores::read(experiment, None)?.map(|(_, sha256)| sha256);
    let own = experiment.config();
    let begun = folder::read_manifest(start)?;
    // Data, device and kernels are the start's; who goes on with it, and where, is told anew.
    let manifest = Manifest {
        secateur: env!("CARGO_PKG_VERSION").into(),
        commit: facts.commit.map(str::to_owned),
        platform: device::platform(),
        processor: device::processor(),
        threads: device::cores(),
        threads_used: Some(device::threads(own)),
        forked_from: Some(ForkedFrom {
            run: start.file_name().unwrap_or(start.as_os_str()).to_string_lossy().into_owned(),
            commit: begun.commit.clone(),
            processor: begun.processor.clone(),
        }),
        scores: input(scores::path(experiment), sha256.as_ref()),
        command: facts.command.to_vec(),
        ..begun
    };
    let files = InputHashes { start: None, scores: sha256.as_deref() };
    let told = experiment.started(&manifest.dataset, files);
    let masks = fresh_masks(experiment);
    LockedRun::create(out, experiment, facts.typed, manifest, |folder| {
        (cursor.log_bytes, cursor.log_sha256) = copy_log(&from.log(), cursor.log_bytes, &folder.log(), told)?;
        let snapshot =
            Snapshot { cursor: &cursor, state: &state, masks: &masks, remembered: None, best: None, average: None };
        snapshot.save(&folder.checkpoints(), own.checkpoint.keep).map(|_| ())
    })?;
    Ok(())
}

/// Writes a log that begins as the run's own and goes on as the start's; returns its length and its checksum.
fn copy_log(from: &Path, length: u64, to: &Path, started: RunStarted) -> Result<(u64, Option<String>), Error> {
    let bytes = files::read(from)?;
    let bytes = &bytes[..bytes.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
    let mut log = RunLog::create(to)?;
    let prunable = started.prunable;
    log.append(&Event::RunStarted(started), None)?;
    for line in bytes.split(|byte| *byte == b'\n').skip(1).filter(|line| !line.is_empty()) {
        let entry: Entry = serde_json::from_slice(line)
            .map_err(|error| Error::Run { path: from.to_owned(), why: format!("a line is no event: {error}") })?;
        let mut event = entry.event;
        if let Event::Tested(tested) = &mut event {
            // What may be pruned is the run's own to say.
            tested.size.prunable = prunable;
        }
        if let Event::SessionStarted(session) = &mut event {
            // That of the start's manifest, which is another one.
            session.manifest_sha256 = None;
        }
        log.append(&event, entry.timing)?;
    }
    log.sync()?;
    Ok((log.position(), Some(log.sha256())))
}
