//! Convolution (with bias, relu and 2x2 max-pool) over the kept weights only, with sixteen images in the lanes.

use super::conv::{Codes, Shape, pool};
use crate::lanes::Lanes;
use crate::simd::Vector;
use std::ops::Range;

/// A kept weight: where its input stands relative to the output's, and its place among the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tap {
    /// `channel * height * width + ky * width + kx`.
    pub offset: u32,
    pub place: u32,
}

/// `P` windows of 2x2 outputs side by side, `C = 2 P` columns: the four sums of each.
#[inline(always)]
fn pooled<V: Vector, const P: usize, const C: usize>(
    terms: impl Iterator<Item = (usize, f32)>,
    start: f32,
    input: &[Lanes],
    width: usize,
    corner: usize,
) -> [[V; 4]; P] {
    let mut sums = [[V::splat(start); 4]; P];
    for (offset, weight) in terms {
        let factor = V::splat(weight);
        let first = corner + offset;
        let above = input[first..].first_chunk::<C>().expect("a window lies within the image");
        let below = input[first + width..].first_chunk::<C>().expect("a window lies within the image");
        for own in 0..P {
            let sums = &mut sums[own];
            sums[0] = factor.mul_add(V::load(&above[2 * own]), sums[0]);
            sums[1] = factor.mul_add(V::load(&above[2 * own + 1]), sums[1]);
            sums[2] = factor.mul_add(V::load(&below[2 * own]), sums[2]);
            sums[3] = factor.mul_add(V::load(&below[2 * own + 1]), sums[3]);
        }
    }
    sums
}

/// Computes the filters of `taps` (one list each) for a block; `weight` gives the value at a place.
#[inline(always)]
pub(crate) fn forward<V: Vector>(
    shape: Shape,
    filters: &[(&[Tap], f32)],
    weight: &impl Fn(u32) -> f32,
    rectified: bool,
    input: &[Lanes],
    output: &mut [Lanes],
    codes: &mut [Codes],
) {
    let ([height, width], positions) = (shape.pooled(), shape.positions());
    for y in 0..height {
        let mut x = 0;
        while x < width {
            let left = if V::REGISTERS >= 32 { width - x } else { 1 };
            macro_rules! tiles {
                ($p:literal, $c:literal) => {{
                    for (filter, (taps, bias)) in filters.iter().enumerate() {
                        let corner = 2 * y * shape.width + 2 * x;
                        let terms = taps.iter().map(|tap| (tap.offset as usize, weight(tap.place)));
                        let sums = pooled::<V, $p, $c>(terms, *bias, input, shape.width, corner);
                        for (own, sums) in sums.into_iter().enumerate() {
                            let place = filter * positions + y * width + x + own;
                            pool(sums, rectified, &mut output[place], codes.get_mut(place));
                        }
                    }
                    $p
                }};
            }
            x += match left {
                5.. => tiles!(5, 10),
                4 => tiles!(4, 8),
                3 => tiles!(3, 6),
                2 => tiles!(2, 4),
                _ => tiles!(1, 2),
            };
        }
    }
}

/// A filter's gradient before pooling: `[2 height][2 width]` of what pooling read, zero where nothing goes back.
#[inline(always)]
pub(crate) fn unpool<V: Vector>(shape: Shape, gradient: &[Lanes], codes: &[Codes], full: &mut [Lanes]) {
    let [height, width] = shape.pooled();
    for y in 0..height {
        for x in 0..width {
            let (own, codes) = (V::load(&gradient[y * width + x]), &codes[y * width + x]);
            let corner = 4 * y * width + 2 * x;
            own.keep(codes[0]).store(&mut full[corner]);
            own.keep(codes[1]).store(&mut full[corner + 1]);
            own.keep(codes[2]).store(&mut full[corner + 2 * width]);
            own.keep(codes[3]).store(&mut full[corner + 2 * width + 1]);
        }
    }
}

/// What goes back through one kept weight over some rows of a block: gives `sum of full[y][x] * input[offset + y, x]`, and
/// adds `weight * full[y][x]` to `gradient[offset + y, x]`, which may be empty when nobody wants it.
#[inline(always)]
pub(crate) fn tap_gradients<V: Vector>(
    shape: Shape,
    full: &[Lanes],
    rows: Range<usize>,
    weight: f32,
    offset: usize,
    input: &[Lanes],
    gradient: &mut [Lanes],
) -> f32 {
    let [_, width] = shape.pooled();
    let columns = 2 * width;
    let mut sums = [V::splat(0.0); 4];
    for y in rows {
        let line = &full[y * columns..(y + 1) * columns];
        let start = offset + y * shape.width;
        let input = &input[start..start + columns];
        let gradient = gradient.get_mut(start..start + columns).unwrap_or_default();
        let mut x = 0;
        while x < columns {
            x += match columns - x {
                10.. => piece::<V, 10>(&mut sums, &line[x..], weight, &input[x..], gradient, x),
                8.. => piece::<V, 8>(&mut sums, &line[x..], weight, &input[x..], gradient, x),
                4.. => piece::<V, 4>(&mut sums, &line[x..], weight, &input[x..], gradient, x),
                _ => piece::<V, 2>(&mut sums, &line[x..], weight, &input[x..], gradient, x),
            };
        }
    }
    sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum()
}

/// `C` columns of a line.
#[inline(always)]
fn piece<V: Vector, const C: usize>(
    sums: &mut [V; 4],
    line: &[Lanes],
    weight: f32,
    input: &[Lanes],
    gradient: &mut [Lanes],
    x: usize,
) -> usize {
    let line = line.first_chunk::<C>().expect("columns that are left");
    let input = input.first_chunk::<C>().expect("columns that are left");
    for i in 0..C {
        sums[i % 4] = V::load(&line[i]).mul_add(V::load(&input[i]), sums[i % 4]);
    }
    if !gradient.is_empty() {
        let factor = V::splat(weight);
        let gradient = gradient[x..].first_chunk_mut::<C>().expect("columns that are left");
        for i in 0..C {
            factor.mul_add(V::load(&line[i]), V::load(&gradient[i])).store(&mut gradient[i]);
        }
    }
    C
}
