//! Finds the four files and reads them, never more than a valid file holds: a gzip bomb fills no memory.

use std::fs;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::Error;
use super::idx::{ROLES, Role};
use secateur_report::regular;

/// Where one of the four files was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Located {
    /// Which of the four it is.
    pub(super) role: Role,
    /// Its path; gzip if that ends in `.gz`.
    pub(super) path: PathBuf,
    gzip: bool,
}

/// Finds the four files before any is read, so that a missing one is told at once.
///
/// A raw `NAME` wins over `NAME.gz`: whoever put it beside the compressed file wanted it used.
pub(super) fn locate(dir: &Path) -> Result<Vec<Located>, Error> {
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(Error::NotAFolder { dir: dir.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::MissingFolder { dir: dir.into() });
        }
        Err(source) => return Err(Error::Read { path: dir.into(), source }),
    }
    ROLES.into_iter().map(|role| locate_one(dir, role)).collect()
}

/// The raw bytes of the file; at most one byte more than a valid file has, which is enough to tell that it is too long.
pub(super) fn read(file: &Located) -> Result<Vec<u8>, Error> {
    let unreadable = |source| Error::Read { path: file.path.clone(), source };
    let content = BufReader::new(regular::open(&file.path).map_err(unreadable)?);
    let wanted = file.role.raw_len();
    let mut bytes = Vec::new();
    if file.gzip {
        read_bounded(MultiGzDecoder::new(content), wanted, &mut bytes).map_err(|source| Error::Gzip {
            path: file.path.clone(),
            found: bytes.len(),
            wanted,
            source,
        })?;
    } else {
        read_bounded(content, wanted, &mut bytes).map_err(unreadable)?;
    }
    Ok(bytes)
}

fn locate_one(dir: &Path, role: Role) -> Result<Located, Error> {
    let raw = dir.join(role.name);
    let gzip = dir.join(format!("{}.gz", role.name));
    for (path, is_gzip) in [(&raw, false), (&gzip, true)] {
        match fs::metadata(path) {
            Ok(found) if found.is_file() => return Ok(Located { role, path: path.clone(), gzip: is_gzip }),
            // A pipe would wait for ever, a device never end.
            Ok(_) => return Err(Error::NotAFile { path: path.clone() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::Read { path: path.clone(), source }),
        }
    }
    Err(Error::MissingFile { raw, gzip })
}

fn read_bounded(content: impl Read, wanted: usize, bytes: &mut Vec<u8>) -> io::Result<usize> {
    content.take(wanted as u64 + 1).read_to_end(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const LABELS: Role = ROLES[3];

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    }

    /// A folder with these files.
    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (name, bytes) in files {
            fs::write(dir.path().join(name), bytes).expect("a small file");
        }
        dir
    }

    #[test]
    fn raw_and_compressed_give_the_same_bytes_and_raw_wins() {
        let packed = gzip(b"packed");
        let dir = folder(&[("t10k-labels-idx1-ubyte.gz", &packed)]);
        let located = locate_one(dir.path(), LABELS).expect("compressed");
        assert_eq!(read(&located).expect("decodes"), b"packed");

        fs::write(dir.path().join("t10k-labels-idx1-ubyte"), b"raw").expect("a small file");
        let located = locate_one(dir.path(), LABELS).expect("raw");
        assert_eq!(read(&located).expect("reads"), b"raw");
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = folder(&[("file", b"")]);
        let here = dir.path().display();
        let missing = dir.path().join("nowhere");
        assert_eq!(
            locate(&missing).expect_err("no folder").to_string(),
            format!(
                "data folder `{here}/nowhere` does not exist; name the folder of the four IDX files with --data DIR, such as \
                 datasets/mnist of Secateur's repository"
            ),
        );
        assert!(matches!(locate(&dir.path().join("file")), Err(Error::NotAFolder { .. })));
        let text = locate(dir.path()).expect_err("no file").to_string();
        assert!(text.contains(&format!("{here}/train-images-idx3-ubyte`")), "{text}");
        assert!(text.contains(&format!("{here}/train-images-idx3-ubyte.gz`")), "{text}");
    }

    #[test]
    fn a_folder_is_no_file() {
        let dir = folder(&[]);
        fs::create_dir(dir.path().join("train-images-idx3-ubyte")).expect("a folder");
        let text = locate(dir.path()).expect_err("a folder").to_string();
        assert!(text.ends_with("train-images-idx3-ubyte` is not a regular file, wanted an IDX file"), "{text}");
    }

    #[test]
    fn broken_gzip_tells_how_far_it_got() {
        let whole = gzip(&vec![3; 10_008]);
        let mut garbled = whole.clone();
        let checksum = garbled.len() - 8;
        garbled[checksum] ^= 1;
        let table: [(&str, &[u8], &str); 4] = [
            ("cut", &whole[..whole.len() - 12], "good bytes, wanted 10008"),
            ("checksum", &garbled, "found 10008 good bytes, wanted 10008"),
            ("not gzip", b"\0\0\x08\x01\0\0\x27\x10", "found 0 good bytes, wanted 10008"),
            ("empty", b"", "found 0 good bytes, wanted 10008"),
        ];
        for (fault, bytes, wanted) in table {
            let dir = folder(&[("t10k-labels-idx1-ubyte.gz", bytes)]);
            let located = locate_one(dir.path(), LABELS).expect("there");
            let text = read(&located).expect_err(fault).to_string();
            assert!(text.contains("t10k-labels-idx1-ubyte.gz` does not decode as gzip"), "{fault}: {text}");
            assert!(text.contains(wanted), "{fault}: {text}");
        }
    }

    #[test]
    fn a_bomb_is_read_no_further_than_one_byte_too_many() {
        let bomb = gzip(&vec![0; 50_000_000]);
        assert!(bomb.len() < 1_000_000);
        let raw = vec![0; 20_000];
        for (name, bytes) in [("t10k-labels-idx1-ubyte.gz", &bomb), ("t10k-labels-idx1-ubyte", &raw)] {
            let dir = folder(&[(name, bytes)]);
            let located = locate_one(dir.path(), LABELS).expect("there");
            let bytes = read(&located).expect("reads");
            assert_eq!(bytes.len(), LABELS.raw_len() + 1);
            assert!(bytes.capacity() < 10 * LABELS.raw_len());
        }
    }
}
