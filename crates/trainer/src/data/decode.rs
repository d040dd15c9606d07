//! Hands checked files to the `mnist` crate, in a way that leaves it no reason to panic.
//!
//! It reads raw files from a folder, so the checked bytes are laid out in a private temporary one. That also rules out
//! that a file changes between the check and the decoding.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use mnist::{Mnist, MnistBuilder};
use tempfile::TempDir;

use super::idx::{ROLES, Role, TEST, TRAINING};
use super::{Error, PIXELS, Split};

/// Raw files that have passed [`idx::check`](super::idx::check), waiting to be decoded; gone when dropped.
pub(super) struct Checked(TempDir);

impl Checked {
    /// An empty folder.
    pub(super) fn new() -> Result<Checked, Error> {
        let dir = tempfile::tempdir().map_err(|source| Error::Temporary { path: std::env::temp_dir(), source })?;
        Ok(Checked(dir))
    }

    /// Adds the raw bytes of one of the four files.
    pub(super) fn add(&self, role: Role, bytes: &[u8]) -> Result<(), Error> {
        let path = self.0.path().join(role.name);
        fs::write(&path, bytes).map_err(|source| Error::Temporary { path, source })
    }

    /// The training part and the test part, in the order of the files.
    pub(super) fn decode(self) -> Result<(Split, Split), Error> {
        let Mnist { trn_img, trn_lbl, val_img, val_lbl, tst_img, tst_lbl } = decode_folder(self.0.path())?;
        let lengths = [
            ("training images", trn_img.len(), TRAINING * PIXELS),
            ("training labels", trn_lbl.len(), TRAINING),
            ("validation images", val_img.len(), 0),
            ("validation labels", val_lbl.len(), 0),
            ("test images", tst_img.len(), TEST * PIXELS),
            ("test labels", tst_lbl.len(), TEST),
        ];
        for (part, found, wanted) in lengths {
            if found != wanted {
                return Err(Error::Decoded { part, found, wanted });
            }
        }
        Ok((Split::new(trn_img, trn_lbl), Split::new(tst_img, tst_lbl)))
    }
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
            .training_set_length(TRAINING as u32)
            .validation_set_length(0)
            .test_set_length(TEST as u32)
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
        let text = Checked::new().expect("a temporary folder").decode().expect_err("no files").to_string();
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
