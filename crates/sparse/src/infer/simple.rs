//! Steps without a matrix: whatever is not fused into one. Written once for a number and for sixteen of them.

use crate::lanes::Lanes;

/// An elementwise or pooling step over `[channels, height, width]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Simple {
    Affine {
        scale: Vec<f32>,
        shift: Vec<f32>,
        shape: [usize; 3],
    },
    Relu {
        shape: [usize; 3],
    },
    MaxPool {
        size: usize,
        shape: [usize; 3],
    },
    AvgPool {
        size: usize,
        shape: [usize; 3],
    },
    Crop {
        height: usize,
        width: usize,
        shape: [usize; 3],
    },
    /// Zeros on all four sides.
    Pad {
        by: usize,
        shape: [usize; 3],
    },
}

/// A number, or sixteen side by side.
pub(super) trait Number: Copy {
    const ZERO: Self;
    /// `self * factor + addend`
    fn scaled(self, factor: f32, addend: f32) -> Self;
    /// The larger; NaN when one is.
    fn larger(self, other: Self) -> Self;
    fn plus(self, other: Self) -> Self;
}

impl Number for f32 {
    const ZERO: Self = 0.0;

    fn scaled(self, factor: f32, addend: f32) -> Self {
        self * factor + addend
    }

    fn larger(self, other: Self) -> Self {
        if other <= self || self.is_nan() { self } else { other }
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }
}

impl Number for Lanes {
    const ZERO: Self = Self::ZERO;

    fn scaled(self, factor: f32, addend: f32) -> Self {
        Self(self.0.map(|own| own.scaled(factor, addend)))
    }

    fn larger(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane].larger(other.0[lane])))
    }

    fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] + other.0[lane]))
    }
}

impl Simple {
    fn input(&self) -> [usize; 3] {
        match self {
            Self::Affine { shape, .. }
            | Self::Relu { shape }
            | Self::MaxPool { shape, .. }
            | Self::AvgPool { shape, .. }
            | Self::Crop { shape, .. }
            | Self::Pad { shape, .. } => *shape,
        }
    }

    /// The shape of what comes out.
    pub(super) fn output(&self) -> [usize; 3] {
        let [channels, rows, columns] = self.input();
        match self {
            Self::Affine { .. } | Self::Relu { .. } => [channels, rows, columns],
            Self::MaxPool { size, .. } | Self::AvgPool { size, .. } => [channels, rows / size, columns / size],
            Self::Crop { height, width, .. } => [channels, *height, *width],
            Self::Pad { by, .. } => [channels, rows + 2 * by, columns + 2 * by],
        }
    }

    /// Computes `y` from `x`, both row-major; `y` may be longer than the output.
    pub(super) fn run<T: Number>(&self, x: &[T], y: &mut [T]) {
        let [channels, height, width] = self.input();
        let [_, rows, columns] = self.output();
        let window = |y: &mut [T], size: usize, join: &dyn Fn(T, T) -> T, last: &dyn Fn(T) -> T| {
            for (place, y) in y[..channels * rows * columns].iter_mut().enumerate() {
                let (channel, row, column) = (place / (rows * columns), place / columns % rows, place % columns);
                let corner = (channel * height + row * size) * width + column * size;
                let mut sum = x[corner];
                for own in 1..size * size {
                    sum = join(sum, x[corner + own / size * width + own % size]);
                }
                *y = last(sum);
            }
        };
        match self {
            Self::Affine { scale, shift, .. } => {
                for place in 0..channels * height * width {
                    let channel = place / (height * width);
                    y[place] = x[place].scaled(scale[channel], shift[channel]);
                }
            }
            Self::Relu { .. } => {
                for place in 0..channels * height * width {
                    y[place] = x[place].larger(T::ZERO);
                }
            }
            Self::MaxPool { size, .. } => window(y, *size, &T::larger, &|own| own),
            Self::AvgPool { size, .. } => {
                let share = 1.0 / (size * size) as f32;
                window(y, *size, &T::plus, &|own| own.scaled(share, 0.0));
            }
            Self::Crop { .. } => {
                for row in 0..channels * rows {
                    let from = (row / rows * height + row % rows) * width;
                    y[row * columns..(row + 1) * columns].copy_from_slice(&x[from..from + columns]);
                }
            }
            Self::Pad { by, .. } => {
                y[..channels * rows * columns].fill(T::ZERO);
                for row in 0..channels * height {
                    let to = (row / height * rows + row % height + by) * columns + by;
                    y[to..to + width].copy_from_slice(&x[row * width..(row + 1) * width]);
                }
            }
        }
    }
}
