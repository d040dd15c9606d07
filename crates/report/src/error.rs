//! Everything that can go wrong between a log and its pictures, each with the place, the found and the wanted.

use std::io;
use std::path::{Path, PathBuf};

/// Why a log could not be written or read, or a report not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, such as `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A log is shorter than the position that a run is to go on from.
    #[error("log `{}` has {found} bytes, the position to resume from wants at least {wanted}", path.display())]
    ShortLog {
        /// The log.
        path: PathBuf,
        /// Its length in bytes.
        found: u64,
        /// The position in bytes.
        wanted: u64,
    },
    /// The position that a run is to go on from lies inside a line.
    #[error("log `{}` has byte {found:?} before position {position}, wanted the end of a line there", path.display())]
    InsideLine {
        /// The log.
        path: PathBuf,
        /// The position in bytes.
        position: u64,
        /// The byte before it.
        found: char,
    },
    /// A log that is not the one that was written.
    #[error(
        "log `{}` was changed after it was written: expected SHA-256 {expected}, found {found}; put the original back",
        path.display()
    )]
    ChangedLog {
        /// The log.
        path: PathBuf,
        /// The SHA-256 of what stands there.
        found: String,
        /// The SHA-256 of what was written.
        expected: String,
    },
    /// A log without one complete line.
    #[error("log `{}` holds no complete line, wanted `run_started` in its first", path.display())]
    EmptyLog {
        /// The log.
        path: PathBuf,
    },
    /// A line of a log that says something else than it should.
    #[error("log `{}`, line {line}: found {found}, wanted {wanted}", path.display())]
    Line {
        /// The log.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What stands there.
        found: String,
        /// What should.
        wanted: String,
    },
    /// A line of a log that a newer version wrote.
    #[error(
        "log `{}`, line {line}: found version {found}, this program reads up to version {known}: use a newer one",
        path.display()
    )]
    NewerLog {
        /// The log.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The line's version.
        found: u64,
        /// The newest version that is understood.
        known: u32,
    },
    /// A report of nothing.
    #[error("found no run to report on, wanted at least one")]
    NoRuns,
    /// Runs whose accuracies say nothing about each other.
    #[error(
        "`{run}` is {found}; `{other}` is {wanted}: accuracies are compared on the same model, data and test images"
    )]
    NotComparable {
        /// One run.
        run: String,
        /// What it is an accuracy of.
        found: String,
        /// Another run.
        other: String,
        /// What that is an accuracy of.
        wanted: String,
    },
    /// A picture could not be drawn or encoded.
    #[error("cannot draw the chart `{chart}`: {reason}")]
    Draw {
        /// The chart's title.
        chart: String,
        /// What the drawing library said.
        reason: String,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
