//! A network in a file, `model.secateur`: sparse, versioned, checksummed, and read as if somebody hostile had written it.
//!
//! `docs/format.md` draws the format byte by byte. A file is read from a slice, which may be a mapped file: every section
//! lies at a multiple of four bytes, so values can be used where they lie. What a reader allocates is bounded: at most four
//! bytes for each dense place of the network, of which there may be [`PLACES`] at most, and some 100 bytes for each byte of
//! the file.

mod axis;
mod bits;
mod budget;
mod error;
mod graph;
mod info;
mod ops;
mod positions;
mod tensor;
mod values;
mod version_1;

use crate::ranges::INPUT;
use crate::{Ranges, Trained};
use bits::{Reader, Writer};
pub use error::Error;
pub use graph::{LayerSize, quantized};
pub use info::{Info, Precision, Scale, wrong_class_names};
pub use positions::Coding;
use secateur_graph::{Graph, Weights};
use std::collections::HashSet;
pub(crate) use values::{code, row_scale};

/// The first bytes of every file.
pub const MAGIC: [u8; 8] = *b"secateur";
/// The newest version of the format: graphs with operations that earlier readers do not know. Version 4 has graphs with the ranges of
/// their values, version 3 with names of their classes, version 2 without; the lowest of these that holds a network is written. Version 1,
/// chains of layers with one scale for all channels, is read.
pub const VERSION: u32 = 5;
/// The most dense places that a network in a file has: weights, biases, scales, shifts and running statistics together. The values of an
/// image are bounded by the same number, all of them and the zeros that are added around them together.
pub const PLACES: u32 = 1 << 28;

/// Bytes before the checksummed part: magic, version and checksum.
const UNCHECKED: usize = 16;
/// Bytes of the head that [`check_head`] looks at: those, and the length.
pub const HEAD: usize = UNCHECKED + 4;

/// A network out of a file, and what the file says beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The network, with its zeros.
    pub network: Trained,
    /// What the network is, and what it wants to see.
    pub info: Info,
    /// How the weights are stored.
    pub precision: Precision,
    /// For each node that has values, what it takes in the file, input first.
    pub sizes: Vec<LayerSize>,
}

/// The bytes of a file: the same for the same graph and weights.
///
/// # Errors
/// When the weights are not the graph's, a value is not finite or too large for the precision, a variance cannot be divided by, a divisor
/// is 0, there is neither one scale nor one for each channel, there are names but not one for each class, or the network has more than
/// [`PLACES`] places.
pub fn encode(graph: &Graph, weights: &Weights, info: &Info, precision: Precision) -> Result<Vec<u8>, Error> {
    info.check(graph.shape(graph.input())[0], classes(graph))?;
    // Those of values that compaction has left out have no use.
    let values = value_names(graph);
    let info = &Info { ranges: info.ranges.only(|name| values.contains(name)), ..info.clone() };
    check_ranges(&info.ranges, graph, precision).map_err(|found| Error::Ranges { found })?;
    let version = match (info.classes.is_empty(), info.ranges.is_empty()) {
        _ if graph.nodes().iter().any(|node| ops::is_of_version_5(&node.op)) => 5,
        (true, true) => 2,
        (false, true) => 3,
        (_, false) => 4,
    };
    written(version, info, precision, |writer| graph::write(graph, weights, precision, writer))
}

/// What is wrong with ranges beside weights of this precision: they go with int8, and with values of the graph.
fn check_ranges(ranges: &Ranges, graph: &Graph, precision: Precision) -> Result<(), String> {
    if !ranges.is_empty() && precision != Precision::Int8 {
        return Err(format!("some beside weights in {precision:?}, expected int8 weights"));
    }
    let values = value_names(graph);
    match ranges.iter().find(|(name, _)| !values.contains(name)) {
        Some((name, _)) => Err(format!("one of `{name}`, expected names of nodes, or `{INPUT}`")),
        None => Ok(()),
    }
}

/// The names of a graph's values: a set, since a file may have as many ranges as it has nodes.
fn value_names(graph: &Graph) -> HashSet<&str> {
    graph.nodes().iter().map(|node| node.name.as_str()).chain([INPUT]).collect()
}

/// Numbers that a graph gives for an image.
fn classes(graph: &Graph) -> usize {
    graph.shape(graph.output()).iter().product()
}

/// The head, and what is written behind it.
fn written(
    version: u32,
    info: &Info,
    precision: Precision,
    body: impl FnOnce(&mut Writer) -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::default();
    writer.bytes.extend(MAGIC);
    writer.u32(version);
    // The checksum and the length are known at the end.
    writer.bytes.resize(UNCHECKED + 4, 0);
    writer.u32(precision.number());
    if version > 1 {
        writer.u32(bits::to_u32(info.stored().len(), "the number of scales")?);
    }
    for scale in info.stored() {
        writer.f32(scale.divisor);
        writer.f32(scale.shift);
    }
    writer.text(&info.name, "the length of the model's name")?;
    if version > 2 {
        writer.u32(bits::to_u32(info.classes.len(), "the number of classes")?);
        info.classes.iter().try_for_each(|name| writer.text(name, "the length of a class's name"))?;
    }
    if version > 3 {
        writer.u32(bits::to_u32(info.ranges.len(), "the number of ranges")?);
        for (name, [low, high]) in info.ranges.iter() {
            writer.text(name, "the length of a node's name")?;
            writer.f32(low);
            writer.f32(high);
        }
    }
    body(&mut writer)?;
    let length = bits::to_u32(writer.bytes.len(), "the length of the file")?;
    writer.bytes[UNCHECKED..][..4].copy_from_slice(&length.to_le_bytes());
    seal(&mut writer.bytes);
    Ok(writer.bytes)
}

/// Reads a file.
///
/// # Errors
/// When a byte of it is not as [`encode`] would write it, or the network has more than [`PLACES`] places, or more than [`PLACES`] values
/// for one image.
pub fn decode(bytes: &[u8]) -> Result<Model, Error> {
    decode_within(bytes, PLACES)
}

/// Reads a file whose network has no more than so many dense places, and no more values for one image.
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
    let scales = scales(version, &mut reader)?;
    let name = reader.text("the model's name")?;
    let named = if version > 2 { reader.u32("the number of classes")? } else { 0 };
    let names = (0..named).map(|_| reader.text("the name of a class")).collect::<Result<Vec<_>, _>>()?;
    if version == 3 && names.is_empty() {
        return Err(reader.field("the number of named classes", 0, "one or more"));
    }
    let ranges = if version > 3 { ranges(version, &mut reader)? } else { Ranges::default() };
    let info = Info { name, scales, classes: names, ranges };
    let (graph, weights, sizes) = match version {
        1 => version_1::read(precision, places, &mut reader)?,
        _ => graph::read(precision, places, &mut reader)?,
    };
    let asks_for_5 = graph.nodes().iter().any(|node| ops::is_of_version_5(&node.op));
    // Version 1 crops, and has no other version's operations.
    if version > 1 && asks_for_5 != (version == 5) {
        let wanted = if asks_for_5 { "5, which its operations ask for" } else { "the lowest that its operations need" };
        return Err(reader.field("the version", version, wanted));
    }
    let channels = graph.shape(graph.input())[0];
    if info.scales.len() != 1 && (info.scales.len() != channels || info.stored().len() == 1) {
        let found = format!("{} for {channels} channels", info.scales.len());
        return Err(reader.field("the scales", found, "one, or one for each channel, not all the same"));
    }
    if let Some(found) = wrong_class_names(&info.classes, classes(&graph)) {
        return Err(Error::Classes { found });
    }
    check_ranges(&info.ranges, &graph, precision).map_err(|found| Error::Ranges { found })?;
    if reader.left() > 0 {
        return Err(reader.field("what follows the last layer", format!("{} bytes", reader.left()), "nothing"));
    }
    Ok(Model { network: Trained { graph, weights }, info, precision, sizes })
}

/// The ranges, in the order of their names; in version 4 one at least.
fn ranges(version: u32, reader: &mut Reader<'_>) -> Result<Ranges, Error> {
    let mut found: Vec<(String, [f32; 2])> = vec![];
    for _ in 0..reader.u32("the number of ranges")? {
        let name = reader.text("the name of a value")?;
        if let Some((last, _)) = found.last().filter(|(last, _)| *last >= name) {
            let wanted = format!("one behind `{last}` in the order of their bytes");
            return Err(reader.field("the name of a value", name, wanted));
        }
        let [low, high] = [reader.f32("the lowest number")?, reader.f32("the largest number")?];
        if !(low.is_finite() && high.is_finite() && low <= high) {
            return Err(reader.field("a range", format!("{low} to {high}"), "two finite numbers in order"));
        }
        found.push((name, [low, high]));
    }
    if found.is_empty() && version == 4 {
        return Err(reader.field("the number of ranges", 0, "one or more"));
    }
    Ok(Ranges::new(found))
}

/// The scales: one in version 1.
fn scales(version: u32, reader: &mut Reader<'_>) -> Result<Vec<Scale>, Error> {
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
    Ok(scales)
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
