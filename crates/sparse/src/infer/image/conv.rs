//! Convolutions of one image, over the kept weights of one filter after the other.

use super::{Image, SLACK, Single};
use crate::infer::form::{Compute, finished};
use crate::infer::matrix::Value;
use crate::infer::shared::Rows;
use crate::infer::step::Conv;
use crate::kernels::flat::{pixels, pool};
use crate::lanes::LANES;
use crate::simd::Vector;

/// A filter's sums are computed for all pixels of the rows that are wanted, at stride 1, as one long row; then pooled, or
/// picked.
#[derive(Debug)]
pub(super) struct Sparse<W> {
    weight: Rows<W>,
    /// Length of a stored row.
    width: usize,
    rows: usize,
    columns: usize,
    /// Pixels between two outputs.
    step: usize,
    pooled: bool,
    rectified: bool,
}

impl<W: Value> Sparse<W> {
    pub(super) fn new(conv: &Conv) -> Self {
        let weight = Rows::new(&conv.weight, &conv.bias, |column| conv.offset(column));
        let Conv { width, rows, columns, pooled, rectified, .. } = *conv;
        Self { weight, width, rows, columns, step: if pooled { 2 } else { conv.stride }, pooled, rectified }
    }

    /// Vectors of the long row.
    fn vectors(&self) -> usize {
        let last = usize::from(self.pooled);
        let (rows, columns) = ((self.rows - 1) * self.step + last, (self.columns - 1) * self.step + last);
        (rows * self.width + columns + 1).div_ceil(LANES)
    }
}

impl<W: Value> Compute<Single> for Sparse<W> {
    fn bytes(&self) -> usize {
        self.weight.bytes()
    }

    #[inline(always)]
    fn compute<V: Vector>(&self, Image { x, y, scratch }: Image<'_>) {
        // Pooling reads 32 pixels from wherever a window begins.
        scratch.pixels.resize(self.vectors() * LANES + SLACK, 0.0);
        for filter in 0..self.weight.rows() {
            if self.weight.constant(filter).is_none() {
                self.convolve::<V>(filter, x, &mut scratch.pixels);
            }
            self.finish::<V>(filter, &scratch.pixels, y);
        }
    }
}

impl<W: Value> Sparse<W> {
    /// The sums of a filter, as one long row.
    #[inline(always)]
    fn convolve<V: Vector>(&self, filter: usize, x: &[f32], room: &mut [f32]) {
        let (vectors, mut vector) = (self.vectors(), 0);
        while vector < vectors {
            macro_rules! some {
                ($n:literal) => {{
                    let first = vector * LANES;
                    let sums = pixels::<V, $n>(self.weight.terms(filter), self.weight.start(filter), x, first);
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
        let (weight, width, line) = (&self.weight, self.width, self.step * self.width);
        if let Some(own) = weight.constant(filter) {
            let mut room = [0.0; LANES];
            finished(V::splat(own), rectified).write(&mut room);
            y[..rows * columns].fill(room[0]);
        } else if self.pooled && 2 * columns <= LANES {
            for row in 0..rows {
                let window = &pixels[row * line..][..width + LANES];
                let sum = pool::<V>(at(window, 0), at(window, width), None);
                finished(weight.end(filter, sum), rectified).write(at_mut(y, row * columns));
            }
        } else if self.pooled {
            for row in 0..rows {
                for first in (0..columns).step_by(LANES) {
                    let window = &pixels[row * line + 2 * first..][..width + 2 * LANES];
                    let next = Some((at(window, LANES), at(window, width + LANES)));
                    let sum = pool::<V>(at(window, 0), at(window, width), next);
                    finished(weight.end(filter, sum), rectified).write(at_mut(y, row * columns + first));
                }
            }
        } else if self.step == 1 {
            for row in 0..rows {
                for first in (0..columns).step_by(LANES) {
                    let sum = weight.end(filter, V::read(at(pixels, row * line + first)));
                    finished(sum, rectified).write(at_mut(y, row * columns + first));
                }
            }
        } else {
            for place in 0..rows * columns {
                let own = pixels[place / columns * line + place % columns * self.step];
                finished(weight.end(filter, V::splat(own)), rectified).write(at_mut(y, place));
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
