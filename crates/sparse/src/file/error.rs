//! What can be wrong with a model file, and with a network that is to become one.

/// Why a model cannot be written or read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The first eight bytes are others.
    #[error("byte 0: not a model file: it begins with {found:?}, a model file with `secateur`")]
    Magic {
        /// The file's first bytes, at most eight.
        found: Vec<u8>,
    },
    /// Written by another version of the program.
    #[error("byte 8: the file's version is {found}, this program reads 1 to {wanted}")]
    Version {
        /// The file's version.
        found: u32,
        /// The newest version read here.
        wanted: u32,
    },
    /// Neither one scale for all channels nor one for each.
    #[error("{found} scales are given for images of {channels} channels, expected 1 or {channels}")]
    Scales {
        /// Scales.
        found: usize,
        /// Channels of the network's input.
        channels: usize,
    },
    /// Not one name for each class, or one that cannot be printed.
    #[error("the names of the classes: found {found}")]
    Classes {
        /// What is wrong.
        found: String,
    },
    /// Ranges that do not belong to the network, or not beside its weights.
    #[error("the ranges of the values: found {found}")]
    Ranges {
        /// What is wrong.
        found: String,
    },
    /// Cut off, or with bytes appended.
    #[error("byte 16: the file has {found} bytes, but says that it has {wanted}")]
    Length {
        /// Bytes of the file.
        found: u64,
        /// Bytes that its head tells.
        wanted: u64,
    },
    /// Damaged.
    #[error("byte 12: the file is damaged: its checksum is {found:08x}, its head says {wanted:08x}")]
    Checksum {
        /// CRC-32 of the bytes.
        found: u32,
        /// CRC-32 that the head tells.
        wanted: u32,
    },
    /// The file ends within something.
    #[error("byte {place}: {what} takes {wanted} bytes, the file has {found} more")]
    End {
        /// Where it begins.
        place: usize,
        /// What is cut off.
        what: String,
        /// Bytes that are left.
        found: usize,
        /// Bytes that it takes.
        wanted: usize,
    },
    /// A field holds what it cannot.
    #[error("byte {place}: {what} is {found}, wanted {wanted}")]
    Field {
        /// Where the field, or the section it belongs to, ends.
        place: usize,
        /// Which field.
        what: String,
        /// What it holds.
        found: String,
        /// What it may hold.
        wanted: String,
    },
    /// More than a reader is willing to hold.
    #[error("{what} asks for {found} places, at most {wanted} are allowed")]
    Limit {
        /// A tensor, or the values between two layers.
        what: String,
        /// Places asked for; `u64::MAX` when there are more.
        found: u64,
        /// Places that are allowed.
        wanted: usize,
    },
    /// The system gives no more memory.
    #[error("no memory for the {wanted} values of {what}")]
    Memory {
        /// Which tensor.
        what: String,
        /// Its values.
        wanted: usize,
    },
    /// A value that the chosen precision cannot hold.
    #[error("{what}, value {place}, is {found}: {wanted}")]
    Value {
        /// Which tensor.
        what: String,
        /// Its place, row-major.
        place: usize,
        /// The value.
        found: f32,
        /// What can be stored.
        wanted: &'static str,
    },
    /// A node that does not fit those before it.
    #[error("byte {place}: {source}")]
    Node {
        /// Where what describes it ends.
        place: usize,
        /// What is wrong with it.
        source: secateur_graph::Error,
    },
    /// The weights to be written are not the graph's.
    #[error(transparent)]
    Weights(secateur_graph::Error),
}
