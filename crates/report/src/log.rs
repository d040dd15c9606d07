//! Writes `log.jsonl`, the append-only memory of a run: a line that was written is never changed, only cut off again
//! when a run goes back to its last checkpoint.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::digest::hexadecimal;
use crate::error::Error;
use crate::event::{Entry, Event, LOG_VERSION, Timing};
use crate::regular;

/// The log of a run that is under way.
///
/// [`position`](Self::position) is always the end of a line: a checkpoint stores it, and
/// [`resume`](Self::resume) cuts off whatever was written after it.
#[derive(Debug)]
pub struct RunLog {
    file: File,
    path: PathBuf,
    position: u64,
    /// Of everything up to the position.
    hash: Sha256,
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
        Ok(Self { file, path: path.to_owned(), position: 0, hash: Sha256::new() })
    }

    /// Goes on with a log from `position`, in bytes, and cuts off what stands after it. `sha256` is that of everything
    /// before, where it is known.
    ///
    /// # Errors
    /// When the log is missing, is shorter than `position`, has no end of a line there, or another checksum up to there. It is
    /// unchanged then.
    pub fn resume(path: impl AsRef<Path>, position: u64, sha256: Option<&str>) -> Result<Self, Error> {
        let path = path.as_ref();
        // Whatever it is, it is opened as a file, which waits for nobody.
        regular::open(path).map_err(Error::io("open the log", path))?;
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(Error::io("open the log", path))?;
        let hash = digest_to(&mut file, path, position, sha256)?;
        let mut log = Self { file, path: path.to_owned(), position, hash };
        log.cut().map_err(Error::io("cut the log", path))?;
        Ok(log)
    }

    /// Adds one line, in one write. A `run_ended`, with which the log is whole, gets its checksum.
    ///
    /// # Errors
    /// When the system refuses; what part of the line it took is cut off again where it lets us.
    pub fn append(&mut self, event: &Event, timing: Option<Timing>) -> Result<(), Error> {
        let mut entry = Entry { v: LOG_VERSION, event: event.clone(), timing };
        if matches!(event, Event::RunEnded(_)) {
            entry.timing.get_or_insert_default().log_sha256 = None;
            let whole = hexadecimal(self.hash.clone().chain_update(line(&entry)));
            entry.timing.get_or_insert_default().log_sha256 = Some(whole);
        }
        let line = line(&entry);
        if let Err(source) = self.file.write_all(&line) {
            // A full disk may have taken half a line: the next one must not be glued to it. Should this fail too,
            // the first error is the one to tell, and the reader tolerates a torn last line.
            let _ = self.cut();
            return Err(Error::Io { action: "append to the log", path: self.path.clone(), source });
        }
        self.position += line.len() as u64;
        self.hash.update(&line);
        Ok(())
    }

    /// SHA-256 of the log up to its [`position`](Self::position), in hexadecimal.
    pub fn sha256(&self) -> String {
        hexadecimal(self.hash.clone())
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

/// Checks that the log at `path` begins with the `position` bytes of this SHA-256, in hexadecimal.
///
/// # Errors
/// When it cannot be read, is shorter, has no end of a line there, or another checksum up to there.
pub fn check_log_to(path: impl AsRef<Path>, position: u64, sha256: &str) -> Result<(), Error> {
    let path = path.as_ref();
    let mut file = regular::open(path).map_err(Error::io("open the log", path))?;
    digest_to(&mut file, path, position, Some(sha256)).map(drop)
}

/// The digest of a log up to a position, which has to be the end of a line, and this digest where it is known.
fn digest_to(file: &mut File, path: &Path, position: u64, sha256: Option<&str>) -> Result<Sha256, Error> {
    let found = file.metadata().map_err(Error::io("measure the log", path))?.len();
    if found < position {
        return Err(Error::ShortLog { path: path.to_owned(), found, wanted: position });
    }
    let (hash, last) = digest(file, position).map_err(Error::io("read the log", path))?;
    if let Some(found) = last.filter(|last| *last != b'\n') {
        return Err(Error::InsideLine { path: path.to_owned(), position, found: found.into() });
    }
    let found = hexadecimal(hash.clone());
    match sha256.filter(|expected| *expected != found) {
        Some(expected) => Err(Error::ChangedLog { path: path.to_owned(), found, expected: expected.to_owned() }),
        None => Ok(hash),
    }
}

fn line(entry: &Entry) -> Vec<u8> {
    let mut line = serde_json::to_vec(entry).expect("an entry has only string keys and plain values");
    line.push(b'\n');
    line
}

/// The digest of a file's first bytes, and the last of them.
fn digest(file: &mut File, length: u64) -> std::io::Result<(Sha256, Option<u8>)> {
    let (mut hash, mut last) = (Sha256::new(), None);
    let (mut piece, mut left) = (vec![0; 1 << 16], length);
    file.seek(SeekFrom::Start(0))?;
    while left > 0 {
        let wanted = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.read_exact(&mut piece[..wanted])?;
        hash.update(&piece[..wanted]);
        last = piece[..wanted].last().copied();
        left -= wanted as u64;
    }
    Ok((hash, last))
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
            r#"{"v":2,"event":"stopped_early","cycle":0,"step":7,"steps_saved":2}"#,
            "\n",
            r#"{"v":2,"event":"stopped_early","cycle":0,"step":8,"steps_saved":2,"timing":{"elapsed_ms":9}}"#,
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
        let (position, sha256) = (log.position(), log.sha256());
        log.append(&stop(99), None).expect("a line that is lost");
        fs::write(&cut, [fs::read(&cut).expect("the log"), b"{\"v\":1,\"ev".to_vec()].concat()).expect("a torn line");
        let mut log = RunLog::resume(&cut, position, Some(&sha256)).expect("a resumed log");
        log.append(&stop(2), None).expect("a line");
        log.append(&stop(3), None).expect("a line");
        assert_eq!(fs::read(&cut).expect("the cut log"), fs::read(&whole).expect("the whole log"));
    }

    #[test]
    fn resuming_refuses_what_does_not_fit_and_changes_nothing() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("log.jsonl");
        fs::write(&path, "ab\ncd\n").expect("a file");
        let short = RunLog::resume(&path, 7, None).expect_err("too short").to_string();
        assert!(short.contains("log.jsonl` has 6 bytes") && short.contains("at least 7"), "{short}");
        let inside = RunLog::resume(&path, 4, None).expect_err("inside a line").to_string();
        assert!(inside.contains("'c'") && inside.contains("position 4"), "{inside}");
        let other = "0".repeat(64);
        let changed = RunLog::resume(&path, 3, Some(&other)).expect_err("another log").to_string();
        assert!(changed.contains("was changed") && changed.contains(&other), "{changed}");
        assert_eq!(fs::read(&path).expect("the file"), b"ab\ncd\n");
        assert_eq!(RunLog::resume(&path, 3, None).expect("a line's end").position(), 3);
        assert_eq!(RunLog::resume(&path, 0, None).expect("the start").position(), 0);
        assert_eq!(fs::read(&path).expect("the file"), b"");
    }

    #[test]
    fn a_finished_log_that_was_changed_anywhere_is_refused_by_its_readers() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("log.jsonl");
        let mut log = RunLog::create(&path).expect("a new log");
        for event in crate::fixture::dense_events(1) {
            let timing = Timing { elapsed_ms: 5, ..Timing::default() };
            log.append(&event, Some(timing)).expect("a line");
        }
        let whole = fs::read_to_string(&path).expect("the log");
        let read = |text: &str| {
            fs::write(&path, text).expect("written");
            crate::read_log(&path)
        };
        assert!(read(&whole).expect("as it was written").checked);
        let lines: Vec<&str> = whole.lines().collect();
        let swapped = whole.replacen(&format!("{}\n{}", lines[2], lines[3]), &format!("{}\n{}", lines[3], lines[2]), 1);
        let lost = whole.replacen(&format!("{}\n", lines[2]), "", 1);
        let digit = whole.replacen("\"correct\":9", "\"correct\":8", 1);
        let end = whole.replacen("\"model_bytes\":", "\"model_bytes\":1", 1);
        for (what, text) in [("swapped", &swapped), ("lost", &lost), ("a digit", &digit), ("the last line", &end)] {
            assert_ne!(*text, whole, "{what}");
            let error = read(text).expect_err(what).to_string();
            assert!(error.contains("was changed after it was written"), "{what}: {error}");
        }
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
