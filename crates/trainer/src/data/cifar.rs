//! CIFAR-10 and CIFAR-100 in the binary layout that their authors publish, raw or gzipped: records of the labels' bytes and the
//! image's, `[channels, rows, columns]`.

use super::files::{check_folder, folder_name, is_file, raw_len, read_at_most};
use super::{Description, Error, FileDigest, MOST_PIXELS, Parts, Split};
use crate::files::digest;
use std::path::{Path, PathBuf};

/// One of the two sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cifar {
    /// Ten classes, one label byte.
    Ten,
    /// A hundred classes; of the two label bytes the second, the fine label, counts.
    Hundred,
}

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;
/// Bytes of the file with the classes' names, at most.
const NAMES: usize = 1 << 16;

impl Cifar {
    fn classes(self) -> usize {
        match self {
            Self::Ten => 10,
            Self::Hundred => 100,
        }
    }

    /// Bytes of labels before an image.
    fn labels(self) -> usize {
        match self {
            Self::Ten => 1,
            Self::Hundred => 2,
        }
    }

    fn record(self) -> usize {
        self.labels() + PIXELS
    }

    /// Folder of the published archive.
    fn folder(self) -> &'static str {
        match self {
            Self::Ten => "cifar-10-batches-bin",
            Self::Hundred => "cifar-100-binary",
        }
    }

    fn training(self) -> &'static [&'static str] {
        match self {
            Self::Ten => {
                &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"]
            }
            Self::Hundred => &["train.bin"],
        }
    }

    fn test(self) -> &'static str {
        match self {
            Self::Ten => "test_batch.bin",
            Self::Hundred => "test.bin",
        }
    }

    /// The file of the published archive with a class's name in each line.
    fn names(self) -> &'static str {
        match self {
            Self::Ten => "batches.meta.txt",
            Self::Hundred => "fine_label_names.txt",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ten => "cifar-10",
            Self::Hundred => "cifar-100",
        }
    }
}

/// A file of records.
struct Located {
    name: &'static str,
    path: PathBuf,
    gzip: bool,
}

/// Whether the folder holds files of this set, by the name of the test part.
pub(super) fn is_there(set: Cifar, dir: &Path) -> bool {
    let names = [set.test().to_owned(), format!("{}.gz", set.test())];
    [dir.to_owned(), dir.join(set.folder())].iter().any(|dir| names.iter().any(|name| dir.join(name).is_file()))
}

/// What the sizes of the files say.
///
/// # Errors
/// When a file is missing, or holds no whole number of records.
pub(super) fn describe(set: Cifar, dir: &Path) -> Result<Description, Error> {
    let located = locate(set, dir)?;
    let counts = located.iter().map(|file| count(set, file)).collect::<Result<Vec<_>, _>>()?;
    let (test, training) = counts.split_last().unwrap_or((&0, &[]));
    let class_names = names(set, located[0].path.parent().unwrap_or(dir))?;
    Ok(Description { shape: SHAPE, classes: set.classes(), train: training.iter().sum(), test: *test, class_names })
}

/// All images and labels.
///
/// # Errors
/// When a file is missing, damaged, or has a label that is no class.
pub(super) fn load(set: Cifar, dir: &Path) -> Result<Parts, Error> {
    let description = describe(set, dir)?;
    let (mut files, mut parts) = (vec![], [(vec![], vec![]), (vec![], vec![])]);
    let located = locate(set, dir)?;
    for (place, file) in located.iter().enumerate() {
        let wanted = count(set, file)? * set.record();
        // One more tells that it is too long.
        let bytes = read_at_most(&file.path, file.gzip, wanted + 1)?;
        if bytes.len() != wanted {
            let found = if bytes.len() > wanted { "more".to_owned() } else { bytes.len().to_string() };
            let why = format!("found {found} bytes, expected {wanted} by the file's size");
            return Err(Error::Content { path: file.path.clone(), why });
        }
        files.push(FileDigest { file: file.name.to_owned(), sha256: digest(&bytes), known: false });
        let (pixels, labels) = &mut parts[usize::from(place + 1 == located.len())];
        for (index, record) in bytes.chunks_exact(set.record()).enumerate() {
            let (label, image) = record.split_at(set.labels());
            let label = u16::from(label[set.labels() - 1]);
            if usize::from(label) >= set.classes() {
                let why = format!("record {index} has label {label}, expected 0 to {}", set.classes() - 1);
                return Err(Error::Content { path: file.path.clone(), why });
            }
            labels.push(label);
            pixels.extend_from_slice(image);
        }
    }
    let [training, test] = parts.map(|(pixels, labels)| Split::of_bytes(SHAPE, pixels, labels));
    let folder = folder_name(dir);
    let name = if folder == set.folder() { set.name().to_owned() } else { folder };
    Ok(Parts { name, description, training, test, files })
}

/// The files of the training part, and then that of the test part; in the folder or in the published archive's folder in it.
fn locate(set: Cifar, dir: &Path) -> Result<Vec<Located>, Error> {
    check_folder(dir)?;
    let inside = dir.join(set.folder());
    let dir = if inside.is_dir() { &inside } else { dir };
    let one = |name: &&'static str| {
        let (raw, gzip) = (dir.join(name), dir.join(format!("{name}.gz")));
        for (path, is_gzip) in [(&raw, false), (&gzip, true)] {
            if is_file(path)? {
                return Ok(Located { name, path: path.clone(), gzip: is_gzip });
            }
        }
        Err(Error::MissingFile { raw, gzip })
    };
    set.training().iter().chain([&set.test()]).map(one).collect()
}

/// The classes' names from beside the files, where they are there.
fn names(set: Cifar, dir: &Path) -> Result<Vec<String>, Error> {
    let path = dir.join(set.names());
    if !is_file(&path)? {
        return Ok(vec![]);
    }
    let bytes = read_at_most(&path, false, NAMES)?;
    let text = String::from_utf8_lossy(&bytes);
    let names: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if names.len() != set.classes() {
        let why = format!("found {} lines, expected a name in each of {}", names.len(), set.classes());
        return Err(Error::Content { path, why });
    }
    Ok(names)
}

/// Records of a file by its size.
fn count(set: Cifar, file: &Located) -> Result<usize, Error> {
    let length = raw_len(&file.path, file.gzip)?;
    let record = set.record() as u64;
    if length == 0 || !length.is_multiple_of(record) || length > MOST_PIXELS as u64 {
        let why = format!(
            "found {length} bytes{}, expected a whole number of records of {record} bytes, at least one",
            if file.gzip { " by the end of the gzip file" } else { "" }
        );
        return Err(Error::Content { path: file.path.clone(), why });
    }
    Ok((length / record) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::fs;
    use std::io::Write;

    /// A folder of so many records a file, with labels and first pixels that count up.
    fn made(set: Cifar, gzip: bool) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (place, name) in set.training().iter().chain([&set.test()]).enumerate() {
            let mut bytes = vec![];
            for record in 0..=place {
                bytes.extend(vec![(record % 10) as u8; set.labels()]);
                bytes.extend((0..PIXELS).map(|pixel| (place * 16 + pixel / 1024) as u8));
            }
            if gzip {
                let mut encoder = GzEncoder::new(vec![], Compression::fast());
                encoder.write_all(&bytes).expect("memory takes all");
                fs::write(dir.path().join(format!("{name}.gz")), encoder.finish().expect("memory"))
                    .expect("a small file");
            } else {
                fs::write(dir.path().join(name), bytes).expect("a small file");
            }
        }
        dir
    }

    #[test]
    fn both_sets_are_read_raw_and_gzipped() {
        for (set, train, test) in [(Cifar::Ten, 15, 6), (Cifar::Hundred, 1, 2)] {
            for gzip in [false, true] {
                let dir = made(set, gzip);
                let expected =
                    Description { shape: [3, 32, 32], classes: set.classes(), train, test, class_names: vec![] };
                assert_eq!(describe(set, dir.path()).expect("sound"), expected);
                let parts = load(set, dir.path()).expect("sound");
                assert_eq!((parts.description, parts.training.len(), parts.test.len()), (expected, train, test));
                assert_eq!(parts.test.label(1), 1);
                let names: Vec<String> = (0..set.classes()).map(|class| format!("name {class}")).collect();
                fs::write(dir.path().join(set.names()), names.join("\n") + "\n\n").expect("a small file");
                assert_eq!(describe(set, dir.path()).expect("sound").class_names, names);
                fs::write(dir.path().join(set.names()), "one\ntwo\n").expect("a small file");
                let said = describe(set, dir.path()).expect_err("two names").to_string();
                assert!(
                    said.contains(&format!("found 2 lines, expected a name in each of {}", set.classes())),
                    "{said}"
                );
                let image = parts.test.picture(1);
                let first = (set.training().len() * 16) as u8;
                assert_eq!([image[0], image[1023], image[1024], image[2048]], [first, first, first + 1, first + 2]);
            }
        }
    }

    #[test]
    fn the_folder_of_the_published_archive_may_stand_within() {
        let dir = made(Cifar::Ten, false);
        let outer = tempfile::tempdir().expect("a temporary folder");
        fs::rename(dir.path(), outer.path().join("cifar-10-batches-bin")).expect("moved");
        assert_eq!(describe(Cifar::Ten, outer.path()).expect("sound").train, 15);
        let parts = load(Cifar::Ten, &outer.path().join("cifar-10-batches-bin")).expect("sound");
        assert_eq!(parts.name, "cifar-10");
    }

    #[test]
    fn what_is_wrong_is_told_with_the_file() {
        let dir = made(Cifar::Ten, false);
        let path = dir.path().join("data_batch_2.bin");
        let error = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("a small file");
            load(Cifar::Ten, dir.path()).expect_err("damaged").to_string()
        };
        let sound = fs::read(&path).expect("there");
        assert!(error(&sound[1..]).contains("found 6145 bytes, expected a whole number of records of 3073 bytes"));
        assert!(error(&[]).contains("found 0 bytes"));
        let mut label = sound;
        label[3073] = 10;
        assert!(error(&label).contains("record 1 has label 10, expected 0 to 9"));
        fs::remove_file(&path).expect("there");
        let text = describe(Cifar::Ten, dir.path()).expect_err("missing").to_string();
        assert!(text.contains("data_batch_2.bin.gz"), "{text}");
        let gzipped = made(Cifar::Hundred, true);
        let path = gzipped.path().join("train.bin.gz");
        let mut bytes = fs::read(&path).expect("there");
        let end = bytes.len() - 4;
        bytes[end..].copy_from_slice(&(2 * 3074u32).to_le_bytes());
        fs::write(&path, bytes).expect("a small file");
        assert_eq!(describe(Cifar::Hundred, gzipped.path()).expect("believed").train, 2);
        assert!(load(Cifar::Hundred, gzipped.path()).is_err(), "and found out");
    }
}
