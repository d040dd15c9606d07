//! Fully connected layers over blocks of sixteen images: kept weights row by row, four rows with shared columns, or N
//! weights of every M inputs.

use super::{Batch, Blocks, PATTERNS};
use crate::infer::form::{Compute, finished};
use crate::infer::matrix::{Matrix, Value};
use crate::infer::shared::{Rows, Shared};
use crate::infer::step::Linear;
use crate::kernels::rows::{row, shared};
use crate::kernels::windows::SHARED;
use crate::lanes::Lanes;
use crate::simd::Vector;
use std::mem::size_of;

/// The outputs of a few neighbouring blocks.
struct Outputs<'a> {
    /// From the first of them on.
    y: &'a mut [Lanes],
    stride: usize,
}

impl Outputs<'_> {
    /// Where a unit of a block stands.
    #[inline(always)]
    fn at(&mut self, block: usize, unit: usize) -> &mut Lanes {
        &mut self.y[block * self.stride + unit]
    }
}

/// A layer that computes a few blocks at a time.
trait Together {
    /// Computes `N` neighbouring blocks; implementations are `#[inline(always)]`.
    fn part<V: Vector, const N: usize>(&self, x: [&[Lanes]; N], y: Outputs<'_>);
}

/// Computes all blocks, as many at a time as can be, but no more than `most`.
#[inline(always)]
fn in_parts<V: Vector>(layer: &impl Together, blocks: Blocks<'_>, most: usize) {
    let stride = blocks.outputs.stride;
    let mut first = 0;
    while first < blocks.count {
        macro_rules! part {
            ($n:literal) => {{
                let x: [&[Lanes]; $n] = std::array::from_fn(|own| blocks.x(first + own));
                layer.part::<V, $n>(x, Outputs { y: &mut blocks.y[first * stride..], stride });
                $n
            }};
        }
        first += match most.min(blocks.count - first) {
            8.. => part!(8),
            4.. => part!(4),
            2.. => part!(2),
            _ => part!(1),
        };
    }
}

/// Kept weights only, one neuron after the other.
#[derive(Debug)]
pub(super) struct Sparse<W> {
    rectified: bool,
    weight: Rows<W>,
}

impl<W: Value> Sparse<W> {
    pub(super) fn new(linear: &Linear) -> Self {
        Self { rectified: linear.rectified, weight: Rows::new(&linear.weight, &linear.bias, |column| column) }
    }
}

impl<W: Value> Together for Sparse<W> {
    #[inline(always)]
    fn part<V: Vector, const N: usize>(&self, x: [&[Lanes]; N], mut y: Outputs<'_>) {
        for unit in 0..self.weight.rows() {
            let sums = row::<V, N>(self.weight.terms(unit), self.weight.start(unit), x);
            for n in 0..N {
                finished(self.weight.end(unit, sums[n]), self.rectified).store(y.at(n, unit));
            }
        }
    }
}

impl<W: Value> Compute<Batch> for Sparse<W> {
    fn bytes(&self) -> usize {
        self.weight.bytes()
    }

    #[inline(always)]
    fn compute<V: Vector>(&self, blocks: Blocks<'_>) {
        in_parts::<V>(
            self,
            blocks,
            if V::REGISTERS >= 32 {
                8
            } else if V::REGISTERS >= 8 {
                4
            } else {
                1
            },
        );
    }
}

/// Four neurons with shared columns: for layers that are dense, or pruned in blocks.
#[derive(Debug)]
pub(super) struct Grouped<W> {
    outputs: usize,
    rectified: bool,
    weight: Shared<W>,
}

impl<W: Value> Grouped<W> {
    pub(super) fn new(linear: &Linear) -> Self {
        let weight = Shared::new(&linear.weight, &linear.bias, |column| column);
        Self { outputs: linear.weight.rows(), rectified: linear.rectified, weight }
    }
}

impl<W: Value> Together for Grouped<W> {
    #[inline(always)]
    fn part<V: Vector, const N: usize>(&self, x: [&[Lanes]; N], mut y: Outputs<'_>) {
        for group in 0..self.weight.groups() {
            let sums = shared::<V, SHARED, N>(self.weight.terms(group), self.weight.start(group), x);
            let mut room = [[Lanes::ZERO; N]; SHARED];
            for own in 0..SHARED {
                for n in 0..N {
                    finished(self.weight.end(group, own, sums[own][n]), self.rectified).store(&mut room[own][n]);
                }
            }
            for (unit, room) in (group * SHARED..self.outputs).zip(&room) {
                for n in 0..N {
                    *y.at(n, unit) = room[n];
                }
            }
        }
    }
}

impl<W: Value> Compute<Batch> for Grouped<W> {
    fn bytes(&self) -> usize {
        self.weight.bytes()
    }

    #[inline(always)]
    fn compute<V: Vector>(&self, blocks: Blocks<'_>) {
        in_parts::<V>(self, blocks, if V::REGISTERS >= 32 { 4 } else { 1 });
    }
}

/// Exactly N values of every M neighbouring inputs: a column is told by its place among the M, one byte each. M is no
/// more than 256.
#[derive(Debug)]
pub(super) struct Patterned<W> {
    rectified: bool,
    n: usize,
    m: usize,
    places: Vec<u8>,
    values: Vec<W>,
    bias: Vec<f32>,
    scales: Vec<f32>,
}

impl<W: Value> Patterned<W> {
    /// `None` unless `n` of `m` is one of [`PATTERNS`] and no group of `m` inputs keeps more than `n`. What of the inputs
    /// does not fill a group of `m` is one, too.
    pub(super) fn new(linear: &Linear, n: usize, m: usize) -> Option<Self> {
        let matrix = &linear.weight;
        if !PATTERNS.contains(&(n, m)) || !fits(matrix, n, m) {
            return None;
        }
        let (mut places, mut values) = (vec![], vec![]);
        for row in 0..matrix.rows() {
            let mut own = matrix.row(row).0.iter().zip(matrix.rounded(row)).peekable();
            for group in 0..matrix.columns.div_ceil(m) {
                for _ in 0..n {
                    let next = own.next_if(|(column, _)| **column as usize / m == group);
                    // A group that keeps fewer is filled up with zeros.
                    places.push(next.map_or(0, |(column, _)| (*column as usize % m) as u8));
                    values.push(next.map_or(W::default(), |(_, value)| value));
                }
            }
        }
        let (bias, scales) = (linear.bias.clone(), matrix.scales.clone());
        Some(Self { rectified: linear.rectified, n, m, places, values, bias, scales })
    }
}

impl<W: Value> Together for Patterned<W> {
    #[inline(always)]
    fn part<V: Vector, const N: usize>(&self, x: [&[Lanes]; N], mut y: Outputs<'_>) {
        let each = x[0].len().div_ceil(self.m) * self.n;
        for (unit, bias) in self.bias.iter().enumerate() {
            let range = unit * each..(unit + 1) * each;
            let (places, values) = (&self.places[range.clone()], &self.values[range]);
            let (mut base, mut count) = (0, 0);
            let terms = places.iter().zip(values).map(|(place, value)| {
                let column = base + usize::from(*place);
                count += 1;
                if count == self.n {
                    (base, count) = (base + self.m, 0);
                }
                (column, value.get())
            });
            let sums = row::<V, N>(terms, if W::SCALED { 0.0 } else { *bias }, x);
            for n in 0..N {
                let sum =
                    if W::SCALED { sums[n].mul_add(V::splat(self.scales[unit]), V::splat(*bias)) } else { sums[n] };
                finished(sum, self.rectified).store(y.at(n, unit));
            }
        }
    }
}

impl<W: Value> Compute<Batch> for Patterned<W> {
    fn bytes(&self) -> usize {
        self.places.len() + self.values.len() * size_of::<W>() + 4 * (self.bias.len() + self.scales.len())
    }

    #[inline(always)]
    fn compute<V: Vector>(&self, blocks: Blocks<'_>) {
        in_parts::<V>(self, blocks, if V::REGISTERS >= 8 { 4 } else { 1 });
    }
}

/// Whether no group of `m` neighbouring columns holds more than `n` values in any row.
pub(super) fn fits(matrix: &Matrix, n: usize, m: usize) -> bool {
    (0..matrix.rows()).all(|row| {
        let columns = matrix.row(row).0;
        columns.windows(n + 1).all(|own| own[0] as usize / m != own[n] as usize / m)
    })
}
