//! Numbers that do not depend on the input.

use crate::proto::{FLOAT, INT64, Tensor};
use secateur_graph::MOST_PARAMETERS;

/// A tensor of a model, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    pub shape: Vec<usize>,
    pub values: Numbers,
}

/// Floats of any width as f32, integers of any width as i64.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Numbers {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
}

/// Whether a type of tensors is one of whole numbers that are read.
pub(super) fn is_whole(kind: i32) -> bool {
    [UINT8, INT32, INT64].contains(&kind)
}

impl Constant {
    /// A list of integers.
    pub(super) fn integers(values: Vec<i64>) -> Self {
        Self { shape: vec![values.len()], values: Numbers::Integers(values) }
    }

    /// One float.
    pub(super) fn float(value: f32) -> Self {
        Self { shape: vec![], values: Numbers::Floats(vec![value]) }
    }

    /// Its floats, if that is what it has.
    pub(super) fn floats(&self) -> Option<&[f32]> {
        match &self.values {
            Numbers::Floats(own) => Some(own),
            Numbers::Integers(_) => None,
        }
    }

    /// Its only float, if it has no more.
    pub(super) fn scalar(&self) -> Option<f32> {
        match self.floats() {
            Some(&[own]) => Some(own),
            _ => None,
        }
    }

    /// The tensor of a model, or why it cannot be read.
    pub(super) fn read(tensor: &Tensor) -> Result<Self, String> {
        if tensor.data_location == Some(1) {
            return Err("its values stand in another file, which is not read here; save the model as one file".into());
        }
        let side = |own: &i64| usize::try_from(*own).map_err(|_| format!("found a side of {own}"));
        let shape: Vec<usize> = tensor.dims.iter().map(side).collect::<Result<_, _>>()?;
        let count =
            shape.iter().try_fold(1usize, |all, own| all.checked_mul(*own)).filter(|own| *own <= MOST_PARAMETERS);
        let count =
            count.ok_or_else(|| format!("expected at most {MOST_PARAMETERS} values, found the shape {shape:?}"))?;
        let raw = tensor.raw_data.as_deref();
        let kind = tensor.data_type.unwrap_or(0);
        let values = match (kind, raw) {
            (FLOAT, Some(raw)) => Numbers::Floats(each(raw, f32::from_le_bytes)),
            (FLOAT, None) => Numbers::Floats(tensor.float_data.clone()),
            (DOUBLE, Some(raw)) => Numbers::Floats(each(raw, |own| f64::from_le_bytes(own) as f32)),
            (DOUBLE, None) => Numbers::Floats(tensor.double_data.iter().map(|own| *own as f32).collect()),
            (FLOAT16, Some(raw)) => Numbers::Floats(each(raw, |own| half::f16::from_le_bytes(own).to_f32())),
            (FLOAT16, None) => Numbers::Floats(bits(tensor, |own| half::f16::from_bits(own).to_f32())),
            (BFLOAT16, Some(raw)) => Numbers::Floats(each(raw, |own| half::bf16::from_le_bytes(own).to_f32())),
            (BFLOAT16, None) => Numbers::Floats(bits(tensor, |own| half::bf16::from_bits(own).to_f32())),
            (INT64, Some(raw)) => Numbers::Integers(each(raw, i64::from_le_bytes)),
            (INT64, None) => Numbers::Integers(tensor.int64_data.clone()),
            (INT32, Some(raw)) => Numbers::Integers(each(raw, |own| i64::from(i32::from_le_bytes(own)))),
            (INT32, None) => Numbers::Integers(tensor.int32_data.iter().map(|own| i64::from(*own)).collect()),
            (BOOL, Some(raw)) => Numbers::Integers(raw.iter().map(|own| i64::from(*own)).collect()),
            _ => return Err(format!("expected floats or whole numbers, found {}", type_name(kind))),
        };
        let found = match &values {
            Numbers::Floats(own) => own.len(),
            Numbers::Integers(own) => own.len(),
        };
        if found != count {
            return Err(format!("expected {count} values, for the shape {shape:?}, found {found}"));
        }
        Ok(Self { shape, values })
    }

    /// Axes in another order, `axes[place]` being the old one; `None` when these are not its axes.
    pub(super) fn transposed(&self, axes: &[usize]) -> Option<Self> {
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        let steps = self.steps();
        let own =
            axes.iter().map(|axis| Some((*self.shape.get(*axis)?, 0, steps[*axis]))).collect::<Option<Vec<_>>>()?;
        sorted.into_iter().eq(0..self.shape.len()).then(|| self.strided(&own))
    }

    /// Of each axis the indices `start, start + step, ..`, `count` of them, which have to lie within it.
    pub(super) fn sliced(&self, ranges: &[(usize, i64, usize)]) -> Self {
        let own = self.steps().into_iter().zip(ranges);
        self.strided(&own.map(|(by, (start, step, count))| (*count, *start as i64 * by, step * by)).collect::<Vec<_>>())
    }

    /// Distances between neighbours on each axis.
    fn steps(&self) -> Vec<i64> {
        let mut steps = vec![1; self.shape.len()];
        for axis in (1..self.shape.len()).rev() {
            steps[axis - 1] = steps[axis] * self.shape[axis] as i64;
        }
        steps
    }

    /// For each axis a side, where it begins and how far neighbours are apart.
    fn strided(&self, axes: &[(usize, i64, i64)]) -> Self {
        let shape: Vec<usize> = axes.iter().map(|own| own.0).collect();
        let place = |mut index: usize| {
            let mut place = 0;
            for (side, first, step) in axes.iter().rev() {
                place += first + (index % side) as i64 * step;
                index /= side;
            }
            place as usize
        };
        let places = 0..shape.iter().product();
        let values = match &self.values {
            Numbers::Floats(own) => Numbers::Floats(places.map(|index| own[place(index)]).collect()),
            Numbers::Integers(own) => Numbers::Integers(places.map(|index| own[place(index)]).collect()),
        };
        Self { shape, values }
    }
}

const UINT8: i32 = 2;
const INT32: i32 = 6;
const BOOL: i32 = 9;
const FLOAT16: i32 = 10;
const DOUBLE: i32 = 11;
const BFLOAT16: i32 = 16;

/// What a data type is called.
pub(super) fn type_name(kind: i32) -> String {
    let known = match kind {
        FLOAT => "float",
        UINT8 => "uint8",
        3 => "int8",
        4 => "uint16",
        5 => "int16",
        INT32 => "int32",
        INT64 => "int64",
        8 => "string",
        BOOL => "bool",
        FLOAT16 => "float16",
        DOUBLE => "double",
        BFLOAT16 => "bfloat16",
        other => return format!("data type {other}"),
    };
    known.into()
}

/// Whole numbers of so many bytes; what is left over makes the count wrong.
fn each<const N: usize, T>(raw: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (all, left) = raw.as_chunks::<N>();
    // One too many says that the length does not fit.
    let left = (!left.is_empty()).then_some([0; N]);
    all.iter().copied().chain(left).map(read).collect()
}

fn bits(tensor: &Tensor, read: impl Fn(u16) -> f32) -> Vec<f32> {
    tensor.int32_data.iter().map(|own| read(*own as u16)).collect()
}
