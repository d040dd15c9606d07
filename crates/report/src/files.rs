//! Writes whole files: a reader sees the old one or the new one, never half of one.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::error::Error;
use crate::regular;

/// Writes `bytes` beside `path` and renames the result to it.
///
/// # Errors
/// Names the path that the system refused.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    let beside = Path::new(&beside);
    let mut file = regular::create(beside).map_err(Error::io("create", beside))?;
    file.write_all(bytes).map_err(Error::io("write", beside))?;
    drop(file);
    fs::rename(beside, path).map_err(Error::io("rename the new file to", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_the_old_file_and_leaves_nothing_beside() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a.csv");
        write_whole(&path, b"old").expect("the first write");
        write_whole(&path, b"new").expect("the second write");
        assert_eq!(fs::read(&path).expect("the file"), b"new");
        assert_eq!(fs::read_dir(dir.path()).expect("the folder").count(), 1);
    }

    #[test]
    fn an_error_names_the_path() {
        let error = write_whole(Path::new("/nowhere/a.csv"), b"").expect_err("no such folder");
        assert!(error.to_string().contains("/nowhere/a.csv"), "{error}");
    }
}
