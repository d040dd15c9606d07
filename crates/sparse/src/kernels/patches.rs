//! Sums of a filter's weights times vectors at listed offsets, for rectangles of positions: convolutions of images that are a
//! few rows high, whose rows alone are too short to keep the arithmetic busy.

use crate::InstructionSet;
use crate::lanes::Lanes;
use crate::simd::Vector;

/// A rectangle of positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    /// Rows and columns, both powers of two.
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
}

/// The weights of a filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    /// Offset of each input, from a position's own.
    pub offsets: &'a [u32],
    pub weights: &'a [f32],
    /// More than the largest offset.
    pub extent: usize,
}

/// Where the sums go, and what they start with.
#[derive(Debug)]
pub(crate) struct Channel<'a> {
    pub bias: f32,
    /// What is added, in the layout of the output.
    pub other: Option<&'a [Lanes]>,
    pub output: &'a mut [Lanes],
    /// What sums below it become: 0 rectifies them, negative infinity leaves them as they are. NaN stays NaN.
    pub least: f32,
}

/// Positions of a patch at most.
pub(crate) fn most_positions(set: InstructionSet) -> usize {
    match set {
        InstructionSet::Portable | InstructionSet::Avx2 => MOST[0],
        InstructionSet::Avx512 => MOST[1],
    }
}

/// Of vectors that the registers hold few of, and of those that they hold many of.
const MOST: [usize; 2] = [4, 16];

/// The same for the vectors of an instruction set.
const fn most<V: Vector>() -> usize {
    if V::REGISTERS >= 32 { MOST[1] } else { MOST[0] }
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

/// Computes a filter at a patch; `input` begins with the first channel that it reads.
#[inline(always)]
pub(crate) fn compute<V: Vector>(
    patch: Patch,
    steps: Steps,
    terms: Terms<'_>,
    input: &[Lanes],
    channel: &mut Channel<'_>,
) {
    macro_rules! sides {
        ($($rows:literal x $columns:literal),*) => {
            match (patch.sides, steps.column) {
                $(
                    ([$rows, $columns], 1) if $rows * $columns <= most::<V>() => {
                        product::<V, $rows, $columns, 1>(patch, steps, terms, input, channel);
                    }
                    ([$rows, $columns], 2) if $rows * $columns <= most::<V>() => {
                        product::<V, $rows, $columns, 2>(patch, steps, terms, input, channel);
                    }
                )*
                _ => unreachable!("no such patch: {patch:?}, {steps:?}"),
            }
        };
    }
    sides!(1 x 1, 2 x 1, 4 x 1, 8 x 1, 1 x 2, 2 x 2, 4 x 2, 8 x 2, 1 x 4, 2 x 4, 4 x 4, 1 x 8, 2 x 8);
}

#[inline(always)]
fn product<V: Vector, const R: usize, const C: usize, const X: usize>(
    patch: Patch,
    steps: Steps,
    terms: Terms<'_>,
    input: &[Lanes],
    channel: &mut Channel<'_>,
) {
    let first = patch.output as usize;
    let mut sums = [[V::splat(channel.bias); C]; R];
    if let Some(other) = channel.other {
        for r in 0..R {
            let other = other[first + r * steps.rows[1]..].first_chunk::<C>().expect("a patch lies within the channel");
            for c in 0..C {
                sums[r][c] = sums[r][c].add(V::load(&other[c]));
            }
        }
    }
    let reach = terms.extent + (C - 1) * X;
    let rows: [&[Lanes]; R] = std::array::from_fn(|r| &input[patch.input as usize + r * steps.rows[0]..][..reach]);
    for (offset, weight) in terms.offsets.iter().zip(terms.weights) {
        let weight = V::splat(*weight);
        for r in 0..R {
            let x = &rows[r][*offset as usize..][..(C - 1) * X + 1];
            for c in 0..C {
                sums[r][c] = weight.mul_add(V::load(&x[c * X]), sums[r][c]);
            }
        }
    }
    let least = V::splat(channel.least);
    for r in 0..R {
        let output = &mut channel.output[first + r * steps.rows[1]..];
        let output = output.first_chunk_mut::<C>().expect("a patch lies within the channel");
        for c in 0..C {
            least.max(sums[r][c]).store(&mut output[c]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, dispatch};

    struct Most;

    impl Kernel for Most {
        type Output = usize;

        #[inline(always)]
        fn run<V: Vector>(self) -> usize {
            most::<V>()
        }
    }

    #[test]
    fn an_instruction_set_has_the_patches_that_its_vectors_compute() {
        for set in InstructionSet::available() {
            assert_eq!(dispatch(set, Most), most_positions(set));
        }
    }

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
