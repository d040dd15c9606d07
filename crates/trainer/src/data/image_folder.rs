//! Pictures in folders: `train/<class>/` and `test/<class>/` with PNG and JPEG files. A class is the place of its folder's name
//! among those of `train`, in alphabetical order.
//!
//! Pictures become RGB, or shades of grey where the config says so; what is transparent counts as it is below. They are of one
//! size, or the config names one: then each is scaled so that it covers that size, and its middle is taken.

use super::files::{check_folder, folder_name};
use super::{Description, Error, FileDigest, MOST_PIXELS, Parts, Split};
use crate::config::DataConfig;
use crate::files::{digest, sha256};
use image::imageops::{self, FilterType};
use image::{DynamicImage, GenericImageView, ImageReader, Limits};
use secateur_report::regular;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Longest side of a picture, and most bytes that decoding one may take.
const LONGEST: u32 = 1 << 14;
const LARGEST: u64 = 1 << 28;
/// Most classes and most pictures of a part.
const CLASSES: usize = u16::MAX as usize;
const PICTURES: usize = 1 << 27;

/// The pictures of a part with their classes, in the order of classes and names.
struct Listed(Vec<(PathBuf, u16)>);

/// What the folders, and the first picture's header, say.
///
/// # Errors
/// When a folder is missing or empty, or the first picture cannot be read.
pub(super) fn describe(data: &DataConfig) -> Result<Description, Error> {
    let classes = classes(&data.dir.join("train"))?;
    let [training, test] = ["train", "test"].map(|part| list(&data.dir.join(part), &classes));
    let (training, test) = (training?, test?);
    let [rows, columns] = match (data.size, training.0.first()) {
        (Some(size), _) => size,
        (None, Some((path, _))) => {
            let (columns, rows) = open(path)?.into_dimensions().map_err(|error| unreadable(path, &error))?;
            [rows as usize, columns as usize]
        }
        (None, None) => [0; 2],
    };
    let shape = [if data.grey { 1 } else { 3 }, rows, columns];
    for (part, own) in [("train", &training), ("test", &test)] {
        let pixels = shape.iter().try_fold(own.0.len(), |product, side| product.checked_mul(*side));
        if pixels.is_none_or(|pixels| !(1..=MOST_PIXELS).contains(&pixels)) {
            let why = format!(
                "found {} pictures, of {shape:?} each, expected at least one and at most {MOST_PIXELS} pixels in all; \
                 data.size makes them smaller",
                own.0.len()
            );
            return Err(Error::Content { path: data.dir.join(part), why });
        }
    }
    let mut is_empty = vec![true; classes.len()];
    training.0.iter().for_each(|(_, class)| is_empty[usize::from(*class)] = false);
    if let Some(class) = is_empty.iter().position(|own| *own) {
        let why = "found no PNG or JPEG file, expected at least one to train on";
        return Err(Error::Content { path: data.dir.join("train").join(&classes[class]), why: why.into() });
    }
    Ok(Description { shape, classes: classes.len(), train: training.0.len(), test: test.0.len(), class_names: classes })
}

/// All pictures.
///
/// # Errors
/// When one cannot be read, or has another size than the others and the config names none.
pub(super) fn load(data: &DataConfig) -> Result<Parts, Error> {
    let description = describe(data)?;
    let classes = classes(&data.dir.join("train"))?;
    let part = |name: &str| {
        let dir = data.dir.join(name);
        let Listed(pictures) = list(&dir, &classes)?;
        let (mut pixels, mut labels, mut lines) = (vec![], vec![], String::new());
        for (path, class) in pictures {
            let hint = "as the first one; data.size = [rows, columns] scales all of them";
            pixels.extend(read_picture(&path, description.shape, data.size.is_some(), hint)?);
            labels.push(class);
            let hash = sha256(&path).map_err(|error| Error::Content { path: path.clone(), why: error.to_string() })?;
            let within = path.strip_prefix(&dir).unwrap_or(&path);
            lines.push_str(&format!("{hash}  {}\n", within.display()));
        }
        let file = FileDigest { file: name.to_owned(), sha256: digest(lines.as_bytes()), known: false };
        Ok::<_, Error>((Split::of_bytes(description.shape, pixels, labels), file))
    };
    let ((training, first), (test, second)) = (part("train")?, part("test")?);
    Ok(Parts { name: folder_name(&data.dir), description, training, test, files: vec![first, second] })
}

/// Endings of pictures that are not read.
const UNREAD: [&str; 8] = ["webp", "gif", "bmp", "tif", "tiff", "heic", "avif", "jxl"];

/// The names of the folders in a folder, sorted.
fn classes(dir: &Path) -> Result<Vec<String>, Error> {
    check_part(dir)?;
    let mut names = vec![];
    for path in entries(dir)?.into_iter().filter(|path| path.is_dir()) {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::Content { path: path.clone(), why: "expected a name in UTF-8".into() })?;
        if !name.starts_with('.') {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() || names.len() > CLASSES {
        let why = format!(
            "found {} folders, expected one for each class, at most {CLASSES}; pictures without a class lie in a single one",
            names.len()
        );
        return Err(Error::Content { path: dir.into(), why });
    }
    Ok(names)
}

/// Checks that a part is there, where its folder is.
fn check_part(dir: &Path) -> Result<(), Error> {
    let missing = |parent: &&Path| parent.is_dir() && !dir.exists();
    if let (Some(parent), Some(name)) = (dir.parent().filter(missing), dir.file_name()) {
        let why =
            format!("found no folder {name:?}, expected \"train\" and \"test\" with a folder for each class in each");
        return Err(Error::Content { path: parent.into(), why });
    }
    check_folder(dir)
}

fn list(dir: &Path, classes: &[String]) -> Result<Listed, Error> {
    let mut found = vec![];
    for name in self::classes(dir)? {
        let Ok(class) = classes.binary_search(&name) else {
            let why = format!("expected the name of one of the {} classes in `train`", classes.len());
            return Err(Error::Content { path: dir.join(name), why });
        };
        for path in entries(&dir.join(name))? {
            let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_ascii_lowercase();
            let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if is_hidden {
                continue;
            } else if ["png", "jpg", "jpeg"].contains(&end.as_str()) {
                found.push((path, class as u16));
            } else if UNREAD.contains(&end.as_str()) || path.is_dir() {
                let what = if path.is_dir() { "a folder".to_owned() } else { format!("a picture in {end} format") };
                let why = format!("found {what}, expected PNG and JPEG files in the folder of a class");
                return Err(Error::Content { path, why });
            }
        }
        if found.len() > PICTURES {
            return Err(Error::Content { path: dir.into(), why: format!("found more than {PICTURES} pictures") });
        }
    }
    Ok(Listed(found))
}

/// What is in a folder, sorted by name.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source| Error::Read { path: dir.into(), source };
    let found = fs::read_dir(dir).map_err(unreadable)?;
    let mut paths =
        found.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}

fn open(path: &Path) -> Result<ImageReader<BufReader<fs::File>>, Error> {
    let read = |source| Error::Read { path: path.into(), source };
    let mut reader =
        ImageReader::new(BufReader::new(regular::open(path).map_err(read)?)).with_guessed_format().map_err(read)?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(LONGEST), Some(LONGEST));
    limits.max_alloc = Some(LARGEST);
    reader.limits(limits);
    Ok(reader)
}

fn unreadable(path: &Path, error: &image::ImageError) -> Error {
    Error::Content { path: path.into(), why: format!("no picture that can be read: {error}") }
}

/// The bytes of a PNG or JPEG picture, `[channels, rows, columns]`, in RGB or shades of grey; what is transparent counts as it is
/// below. Of another size it is scaled until it covers this one, and its middle is taken, or else it is refused with a `hint`.
///
/// # Errors
/// When it cannot be read, is too large, or has another size and is not to be scaled.
pub fn read_picture(
    path: &Path,
    [channels, rows, columns]: [usize; 3],
    scales: bool,
    hint: &str,
) -> Result<Vec<u8>, Error> {
    let picture = open(path)?.decode().map_err(|error| unreadable(path, &error))?;
    let (width, height) = picture.dimensions();
    let picture = match scales {
        true => covering(&picture, rows as u32, columns as u32),
        false if (height as usize, width as usize) == (rows, columns) => picture,
        false => {
            let why = format!("found a picture of {height} x {width} pixels, expected {rows} x {columns}, {hint}");
            return Err(Error::Content { path: path.into(), why });
        }
    };
    Ok(match channels {
        1 => picture.to_luma8().into_raw(),
        _ => {
            let bytes = picture.to_rgb8().into_raw();
            (0..3).flat_map(|channel| bytes.iter().skip(channel).step_by(3).copied().collect::<Vec<_>>()).collect()
        }
    })
}

/// The middle of a picture that is scaled so that it covers this size.
fn covering(picture: &DynamicImage, rows: u32, columns: u32) -> DynamicImage {
    let (width, height) = picture.dimensions();
    let scale = f64::max(f64::from(rows) / f64::from(height), f64::from(columns) / f64::from(width));
    let scaled = |side: u32, least: u32| ((f64::from(side) * scale).round() as u32).max(least);
    let (wide, high) = (scaled(width, columns), scaled(height, rows));
    let scaled = match (wide, high) == (width, height) {
        true => picture.clone(),
        false => DynamicImage::from(imageops::resize(&picture.to_rgba8(), wide, high, FilterType::Triangle)),
    };
    scaled.crop_imm((wide - columns) / 2, (high - rows) / 2, columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    fn png(columns: u32, rows: u32, color: [u8; 3]) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(vec![]);
        let picture = image::RgbImage::from_pixel(columns, rows, image::Rgb(color));
        picture.write_to(&mut bytes, image::ImageFormat::Png).expect("into memory");
        bytes.into_inner()
    }

    /// Two classes, a picture of one colour each, and one more in the training part.
    fn made() -> (tempfile::TempDir, DataConfig) {
        let dir = tempfile::tempdir().expect("a folder");
        for (part, class, name, bytes) in [
            ("train", "cat", "b.png", png(4, 2, [10, 20, 30])),
            ("train", "cat", "a.PNG", png(4, 2, [1, 2, 3])),
            ("train", "dog", "c.png", png(4, 2, [40, 50, 60])),
            ("test", "dog", "d.png", png(4, 2, [70, 80, 90])),
        ] {
            let folder = dir.path().join(part).join(class);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join(name), bytes).expect("a small file");
        }
        fs::write(dir.path().join("train/cat/notes.txt"), "no picture").expect("a small file");
        let data = DataConfig { source: Source::ImageFolder, dir: dir.path().into(), ..DataConfig::default() };
        (dir, data)
    }

    #[test]
    fn folders_are_classes_in_alphabetical_order() {
        let (_dir, data) = made();
        let class_names = vec!["cat".into(), "dog".into()];
        let expected = Description { shape: [3, 2, 4], classes: 2, train: 3, test: 1, class_names };
        assert_eq!(describe(&data).expect("sound"), expected);
        let parts = load(&data).expect("sound");
        assert_eq!([0, 1, 2].map(|index| parts.training.label(index)), [0, 0, 1]);
        assert_eq!(parts.test.label(0), 1);
        let colors: Vec<[u8; 3]> =
            [0, 1, 2].map(|index| [0, 8, 16].map(|at| parts.training.picture(index)[at])).to_vec();
        assert_eq!(colors, [[1, 2, 3], [10, 20, 30], [40, 50, 60]]);
        let again = load(&data).expect("sound");
        assert_eq!(parts.files, again.files);
        fs::write(data.dir.join("train/cat/b.png"), png(4, 2, [10, 20, 31])).expect("a small file");
        assert_ne!(load(&data).expect("sound").files[0], again.files[0], "another picture, another checksum");
    }

    #[test]
    fn jpeg_pictures_are_read_as_they_are_seen() {
        let (_dir, data) = made();
        let path = data.dir.join("train/cat/b.jpeg");
        let color = |column: u32| if column < 8 { [200, 40, 10] } else { [20, 30, 180] };
        let picture = image::RgbImage::from_fn(16, 8, |column, _| image::Rgb(color(column)));
        picture.save(&path).expect("a small file");
        let bytes = read_picture(&path, [3, 8, 16], false, "").expect("a picture");
        for (index, found) in bytes.iter().enumerate() {
            let expected = i32::from(color(index as u32 % 16)[index / 128]);
            assert!((i32::from(*found) - expected).abs() <= 12, "{index}: {found}, expected about {expected}");
        }
        fs::remove_file(data.dir.join("train/cat/b.png")).expect("there");
        fs::rename(&path, data.dir.join("train/cat/b.JPG")).expect("renamed");
        let sized = DataConfig { size: Some([2, 4]), ..data };
        assert_eq!(load(&sized).expect("PNG and JPEG side by side").training.shape(), [3, 2, 4]);
        let whole = fs::read(sized.dir.join("train/cat/b.JPG")).expect("there");
        fs::write(sized.dir.join("train/cat/b.JPG"), &whole[..whole.len() / 2]).expect("a small file");
        let text = load(&sized).map(drop).expect_err("cut").to_string();
        assert!(text.contains("b.JPG`: no picture that can be read"), "{text}");
    }

    #[test]
    fn pictures_are_scaled_to_a_size_and_may_become_grey() {
        let (_dir, mut data) = made();
        fs::write(data.dir.join("train/cat/b.png"), png(9, 7, [10, 20, 30])).expect("a small file");
        let text = load(&data).expect_err("two sizes").to_string();
        assert!(text.contains("b.png`: found a picture of 7 x 9 pixels, expected 2 x 4"), "{text}");
        data.size = Some([3, 3]);
        let parts = load(&data).expect("scaled");
        assert_eq!((parts.training.shape(), parts.training.picture(1)[..9].to_vec()), ([3, 3, 3], vec![10; 9]));
        data.grey = true;
        let parts = load(&data).expect("scaled");
        assert_eq!(parts.training.shape(), [1, 3, 3]);
        let grey = parts.training.picture(2)[0];
        assert!((45..=53).contains(&grey), "{grey}");
    }

    #[test]
    fn what_is_wrong_is_told_with_the_file() {
        let (_dir, data) = made();
        let error = || load(&data).expect_err("damaged").to_string();
        let path = data.dir.join("train/dog/c.png");
        let sound = fs::read(&path).expect("there");
        // Behind the pixels stands a chunk that ends the file, without which they are whole all the same.
        for end in 0..sound.len() - 16 {
            fs::write(&path, &sound[..end]).expect("a small file");
            assert!(error().contains("c.png"), "cut at {end}");
        }
        fs::write(&path, &sound).expect("a small file");
        let other = data.dir.join("train/dog/d.webp");
        fs::write(&other, &sound).expect("a small file");
        assert!(
            error().contains("d.webp`: found a picture in webp format, expected PNG and JPEG files"),
            "{}",
            error()
        );
        fs::remove_file(&other).expect("removed");
        let other = data.dir.join("train/dog/more");
        fs::create_dir(&other).expect("a folder");
        assert!(error().contains("more`: found a folder, expected PNG and JPEG files"), "{}", error());
        fs::remove_dir(&other).expect("removed");
        let other = data.dir.join("train/zebra");
        fs::create_dir(&other).expect("a folder");
        assert!(error().contains("zebra`: found no PNG or JPEG file, expected at least one"), "{}", error());
        fs::remove_dir(&other).expect("removed");
        fs::rename(data.dir.join("test"), data.dir.join("valid")).expect("renamed");
        assert!(error().contains("found no folder \"test\", expected \"train\" and \"test\""), "{}", error());
        fs::rename(data.dir.join("valid"), data.dir.join("test")).expect("renamed");
        fs::create_dir(data.dir.join("test/bird")).expect("a folder");
        assert!(error().contains("bird`: expected the name of one of the 2 classes in `train`"), "{}", error());
        fs::remove_dir_all(data.dir.join("test")).expect("removed");
        assert!(error().contains("test"), "{}", error());
        fs::create_dir(data.dir.join("test")).expect("a folder");
        assert!(error().contains("found 0 folders, expected one for each class"), "{}", error());
    }
}
