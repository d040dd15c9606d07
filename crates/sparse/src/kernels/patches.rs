//! Sums of a filter's weights times vectors at listed offsets, for rectangles of positions: convolutions of images that are a
//! few rows high, whose rows alone are too short to keep the arithmetic busy.

use crate::InstructionSet;
use crate::lanes::{Lanes, slices};
use crate::simd::{Kernel, Vector, dispatch};

/// A rectangle of positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    /// Rows and columns of positions, both powers of two.
    pub sides: [u8; 2],
    /// Offset of the window of its upper left position.
    pub input: u32,
    /// Offset of the output of that position in its channel.
    pub output: u32,
}

/// How positions stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    /// From one row to the next in the input and in the output.
    pub rows: [usize; 2],
    /// From one column to the next in the input: 1 or 2.
    pub column: usize,
    /// Whether positions are pooled: of every two by two of them the largest sum is written, so that the output has half of the rows
    /// and columns.
    pub pools: bool,
}

/// The nonzero weights of all filters of a convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filters<'a> {
    /// The weights of filter `f` are `starts[f]..starts[f + 1]`.
    pub starts: &'a [u32],
    /// Offset of the input of each weight, from a position's own.
    pub offsets: &'a [u32],
    pub weights: &'a [f32],
    pub bias: &'a [f32],
    /// More than the largest offset.
    pub extent: usize,
    /// Of each filter the offset of the channels that it reads.
    pub channels: &'a [u32],
}

/// Where the sums of some filters go, and what is added to them.
#[derive(Debug)]
pub(crate) struct Outputs<'a> {
    /// Those that are computed, rising.
    pub filters: &'a [u32],
    /// The filter whose channel comes first.
    pub first: usize,
    /// The filters' channels, each of so many vectors.
    pub values: &'a mut [Lanes],
    pub plane: usize,
    /// What is added to them, in the same layout.
    pub other: Option<&'a [Lanes]>,
    /// What sums below it become: 0 rectifies them, negative infinity leaves them as they are. NaN stays NaN.
    pub least: f32,
}

/// Positions of a patch at most.
pub(crate) fn most_positions(set: InstructionSet) -> usize {
    match set {
        InstructionSet::Portable | InstructionSet::Avx2 => 4,
        InstructionSet::Avx512 => 16,
    }
}

/// Patches that cover a rectangle, `[rows, columns]`, each with its upper left position.
pub(crate) fn cover([height, width]: [usize; 2], most: usize) -> Vec<([usize; 2], [usize; 2])> {
    let largest = |left: usize, most: usize| 1 << left.min(most).ilog2();
    let mut found = vec![];
    let mut column = 0;
    while column < width {
        let columns = largest(width - column, most.min(8));
        let mut row = 0;
        while row < height {
            let rows = largest(height - row, (most / columns).min(8));
            found.push(([rows, columns], [row, column]));
            row += rows;
        }
        column += columns;
    }
    found
}

/// Patches for pooling by two, whose sides are twice those that cover what is written; each with its upper left place there.
pub(crate) fn cover_pooled(sides: [usize; 2], most: usize) -> Vec<([usize; 2], [usize; 2])> {
    let twice = |(sides, first): ([usize; 2], [usize; 2])| (sides.map(|side| 2 * side), first);
    cover(sides, most / 4).into_iter().map(twice).collect()
}

/// Computes some filters at patches of the same sides, one after the other.
pub(crate) fn compute(
    set: InstructionSet,
    patches: &[Patch],
    steps: Steps,
    filters: Filters<'_>,
    input: &[Lanes],
    outputs: &mut Outputs<'_>,
) {
    let Some(first) = patches.first() else { return };
    macro_rules! sides {
        ($($rows:literal x $columns:literal),*; $($half_rows:literal x $half_columns:literal),*) => {
            match (first.sides, steps.column, steps.pools) {
                $(
                    ([$rows, $columns], 1, false) => {
                        dispatch(set, Product::<$rows, $columns, 1, false> { patches, steps, filters, input, outputs });
                    }
                    ([$rows, $columns], 2, false) => {
                        dispatch(set, Product::<$rows, $columns, 2, false> { patches, steps, filters, input, outputs });
                    }
                )*
                $(
                    ([$half_rows, $half_columns], 1, true) => {
                        let own = Product::<$half_rows, $half_columns, 1, true> { patches, steps, filters, input, outputs };
                        dispatch(set, own);
                    }
                    ([$half_rows, $half_columns], 2, true) => {
                        let own = Product::<$half_rows, $half_columns, 2, true> { patches, steps, filters, input, outputs };
                        dispatch(set, own);
                    }
                )*
                _ => unreachable!("no such patch: {first:?}, {steps:?}"),
            }
        };
    }
    sides!(
        1 x 1, 2 x 1, 4 x 1, 8 x 1, 1 x 2, 2 x 2, 4 x 2, 8 x 2, 1 x 4, 2 x 4, 4 x 4, 1 x 8, 2 x 8;
        2 x 2, 4 x 2, 8 x 2, 2 x 4, 4 x 4, 2 x 8
    );
}

/// Patches of so many rows and columns. A kernel of its own for each size, so that all sums find a register.
struct Product<'a, 'b, const R: usize, const C: usize, const X: usize, const POOLS: bool> {
    patches: &'a [Patch],
    steps: Steps,
    filters: Filters<'a>,
    input: &'a [Lanes],
    outputs: &'a mut Outputs<'b>,
}

impl<const R: usize, const C: usize, const X: usize, const POOLS: bool> Kernel for Product<'_, '_, R, C, X, POOLS> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { patches, steps, filters, input, outputs } = self;
        let Outputs { filters: own, first: start, values, plane, other, least } = outputs;
        let least = V::splat(*least);
        // What a patch reads stays in the first-level cache while all filters go by.
        for patch in patches {
            for filter in *own {
                let filter = *filter as usize;
                let base = filters.channels[filter] as usize + patch.input as usize;
                let first = (filter - *start) * *plane + patch.output as usize;
                let mut sums = [[V::splat(filters.bias[filter]); C]; R];
                if let Some(other) = other {
                    for r in 0..R {
                        let other =
                            other[first + r * steps.rows[1]..].first_chunk::<C>().expect("it lies in its channel");
                        for c in 0..C {
                            sums[r][c] = sums[r][c].add(V::load(&other[c]));
                        }
                    }
                }
                let rows = slices!(R, |r| &input[base + r * steps.rows[0]..][..filters.extent + (C - 1) * X]);
                let terms = filters.starts[filter] as usize..filters.starts[filter + 1] as usize;
                for (offset, weight) in filters.offsets[terms.clone()].iter().zip(&filters.weights[terms]) {
                    let offset = *offset as usize;
                    assert!(offset < filters.extent, "offsets lie below the extent");
                    let weight = V::splat(*weight);
                    for r in 0..R {
                        let x = &rows[r][offset..][..(C - 1) * X + 1];
                        for c in 0..C {
                            sums[r][c] = weight.mul_add(V::load(&x[c * X]), sums[r][c]);
                        }
                    }
                }
                if POOLS {
                    for r in 0..R / 2 {
                        let output = &mut values[first + r * steps.rows[1]..][..C / 2];
                        for c in 0..C / 2 {
                            let [above, below] = [sums[2 * r], sums[2 * r + 1]];
                            let own = above[2 * c].max_or_nan(above[2 * c + 1]);
                            let own = own.max_or_nan(below[2 * c].max_or_nan(below[2 * c + 1]));
                            least.max(own).store(&mut output[c]);
                        }
                    }
                    continue;
                }
                for r in 0..R {
                    let output =
                        values[first + r * steps.rows[1]..].first_chunk_mut::<C>().expect("it lies in its channel");
                    for c in 0..C {
                        least.max(sums[r][c]).store(&mut output[c]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_cover_every_position_once() {
        for (height, width, most) in [(8, 8, 16), (2, 2, 16), (7, 5, 16), (7, 5, 4), (1, 13, 4), (33, 1, 16)] {
            let mut met = vec![0; height * width];
            for ([rows, columns], [row, column]) in cover([height, width], most) {
                assert!(rows * columns <= most && rows <= 8 && columns <= 8);
                for place in 0..rows * columns {
                    met[(row + place / columns) * width + column + place % columns] += 1;
                }
            }
            assert!(met.iter().all(|own| *own == 1), "{height} x {width}");
        }
        assert_eq!(cover([3, 2], 16), [([2, 2], [0, 0]), ([1, 2], [2, 0])]);
    }
}
