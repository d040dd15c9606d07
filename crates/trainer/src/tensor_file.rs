//! Named tensors in a safetensors file: what checkpoints and final models are made of.

use crate::Error;
use safetensors::{Dtype, SafeTensors, View};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Named tensors in memory, ordered by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TensorFile {
    tensors: BTreeMap<String, Stored>,
}

/// A tensor's bytes, little-endian and row-major.
#[derive(Clone, Debug, PartialEq)]
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

impl TensorFile {
    /// Adds a tensor of f32.
    ///
    /// # Panics
    /// When `values` is not as long as the shape asks for.
    pub(crate) fn add_f32(&mut self, name: String, shape: &[usize], values: &[f32]) {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "`{name}` fills its shape");
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensors.insert(name, Stored { dtype: Dtype::F32, shape: shape.to_vec(), bytes });
    }

    /// Adds a flat tensor of bytes.
    pub(crate) fn add_bytes(&mut self, name: String, bytes: Vec<u8>) {
        self.tensors.insert(name, Stored { dtype: Dtype::U8, shape: vec![bytes.len()], bytes });
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape and values of a tensor of f32; `None` when there is none of this name and type.
    pub(crate) fn f32(&self, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        let stored = self.tensors.get(name).filter(|stored| stored.dtype == Dtype::F32)?;
        let values = stored.bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        Some((stored.shape.clone(), values))
    }

    /// A tensor of bytes; `None` when there is none of this name and type.
    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.tensors.get(name).filter(|stored| stored.dtype == Dtype::U8).map(|stored| stored.bytes.as_slice())
    }

    /// The file's bytes, with `notes` in its header. The same tensors and notes give the same bytes.
    ///
    /// # Panics
    /// Never: what this type holds is what the format can hold.
    pub(crate) fn to_bytes(&self, note: Option<(&str, &str)>) -> Vec<u8> {
        // At most one note: the format keeps them in an unordered map, whose bytes would differ from run to run.
        let notes = note.map(|(key, value)| HashMap::from([(key.to_owned(), value.to_owned())]));
        safetensors::serialize(self.tensors.iter(), notes).expect("shapes and lengths were checked when added")
    }

    /// Reads bytes that may be anything; `path` names them in errors.
    ///
    /// # Errors
    /// When they are no safetensors file.
    pub(crate) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let refuse = |why: String| Error::Run { path: path.to_owned(), why };
        let read = SafeTensors::deserialize(bytes).map_err(|error| refuse(format!("no safetensors file: {error}")))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in read.iter() {
            if !matches!(view.dtype(), Dtype::F32 | Dtype::U8) {
                return Err(refuse(format!("`{name}` holds {:?}, wanted F32 or U8", view.dtype())));
            }
            let stored = Stored { dtype: view.dtype(), shape: view.shape().to_vec(), bytes: view.data().to_vec() };
            tensors.insert(name.to_owned(), stored);
        }
        Ok(Self { tensors })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> TensorFile {
        let mut file = TensorFile::default();
        file.add_f32("b".into(), &[2, 1], &[1.5, -0.0]);
        file.add_bytes("a".into(), vec![1, 2, 3]);
        file.add_f32("empty".into(), &[0], &[]);
        file
    }

    #[test]
    fn reading_is_the_inverse_of_writing() {
        let bytes = small().to_bytes(Some(("format", "pt")));
        assert_eq!(bytes, small().to_bytes(Some(("format", "pt"))));
        let read = TensorFile::from_bytes(Path::new("x"), &bytes).expect("own bytes");
        assert_eq!(read, small());
        assert_eq!(read.names().collect::<Vec<_>>(), ["a", "b", "empty"]);
        assert_eq!(read.f32("b"), Some((vec![2, 1], vec![1.5, 0.0])));
        assert_eq!((read.f32("a"), read.bytes("b"), read.bytes("none")), (None, None, None));
    }

    #[test]
    fn any_cut_or_flip_is_an_error_or_another_file_but_never_a_panic() {
        let bytes = small().to_bytes(None);
        for end in 0..bytes.len() {
            assert!(TensorFile::from_bytes(Path::new("x"), &bytes[..end]).is_err(), "cut at {end}");
        }
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 0x5a;
            let _ = TensorFile::from_bytes(Path::new("x"), &flipped);
        }
    }
}
