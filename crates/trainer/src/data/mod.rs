//! The images a run learns from: described before anything is planned, loaded, checked to the last byte, and split so that the
//! test part stays apart.
//!
//! A run that starts on damaged data wastes hours and reports nonsense, so a fault is an error here, before anything trains.
//! Each source is one file or folder beside this one: it describes its files by their headers, and loads them.

mod augment;
mod cifar;
mod error;
mod files;
mod idx;
mod image_folder;
mod located;
mod npz;
mod split;
mod synthetic;

pub use augment::Augment;
pub use error::Error;
pub(crate) use idx::MNIST;
pub use idx::{Images, read_images};
pub use image_folder::read_picture;
pub(crate) use located::{located, program};
pub use npz::read_inputs;
pub(crate) use split::Rows;
pub use split::{Batch, Split};

use crate::config::{DataConfig, Labels, Normalisation, Source};
use crate::files::digest;
use crate::seed::stream;
use cifar::Cifar;
use secateur_sparse::file::{Scale, wrong_class_names};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// Pixels of a part of a data set, at most: they are kept in memory.
const MOST_PIXELS: usize = 1 << 32;

/// What the network sees of a byte `b` by default: `b / 255 - 0.5`.
pub(crate) const CENTRED: Scale = Scale { divisor: 255.0, shift: -0.5 };

/// What a data set is, read from headers and labels before anything is planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Channels, rows and columns of an image.
    pub shape: [usize; 3],
    /// Classes that a label can name, from 0.
    pub classes: usize,
    /// Images of the training part, those that are held out for validation included.
    pub train: usize,
    /// Images of the test part.
    pub test: usize,
    /// The classes' names, one for each; none where they are only numbered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
}

impl Description {
    /// Numbers of an image.
    pub fn pixels(&self) -> usize {
        self.shape.iter().product()
    }

    /// That of the data of a run that an earlier version made, which knew no other shape than MNIST's.
    pub(crate) fn of_earlier_versions(data: &DataConfig) -> Self {
        match data.source {
            Source::Synthetic => synthetic::describe(data),
            Source::Idx | Source::Cifar10 | Source::Cifar100 | Source::Npz | Source::ImageFolder => MNIST,
        }
    }

    /// The share of right answers that guessing has.
    pub(crate) fn chance(&self) -> f64 {
        1.0 / self.classes as f64
    }
}

/// What a run trains on, chooses by and is tested on.
#[derive(Clone, Debug, PartialEq)]
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
    /// The files that the images came from, those of the training part first.
    pub files: Vec<FileDigest>,
    /// What it is as a whole.
    pub(crate) description: Description,
    /// By channel, what the network sees of a byte.
    pub(crate) scales: Vec<Scale>,
    /// What a teacher answers to the training images, `[image][class]`, where it has given the labels.
    pub(crate) teacher_logits: Arc<Vec<f32>>,
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

/// A data set as a source gives it, in the order of its files.
#[derive(Debug)]
struct Parts {
    name: String,
    description: Description,
    training: Split,
    test: Split,
    files: Vec<FileDigest>,
}

impl Dataset {
    /// The test images. Only Test may call this: a choice made on them makes their accuracy mean nothing.
    pub fn test_split(&self) -> &Split {
        &self.test
    }

    /// Gives the test images other labels.
    pub(crate) fn set_test_labels(&mut self, labels: Vec<u16>) {
        self.test.set_labels(labels);
    }

    /// The data, which came from `dir`, as the network sees it by these scales, one for each channel.
    fn scaled(mut self, dir: &Path, scales: Vec<Scale>) -> Result<Self, Error> {
        let [channels, ..] = self.train.shape();
        if scales.len() != channels {
            let why = format!("found images of {channels} channels, expected {}, as the model takes", scales.len());
            return Err(Error::Content { path: dir.into(), why });
        }
        for split in [&mut self.train, &mut self.validation, &mut self.test] {
            split.scale(&scales);
        }
        Ok(Self { scales, ..self })
    }
}

/// Describes the data that a config names.
///
/// # Errors
/// When a file is missing, or its header makes no sense, or a class has a name that cannot be printed.
pub fn describe(data: &DataConfig) -> Result<Description, Error> {
    let found = match data.source {
        Source::Idx => idx::describe(&data.dir)?,
        Source::Cifar10 => cifar::describe(Cifar::Ten, &data.dir)?,
        Source::Cifar100 => cifar::describe(Cifar::Hundred, &data.dir)?,
        Source::Npz => npz::describe(&data.dir, data.labels)?,
        Source::ImageFolder => image_folder::describe(data)?,
        Source::Synthetic => synthetic::describe(data),
    };
    match wrong_class_names(&found.class_names, found.classes) {
        Some(wrong) => {
            Err(Error::Content { path: data.dir.clone(), why: format!("the names of the classes: found {wrong}") })
        }
        None => Ok(found),
    }
}

/// Loads or draws the data that a config names, and holds images of the training part out for validation. `seed` draws synthetic
/// images; which images of files are held out derives from `data.split_seed` alone. Both parts keep the order of the files.
///
/// # Errors
/// If a file is missing or wrong, no image would be left to train on, or the images have other channels than a normalisation names.
pub fn load(data: &DataConfig, seed: u64) -> Result<Dataset, Error> {
    let own = divided(data, seed)?;
    let scale = |[mean, std]: [f64; 2]| {
        // A channel without any contrast stays as it is.
        let std = if std > 0.0 { std } else { 1.0 };
        Scale { divisor: (255.0 * std) as f32, shift: (-mean / std) as f32 }
    };
    let [channels, ..] = own.train.shape();
    let scales = match &data.normalisation {
        Normalisation::Centred {} => vec![CENTRED; channels],
        Normalisation::None {} => {
            // A byte as a number is the byte; a number stands for itself, and a byte in its place for a fraction of white.
            let divisor = if own.train.is_bytes() || own.train.is_whole() { 1.0 } else { 255.0 };
            vec![Scale { divisor, shift: 0.0 }; channels]
        }
        Normalisation::Training {} => own.train.statistics().into_iter().map(scale).collect(),
        Normalisation::Given { mean, std } => mean.iter().zip(std).map(|(mean, std)| scale([*mean, *std])).collect(),
    };
    if own.train.is_whole() && data.normalisation != (Normalisation::None {}) {
        let why = "found whole numbers, which the network takes as they are, expected data.normalisation = { kind = \"none\" } beside them";
        return Err(Error::Content { path: data.dir.clone(), why: why.into() });
    }
    // Of images that are drawn nothing lies in a folder.
    if !data.source.is_drawn() {
        doubts(&data.normalisation, &own).iter().for_each(|doubt| tracing::warn!("`{}`: {doubt}", data.dir.display()));
    }
    own.scaled(&data.dir, scales)
}

/// What is likely a mistake in the files: numbers that are far from fractions of white, and classes without an image.
fn doubts(normalisation: &Normalisation, own: &Dataset) -> Vec<String> {
    let mut found = vec![];
    let far = |[mean, std]: [f64; 2]| mean.abs().max(std) > 8.0;
    if !normalisation.is_measured()
        && *normalisation != (Normalisation::None {})
        && !own.train.is_bytes()
        && let Some([mean, std]) = own.train.statistics().into_iter().find(|own| far(*own))
    {
        found.push(format!(
            "found a channel of mean {mean:.1} and standard deviation {std:.1}, expected fractions of white, which is 1.0; \
             divide by 255, or set data.normalisation = {{ kind = \"training\" }}"
        ));
    }
    // Without labels nothing is known of classes.
    let mut counts = vec![0usize; own.description.classes];
    if counts.is_empty() {
        return found;
    }
    (0..own.train.len()).for_each(|index| counts[usize::from(own.train.label(index))] += 1);
    let empty = || counts.iter().enumerate().filter(|(_, count)| **count == 0).map(|(class, _)| class);
    if let Some(first) = empty().next()
        && 10 * empty().count() > counts.len()
    {
        found.push(format!(
            "found no image to train on for {} of {} classes, the first of them {first}; expected labels from 0 on without gaps",
            empty().count(),
            counts.len()
        ));
    }
    found
}

/// The parts of the data, whose pixels are not scaled yet.
fn divided(data: &DataConfig, seed: u64) -> Result<Dataset, Error> {
    let parts = match data.source {
        Source::Idx => idx::load(&data.dir)?,
        Source::Cifar10 => cifar::load(Cifar::Ten, &data.dir)?,
        Source::Cifar100 => cifar::load(Cifar::Hundred, &data.dir)?,
        Source::Npz => npz::load(&data.dir, data.labels)?,
        Source::ImageFolder => image_folder::load(data)?,
        Source::Synthetic => return Ok(synthetic::draw(data, seed)),
    };
    let Parts { name, description, training, test, files } = parts;
    let (kept, held_out) = divide(description.train, data.validation, data.split_seed)?;
    // Without a validation part nothing is copied.
    let (train, validation) = match held_out.is_empty() {
        true => (training, test.select(&[])),
        false => (training.select(&kept), training.select(&held_out)),
    };
    Ok(Dataset { name, train, validation, test, files, description, scales: vec![], teacher_logits: Arc::default() })
}

/// All images of a folder, none held out, as a model takes them that sees bytes by these scales: one for each channel, or one for
/// all. A run's data says of what kind the files are, and what becomes of pictures; without one the files' names do.
///
/// # Errors
/// If a file is missing or wrong, or the images have other channels than there are scales.
pub(crate) fn load_for_model(dir: &Path, run: Option<&DataConfig>, scales: &[Scale]) -> Result<Dataset, Error> {
    let like = run.filter(|own| !own.source.is_drawn()).cloned();
    let like = like.unwrap_or_else(|| DataConfig { source: detect(dir), ..DataConfig::default() });
    let data = DataConfig { dir: dir.into(), validation: 0, labels: Labels::Files, ..like };
    let own = divided(&data, 0)?;
    let [channels, ..] = own.train.shape();
    let scales = if scales.len() == 1 { scales.repeat(channels) } else { scales.to_vec() };
    own.scaled(dir, scales)
}

/// What kind of files a folder holds, by their names: IDX where it is none of the others.
fn detect(dir: &Path) -> Source {
    if dir.is_file() {
        return Source::Npz;
    }
    if dir.join("train").is_dir() {
        return Source::ImageFolder;
    }
    let others = [(Source::Cifar10, Cifar::Ten), (Source::Cifar100, Cifar::Hundred)];
    let found = others.into_iter().find(|(_, set)| cifar::is_there(*set, dir));
    found.map_or(Source::Idx, |(source, _)| source)
}

/// What says which images a set's training part has: the SHA-256 of its only file, or of those of its files; `None` for images
/// out of a formula.
pub(crate) fn training_sha256(source: Source, files: &[FileDigest]) -> Option<String> {
    let training = match source {
        Source::Idx | Source::Npz | Source::ImageFolder => 1,
        Source::Cifar10 | Source::Cifar100 => files.len().saturating_sub(1),
        Source::Synthetic => return None,
    };
    match files.get(..training)? {
        [] => None,
        [one] => Some(one.sha256.clone()),
        more => Some(digest(more.iter().map(|file| file.sha256.as_str()).collect::<Vec<_>>().join(" ").as_bytes())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn mnist_files() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/mnist")
    }

    fn load_idx(dir: &Path, validation: usize) -> Result<Dataset, Error> {
        load(&DataConfig { dir: dir.into(), validation, ..DataConfig::default() }, 1)
    }

    fn histogram(splits: &[&Split]) -> [usize; 10] {
        let mut counts = [0; 10];
        for split in splits {
            (0..split.len()).for_each(|index| counts[usize::from(split.label(index))] += 1);
        }
        counts
    }

    #[test]
    fn mnist_loads() {
        let data = load_idx(&mnist_files(), 5_000).expect("the shipped files");
        assert_eq!(data.name, "mnist");
        assert!(data.files.len() == 4 && data.files.iter().all(|file| file.known));
        assert_eq!((data.train.len(), data.validation.len(), data.test_split().len()), (55_000, 5_000, 10_000));
        let training = histogram(&[&data.train, &data.validation]);
        assert_eq!(training, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
        let test = histogram(&[data.test_split()]);
        assert_eq!(test, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
        // The published first test image is a 7, whose top stroke starts at row 7, column 6 with the value 84.
        assert_eq!(data.test_split().label(0), 7);
        let image = data.test_split().picture(0);
        assert_eq!(image.iter().position(|&value| value > 0), Some(7 * 28 + 6));
        assert_eq!(image[7 * 28 + 6], 84);
        assert_eq!(data.scales, [CENTRED]);
    }

    #[test]
    fn a_copy_with_one_changed_pixel_takes_the_folder_s_name_and_keeps_its_images_with_their_labels() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = dir.path().join("own");
        fs::create_dir(&folder).expect("a folder");
        for name in
            ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
        {
            let packed = mnist_files().join(format!("{name}.gz"));
            let mut bytes = files::read_at_most(&packed, true, usize::MAX).expect("the shipped files");
            if name == "t10k-images-idx3-ubyte" {
                bytes[16] = 1;
            }
            fs::write(folder.join(name), bytes).expect("room for the raw files");
        }
        let data = load_idx(&folder, 0).expect("raw files");
        assert_eq!(data.name, "own");
        assert_eq!(data.files.iter().map(|file| file.known).collect::<Vec<_>>(), [true, true, false, true]);
        assert_eq!(data.test_split().picture(0)[0], 1);
        assert_eq!((data.train.len(), data.validation.len()), (60_000, 0));
        // The published training labels begin 5, 0, 4, 1, 9.
        assert_eq!([0, 1, 2, 3, 4].map(|index| data.train.label(index)), [5, 0, 4, 1, 9]);
        assert_eq!(data.train.gather(&[0]).pixels[5 * 28 + 12], 3.0 / 255.0 - 0.5);

        fs::write(folder.join("t10k-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0x27, 0x10, 0]).expect("a small file");
        let text = load_idx(&folder, 0).expect_err("cut short").to_string();
        assert!(text.ends_with("own/t10k-labels-idx1-ubyte` is cut short: found 9 bytes, wanted 10008 by its header"));
        fs::remove_file(folder.join("t10k-labels-idx1-ubyte")).expect("it was there");
        let text = load_idx(&folder, 0).expect_err("missing").to_string();
        assert!(text.contains("own/t10k-labels-idx1-ubyte.gz"), "{text}");
    }

    #[test]
    fn what_is_likely_a_mistake_is_told() {
        let set = |classes: usize, brightest: f32, labels: &[u16]| {
            let split = Split::of_floats([1, 1, 2], vec![brightest; 2 * labels.len()], labels.to_vec());
            let (validation, test) = (split.select(&[]), split.select(&[]));
            let description = Description { shape: [1, 1, 2], classes, train: labels.len(), ..MNIST };
            Dataset {
                name: "x".into(),
                train: split,
                validation,
                test,
                files: vec![],
                description,
                scales: vec![],
                teacher_logits: Arc::default(),
            }
        };
        let (centred, training) = (Normalisation::Centred {}, Normalisation::Training {});
        assert!(doubts(&centred, &set(2, 1.0, &[0, 1])).is_empty());
        let [said] = &doubts(&centred, &set(2, 200.0, &[0, 1]))[..] else { panic!("one doubt") };
        assert!(
            said.starts_with("found a channel of mean 200.0 and standard deviation 0.0, expected fractions"),
            "{said}"
        );
        assert!(doubts(&training, &set(2, 200.0, &[0, 1])).is_empty());
        let [said] = &doubts(&centred, &set(41, 1.0, &[0, 20, 40]))[..] else { panic!("one doubt") };
        assert!(said.starts_with("found no image to train on for 38 of 41 classes, the first of them 1;"), "{said}");
        // Some published sets count from 1.
        assert!(doubts(&centred, &set(11, 1.0, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10])).is_empty());
    }

    #[test]
    fn normalisation_is_by_channel_and_from_the_images_to_train_on() {
        let data = |normalisation| DataConfig {
            dir: mnist_files(),
            validation: 10_000,
            normalisation,
            ..DataConfig::default()
        };
        let own = load(&data(Normalisation::Training {}), 1).expect("the shipped files");
        let [[mean, std]] = own.train.statistics()[..] else { panic!("one channel") };
        assert!((mean - 0.1307).abs() < 2e-3 && (std - 0.3081).abs() < 2e-3, "MNIST's, about: {mean} {std}");
        let batch = own.train.gather(&(0..own.train.len() as u32).collect::<Vec<_>>()).pixels;
        let sum = |of: &dyn Fn(f64) -> f64| batch.iter().map(|value| of(f64::from(*value))).sum::<f64>();
        let count = batch.len() as f64;
        assert!((sum(&|value| value) / count).abs() < 1e-4);
        assert!((sum(&|value| value * value) / count - 1.0).abs() < 1e-4);
        let given = Normalisation::Given { mean: vec![0.5], std: vec![0.25] };
        let given = load(&data(given), 1).expect("the shipped files");
        assert_eq!(given.test_split().gather(&[0]).pixels[0], -2.0, "black");
        let three = Normalisation::Given { mean: vec![0.5; 3], std: vec![0.25; 3] };
        let error = load(&data(three), 1).expect_err("images in shades of grey").to_string();
        assert!(error.ends_with("found images of 1 channels, expected 3, as the model takes"), "{error}");
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
                load_idx(&mnist_files(), found).expect_err("nothing is left").to_string(),
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
