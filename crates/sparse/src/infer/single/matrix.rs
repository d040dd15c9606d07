//! The kept values of a matrix, row after row, and the precisions that they can be held in.

use crate::file::{Precision, code, row_scale};
use crate::lanes::LANES;
use crate::simd::{Register, Vector, widened};

/// A matrix that holds its nonzero values only.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Matrix {
    pub columns: usize,
    /// The values of row `r` are `starts[r]..starts[r + 1]`.
    pub starts: Vec<u32>,
    /// Column of each value, rising within a row.
    pub places: Vec<u32>,
    pub values: Vec<f32>,
    /// For each row what its codes are multiplied with; empty unless values are held as codes.
    pub scales: Vec<f32>,
}

impl Matrix {
    /// The nonzero values of `[rows, columns]`, row-major, or all of them; with scales for `precision`.
    pub(super) fn new(values: &[f32], [rows, columns]: [usize; 2], with_zeros: bool, precision: Precision) -> Self {
        let count = |length: usize| u32::try_from(length).expect("a network has fewer weights than 32 bits count");
        let mut own = Self { columns, starts: vec![0], ..Self::default() };
        for row in values.chunks_exact(columns.max(1)).take(rows) {
            for (column, value) in row.iter().enumerate().filter(|(_, value)| with_zeros || **value != 0.0) {
                own.places.push(count(column));
                own.values.push(*value);
            }
            own.starts.push(count(own.places.len()));
        }
        own.starts.resize(rows + 1, count(own.places.len()));
        if precision == Precision::Int8 {
            own.scales = (0..rows).map(|row| row_scale(own.row(row).1)).collect();
        }
        own
    }

    pub(super) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Columns and values of a row.
    pub(super) fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.starts[row] as usize..self.starts[row + 1] as usize;
        (&self.places[range.clone()], &self.values[range])
    }

    /// A row's values as they are held.
    pub(super) fn rounded<W: Value>(&self, row: usize) -> Vec<W> {
        W::round(self.row(row).1, self.scales.get(row).copied().unwrap_or(1.0))
    }

    /// Share of the places that hold a value.
    pub(super) fn density(&self) -> f64 {
        self.values.len() as f64 / (self.rows() * self.columns).max(1) as f64
    }
}

/// How a weight is held in memory.
pub(super) trait Value: std::fmt::Debug + Copy + Default + Send + Sync + 'static {
    /// The number, without its row's factor.
    fn get(self) -> f32;
    /// Sixteen numbers as a vector.
    #[inline(always)]
    fn vector<V: Vector>(from: &[Self; LANES]) -> V {
        let mut numbers = [0.0; LANES];
        for lane in 0..LANES {
            numbers[lane] = from[lane].get();
        }
        V::read(&numbers)
    }
    /// The first numbers as a register.
    #[inline(always)]
    fn read<R: Register>(from: &[Self]) -> R {
        let mut numbers = [0.0; LANES];
        for lane in 0..LANES / R::COUNT {
            numbers[lane] = from[lane].get();
        }
        R::read(&numbers)
    }
    /// The values of a row, rounded; `scale` is what its codes are multiplied with.
    fn round(row: &[f32], scale: f32) -> Vec<Self>;
}

impl Value for f32 {
    #[inline(always)]
    fn get(self) -> f32 {
        self
    }

    #[inline(always)]
    fn vector<V: Vector>(from: &[Self; LANES]) -> V {
        V::read(from)
    }

    #[inline(always)]
    fn read<R: Register>(from: &[Self]) -> R {
        R::read(from)
    }

    fn round(row: &[f32], _: f32) -> Vec<Self> {
        row.to_vec()
    }
}

/// A 16-bit float (IEEE binary16) as its bits; never an infinity or NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Half(u16);

impl Value for Half {
    #[inline(always)]
    fn get(self) -> f32 {
        widened(self.0)
    }

    #[inline(always)]
    fn vector<V: Vector>(from: &[Self; LANES]) -> V {
        let mut bits = [0; LANES];
        for lane in 0..LANES {
            bits[lane] = from[lane].0;
        }
        V::widen(&bits)
    }

    #[inline(always)]
    fn read<R: Register>(from: &[Self]) -> R {
        let mut bits = [0; LANES];
        for lane in 0..LANES / R::COUNT {
            bits[lane] = from[lane].0;
        }
        R::widen(&bits)
    }

    fn round(row: &[f32], _: f32) -> Vec<Self> {
        // What is too large for the type becomes its largest number.
        let one = |value: &f32| Self(half::f16::from_f32(value.clamp(-65504.0, 65504.0)).to_bits());
        row.iter().map(one).collect()
    }
}

impl Value for i8 {
    #[inline(always)]
    fn get(self) -> f32 {
        f32::from(self)
    }

    fn round(row: &[f32], scale: f32) -> Vec<Self> {
        row.iter().map(|value| code(*value, scale) as i8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_keeps_what_is_not_zero() {
        let own = Matrix::new(&[0.0, 2.0, -1.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0], [3, 3], false, Precision::F32);
        assert_eq!(own.row(0), (&[1, 2][..], &[2.0, -1.0][..]));
        assert_eq!(own.row(1), (&[][..], &[][..]));
        assert_eq!(own.row(2), (&[0][..], &[3.0][..]));
        assert_eq!(own.density(), 3.0 / 9.0);
        assert_eq!(Matrix::new(&[], [2, 0], false, Precision::Int8).rows(), 2);
    }

    #[test]
    fn halves_are_those_of_the_standard() {
        for bits in 0..0x7c00u16 {
            assert_eq!(Half(bits).get(), half::f16::from_bits(bits).to_f32());
            assert_eq!(Half(bits | 0x8000).get().to_bits(), half::f16::from_bits(bits | 0x8000).to_f32().to_bits());
        }
        assert_eq!(Half::round(&[1e9, -1e-9], 1.0), [Half(0x7bff), Half(0x8000)]);
    }

    #[test]
    fn codes_times_their_scale_are_the_values_of_an_int8_file() {
        // Rows whose largest code is 127 and whose largest code is not, one of zeros, and one that is rounded.
        let rows = [[127.0, -2.0, 0.0, 1.0], [100.0, 1.0, 1.0, 0.0], [0.0; 4], [0.5, -1.27, 0.004, 0.0]];
        let own = Matrix::new(rows.as_flattened(), [4, 4], true, Precision::Int8);
        let held = |row: usize| -> Vec<f32> {
            own.rounded::<i8>(row).into_iter().map(|code| code.get() * own.scales[row]).collect()
        };
        for (row, values) in rows.iter().enumerate().take(3) {
            assert_eq!(held(row), *values);
        }
        assert_eq!((own.rounded::<i8>(1), own.scales[1]), (vec![100, 1, 1, 0], 1.0));
        let off = held(3).iter().zip(rows[3]).map(|(held, value)| (held - value).abs()).fold(0.0, f32::max);
        assert!(off <= own.scales[3] * 0.51, "{off}");
        assert!(Matrix::new(rows.as_flattened(), [4, 4], true, Precision::F16).scales.is_empty());
    }
}
