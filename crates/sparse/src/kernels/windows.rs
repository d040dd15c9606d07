//! Convolution tiles over the terms of a filter, sixteen images in the lanes: of one filter, or of four that share their
//! terms, over a few positions.
//!
//! A term is where an input stands relative to the first one of the output's window, and a weight.

use crate::lanes::Lanes;
use crate::simd::Vector;

/// Filters that share their terms.
pub(crate) const SHARED: usize = 4;

/// `P` windows of 2x2 outputs side by side, `C = 2 P` columns: the four sums of each.
#[inline(always)]
pub(crate) fn pooled<V: Vector, const P: usize, const C: usize>(
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

/// `N` outputs of a row, `stride` inputs apart.
#[inline(always)]
pub(crate) fn plain<V: Vector, const N: usize>(
    terms: impl Iterator<Item = (usize, f32)>,
    start: f32,
    input: &[Lanes],
    stride: usize,
    corner: usize,
) -> [V; N] {
    let mut sums = [V::splat(start); N];
    for (offset, weight) in terms {
        let factor = V::splat(weight);
        let line = &input[corner + offset..][..(N - 1) * stride + 1];
        for own in 0..N {
            sums[own] = factor.mul_add(V::load(&line[own * stride]), sums[own]);
        }
    }
    sums
}

/// The outputs at `corner + places[..]` of filters that share their terms, each with its own weight.
#[inline(always)]
pub(crate) fn shared<V: Vector, const F: usize, const N: usize>(
    terms: impl Iterator<Item = (usize, [f32; F])>,
    start: [f32; F],
    input: &[Lanes],
    places: [usize; N],
) -> [[V; N]; F] {
    let mut sums = [[V::splat(0.0); N]; F];
    for own in 0..F {
        sums[own] = [V::splat(start[own]); N];
    }
    for (offset, weights) in terms {
        let mut inputs = [V::splat(0.0); N];
        for own in 0..N {
            inputs[own] = V::load(&input[places[own] + offset]);
        }
        for own in 0..F {
            let factor = V::splat(weights[own]);
            for place in 0..N {
                sums[own][place] = factor.mul_add(inputs[place], sums[own][place]);
            }
        }
    }
    sums
}
