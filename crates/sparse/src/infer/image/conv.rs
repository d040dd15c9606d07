//! Convolutions of one image, over the kept weights of one filter after the other.

use super::{Compute, Image, SLACK, finished};
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

impl<W: Value> Compute for Sparse<W> {
    fn bytes(&self) -> usize {
        self.weight.bytes()
    }

    #[inline(always)]
    fn compute<V: Vector>(&self, Image { x, y, scratch }: Image<'_>) {
        let Self { weight, width, rows, columns, step, .. } = self;
        let vectors = self.vectors();
        // Pooling reads 32 pixels from wherever a window begins.
        scratch.pixels.resize((vectors * LANES).next_multiple_of(LANES) + SLACK, 0.0);
        for filter in 0..weight.rows() {
            let mut vector = 0;
            while vector < vectors {
                macro_rules! some {
                    ($n:literal) => {{
                        let first = vector * LANES;
                        let sums = pixels::<V, $n>(weight.terms(filter), weight.start(filter), x, first);
                        let room = scratch.pixels[first..].as_chunks_mut::<LANES>().0;
                        let room = room.first_chunk_mut::<$n>().expect("room for all vectors");
                        for n in 0..$n {
                            sums[n].write(&mut room[n]);
                        }
                        $n
                    }};
                }
                vector += match if V::REGISTERS >= 32 { vectors - vector } else { (vectors - vector).min(4) } {
                    16.. => some!(16),
                    8.. => some!(8),
                    4.. => some!(4),
                    2.. => some!(2),
                    _ => some!(1),
                };
            }
            // A whole vector is written for what may be a part of one: the next row or filter writes over the rest.
            for row in 0..*rows {
                let to = (filter * rows + row) * columns;
                let line = row * step * width;
                if *step > 1 && !self.pooled {
                    for column in 0..*columns {
                        let sum = weight.end(filter, V::splat(scratch.pixels[line + column * step]));
                        let mut room = [0.0; LANES];
                        finished(sum, self.rectified).write(&mut room);
                        y[to + column] = room[0];
                    }
                    continue;
                }
                for first in (0..*columns).step_by(LANES) {
                    let start = line + first * step;
                    let sum = if self.pooled {
                        let pixels =
                            |start: usize| scratch.pixels[start..].first_chunk().expect("room behind the last");
                        pool::<V>(pixels(start), pixels(start + width))
                    } else {
                        V::read(scratch.pixels[start..].first_chunk().expect("room behind the last"))
                    };
                    let to = y[to + first..].first_chunk_mut().expect("room behind the last");
                    finished(weight.end(filter, sum), self.rectified).write(to);
                }
            }
        }
    }
}
