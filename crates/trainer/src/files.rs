//! Writing that a crash cannot leave half done: written beside, fsynced, renamed.

use crate::Error;
use secateur_report::regular;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Length.
    pub bytes: u64,
}

/// Writes a whole file; afterwards it holds either all that `fill` writes or what it held before.
pub(crate) fn write_atomically(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Written, Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = Path::new(&beside);
    let written = stream_synced(beside, fill).and_then(|written| {
        fs::rename(beside, path).map_err(Error::io(path, "rename"))?;
        Ok(written)
    });
    if written.is_err() {
        // The first error is the one to tell; what is left beside is harmless.
        let _ = fs::remove_file(beside);
    }
    let written = written?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))?;
    Ok(written)
}

/// Longest text that a person is taken to have written, in bytes.
const LONGEST_TEXT: u64 = 16 << 20;

/// Largest file of weights, scores or a model that is read, in bytes: many times the largest network.
const LARGEST: u64 = 16 << 30;

/// Opens a file of weights, scores or a model that somebody names: a regular file of at most 16 GiB.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    regular::open_within(path, LARGEST).map_err(Error::io(path, "read"))
}

/// Reads such a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    regular::read(path, LARGEST).map_err(Error::io(path, "read"))
}

/// Reads a text that a person wrote, such as a config: a regular file of at most 16 MiB.
///
/// # Errors
/// When it is something else, or cannot be read.
pub fn read_text(path: &Path) -> Result<String, Error> {
    regular::read_text(path, LONGEST_TEXT).map_err(Error::io(path, "read"))
}

/// Writes a whole file: afterwards it holds either these bytes or what it held before.
///
/// # Errors
/// When the system says so.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_atomically(path, |out| out.write_all(bytes)).map(|_| ())
}

/// Writes a file and waits until it is on the disk.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<Written, Error> {
    stream_synced(path, |out| out.write_all(bytes))
}

/// Writes what `fill` writes into a file, piece by piece, and waits until it is on the disk.
pub(crate) fn stream_synced(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Written, Error> {
    let file = regular::create(path).map_err(Error::io(path, "create"))?;
    let mut out = Hashing { file, hash: Sha256::new(), bytes: 0 };
    fill(&mut out).map_err(Error::io(path, "write"))?;
    out.file.sync_all().map_err(Error::io(path, "write"))?;
    Ok(Written { sha256: hexadecimal(out.hash), bytes: out.bytes })
}

/// A file, and the checksum of what goes into it.
struct Hashing<W> {
    file: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Waits until a folder's entries are on the disk.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|folder| folder.sync_all()).map_err(Error::io(path, "sync"))
}

/// SHA-256 of a file's content, in hexadecimal.
pub(crate) fn sha256(path: &Path) -> Result<String, Error> {
    let mut file = open(path)?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece).map_err(Error::io(path, "read"))? {
            0 => return Ok(hexadecimal(hash)),
            read => hash.update(&piece[..read]),
        }
    }
}

/// SHA-256 of bytes, in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hexadecimal(Sha256::new().chain_update(bytes))
}

/// What [`write_atomically`] would write, without writing it.
///
/// # Errors
/// What `fill` says.
pub(crate) fn digest_of(fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Written> {
    let mut out = Hashing { file: io::sink(), hash: Sha256::new(), bytes: 0 };
    fill(&mut out)?;
    Ok(Written { sha256: hexadecimal(out.hash), bytes: out.bytes })
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        write_atomically(&path, |out| out.write_all(b"old")).expect("written");
        fs::create_dir(folder.path().join("file.tmp")).expect("in the way");
        let error = write_atomically(&path, |out| out.write_all(b"new")).expect_err("blocked").to_string();
        assert!(error.contains("file.tmp"), "{error}");
        assert_eq!(fs::read(&path).expect("still there"), b"old");
    }

    #[test]
    fn the_digest_is_the_published_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let written = stream_synced(&path, |out| out.write_all(b"a").and_then(|()| out.write_all(b"bc")));
        let wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(written.expect("written"), Written { sha256: wanted.into(), bytes: 3 });
        assert_eq!(sha256(&path).expect("read"), wanted);
    }
}
