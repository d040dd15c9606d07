//! Sums of weights times vectors at listed offsets: every convolution and every fully connected layer, forward and back to
//! the inputs, with all weights or with the kept ones only.
//!
//! A kernel size, a stride, a dilation, zero padding (a margin of zeros in the buffer) and groups only change the lists:
//! `output[row][position] = sum over k of weight[k][row] * input[offset[k] + position]`. A tile is a few rows of a few
//! positions, and its sums stay in registers.

use crate::lanes::{Lanes, slices};
use crate::simd::Vector;

/// Rows of a tile at most.
pub(crate) const TILE_ROWS: usize = 6;

/// Where an output is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Block of sixteen images, from the first that is worked on.
    pub block: u32,
    /// Offset of the window's first element in the input, from the first block on.
    pub input: u32,
    /// Offset of the output within a row of its block.
    pub output: u32,
}

/// What the sums start with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start<'a> {
    /// Nothing.
    Zero,
    /// A number for each row.
    Bias(&'a [f32]),
    /// What stands in the output.
    Output,
    /// A number for each row, and what stands where the outputs go in other blocks of their layout.
    Added(&'a [f32], &'a [&'a [Lanes]]),
}

/// Rows that read the same inputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    /// Offset of each input, from a position's own.
    pub offsets: &'a [u32],
    /// `[input][row]`
    pub weights: &'a [f32],
    /// How many, 1 to [`TILE_ROWS`].
    pub count: usize,
    /// More than the largest offset.
    pub extent: usize,
}

/// Where the sums go.
#[derive(Debug)]
pub(crate) struct Outputs<'a, 'b> {
    /// Of each block a slice, `[row][plane]`.
    pub blocks: &'a mut [&'b mut [Lanes]],
    pub plane: usize,
    /// The first row that is computed.
    pub row: usize,
    /// What sums below it become: 0 rectifies them, negative infinity leaves them as they are. NaN stays NaN.
    pub least: f32,
    /// Whether what stands in the output counts, too: the largest of both is kept, or NaN.
    pub largest: bool,
}

impl Outputs<'_, '_> {
    /// The rows that are computed, from a position on.
    #[inline(always)]
    fn at(&mut self, position: &Position) -> &mut [Lanes] {
        &mut self.blocks[position.block as usize][self.row * self.plane + position.output as usize..]
    }

    /// The same rows of other blocks.
    #[inline(always)]
    fn of<'o>(&self, others: &[&'o [Lanes]], position: &Position) -> &'o [Lanes] {
        &others[position.block as usize][self.row * self.plane + position.output as usize..]
    }
}

/// Computes some rows at some positions.
#[inline(always)]
pub(crate) fn product<V: Vector>(
    rows: Rows<'_>,
    positions: &[Position],
    input: &[Lanes],
    start: Start<'_>,
    mut outputs: Outputs<'_, '_>,
) {
    match rows.count {
        1 => strips::<V, 1>(rows, positions, input, start, &mut outputs),
        2 => strips::<V, 2>(rows, positions, input, start, &mut outputs),
        3 => strips::<V, 3>(rows, positions, input, start, &mut outputs),
        4 => strips::<V, 4>(rows, positions, input, start, &mut outputs),
        5 => strips::<V, 5>(rows, positions, input, start, &mut outputs),
        6 => strips::<V, 6>(rows, positions, input, start, &mut outputs),
        count => unreachable!("a tile has 1 to {TILE_ROWS} rows, not {count}"),
    }
}

/// Positions of a tile of so many rows, and of one that stands in whole rows of an image.
const fn most_positions(registers: usize, rows: usize) -> [usize; 2] {
    match (registers, rows) {
        (32.., 1) => [4, 16],
        (32.., _) => [4, 0],
        (8.., 1) => [4, 4],
        (8.., 2..4) => [2, 0],
        (_, 1) => [2, 2],
        _ => [1, 0],
    }
}

/// The first positions, if they stand in `G` rows of `P`, in each of which they are equally far from each other: the first of each
/// row, the others, and the steps in the input and in the output.
#[inline(always)]
fn in_rows<const G: usize, const P: usize>(positions: &[Position]) -> Option<([Position; G], &[Position], [u32; 2])> {
    let (own, rest) = positions.split_at_checked(G * P)?;
    let steps = [own[1].input.wrapping_sub(own[0].input), own[1].output.wrapping_sub(own[0].output)];
    // Positions rise within a block; where a new row begins, they rise by something else.
    let reach = [steps[0].wrapping_mul(P as u32 - 1), steps[1].wrapping_mul(P as u32 - 1)];
    let (rows, _) = own.as_chunks::<P>();
    let stand = rows.iter().all(|row| {
        let (first, last) = (row[0], row[P - 1]);
        last.block == first.block
            && last.input == first.input.wrapping_add(reach[0])
            && last.output == first.output.wrapping_add(reach[1])
    });
    let mut first = [own[0]; G];
    for row in 0..G {
        first[row] = own[row * P];
    }
    stand.then_some((first, rest, steps))
}

#[inline(always)]
fn strips<V: Vector, const M: usize>(
    rows: Rows<'_>,
    positions: &[Position],
    input: &[Lanes],
    start: Start<'_>,
    outputs: &mut Outputs<'_, '_>,
) {
    let [most, most_in_a_row] = most_positions(V::REGISTERS, M);
    let mut rest = positions;
    macro_rules! row_tile {
        ($g:literal, $n:literal) => {
            if most_in_a_row >= $g * $n {
                if let Some((own, others, steps)) = in_rows::<$g, $n>(rest) {
                    let done = match steps {
                        [1, 1] => row_tile::<V, $g, $n, 1, 1>(rows, own, input, start, outputs),
                        [2, 1] => row_tile::<V, $g, $n, 2, 1>(rows, own, input, start, outputs),
                        [1, 2] => row_tile::<V, $g, $n, 1, 2>(rows, own, input, start, outputs),
                        _ => false,
                    };
                    if done {
                        rest = others;
                        continue;
                    }
                }
            }
        };
    }
    macro_rules! tile {
        ($n:literal) => {{
            let (own, others) = rest.split_first_chunk::<$n>().expect("as many are left");
            tile::<V, M, $n>(rows, own, input, start, outputs);
            others
        }};
    }
    while !rest.is_empty() {
        row_tile!(1, 16);
        row_tile!(2, 8);
        row_tile!(1, 8);
        row_tile!(4, 4);
        row_tile!(1, 4);
        row_tile!(8, 2);
        row_tile!(2, 2);
        row_tile!(1, 2);
        rest = match rest.len().min(most) {
            8.. => tile!(8),
            4.. => tile!(4),
            2.. => tile!(2),
            _ if M == 1 => {
                single::<V>(rows, &rest[0], input, start, outputs);
                &rest[1..]
            }
            _ => tile!(1),
        };
    }
}

/// One row of weights at one position, in four sums that do not wait for each other.
#[inline(always)]
fn single<V: Vector>(
    rows: Rows<'_>,
    position: &Position,
    input: &[Lanes],
    start: Start<'_>,
    outputs: &mut Outputs<'_, '_>,
) {
    let input = &input[position.input as usize..][..rows.extent];
    let first = match start {
        Start::Zero => V::splat(0.0),
        Start::Bias(bias) => V::splat(bias[0]),
        Start::Output => V::load(&outputs.at(position)[0]),
        Start::Added(bias, others) => V::splat(bias[0]).add(V::load(&outputs.of(others, position)[0])),
    };
    let mut sums = [first, V::splat(0.0), V::splat(0.0), V::splat(0.0)];
    let ((offsets, last_offsets), (weights, last_weights)) =
        (rows.offsets.as_chunks::<4>(), rows.weights.as_chunks::<4>());
    for (offsets, weights) in offsets.iter().zip(weights) {
        for place in 0..4 {
            sums[place] = V::splat(weights[place]).mul_add(V::load(&input[offsets[place] as usize]), sums[place]);
        }
    }
    for (place, (offset, weight)) in last_offsets.iter().zip(last_weights).enumerate() {
        sums[place] = V::splat(*weight).mul_add(V::load(&input[*offset as usize]), sums[place]);
    }
    let mut sum = sums[0].add(sums[1]).add(sums[2].add(sums[3]));
    let (least, largest) = (V::splat(outputs.least), outputs.largest);
    let output = &mut outputs.at(position)[0];
    if largest {
        sum = sum.max_or_nan(V::load(output));
    }
    least.max(sum).store(output);
}

/// One row of weights at positions in `G` rows of `P`, from step to step in the input and in the output.
#[inline(always)]
fn row_tile<V: Vector, const G: usize, const P: usize, const X: usize, const Y: usize>(
    rows: Rows<'_>,
    positions: [Position; G],
    input: &[Lanes],
    start: Start<'_>,
    outputs: &mut Outputs<'_, '_>,
) -> bool {
    let own = slices!(G, |g| &input[positions[g].input as usize..][..rows.extent + (P - 1) * X]);
    let mut sums = [[V::splat(0.0); P]; G];
    match start {
        Start::Zero => {}
        Start::Bias(bias) => sums = [[V::splat(bias[0]); P]; G],
        Start::Output => {
            for g in 0..G {
                let output = &outputs.at(&positions[g])[..(P - 1) * Y + 1];
                for p in 0..P {
                    sums[g][p] = V::load(&output[p * Y]);
                }
            }
        }
        Start::Added(bias, others) => {
            for g in 0..G {
                let other = &outputs.of(others, &positions[g])[..(P - 1) * Y + 1];
                for p in 0..P {
                    sums[g][p] = V::splat(bias[0]).add(V::load(&other[p * Y]));
                }
            }
        }
    }
    for (offset, weight) in rows.offsets.iter().zip(rows.weights) {
        let offset = *offset as usize;
        assert!(offset < rows.extent, "offsets lie below the extent");
        let weight = V::splat(*weight);
        for g in 0..G {
            let x = &own[g][offset..][..(P - 1) * X + 1];
            for p in 0..P {
                sums[g][p] = weight.mul_add(V::load(&x[p * X]), sums[g][p]);
            }
        }
    }
    let least = V::splat(outputs.least);
    if outputs.largest {
        for g in 0..G {
            let output = &outputs.at(&positions[g])[..(P - 1) * Y + 1];
            for p in 0..P {
                sums[g][p] = sums[g][p].max_or_nan(V::load(&output[p * Y]));
            }
        }
    }
    for g in 0..G {
        let output = &mut outputs.at(&positions[g])[..(P - 1) * Y + 1];
        for p in 0..P {
            least.max(sums[g][p]).store(&mut output[p * Y]);
        }
    }
    true
}

#[inline(always)]
fn tile<V: Vector, const M: usize, const P: usize>(
    rows: Rows<'_>,
    positions: &[Position; P],
    input: &[Lanes],
    start: Start<'_>,
    outputs: &mut Outputs<'_, '_>,
) {
    let own = slices!(P, |p| &input[positions[p].input as usize..][..rows.extent]);
    let mut sums = [[V::splat(0.0); P]; M];
    match start {
        Start::Zero => {}
        Start::Bias(bias) => {
            let bias = bias.first_chunk::<M>().expect("a bias for each row");
            for m in 0..M {
                sums[m] = [V::splat(bias[m]); P];
            }
        }
        Start::Output => {
            let plane = outputs.plane;
            for p in 0..P {
                let output = outputs.at(&positions[p]);
                for m in 0..M {
                    sums[m][p] = V::load(&output[m * plane]);
                }
            }
        }
        Start::Added(bias, others) => {
            let bias = bias.first_chunk::<M>().expect("a bias for each row");
            let plane = outputs.plane;
            for p in 0..P {
                let other = outputs.of(others, &positions[p]);
                for m in 0..M {
                    sums[m][p] = V::splat(bias[m]).add(V::load(&other[m * plane]));
                }
            }
        }
    }
    let (weights, _) = rows.weights.as_chunks::<M>();
    for (offset, weights) in rows.offsets.iter().zip(weights) {
        let offset = *offset as usize;
        assert!(offset < rows.extent, "offsets lie below the extent");
        let mut x = [V::splat(0.0); P];
        for p in 0..P {
            x[p] = V::load(&own[p][offset]);
        }
        for m in 0..M {
            let weight = V::splat(weights[m]);
            for p in 0..P {
                sums[m][p] = weight.mul_add(x[p], sums[m][p]);
            }
        }
    }
    let (plane, least) = (outputs.plane, V::splat(outputs.least));
    if outputs.largest {
        for p in 0..P {
            let output = outputs.at(&positions[p]);
            for m in 0..M {
                sums[m][p] = sums[m][p].max_or_nan(V::load(&output[m * plane]));
            }
        }
    }
    for p in 0..P {
        let output = outputs.at(&positions[p]);
        for m in 0..M {
            least.max(sums[m][p]).store(&mut output[m * plane]);
        }
    }
}
