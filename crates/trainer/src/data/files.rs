//! Files of any source: found, and read no further than is asked for, raw or gzipped.

use super::Error;
use flate2::bufread::MultiGzDecoder;
use secateur_report::regular;
use std::fs;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Checks that this is a folder.
///
/// # Errors
/// When it is not there, or is something else.
pub(super) fn check_folder(dir: &Path) -> Result<(), Error> {
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Error::NotAFolder { dir: dir.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::MissingFolder { dir: dir.into() }),
        Err(source) => Err(Error::Read { path: dir.into(), source }),
    }
}

/// Whether a file is there.
///
/// # Errors
/// When something else has its name: a pipe would wait for ever, a device never end.
pub(super) fn is_file(path: &Path) -> Result<bool, Error> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(true),
        Ok(_) => Err(Error::NotAFile { path: path.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::Read { path: path.into(), source }),
    }
}

/// The first raw bytes of a file, at most so many.
///
/// # Errors
/// When it cannot be read, or does not decode so far.
pub(super) fn read_at_most(path: &Path, gzip: bool, most: usize) -> Result<Vec<u8>, Error> {
    let unreadable = |source| Error::Read { path: path.into(), source };
    let content = BufReader::new(regular::open(path).map_err(unreadable)?);
    let mut bytes = vec![];
    if gzip {
        let read = MultiGzDecoder::new(content).take(most as u64).read_to_end(&mut bytes);
        read.map_err(|source| Error::Gzip { path: path.into(), found: bytes.len(), source })?;
    } else {
        content.take(most as u64).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    Ok(bytes)
}

/// Bytes of a file's raw content. Of a gzipped file that is what its last four bytes say, modulo 2^32, which reading it has to
/// confirm.
///
/// # Errors
/// When it cannot be read.
pub(super) fn raw_len(path: &Path, gzip: bool) -> Result<u64, Error> {
    let unreadable = |source| Error::Read { path: path.into(), source };
    let mut file = regular::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    if !gzip {
        return Ok(length);
    }
    let mut end = [0; 4];
    if length < 18 {
        return Err(Error::Content { path: path.into(), why: format!("found {length} bytes, expected a gzip file") });
    }
    file.seek(SeekFrom::End(-4)).and_then(|_| file.read_exact(&mut end)).map_err(unreadable)?;
    Ok(u32::from_le_bytes(end).into())
}

/// The name of the folder, also of `.` and the like.
pub(super) fn folder_name(dir: &Path) -> String {
    let whole = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let named = if dir.file_name().is_some() { dir } else { &whole };
    named.file_name().map_or_else(|| "data".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_a_name() {
        assert_eq!(folder_name(Path::new("datasets/letters/")), "letters");
        assert_ne!(folder_name(Path::new(".")), "data");
        assert_eq!(folder_name(Path::new("/")), "data");
    }
}
