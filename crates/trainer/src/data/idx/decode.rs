//! From the bytes of checked files to images and labels.
//!
//! The `mnist` crate decodes sets of MNIST's shape, which is what it is made for. It panics on most faults and misses others (a
//! short training file shifts the whole test set), so it is shown only what has been checked. It reads raw files from a
//! folder, so the checked bytes are laid out in a private temporary one. Sets of other shapes are sliced behind their headers.

use super::check::ROLES;
use super::published::MNIST;
use crate::data::{Description, Error, Split};
use mnist::{Mnist, MnistBuilder};
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

/// The training part and the test part of the four files, in the order of [`ROLES`].
pub(super) fn decode(contents: Vec<Vec<u8>>, description: &Description) -> Result<[Split; 2], Error> {
    let [training, test] = if *description == MNIST { by_crate(contents)? } else { sliced(contents) };
    let split = |(pixels, labels): (Vec<u8>, Vec<u8>)| {
        Split::of_bytes(description.shape, pixels, labels.into_iter().map(u16::from).collect())
    };
    Ok([split(training), split(test)])
}

/// Pixels and labels of the two parts.
type Bytes = [(Vec<u8>, Vec<u8>); 2];

fn sliced(contents: Vec<Vec<u8>>) -> Bytes {
    let mut values = contents.into_iter().zip(ROLES).map(|(mut bytes, role)| {
        bytes.drain(..role.kind.header_len());
        bytes
    });
    let mut next = || values.next().unwrap_or_default();
    [(next(), next()), (next(), next())]
}

fn by_crate(contents: Vec<Vec<u8>>) -> Result<Bytes, Error> {
    let dir = tempfile::tempdir().map_err(|source| Error::Temporary { path: std::env::temp_dir(), source })?;
    for (bytes, role) in contents.iter().zip(ROLES) {
        let path = dir.path().join(role.name);
        fs::write(&path, bytes).map_err(|source| Error::Temporary { path, source })?;
    }
    drop(contents);
    let Mnist { trn_img, trn_lbl, val_img, val_lbl, tst_img, tst_lbl } = decode_folder(dir.path())?;
    let pixels = MNIST.pixels();
    let lengths = [
        ("training images", trn_img.len(), MNIST.train * pixels),
        ("training labels", trn_lbl.len(), MNIST.train),
        ("validation images", val_img.len(), 0),
        ("validation labels", val_lbl.len(), 0),
        ("test images", tst_img.len(), MNIST.test * pixels),
        ("test labels", tst_lbl.len(), MNIST.test),
    ];
    for (part, found, wanted) in lengths {
        if found != wanted {
            return Err(Error::Decoded { part, found, wanted });
        }
    }
    Ok([(trn_img, trn_lbl), (tst_img, tst_lbl)])
}

fn decode_folder(dir: &Path) -> Result<Mnist, Error> {
    let base_path = dir.to_str().ok_or_else(|| Error::TemporaryName { path: dir.into() })?;
    let [train_images, train_labels, test_images, test_labels] = ROLES.map(|role| role.name);
    // The files are sound; what is left is the machine (no file handles, a disk that fails), and the crate panics on
    // that as well.
    catch_unwind(|| {
        MnistBuilder::new()
            .base_path(base_path)
            .training_images_filename(train_images)
            .training_labels_filename(train_labels)
            .test_images_filename(test_images)
            .test_labels_filename(test_labels)
            .training_set_length(MNIST.train as u32)
            .validation_set_length(0)
            .test_set_length(MNIST.test as u32)
            .label_format_digit()
            .finalize()
    })
    .map_err(|panic| Error::Decode { path: dir.into(), reason: reason(panic.as_ref()) })
}

fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (None, Some(text)) => (*text).to_owned(),
        (None, None) => "no reason given".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_vanished_is_an_error_and_no_panic() {
        let empty = tempfile::tempdir().expect("a temporary folder");
        let text = decode_folder(empty.path()).expect_err("no files").to_string();
        assert!(text.contains("cannot be read back"), "{text}");
        assert!(text.contains("train-images-idx3-ubyte"), "{text}");
    }

    #[test]
    fn a_folder_that_is_no_text_is_an_error() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/tmp/\xff"));
        let text = decode_folder(path).expect_err("not UTF-8").to_string();
        assert!(text.contains("is not valid UTF-8"), "{text}");
    }
}
