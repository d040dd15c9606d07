//! `manifest.json`: what a run was made with, and the checksums that bind what it reads. The log's `session_started` binds it.

use super::RunFolder;
use crate::Error;
use crate::data::{Dataset, Description};
use crate::device::Kernels;
use crate::files::digest;
use crate::trained_on::TrainedOn;
use secateur_report::event::{Entry, Event, SessionStarted};
use secateur_report::regular;
use secateur_sparse::file::Scale;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, ErrorKind, Read};
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
    /// What the data is. Runs of earlier versions lack it: their data has MNIST's shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// By channel, what the network sees of a byte. Runs of earlier versions lack it: theirs see `b / 255 - 0.5`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scales: Vec<Scale>,
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
    /// SHA-256 of `config.toml`. Runs of earlier versions lack it, and are not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<String>,
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
/// When it cannot be read, is none, or was changed since the run began.
pub(crate) fn read_manifest(run: &Path) -> Result<Manifest, Error> {
    parse(run, &bytes(run)?)
}

/// What binds the texts of a run's folder, as far as its manifest tells.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Bound {
    /// SHA-256 of `experiment.toml`.
    pub(super) experiment_sha256: Option<String>,
    /// SHA-256 of `config.toml`.
    pub(super) config_sha256: Option<String>,
}

/// The SHA-256 that the manifest expects of the texts beside it; none where there is no manifest.
///
/// # Errors
/// When it cannot be read, is none, or was changed since the run began.
pub(super) fn bound(run: &Path) -> Result<Bound, Error> {
    match bytes(run) {
        Ok(bytes) => parse(run, &bytes),
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(Bound::default()),
        Err(error) => Err(error),
    }
}

/// SHA-256 of a run's manifest.
///
/// # Errors
/// When it cannot be read, or was changed since the run began.
pub(crate) fn manifest_sha256(run: &Path) -> Result<String, Error> {
    bytes(run).map(|bytes| digest(&bytes))
}

fn parse<T: DeserializeOwned>(run: &Path, bytes: &[u8]) -> Result<T, Error> {
    let no_manifest = |error| Error::Run { path: RunFolder::at(run).manifest(), why: format!("no manifest: {error}") };
    serde_json::from_slice(bytes).map_err(no_manifest)
}

/// The manifest as it stands there, compared with the checksum in the log.
fn bytes(run: &Path) -> Result<Vec<u8>, Error> {
    let folder = RunFolder::at(run);
    let path = folder.manifest();
    let bytes = regular::read(&path, 16 << 20).map_err(Error::io(&path, "read"))?;
    let Some(expected) = logged_sha256(&folder.log()) else { return Ok(bytes) };
    match digest(&bytes) {
        found if found == expected => Ok(bytes),
        found => {
            let why = format!(
                "was changed since the run began: expected SHA-256 {expected} as in the log, found {found}; put the original \
                 back, or start a new run"
            );
            Err(Error::Run { path, why })
        }
    }
}

/// Bytes of a log's line, at most.
const LONGEST_LINE: u64 = 16 << 20;

/// The SHA-256 of the manifest that the first session tells in the log which tells one; `None` for logs of earlier builds, and where
/// no log can be read, of which others complain. The manifest is never written again, so all sessions tell the same.
fn logged_sha256(log: &Path) -> Option<String> {
    const MARK: &[u8] = b"\"session_started\"";
    let mut lines = BufReader::new(regular::open(log).ok()?);
    let mut line = vec![];
    loop {
        line.clear();
        if (&mut lines).take(LONGEST_LINE).read_until(b'\n', &mut line).ok()? == 0 || !line.ends_with(b"\n") {
            return None;
        }
        if !line.windows(MARK.len()).any(|part| part == MARK) {
            continue;
        }
        if let Ok(Entry { event: Event::SessionStarted(SessionStarted { manifest_sha256: Some(told), .. }), .. }) =
            serde_json::from_slice(&line)
        {
            return Some(told);
        }
    }
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
            description: None,
            scales: vec![],
            trained_on: vec![],
            start: None,
            scores: None,
            forked_from: None,
            experiment_sha256: None,
            config_sha256: None,
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
