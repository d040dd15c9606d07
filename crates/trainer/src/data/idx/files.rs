//! Finds the four files and reads them, never more than is asked for: a gzip bomb fills no memory.

use super::check::{ROLES, Role};
use crate::data::Error;
use crate::data::files::{check_folder, is_file, read_at_most};
use std::path::{Path, PathBuf};

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
pub(super) fn locate(dir: &Path) -> Result<[Located; 4], Error> {
    check_folder(dir)?;
    let located = ROLES.map(|role| locate_one(dir, role));
    let [a, b, c, d] = located;
    Ok([a?, b?, c?, d?])
}

/// The first raw bytes of the file, at most so many.
pub(super) fn read(file: &Located, most: usize) -> Result<Vec<u8>, Error> {
    read_at_most(&file.path, file.gzip, most)
}

fn locate_one(dir: &Path, role: Role) -> Result<Located, Error> {
    let raw = dir.join(role.name);
    let gzip = dir.join(format!("{}.gz", role.name));
    for (path, is_gzip) in [(&raw, false), (&gzip, true)] {
        if is_file(path)? {
            return Ok(Located { role, path: path.clone(), gzip: is_gzip });
        }
    }
    Err(Error::MissingFile { raw, gzip })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::fs;
    use std::io::Write;

    const LABELS: Role = ROLES[3];
    /// More bytes than any of these files has.
    const MANY: usize = 1 << 20;

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
        assert_eq!(read(&located, MANY).expect("decodes"), b"packed");

        fs::write(dir.path().join("t10k-labels-idx1-ubyte"), b"raw").expect("a small file");
        let located = locate_one(dir.path(), LABELS).expect("raw");
        assert_eq!(read(&located, MANY).expect("reads"), b"raw");
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = folder(&[("file", b"")]);
        let here = dir.path().display();
        let missing = dir.path().join("nowhere");
        assert_eq!(
            locate(&missing).expect_err("no folder").to_string(),
            format!(
                "data folder `{here}/nowhere` does not exist; name the folder of the data files with --data DIR, such as \
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
        assert!(text.ends_with("train-images-idx3-ubyte` is not a regular file, expected a file of data"), "{text}");
    }

    #[test]
    fn broken_gzip_tells_how_far_it_got() {
        let whole = gzip(&vec![3; 10_008]);
        let mut garbled = whole.clone();
        let checksum = garbled.len() - 8;
        garbled[checksum] ^= 1;
        let table: [(&str, &[u8], &str); 4] = [
            ("cut", &whole[..whole.len() - 12], "good bytes and then a fault"),
            ("checksum", &garbled, "found 10008 good bytes"),
            ("not gzip", b"\0\0\x08\x01\0\0\x27\x10", "found 0 good bytes"),
            ("empty", b"", "found 0 good bytes"),
        ];
        for (fault, bytes, wanted) in table {
            let dir = folder(&[("t10k-labels-idx1-ubyte.gz", bytes)]);
            let located = locate_one(dir.path(), LABELS).expect("there");
            let text = read(&located, MANY).expect_err(fault).to_string();
            assert!(text.contains("t10k-labels-idx1-ubyte.gz` does not decode as gzip"), "{fault}: {text}");
            assert!(text.contains(wanted), "{fault}: {text}");
        }
    }

    #[test]
    fn a_bomb_is_read_no_further_than_is_asked_for() {
        let bomb = gzip(&vec![0; 50_000_000]);
        assert!(bomb.len() < 1_000_000);
        let raw = vec![0; 20_000];
        for (name, bytes) in [("t10k-labels-idx1-ubyte.gz", &bomb), ("t10k-labels-idx1-ubyte", &raw)] {
            let dir = folder(&[(name, bytes)]);
            let located = locate_one(dir.path(), LABELS).expect("there");
            let bytes = read(&located, 10_009).expect("reads");
            assert_eq!(bytes.len(), 10_009);
            assert!(bytes.capacity() < 100_000);
        }
    }
}
