//! A network in a file, `model.secateur`: sparse, versioned, checksummed, and read as if somebody hostile had written it.
//!
//! `docs/format.md` draws the format byte by byte. A file is read from a slice, which may be a mapped file: every section
//! lies at a multiple of four bytes, so values can be used where they lie. What a reader allocates is bounded: at most four
//! bytes for each dense place of the network, of which there may be [`PLACES`] at most, and some 100 bytes for each byte of
//! the file.

mod axis;
mod bits;
mod error;
mod layers;
mod positions;
mod tensor;
mod values;

use crate::Network;
use bits::{Reader, Writer};
pub use error::Error;
pub use layers::LayerSize;
pub use positions::Coding;
pub(crate) use values::{code, row_scale};

/// The first bytes of every file.
pub const MAGIC: [u8; 8] = *b"secateur";
/// The version of the format that is written and read here.
pub const VERSION: u32 = 1;
/// The most dense places that a network in a file has: weights, biases, scales and shifts together. The values between two
/// layers are bounded by the same number, and so is an image with the zeros that a convolution adds around it.
pub const PLACES: u32 = 1 << 28;

/// Bytes before the checksummed part: magic, version and checksum.
const UNCHECKED: usize = 16;
/// Bytes of the head that [`check_head`] looks at: those, and the length.
pub const HEAD: usize = UNCHECKED + 4;

/// A network out of a file, and what the file says beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The network, with its zeros.
    pub network: Network,
    /// What the network is, and what it wants to see.
    pub info: Info,
    /// How the weights are stored.
    pub precision: Precision,
    /// For each layer that has values, what it takes in the file, input first.
    pub sizes: Vec<LayerSize>,
}

/// What a network is, and what it wants to see.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// Its name, for people.
    pub name: String,
    /// An image's byte `b` becomes the input `b / divisor + shift`, in f32.
    pub divisor: f32,
    /// See `divisor`.
    pub shift: f32,
}

impl Info {
    /// What a byte of an image becomes.
    pub fn input(&self, byte: u8) -> f32 {
        f32::from(byte) / self.divisor + self.shift
    }
}

/// How the weights of convolutions and fully connected layers are stored. Affine layers are f32 always; biases are f32
/// beside f32 weights, and f16 otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As they are.
    F32,
    /// Rounded to IEEE 754 binary16.
    F16,
    /// A whole number from -127 to 127, times a scale of its row that is chosen for the least squared error.
    Int8,
}

impl Precision {
    fn bits(self) -> usize {
        match self {
            Self::F32 => 32,
            Self::F16 => 16,
            Self::Int8 => 8,
        }
    }

    /// The precision of a bias beside weights of this one.
    fn of_bias(self) -> Self {
        if self == Self::F32 { Self::F32 } else { Self::F16 }
    }
}

/// The bytes of a file: the same for the same network.
///
/// # Errors
/// When a value is not finite or too large for the precision, a divisor is 0, or the network has more than [`PLACES`] places.
pub fn encode(network: &Network, info: &Info, precision: Precision) -> Result<Vec<u8>, Error> {
    for (what, value) in [("the divisor", info.divisor), ("the shift", info.shift)] {
        if !value.is_finite() || (what == "the divisor" && value == 0.0) {
            let wanted = "it has to be finite, and the divisor not 0";
            return Err(Error::Value { what: what.to_owned(), place: 0, found: value, wanted });
        }
    }
    let mut writer = Writer::default();
    writer.bytes.extend(MAGIC);
    writer.u32(VERSION);
    // The checksum and the length are known at the end.
    writer.bytes.resize(UNCHECKED + 4, 0);
    writer.u32(match precision {
        Precision::F32 => 0,
        Precision::F16 => 1,
        Precision::Int8 => 2,
    });
    writer.f32(info.divisor);
    writer.f32(info.shift);
    writer.text(&info.name, "the length of the model's name")?;
    layers::write(network, precision, &mut writer)?;
    let length = bits::to_u32(writer.bytes.len(), "the length of the file")?;
    writer.bytes[UNCHECKED..][..4].copy_from_slice(&length.to_le_bytes());
    seal(&mut writer.bytes);
    Ok(writer.bytes)
}

/// Reads a file.
///
/// # Errors
/// When a byte of it is not as [`encode`] would write it, or the network has more than [`PLACES`] places.
pub fn decode(bytes: &[u8]) -> Result<Model, Error> {
    decode_within(bytes, PLACES)
}

/// Reads a file whose network has no more than so many dense places.
///
/// # Errors
/// As those of [`decode`].
pub fn decode_within(bytes: &[u8], places: u32) -> Result<Model, Error> {
    let mut reader = Reader::new(bytes, MAGIC.len());
    let checksum = head(bytes, bytes.len() as u64, &mut reader)?;
    let found = crc32fast::hash(&bytes[UNCHECKED..]);
    if found != checksum {
        return Err(Error::Checksum { found, wanted: checksum });
    }
    let precision = match reader.u32("the precision")? {
        0 => Precision::F32,
        1 => Precision::F16,
        2 => Precision::Int8,
        found => return Err(reader.field("the precision", found, "0 (f32), 1 (f16) or 2 (int8)")),
    };
    let (divisor, shift) = (reader.f32("the divisor")?, reader.f32("the shift")?);
    if !divisor.is_finite() || divisor == 0.0 || !shift.is_finite() {
        let found = format!("{divisor} and {shift}");
        return Err(reader.field("the divisor and the shift", found, "finite, and the divisor not 0"));
    }
    let name = reader.text("the model's name")?;
    let (network, sizes) = layers::read(precision, places, &mut reader)?;
    if reader.left() > 0 {
        return Err(reader.field("what follows the last layer", format!("{} bytes", reader.left()), "nothing"));
    }
    Ok(Model { network, info: Info { name, divisor, shift }, precision, sizes })
}

/// Checks a file of so many bytes by its first [`HEAD`], or all if it has fewer: what is no model, or is cut off or has bytes
/// appended, need not be read as a whole.
///
/// # Errors
/// As those of [`decode`] that the head shows.
pub fn check_head(bytes: &[u8], length: u64) -> Result<(), Error> {
    head(bytes, length, &mut Reader::new(bytes, MAGIC.len())).map(|_| ())
}

/// Reads the head of a file of so many bytes; returns the checksum that it tells.
fn head(bytes: &[u8], length: u64, reader: &mut Reader<'_>) -> Result<u32, Error> {
    if !bytes.starts_with(&MAGIC) {
        return Err(Error::Magic { found: bytes[..bytes.len().min(MAGIC.len())].to_vec() });
    }
    let version = reader.u32("the version")?;
    if version != VERSION {
        return Err(Error::Version { found: version, wanted: VERSION });
    }
    let checksum = reader.u32("the checksum")?;
    let wanted = reader.u32("the length")?.into();
    if length == wanted { Ok(checksum) } else { Err(Error::Length { found: length, wanted }) }
}

/// Sets the checksum of a file, whatever the rest of it holds; one too short to have a checksum stays as it is.
pub fn seal(bytes: &mut [u8]) {
    if let Some((head, rest)) = bytes.split_at_mut_checked(UNCHECKED) {
        head[MAGIC.len() + 4..].copy_from_slice(&crc32fast::hash(rest).to_le_bytes());
    }
}

/// The network that a file of this precision holds.
///
/// # Errors
/// When a value is not finite, or too large for the precision.
pub fn quantized(network: &Network, precision: Precision) -> Result<Network, Error> {
    network.filled(|own| {
        let rows = own.shape[0];
        let columns = own.shape[1..].iter().product();
        let round = |values: &[f32], shape: [usize; 2], precision, field| {
            let what = layers::what(own.name, field);
            values::Values::new(shape, values, precision, &what).map(|values| values.restored(shape[1]))
        };
        *own.weight = round(own.weight, [rows, columns], precision, "weight")?;
        *own.bias = round(own.bias, [1, rows], precision.of_bias(), "bias")?;
        Ok(())
    })
}
