//! In which state a run is, by one definition: finished is a run whose log ends with `run_ended` and whose model has the
//! checksum that stands there.

use super::{RunFolder, experiment_text};
use crate::files::sha256;
use crate::{Error, checkpoint};
use secateur_report::event::RunEnded;
use secateur_report::{RunRecord, check_log_to, read_log, regular};
use std::fs::TryLockError;
use std::io::ErrorKind;
use std::path::Path;

/// In which state a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It came to its end, and its final model is the one that the log names.
    Finished,
    /// It came to its end, and its final model is gone; `resume` restores it.
    NoModel,
    /// A process works on it.
    Running,
    /// It was stopped or killed; `resume` goes on with it.
    Unfinished,
    /// Something in its folder is not what the run left there: the file, what was expected and found, and what to do.
    Damaged(String),
}

/// How far a run's log and final model have come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// The log does not end with `run_ended`.
    Open,
    /// It does, and the model is the one that it names.
    Finished,
    /// It does, and the model is not that one: its checksum, `None` where it is gone.
    OtherModel { expected: RunEnded, found: Option<String> },
}

impl RunFolder {
    /// In which state the run is. Reads the log and the final model, and writes nothing.
    pub fn state(&self) -> RunState {
        if !self.is_run() {
            return RunState::Damaged(super::no_run(self.path()).to_string());
        }
        match read_log(self.log()) {
            Ok(record) => self.check(&record),
            // It has only just begun.
            Err(error) if is_missing(&error) => {
                self.check_config().or_else(|| self.check_log()).unwrap_or_else(|| self.open())
            }
            Err(error) => RunState::Damaged(with_causes(&error)),
        }
    }

    /// In which state the run is whose log says this. Where `experiment.toml` is there, it has to be the one that the run
    /// began with.
    pub fn check(&self, record: &RunRecord) -> RunState {
        if let Some(damaged) = self.check_config() {
            return damaged;
        }
        match self.end_of(record) {
            Ok(End::Open) => self.check_log().unwrap_or_else(|| self.open()),
            Ok(End::Finished) => RunState::Finished,
            Ok(End::OtherModel { found: None, .. }) => RunState::NoModel,
            Ok(End::OtherModel { expected, found: Some(found) }) => {
                RunState::Damaged(self.other_model(&expected, &found).to_string())
            }
            Err(error) => RunState::Damaged(with_causes(&error)),
        }
    }

    /// How far the run has come whose log says this.
    ///
    /// # Errors
    /// When the model cannot be read.
    pub(crate) fn end_of(&self, record: &RunRecord) -> Result<End, Error> {
        let Some(expected) = record.ended.clone() else { return Ok(End::Open) };
        match sha256(&self.model()) {
            Ok(found) if found == expected.model_sha256 => Ok(End::Finished),
            Ok(found) => Ok(End::OtherModel { expected, found: Some(found) }),
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Ok(End::OtherModel { expected, found: None })
            }
            Err(error) => Err(error),
        }
    }

    /// How far the run has come.
    ///
    /// # Errors
    /// When its log or its model cannot be read, or the log was changed.
    pub(crate) fn end(&self) -> Result<End, Error> {
        match read_log(self.log()) {
            Ok(record) => self.end_of(&record),
            Err(error) if is_missing(&error) => Ok(End::Open),
            // What follows the last checkpoint may be anything, and is cut off; what comes before it is compared there.
            Err(secateur_report::Error::Line { .. }) => Ok(End::Open),
            Err(source) => Err(Error::log(self.path(), source)),
        }
    }

    /// Checks a file of weights that somebody names: where it is the final model of a finished run, it has to be the one that
    /// the run's log names.
    ///
    /// # Errors
    /// When it is another one, or the log beside it cannot be read or was changed.
    pub(crate) fn check_model_file(path: &Path) -> Result<(), Error> {
        // Through links, to where it lies. What is not there is for its reader to tell.
        let Ok(real) = path.canonicalize() else { return Ok(()) };
        let Some(folder) = real.parent().map(Self::at).filter(|folder| folder.is_run() && folder.model() == real)
        else {
            return Ok(());
        };
        match folder.end()? {
            End::OtherModel { expected, found: Some(found) } => Err(folder.other_model(&expected, &found)),
            End::Open | End::Finished | End::OtherModel { .. } => Ok(()),
        }
    }

    /// Says what is wrong with a model that the log does not name.
    pub(crate) fn other_model(&self, expected: &RunEnded, found: &str) -> Error {
        let why = format!(
            "the final model was changed: expected SHA-256 {} as in the log, found {found}; \
             `secateur resume {}` restores it from the last checkpoint",
            expected.model_sha256,
            self.path().display()
        );
        Error::Run { path: self.model(), why }
    }

    fn check_config(&self) -> Option<RunState> {
        if !self.is_run() {
            return None;
        }
        experiment_text(self.path()).err().map(|error| RunState::Damaged(with_causes(&error)))
    }

    /// Compares the log of a run that has not finished with what its newest checkpoint says of it.
    fn check_log(&self) -> Option<RunState> {
        let (bytes, sha256) = checkpoint::log_bound(&self.checkpoints())?;
        check_log_to(self.log(), bytes, &sha256).err().map(|error| RunState::Damaged(with_causes(&error)))
    }

    fn open(&self) -> RunState {
        let held = regular::open(&self.lock()).is_ok_and(|lock| {
            // Shared, for an instant: whoever wants the lock meanwhile tries again.
            matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
        });
        if held { RunState::Running } else { RunState::Unfinished }
    }
}

/// Whether a log is not there, or has no complete line yet.
pub(crate) fn is_missing(error: &secateur_report::Error) -> bool {
    match error {
        secateur_report::Error::EmptyLog { .. } => true,
        secateur_report::Error::Io { source, .. } => source.kind() == ErrorKind::NotFound,
        _ => false,
    }
}

/// An error and what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}
