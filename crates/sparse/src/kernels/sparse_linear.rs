//! Products of a matrix that holds only its kept values, with sixteen images in the lanes.

use super::product::Sink;
use crate::lanes::Lanes;
use crate::simd::Vector;
use std::ops::Range;

/// Where the kept values of a matrix stand: by row, and the same ones by column.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pattern {
    /// The values of row `r` are `starts[r]..starts[r + 1]`.
    pub starts: Vec<u32>,
    /// Column of each value, rising within a row.
    pub columns: Vec<u32>,
    /// The values of column `c` are `places[column_starts[c]..column_starts[c + 1]]`.
    pub column_starts: Vec<u32>,
    /// Row of a value and its place among the values.
    pub places: Vec<(u32, u32)>,
}

impl Pattern {
    /// The pattern of the places that `keeps` says, of `rows` x `columns`.
    pub(crate) fn new(rows: usize, columns: usize, mut keeps: impl FnMut(usize, usize) -> bool) -> Self {
        let mut own = Self { starts: vec![0], ..Self::default() };
        let mut counts = vec![0u32; columns + 1];
        for row in 0..rows {
            for column in (0..columns).filter(|column| keeps(row, *column)) {
                own.columns.push(column as u32);
                counts[column + 1] += 1;
            }
            own.starts.push(own.columns.len() as u32);
        }
        for column in 0..columns {
            counts[column + 1] += counts[column];
        }
        own.column_starts = counts.clone();
        own.places = vec![(0, 0); own.columns.len()];
        for row in 0..rows {
            for place in own.starts[row]..own.starts[row + 1] {
                let next = &mut counts[own.columns[place as usize] as usize];
                own.places[*next as usize] = (row as u32, place);
                *next += 1;
            }
        }
        own
    }

    /// Number of kept values.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }
}

/// `sum over terms of value * b[n][index]` for every vector of `b`, the sums go to `sink` as row `unit`.
#[inline(always)]
pub(crate) fn row<V: Vector>(
    terms: impl Iterator<Item = (usize, f32)> + Clone,
    b: &[&[Lanes]],
    unit: usize,
    sink: &mut impl Sink,
) {
    let mut n = 0;
    while n < b.len() {
        n += match b.len() - n {
            8.. => part::<V, 8>(terms.clone(), b, n, unit, sink),
            4..8 => part::<V, 4>(terms.clone(), b, n, unit, sink),
            _ => part::<V, 1>(terms.clone(), b, n, unit, sink),
        };
    }
}

#[inline(always)]
fn part<V: Vector, const N: usize>(
    terms: impl Iterator<Item = (usize, f32)>,
    b: &[&[Lanes]],
    n: usize,
    unit: usize,
    sink: &mut impl Sink,
) -> usize {
    let length = b[n].len();
    let own: [&[Lanes]; N] = std::array::from_fn(|i| &b[n + i][..length]);
    let mut sums = [V::splat(0.0); N];
    for i in 0..N {
        sums[i] = sink.start(n + i, unit);
    }
    for (index, value) in terms {
        let factor = V::splat(value);
        for i in 0..N {
            sums[i] = factor.mul_add(V::load(&own[i][index]), sums[i]);
        }
    }
    for i in 0..N {
        sink.finish(n + i, unit, sums[i]);
    }
    N
}

/// The gradient of each kept value in `range`: `sum over images of dy[row] * x[column]`, in the order of the values.
#[inline(always)]
pub(crate) fn weight_gradient<V: Vector>(
    pattern: &Pattern,
    range: Range<usize>,
    dy: &[&[Lanes]],
    x: &[&[Lanes]],
    mut finish: impl FnMut(usize, f32),
) {
    let mut row = pattern.starts.partition_point(|start| *start as usize <= range.start).saturating_sub(1);
    let mut place = range.start;
    while place < range.end {
        let end = (pattern.starts[row + 1] as usize).min(range.end);
        for own in place..end {
            let column = pattern.columns[own] as usize;
            let mut sum = V::splat(0.0);
            for (dy, x) in dy.iter().zip(x) {
                sum = V::load(&dy[row]).mul_add(V::load(&x[column]), sum);
            }
            finish(own, sum.sum());
        }
        place = end;
        row += 1;
    }
}
