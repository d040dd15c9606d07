//! The ways in which a data folder can be wrong, one variant each, so that the message says what to mend.

use std::io;
use std::path::PathBuf;

/// Why a dataset could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that holds no images.
    #[error("{}: {why}", path.display())]
    NoImages {
        /// The file.
        path: PathBuf,
        /// Found and wanted.
        why: String,
    },
    /// The folder is not there.
    #[error(
        "data folder `{dir}` does not exist{}; name the folder of the data files with --data DIR, such as datasets/mnist of \
         Secateur's repository",
        if dir.is_absolute() { "" } else { ", neither here nor beside the config or the program" }
    )]
    MissingFolder {
        /// The folder asked for.
        dir: PathBuf,
    },
    /// The path of the folder names something else.
    #[error(
        "data folder `{dir}` is not a folder; name the folder of the data files with --data DIR{}",
        if dir.extension().is_some_and(|end| end == "npz") { ", or set data.source = \"npz\" beside this file" } else { "" }
    )]
    NotAFolder {
        /// The path asked for.
        dir: PathBuf,
    },
    /// One of the four files is there neither raw nor compressed.
    #[error("data file is missing: found neither `{raw}` nor `{gzip}`, wanted one of them")]
    MissingFile {
        /// Where the raw file would be.
        raw: PathBuf,
        /// Where the compressed file would be.
        gzip: PathBuf,
    },
    /// A folder, pipe or device stands where a data file belongs.
    #[error("`{path}` is not a regular file, expected a file of data")]
    NotAFile {
        /// The path that was found.
        path: PathBuf,
    },
    /// A file whose content is not as it has to be.
    #[error("`{path}`: {why}")]
    Content {
        /// The file.
        path: PathBuf,
        /// Found and expected.
        why: String,
    },
    /// A part has not as many labels as images.
    #[error("found {} images in `{images}` and {} labels in `{labels}`, expected as many{hint}", .found[0], .found[1])]
    Counts {
        /// The file of images.
        images: PathBuf,
        /// The file of labels.
        labels: PathBuf,
        /// Images and labels.
        found: [usize; 2],
        /// What the counts give away, or nothing.
        hint: &'static str,
    },
    /// The operating system would not hand the file over.
    #[error("`{path}` cannot be read")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file's name ends in `.gz` and its content does not decode.
    #[error("`{path}` does not decode as gzip: found {found} good bytes and then a fault")]
    Gzip {
        /// The compressed file.
        path: PathBuf,
        /// Bytes decoded before the fault.
        found: usize,
        /// What the decoder said.
        source: io::Error,
    },
    /// The file ends within its header.
    #[error("`{path}` is cut short: found {found} bytes, wanted a header of {wanted}")]
    Header {
        /// The file.
        path: PathBuf,
        /// Bytes in the file.
        found: usize,
        /// Bytes in the header.
        wanted: usize,
    },
    /// The file is no IDX file of images or labels.
    #[error("`{path}` has magic number {found:#010x}, wanted {wanted:#010x}{hint}")]
    Magic {
        /// The file.
        path: PathBuf,
        /// The first four bytes.
        found: u32,
        /// The magic number of the wanted kind.
        wanted: u32,
        /// What the number gives away, or nothing.
        hint: &'static str,
    },
    /// An images file where labels belong, or the other way round.
    #[error("`{path}` holds {found}, wanted {wanted}: are the images and labels files swapped?")]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// `images` or `labels`.
        found: &'static str,
        /// The other of the two.
        wanted: &'static str,
    },
    /// The file ends before its header's promise is kept.
    #[error("`{path}` is cut short: found {found} bytes, wanted {wanted} by its header")]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Bytes in the raw file.
        found: usize,
        /// Bytes by the header.
        wanted: usize,
    },
    /// The file goes on after its last image or label; how far is not read.
    #[error("`{path}` is too long: found more than {wanted} bytes, wanted {wanted} by its header")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Bytes by the header.
        wanted: usize,
    },
    /// Nothing would be left to train on.
    #[error("validation split of {found} images, wanted fewer than the {training} training images")]
    Validation {
        /// The validation images asked for.
        found: usize,
        /// The images of the training files.
        training: usize,
    },
    /// The checked files could not be laid out for decoding.
    #[error("temporary folder `{path}` cannot be written (TMPDIR names another)")]
    Temporary {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The `mnist` crate takes paths as text only.
    #[error("temporary folder `{path}` is not valid UTF-8, wanted a path that is (TMPDIR names another)")]
    TemporaryName {
        /// The folder.
        path: PathBuf,
    },
    /// The `mnist` crate gave up on files that were just checked and written.
    #[error("temporary folder `{path}` cannot be read back: {reason}")]
    Decode {
        /// The folder.
        path: PathBuf,
        /// What the crate said.
        reason: String,
    },
    /// The `mnist` crate handed back another number of bytes than the files hold.
    #[error("decoded {part} have {found} bytes, wanted {wanted}")]
    Decoded {
        /// For example `training images`.
        part: &'static str,
        /// Bytes handed back.
        found: usize,
        /// Bytes in the files.
        wanted: usize,
    },
}
