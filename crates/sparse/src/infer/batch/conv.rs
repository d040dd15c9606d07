//! Convolutions over blocks of sixteen images: kept weights filter by filter, or four filters with shared terms.

use super::{Batch, Blocks};
use crate::infer::form::{Compute, finished};
use crate::infer::matrix::Value;
use crate::infer::shared::{Rows, Shared};
use crate::infer::step::Conv;
use crate::kernels::conv::pool;
use crate::kernels::windows::{SHARED, plain, pooled, shared};
use crate::lanes::Lanes;
use crate::simd::Vector;

/// Sizes of a convolution, as the loops want them.
#[derive(Clone, Copy, Debug)]
struct Shape {
    stride: usize,
    width: usize,
    rows: usize,
    columns: usize,
    pooled: bool,
    rectified: bool,
}

impl Shape {
    fn of(conv: &Conv) -> Self {
        let Conv { stride, width, rows, columns, pooled, rectified, .. } = *conv;
        Self { stride, width, rows, columns, pooled, rectified }
    }

    fn positions(&self) -> usize {
        self.rows * self.columns
    }

    /// Where the window of the first input of an output begins.
    fn corner(&self, y: usize, x: usize) -> usize {
        let step = if self.pooled { 2 } else { self.stride };
        (y * self.width + x) * step
    }
}

/// Columns that are computed at once: as equal parts of a row as can be, none longer than `most`.
fn part(columns: usize, most: usize) -> usize {
    columns.div_ceil(columns.div_ceil(most).max(1))
}

/// Kept weights only, one filter after the other.
#[derive(Debug)]
pub(super) struct Sparse<W> {
    shape: Shape,
    weight: Rows<W>,
    /// The filters that have values at all.
    varying: Vec<u32>,
}

impl<W: Value> Sparse<W> {
    pub(super) fn new(conv: &Conv) -> Self {
        let weight = Rows::new(&conv.weight, &conv.bias, |column| conv.offset(column));
        let varying = (0..weight.rows()).filter(|filter| weight.constant(*filter).is_none());
        Self { shape: Shape::of(conv), varying: varying.map(|filter| filter as u32).collect(), weight }
    }
}

impl<W: Value> Compute<Batch> for Sparse<W> {
    fn bytes(&self) -> usize {
        self.weight.bytes() + 4 * self.varying.len()
    }

    #[inline(always)]
    fn compute<V: Vector>(&self, mut blocks: Blocks<'_>) {
        let Shape { stride, width, rows, columns, rectified, .. } = self.shape;
        let positions = self.shape.positions();
        let varying = &self.varying;
        for block in 0..blocks.count {
            let (input, output) = (blocks.x(block), blocks.y(block));
            for filter in 0..self.weight.rows() {
                if let Some(own) = self.weight.constant(filter) {
                    let mut room = Lanes::ZERO;
                    finished(V::splat(own), rectified).store(&mut room);
                    output[filter * positions..(filter + 1) * positions].fill(room);
                }
            }
            for row in 0..rows {
                let mut x = 0;
                let most = match (V::REGISTERS >= 32, self.shape.pooled) {
                    (true, true) => 6,
                    (true, false) => 20,
                    (false, true) => 1,
                    (false, false) => 4,
                };
                let part = part(columns, most);
                while x < columns {
                    let corner = self.shape.corner(row, x);
                    macro_rules! windows {
                        ($p:literal, $c:literal) => {{
                            for filter in varying {
                                let filter = *filter as usize;
                                let (terms, start) = (self.weight.terms(filter), self.weight.start(filter));
                                let mut sums = pooled::<V, $p, $c>(terms, start, input, width, corner);
                                for own in 0..$p {
                                    for sum in &mut sums[own] {
                                        *sum = self.weight.end(filter, *sum);
                                    }
                                    let place = filter * positions + row * columns + x + own;
                                    pool(sums[own], rectified, &mut output[place], None);
                                }
                            }
                            $p
                        }};
                    }
                    macro_rules! outputs {
                        ($n:literal) => {{
                            for filter in varying {
                                let filter = *filter as usize;
                                let (terms, start) = (self.weight.terms(filter), self.weight.start(filter));
                                let sums = plain::<V, $n>(terms, start, input, stride, corner);
                                let place = filter * positions + row * columns + x;
                                for own in 0..$n {
                                    let sum = self.weight.end(filter, sums[own]);
                                    finished(sum, rectified).store(&mut output[place + own]);
                                }
                            }
                            $n
                        }};
                    }
                    let left = part.min(columns - x);
                    x += match (self.shape.pooled, left) {
                        (true, 6..) => windows!(6, 12),
                        (true, 5) => windows!(5, 10),
                        (true, 4) => windows!(4, 8),
                        (true, 3) => windows!(3, 6),
                        (true, 2) => windows!(2, 4),
                        (true, _) => windows!(1, 2),
                        (false, 20..) => outputs!(20),
                        (false, 16..) => outputs!(16),
                        (false, 12..) => outputs!(12),
                        (false, 8..) => outputs!(8),
                        (false, 4..) => outputs!(4),
                        (false, 2..) => outputs!(2),
                        (false, _) => outputs!(1),
                    };
                }
            }
        }
    }
}

/// Four filters with shared terms: for layers that are dense, or pruned in blocks.
#[derive(Debug)]
pub(super) struct Grouped<W> {
    shape: Shape,
    filters: usize,
    weight: Shared<W>,
}

impl<W: Value> Grouped<W> {
    pub(super) fn new(conv: &Conv) -> Self {
        let weight = Shared::new(&conv.weight, &conv.bias, |column| conv.offset(column));
        Self { shape: Shape::of(conv), filters: conv.weight.rows(), weight }
    }
}

impl<W: Value> Compute<Batch> for Grouped<W> {
    fn bytes(&self) -> usize {
        self.weight.bytes()
    }

    #[inline(always)]
    fn compute<V: Vector>(&self, mut blocks: Blocks<'_>) {
        let Shape { stride, width, rows, columns, rectified, .. } = self.shape;
        let positions = self.shape.positions();
        for block in 0..blocks.count {
            let (input, output) = (blocks.x(block), blocks.y(block));
            for row in 0..rows {
                let mut x = 0;
                while x < columns {
                    let corner = self.shape.corner(row, x);
                    let left = if self.shape.pooled { 1 } else { columns - x };
                    for group in 0..self.weight.groups() {
                        let filters = group * SHARED..self.filters.min((group + 1) * SHARED);
                        let (terms, start) = (self.weight.terms(group), self.weight.start(group));
                        if self.shape.pooled {
                            let window = [corner, corner + 1, corner + width, corner + width + 1];
                            let sums = shared::<V, SHARED, 4>(terms, start, input, window);
                            for (own, filter) in filters.enumerate() {
                                let mut sums = sums[own];
                                for sum in &mut sums {
                                    *sum = self.weight.end(group, own, *sum);
                                }
                                pool(sums, rectified, &mut output[filter * positions + row * columns + x], None);
                            }
                        } else if left >= 4 {
                            let places = [corner, corner + stride, corner + 2 * stride, corner + 3 * stride];
                            let sums = shared::<V, SHARED, 4>(terms, start, input, places);
                            for (own, filter) in filters.enumerate() {
                                for place in 0..4 {
                                    let sum = self.weight.end(group, own, sums[own][place]);
                                    let to = filter * positions + row * columns + x + place;
                                    finished(sum, rectified).store(&mut output[to]);
                                }
                            }
                        } else {
                            let sums = shared::<V, SHARED, 1>(terms, start, input, [corner]);
                            for (own, filter) in filters.enumerate() {
                                let sum = self.weight.end(group, own, sums[own][0]);
                                finished(sum, rectified).store(&mut output[filter * positions + row * columns + x]);
                            }
                        }
                    }
                    x += if !self.shape.pooled && left >= 4 { 4 } else { 1 };
                }
            }
        }
    }
}
