//! The kept values of a matrix, row after row, and the precisions that they can be held in.

/// A matrix that holds its nonzero values only.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Matrix {
    pub columns: usize,
    /// The values of row `r` are `starts[r]..starts[r + 1]`.
    pub starts: Vec<u32>,
    /// Column of each value, rising within a row.
    pub places: Vec<u32>,
    pub values: Vec<f32>,
}

impl Matrix {
    /// The nonzero values of `[rows, columns]`, row-major; or all of them.
    pub(super) fn new(values: &[f32], rows: usize, columns: usize, with_zeros: bool) -> Self {
        let mut own = Self { columns, starts: vec![0], ..Self::default() };
        for row in values.chunks_exact(columns.max(1)).take(rows) {
            for (column, value) in row.iter().enumerate().filter(|(_, value)| with_zeros || **value != 0.0) {
                own.places.push(column as u32);
                own.values.push(*value);
            }
            own.starts.push(own.places.len() as u32);
        }
        own.starts.resize(rows + 1, own.places.len() as u32);
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

    /// Each row's values as they are held, and its factor where rows have one.
    pub(super) fn rounded<W: Value>(&self) -> (Vec<Vec<W>>, Vec<f32>) {
        let (rows, scales): (Vec<_>, Vec<_>) = (0..self.rows()).map(|row| W::round(self.row(row).1)).unzip();
        (rows, if W::SCALED { scales } else { vec![] })
    }

    /// Share of the places that hold a value.
    pub(super) fn density(&self) -> f64 {
        self.values.len() as f64 / (self.rows() * self.columns).max(1) as f64
    }
}

/// How a weight is held in memory.
pub(super) trait Value: std::fmt::Debug + Copy + Default + Send + Sync + 'static {
    /// Whether a row has a factor of its own.
    const SCALED: bool;
    /// The number, without its row's factor.
    fn get(self) -> f32;
    /// The row's values, rounded, and the row's factor.
    fn round(row: &[f32]) -> (Vec<Self>, f32);
}

impl Value for f32 {
    const SCALED: bool = false;

    #[inline(always)]
    fn get(self) -> f32 {
        self
    }

    fn round(row: &[f32]) -> (Vec<Self>, f32) {
        (row.to_vec(), 1.0)
    }
}

/// A 16-bit float (IEEE binary16) as its bits; never an infinity or NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Half(u16);

impl Value for Half {
    const SCALED: bool = false;

    #[inline(always)]
    fn get(self) -> f32 {
        // Exponent and fraction move into place; the product corrects the exponent's bias, subnormals included.
        let magnitude = f32::from_bits(u32::from(self.0 & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
        f32::from_bits(magnitude.to_bits() | (u32::from(self.0 & 0x8000) << 16))
    }

    fn round(row: &[f32]) -> (Vec<Self>, f32) {
        // What is too large for the type becomes its largest number.
        let one = |value: &f32| Self(half::f16::from_f32(value.clamp(-65504.0, 65504.0)).to_bits());
        (row.iter().map(one).collect(), 1.0)
    }
}

impl Value for i8 {
    const SCALED: bool = true;

    #[inline(always)]
    fn get(self) -> f32 {
        f32::from(self)
    }

    fn round(row: &[f32]) -> (Vec<Self>, f32) {
        let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        (row.iter().map(|value| (value / scale).round() as i8).collect(), scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_keeps_what_is_not_zero() {
        let own = Matrix::new(&[0.0, 2.0, -1.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0], 3, 3, false);
        assert_eq!(own.row(0), (&[1, 2][..], &[2.0, -1.0][..]));
        assert_eq!(own.row(1), (&[][..], &[][..]));
        assert_eq!(own.row(2), (&[0][..], &[3.0][..]));
        assert_eq!(own.density(), 3.0 / 9.0);
        assert_eq!(Matrix::new(&[], 2, 0, false).rows(), 2);
    }

    #[test]
    fn halves_are_those_of_the_standard() {
        for bits in 0..0x7c00u16 {
            assert_eq!(Half(bits).get(), half::f16::from_bits(bits).to_f32());
            assert_eq!(Half(bits | 0x8000).get().to_bits(), half::f16::from_bits(bits | 0x8000).to_f32().to_bits());
        }
        assert_eq!(Half::round(&[1e9, -1e-9]).0, [Half(0x7bff), Half(0x8000)]);
    }

    #[test]
    fn bytes_and_their_factor_come_within_half_a_step() {
        let row = [0.5, -1.27, 0.004, 0.0];
        let (codes, scale) = i8::round(&row);
        assert_eq!(codes[1], -127);
        assert!(codes.iter().zip(row).all(|(code, value)| (code.get() * scale - value).abs() <= scale * 0.501));
        assert_eq!(i8::round(&[0.0]), (vec![0], 1.0));
    }
}
