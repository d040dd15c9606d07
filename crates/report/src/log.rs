//! Writes `log.jsonl`, the append-only memory of a run: a line that was written is never changed, only cut off again
//! when a run goes back to its last checkpoint.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::event::{Entry, Event, LOG_VERSION, Timing};

/// The log of a run that is under way.
///
/// [`position`](Self::position) is always the end of a line: a checkpoint stores it, and
/// [`resume`](Self::resume) cuts off whatever was written after it.
#[derive(Debug)]
pub struct RunLog {
    file: File,
    path: PathBuf,
    position: u64,
}

impl RunLog {
    /// Starts a new, empty log.
    ///
    /// # Errors
    /// When the file exists already or cannot be created.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(Error::io("create the log", path))?;
        Ok(Self { file, path: path.to_owned(), position: 0 })
    }

    /// Goes on with a log from `position`, in bytes, and cuts off what stands after it.
    ///
    /// # Errors
    /// When the log is missing, is shorter than `position`, or has no end of a line there. It is unchanged then.
    pub fn resume(path: impl AsRef<Path>, position: u64) -> Result<Self, Error> {
        let path = path.as_ref();
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(Error::io("open the log", path))?;
        let found = file.metadata().map_err(Error::io("measure the log", path))?.len();
        if found < position {
            return Err(Error::ShortLog { path: path.to_owned(), found, wanted: position });
        }
        if position > 0 {
            let mut last = [0];
            file.seek(SeekFrom::Start(position - 1))
                .and_then(|_| file.read_exact(&mut last))
                .map_err(Error::io("read the log", path))?;
            if last != *b"\n" {
                return Err(Error::InsideLine { path: path.to_owned(), position, found: last[0].into() });
            }
        }
        let mut log = Self { file, path: path.to_owned(), position };
        log.cut().map_err(Error::io("cut the log", path))?;
        Ok(log)
    }

    /// Adds one line, in one write.
    ///
    /// # Errors
    /// When the system refuses; what part of the line it took is cut off again where it lets us.
    pub fn append(&mut self, event: &Event, timing: Option<Timing>) -> Result<(), Error> {
        let entry = Entry { v: LOG_VERSION, event: event.clone(), timing };
        let mut line = serde_json::to_vec(&entry).expect("an entry has only string keys and plain values");
        line.push(b'\n');
        if let Err(source) = self.file.write_all(&line) {
            // A full disk may have taken half a line: the next one must not be glued to it. Should this fail too,
            // the first error is the one to tell, and the reader tolerates a torn last line.
            let _ = self.cut();
            return Err(Error::Io { action: "append to the log", path: self.path.clone(), source });
        }
        self.position += line.len() as u64;
        Ok(())
    }

    /// Length of the log in bytes; always the end of a line.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Waits until everything that was appended is on the disk.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_all().map_err(Error::io("sync the log", &self.path))
    }

    fn cut(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.position)?;
        self.file.seek(SeekFrom::Start(self.position)).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::StoppedEarly;
    use std::fs;

    fn stop(step: u64) -> Event {
        Event::StoppedEarly(StoppedEarly { cycle: 0, step, steps_saved: 2 })
    }

    #[test]
    fn a_line_is_the_one_that_is_documented() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("log.jsonl");
        let mut log = RunLog::create(&path).expect("a new log");
        log.append(&stop(7), None).expect("a line");
        log.append(&stop(8), Some(Timing { elapsed_ms: 9, ..Timing::default() })).expect("a line");
        log.sync().expect("a sync");
        let expected = concat!(
            r#"{"v":1,"event":"stopped_early","cycle":0,"step":7,"steps_saved":2}"#,
            "\n",
            r#"{"v":1,"event":"stopped_early","cycle":0,"step":8,"steps_saved":2,"timing":{"elapsed_ms":9}}"#,
            "\n"
        );
        assert_eq!(fs::read_to_string(&path).expect("the log"), expected);
        assert_eq!(log.position(), expected.len() as u64);
    }

    #[test]
    fn resuming_cuts_and_goes_on_like_the_uninterrupted_log() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (whole, cut) = (dir.path().join("whole"), dir.path().join("cut"));
        let mut log = RunLog::create(&whole).expect("a new log");
        for step in 1..4 {
            log.append(&stop(step), None).expect("a line");
        }
        let mut log = RunLog::create(&cut).expect("a new log");
        log.append(&stop(1), None).expect("a line");
        let position = log.position();
        log.append(&stop(99), None).expect("a line that is lost");
        fs::write(&cut, [fs::read(&cut).expect("the log"), b"{\"v\":1,\"ev".to_vec()].concat()).expect("a torn line");
        let mut log = RunLog::resume(&cut, position).expect("a resumed log");
        log.append(&stop(2), None).expect("a line");
        log.append(&stop(3), None).expect("a line");
        assert_eq!(fs::read(&cut).expect("the cut log"), fs::read(&whole).expect("the whole log"));
    }

    #[test]
    fn resuming_refuses_what_does_not_fit_and_changes_nothing() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("log.jsonl");
        fs::write(&path, "ab\ncd\n").expect("a file");
        let short = RunLog::resume(&path, 7).expect_err("too short").to_string();
        assert!(short.contains("log.jsonl` has 6 bytes") && short.contains("at least 7"), "{short}");
        let inside = RunLog::resume(&path, 4).expect_err("inside a line").to_string();
        assert!(inside.contains("'c'") && inside.contains("position 4"), "{inside}");
        assert_eq!(fs::read(&path).expect("the file"), b"ab\ncd\n");
        assert_eq!(RunLog::resume(&path, 3).expect("a line's end").position(), 3);
        assert_eq!(RunLog::resume(&path, 0).expect("the start").position(), 0);
        assert_eq!(fs::read(&path).expect("the file"), b"");
    }

    #[test]
    fn a_log_that_exists_is_not_overwritten() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("log.jsonl");
        fs::write(&path, "precious").expect("a file");
        let error = RunLog::create(&path).expect_err("it exists");
        assert!(error.to_string().contains("log.jsonl"), "{error}");
        assert_eq!(fs::read(&path).expect("the file"), b"precious");
    }
}
