//! A run's folder: what lies where, in which state it is, and that only one process works in it. Whoever asks about a run's
//! folder asks here.
//!
//! ```text
//! runs/quickstart-1a2b3c4d-s1/
//!   config.toml        the config, as typed
//!   experiment.toml    the config with every default and override spelled out: what `resume` obeys
//!   manifest.json      versions, commit, device, checksums of config.toml, experiment.toml and the data
//!   log.jsonl          the run's events, with the checksum of the manifest; the last line of a finished one holds the checksums of the log and the model
//!   run.saved          the name of the first checkpoint: that there has been one
//!   checkpoints/       the newest states, each with the checksums of its files and of the log up to it
//!   dense/             the parameters before the first prune
//!   kept/              networks that an accuracy budget may go back to, until the run ends
//!   report/            the page and its pictures
//!   run.lock           held by the process that works here
//!   model.safetensors  the final model, masks folded in
//!   source.secateur    the model that the run started with, where its config names a file
//! ```

mod locked;
mod manifest;
mod state;

pub(crate) use locked::LockedRun;
pub(crate) use manifest::{ForkedFrom, Manifest, ManifestStart, check_data, files, manifest_sha256, read_manifest};
pub use state::RunState;
pub(crate) use state::{End, is_missing};

use crate::config::ExperimentConfig;
use crate::data::Description;
use crate::files::digest;
use crate::{Error, Experiment, ModelConfig};
use secateur_report::regular;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const CONFIG: &str = "config.toml";
const EXPERIMENT: &str = "experiment.toml";
const MANIFEST: &str = "manifest.json";
const LOG: &str = "log.jsonl";

/// What lies where in a run's folder. Nothing is opened or locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// What a run's folder has, from its first moment or its last.
    pub const MARKS: [&str; 4] = [LOG, EXPERIMENT, MANIFEST, CONFIG];

    /// The folder at this path, whether there is a run or not.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is the folder of a run.
    pub fn is_run(&self) -> bool {
        self.experiment().is_file()
    }

    /// The config, as typed.
    pub fn config(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// The config with every default and override spelled out.
    pub fn experiment(&self) -> PathBuf {
        self.path.join(EXPERIMENT)
    }

    /// What the run was made with.
    pub fn manifest(&self) -> PathBuf {
        self.path.join(MANIFEST)
    }

    /// The log.
    pub fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// The checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// The final model.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// The model that the run started with, where its config names a file.
    pub(crate) fn source(&self) -> PathBuf {
        self.path.join("source.secateur")
    }

    /// The parameters before the first prune, as a checkpoint.
    pub(crate) fn dense(&self) -> PathBuf {
        self.path.join("dense")
    }

    /// Networks that an accuracy budget may go back to.
    pub(crate) fn kept(&self) -> PathBuf {
        self.path.join("kept")
    }

    /// The lasting mark of the first checkpoint.
    fn saved_mark(&self) -> PathBuf {
        self.path.join("run.saved")
    }

    fn lock(&self) -> PathBuf {
        self.path.join("run.lock")
    }
}

/// Whether the run of this folder has come to its end, and its final model is there as the log says.
pub fn is_finished(run: &Path) -> bool {
    RunFolder::at(run).state() == RunState::Finished
}

/// Reads the experiment of a run's folder, as `resume` obeys it.
///
/// # Errors
/// When the folder is no run, or its experiment makes no sense any more.
pub(crate) fn read_experiment(run: &Path) -> Result<Experiment, Error> {
    let config = read_config(run)?;
    let data = read_description(run, &config);
    Experiment::on_data(config, data)
}

/// What the run's data is, as its manifest tells.
pub(crate) fn read_description(run: &Path, config: &ExperimentConfig) -> Description {
    let told = read_manifest(run).ok().and_then(|manifest| manifest.description);
    told.unwrap_or_else(|| Description::of_earlier_versions(&config.data))
}

/// The config of that experiment.
///
/// # Errors
/// When the folder is no run, or its config cannot be read any more.
pub(crate) fn read_config(run: &Path) -> Result<ExperimentConfig, Error> {
    let (place, text) = experiment_text(run)?;
    let mut config = ExperimentConfig::parse(&place, &text, &[])?;
    // Every default is spelled out here. Before the split had a seed of its own, the run's seed divided the images.
    let spelled = text.lines().any(|line| line.starts_with("split_seed"));
    if !spelled {
        config.data.split_seed = config.seed;
    }
    // The program may run elsewhere now; where the data lay then is the first place to look.
    if !config.data.dir.exists()
        && let Some(data) = read_manifest(run).ok().and_then(|manifest| manifest.data)
        && Path::new(&data).exists()
    {
        config.data.dir = data.into();
    }
    config.locate_data(Path::new(&place));
    // What the config names may have been moved or changed since; the run has its own copy.
    let source = RunFolder::at(run).source();
    if let ModelConfig::File { path, .. } = &mut config.model
        && source.exists()
    {
        *path = source;
    }
    Ok(config)
}

/// The text of that experiment, and its path. The manifest is compared with the log, and it and `config.toml` with the manifest.
///
/// # Errors
/// When the folder is no run, or one of the three was changed since the run began.
pub(crate) fn experiment_text(run: &Path) -> Result<(String, String), Error> {
    let folder = RunFolder::at(run);
    let path = folder.experiment();
    let read = |path: &Path| regular::read_text(path, 16 << 20);
    let text = read(&path).map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => no_run(run),
        _ => Error::Io { path: path.clone(), doing: "read", source },
    })?;
    let bound = manifest::bound(run)?;
    check_text(&path, &text, bound.experiment_sha256)?;
    match read(&folder.config()) {
        Ok(typed) => check_text(&folder.config(), &typed, bound.config_sha256)?,
        // Nothing is computed from it: without it, nobody is told how the config was typed.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(Error::Io { path: folder.config(), doing: "read", source }),
    }
    Ok((path.display().to_string(), text))
}

/// Compares a text of a run's folder with what the manifest says it was, where that says it.
fn check_text(path: &Path, text: &str, expected: Option<String>) -> Result<(), Error> {
    let (found, Some(expected)) = (digest(text.as_bytes()), expected) else { return Ok(()) };
    if found == expected {
        return Ok(());
    }
    let why = format!(
        "was changed since the run began: expected SHA-256 {expected} as in {MANIFEST}, found {found}; put the original \
         back, or start a new run from the changed one with `secateur run {}`",
        path.display()
    );
    Err(Error::Run { path: path.to_owned(), why })
}

fn no_run(path: &Path) -> Error {
    let why = format!("no run here: found no {EXPERIMENT}, expected a folder that `secateur run` made");
    Error::Run { path: path.to_owned(), why }
}
