//! The verbs on a run: start it, resume it, test what it left.

use crate::checkpoint::{self, Checkpoint};
use crate::device::Device;
use crate::evaluate::evaluate;
use crate::files::{digest_of, write_atomically};
use crate::folder::{self, End, LockedRun, Manifest, ManifestStart, RunFolder, read_experiment};
use crate::observer::Observer;
use crate::session::{Outcome, Session, Surroundings};
use crate::state::{State, Weights};
use crate::trained_on::TrainedOn;
use crate::{
    Error, Experiment, ExperimentConfig, data, device, engine, export, memory, scores, start, teacher, trained_on,
};
use secateur_pruner::{MaskSet, Saliency};
use secateur_report::event::{RunEnded, Score};
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
    LockedRun::refuse_existing(&path)?;
    experiment.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    let device = device::open(experiment.config(), None)?;
    let Inputs { mut dataset, start: start_sha256, trained_on, scores } = inputs(experiment)?;
    teacher::label(experiment, Some(&device), &mut dataset, observer)?;
    let scores_sha256 = scores.as_ref().map(|(_, sha256)| sha256);
    let manifest = Manifest {
        trained_on,
        start: input(start::path(experiment.config()), start_sha256.as_ref()),
        scores: input(scores::path(experiment), scores_sha256),
        ..manifest(experiment, &device, &dataset, &facts)
    };
    let folder = LockedRun::create(out, experiment, facts.typed, manifest, |_| Ok(()))?;
    let (dataset, start, commit) = (&dataset, start_sha256.as_deref(), facts.commit);
    let around = Surroundings { experiment, dataset, device, commit, start, scores, observer, stop };
    Ok((path, Session::open(folder, around)?.walk()?))
}

/// What a run reads before its folder is made.
struct Inputs {
    dataset: data::Dataset,
    /// SHA-256 of the file to start from.
    start: Option<String>,
    /// The splits that the run's model will have been trained on.
    trained_on: Vec<TrainedOn>,
    /// Scores with the SHA-256 of their file.
    scores: Option<(Saliency, String)>,
}

fn inputs(experiment: &Experiment) -> Result<Inputs, Error> {
    if experiment.config().device == device::OWN {
        memory::check(experiment.graph(), experiment.config().train.batch_size, experiment.images().train as usize)?;
    }
    let dataset = experiment.read_data()?;
    let start = start::read(experiment, None)?.map(|start| start.sha256);
    let trained_on = trained_on::with_start(experiment, &dataset)?;
    let scores = scores::read(experiment, None)?;
    Ok(Inputs { dataset, start, trained_on, scores })
}

/// Checks everything that a run of `experiment` reads before it makes its folder, and makes nothing.
///
/// # Errors
/// Those of [`run`]: the device is not there, the data cannot be loaded, or a file to start from does not fit.
pub fn check_inputs(experiment: &Experiment) -> Result<(), Error> {
    device::check(experiment.config())?;
    inputs(experiment).map(drop)
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

/// How a run is resumed.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResumeOptions<'a> {
    /// Begin anew, whatever was trained: checkpoints, log and model are removed once everything else has been checked.
    pub restart: bool,
    /// Commit that the program was built from, when known.
    pub commit: Option<&'a str>,
}

/// Goes on with the run in `path` as if it had never stopped; `device` and `data` replace the ones it was started with. Of a run
/// that has come to its end at most its final model is restored.
///
/// # Errors
/// When it is no run, its config was changed, another process works on it, or it fails on the way.
pub fn resume(
    path: &Path,
    place: Place<'_>,
    options: ResumeOptions<'_>,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Outcome, Error> {
    let experiment = place.apply(read_experiment(path)?)?;
    let folder = LockedRun::open(path)?;
    let manifest = folder::read_manifest(path)?;
    if !options.restart {
        match folder.end()? {
            End::Open => {}
            End::Finished => return Ok(Outcome::FinishedBefore { model: folder.model() }),
            End::OtherModel { expected, .. } => return restore_model(&folder, &experiment, &manifest, &expected),
        }
    }
    warn_of_another_place(&manifest, &experiment, options.commit);
    let device = device::open(experiment.config(), manifest.kernels.as_ref())?;
    let dataset = experiment.load_data_on(&device, observer)?;
    folder::check_data(path, &manifest, &folder::files(&dataset))?;
    let start = manifest.start.as_ref().map(|start| start.sha256.as_str());
    let scores = scores::read(&experiment, manifest.scores.as_ref().map(|scores| scores.sha256.as_str()))?;
    let commit = options.commit;
    let around =
        Surroundings { experiment: &experiment, dataset: &dataset, device, commit, start, scores, observer, stop };
    match options.restart {
        true => Session::restart(folder, around)?.walk(),
        false => Session::open(folder, around)?.walk(),
    }
}

/// Says when a run goes on by another program or on another device than it began.
fn warn_of_another_place(manifest: &Manifest, experiment: &Experiment, commit: Option<&str>) {
    const MAY_DIFFER: &str = "its bytes may differ from those of an undisturbed run; the log names both";
    let device = &experiment.config().device;
    if *device != manifest.device {
        tracing::warn!("the run began on the device {}, it goes on with {device}: {MAY_DIFFER}", manifest.device);
    }
    if let (Some(began), Some(now)) = (manifest.commit.as_deref(), commit)
        && began != now
    {
        tracing::warn!("the run began with commit {began} of Secateur, it goes on with {now}: {MAY_DIFFER}");
    }
    if manifest.experiment_sha256.is_none() {
        tracing::warn!("an earlier version made this run: its experiment.toml is not checked");
    }
}

/// Writes the final model anew from the checkpoint that it came from.
///
/// # Errors
/// When no checkpoint leads to the model that the log names; then nothing has changed.
fn restore_model(
    folder: &LockedRun,
    experiment: &Experiment,
    manifest: &Manifest,
    expected: &RunEnded,
) -> Result<Outcome, Error> {
    let (shapes, model) = (export::shapes(experiment.graph()), folder.model());
    for name in checkpoint::list(&folder.checkpoints())?.iter().rev() {
        let Ok(found) = Checkpoint::load(&folder.checkpoints().join(name), &shapes) else { continue };
        let (parameters, masks) = found.living();
        let notes = export::model_notes(experiment, manifest);
        let fill = |out: &mut dyn std::io::Write| export::write(&parameters, &masks, &notes, out);
        let same = digest_of(fill).is_ok_and(|written| written.sha256 == expected.model_sha256);
        if same {
            write_atomically(&model, fill)?;
            return Ok(Outcome::Restored { model, checkpoint: name.clone() });
        }
    }
    let why = format!(
        "the final model is gone or was changed, and no checkpoint leads to the one with SHA-256 {} that the log names; put it \
         back, or train anew and lose log and model with `secateur resume {} --restart`",
        expected.model_sha256,
        folder.path().display()
    );
    Err(Error::Run { path: model, why })
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
    /// The experiment at this place.
    ///
    /// # Errors
    /// When a data folder is named for images that lie in none, or the experiment makes no sense there.
    pub(crate) fn apply(self, experiment: Experiment) -> Result<Experiment, Error> {
        if self.data.is_some() && experiment.config().data.source.is_drawn() {
            let why =
                "expected no data folder, since the run's images are synthetic: its config tells how they are drawn";
            return Err(Error::Meaning { key: "--data", why: why.into() });
        }
        Experiment::on_data(self.config(experiment.config().clone()), experiment.data().clone())
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

/// What is asked of a run's test split.
#[derive(Clone, Copy, Debug, Default)]
pub struct TestRequest<'a> {
    /// A checkpoint's name, or `dense` for the network before the first prune; `None` for the final model.
    pub checkpoint: Option<&'a str>,
    /// Another data set than the run's own is meant.
    pub other_data: bool,
}

/// The score on the test split of the run's final model, or of a checkpoint, and the data set's name.
///
/// # Errors
/// When the run has no final model yet, or no such checkpoint, or the data is not the run's own.
pub fn test(
    run: &Path,
    asked: TestRequest<'_>,
    place: Place<'_>,
    observer: &mut dyn Observer,
) -> Result<(Score, String), Error> {
    let experiment = place.apply(read_experiment(run)?)?;
    let device = device::open(experiment.config(), None)?;
    let checkpoint = named(run, &experiment, asked.checkpoint)?;
    let (parameters, masks) = trained(run, &experiment, checkpoint.as_deref())?;
    let state = State::fresh(parameters, &masks, experiment.has_shadows());
    let mut engine = engine::open(&experiment, &device, state, &masks)?;
    let dataset = experiment.load_data_on(&device, observer)?;
    own_data(run, &dataset, asked.other_data)?;
    let split = dataset.test_split();
    let seen = |seen| observer.evaluating("test", seen, split.len());
    let score = evaluate(engine.as_mut(), split, experiment.config().train.batch_size, seen);
    Ok((score, dataset.name.clone()))
}

/// Checks that data is what the run was started with, unless other data is meant.
///
/// # Errors
/// When it is other data.
pub(crate) fn own_data(run: &Path, dataset: &data::Dataset, other_data: bool) -> Result<(), Error> {
    if other_data {
        return Ok(());
    }
    folder::check_data(run, &folder::read_manifest(run)?, &folder::files(dataset)).map_err(|error| match error {
        Error::Run { path, why } => {
            Error::Run { path, why: format!("{why}; another data set on purpose takes --other-data") }
        }
        other => other,
    })
}

/// The parameters and masks of a run's final model, or of the checkpoint of this name, which [`named`] has found.
///
/// # Errors
/// When it cannot be read, is damaged, or holds what is no number.
pub(crate) fn trained(
    run: &Path,
    experiment: &Experiment,
    checkpoint: Option<&str>,
) -> Result<(Vec<Weights>, MaskSet), Error> {
    let folder = RunFolder::at(run);
    match checkpoint {
        None => final_model(&folder, experiment),
        Some(name) => {
            let dense = folder.dense().join(name);
            let path = if dense.is_dir() { dense } else { folder.checkpoints().join(name) };
            let (parameters, masks) = Checkpoint::load(&path, &export::shapes(experiment.graph()))?.living();
            export::check_finite(&path, &parameters)?;
            Ok((parameters, masks))
        }
    }
}

/// The final model of a run, which has to be the one that the log names.
///
/// # Errors
/// When the run has not finished, or the model is another one or holds what is no number.
pub(crate) fn final_model(folder: &RunFolder, experiment: &Experiment) -> Result<(Vec<Weights>, MaskSet), Error> {
    let refuse = |why: &str| Err(Error::Run { path: folder.model(), why: why.into() });
    match folder.end()? {
        End::Finished => export::read(&folder.model(), experiment),
        End::Open => refuse("the run has not finished; resume it, or name a checkpoint with --checkpoint"),
        End::OtherModel { found: None, .. } => {
            refuse("found no final model, expected the one that the run left; `secateur resume` restores it")
        }
        End::OtherModel { expected, found: Some(found) } => Err(folder.other_model(&expected, &found)),
    }
}

/// The name of the checkpoint that is meant, `None` for the final model. [`DENSE`] means the state after the dense training
/// and before the first prune, which of a run that prunes nothing is the final model.
///
/// # Errors
/// When there is no such state.
pub(crate) fn named(run: &Path, experiment: &Experiment, checkpoint: Option<&str>) -> Result<Option<String>, Error> {
    let folder = RunFolder::at(run);
    let Some(name) = checkpoint else { return Ok(None) };
    if name == DENSE && experiment.plan().prunes() == 0 {
        return Ok(None);
    }
    let kept = if folder.dense().is_dir() { checkpoint::list(&folder.dense())? } else { vec![] };
    let path = folder.checkpoints();
    let known = checkpoint::list(&path)?;
    if name != DENSE {
        if kept.iter().chain(&known).any(|own| own == name) {
            return Ok(Some(name.to_owned()));
        }
        let why = format!("no checkpoint of this name; there are {}", known.join(", "));
        return Err(Error::Run { path: path.join(name), why });
    }
    let dense = experiment.plan().dense();
    let is_dense = |name: &&String| checkpoint::stage(name).is_some_and(|stage| dense.contains(&stage));
    kept.last().or_else(|| known.iter().rfind(is_dense)).cloned().map(Some).ok_or_else(|| {
        let why = format!(
            "the dense network is not there: the run has not come to the end of its dense training, or an earlier version made \
             it. Found {}, expected one of stage {} to {}; a run with `--set prune.enabled=false` ends dense",
            known.join(", "),
            dense.start(),
            dense.end()
        );
        Error::Run { path, why }
    })
}

/// What is typed for a checkpoint to mean the network before the first prune.
pub(crate) const DENSE: &str = "dense";

fn manifest(experiment: &Experiment, device: &Device, dataset: &data::Dataset, facts: &Facts<'_>) -> Manifest {
    Manifest {
        v: 1,
        secateur: env!("CARGO_PKG_VERSION").into(),
        commit: facts.commit.map(str::to_owned),
        burn: "0.22.1".into(),
        platform: device::platform(),
        processor: device::processor(),
        threads: device::cores(),
        threads_used: Some(device::threads(experiment.config())),
        device: experiment.config().device.clone(),
        kernels: device.kernels(),
        dataset: dataset.name.clone(),
        data: experiment.data_folder(),
        files: folder::files(dataset),
        description: Some(experiment.data().clone()),
        scales: dataset.scales.clone(),
        trained_on: vec![],
        start: None,
        scores: None,
        forked_from: None,
        experiment_sha256: None,
        config_sha256: None,
        command: facts.command.to_vec(),
    }
}

/// A file that a run reads besides its data.
pub(crate) fn input(file: Option<&Path>, sha256: Option<&String>) -> Option<ManifestStart> {
    Some(ManifestStart { file: file?.display().to_string(), sha256: sha256?.clone() })
}
