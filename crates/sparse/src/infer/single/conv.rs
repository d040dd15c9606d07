//! Convolutions of one image without padding, over the kept weights of one filter after the other.

use super::matrix::Matrix;
use super::{Compute, Image, SLACK, finished};
use crate::kernels::flat::{pixels, pool};
use crate::lanes::LANES;
use crate::simd::Vector;
use std::mem::size_of_val;

/// A filter's sums are computed for all pixels of the rows that are wanted, as one long row; then pooled, or picked.
#[derive(Debug)]
pub(super) struct Conv {
    /// A row is a filter, a column the offset of the input from that of a window.
    pub weight: Matrix,
    pub bias: Vec<f32>,
    /// Length of a stored row.
    pub width: usize,
    /// Rows and columns of a filter's output, after pooling.
    pub rows: usize,
    pub columns: usize,
    /// Whether of every two by two sums the largest is written.
    pub pooled: bool,
    pub rectified: bool,
}

impl Conv {
    /// Vectors of the long row.
    fn vectors(&self) -> usize {
        let (step, last) = (self.step(), usize::from(self.pooled));
        let (rows, columns) = ((self.rows - 1) * step + last, (self.columns - 1) * step + last);
        (rows * self.width + columns + 1).div_ceil(LANES)
    }

    /// Sums between two outputs.
    fn step(&self) -> usize {
        if self.pooled { 2 } else { 1 }
    }

    /// The answer of a filter that has no weights, whatever the inputs are.
    fn constant(&self, filter: usize) -> Option<f32> {
        self.weight.row(filter).0.is_empty().then(|| self.bias[filter])
    }
}

impl Compute for Conv {
    fn weight_bytes(&self) -> usize {
        let Matrix { starts, places, values, .. } = &self.weight;
        size_of_val(&**starts) + size_of_val(&**places) + size_of_val(&**values) + size_of_val(&*self.bias)
    }

    #[inline(always)]
    fn compute<V: Vector>(&self, Image { x, y, scratch }: Image<'_>) {
        // Pooling reads 32 pixels from wherever a window begins.
        scratch.pixels.resize(self.vectors() * LANES + SLACK, 0.0);
        for filter in 0..self.weight.rows() {
            if self.constant(filter).is_none() {
                self.convolve::<V>(filter, x, &mut scratch.pixels);
            }
            self.finish::<V>(filter, &scratch.pixels, y);
        }
    }
}

impl Conv {
    /// The sums of a filter, as one long row.
    #[inline(always)]
    fn convolve<V: Vector>(&self, filter: usize, x: &[f32], room: &mut [f32]) {
        let (vectors, mut vector) = (self.vectors(), 0);
        let (offsets, values) = self.weight.row(filter);
        while vector < vectors {
            macro_rules! some {
                ($n:literal) => {{
                    let first = vector * LANES;
                    let sums = pixels::<V, $n>(offsets, values, self.bias[filter], x, first);
                    let room = room[first..].as_chunks_mut::<LANES>().0;
                    let room = room.first_chunk_mut::<$n>().expect("room for all vectors");
                    for n in 0..$n {
                        sums[n].write(&mut room[n]);
                    }
                    $n
                }};
            }
            let left = vectors - vector;
            vector += match if V::REGISTERS >= 32 { left } else { left.min(4) } {
                16.. => some!(16),
                8.. => some!(8),
                4.. => some!(4),
                2.. => some!(2),
                _ => some!(1),
            };
        }
    }

    /// What becomes of a filter's sums. A whole vector is written for what may be a part of one: the next row or filter
    /// writes over the rest.
    #[inline(always)]
    fn finish<V: Vector>(&self, filter: usize, pixels: &[f32], y: &mut [f32]) {
        let (rows, columns, rectified) = (self.rows, self.columns, self.rectified);
        let y = &mut y[filter * rows * columns..][..rows * columns + LANES];
        let (width, line) = (self.width, self.step() * self.width);
        if let Some(own) = self.constant(filter) {
            let mut room = [0.0; LANES];
            finished(V::splat(own), rectified).write(&mut room);
            y[..rows * columns].fill(room[0]);
        } else if self.pooled && 2 * columns <= LANES {
            for row in 0..rows {
                let window = &pixels[row * line..][..width + LANES];
                let sum = pool::<V>(at(window, 0), at(window, width), None);
                finished(sum, rectified).write(at_mut(y, row * columns));
            }
        } else if self.pooled {
            for row in 0..rows {
                for first in (0..columns).step_by(LANES) {
                    let window = &pixels[row * line + 2 * first..][..width + 2 * LANES];
                    let next = Some((at(window, LANES), at(window, width + LANES)));
                    let sum = pool::<V>(at(window, 0), at(window, width), next);
                    finished(sum, rectified).write(at_mut(y, row * columns + first));
                }
            }
        } else {
            for row in 0..rows {
                for first in (0..columns).step_by(LANES) {
                    let sum = V::read(at(pixels, row * line + first));
                    finished(sum, rectified).write(at_mut(y, row * columns + first));
                }
            }
        }
    }
}

/// Sixteen numbers from `start` on; there is room behind the last one.
#[inline(always)]
fn at(from: &[f32], start: usize) -> &[f32; LANES] {
    from[start..].first_chunk().expect("room behind the last number")
}

#[inline(always)]
fn at_mut(from: &mut [f32], start: usize) -> &mut [f32; LANES] {
    from[start..].first_chunk_mut().expect("room behind the last number")
}
