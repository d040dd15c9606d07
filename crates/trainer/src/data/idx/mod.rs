//! Four files in MNIST's format, raw or gzipped, of any size and any number of classes.

mod check;
mod decode;
mod files;
mod images;
mod published;

pub use images::{Images, read_images};
pub(crate) use published::MNIST;

use super::files::folder_name;
use super::{Description, Error, Parts};
use check::{Header, Kind, check_parts, check_size};
use files::Located;
use published::Verdict;
use std::path::Path;

/// What the headers and labels of the folder's files say.
///
/// # Errors
/// When a file is missing or wrong, or they do not belong together.
pub(super) fn describe(dir: &Path) -> Result<Description, Error> {
    let located = files::locate(dir)?;
    let headers = headers(&located)?;
    let mut classes = 0;
    for (file, header) in located.iter().zip(headers).filter(|(file, _)| file.role.kind == Kind::Labels) {
        let labels = whole(file, header)?;
        classes = labels[Kind::Labels.header_len()..].iter().fold(classes, |most, label| most.max(*label as usize + 1));
    }
    Ok(description(headers, classes))
}

/// All images and labels. Content other than MNIST's, such as Fashion-MNIST or a set of one's own, is welcome; a file that
/// differs from the published set that the folder seems to be is warned of.
///
/// # Errors
/// When a file is missing or wrong, or they do not belong together.
pub(super) fn load(dir: &Path) -> Result<Parts, Error> {
    let located = files::locate(dir)?;
    let headers = headers(&located)?;
    let mut digests = Vec::with_capacity(located.len());
    let mut contents = Vec::with_capacity(located.len());
    for (index, (file, header)) in located.iter().zip(headers).enumerate() {
        let bytes = whole(file, header)?;
        digests.push(published::digest(index, &bytes));
        contents.push(bytes);
    }
    let [_, training, _, test] = &contents[..] else { unreachable!("there are four files") };
    let largest = |bytes: &[u8]| bytes[Kind::Labels.header_len()..].iter().copied().max().map_or(0, usize::from);
    let classes = 1 + largest(training).max(largest(test));
    let description = description(headers, classes);
    let name = name(&folder_name(dir), &digests);
    let [training, test] = decode::decode(contents, &description)?;
    Ok(Parts { name, description, training, test, files: digests })
}

fn description(headers: [Header; 4], classes: usize) -> Description {
    let [rows, columns] = headers[0].sides;
    Description {
        shape: [1, rows, columns],
        classes,
        train: headers[0].count,
        test: headers[2].count,
        class_names: vec![],
    }
}

fn headers(located: &[Located; 4]) -> Result<[Header; 4], Error> {
    let mut headers = [Header { count: 0, sides: [1, 1] }; 4];
    for (header, file) in headers.iter_mut().zip(located) {
        let bytes = files::read(file, file.role.kind.header_len())?;
        *header = Header::read(&file.path, &bytes, file.role.kind)?;
    }
    check_parts(located.each_ref().map(|file| file.path.as_path()), headers)?;
    Ok(headers)
}

/// The bytes of a file, as many as its header says.
fn whole(file: &Located, header: Header) -> Result<Vec<u8>, Error> {
    let wanted = header.file_len(file.role.kind);
    // One more tells that it is too long.
    let bytes = files::read(file, wanted + 1)?;
    check_size(&file.path, bytes.len(), wanted)?;
    // The file may have changed since its header was read.
    match Header::read(&file.path, &bytes, file.role.kind)? {
        found if found == header => Ok(bytes),
        _ => Err(Error::Content { path: file.path.clone(), why: "changed while it was read".into() }),
    }
}

/// The dataset's name; says once if the files are not what they seem.
fn name(folder: &str, files: &[super::FileDigest]) -> String {
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
    use super::check::ROLES;
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn mnist() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/mnist")
    }

    /// A folder with a training part and a test part of images of 2 x 3 pixels, whose pixels count up.
    fn letters(training: &[u8], test: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let parts = [(ROLES[0], ROLES[1], training), (ROLES[2], ROLES[3], test)];
        for (images, labels, classes) in parts {
            let head = [0x803, classes.len() as u32, 2, 3].map(u32::to_be_bytes).concat();
            let pixels: Vec<u8> = (0..classes.len() * 6).map(|place| place as u8).collect();
            fs::write(dir.path().join(images.name), [head, pixels].concat()).expect("a small file");
            let head = [0x801, classes.len() as u32].map(u32::to_be_bytes).concat();
            fs::write(dir.path().join(labels.name), [head, classes.to_vec()].concat()).expect("a small file");
        }
        dir
    }

    #[test]
    fn a_set_of_any_size_describes_itself() {
        let dir = letters(&[1, 26, 3], &[2, 5]);
        let expected = Description { shape: [1, 2, 3], classes: 27, train: 3, test: 2, class_names: vec![] };
        assert_eq!(describe(dir.path()).expect("sound"), expected);
        let parts = load(dir.path()).expect("sound");
        assert_eq!(parts.description, expected);
        assert_eq!((parts.training.label(1), parts.test.label(1)), (26, 5));
        assert_eq!(parts.training.picture(1), [6, 7, 8, 9, 10, 11]);
        assert!(parts.files.iter().all(|file| !file.known));
    }

    #[test]
    fn mnist_describes_itself() {
        assert_eq!(describe(&mnist()).expect("the shipped files"), MNIST);
    }

    #[test]
    fn a_label_that_only_the_test_part_has_is_a_class() {
        let dir = letters(&[0, 1], &[4]);
        assert_eq!(describe(dir.path()).expect("sound").classes, 5);
    }

    #[test]
    fn a_file_that_is_cut_or_too_long_is_named() {
        let dir = letters(&[0, 1], &[1]);
        let path = dir.path().join(ROLES[1].name);
        let bytes = fs::read(&path).expect("there");
        fs::write(&path, &bytes[..9]).expect("a small file");
        let text = describe(dir.path()).expect_err("cut short").to_string();
        assert!(
            text.ends_with("train-labels-idx1-ubyte` is cut short: found 9 bytes, wanted 10 by its header"),
            "{text}"
        );
        fs::write(&path, [bytes, vec![0]].concat()).expect("a small file");
        let text = load(dir.path()).expect_err("too long").to_string();
        assert!(text.contains("is too long: found more than 10 bytes"), "{text}");
    }
}
