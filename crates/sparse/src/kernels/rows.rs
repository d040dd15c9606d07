//! Rows of a matrix times the inputs of a few blocks, for inference: a row by itself, or four that share their terms.
//!
//! A term is a column and a weight.

use crate::lanes::Lanes;
use crate::simd::Vector;

/// `start + sum over terms of weight * x[n][column]` for `N` blocks.
#[inline(always)]
pub(crate) fn row<V: Vector, const N: usize>(
    terms: impl Iterator<Item = (usize, f32)>,
    start: f32,
    x: [&[Lanes]; N],
) -> [V; N] {
    let length = x[0].len();
    let mut own = x;
    for n in 0..N {
        own[n] = &x[n][..length];
    }
    let mut sums = [V::splat(start); N];
    for (column, weight) in terms {
        let factor = V::splat(weight);
        assert!(column < length, "a column lies within its matrix");
        for n in 0..N {
            sums[n] = factor.mul_add(V::load(&own[n][column]), sums[n]);
        }
    }
    sums
}

/// The same for `R` rows that share their columns, each with its own weight.
#[inline(always)]
pub(crate) fn shared<V: Vector, const R: usize, const N: usize>(
    terms: impl Iterator<Item = (usize, [f32; R])>,
    start: [f32; R],
    x: [&[Lanes]; N],
) -> [[V; N]; R] {
    let length = x[0].len();
    let mut own = x;
    for n in 0..N {
        own[n] = &x[n][..length];
    }
    let mut sums = [[V::splat(0.0); N]; R];
    for r in 0..R {
        sums[r] = [V::splat(start[r]); N];
    }
    for (column, weights) in terms {
        assert!(column < length, "a column lies within its matrix");
        let mut inputs = [V::splat(0.0); N];
        for n in 0..N {
            inputs[n] = V::load(&own[n][column]);
        }
        for r in 0..R {
            let factor = V::splat(weights[r]);
            for n in 0..N {
                sums[r][n] = factor.mul_add(inputs[n], sums[r][n]);
            }
        }
    }
    sums
}
