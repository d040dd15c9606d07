//! Batch normalisation, the addition of another value and an activation in one pass: `y = f((x - mean) factor + shift + r)`,
//! channel by channel. Without a normalisation the mean and the shift are 0 and the factor is 1.

use super::activation::Function;
use crate::lanes::Lanes;
use crate::simd::Vector;
use secateur_graph::BatchNorm;
use std::ops::Range;

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

    /// Some of the rows.
    #[inline(always)]
    pub(crate) fn part(&self, rows: Range<usize>) -> Self {
        Self { rows: rows.len(), start: self.start + rows.start * self.pitch, ..*self }
    }

    /// Asks for the row of a plane that is as many rows behind one as there are: whoever works some rows at a time reads it
    /// next, and the processor does not see that coming.
    #[inline(always)]
    pub(crate) fn prefetch<V: Vector>(&self, plane: &[Lanes], row: usize) {
        let start = self.start + (self.rows + row) * self.pitch;
        for own in plane.get(start..start + self.columns).unwrap_or_default() {
            V::prefetch(own);
        }
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

impl Plane<'_> {
    /// Some of the rows.
    #[inline(always)]
    pub(crate) fn part(self, rows: Range<usize>) -> Self {
        Self { grid: self.grid.part(rows), ..self }
    }
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
        x.grid.prefetch::<V>(x.values, row);
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

/// What the gradient before a channel's activation follows from, beside that behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Back<'a> {
    pub x: Plane<'a>,
    pub other: Option<Plane<'a>>,
    pub y: Plane<'a>,
}

impl Back<'_> {
    /// Some of the rows.
    #[inline(always)]
    pub(crate) fn part(self, rows: Range<usize>) -> Self {
        let other = self.other.map(|other| other.part(rows.clone()));
        Self { x: self.x.part(rows.clone()), other, y: self.y.part(rows) }
    }
}

/// Makes the gradient of some rows of a channel's output that before the activation, in place. Adds up that gradient, and its
/// products with the input less its mean, each image by itself.
#[inline(always)]
pub(crate) fn reduce<V: Vector, F: Function>(
    scale: Scale,
    back: Back<'_>,
    grid: Grid,
    gradient: &mut [Lanes],
    sums: &mut [Lanes; 2],
) {
    let mean = V::splat(scale.mean);
    let (mut first, mut second) = ([V::splat(0.0); 2], [V::splat(0.0); 2]);
    (first[0], second[0]) = (V::load(&sums[0]), V::load(&sums[1]));
    for row in 0..grid.rows {
        back.x.grid.prefetch::<V>(back.x.values, row);
        if back.other.is_some() {
            back.y.grid.prefetch::<V>(back.y.values, row);
        }
        let (x, y) = (back.x.grid.row(back.x.values, row), back.y.grid.row(back.y.values, row));
        let other = back.other.map(|other| other.grid.row(other.values, row));
        for (column, (own, (x, y))) in grid.row_mut(gradient, row).iter_mut().zip(x.iter().zip(y)).enumerate() {
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
            let before = F::back(V::load(own), y, z);
            before.store(own);
            first.swap(0, 1);
            second.swap(0, 1);
            first[0] = first[0].add(before);
            second[0] = before.mul_add(x.sub(mean), second[0]);
        }
    }
    first[0].add(first[1]).store(&mut sums[0]);
    second[0].add(second[1]).store(&mut sums[1]);
}

/// The gradient of a channel's input from that before the activation, `g`: `factor g + slope (x - mean) + constant`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slopes {
    pub factor: f32,
    pub slope: f32,
    pub mean: f32,
    pub constant: f32,
}

/// Writes the gradients of some rows of a channel's input, in the lanes of `images`; `gradient` is that before the activation.
#[inline(always)]
pub(crate) fn backward<V: Vector>(slopes: Slopes, images: u16, [x, gradient]: [Plane<'_>; 2], dx: PlaneMut<'_>) {
    let [factor, slope, mean, constant] =
        [V::splat(slopes.factor), V::splat(slopes.slope), V::splat(slopes.mean), V::splat(slopes.constant)];
    for row in 0..dx.grid.rows {
        x.grid.prefetch::<V>(x.values, row);
        gradient.grid.prefetch::<V>(gradient.values, row);
        let (x, gradient) = (x.grid.row(x.values, row), gradient.grid.row(gradient.values, row));
        for (own, (x, gradient)) in dx.grid.row_mut(dx.values, row).iter_mut().zip(x.iter().zip(gradient)) {
            let distance = V::load(x).sub(mean);
            let found = V::load(gradient).mul_add(factor, distance.mul_add(slope, constant)).keep(images);
            let before = if dx.adds { V::load(own) } else { V::splat(0.0) };
            found.add(before).store(own);
        }
    }
}

/// Writes a gradient as it is, or adds it.
#[inline(always)]
pub(crate) fn hand_on<V: Vector>(gradient: Plane<'_>, dx: PlaneMut<'_>) {
    for row in 0..dx.grid.rows {
        let gradient = gradient.grid.row(gradient.values, row);
        for (own, gradient) in dx.grid.row_mut(dx.values, row).iter_mut().zip(gradient) {
            let before = if dx.adds { V::load(own) } else { V::splat(0.0) };
            V::load(gradient).add(before).store(own);
        }
    }
}

/// A factor of a product: that of each pixel, or one for a whole channel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Factor<'a, V> {
    Pixels(Plane<'a>),
    Channel(V),
}

/// Writes the product of a channel with a factor, or adds it.
#[inline(always)]
pub(crate) fn multiply<V: Vector>(x: Plane<'_>, factor: Factor<'_, V>, y: PlaneMut<'_>) {
    for row in 0..y.grid.rows {
        let x = x.grid.row(x.values, row);
        let factors = match factor {
            Factor::Pixels(own) => own.grid.row(own.values, row),
            Factor::Channel(_) => x,
        };
        for (own, (x, other)) in y.grid.row_mut(y.values, row).iter_mut().zip(x.iter().zip(factors)) {
            let factor = match factor {
                Factor::Pixels(_) => V::load(other),
                Factor::Channel(own) => own,
            };
            let before = if y.adds { V::load(own) } else { V::splat(0.0) };
            V::load(x).mul(factor).add(before).store(own);
        }
    }
}

/// Writes the sum of the products of two planes into the only pixel of a third one, or adds it.
#[inline(always)]
pub(crate) fn multiply_and_sum<V: Vector>(x: Plane<'_>, other: Plane<'_>, y: PlaneMut<'_>) {
    let mut sum = V::splat(0.0);
    for row in 0..x.grid.rows {
        for (x, other) in x.grid.row(x.values, row).iter().zip(other.grid.row(other.values, row)) {
            sum = V::load(x).mul_add(V::load(other), sum);
        }
    }
    let own = &mut y.values[y.grid.start];
    if y.adds { V::load(own).add(sum).store(own) } else { sum.store(own) }
}
