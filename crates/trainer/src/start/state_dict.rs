//! A PyTorch state dict in either of its formats, as f32: tensors by name, each read when it is asked for.
//!
//! Files are untrusted. What is allocated for a tensor is bounded by the shape that the caller wants, which is checked
//! before anything of the tensor is read.

use crate::Error;
use crate::tensor_file::TensorReader;
use pytorch_reader::{DType, PytorchReader, Tensor};
use safetensors::Dtype;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file of named tensors.
pub(super) struct StateDict {
    path: PathBuf,
    tensors: Tensors,
}

enum Tensors {
    /// `.pt` and `.pth`: a zip or one of the older containers around a pickle.
    Pickle(BTreeMap<String, Tensor>),
    Safetensors(TensorReader),
}

/// The types of number that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    F64,
    F32,
    F16,
    Bf16,
    /// One byte, for masks alone.
    Byte,
}

impl StateDict {
    /// Opens a file by the end of its name.
    ///
    /// # Errors
    /// When it cannot be read, or holds no tensors by name.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let end = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let refuse = |why: String| Error::Run { path: path.to_owned(), why };
        let tensors = match &*end {
            "safetensors" => Tensors::Safetensors(TensorReader::open(path)?),
            "pt" | "pth" => {
                crate::files::open(path)?;
                let read =
                    PytorchReader::new(path).map_err(|error| refuse(format!("no PyTorch state dict: {error}")))?;
                Tensors::Pickle(read.into_tensors().into_iter().collect())
            }
            _ => return Err(refuse("wanted a file whose name ends in .safetensors, .pt or .pth".into())),
        };
        Ok(Self { path: path.to_owned(), tensors })
    }

    /// The names, in order.
    pub(super) fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match &self.tensors {
            Tensors::Pickle(tensors) => Box::new(tensors.keys().map(String::as_str)),
            Tensors::Safetensors(file) => Box::new(file.names()),
        }
    }

    /// A tensor of floating-point numbers of this shape, row-major, each rounded to f32.
    ///
    /// # Errors
    /// When there is none of this name, it has another shape or type, or cannot be read.
    pub(super) fn weights(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let number = self.number(name, shape)?;
        if number == Number::Byte {
            return Err(self.refuse(name, "found bytes or booleans, wanted f64, f32, f16 or bf16".into()));
        }
        Ok(floats(number, &self.bytes(name)?))
    }

    /// A mask of this shape: a zero or a one for each weight, of any type that is read.
    ///
    /// # Errors
    /// When there is none of this name, it has another shape or type, other values, or cannot be read.
    pub(super) fn mask(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let values = floats(self.number(name, shape)?, &self.bytes(name)?);
        match values.iter().position(|value| *value != 0.0 && *value != 1.0) {
            Some(place) => Err(self.refuse(name, format!("value {place} is {}, wanted 0 or 1", values[place]))),
            None => Ok(values),
        }
    }

    /// A tensor's type, once its shape is the wanted one.
    fn number(&self, name: &str, wanted: &[usize]) -> Result<Number, Error> {
        let (found, number, kind) = match &self.tensors {
            Tensors::Pickle(tensors) => {
                let tensor = tensors.get(name).ok_or_else(|| self.refuse(name, "found no such tensor".into()))?;
                let number = match tensor.dtype() {
                    DType::F64 => Some(Number::F64),
                    DType::F32 => Some(Number::F32),
                    DType::F16 => Some(Number::F16),
                    DType::BF16 => Some(Number::Bf16),
                    DType::U8 | DType::Bool => Some(Number::Byte),
                    _ => None,
                };
                (tensor.shape(), number, format!("{:?}", tensor.dtype()))
            }
            Tensors::Safetensors(file) => {
                let info = file.info(name).ok_or_else(|| self.refuse(name, "found no such tensor".into()))?;
                let number = match info.dtype {
                    Dtype::F64 => Some(Number::F64),
                    Dtype::F32 => Some(Number::F32),
                    Dtype::F16 => Some(Number::F16),
                    Dtype::BF16 => Some(Number::Bf16),
                    Dtype::U8 | Dtype::BOOL => Some(Number::Byte),
                    _ => None,
                };
                (info.shape.as_slice(), number, format!("{:?}", info.dtype))
            }
        };
        if found != wanted {
            return Err(self.refuse(name, format!("found shape {found:?}, wanted shape {wanted:?}")));
        }
        number.ok_or_else(|| self.refuse(name, format!("found numbers of type {kind}, wanted F64, F32, F16 or BF16")))
    }

    /// A tensor's bytes, row-major and little-endian.
    fn bytes(&self, name: &str) -> Result<Vec<u8>, Error> {
        match &self.tensors {
            Tensors::Pickle(tensors) => {
                let tensor = tensors.get(name).ok_or_else(|| self.refuse(name, "found no such tensor".into()))?;
                tensor.read().map_err(|error| Error::Run { path: self.path.clone(), why: error.to_string() })
            }
            Tensors::Safetensors(file) => file.raw(name),
        }
    }

    fn refuse(&self, name: &str, why: String) -> Error {
        Error::Run { path: self.path.clone(), why: format!("`{name}`: {why}") }
    }
}

fn floats(number: Number, bytes: &[u8]) -> Vec<f32> {
    match number {
        Number::F64 => bytes.as_chunks().0.iter().map(|own| f64::from_le_bytes(*own) as f32).collect(),
        Number::F32 => bytes.as_chunks().0.iter().map(|own| f32::from_le_bytes(*own)).collect(),
        Number::F16 => bytes.as_chunks().0.iter().map(|own| half::f16::from_le_bytes(*own).to_f32()).collect(),
        Number::Bf16 => bytes.as_chunks().0.iter().map(|own| half::bf16::from_le_bytes(*own).to_f32()).collect(),
        Number::Byte => bytes.iter().map(|own| f32::from(*own)).collect(),
    }
}
