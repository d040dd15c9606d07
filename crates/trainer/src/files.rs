//! Writing that a crash cannot leave half done: written beside, fsynced, renamed.

use crate::Error;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Writes a whole file; afterwards it holds either all of `bytes` or what it held before.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = Path::new(&beside);
    let written =
        write_synced(beside, bytes).and_then(|()| fs::rename(beside, path).map_err(Error::io(path, "rename")));
    if written.is_err() {
        // The first error is the one to tell; what is left beside is harmless.
        let _ = fs::remove_file(beside);
    }
    written?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Writes a file and waits until it is on the disk.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = File::create(path).map_err(Error::io(path, "create"))?;
    file.write_all(bytes).map_err(Error::io(path, "write"))?;
    file.sync_all().map_err(Error::io(path, "write"))
}

/// Waits until a folder's entries are on the disk.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    // Only Unix opens folders as files; elsewhere the rename is as safe as the system makes it.
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(Error::io(path, "sync"))
    } else {
        Ok(())
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        write_atomically(&path, b"old").expect("written");
        fs::create_dir(folder.path().join("file.tmp")).expect("in the way");
        let error = write_atomically(&path, b"new").expect_err("blocked").to_string();
        assert!(error.contains("file.tmp"), "{error}");
        assert_eq!(fs::read(&path).expect("still there"), b"old");
    }

    #[test]
    fn the_digest_is_the_published_one() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
