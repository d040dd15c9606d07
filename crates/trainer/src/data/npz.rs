//! Arrays of NumPy in one file, as `numpy.savez` writes them: `x_train`, `y_train`, `x_test` and `y_test`.
//!
//! Images are bytes, `[n, rows, columns]`, `[n, rows, columns, channels]` or `[n, channels, rows, columns]`, or f32 of the same
//! shapes, or whole numbers that the network takes as they are; rows of a table are `[n, columns]`. Labels are whole numbers, `[n]` or
//! `[n, 1]`; a teacher may give them instead. An array in the archive is a header and the bare values:
//!
//! ```text
//! 93 'NUMPY' 01 00  76 00  {'descr': '|u1', 'fortran_order': False, 'shape': (2, 28, 28), } ..\n  values
//! magic      version length text
//! ```

use super::files::is_file;
use super::{Description, Error, FileDigest, MOST_PIXELS, Parts, Split};
use crate::config::Labels;
use crate::files::sha256;
use secateur_report::regular;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

/// Longest text of a header.
const HEADER: usize = 1 << 16;
/// Most channels of an image: an axis with more is one of its sides.
const CHANNELS: usize = 4;

/// What the headers of the images, and the labels, say.
///
/// # Errors
/// When an array is missing, or is not of a kind or a shape that is read.
pub(super) fn describe(path: &Path, labels_of: Labels) -> Result<Description, Error> {
    let mut archive = open(path)?;
    let training = layout(path, &mut archive, "train")?;
    let test = layout(path, &mut archive, "test")?;
    let classes = match labels_of {
        Labels::Files => {
            let train = labels(path, &mut archive, "y_train", ("x_train", training.count))?;
            let test = labels(path, &mut archive, "y_test", ("x_test", test.count))?;
            usize::from(train.into_iter().chain(test).max().unwrap_or(0)) + 1
        }
        // The teacher knows.
        Labels::Teacher => 0,
    };
    if training.shape != test.shape {
        let why = format!("found images of {:?} in x_test, expected {:?} as in x_train", test.shape, training.shape);
        return Err(Error::Content { path: path.into(), why });
    }
    Ok(Description { shape: training.shape, classes, train: training.count, test: test.count, class_names: vec![] })
}

/// All images and labels.
///
/// # Errors
/// When an array is missing, damaged, or not of a kind or a shape that is read.
pub(super) fn load(path: &Path, labels_of: Labels) -> Result<Parts, Error> {
    let description = describe(path, labels_of)?;
    let mut archive = open(path)?;
    let mut part = |name: &str| {
        let layout = layout(path, &mut archive, name)?;
        let labels = match labels_of {
            Labels::Files => labels(path, &mut archive, &format!("y_{name}"), (&format!("x_{name}"), layout.count))?,
            Labels::Teacher => vec![0; layout.count],
        };
        images(path, &mut archive, name, &layout, labels)
    };
    let (training, test) = (part("train")?, part("test")?);
    let file = path.file_name().map_or_else(|| "data".into(), |name| name.to_string_lossy().into_owned());
    let unreadable = |_| Error::Content { path: path.into(), why: "cannot be read".into() };
    let files = vec![FileDigest { file, sha256: sha256(path).map_err(unreadable)?, known: false }];
    let name = path.file_stem().map_or_else(|| "data".into(), |name| name.to_string_lossy().into_owned());
    Ok(Parts { name, description, training, test, files })
}

/// Inputs of a network: the array `x`, or `x_train`, as `[n, channels, rows, columns]` of these sides, those of 1 left out or not, or
/// `[n, numbers]`; and the labels `y`, or `y_train`, where the file has any. f32 and whole numbers are what the network takes; bytes are scaled by `scale`,
/// which is given those of an image.
///
/// # Errors
/// When there is no such array, or it is of another kind or shape.
pub fn read_inputs(
    path: &Path,
    input: [usize; 3],
    scale: impl Fn(&[u8]) -> Vec<f32>,
) -> Result<(Vec<f32>, Option<Vec<u16>>), Error> {
    let mut archive = open(path)?;
    let has = |archive: &ZipArchive<_>, name: &str| archive.index_for_name(&format!("{name}.npy")).is_some();
    let (name, answers) = match has(&archive, "x_train") && !has(&archive, "x") {
        true => ("x_train", "y_train"),
        false => ("x", "y"),
    };
    let pixels = input.iter().product::<usize>();
    let Array { dtype, shape, mut values } = array(path, &mut archive, name)?;
    let refuse = |why: String| Error::Content { path: path.into(), why: format!("{name}: {why}") };
    let count = shape.first().copied().unwrap_or(0);
    let long = |sides: &[usize]| sides.iter().copied().filter(|side| *side != 1).collect::<Vec<_>>();
    let own = shape.get(1..).unwrap_or(&[]);
    let fits = own == [pixels] || long(own) == long(&input);
    let size = count.checked_mul(pixels).filter(|size| fits && (1..=MOST_PIXELS).contains(size));
    let Some(size) = size else {
        return Err(refuse(format!(
            "found shape {shape:?}, expected [n, ...] with {input:?} (channels, rows, columns) or [{pixels}] an image, as the model \
             takes, and at most {MOST_PIXELS} numbers in all"
        )));
    };
    let Some(numbers) = Numbers::of(&dtype) else {
        return Err(refuse(format!("found values of type {dtype:?}, expected uint8, float32, or other whole numbers")));
    };
    let bytes = exactly(&mut values, numbers.width() * size).map_err(refuse)?;
    let inputs = match numbers {
        Numbers::Bytes => bytes.chunks_exact(pixels).flat_map(scale).collect(),
        // Of what is no number the network answers what it answers.
        Numbers::Floats => bytes.as_chunks().0.iter().map(|own| f32::from_le_bytes(*own)).collect(),
        Numbers::Whole(width, _) => {
            bytes.chunks_exact(width).map(|own| numbers.read(own).unwrap_or(f32::NAN)).collect()
        }
    };
    drop(values);
    let labels = has(&archive, answers).then(|| labels(path, &mut archive, answers, (name, count))).transpose()?;
    Ok((inputs, labels))
}

fn open(path: &Path) -> Result<ZipArchive<BufReader<File>>, Error> {
    if !is_file(path)? {
        let found = if path.is_dir() { "a folder" } else { "nothing" };
        let why = format!("found {found}, expected an npz file");
        return Err(Error::Content { path: path.into(), why });
    }
    let file = regular::open(path).map_err(|source| Error::Read { path: path.into(), source })?;
    ZipArchive::new(BufReader::new(file)).map_err(|error| Error::Content {
        path: path.into(),
        why: format!("no npz file, or one that is cut short: expected a zip archive, found {error}"),
    })
}

/// An array whose values come next.
struct Array<R> {
    dtype: String,
    shape: Vec<usize>,
    values: R,
}

/// The header of an array of the archive.
fn array<'a>(
    path: &Path,
    archive: &'a mut ZipArchive<BufReader<File>>,
    name: &str,
) -> Result<Array<impl Read + 'a>, Error> {
    let refuse = |why: String| Error::Content { path: path.into(), why: format!("{name}: {why}") };
    let mut names: Vec<String> =
        archive.file_names().take(20).flatten().map(|own| own.trim_end_matches(".npy").to_owned()).collect();
    names.sort();
    let mut values = archive
        .by_name(&format!("{name}.npy"))
        .map_err(|error| refuse(format!("cannot be read ({error}); the file has {}", names.join(", "))))?;
    let mut head = vec![];
    values.by_ref().take(8).read_to_end(&mut head).map_err(|error| refuse(error.to_string()))?;
    let [0x93, b'N', b'U', b'M', b'P', b'Y', version, _] = head[..] else {
        return Err(refuse("found no NumPy array".into()));
    };
    let mut length = vec![];
    let width = if version == 1 { 2 } else { 4 };
    values.by_ref().take(width).read_to_end(&mut length).map_err(|error| refuse(error.to_string()))?;
    length.resize(4, 0);
    let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
    let mut text = vec![];
    values
        .by_ref()
        .take(length.min(HEADER) as u64)
        .read_to_end(&mut text)
        .map_err(|error| refuse(error.to_string()))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    if text.contains("'fortran_order': True") {
        return Err(refuse(
            "found values in Fortran's order, expected C's: numpy.ascontiguousarray makes them so".into(),
        ));
    }
    let Some((dtype, shape)) = parse(&text) else {
        let text: String = text.chars().take(200).collect();
        return Err(refuse(format!("found the header {:?}, expected one with dtype and shape", text.trim_end())));
    };
    Ok(Array { dtype, shape, values })
}

/// Type and shape that a header's text tells; `None` where it does not, or the values are in Fortran's order.
fn parse(text: &str) -> Option<(String, Vec<usize>)> {
    let value = |key: &str| Some(text.split_once(&format!("'{key}':"))?.1.trim_start());
    let dtype = value("descr")?.strip_prefix('\'')?.split_once('\'')?.0;
    value("fortran_order")?.strip_prefix("False")?;
    let sides = value("shape")?.strip_prefix('(')?.split_once(')')?.0;
    let sides = sides.split(',').map(str::trim).filter(|side| !side.is_empty());
    Some((dtype.to_owned(), sides.map(|side| side.parse().ok()).collect::<Option<Vec<usize>>>()?))
}

/// How the images of a part lie.
struct Layout {
    count: usize,
    /// Channels, rows and columns.
    shape: [usize; 3],
    channels_last: bool,
    numbers: Numbers,
}

/// What the numbers of an image are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    Bytes,
    Floats,
    /// Whole numbers of so many bytes.
    Whole(usize, Sign),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Signed,
    Unsigned,
}

/// The type of whole numbers, by NumPy's name.
fn whole(dtype: &str) -> Option<(usize, Sign)> {
    Some(match dtype {
        "|u1" => (1, Sign::Unsigned),
        "|i1" => (1, Sign::Signed),
        "<u2" => (2, Sign::Unsigned),
        "<i2" => (2, Sign::Signed),
        "<u4" => (4, Sign::Unsigned),
        "<i4" => (4, Sign::Signed),
        "<u8" => (8, Sign::Unsigned),
        "<i8" => (8, Sign::Signed),
        _ => return None,
    })
}

impl Numbers {
    fn of(dtype: &str) -> Option<Self> {
        match dtype {
            "|u1" => Some(Self::Bytes),
            "<f4" => Some(Self::Floats),
            _ => whole(dtype).map(|(width, sign)| Self::Whole(width, sign)),
        }
    }

    fn width(self) -> usize {
        match self {
            Self::Bytes => 1,
            Self::Floats => 4,
            Self::Whole(width, _) => width,
        }
    }

    /// A number out of its bytes, little-endian.
    ///
    /// # Errors
    /// What it is instead of a finite number that f32 holds.
    fn read(self, bytes: &[u8]) -> Result<f32, String> {
        match self {
            Self::Bytes => Ok(f32::from(bytes[0])),
            Self::Floats => {
                let own = f32::from_le_bytes(*bytes.first_chunk().expect("four bytes"));
                own.is_finite().then_some(own).ok_or_else(|| format!("{own}, expected finite numbers"))
            }
            Self::Whole(width, sign) => {
                let is_negative = sign == Sign::Signed && bytes[width - 1] & 0x80 != 0;
                let mut all = [if is_negative { 0xff } else { 0 }; 16];
                all[..width].copy_from_slice(bytes);
                let own = i128::from_le_bytes(all);
                // From there on not every whole number is one of f32.
                let is_held = own.unsigned_abs() <= 1 << 24;
                is_held.then_some(own as f32).ok_or_else(|| format!("{own}, expected at most 2^24, either way"))
            }
        }
    }
}

fn layout(path: &Path, archive: &mut ZipArchive<BufReader<File>>, part: &str) -> Result<Layout, Error> {
    let name = format!("x_{part}");
    let Array { dtype, shape, .. } = array(path, archive, &name)?;
    let refuse = |why: String| Err(Error::Content { path: path.into(), why: format!("{name}: {why}") });
    let Some(numbers) = Numbers::of(&dtype) else {
        return refuse(format!("found values of type {dtype:?}, expected uint8, float32, or other whole numbers"));
    };
    let (count, own, channels_last) = match shape[..] {
        [count, columns] => (count, [1, 1, columns], false),
        [count, rows, columns] => (count, [1, rows, columns], false),
        [count, rows, columns, channels] if channels <= CHANNELS => (count, [channels, rows, columns], true),
        [count, channels, rows, columns] if channels <= CHANNELS => (count, [channels, rows, columns], false),
        _ => {
            return refuse(format!(
                "found shape {shape:?}, expected images as [n, rows, columns], [n, rows, columns, channels] or \
                 [n, channels, rows, columns], or rows of a table as [n, columns], with at most {CHANNELS} channels"
            ));
        }
    };
    let size = own.iter().try_fold(count, |product, side| product.checked_mul(*side));
    if size.is_none_or(|size| !(1..=MOST_PIXELS).contains(&size)) {
        return refuse(format!("found shape {shape:?}, expected at least one pixel and at most {MOST_PIXELS}"));
    }
    Ok(Layout { count, shape: own, channels_last, numbers })
}

/// The labels of this name, one for each of so many images of the array of that name.
fn labels(
    path: &Path,
    archive: &mut ZipArchive<BufReader<File>>,
    name: &str,
    (images, count): (&str, usize),
) -> Result<Vec<u16>, Error> {
    let Array { dtype, shape, mut values } = array(path, archive, name)?;
    let refuse = |why: String| Error::Content { path: path.into(), why: format!("{name}: {why}") };
    if shape != [count] && shape != [count, 1] {
        return Err(refuse(format!("found shape {shape:?}, expected [{count}], one label for each image of {images}")));
    }
    let Some((width, sign)) = whole(&dtype) else {
        return Err(refuse(format!("found values of type {dtype:?}, expected whole numbers")));
    };
    let bytes = exactly(&mut values, count * width).map_err(refuse)?;
    let label = |(index, value): (usize, &[u8])| {
        let negative = sign == Sign::Signed && value[width - 1] & 0x80 != 0;
        let small = value.iter().skip(2).all(|byte| *byte == 0);
        let label = u16::from_le_bytes([value[0], value.get(1).copied().unwrap_or(0)]);
        (!negative && small && label < u16::MAX).then_some(label).ok_or_else(|| {
            refuse(format!("the label at index {index} is negative or above {}, expected a class", u16::MAX - 1))
        })
    };
    bytes.chunks_exact(width).enumerate().map(label).collect()
}

fn images(
    path: &Path,
    archive: &mut ZipArchive<BufReader<File>>,
    part: &str,
    layout: &Layout,
    labels: Vec<u16>,
) -> Result<Split, Error> {
    let name = format!("x_{part}");
    let mut values = array(path, archive, &name)?.values;
    let refuse = |why: String| Error::Content { path: path.into(), why: format!("{name}: {why}") };
    let [channels, rows, columns] = layout.shape;
    let size = layout.count * channels * rows * columns;
    let width = layout.numbers.width();
    let bytes = exactly(&mut values, width * size).map_err(refuse)?;
    if layout.numbers == Numbers::Bytes {
        return Ok(Split::of_bytes(layout.shape, channels_first(bytes, layout), labels));
    }
    let number = |(index, bytes): (usize, &[u8])| {
        layout.numbers.read(bytes).map_err(|found| refuse(format!("value {index} is {found}")))
    };
    let numbers: Vec<f32> = bytes.chunks_exact(width).enumerate().map(number).collect::<Result<_, _>>()?;
    let pixels = channels_first(numbers, layout);
    Ok(match layout.numbers {
        Numbers::Whole(..) => Split::of_numbers(layout.shape, pixels, labels),
        Numbers::Bytes | Numbers::Floats => Split::of_floats(layout.shape, pixels, labels),
    })
}

/// So many bytes, and no more. Memory follows what is read, not what a header claims.
fn exactly(values: &mut impl Read, count: usize) -> Result<Vec<u8>, String> {
    let mut bytes = vec![];
    values.take(count as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    match bytes.len() {
        found if found == count => Ok(bytes),
        found if found > count => Err(format!("found more than the {count} bytes that its shape asks for")),
        found => Err(format!("cut short: found {found} bytes, expected {count} by its shape")),
    }
}

/// `[n, rows, columns, channels]` to `[n, channels, rows, columns]`, where that is how they lie.
fn channels_first<T: Copy>(values: Vec<T>, layout: &Layout) -> Vec<T> {
    let [channels, rows, columns] = layout.shape;
    if !layout.channels_last || channels == 1 {
        return values;
    }
    let mut out = Vec::with_capacity(values.len());
    for image in values.chunks_exact(channels * rows * columns) {
        for channel in 0..channels {
            out.extend(image.iter().skip(channel).step_by(channels));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn npy(dtype: &str, shape: &str, values: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let head = [b"\x93NUMPY\x01\0".as_slice(), &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat();
        [&head[..], values].concat()
    }

    fn npz(folder: &Path, arrays: &[(&str, Vec<u8>)]) -> std::path::PathBuf {
        let path = folder.join("own.npz");
        let mut writer = ZipWriter::new(File::create(&path).expect("a file"));
        for (name, bytes) in arrays {
            writer.start_file(format!("{name}.npy"), SimpleFileOptions::default()).expect("a name");
            writer.write_all(bytes).expect("written");
        }
        writer.finish().expect("written");
        path
    }

    /// Two training images and one test image of two channels and 1 x 3 pixels, channels last.
    fn sound() -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("x_train", npy("|u1", "2, 1, 3, 2", &[0, 10, 1, 11, 2, 12, 20, 30, 21, 31, 22, 32])),
            ("y_train", npy("<i8", "2,", &[3i64.to_le_bytes(), 0i64.to_le_bytes()].concat())),
            ("x_test", npy("|u1", "1, 1, 3, 2", &[5; 6])),
            ("y_test", npy("|u1", "1, 1", &[1])),
        ]
    }

    #[test]
    fn bytes_with_channels_last_are_turned() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = npz(folder.path(), &sound());
        let expected = Description { shape: [2, 1, 3], classes: 4, train: 2, test: 1, class_names: vec![] };
        assert_eq!(describe(&path, Labels::Files).expect("sound"), expected);
        let parts = load(&path, Labels::Files).expect("sound");
        assert_eq!((parts.description, parts.name.as_str()), (expected, "own"));
        assert_eq!(parts.training.picture(1), [20, 21, 22, 30, 31, 32]);
        assert_eq!((parts.training.label(0), parts.test.label(0)), (3, 1));
    }

    #[test]
    fn floats_stay_floats() {
        let folder = tempfile::tempdir().expect("a folder");
        let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let mut arrays = sound();
        arrays[0].1 = npy("<f4", "2, 1, 2", &floats(&[0.0, 1.0, -1.0, 3.0]));
        arrays[2].1 = npy("<f4", "1, 1, 2", &floats(&[0.5, 0.25]));
        let parts = load(&npz(folder.path(), &arrays), Labels::Files).expect("sound");
        assert_eq!(parts.description.shape, [1, 1, 2]);
        assert_eq!(parts.training.gather(&[1]).pixels, [-1.0, 3.0]);
        arrays[2].1 = npy("<f4", "1, 1, 2", &floats(&[0.5, f32::NAN]));
        let error = load(&npz(folder.path(), &arrays), Labels::Files).expect_err("no number").to_string();
        assert!(error.contains("x_test: value 1 is NaN"), "{error}");
    }

    #[test]
    fn whole_numbers_stay_what_they_are_and_labels_may_be_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        for (dtype, width) in [("|i1", 1), ("<i2", 2), ("<u2", 2), ("<i4", 4), ("<u4", 4), ("<i8", 8), ("<u8", 8)] {
            let bytes = |values: &[i128]| values.iter().flat_map(|own| own.to_le_bytes()[..width].to_vec()).collect();
            let rows =
                |values: &[i128], shape: &str| -> Vec<u8> { npy(dtype, shape, &Vec::<u8>::clone(&bytes(values))) };
            let least = if dtype.contains('i') { -3 } else { 3 };
            let mut arrays =
                vec![("x_train", rows(&[0, least, 100, 7, 8, 9], "2, 3")), ("x_test", rows(&[1, 2, 3], "1, 3"))];
            let path = npz(folder.path(), &arrays);
            let Parts { mut training, description, .. } = load(&path, Labels::Teacher).expect(dtype);
            assert_eq!((description.shape, description.classes), ([1, 1, 3], 0));
            training.scale(&[secateur_sparse::file::Scale { divisor: 7.0, shift: 3.0 }]);
            assert_eq!(training.gather(&[0, 1]).pixels, [0.0, least as f32, 100.0, 7.0, 8.0, 9.0], "{dtype}");
            if width > 2 {
                arrays[1].1 = rows(&[1, i128::MAX, 3], "1, 3");
                let error = load(&npz(folder.path(), &arrays), Labels::Teacher).map(drop);
                // Of a signed type all bits set are -1.
                assert_eq!(error.is_err(), dtype.contains('u'), "{dtype}");
                arrays[1].1 = rows(&[1, 1 << 25, 3], "1, 3");
                let error = load(&npz(folder.path(), &arrays), Labels::Teacher).expect_err(dtype).to_string();
                assert!(error.contains("x_test: value 1 is 33554432, expected at most 2^24"), "{error}");
            }
        }
    }

    #[test]
    fn inputs_are_read_with_and_without_labels_and_in_one_order_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let floats = |count: u8| (0..count).flat_map(|value| f32::from(value).to_le_bytes()).collect::<Vec<u8>>();
        let read = |arrays: &[(&str, Vec<u8>)], input: [usize; 3]| {
            let path = npz(folder.path(), arrays);
            read_inputs(&path, input, |bytes| bytes.iter().map(|byte| f32::from(*byte) - 1.0).collect())
        };
        let twelve: Vec<f32> = (0..12u8).map(f32::from).collect();
        for (shape, input) in
            [("2, 3, 1, 2", [3, 1, 2]), ("2, 3, 2", [3, 1, 2]), ("2, 6", [3, 1, 2]), ("2, 6", [6, 1, 1])]
        {
            let found = read(&[("x", npy("<f4", shape, &floats(12)))], input).expect("inputs");
            assert_eq!(found, (twelve.clone(), None), "{shape} for {input:?}");
        }
        let labels = ("y", npy("|u1", "2,", &[1, 0]));
        let found = read(&[("x", npy("|u1", "2, 2", &[1, 2, 3, 4])), labels], [2, 1, 1]).expect("inputs");
        assert_eq!(found, (vec![0.0, 1.0, 2.0, 3.0], Some(vec![1, 0])));
        let error = |arrays: &[(&str, Vec<u8>)], input| read(arrays, input).expect_err("refused").to_string();
        assert!(
            error(&[("x", npy("<f4", "2, 2, 3", &floats(12)))], [3, 1, 2]).contains("found shape [2, 2, 3], expected")
        );
        assert!(error(&[("z", npy("<f4", "2, 6", &floats(12)))], [6, 1, 1]).contains("x: cannot be read"));
        let short = ("y", npy("|u1", "1,", &[1]));
        let said = error(&[("x", npy("<f4", "2, 6", &floats(12))), short], [6, 1, 1]);
        assert!(said.contains("y: found shape [1], expected [2], one label for each image of x"), "{said}");
    }

    #[test]
    fn what_is_wrong_is_told_with_the_array() {
        let folder = tempfile::tempdir().expect("a folder");
        let long = npy("|u1", "2, 1, 3, 2", &[0; 13]);
        let huge = npy("|u1", "4294967296, 2, 3", &[0; 13]);
        let mut fortran = npy("|u1", "1, 1", &[1]);
        let order = fortran.windows(5).position(|own| own == b"False").expect("an order");
        fortran[order..order + 5].copy_from_slice(b"True ");
        for (place, bytes, wanted) in [
            (0, npy("<f8", "2, 1, 3, 2", &[0; 96]), "x_train: found values of type \"<f8\", expected uint8, float32"),
            (0, npy("|u1", "2, 9, 9, 9", &[0; 9]), "x_train: found shape [2, 9, 9, 9]"),
            (0, npy("|u1", "0, 1, 3, 2", &[]), "expected at least one pixel"),
            (0, huge, "expected at least one pixel and at most"),
            (0, npy("|u1", "2, 1, 3, 2", &[0; 11]), "x_train: cut short: found 11 bytes, expected 12"),
            (0, long, "x_train: found more than the 12 bytes"),
            (1, npy("<i8", "3,", &[0; 24]), "y_train: found shape [3], expected [2]"),
            (1, npy("<f4", "2,", &[0; 8]), "y_train: found values of type \"<f4\", expected whole numbers"),
            (1, npy("|i1", "2,", &[0, 255]), "y_train: the label at index 1 is negative"),
            (
                1,
                npy("<i4", "2,", &[0, 0, 0, 0, 0, 0, 1, 0]),
                "y_train: the label at index 1 is negative or above 65534",
            ),
            (2, npy("|u1", "1, 1, 2, 2", &[0; 4]), "found images of [2, 1, 2] in x_test, expected [2, 1, 3]"),
            (3, b"text".to_vec(), "y_test: found no NumPy array"),
            (3, fortran, "y_test: found values in Fortran's order, expected C's"),
        ] {
            let mut arrays = sound();
            arrays[place].1 = bytes;
            let error = load(&npz(folder.path(), &arrays), Labels::Files).expect_err(wanted).to_string();
            assert!(error.contains(wanted) && error.contains("own.npz"), "{error}");
        }
        let error = load(&npz(folder.path(), &sound()[..3]), Labels::Files).expect_err("no y_test").to_string();
        assert!(
            error.contains("y_test: cannot be read") && error.contains("the file has x_test, x_train, y_train"),
            "{error}"
        );
        let path = folder.path().join("text.npz");
        fs::write(&path, "text").expect("written");
        assert!(load(&path, Labels::Files).expect_err("text").to_string().contains("no npz file"));
        assert!(load(&folder.path().join("none.npz"), Labels::Files).is_err());
    }

    #[test]
    fn cuts_and_flips_are_errors_or_other_values_and_no_panic() {
        let folder = tempfile::tempdir().expect("a folder");
        let sound = fs::read(npz(folder.path(), &sound())).expect("there");
        let path = folder.path().join("changed.npz");
        for place in 0..sound.len() {
            fs::write(&path, &sound[..place]).expect("written");
            assert!(load(&path, Labels::Files).is_err(), "cut at {place}");
            let mut flipped = sound.clone();
            flipped[place] ^= 0x55;
            fs::write(&path, &flipped).expect("written");
            let _ = load(&path, Labels::Files);
        }
    }
}
