//! Says whether bytes are one of the four IDX files, and if not, why. Pure: bytes in, verdict out; no files.
//!
//! The `mnist` crate panics on most faults and misses others (a short training file shifts the whole test set), so
//! nothing reaches it that has not passed here. An IDX file is a big-endian header and the bare values:
//!
//! ```text
//! 00 00 08 01  00 00 00 03  05 00 04                              three labels: 5, 0, 4
//! 00 00 08 03  00 00 00 01  00 00 00 02  00 00 00 02  00 ff ff 00 one image of 2 x 2 pixels
//! magic        count        rows         columns      values
//! ```

use std::path::Path;

use super::{CLASSES, Error, PIXELS, SIDE};

/// Checks in order: header, magic number, image size, count, size in bytes, labels. The path only names the file.
///
/// Both files of a part are held to the same count, so every image has a label.
pub(super) fn check(path: &Path, bytes: &[u8], role: Role) -> Result<(), Error> {
    check_header(path, bytes, role)?;
    check_size(path, bytes.len(), role.raw_len())?;
    match role.kind {
        Kind::Images => Ok(()),
        Kind::Labels => check_labels(path, &bytes[role.kind.header_len()..]),
    }
}

/// One of the four files: its name, and what its name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Role {
    /// The file's name, raw.
    pub(super) name: &'static str,
    /// What the values are.
    pub(super) kind: Kind,
    /// Images or labels in the file.
    pub(super) count: usize,
}

/// What the values of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Grey values of 28 x 28 pixels an image, row by row.
    Images,
    /// One class an image.
    Labels,
}

/// Images in the training files.
pub(super) const TRAINING: usize = 60_000;
/// Images in the test files.
pub(super) const TEST: usize = 10_000;

/// The four files, in the order in which everything here lists them.
pub(super) const ROLES: [Role; 4] = [
    Role { name: "train-images-idx3-ubyte", kind: Kind::Images, count: TRAINING },
    Role { name: "train-labels-idx1-ubyte", kind: Kind::Labels, count: TRAINING },
    Role { name: "t10k-images-idx3-ubyte", kind: Kind::Images, count: TEST },
    Role { name: "t10k-labels-idx1-ubyte", kind: Kind::Labels, count: TEST },
];

impl Role {
    /// Bytes of the raw file.
    pub(super) fn raw_len(self) -> usize {
        self.kind.header_len() + self.count * self.kind.value_len()
    }

    /// The count of the other part, which gives a swap away.
    fn other_count(self) -> usize {
        TRAINING + TEST - self.count
    }
}

impl Kind {
    fn magic(self) -> u32 {
        match self {
            Kind::Images => 0x0000_0803,
            Kind::Labels => 0x0000_0801,
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Kind::Images => "images",
            Kind::Labels => "labels",
        }
    }

    fn other(self) -> Kind {
        match self {
            Kind::Images => Kind::Labels,
            Kind::Labels => Kind::Images,
        }
    }

    fn header_len(self) -> usize {
        match self {
            Kind::Images => 16,
            Kind::Labels => 8,
        }
    }

    /// Bytes an image or label.
    fn value_len(self) -> usize {
        match self {
            Kind::Images => PIXELS,
            Kind::Labels => 1,
        }
    }
}

fn check_header(path: &Path, bytes: &[u8], role: Role) -> Result<(), Error> {
    let Role { kind, .. } = role;
    let word = |index: usize| {
        bytes
            .get(index * 4..)
            .and_then(|rest| rest.first_chunk())
            .map(|&word| u32::from_be_bytes(word))
            .ok_or_else(|| Error::Header { path: path.into(), found: bytes.len(), wanted: kind.header_len() })
    };
    let magic = word(0)?;
    if magic == kind.other().magic() {
        return Err(Error::OtherKind { path: path.into(), found: kind.other().noun(), wanted: kind.noun() });
    }
    if magic != kind.magic() {
        // A compressed file that lost its `.gz` is the likeliest stranger.
        let hint = if magic >> 16 == 0x1f8b { ": it is gzip, so its name has to end in .gz" } else { "" };
        return Err(Error::Magic { path: path.into(), found: magic, wanted: kind.magic(), hint });
    }
    if kind == Kind::Images {
        let found = [word(2)?, word(3)?];
        if found != [SIDE as u32; 2] {
            return Err(Error::Dimensions { path: path.into(), found });
        }
    }
    let (found, wanted) = (word(1)?, role.count as u32);
    if found as usize == role.other_count() {
        return Err(Error::OtherPart { path: path.into(), noun: kind.noun(), found, wanted });
    }
    if found != wanted {
        return Err(Error::Count { path: path.into(), noun: kind.noun(), found, wanted });
    }
    Ok(())
}

fn check_size(path: &Path, found: usize, wanted: usize) -> Result<(), Error> {
    if found < wanted {
        return Err(Error::TooShort { path: path.into(), found, wanted });
    }
    if found > wanted {
        return Err(Error::TooLong { path: path.into(), wanted });
    }
    Ok(())
}

fn check_labels(path: &Path, labels: &[u8]) -> Result<(), Error> {
    match labels.iter().position(|&label| usize::from(label) >= CLASSES) {
        Some(index) => Err(Error::Label { path: path.into(), index, found: labels[index] }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAIN_IMAGES: Role = ROLES[0];
    const TRAIN_LABELS: Role = ROLES[1];
    const TEST_IMAGES: Role = ROLES[2];
    const TEST_LABELS: Role = ROLES[3];

    /// A file as its header has it, with `len` zero bytes after the header.
    fn file(header: &[u32], len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.resize(bytes.len() + len, 0);
        bytes
    }

    #[test]
    fn whole_files_pass() {
        let train_images = file(&[0x803, 60_000, 28, 28], 60_000 * 784);
        let train_labels = file(&[0x801, 60_000], 60_000);
        let test_images = file(&[0x803, 10_000, 28, 28], 10_000 * 784);
        let test_labels = file(&[0x801, 10_000], 10_000);
        for (role, bytes) in ROLES.into_iter().zip([train_images, train_labels, test_images, test_labels]) {
            assert_eq!(bytes.len(), role.raw_len(), "{}", role.name);
            check(Path::new(role.name), &bytes, role).expect(role.name);
        }
    }

    #[test]
    fn each_fault_names_the_file_the_found_and_the_wanted() {
        let mut label_10 = file(&[0x801, 10_000], 10_000);
        label_10[8 + 17] = 10;
        let table = [
            (TEST_LABELS, vec![], "is cut short: found 0 bytes, wanted a header of 8"),
            (TEST_LABELS, file(&[0x801], 0), "is cut short: found 4 bytes, wanted a header of 8"),
            (TEST_IMAGES, file(&[0x803, 10_000, 28], 3), "is cut short: found 15 bytes, wanted a header of 16"),
            (TEST_IMAGES, file(&[0x802, 10_000, 28, 28], 0), "has magic number 0x00000802, wanted 0x00000803"),
            (TEST_LABELS, file(&[0x802, 10_000], 0), "has magic number 0x00000802, wanted 0x00000801"),
            (
                TRAIN_LABELS,
                file(&[0x1f8b_0808, 0], 0),
                "has magic number 0x1f8b0808, wanted 0x00000801: it is gzip, so its name has to end in .gz",
            ),
            (
                TRAIN_IMAGES,
                file(&[0x801, 60_000], 60_000),
                "holds labels, wanted images: are the images and labels files swapped?",
            ),
            (
                TRAIN_LABELS,
                file(&[0x803, 60_000, 28, 28], 0),
                "holds images, wanted labels: are the images and labels files swapped?",
            ),
            (TRAIN_IMAGES, file(&[0x803, 60_000, 32, 28], 0), "has images of 32 x 28 pixels, wanted 28 x 28"),
            (
                TRAIN_IMAGES,
                file(&[0x803, 10_000, 28, 28], 0),
                "has 10000 images, wanted 60000: are the train and t10k (test) files swapped?",
            ),
            (
                TEST_LABELS,
                file(&[0x801, 60_000], 60_000),
                "has 60000 labels, wanted 10000: are the train and t10k (test) files swapped?",
            ),
            (TRAIN_LABELS, file(&[0x801, 59_999], 59_999), "has 59999 labels by its header, wanted 60000"),
            (TEST_IMAGES, file(&[0x803, u32::MAX, 28, 28], 0), "has 4294967295 images by its header, wanted 10000"),
            (TEST_LABELS, file(&[0x801, 10_000], 9_999), "is cut short: found 10007 bytes, wanted 10008 by its header"),
            (
                TEST_IMAGES,
                file(&[0x803, 10_000, 28, 28], 1),
                "is cut short: found 17 bytes, wanted 7840016 by its header",
            ),
            (
                TEST_LABELS,
                file(&[0x801, 10_000], 10_001),
                "is too long: found more than 10008 bytes, wanted 10008 by its header",
            ),
            (TEST_LABELS, label_10, "has label 10 at index 17, wanted 0..=9"),
        ];
        for (role, bytes, wanted) in table {
            let error = check(Path::new(role.name), &bytes, role).expect_err(wanted);
            assert_eq!(error.to_string(), format!("`{}` {wanted}", role.name));
        }
    }
}
