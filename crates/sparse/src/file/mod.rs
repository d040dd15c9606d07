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
use serde::{Deserialize, Serialize};
pub(crate) use values::{code, row_scale};

/// The first bytes of every file.
pub const MAGIC: [u8; 8] = *b"secateur";
/// The newest version of the format. Version 1 has one scale for all channels, and is written where that is enough.
pub const VERSION: u32 = 2;
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
    /// What it sees of an image's bytes: a scale for each channel of its input, or a single one for all.
    pub scales: Vec<Scale>,
}

/// What a network sees of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// A byte `b` becomes the input `b / divisor + shift`, in f32.
    pub divisor: f32,
    /// See `divisor`.
    pub shift: f32,
}

impl Scale {
    /// What a byte, or a number between two, becomes.
    pub fn of(&self, byte: f32) -> f32 {
        byte / self.divisor + self.shift
    }

    fn is_sound(&self) -> bool {
        self.divisor.is_finite() && self.divisor != 0.0 && self.shift.is_finite()
    }
}

impl Info {
    /// The input that an image's bytes, `[channel][pixel]`, become.
    pub fn input<'a>(&'a self, image: &'a [u8]) -> impl Iterator<Item = f32> + 'a {
        let plane = (image.len() / self.scales.len().max(1)).max(1);
        image
            .chunks(plane)
            .zip(&self.scales)
            .flat_map(|(plane, scale)| plane.iter().map(move |byte| scale.of(f32::from(*byte))))
    }

    /// The scales as a file keeps them: one where all are the same.
    fn stored(&self) -> &[Scale] {
        let all_same = self.scales.windows(2).all(|pair| pair[0] == pair[1]);
        &self.scales[..if all_same { self.scales.len().min(1) } else { self.scales.len() }]
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
/// When a value is not finite or too large for the precision, a divisor is 0, there is neither one scale nor one for each channel,
/// or the network has more than [`PLACES`] places.
pub fn encode(network: &Network, info: &Info, precision: Precision) -> Result<Vec<u8>, Error> {
    let scales = info.stored();
    for (place, scale) in info.scales.iter().enumerate().filter(|(_, scale)| !scale.is_sound()) {
        let found = if scale.shift.is_finite() { scale.divisor } else { scale.shift };
        let wanted = "divisor and shift have to be finite, and the divisor not 0";
        return Err(Error::Value { what: "the scale of a channel".to_owned(), place, found, wanted });
    }
    let [channels, ..] = network.input();
    if info.scales.len() != channels && info.scales.len() != 1 {
        return Err(Error::Scales { found: info.scales.len(), channels });
    }
    let mut writer = Writer::default();
    writer.bytes.extend(MAGIC);
    let each = scales.len() > 1;
    writer.u32(if each { VERSION } else { 1 });
    // The checksum and the length are known at the end.
    writer.bytes.resize(UNCHECKED + 4, 0);
    writer.u32(match precision {
        Precision::F32 => 0,
        Precision::F16 => 1,
        Precision::Int8 => 2,
    });
    if each {
        writer.u32(bits::to_u32(scales.len(), "the number of scales")?);
    }
    for scale in scales {
        writer.f32(scale.divisor);
        writer.f32(scale.shift);
    }
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
    let Head { version, checksum } = head(bytes, bytes.len() as u64, &mut reader)?;
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
    let count = if version == 1 { 1 } else { reader.u32("the number of scales")? };
    let mut scales = vec![];
    for _ in 0..count {
        let scale = Scale { divisor: reader.f32("the divisor")?, shift: reader.f32("the shift")? };
        if !scale.is_sound() {
            let found = format!("{} and {}", scale.divisor, scale.shift);
            return Err(reader.field("the divisor and the shift", found, "finite, and the divisor not 0"));
        }
        scales.push(scale);
    }
    let info = Info { name: reader.text("the model's name")?, scales };
    let (network, sizes) = layers::read(precision, places, &mut reader)?;
    let [channels, ..] = network.input();
    if version > 1 && (info.scales.len() != channels || info.stored().len() == 1) {
        let found = format!("{} for {channels} channels", info.scales.len());
        return Err(reader.field("the scales", found, "one for each channel, not all the same"));
    }
    if reader.left() > 0 {
        return Err(reader.field("what follows the last layer", format!("{} bytes", reader.left()), "nothing"));
    }
    Ok(Model { network, info, precision, sizes })
}

/// Checks a file of so many bytes by its first [`HEAD`], or all if it has fewer: what is no model, or is cut off or has bytes
/// appended, need not be read as a whole.
///
/// # Errors
/// As those of [`decode`] that the head shows.
pub fn check_head(bytes: &[u8], length: u64) -> Result<(), Error> {
    head(bytes, length, &mut Reader::new(bytes, MAGIC.len())).map(|_| ())
}

/// What the head of a file tells.
struct Head {
    version: u32,
    checksum: u32,
}

/// Reads the head of a file of so many bytes.
fn head(bytes: &[u8], length: u64, reader: &mut Reader<'_>) -> Result<Head, Error> {
    if !bytes.starts_with(&MAGIC) {
        return Err(Error::Magic { found: bytes[..bytes.len().min(MAGIC.len())].to_vec() });
    }
    let version = reader.u32("the version")?;
    if !(1..=VERSION).contains(&version) {
        return Err(Error::Version { found: version, wanted: VERSION });
    }
    let checksum = reader.u32("the checksum")?;
    let wanted = reader.u32("the length")?.into();
    if length == wanted { Ok(Head { version, checksum }) } else { Err(Error::Length { found: length, wanted }) }
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
