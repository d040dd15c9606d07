//! Products of a matrix that holds only its kept values, with sixteen images in the lanes.

use super::product::Sink;
use crate::lanes::{Lanes, at, slices};
use crate::simd::Vector;
use std::ops::Range;

/// Where the kept values of a matrix stand. The values themselves lie column after column.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pattern {
    /// The values of column `c` are `column_starts[c]..column_starts[c + 1]`.
    pub column_starts: Vec<u32>,
    /// Row of each value, rising within a column.
    pub rows: Vec<u32>,
    /// The values of row `r` are `terms[starts[r]..starts[r + 1]]`.
    pub starts: Vec<u32>,
    /// The values once more, row after row.
    pub terms: Vec<Term>,
}

/// A value of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Term {
    pub column: u32,
    /// Its place among the values.
    pub place: u32,
}

impl Pattern {
    /// The pattern of the places that `keeps(row, column)` says, of `rows` x `columns`.
    pub(crate) fn new(rows: usize, columns: usize, mut keeps: impl FnMut(usize, usize) -> bool) -> Self {
        let mut own = Self { column_starts: vec![0], starts: vec![0; rows + 1], ..Self::default() };
        for column in 0..columns {
            for row in (0..rows).filter(|row| keeps(*row, column)) {
                own.rows.push(row as u32);
                own.starts[row + 1] += 1;
            }
            own.column_starts.push(own.rows.len() as u32);
        }
        for row in 0..rows {
            own.starts[row + 1] += own.starts[row];
        }
        let mut next = own.starts.clone();
        own.terms = vec![Term::default(); own.rows.len()];
        for column in 0..columns {
            for place in own.column_starts[column]..own.column_starts[column + 1] {
                let next = &mut next[own.rows[place as usize] as usize];
                own.terms[*next as usize] = Term { column: column as u32, place };
                *next += 1;
            }
        }
        own
    }

    /// Number of kept values.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The values of a row.
    pub(crate) fn row(&self, row: usize) -> &[Term] {
        &self.terms[self.row_range(row)]
    }

    /// Where the values of a row stand in [`Self::terms`].
    pub(crate) fn row_range(&self, row: usize) -> Range<usize> {
        self.starts[row] as usize..self.starts[row + 1] as usize
    }

    /// The places of a column's values.
    pub(crate) fn column(&self, column: usize) -> Range<usize> {
        self.column_starts[column] as usize..self.column_starts[column + 1] as usize
    }
}

/// `sum over terms of value * b[n][column]` for every vector of `b`; the sums go to `sink` as row `unit`.
#[inline(always)]
pub(crate) fn row<V: Vector>(terms: &[Term], values: &[Lanes], b: &[&[Lanes]], unit: usize, sink: &mut impl Sink) {
    let mut n = 0;
    while n < b.len() {
        n += match b.len() - n {
            8.. => row_part::<V, 8>(terms, values, b, n, unit, sink),
            4..8 => row_part::<V, 4>(terms, values, b, n, unit, sink),
            _ => row_part::<V, 1>(terms, values, b, n, unit, sink),
        };
    }
}

#[inline(always)]
fn row_part<V: Vector, const N: usize>(
    terms: &[Term],
    values: &[Lanes],
    b: &[&[Lanes]],
    n: usize,
    unit: usize,
    sink: &mut impl Sink,
) -> usize {
    let length = b[n].len();
    let own = slices!(N, |i| &b[n + i][..length]);
    let mut sums = [V::splat(0.0); N];
    for i in 0..N {
        sums[i] = sink.start(n + i, unit);
    }
    for term in terms {
        let factor = V::splat(at(values, term.place as usize));
        let column = term.column as usize;
        assert!(column < length, "a pattern lies within its matrix");
        for i in 0..N {
            sums[i] = factor.mul_add(V::load(&own[i][column]), sums[i]);
        }
    }
    for i in 0..N {
        sink.finish(n + i, unit, sums[i]);
    }
    N
}

/// What goes back through one column: adds `sum over images of dy[row] * x` to the gradient of each of its values, and
/// hands `sum over values of value * dy[row]`, the gradient of the column's input, to `sink` as row `column`.
///
/// `gradients` belongs to the values from `first` on.
#[inline(always)]
pub(crate) fn column_gradients<V: Vector>(
    pattern: &Pattern,
    values: &[Lanes],
    column: usize,
    dy: &[&[Lanes]],
    x: &[&[Lanes]],
    first: usize,
    gradients: &mut [f32],
    sink: &mut impl Sink,
) {
    let places = pattern.column(column);
    let rows = &pattern.rows[places.clone()];
    let mut n = 0;
    while n < dy.len() {
        let gradients = &mut gradients[places.start - first..places.end - first];
        let start = places.start;
        n += match dy.len() - n {
            8.. if V::REGISTERS >= 32 => column_part::<V, 8>(rows, values, start, column, dy, x, n, gradients, sink),
            4.. if V::REGISTERS >= 32 => column_part::<V, 4>(rows, values, start, column, dy, x, n, gradients, sink),
            2.. => column_part::<V, 2>(rows, values, start, column, dy, x, n, gradients, sink),
            _ => column_part::<V, 1>(rows, values, start, column, dy, x, n, gradients, sink),
        };
    }
}

#[inline(always)]
fn column_part<V: Vector, const N: usize>(
    rows: &[u32],
    values: &[Lanes],
    start: usize,
    column: usize,
    dy: &[&[Lanes]],
    x: &[&[Lanes]],
    n: usize,
    gradients: &mut [f32],
    sink: &mut impl Sink,
) -> usize {
    let length = dy[n].len();
    let dy = slices!(N, |i| &dy[n + i][..length]);
    let mut own = [V::splat(0.0); N];
    for i in 0..N {
        own[i] = V::load(&x[n + i][column]);
    }
    let mut sums = [V::splat(0.0); N];
    for (place, (row, gradient)) in rows.iter().zip(gradients).enumerate() {
        let row = *row as usize;
        assert!(row < length, "a pattern lies within its matrix");
        let factor = V::splat(at(values, start + place));
        // Two sums, so that one need not wait for the other.
        let mut halves = [V::splat(0.0); 2];
        for i in 0..N {
            let dy = V::load(&dy[i][row]);
            sums[i] = factor.mul_add(dy, sums[i]);
            halves[i % 2] = own[i].mul_add(dy, halves[i % 2]);
        }
        *gradient += halves[0].add(halves[1]).sum();
    }
    for i in 0..N {
        sink.finish(n + i, column, sums[i]);
    }
    N
}
