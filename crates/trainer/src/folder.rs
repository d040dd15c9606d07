//! A run's folder: what lies where, and that only one process works in it.
//!
//! ```text
//! runs/quickstart-1a2b3c4d-s1/
//!   config.toml        the config, as typed
//!   experiment.toml    the config with every default and override spelled out: what `resume` obeys
//!   manifest.json      versions, commit, device, dataset checksums
//!   log.jsonl          the run's events
//!   checkpoints/       the newest states
//!   kept/              networks that an accuracy budget may go back to, until the run ends
//!   report/            the page and its pictures
//!   run.lock           held by the process that works here
//!   model.safetensors  the final model, masks folded in
//! ```

use crate::config::ExperimentConfig;
use crate::device::Kernels;
use crate::files::{sync_folder, write_synced};
use crate::trained_on::TrainedOn;
use crate::{Error, Experiment};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// A run's folder, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    _lock: File,
}

/// What a run was made with, for people and for later versions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Version of this file's layout.
    pub v: u32,
    /// Version of Secateur.
    pub secateur: String,
    /// Commit that the program was built from, when it was known.
    pub commit: Option<String>,
    /// Version of burn.
    pub burn: String,
    /// Processor architecture and operating system.
    pub platform: String,
    /// The processor as the system calls it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<String>,
    /// Hardware threads.
    pub threads: usize,
    /// Threads that the run began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads_used: Option<usize>,
    /// The device that computes.
    pub device: String,
    /// What the device `cpu` chose; resuming obeys it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernels: Option<Kernels>,
    /// Name of the dataset.
    pub dataset: String,
    /// SHA-256 of each raw data file; empty for synthetic data.
    pub files: Vec<ManifestFile>,
    /// The splits whose training images the model has seen when the run ends: the run's own, and those of the models that it
    /// started from. Empty for synthetic data, and for runs of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trained_on: Vec<TrainedOn>,
    /// The file that the run started from, when it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<ManifestStart>,
    /// The file of scores that the run prunes by, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<ManifestStart>,
    /// The command that started the run.
    pub command: Vec<String>,
}

/// A file that a run reads besides its data, in a [`Manifest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ManifestStart {
    /// Its path, as the config has it.
    pub file: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// A data file in a [`Manifest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ManifestFile {
    /// Its name.
    pub file: String,
    /// SHA-256 of its raw bytes.
    pub sha256: String,
    /// Whether these are the bytes of a published dataset.
    pub published: bool,
}

impl RunFolder {
    /// Makes the folder `out/<run name>` with the config as typed and as meant, and the manifest. The folder appears
    /// whole or not at all.
    ///
    /// # Errors
    /// When it exists already, or cannot be written.
    pub(crate) fn create(out: &Path, experiment: &Experiment, typed: &str, manifest: &Manifest) -> Result<Self, Error> {
        let path = out.join(experiment.run_name());
        // `run` asked before it loaded the data; the rename below would replace an empty folder that came since.
        if path.exists() {
            return Err(Error::RunExists { path });
        }
        fs::create_dir_all(out).map_err(Error::io(out, "create"))?;
        let beside = out.join(format!(".{}-{}", experiment.run_name(), std::process::id()));
        let filled = Self::fill(&beside, experiment, typed, manifest).and_then(|()| match fs::rename(&beside, &path) {
            Ok(()) => sync_folder(out),
            Err(_) if path.exists() => Err(Error::RunExists { path: path.clone() }),
            Err(source) => Err(Error::Io { path: path.clone(), doing: "create", source }),
        });
        if filled.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_dir_all(&beside);
        }
        filled?;
        Self::open(&path)
    }

    fn fill(beside: &Path, experiment: &Experiment, typed: &str, manifest: &Manifest) -> Result<(), Error> {
        fs::create_dir_all(beside.join(CHECKPOINTS)).map_err(Error::io(beside, "create"))?;
        let manifest = serde_json::to_string_pretty(manifest).expect("a manifest is plain data") + "\n";
        write_synced(&beside.join("config.toml"), typed.as_bytes())?;
        write_synced(&beside.join(EXPERIMENT), experiment.config().to_toml().as_bytes())?;
        write_synced(&beside.join(MANIFEST), manifest.as_bytes())?;
        sync_folder(beside)
    }

    /// Opens an existing run's folder.
    ///
    /// # Errors
    /// When it is no run, or another process works in it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let experiment = path.join(EXPERIMENT);
        if !experiment.is_file() {
            return Err(no_run(path));
        }
        let lock_path = path.join("run.lock");
        let lock = File::create(&lock_path).map_err(Error::io(&lock_path, "create"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(Error::Io { path: lock_path, doing: "lock", source }),
        }
    }

    pub(crate) fn manifest(&self) -> Result<Manifest, Error> {
        read_manifest(&self.path)
    }

    pub(crate) fn log(&self) -> PathBuf {
        log(&self.path)
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        checkpoints(&self.path)
    }

    pub(crate) fn model(&self) -> PathBuf {
        model(&self.path)
    }

    pub(crate) fn kept(&self) -> PathBuf {
        self.path.join("kept")
    }
}

const CHECKPOINTS: &str = "checkpoints";
const EXPERIMENT: &str = "experiment.toml";

/// A run's log.
pub(crate) fn log(run: &Path) -> PathBuf {
    run.join("log.jsonl")
}

/// Where a run keeps its checkpoints.
pub(crate) fn checkpoints(run: &Path) -> PathBuf {
    run.join(CHECKPOINTS)
}

/// Where a run leaves its final model.
pub(crate) fn model(run: &Path) -> PathBuf {
    run.join("model.safetensors")
}

/// Whether the run of this folder has come to its end.
pub fn is_finished(run: &Path) -> bool {
    model(run).exists()
}

/// Reads the experiment of a run's folder, as `resume` obeys it.
///
/// # Errors
/// When the folder is no run, or its experiment makes no sense any more.
pub(crate) fn read_experiment(run: &Path) -> Result<Experiment, Error> {
    Experiment::new(read_config(run)?)
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
    Ok(config)
}

/// The text of that experiment, and its path.
///
/// # Errors
/// When the folder is no run.
pub(crate) fn experiment_text(run: &Path) -> Result<(String, String), Error> {
    let path = run.join(EXPERIMENT);
    let text = fs::read_to_string(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => no_run(run),
        _ => Error::Io { path: path.clone(), doing: "read", source },
    })?;
    Ok((path.display().to_string(), text))
}

fn no_run(path: &Path) -> Error {
    let why = format!("no run here: found no {EXPERIMENT}, wanted a folder that `secateur run` made");
    Error::Run { path: path.to_owned(), why }
}

/// Checks that a run goes on with the data that its manifest says it was started with.
///
/// # Errors
/// When a data file has another checksum.
pub(crate) fn check_data(run: &Path, manifest: &Manifest, files: &[ManifestFile]) -> Result<(), Error> {
    let path = run.join(MANIFEST);
    let checksum = |file: Option<&ManifestFile>| file.map_or("nothing".to_owned(), |file| file.sha256.clone());
    for wanted in &manifest.files {
        let found = files.iter().find(|found| found.file == wanted.file);
        if found.is_none_or(|found| found.sha256 != wanted.sha256) {
            let (file, found, wanted) = (&wanted.file, checksum(found), &wanted.sha256);
            let why = format!("the run was started with other data: `{file}` had SHA-256 {wanted}, found {found}");
            return Err(Error::Run { path, why });
        }
    }
    Ok(())
}

const MANIFEST: &str = "manifest.json";

/// What a run's folder says of its origin.
///
/// # Errors
/// When it cannot be read, or is none.
pub(crate) fn read_manifest(run: &Path) -> Result<Manifest, Error> {
    let path = run.join(MANIFEST);
    let bytes = fs::read(&path).map_err(Error::io(&path, "read"))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Run { path, why: format!("no manifest: {error}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_with_its_own_data_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |sha256: &str| ManifestFile { file: "labels".into(), sha256: sha256.into(), published: true };
        let manifest = Manifest {
            v: 1,
            secateur: "0".into(),
            commit: None,
            burn: "0".into(),
            platform: "p".into(),
            processor: None,
            threads_used: None,
            threads: 1,
            device: "cpu".into(),
            kernels: None,
            dataset: "mnist".into(),
            files: vec![file("aa")],
            trained_on: vec![],
            start: None,
            scores: None,
            command: vec![],
        };
        let text = serde_json::to_string(&manifest).expect("plain data");
        fs::write(folder.path().join(MANIFEST), text).expect("written");
        let check = |files: &[ManifestFile]| check_data(folder.path(), &read_manifest(folder.path())?, files);
        check(&[file("aa")]).expect("the same");
        let error = check(&[file("bb")]).expect_err("other data").to_string();
        assert!(error.contains("`labels` had SHA-256 aa, found bb"), "{error}");
        assert!(check(&[]).expect_err("no data").to_string().contains("found nothing"));
    }
}
