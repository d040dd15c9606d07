//! The images a run learns from: loaded, checked to the last byte, and split so that the test part stays apart.
//!
//! A run that starts on damaged data wastes hours and reports nonsense, so a fault is an error here, before anything
//! trains. The `mnist` crate decodes the files; it is shown only what has been checked.

mod decode;
mod error;
mod files;
mod idx;
mod images;
mod located;
mod published;
mod split;
mod synthetic;

use std::path::Path;

pub use error::Error;
pub use images::{Images, read_images};
pub(crate) use located::{located, program};
pub use split::{Batch, GREY, Split};
pub use synthetic::{Synthetic, synthetic};

use crate::seed::stream;
use decode::Checked;
use published::Verdict;

/// Rows and columns of an image.
pub const SIDE: usize = 28;
/// Pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;
/// Classes that a label can name, `0..=9`.
pub const CLASSES: usize = 10;

/// Loads the four IDX files of a folder and holds `validation` of the 60,000 training images out.
///
/// Each file may be raw (`train-images-idx3-ubyte`) or gzip (`train-images-idx3-ubyte.gz`); raw wins if both are there.
/// The set must have the shape of MNIST: 60,000 and 10,000 images of 28 x 28 pixels in 10 classes. Other content, such
/// as Fashion-MNIST or a set of one's own, is welcome; a file that differs from the published set that the folder seems
/// to be is warned of.
///
/// Which images are held out derives from `split_seed` alone. Both parts keep the order of the files.
///
/// # Errors
/// If a file is missing or wrong, or no image would be left to train on.
pub fn load(dir: &Path, validation: usize, split_seed: u64) -> Result<Dataset, Error> {
    let (kept, held_out) = divide(idx::TRAINING, validation, split_seed)?;
    let located = files::locate(dir)?;
    let checked = Checked::new()?;
    let mut files = Vec::with_capacity(located.len());
    for (index, file) in located.iter().enumerate() {
        let bytes = files::read(file)?;
        idx::check(&file.path, &bytes, file.role)?;
        files.push(published::digest(index, &bytes));
        checked.add(file.role, &bytes)?;
    }
    let name = name(&published::folder_name(dir), &files);
    let (training, test) = checked.decode()?;
    Ok(Dataset { name, train: training.select(&kept), validation: training.select(&held_out), test, files })
}

/// What a run trains on, chooses by and is tested on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// `mnist` or `fashion-mnist` if all four files are the published ones, `synthetic` if drawn, else the folder's name.
    ///
    /// A folder may carry a name that it does not deserve: `files` tells by [`FileDigest::known`].
    pub name: String,
    /// Images to train on.
    pub train: Split,
    /// Images for every choice on the way: best epoch, early stop, accuracy budget.
    pub validation: Split,
    /// Private, so that nothing reads it in passing.
    test: Split,
    /// The files that the images came from, in the order train images, train labels, test images, test labels.
    pub files: Vec<FileDigest>,
}

/// A data file and its checksum, for the record of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDigest {
    /// The file's name, raw: without folder and without `.gz`.
    pub file: String,
    /// SHA-256 of the raw bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// Whether it is that file of MNIST or Fashion-MNIST, byte for byte.
    pub known: bool,
}

impl Dataset {
    /// The test images. Only Test may call this: a choice made on them makes their accuracy mean nothing.
    pub fn test_split(&self) -> &Split {
        &self.test
    }
}

/// The order in which an epoch goes through `len` images: each index once, shuffled; a function of (seed, epoch).
///
/// Indices are 32-bit: of more than 2^32 images, only the first 2^32 would take part.
pub fn order(len: usize, seed: u64, epoch: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..=u32::MAX).take(len).collect();
    stream(seed, "order", epoch).shuffle(&mut order);
    order
}

/// The indices of `training` images to keep and of `validation` to hold out, each ascending.
fn divide(training: usize, validation: usize, seed: u64) -> Result<(Vec<u32>, Vec<u32>), Error> {
    if validation >= training {
        return Err(Error::Validation { found: validation, training });
    }
    let mut kept: Vec<u32> = (0..=u32::MAX).take(training).collect();
    stream(seed, "split", 0).shuffle(&mut kept);
    let mut held_out = kept.split_off(training - validation);
    kept.sort_unstable();
    held_out.sort_unstable();
    Ok((kept, held_out))
}

/// How many of the images that the first split holds out for validation the second one trains on; both are (seed, images
/// held out) of the same `training` images.
///
/// # Errors
/// When one of them leaves no image to train on.
pub(crate) fn overlap(training: usize, own: (u64, usize), other: (u64, usize)) -> Result<usize, Error> {
    let (_, held_out) = divide(training, own.1, own.0)?;
    let (trained, _) = divide(training, other.1, other.0)?;
    Ok(held_out.iter().filter(|image| trained.binary_search(image).is_ok()).count())
}

/// The dataset's name; says once if the files are not what they seem.
fn name(folder: &str, files: &[FileDigest]) -> String {
    let sha256: Vec<&str> = files.iter().map(|file| file.sha256.as_str()).collect();
    match published::judge(folder, &sha256) {
        Verdict::Published(name) => return name.to_owned(),
        Verdict::Altered(words) => tracing::warn!("{words}"),
        Verdict::Own(words) => tracing::info!("{words}"),
    }
    folder.to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn mnist() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/mnist")
    }

    fn histogram(splits: &[&Split]) -> [usize; CLASSES] {
        let mut counts = [0; CLASSES];
        for split in splits {
            (0..split.len()).for_each(|index| counts[usize::from(split.label(index))] += 1);
        }
        counts
    }

    #[test]
    fn mnist_loads() {
        let data = load(&mnist(), 5_000, 1).expect("the shipped files");
        assert_eq!(data.name, "mnist");
        assert!(data.files.len() == 4 && data.files.iter().all(|file| file.known));
        assert_eq!((data.train.len(), data.validation.len(), data.test_split().len()), (55_000, 5_000, 10_000));
        let training = histogram(&[&data.train, &data.validation]);
        assert_eq!(training, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
        let test = histogram(&[data.test_split()]);
        assert_eq!(test, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
        // The published first test image is a 7, whose top stroke starts at row 7, column 6 with the value 84.
        assert_eq!(data.test_split().label(0), 7);
        let image = data.test_split().image(0);
        assert_eq!(image.iter().position(|&value| value > 0), Some(7 * SIDE + 6));
        assert_eq!(image[7 * SIDE + 6], 84);
    }

    #[test]
    fn a_copy_with_one_changed_pixel_takes_the_folder_s_name_and_keeps_its_images_with_their_labels() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = dir.path().join("own");
        fs::create_dir(&folder).expect("a folder");
        for file in files::locate(&mnist()).expect("the shipped files") {
            let mut bytes = files::read(&file).expect("the shipped files");
            if file.role.name == "t10k-images-idx3-ubyte" {
                bytes[16] = 1;
            }
            fs::write(folder.join(file.role.name), bytes).expect("room for the raw files");
        }
        let data = load(&folder, 0, 1).expect("raw files");
        assert_eq!(data.name, "own");
        assert_eq!(data.files.iter().map(|file| file.known).collect::<Vec<_>>(), [true, true, false, true]);
        assert_eq!(data.test_split().image(0)[0], 1);
        assert_eq!((data.train.len(), data.validation.len()), (60_000, 0));
        // The published training labels begin 5, 0, 4, 1, 9.
        assert_eq!([0, 1, 2, 3, 4].map(|index| data.train.label(index)), [5, 0, 4, 1, 9]);
        assert_eq!(data.train.gather(&[0]).pixels[5 * SIDE + 12], 3.0 / 255.0 - 0.5);

        fs::write(folder.join("t10k-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0x27, 0x10, 0]).expect("a small file");
        let text = load(&folder, 0, 1).expect_err("cut short").to_string();
        assert!(text.ends_with("own/t10k-labels-idx1-ubyte` is cut short: found 9 bytes, wanted 10008 by its header"));
        fs::remove_file(folder.join("t10k-labels-idx1-ubyte")).expect("it was there");
        let text = load(&folder, 0, 1).expect_err("missing").to_string();
        assert!(text.contains("own/t10k-labels-idx1-ubyte.gz"), "{text}");
    }

    #[test]
    fn a_division_is_disjoint_complete_and_the_seed_s_alone() {
        let (kept, held_out) = divide(1_000, 100, 1).expect("fewer");
        assert_eq!((kept.len(), held_out.len()), (900, 100));
        assert!(kept.is_sorted() && held_out.is_sorted());
        let mut all = [kept, held_out.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1_000).collect::<Vec<_>>());
        assert_eq!(divide(1_000, 100, 1).expect("fewer").1, held_out);
        assert_ne!(divide(1_000, 100, 2).expect("fewer").1, held_out);
        assert!(divide(1_000, 0, 1).expect("fewer").1.is_empty());
    }

    #[test]
    fn another_split_trains_on_most_of_what_this_one_holds_out() {
        let count = |own, other| overlap(1_000, own, other).expect("images are left");
        assert_eq!(
            (count((1, 100), (1, 100)), count((1, 50), (1, 100))),
            (0, 0),
            "fewer of the same seed are among them"
        );
        assert_eq!(count((1, 100), (1, 50)), 50);
        assert_eq!(count((2, 0), (1, 100)), 0);
        // Of 100 images another seed holds out about a tenth, too.
        assert!((80..100).contains(&count((2, 100), (1, 100))));
    }

    #[test]
    fn something_is_left_to_train_on() {
        assert_eq!(divide(60_000, 59_999, 1).expect("one is left").0.len(), 1);
        for found in [60_000, usize::MAX] {
            assert_eq!(
                load(&mnist(), found, 1).expect_err("nothing is left").to_string(),
                format!("validation split of {found} images, wanted fewer than the 60000 training images"),
            );
        }
    }

    #[test]
    fn an_order_is_a_function_of_seed_and_epoch() {
        assert_eq!(order(500, 1, 0), order(500, 1, 0));
        assert_ne!(order(500, 1, 0), order(500, 1, 1));
        assert_ne!(order(500, 1, 0), order(500, 2, 0));
        let mut sorted = order(500, 1, 7);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..500).collect::<Vec<_>>());
        assert!(order(0, 1, 0).is_empty());
    }
}
