//! Tiles for one image: pixels of a channel, or neurons, in the lanes.

use crate::lanes::LANES;
use crate::simd::Vector;

/// `N` vectors of a filter's sums over neighbouring pixels; `input[first + offset..]` is what a weight meets. Rows of the
/// image follow each other, so that a vector may go over the end of one: what it finds there nobody uses.
#[inline(always)]
pub(crate) fn pixels<V: Vector, const N: usize>(
    offsets: &[u32],
    weights: &[f32],
    start: f32,
    input: &[f32],
    first: usize,
) -> [V; N] {
    let mut sums = [V::splat(start); N];
    for (offset, weight) in offsets.iter().zip(weights) {
        let factor = V::splat(*weight);
        let input = &input[first + *offset as usize..];
        let line = input.as_chunks::<LANES>().0.first_chunk::<N>().expect("room behind the last pixel");
        for n in 0..N {
            sums[n] = factor.mul_add(V::read(&line[n]), sums[n]);
        }
    }
    sums
}

/// Largest of each 2x2 window of two rows of 16 pixels, in the first eight lanes; of 32 pixels, when `next` has more. NaN
/// where one of the window is.
#[inline(always)]
pub(crate) fn pool<V: Vector>(
    above: &[f32; LANES],
    below: &[f32; LANES],
    next: Option<(&[f32; LANES], &[f32; LANES])>,
) -> V {
    let left = V::read(below).max_or_nan(V::read(above));
    let right = match next {
        Some((above, below)) => V::read(below).max_or_nan(V::read(above)),
        None => left,
    };
    let (even, odd) = left.unzip(right);
    odd.max_or_nan(even)
}

/// Places of what is not zero, in order.
#[inline(always)]
pub(crate) fn active(x: &[f32], places: &mut Vec<u32>) {
    places.resize(x.len(), 0);
    let mut count = 0;
    for (place, value) in x.iter().enumerate() {
        places[count] = place as u32;
        count += usize::from(*value != 0.0);
    }
    places.truncate(count);
}
