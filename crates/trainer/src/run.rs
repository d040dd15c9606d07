//! The verbs on a run: start it, resume it, test what it left.

use crate::checkpoint::{self, Checkpoint};
use crate::device::Device;
use crate::evaluate::evaluate;
use crate::folder::{self, Manifest, ManifestFile, ManifestStart, RunFolder, read_experiment};
use crate::observer::Observer;
use crate::plan::Stage;
use crate::session::{Outcome, Session, Surroundings};
use crate::state::{State, Weights};
use crate::{Error, Experiment, ExperimentConfig, Plan, data, device, engine, export, scores, start, trained_on};
use secateur_pruner::MaskSet;
use secateur_report::event::{self, Score};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Starts a run of `experiment` below `out`; `typed` is its config as written, `commit` what the program was built from,
/// `command` what was typed.
///
/// Data, device and the file to start from are opened before the folder is made, so that a fault there leaves nothing behind.
///
/// # Errors
/// When the run exists already, its data cannot be loaded, or it fails on the way.
pub fn run(
    experiment: &Experiment,
    out: &Path,
    facts: Facts<'_>,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<(PathBuf, Outcome), Error> {
    let path = out.join(experiment.run_name());
    if path.exists() {
        return Err(Error::RunExists { path });
    }
    experiment.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    let device = device::open(experiment.config(), None)?;
    let dataset = experiment.load_data()?;
    let start = start::read(experiment, None)?.map(|start| start.sha256);
    let trained_on = trained_on::with_start(experiment, &dataset)?;
    let scores = scores::read(experiment, None)?;
    let scores_sha256 = scores.as_ref().map(|(_, sha256)| sha256);
    let manifest = Manifest {
        trained_on,
        start: input(experiment.config().start.as_deref(), start.as_ref()),
        scores: input(scores::path(experiment), scores_sha256),
        ..manifest(experiment, &device, &dataset, &facts)
    };
    let folder = RunFolder::create(out, experiment, facts.typed, &manifest)?;
    let around =
        Surroundings { experiment, dataset: &dataset, device, start: start.as_deref(), scores, observer, stop };
    Ok((path, Session::open(folder, around)?.walk()?))
}

/// What a run's folder says of its origin.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The config as typed.
    pub typed: &'a str,
    /// Commit that the program was built from, when known.
    pub commit: Option<&'a str>,
    /// The command line.
    pub command: &'a [String],
}

/// Goes on with the run in `path` as if it had never stopped; `device` and `data` replace the ones it was started with.
///
/// # Errors
/// When it is no run, another process works on it, or it fails on the way.
pub fn resume(path: &Path, place: Place<'_>, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, Error> {
    let experiment = place.apply(read_experiment(path)?)?;
    let folder = RunFolder::open(path)?;
    let manifest = folder::read_manifest(path)?;
    let device = device::open(experiment.config(), manifest.kernels.as_ref())?;
    let dataset = experiment.load_data()?;
    folder::check_data(path, &manifest, &manifest_files(&dataset))?;
    let start = manifest.start.as_ref().map(|start| start.sha256.as_str());
    let scores = scores::read(&experiment, manifest.scores.as_ref().map(|scores| scores.sha256.as_str()))?;
    let around = Surroundings { experiment: &experiment, dataset: &dataset, device, start, scores, observer, stop };
    Session::open(folder, around)?.walk()
}

/// Where to compute and where the data lies, when that differs from the run's own config.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// Another device.
    pub device: Option<&'a str>,
    /// Another number of threads.
    pub threads: Option<usize>,
    /// Another data folder.
    pub data: Option<&'a Path>,
}

impl Place<'_> {
    pub(crate) fn apply(self, experiment: Experiment) -> Result<Experiment, Error> {
        experiment.beside(self.config(experiment.config().clone()))
    }

    /// The config with what is another one here.
    pub(crate) fn config(self, mut config: ExperimentConfig) -> ExperimentConfig {
        if let Some(device) = self.device {
            config.device = device.to_owned();
        }
        if let Some(threads) = self.threads {
            config.threads = threads;
        }
        if let Some(data) = self.data {
            config.data.dir = data.to_owned();
        }
        config
    }
}

/// The score on the test split of the run's final model, or of the checkpoint of this name; `dense` names the state before
/// the first prune.
///
/// # Errors
/// When the run has no final model yet, or no such checkpoint.
pub fn test(
    run: &Path,
    checkpoint: Option<&str>,
    place: Place<'_>,
    observer: &mut dyn Observer,
) -> Result<Score, Error> {
    let experiment = place.apply(read_experiment(run)?)?;
    let device = device::open(experiment.config(), None)?;
    let (parameters, masks) = trained(run, &experiment, checkpoint)?;
    let state = State { parameters, ..State::default() };
    let mut engine = engine::open(&experiment, &device, state, &masks)?;
    let dataset = experiment.load_data()?;
    let split = dataset.test_split();
    let seen = |seen| observer.evaluating("test", seen, split.len());
    Ok(evaluate(engine.as_mut(), split, experiment.config().train.batch_size, seen))
}

/// The parameters and masks of a run's final model, or of the checkpoint of this name.
///
/// # Errors
/// When the run has no final model yet, or no such checkpoint.
pub(crate) fn trained(
    run: &Path,
    experiment: &Experiment,
    checkpoint: Option<&str>,
) -> Result<(Vec<Weights>, MaskSet), Error> {
    match named(run, experiment, checkpoint)? {
        None => export::read(&folder::model(run), experiment),
        Some(name) => {
            let path = folder::checkpoints(run).join(name);
            let found = Checkpoint::load(&path, &export::shapes(experiment.network()))?;
            Ok(found.living())
        }
    }
}

/// The name of the checkpoint that is meant, `None` for the final model. [`DENSE`] means the state after the dense training
/// and before the first prune, which of a run that prunes nothing is the final model.
///
/// # Errors
/// When there is no such state.
pub(crate) fn named(run: &Path, experiment: &Experiment, checkpoint: Option<&str>) -> Result<Option<String>, Error> {
    let finished = folder::is_finished(run);
    let Some(name) = checkpoint else {
        if !finished {
            let why = "the run has not finished; resume it, or name a checkpoint with --checkpoint".into();
            return Err(Error::Run { path: folder::model(run), why });
        }
        return Ok(None);
    };
    if name == DENSE && experiment.plan().prunes() == 0 && finished {
        return Ok(None);
    }
    let path = folder::checkpoints(run);
    let known = checkpoint::list(&path)?;
    if name != DENSE {
        if known.iter().any(|own| own == name) {
            return Ok(Some(name.to_owned()));
        }
        let why = format!("no checkpoint of this name; there are {}", known.join(", "));
        return Err(Error::Run { path: path.join(name), why });
    }
    let dense = dense(experiment.plan());
    let is_dense = |name: &&String| checkpoint::stage(name).is_some_and(|stage| dense.contains(&stage));
    known.iter().rfind(is_dense).cloned().map(Some).ok_or_else(|| {
        let why = format!(
            "the dense network is not kept: there are {}, wanted one of stage {} to {}. `checkpoint.keep` in the config keeps \
             more of them, and a run with `--set prune.enabled=false` ends dense",
            known.join(", "),
            dense.start(),
            dense.end()
        );
        Error::Run { path, why }
    })
}

/// What is typed for a checkpoint to mean the network before the first prune.
const DENSE: &str = "dense";

/// The stages that a run can go on with whose network is dense and trained: from its test to the first prune, or to the end.
fn dense(plan: &Plan) -> RangeInclusive<usize> {
    let place = |is: fn(&Stage) -> bool| plan.stages.iter().position(|planned| is(&planned.stage));
    let tested = place(|stage| matches!(stage, Stage::Test(event::Stage::Dense) | Stage::Judge)).unwrap_or(0);
    tested..=place(|stage| matches!(stage, Stage::Prune(_))).unwrap_or(plan.stages.len())
}

fn manifest(experiment: &Experiment, device: &Device, dataset: &data::Dataset, facts: &Facts<'_>) -> Manifest {
    Manifest {
        v: 1,
        secateur: env!("CARGO_PKG_VERSION").into(),
        commit: facts.commit.map(str::to_owned),
        burn: "0.22.1".into(),
        platform: format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
        processor: device::processor(),
        threads: device::cores(),
        threads_used: Some(device::threads(experiment.config())),
        device: experiment.config().device.clone(),
        kernels: device.kernels(),
        dataset: dataset.name.clone(),
        files: manifest_files(dataset),
        trained_on: vec![],
        start: None,
        scores: None,
        command: facts.command.to_vec(),
    }
}

/// A file that a run reads besides its data.
pub(crate) fn input(file: Option<&Path>, sha256: Option<&String>) -> Option<ManifestStart> {
    Some(ManifestStart { file: file?.display().to_string(), sha256: sha256?.clone() })
}

pub(crate) fn manifest_files(dataset: &data::Dataset) -> Vec<ManifestFile> {
    let files = dataset.files.iter().map(|file| ManifestFile {
        file: file.file.clone(),
        sha256: file.sha256.clone(),
        published: file.known,
    });
    files.collect()
}
