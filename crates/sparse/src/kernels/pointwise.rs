//! Batch normalisation, the addition of another value and an activation in one pass: `y = f((x - mean) factor + shift + r)`,
//! channel by channel. Without a normalisation the mean and the shift are 0 and the factor is 1.

use super::activation::Function;
use crate::lanes::{LANES, Lanes};
use crate::simd::Vector;
use secateur_graph::BatchNorm;

/// Where the rows of a channel stand in its plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub rows: usize,
    pub columns: usize,
    /// Offset of the first row.
    pub start: usize,
    /// From one row to the next.
    pub pitch: usize,
}

impl Grid {
    /// A row of a plane.
    #[inline(always)]
    pub(crate) fn row<'a>(&self, plane: &'a [Lanes], row: usize) -> &'a [Lanes] {
        &plane[self.start + row * self.pitch..][..self.columns]
    }

    /// A row of a plane, to be written.
    #[inline(always)]
    pub(crate) fn row_mut<'a>(&self, plane: &'a mut [Lanes], row: usize) -> &'a mut [Lanes] {
        &mut plane[self.start + row * self.pitch..][..self.columns]
    }
}

/// The normalisation of a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    pub mean: f32,
    pub factor: f32,
    pub shift: f32,
}

impl Scale {
    /// None.
    pub(crate) const NONE: Self = Self { mean: 0.0, factor: 1.0, shift: 0.0 };

    /// Of a channel of this mean and variance, whose normalised values are scaled and shifted.
    pub(crate) fn of(norm: BatchNorm, [mean, variance]: [f64; 2], scale: f32, shift: f32) -> Self {
        let factor = f64::from(scale) / (variance + norm.epsilon).sqrt();
        Self { mean: mean as f32, factor: factor as f32, shift }
    }

    #[inline(always)]
    fn apply<V: Vector>(self, x: V) -> V {
        x.sub(V::splat(self.mean)).mul_add(V::splat(self.factor), V::splat(self.shift))
    }
}

/// A plane that is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plane<'a> {
    pub grid: Grid,
    pub values: &'a [Lanes],
}

/// A plane of gradients that is written, or added to.
#[derive(Debug)]
pub(crate) struct PlaneMut<'a> {
    pub grid: Grid,
    pub values: &'a mut [Lanes],
    pub adds: bool,
}

/// Writes a channel.
#[inline(always)]
pub(crate) fn forward<V: Vector, F: Function>(
    scale: Scale,
    x: Plane<'_>,
    other: Option<Plane<'_>>,
    grid: Grid,
    y: &mut [Lanes],
) {
    for row in 0..grid.rows {
        let (x, y) = (x.grid.row(x.values, row), grid.row_mut(y, row));
        match other {
            Some(other) => {
                let other = other.grid.row(other.values, row);
                for ((x, other), y) in x.iter().zip(other).zip(y) {
                    F::value(scale.apply(V::load(x)).add(V::load(other))).store(y);
                }
            }
            None => {
                for (x, y) in x.iter().zip(y) {
                    F::value(scale.apply(V::load(x))).store(y);
                }
            }
        }
    }
}

/// Applies a function to some rows of a plane.
#[inline(always)]
pub(crate) fn activate<V: Vector, F: Function>(grid: Grid, plane: &mut [Lanes]) {
    for row in 0..grid.rows {
        for own in grid.row_mut(plane, row) {
            F::value(V::load(own)).store(own);
        }
    }
}

/// What a channel goes back from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Back<'a> {
    pub x: Plane<'a>,
    pub other: Option<Plane<'a>>,
    pub y: Plane<'a>,
    pub dy: Plane<'a>,
}

impl Back<'_> {
    /// The gradient before the activation, at one place of a row, and the input's distance from the mean.
    #[inline(always)]
    fn at<V: Vector, F: Function>(
        scale: Scale,
        x: &Lanes,
        other: Option<&[Lanes]>,
        [y, dy]: [&Lanes; 2],
        column: usize,
    ) -> (V, V) {
        let x = V::load(x);
        let (z, y) = match other {
            // What can be worked out from the input again need not be read.
            None => {
                let z = scale.apply(x);
                (z, if F::READS_INPUT { z } else { F::value(z) })
            }
            Some(other) if F::READS_INPUT => (scale.apply(x).add(V::load(&other[column])), x),
            Some(_) => (x, V::load(y)),
        };
        (F::back(V::load(dy), y, z), x.sub(V::splat(scale.mean)))
    }

    #[inline(always)]
    fn other_row(&self, row: usize) -> Option<&[Lanes]> {
        match self.other {
            Some(other) => Some(other.grid.row(other.values, row)),
            None => None,
        }
    }
}

/// The sums over a channel of the gradient before the activation, and of its products with the input less its mean.
#[inline(always)]
pub(crate) fn sums<V: Vector, F: Function>(scale: Scale, back: Back<'_>) -> [f64; 2] {
    let (mut first, mut second) = ([V::splat(0.0); 2], [V::splat(0.0); 2]);
    for row in 0..back.x.grid.rows {
        let (x, y) = (back.x.grid.row(back.x.values, row), back.y.grid.row(back.y.values, row));
        let (dy, other) = (back.dy.grid.row(back.dy.values, row), back.other_row(row));
        for (column, ((x, y), dy)) in x.iter().zip(y).zip(dy).enumerate() {
            let (gradient, distance) = Back::at::<V, F>(scale, x, other, [y, dy], column);
            first.swap(0, 1);
            second.swap(0, 1);
            first[0] = first[0].add(gradient);
            second[0] = gradient.mul_add(distance, second[0]);
        }
    }
    let total = |own: [f32; LANES]| own.iter().copied().map(f64::from).sum::<f64>();
    let mut lanes = [Lanes::ZERO; 2];
    first[0].add(first[1]).store(&mut lanes[0]);
    second[0].add(second[1]).store(&mut lanes[1]);
    [total(lanes[0].0), total(lanes[1].0)]
}

/// The gradient of a channel's input from that before the activation, `g`: `factor g + slope (x - mean) + constant`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slopes {
    pub factor: f32,
    pub slope: f32,
    pub constant: f32,
}

impl Slopes {
    /// Without a normalisation.
    pub(crate) const NONE: Self = Self { factor: 1.0, slope: 0.0, constant: 0.0 };
}

/// Writes the gradients of a channel's input and of what is added to it, in the lanes of `images`.
#[inline(always)]
pub(crate) fn backward<V: Vector, F: Function>(
    scale: Scale,
    slopes: Slopes,
    images: u16,
    back: Back<'_>,
    mut dx: Option<PlaneMut<'_>>,
    mut other: Option<PlaneMut<'_>>,
) {
    let [factor, slope, constant] = [slopes.factor, slopes.slope, slopes.constant].map(V::splat);
    for row in 0..back.x.grid.rows {
        let (x, y) = (back.x.grid.row(back.x.values, row), back.y.grid.row(back.y.values, row));
        let (dy, added) = (back.dy.grid.row(back.dy.values, row), back.other_row(row));
        let (mut dx_adds, mut other_adds) = (false, false);
        let dx: &mut [Lanes] = match &mut dx {
            Some(own) => {
                dx_adds = own.adds;
                own.grid.row_mut(own.values, row)
            }
            None => &mut [],
        };
        let other: &mut [Lanes] = match &mut other {
            Some(own) => {
                other_adds = own.adds;
                own.grid.row_mut(own.values, row)
            }
            None => &mut [],
        };
        for (column, ((x, y), dy)) in x.iter().zip(y).zip(dy).enumerate() {
            let (gradient, distance) = Back::at::<V, F>(scale, x, added, [y, dy], column);
            if let Some(dx) = dx.get_mut(column) {
                let own = gradient.mul_add(factor, distance.mul_add(slope, constant)).keep(images);
                let before = if dx_adds { V::load(dx) } else { V::splat(0.0) };
                own.add(before).store(dx);
            }
            if let Some(other) = other.get_mut(column) {
                let before = if other_adds { V::load(other) } else { V::splat(0.0) };
                gradient.add(before).store(other);
            }
        }
    }
}

/// Mean of a channel, and sum of squared distances from it, over some of its values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    pub count: f64,
    pub mean: f64,
    pub squares: f64,
}

impl Moments {
    /// Those of both (Chan, Golub and LeVeque, 1979).
    pub(crate) fn merged(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let distance = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + distance * other.count / count,
            squares: self.squares + other.squares + distance * distance * self.count * other.count / count,
        }
    }
}

/// The moments of a channel of a block, over its first images.
#[inline(always)]
pub(crate) fn moments<V: Vector>(x: Plane<'_>, images: usize) -> Moments {
    // Sums of distances from a value of the channel itself lose no digits when the mean is far from 0.
    let first = x.grid.row(x.values, 0)[0];
    let origin = V::load(&first);
    let (mut sums, mut squares) = ([V::splat(0.0); 4], [V::splat(0.0); 4]);
    for row in 0..x.grid.rows {
        let (fours, rest) = x.grid.row(x.values, row).as_chunks::<4>();
        for four in fours {
            for own in 0..4 {
                let distance = V::load(&four[own]).sub(origin);
                sums[own] = sums[own].add(distance);
                squares[own] = distance.mul_add(distance, squares[own]);
            }
        }
        for own in rest {
            let distance = V::load(own).sub(origin);
            sums[0] = sums[0].add(distance);
            squares[0] = distance.mul_add(distance, squares[0]);
        }
    }
    let mut lanes = [Lanes::ZERO; 2];
    sums[0].add(sums[1]).add(sums[2].add(sums[3])).store(&mut lanes[0]);
    squares[0].add(squares[1]).add(squares[2].add(squares[3])).store(&mut lanes[1]);
    let count = (x.grid.rows * x.grid.columns) as f64;
    let mut found = Moments::default();
    for image in 0..images {
        let [origin, sum, square] = [first, lanes[0], lanes[1]].map(|own| f64::from(own.0[image]));
        let squares = (square - sum * sum / count).max(0.0);
        // `max` drops a NaN; the sum keeps it.
        found = found.merged(Moments { count, mean: origin + sum / count, squares });
    }
    found
}
