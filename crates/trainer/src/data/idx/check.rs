//! Says whether bytes are one of the four IDX files, and if not, why. Pure: bytes in, verdict out; no files.
//!
//! An IDX file is a big-endian header and the bare values:
//!
//! ```text
//! 00 00 08 01  00 00 00 03  05 00 04                              three labels: 5, 0, 4
//! 00 00 08 03  00 00 00 01  00 00 00 02  00 00 00 02  00 ff ff 00 one image of 2 x 2 pixels
//! magic        count        rows         columns      values
//! ```

use crate::data::{Error, MOST_PIXELS};
use std::path::Path;

/// One of the four files: its name, and what its name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Role {
    /// The file's name, raw.
    pub(super) name: &'static str,
    /// What the values are.
    pub(super) kind: Kind,
}

/// What the values of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Grey values, row by row.
    Images,
    /// One class an image.
    Labels,
}

/// The four files, in the order in which everything here lists them: training images and labels, test images and labels.
pub(super) const ROLES: [Role; 4] = [
    Role { name: "train-images-idx3-ubyte", kind: Kind::Images },
    Role { name: "train-labels-idx1-ubyte", kind: Kind::Labels },
    Role { name: "t10k-images-idx3-ubyte", kind: Kind::Images },
    Role { name: "t10k-labels-idx1-ubyte", kind: Kind::Labels },
];

/// What the header of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Images or labels.
    pub(super) count: usize,
    /// Rows and columns of an image; 1 and 1 of labels.
    pub(super) sides: [usize; 2],
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

    /// Bytes before the values.
    pub(super) fn header_len(self) -> usize {
        match self {
            Kind::Images => 16,
            Kind::Labels => 8,
        }
    }
}

impl Header {
    /// Reads the header of a file. The path only names it.
    ///
    /// # Errors
    /// When it is cut short, is that of another kind of file, or promises no pixels or more than fit in memory.
    pub(super) fn read(path: &Path, bytes: &[u8], kind: Kind) -> Result<Self, Error> {
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
        let count = word(1)? as usize;
        let sides = match kind {
            Kind::Images => [word(2)? as usize, word(3)? as usize],
            Kind::Labels => [1, 1],
        };
        let pixels = count.checked_mul(sides[0]).and_then(|product| product.checked_mul(sides[1]));
        if pixels.is_none_or(|pixels| !(1..=MOST_PIXELS).contains(&pixels)) {
            let [rows, columns] = sides;
            let found = match kind {
                Kind::Images => format!("{count} images of {rows} x {columns} pixels"),
                Kind::Labels => format!("{count} labels"),
            };
            return Err(Error::Content {
                path: path.into(),
                why: format!("found {found} by its header, expected at least one and at most {MOST_PIXELS} pixels"),
            });
        }
        Ok(Self { count, sides })
    }

    /// Bytes of the whole file.
    pub(super) fn file_len(&self, kind: Kind) -> usize {
        kind.header_len() + self.count * self.sides[0] * self.sides[1]
    }
}

/// Checks that the bytes of a file are as many as its header says.
///
/// # Errors
/// When they are fewer or more.
pub(super) fn check_size(path: &Path, found: usize, wanted: usize) -> Result<(), Error> {
    if found < wanted {
        return Err(Error::TooShort { path: path.into(), found, wanted });
    }
    if found > wanted {
        return Err(Error::TooLong { path: path.into(), wanted });
    }
    Ok(())
}

/// Checks that the four headers belong to one data set. The paths are in the order of [`ROLES`].
///
/// # Errors
/// When a part has not as many labels as images, or the images of the parts differ in size.
pub(super) fn check_parts(paths: [&Path; 4], headers: [Header; 4]) -> Result<(), Error> {
    let counts = headers.map(|header| header.count);
    let swapped = counts[0] == counts[3] && counts[1] == counts[2] && counts[0] != counts[1];
    for part in [0, 2] {
        if counts[part] != counts[part + 1] {
            return Err(Error::Counts {
                images: paths[part].into(),
                labels: paths[part + 1].into(),
                found: [counts[part], counts[part + 1]],
                hint: if swapped { ": are the train and t10k (test) files swapped?" } else { "" },
            });
        }
    }
    let [training, _, test, _] = headers.map(|header| header.sides);
    if training != test {
        let [found, expected] = [test, training].map(|[rows, columns]| format!("{rows} x {columns}"));
        let why = format!("found images of {found} pixels, expected {expected} as in {}", paths[0].display());
        return Err(Error::Content { path: paths[2].into(), why });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file as its header has it.
    fn file(header: &[u32]) -> Vec<u8> {
        header.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn headers_say_how_long_a_file_is() {
        let images = Header::read(Path::new("x"), &file(&[0x803, 3, 5, 7]), Kind::Images).expect("a header");
        assert_eq!(images, Header { count: 3, sides: [5, 7] });
        assert_eq!(images.file_len(Kind::Images), 16 + 3 * 35);
        let labels = Header::read(Path::new("x"), &file(&[0x801, 9]), Kind::Labels).expect("a header");
        assert_eq!(labels.file_len(Kind::Labels), 8 + 9);
    }

    #[test]
    fn each_fault_names_the_file_the_found_and_the_wanted() {
        let table = [
            (Kind::Labels, vec![], "is cut short: found 0 bytes, wanted a header of 8"),
            (Kind::Labels, file(&[0x801]), "is cut short: found 4 bytes, wanted a header of 8"),
            (Kind::Images, file(&[0x803, 10_000, 28]), "is cut short: found 12 bytes, wanted a header of 16"),
            (Kind::Images, file(&[0x802, 10_000, 28, 28]), "has magic number 0x00000802, wanted 0x00000803"),
            (Kind::Labels, file(&[0x802, 10_000]), "has magic number 0x00000802, wanted 0x00000801"),
            (
                Kind::Labels,
                file(&[0x1f8b_0808, 0]),
                "has magic number 0x1f8b0808, wanted 0x00000801: it is gzip, so its name has to end in .gz",
            ),
            (
                Kind::Images,
                file(&[0x801, 60_000]),
                "holds labels, wanted images: are the images and labels files swapped?",
            ),
            (
                Kind::Labels,
                file(&[0x803, 60_000, 28, 28]),
                "holds images, wanted labels: are the images and labels files swapped?",
            ),
            (
                Kind::Images,
                file(&[0x803, 7, 0, 28]),
                ": found 7 images of 0 x 28 pixels by its header, expected at least one and at most 4294967296 pixels",
            ),
            (
                Kind::Labels,
                file(&[0x801, 0]),
                ": found 0 labels by its header, expected at least one and at most 4294967296 pixels",
            ),
        ];
        for (kind, bytes, wanted) in table {
            let error = Header::read(Path::new("f"), &bytes, kind).expect_err(wanted);
            assert_eq!(error.to_string(), format!("`f`{}{wanted}", if wanted.starts_with(':') { "" } else { " " }));
        }
        let huge = Header::read(Path::new("f"), &file(&[0x803, u32::MAX, u32::MAX, u32::MAX]), Kind::Images);
        assert!(huge.expect_err("too large").to_string().contains("4294967295 images of 4294967295 x 4294967295"));
        for (found, wanted) in [(9, "is cut short: found 9 bytes, wanted 10"), (11, "is too long: found more than 10")]
        {
            assert!(check_size(Path::new("f"), found, 10).expect_err(wanted).to_string().contains(wanted));
        }
    }

    #[test]
    fn parts_have_as_many_labels_as_images_and_images_of_one_size() {
        let paths = ["a", "b", "c", "d"].map(Path::new);
        let parts = |counts: [usize; 4], sides: [[usize; 2]; 2]| {
            let sides = [sides[0], [1, 1], sides[1], [1, 1]];
            check_parts(paths, std::array::from_fn(|place| Header { count: counts[place], sides: sides[place] }))
        };
        parts([5, 5, 2, 2], [[3, 4], [3, 4]]).expect("fits");
        let error = |counts, sides| parts(counts, sides).expect_err("does not fit").to_string();
        assert_eq!(error([5, 4, 2, 2], [[3, 4]; 2]), "found 5 images in `a` and 4 labels in `b`, expected as many");
        assert_eq!(
            error([5, 2, 2, 5], [[3, 4]; 2]),
            "found 5 images in `a` and 2 labels in `b`, expected as many: are the train and t10k (test) files swapped?"
        );
        assert_eq!(error([5, 5, 2, 2], [[3, 4], [4, 3]]), "`c`: found images of 4 x 3 pixels, expected 3 x 4 as in a");
    }
}
