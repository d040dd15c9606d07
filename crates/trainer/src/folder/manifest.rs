//! `manifest.json`: what a run was made with, and the checksums that bind what it reads.

use super::RunFolder;
use crate::Error;
use crate::data::Dataset;
use crate::device::Kernels;
use crate::trained_on::TrainedOn;
use secateur_report::regular;
use serde::{Deserialize, Serialize};
use std::path::Path;

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
    /// Folder of the data files, as it was found; `None` for synthetic data, and for runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
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
    /// The shared dense training that the run goes on from, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<ForkedFrom>,
    /// SHA-256 of `experiment.toml`. Runs of earlier versions lack it, and are not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment_sha256: Option<String>,
    /// The command that started the run.
    pub command: Vec<String>,
}

/// The run whose dense training another one goes on from, in a [`Manifest`]: data, device and kernels are its own, too.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ForkedFrom {
    /// Name of its folder.
    pub run: String,
    /// Commit of the program that trained it, when it was known.
    pub commit: Option<String>,
    /// The processor that trained it, when it was known.
    pub processor: Option<String>,
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

/// Checks that data is the data that a run's manifest says it was started with.
///
/// # Errors
/// When a data file has another checksum, or there are others.
pub(crate) fn check_data(run: &Path, manifest: &Manifest, files: &[ManifestFile]) -> Result<(), Error> {
    let refuse = |what: String| {
        let why = format!("found other data than the run was started with: {what}");
        Error::Run { path: RunFolder::at(run).manifest(), why }
    };
    let checksum = |file: Option<&ManifestFile>| file.map_or("nothing".to_owned(), |file| file.sha256.clone());
    for expected in &manifest.files {
        let found = files.iter().find(|found| found.file == expected.file);
        if found.is_none_or(|found| found.sha256 != expected.sha256) {
            let (file, found, expected) = (&expected.file, checksum(found), &expected.sha256);
            return Err(refuse(format!("expected `{file}` with SHA-256 {expected}, found {found}")));
        }
    }
    match files.iter().find(|found| manifest.files.iter().all(|expected| expected.file != found.file)) {
        Some(found) => {
            Err(refuse(format!("expected the data set `{}`, found the file `{}`", manifest.dataset, found.file)))
        }
        None => Ok(()),
    }
}

/// What a manifest says of the files of a data set.
pub(crate) fn files(dataset: &Dataset) -> Vec<ManifestFile> {
    let files = dataset.files.iter().map(|file| ManifestFile {
        file: file.file.clone(),
        sha256: file.sha256.clone(),
        published: file.known,
    });
    files.collect()
}

/// What a run's folder says of its origin.
///
/// # Errors
/// When it cannot be read, or is none.
pub(crate) fn read_manifest(run: &Path) -> Result<Manifest, Error> {
    let path = RunFolder::at(run).manifest();
    let bytes = regular::read(&path, 16 << 20).map_err(Error::io(&path, "read"))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Run { path, why: format!("no manifest: {error}") })
}

/// The SHA-256 that the manifest expects of `experiment.toml`; `None` where there is no manifest, or one that does not say.
///
/// # Errors
/// When it cannot be read, or is none.
pub(super) fn experiment_sha256(run: &Path) -> Result<Option<String>, Error> {
    /// As much as this asks of a manifest.
    #[derive(Deserialize)]
    struct Bound {
        experiment_sha256: Option<String>,
    }
    let path = RunFolder::at(run).manifest();
    let bytes = match regular::read(&path, 16 << 20) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Io { path, doing: "read", source }),
    };
    let bound: Bound =
        serde_json::from_slice(&bytes).map_err(|error| Error::Run { path, why: format!("no manifest: {error}") })?;
    Ok(bound.experiment_sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

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
            data: None,
            files: vec![file("aa")],
            trained_on: vec![],
            start: None,
            scores: None,
            forked_from: None,
            experiment_sha256: None,
            command: vec![],
        };
        let text = serde_json::to_string(&manifest).expect("plain data");
        fs::write(folder.path().join("manifest.json"), text).expect("written");
        let check = |files: &[ManifestFile]| check_data(folder.path(), &read_manifest(folder.path())?, files);
        check(&[file("aa")]).expect("the same");
        let error = check(&[file("bb")]).expect_err("other data").to_string();
        assert!(error.contains("expected `labels` with SHA-256 aa, found bb"), "{error}");
        assert!(check(&[]).expect_err("no data").to_string().contains("found nothing"));
        let more = ManifestFile { file: "more".into(), ..file("cc") };
        let error = check(&[file("aa"), more]).expect_err("more data").to_string();
        assert!(error.contains("expected the data set `mnist`, found the file `more`"), "{error}");
    }
}
