//! A run's folder that this process alone works in, and how one comes into being.

use super::{Manifest, RunFolder, no_run};
use crate::checkpoint::DAMAGED;
use crate::files::{digest, sync_folder, write_atomically, write_synced};
use crate::{Error, Experiment};
use secateur_report::regular;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// A run's folder, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct LockedRun {
    folder: RunFolder,
    /// The folder itself: while it is open no other one can be mistaken for it.
    own: File,
    _lock: File,
}

/// Whoever asks for a run's state holds its lock for an instant.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(10);

impl Deref for LockedRun {
    type Target = RunFolder;

    fn deref(&self) -> &RunFolder {
        &self.folder
    }
}

impl LockedRun {
    /// Makes the folder `out/<run name>` with the config as typed and as meant, the manifest, and what `more` adds. The folder
    /// appears whole or not at all, and is locked from its first moment.
    ///
    /// # Errors
    /// When it exists already, or cannot be written.
    pub(crate) fn create(
        out: &Path,
        experiment: &Experiment,
        typed: &str,
        manifest: Manifest,
        more: impl FnOnce(&RunFolder) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let name = experiment.run_name();
        let folder = RunFolder::at(out.join(&name));
        // `run` asked before it loaded the data; the rename below would replace an empty folder that came since.
        refuse_existing(folder.path())?;
        fs::create_dir_all(out).map_err(Error::io(out, "create"))?;
        clear_beside(out);
        let beside = RunFolder::at(out.join(format!(".{name}-{}", std::process::id())));
        let filled = fill(&beside, experiment, typed, manifest).and_then(|lock| {
            more(&beside)?;
            sync_folder(beside.path())?;
            match fs::rename(beside.path(), folder.path()) {
                Ok(()) => sync_folder(out)?,
                Err(source) => {
                    refuse_existing(folder.path())?;
                    return Err(Error::Io { path: folder.path().to_owned(), doing: "create", source });
                }
            }
            Ok(lock)
        });
        if filled.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_dir_all(beside.path());
        }
        let lock = filled?;
        let own = File::open(folder.path()).map_err(Error::io(folder.path(), "open"))?;
        Ok(Self { folder, own, _lock: lock })
    }

    /// Refuses to make a run where something is already.
    ///
    /// # Errors
    /// When there is a run, or something else.
    pub(crate) fn refuse_existing(path: &Path) -> Result<(), Error> {
        refuse_existing(path)
    }

    /// Opens an existing run's folder, and clears what killed processes left half written in it or beside it.
    ///
    /// # Errors
    /// When it is no run, or another process works in it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let folder = RunFolder::at(path);
        if !folder.is_run() {
            return Err(no_run(path));
        }
        let own = File::open(path).map_err(Error::io(path, "open"))?;
        let lock = locked(&folder)?.ok_or_else(|| Error::Locked { path: path.to_owned() })?;
        let run = Self { folder, own, _lock: lock };
        run.clear();
        Ok(run)
    }

    /// Notes for good that the run has saved a checkpoint, the first of them by its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn mark_saved(&self, checkpoint: &str) -> Result<(), Error> {
        let path = self.saved_mark();
        if path.exists() {
            return Ok(());
        }
        write_atomically(&path, |out| writeln!(out, "{checkpoint}")).map(drop)
    }

    /// What says that the run has saved a checkpoint, in words; `None` where nothing does.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) fn saved(&self) -> Result<Option<String>, Error> {
        let (mark, checkpoints) = (self.saved_mark(), self.checkpoints());
        if mark.exists() {
            let name = fs::read_to_string(&mark).unwrap_or_default();
            return Ok(Some(format!("the run has saved some, the first one as {}", name.trim())));
        }
        let entries = match fs::read_dir(&checkpoints) {
            Ok(entries) => entries,
            // A run is made with this folder.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Some("their folder is gone".to_owned()));
            }
            Err(source) => return Err(Error::Io { path: checkpoints, doing: "read", source }),
        };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let damaged = names.filter(|name| name.ends_with(DAMAGED)).max();
        Ok(damaged.map(|name| format!("there is the damaged one {name}")))
    }

    /// Whether the folder is still where it was when it was opened: what is written below its path would otherwise be a new
    /// folder, or somebody else's.
    ///
    /// # Errors
    /// When it was removed or moved.
    pub(crate) fn still_here(&self) -> Result<(), Error> {
        let id = |facts: &fs::Metadata| (facts.dev(), facts.ino());
        let path = self.path();
        let own = self.own.metadata().map_err(Error::io(path, "read"))?;
        match fs::metadata(path) {
            Ok(found) if id(&found) == id(&own) => Ok(()),
            _ => Err(self.removed()),
        }
    }

    /// What to tell of an error: that the folder is not there any more, where that is why, or a file in it is not there that
    /// this process has just written, since somebody is removing all of them.
    pub(crate) fn cause(&self, error: Error) -> Error {
        match (self.still_here(), error) {
            (Err(removed), _) => removed,
            (Ok(()), Error::Io { path, source, .. })
                if source.kind() == std::io::ErrorKind::NotFound && path.starts_with(self.path()) =>
            {
                self.removed()
            }
            (Ok(()), error) => error,
        }
    }

    fn removed(&self) -> Error {
        let why = "the run's folder was removed or moved while the run was going; it stops here, and writes nothing more. A \
                   folder that was moved can be resumed where it is now";
        Error::Run { path: self.path().to_owned(), why: why.into() }
    }

    /// Removes what the run has trained and told so far, so that it begins anew.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub(crate) fn restart(&self) -> Result<(), Error> {
        // Log and mark go last: without checkpoints they say that the run cannot go on, should this be cut short.
        for folder in [self.checkpoints(), self.dense(), self.kept()] {
            if folder.exists() {
                fs::remove_dir_all(&folder).map_err(Error::io(&folder, "remove"))?;
            }
        }
        for file in [self.model(), self.log(), self.saved_mark()] {
            if file.exists() {
                fs::remove_file(&file).map_err(Error::io(&file, "remove"))?;
            }
        }
        fs::create_dir(self.checkpoints()).map_err(Error::io(&self.checkpoints(), "create"))?;
        sync_folder(self.path())
    }

    /// Removes what a killed process left half written. What cannot be removed harms nobody.
    fn clear(&self) {
        for folder in [self.checkpoints(), self.dense(), self.kept()] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with(".stage-") && name.ends_with(".tmp") {
                    let _ = fs::remove_dir_all(entry.path());
                }
            }
        }
        let _ = fs::remove_dir_all(self.path().join("dense.tmp"));
        let _ = fs::remove_file(self.path().join("model.safetensors.tmp"));
        if let Some(out) = self.path().parent() {
            clear_beside(if out.as_os_str().is_empty() { Path::new(".") } else { out });
        }
    }
}

/// The lock of a folder, which is made where it is missing; `None` when another process holds it.
fn locked(folder: &RunFolder) -> Result<Option<File>, Error> {
    let path = folder.lock();
    let lock = regular::create(&path).map_err(Error::io(&path, "create"))?;
    for attempt in 0..TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(Some(lock)),
            Err(TryLockError::WouldBlock) if attempt + 1 < TRIES => std::thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(source)) => return Err(Error::Io { path, doing: "lock", source }),
        }
    }
    Ok(None)
}

/// Makes the folder that becomes a run's by a rename, and locks it before anything else.
fn fill(beside: &RunFolder, experiment: &Experiment, typed: &str, manifest: Manifest) -> Result<File, Error> {
    let lock = claimed(beside)?;
    fs::create_dir(beside.checkpoints()).map_err(Error::io(&beside.checkpoints(), "create"))?;
    let meant = experiment.config().to_toml();
    let manifest = Manifest {
        experiment_sha256: Some(digest(meant.as_bytes())),
        config_sha256: Some(digest(typed.as_bytes())),
        ..manifest
    };
    let manifest = serde_json::to_string_pretty(&manifest).expect("a manifest is plain data") + "\n";
    if let Some(source) = experiment.source() {
        write_synced(&beside.source(), source.bytes())?;
    }
    write_synced(&beside.config(), typed.as_bytes())?;
    write_synced(&beside.experiment(), meant.as_bytes())?;
    write_synced(&beside.manifest(), manifest.as_bytes())?;
    Ok(lock)
}

fn refuse_existing(path: &Path) -> Result<(), Error> {
    match (RunFolder::at(path).is_run(), path.exists()) {
        (true, _) => Err(Error::RunExists { path: path.to_owned() }),
        (false, true) => {
            let why = "exists already and is no run, since it has no experiment.toml: move it away, or choose another folder \
                       with --out";
            Err(Error::Run { path: path.to_owned(), why: why.into() })
        }
        (false, false) => Ok(()),
    }
}

/// Makes a folder and locks it. Until it is locked, whoever clears leftovers may take it for one: then it is made again.
fn claimed(beside: &RunFolder) -> Result<File, Error> {
    for _ in 0..TRIES {
        if let Err(source) = fs::create_dir(beside.path())
            && source.kind() != ErrorKind::AlreadyExists
        {
            return Err(Error::Io { path: beside.path().to_owned(), doing: "create", source });
        }
        match locked(beside) {
            Ok(Some(lock)) if lock.metadata().is_ok_and(|facts| facts.nlink() > 0) => return Ok(lock),
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Err(Error::Locked { path: beside.path().to_owned() })
}

/// Whether this is the name `.<name>-<hash>-s<seed>-<process>` of a folder that becomes a run's.
fn is_in_the_making(name: &str) -> bool {
    let parts = || {
        let (run, process) = name.strip_prefix('.')?.rsplit_once('-')?;
        let (named, seed) = run.rsplit_once("-s")?;
        let (_, hash) = named.rsplit_once('-')?;
        Some((hash, seed, process))
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    parts().is_some_and(|(hash, seed, process)| {
        hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && number(seed) && number(process)
    })
}

/// Removes the folders of runs that were killed before they had their name. One that a process still fills is locked.
fn clear_beside(out: &Path) {
    for entry in fs::read_dir(out).into_iter().flatten().flatten() {
        if !is_in_the_making(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let left = RunFolder::at(entry.path());
        match regular::open(&left.lock()) {
            Ok(lock) => {
                if lock.try_lock().is_ok() {
                    let _ = fs::remove_dir_all(left.path());
                }
            }
            // It was killed before it had a lock; only then it is empty.
            Err(_) => drop(fs::remove_dir(left.path())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExperimentConfig;

    fn experiment() -> Experiment {
        let text = "name = \"x\"\nmodel = { kind = \"lenet-5\" }\ntrain = { length = { steps = 1 } }";
        Experiment::on_data(ExperimentConfig::parse("x", text, &[]).expect("valid"), crate::data::MNIST).expect("meant")
    }

    fn manifest() -> Manifest {
        let text = r#"{"v":1,"secateur":"0","commit":null,"burn":"0","platform":"p","threads":1,"device":"cpu","dataset":"d",
            "files":[],"command":[]}"#;
        serde_json::from_str(text).expect("a manifest")
    }

    fn create(out: &Path) -> Result<LockedRun, Error> {
        LockedRun::create(out, &experiment(), "typed", manifest(), |_| Ok(()))
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("readable");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_killed_processes_left_is_cleared_and_what_is_being_filled_stays() {
        let out = tempfile::tempdir().expect("a folder");
        let name = experiment().run_name();
        let beside = |process: &str| out.path().join(format!(".{name}-{process}"));
        for process in ["1", "2", "3", "4-s1"] {
            fs::create_dir(beside(process)).expect("made");
        }
        // Another run's, and what only looks like it.
        for other in [".other-0123abcd-s7-5", ".other-5", ".other-0123abcx-s7-5", "other-0123abcd-s7-5"] {
            fs::create_dir(out.path().join(other)).expect("made");
            fs::write(out.path().join(other).join("run.lock"), "").expect("written");
        }
        fs::write(beside("1").join("run.lock"), "").expect("written");
        fs::write(beside("1").join("config.toml"), "half").expect("written");
        let going = File::create(beside("2").join("run.lock")).expect("made");
        going.lock().expect("locked");
        let run = create(out.path()).expect("made");
        let path = run.path().to_owned();
        let mine = |names: Vec<String>| names.into_iter().filter(|own| !own.contains("other")).collect::<Vec<_>>();
        let left = [format!(".{name}-2"), format!(".{name}-4-s1"), name.clone()];
        assert_eq!(mine(names(out.path())), left, "3 was empty, 4-s1 has not the form");
        let others: Vec<_> = names(out.path()).into_iter().filter(|own| own.contains("other")).collect();
        assert_eq!(others, [".other-0123abcx-s7-5", ".other-5", "other-0123abcd-s7-5"]);
        drop((run, going));

        for half in [".stage-000001-step-0000000002.tmp", ".stage-000002-step-0000000002.tmp/state"] {
            fs::create_dir_all(path.join("checkpoints").join(half)).expect("made");
        }
        fs::create_dir(path.join("checkpoints/stage-000001-step-0000000001")).expect("made");
        LockedRun::open(&path).expect("a run");
        assert_eq!(names(&path.join("checkpoints")), ["stage-000001-step-0000000001"]);
        assert_eq!(mine(names(out.path())), [left[1].as_str(), name.as_str()]);
    }

    #[test]
    fn a_folder_that_was_removed_moved_or_replaced_is_noticed() {
        let out = tempfile::tempdir().expect("a folder");
        let run = create(out.path()).expect("made");
        run.still_here().expect("here");
        let away = out.path().join("away");
        fs::rename(run.path(), &away).expect("moved");
        assert!(run.still_here().expect_err("moved").to_string().contains("removed or moved"));
        fs::create_dir(run.path()).expect("another one");
        assert!(run.still_here().is_err(), "another folder of this name");
        let error = create(out.path()).expect_err("something is there").to_string();
        assert!(error.contains("is no run") && !error.contains("resume"), "{error}");
        fs::remove_dir(run.path()).expect("removed");
        fs::rename(&away, run.path()).expect("moved back");
        run.still_here().expect("here again");
        // While it is being removed, its files go first.
        let lost = |path: &Path| Error::io(path, "rename")(std::io::ErrorKind::NotFound.into());
        assert!(run.cause(lost(&run.path().join("run.saved"))).to_string().contains("removed or moved"));
        assert!(run.cause(lost(out.path())).to_string().contains("cannot rename"));
        let error = create(out.path()).expect_err("a run is there").to_string();
        assert!(error.contains("secateur resume"), "{error}");
    }
}
