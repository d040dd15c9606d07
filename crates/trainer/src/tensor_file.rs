//! Named tensors in a safetensors file: what checkpoints and final models are made of. Both ways one tensor after the
//! other goes by, so that a file is never in memory as a whole.

use crate::Error;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Values that are turned into bytes, or back, at a time.
const CHUNK: usize = 1 << 14;
/// Longest header that is read, in bytes; the format's own limit.
const LONGEST_HEADER: u64 = 100_000_000;
/// What stands before the header: its length.
const LENGTH: u64 = 8;

/// Named tensors that are to be written.
#[derive(Default)]
pub(crate) struct TensorFile<'a> {
    floats: BTreeMap<String, (Vec<usize>, Floats<'a>)>,
    bytes: BTreeMap<String, Vec<u8>>,
}

enum Floats<'a> {
    Here(&'a [f32]),
    Later(Box<dyn Fn() -> Vec<f32> + 'a>),
}

impl<'a> TensorFile<'a> {
    /// Adds a tensor of f32.
    ///
    /// # Panics
    /// When `values` is not as long as the shape asks for.
    pub(crate) fn add_f32(&mut self, name: String, shape: &[usize], values: &'a [f32]) {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "`{name}` fills its shape");
        self.floats.insert(name, (shape.to_vec(), Floats::Here(values)));
    }

    /// Adds a tensor of f32 whose values, as many as its shape asks for, are made when they are written.
    pub(crate) fn add_f32_later(&mut self, name: String, shape: &[usize], values: impl Fn() -> Vec<f32> + 'a) {
        self.floats.insert(name, (shape.to_vec(), Floats::Later(Box::new(values))));
    }

    /// Adds a flat tensor of bytes.
    pub(crate) fn add_bytes(&mut self, name: String, bytes: Vec<u8>) {
        self.bytes.insert(name, bytes);
    }

    /// Writes the file, with `notes` in its header. The same tensors and notes give the same bytes.
    ///
    /// # Errors
    /// What `out` says.
    ///
    /// # Panics
    /// When a tensor's values, made late, do not fill its shape.
    pub(crate) fn write(&self, notes: &BTreeMap<&str, String>, out: &mut dyn Write) -> io::Result<()> {
        let mut end = 0;
        let mut info = |name: &String, dtype, shape: &[usize], bytes: usize| {
            let start = end;
            end += bytes;
            (name.clone(), TensorInfo { dtype, shape: shape.to_vec(), data_offsets: (start, end) })
        };
        let floats = self.floats.iter().map(|(name, (shape, _))| (name, shape, 4 * shape.iter().product::<usize>()));
        let mut infos: Vec<_> = floats.map(|(name, shape, bytes)| info(name, Dtype::F32, shape, bytes)).collect();
        infos.extend(self.bytes.iter().map(|(name, bytes)| info(name, Dtype::U8, &[bytes.len()], bytes.len())));
        let metadata = Metadata::new(None, infos).expect("offsets follow each other, and names are keys of a map");
        let mut header = serde_json::to_vec(&metadata).expect("a header is plain data");
        if !notes.is_empty() {
            // Written here: the format's own type keeps notes in an unordered map, whose bytes would differ from run to run.
            let notes = serde_json::to_string(notes).expect("notes are plain data");
            let comma = if self.floats.is_empty() && self.bytes.is_empty() { "" } else { "," };
            header.splice(..1, format!("{{\"__metadata__\":{notes}{comma}").into_bytes());
        }
        header.resize(header.len().next_multiple_of(LENGTH as usize), b' ');
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for (name, (shape, floats)) in &self.floats {
            match floats {
                Floats::Here(values) => write_floats(values, out)?,
                Floats::Later(values) => {
                    let values = values();
                    assert_eq!(values.len(), shape.iter().product::<usize>(), "`{name}` fills its shape");
                    write_floats(&values, out)?;
                }
            }
        }
        self.bytes.values().try_for_each(|bytes| out.write_all(bytes))
    }
}

/// Little-endian, chunk by chunk.
fn write_floats(values: &[f32], out: &mut dyn Write) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4 * values.len().min(CHUNK));
    for chunk in values.chunks(CHUNK) {
        bytes.clear();
        bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// A file of named tensors, each read when it is asked for.
#[derive(Debug)]
pub(crate) struct TensorReader {
    path: PathBuf,
    file: File,
    /// Where the tensors begin.
    start: u64,
    tensors: BTreeMap<String, TensorInfo>,
    notes: HashMap<String, String>,
}

impl TensorReader {
    /// Reads the header of a file that may hold anything.
    ///
    /// # Errors
    /// When the file cannot be read, or is no safetensors file.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let refuse = |why: String| Error::Run { path: path.to_owned(), why };
        let io = || Error::io(path, "read");
        let file = crate::files::open(path)?;
        let length = file.metadata().map_err(io())?.len();
        let mut first = [0; LENGTH as usize];
        let room = length.checked_sub(LENGTH).ok_or_else(|| refuse(format!("no safetensors file: {length} bytes")))?;
        (&file).read_exact(&mut first).map_err(io())?;
        let header = u64::from_le_bytes(first);
        if header > room.min(LONGEST_HEADER) {
            let why =
                format!("no safetensors file: its header has {header} bytes, the file has {room} after the first 8");
            return Err(refuse(why));
        }
        let mut bytes = vec![0; header as usize];
        (&file).read_exact(&mut bytes).map_err(io())?;
        let metadata: Metadata =
            serde_json::from_slice(&bytes).map_err(|error| refuse(format!("no safetensors file: {error}")))?;
        let (found, wanted) = (room - header, metadata.data_len() as u64);
        if found != wanted {
            return Err(refuse(format!(
                "no safetensors file: its tensors have {found} bytes, its header says {wanted}"
            )));
        }
        let tensors: BTreeMap<String, TensorInfo> =
            metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
        let notes = metadata.metadata().clone().unwrap_or_default();
        Ok(Self { path: path.to_owned(), file, start: LENGTH + header, tensors, notes })
    }

    /// A note of the header.
    pub(crate) fn note(&self, key: &str) -> Option<&str> {
        self.notes.get(key).map(String::as_str)
    }

    /// An error that names the file.
    pub(crate) fn refuse(&self, why: String) -> Error {
        Error::Run { path: self.path.clone(), why }
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Type and shape of a tensor of any type.
    pub(crate) fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// Shape of a tensor of f32; `None` when there is none of this name and type.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).filter(|info| info.dtype == Dtype::F32).map(|info| info.shape.as_slice())
    }

    /// The values of a tensor of f32 that has this shape; `None` when there is none of this name and type.
    ///
    /// # Errors
    /// When it has another shape, or cannot be read.
    pub(crate) fn f32(&self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>, Error> {
        let Some(info) = self.tensors.get(name).filter(|info| info.dtype == Dtype::F32) else { return Ok(None) };
        if info.shape != shape {
            return Err(self.refuse(format!("`{name}`: found shape {:?}, wanted shape {shape:?}", info.shape)));
        }
        let mut values = Vec::with_capacity((info.data_offsets.1 - info.data_offsets.0) / 4);
        self.read(info, |bytes| values.extend(bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four))))?;
        Ok(Some(values))
    }

    /// A tensor of bytes; `None` when there is none of this name and type.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let bytes = self.tensors.get(name).filter(|info| info.dtype == Dtype::U8);
        bytes.map(|_| self.raw(name)).transpose()
    }

    /// The bytes of a tensor of any type.
    ///
    /// # Errors
    /// When there is none of this name, or it cannot be read.
    pub(crate) fn raw(&self, name: &str) -> Result<Vec<u8>, Error> {
        let info = self.tensors.get(name).ok_or_else(|| self.refuse(format!("`{name}`: found no such tensor")))?;
        let mut found = Vec::with_capacity(info.data_offsets.1 - info.data_offsets.0);
        self.read(info, |bytes| found.extend_from_slice(bytes))?;
        Ok(found)
    }

    /// Hands a tensor's bytes to `take`, chunk by chunk; all chunks but the last are of the same length.
    fn read(&self, info: &TensorInfo, mut take: impl FnMut(&[u8])) -> Result<(), Error> {
        let (start, end) = info.data_offsets;
        let io = || Error::io(&self.path, "read");
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.start + start as u64)).map_err(io())?;
        let mut left = end - start;
        let mut chunk = vec![0; left.min(4 * CHUNK)];
        while left > 0 {
            let own = left.min(chunk.len());
            file.read_exact(&mut chunk[..own]).map_err(io())?;
            take(&chunk[..own]);
            left -= own;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn notes(notes: &[(&'static str, &str)]) -> BTreeMap<&'static str, String> {
        notes.iter().map(|(key, value)| (*key, (*value).to_owned())).collect()
    }

    fn bytes(own: &[(&'static str, &str)]) -> Vec<u8> {
        let many: Vec<f32> = (0..2 * CHUNK + 5).map(|value| value as f32).collect();
        let mut file = TensorFile::default();
        file.add_f32("b".into(), &[2, 1], &[1.5, -0.0]);
        file.add_bytes("a".into(), vec![1, 2, 3]);
        file.add_f32("empty".into(), &[0], &[]);
        file.add_f32_later("many".into(), &[many.len()], || many.clone());
        let mut bytes = vec![];
        file.write(&notes(own), &mut bytes).expect("into memory");
        bytes
    }

    fn read(bytes: &[u8]) -> (tempfile::TempDir, Result<TensorReader, Error>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        fs::write(&path, bytes).expect("written");
        let read = TensorReader::open(&path);
        (folder, read)
    }

    #[test]
    fn reading_is_the_inverse_of_writing() {
        let (_folder, read) = read(&bytes(&[("format", "pt")]));
        let read = read.expect("own bytes");
        assert_eq!(read.names().collect::<Vec<_>>(), ["a", "b", "empty", "many"]);
        assert_eq!(read.f32("b", &[2, 1]).expect("read"), Some(vec![1.5, -0.0]));
        assert_eq!(read.f32("empty", &[0]).expect("read"), Some(vec![]));
        let many = read.f32("many", &[2 * CHUNK + 5]).expect("read").expect("there");
        assert!(many.iter().enumerate().all(|(index, value)| index as f32 == *value));
        assert_eq!(read.bytes("a").expect("read"), Some(vec![1, 2, 3]));
        assert_eq!((read.f32("a", &[3]).expect("read"), read.bytes("b").expect("read")), (None, None));
        assert_eq!((read.shape("b"), read.shape("a"), read.shape("none")), (Some(&[2, 1][..]), None, None));
        let error = read.f32("b", &[2]).expect_err("another shape").to_string();
        assert!(error.contains("`b`: found shape [2, 1], wanted shape [2]"), "{error}");
    }

    #[test]
    fn other_programs_read_the_same() {
        let bytes = bytes(&[("format", "pt")]);
        let read = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
        assert_eq!(read.tensor("b").expect("there").data(), [0, 0, 0xc0, 0x3f, 0, 0, 0, 0x80]);
        // And in their own order.
        let again = safetensors::serialize(read.iter(), Some(HashMap::from([("format".into(), "pt".into())])));
        assert_eq!(again.expect("written"), bytes);
    }

    #[test]
    fn notes_are_in_order_and_read_back() {
        let bytes = bytes(&[("b", "2\""), ("a", "1")]);
        assert!(bytes[8..].starts_with(b"{\"__metadata__\":{\"a\":\"1\",\"b\":\"2\\\"\"},"));
        let (_folder, read) = read(&bytes);
        let read = read.expect("own bytes");
        assert_eq!((read.note("a"), read.note("b"), read.note("c")), (Some("1"), Some("2\""), None));
        let mut empty = vec![];
        TensorFile::default().write(&notes(&[("a", "1")]), &mut empty).expect("into memory");
        assert!(self::read(&empty).1.is_ok());
    }

    #[test]
    fn any_cut_or_flip_is_an_error_or_another_file_but_never_a_panic() {
        let bytes = bytes(&[]);
        let header = bytes.len() - 4 * (2 * CHUNK + 7) - 3;
        for end in (0..header + 9).chain([bytes.len() - 1]) {
            assert!(read(&bytes[..end]).1.is_err(), "cut at {end}");
        }
        for place in 0..header + 4 {
            let mut flipped = bytes.clone();
            flipped[place] ^= 0x5a;
            let (_folder, read) = read(&flipped);
            let Ok(read) = read else { continue };
            for name in read.names() {
                let _ = (read.bytes(name), read.shape(name).map(|shape| read.f32(name, shape)));
            }
        }
    }
}
