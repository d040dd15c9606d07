//! Gradients of the weights that [`tiles`](super::tiles) multiplies with:
//! `gradient[row][k] += sum over positions and images of dy[row][position] * x[offset[k] + position]`.

use crate::InstructionSet;
use crate::lanes::{Lanes, slices};
use crate::simd::{Register, Vector};

/// Where an output is computed: offsets of its window in the input and of its gradient, from the first block on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub input: u32,
    pub gradient: u32,
}

/// How far pairs reach in the input and in the gradient: one more than the largest offset of each.
#[inline(always)]
pub(crate) fn extents(pairs: &[Pair]) -> [usize; 2] {
    let (mut input, mut gradient) = (0, 0);
    for own in pairs {
        (input, gradient) = (own.input.max(input), own.gradient.max(gradient));
    }
    let none = pairs.is_empty();
    [input, gradient].map(|most| if none { 0 } else { most as usize + 1 })
}

/// Everything that the tiles of some rows read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources<'a> {
    pub pairs: &'a [Pair],
    pub x: &'a [Lanes],
    /// `[row][plane]`, from the rows' first on.
    pub dy: &'a [Lanes],
    pub plane: usize,
    /// More than the largest offset of `pairs` in the input, and in the gradient.
    pub extents: [usize; 2],
}

/// Rows of the highest tile of an instruction set.
pub(crate) fn tile_rows(set: InstructionSet) -> usize {
    match set {
        InstructionSet::Portable => 1,
        InstructionSet::Avx2 => 4,
        InstructionSet::Avx512 => 6,
    }
}

/// Adds the gradients of all weights of `rows` rows to `sums`, `[row][offset]`.
#[inline(always)]
pub(crate) fn dense<V: Vector>(from: Sources<'_>, rows: usize, offsets: &[u32], sums: &mut [f32]) {
    let mut row = 0;
    macro_rules! rows {
        ($m:literal, $k:literal) => {{
            strips::<V, $m, $k>(from, row, offsets, &mut sums[row * offsets.len()..]);
            $m
        }};
    }
    while row < rows {
        row += if V::REGISTERS >= 32 {
            match rows - row {
                6.. => rows!(6, 4),
                5 => rows!(5, 4),
                4 => rows!(4, 4),
                3 => rows!(3, 4),
                2 => rows!(2, 4),
                _ => rows!(1, 8),
            }
        } else if V::REGISTERS >= 8 {
            match rows - row {
                4.. => rows!(4, 3),
                3 => rows!(3, 3),
                2 => rows!(2, 4),
                _ => rows!(1, 8),
            }
        } else {
            rows!(1, 2)
        };
    }
}

/// Adds the gradients of the weights of one row, `sums` of them at `offsets`.
#[inline(always)]
pub(crate) fn row<V: Vector>(from: Sources<'_>, offsets: &[u32], sums: &mut [f32]) {
    if V::REGISTERS >= 8 {
        strips::<V, 1, 8>(from, 0, offsets, sums);
    } else {
        strips::<V, 1, 2>(from, 0, offsets, sums);
    }
}

/// `M` rows, `K` offsets at a time.
#[inline(always)]
fn strips<V: Vector, const M: usize, const K: usize>(from: Sources<'_>, row: usize, offsets: &[u32], sums: &mut [f32]) {
    let each = offsets.len();
    let (tiles, rest) = offsets.as_chunks::<K>();
    for (place, own) in tiles.iter().enumerate() {
        tile::<V, M, K>(from, row, own, &mut sums[place * K..], each);
    }
    let mut place = each - rest.len();
    let (fours, rest) = if K > 4 { rest.as_chunks::<4>() } else { (&[][..], rest) };
    for own in fours {
        tile::<V, M, 4>(from, row, own, &mut sums[place..], each);
        place += 4;
    }
    let (pairs, rest) = rest.as_chunks::<2>();
    for own in pairs {
        tile::<V, M, 2>(from, row, own, &mut sums[place..], each);
        place += 2;
    }
    for own in rest {
        tile::<V, M, 1>(from, row, &[*own], &mut sums[place..], each);
        place += 1;
    }
}

/// `sums` is `[row][each]`.
#[inline(always)]
fn tile<V: Vector, const M: usize, const K: usize>(
    from: Sources<'_>,
    row: usize,
    offsets: &[u32; K],
    sums: &mut [f32],
    each: usize,
) {
    let [x_extent, dy_extent] = from.extents;
    let dy = slices!(M, |m| &from.dy[(row + m) * from.plane..][..dy_extent]);
    let x = slices!(K, |k| &from.x[offsets[k] as usize..][..x_extent]);
    for place in 0..V::Register::COUNT {
        let mut own = [[V::Register::zero(); K]; M];
        let mut pairs = from.pairs;
        if M * K <= 2 {
            // Two sums would wait for themselves; so each position of four has its own.
            let mut wide = [[[V::Register::zero(); K]; M]; 4];
            let (fours, rest) = pairs.as_chunks::<4>();
            for four in fours {
                for (pair, own) in four.iter().zip(&mut wide) {
                    step(pair, from.extents, place, &x, &dy, own);
                }
            }
            for wide in &wide {
                for m in 0..M {
                    for k in 0..K {
                        sums[m * each + k] += wide[m][k].sum();
                    }
                }
            }
            pairs = rest;
        }
        for pair in pairs {
            step(pair, from.extents, place, &x, &dy, &mut own);
        }
        for m in 0..M {
            let sums = &mut sums[m * each..][..K];
            if let ([own], []) = own[m].as_chunks::<8>() {
                let own = V::Register::sum_each(own);
                for k in 0..K {
                    sums[k] += own[k % 8];
                }
            } else {
                for k in 0..K {
                    sums[k] += own[m][k].sum();
                }
            }
        }
    }
}

/// The products at one position, of one register of each vector.
#[inline(always)]
fn step<R: Register, const M: usize, const K: usize>(
    pair: &Pair,
    [x_extent, dy_extent]: [usize; 2],
    place: usize,
    x: &[&[Lanes]; K],
    dy: &[&[Lanes]; M],
    own: &mut [[R; K]; M],
) {
    let (input, gradient) = (pair.input as usize, pair.gradient as usize);
    assert!(input < x_extent && gradient < dy_extent, "positions lie below the extents");
    let mut inputs = [R::zero(); K];
    for k in 0..K {
        inputs[k] = R::load(&x[k][input], place);
    }
    for m in 0..M {
        let gradient = R::load(&dy[m][gradient], place);
        for k in 0..K {
            own[m][k] = gradient.mul_add(inputs[k], own[m][k]);
        }
    }
}
