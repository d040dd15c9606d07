//! Vectors around the tiles of an image that are those of other tiles, lanes moved.

use crate::InstructionSet;
use crate::lanes::{LANES, Lanes};
use crate::simd::{Kernel, Vector, dispatch};

/// How the lanes of a vector are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// Of each lane the one that it comes from.
    pub lanes: [u32; LANES],
    /// The lanes that are kept; the others become what lies outside of the image.
    pub mask: u16,
}

/// What is written into a channel of tiles once its values are computed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fills {
    /// Where vectors go and where they come from, `[to, from]`, by how they are moved; in this order.
    pub list: Vec<(Move, Vec<[u32; 2]>)>,
    /// The same of tiles of equal sides with a margin of one vector on each: the side, and how the vectors of the margin are
    /// moved above on the left, above, above on the right, left, right, and so below.
    pub ring: Option<(usize, [Move; 8])>,
    /// The bits of a lane that is not kept.
    pub outside: u32,
}

impl Fills {
    /// Bytes of the lists.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.list) + self.list.iter().map(|own| size_of_val(&*own.1)).sum::<usize>()
    }

    /// Fills some channels, of so many vectors each.
    pub(crate) fn fill(&self, set: InstructionSet, plane: usize, values: &mut [Lanes]) {
        if !self.list.is_empty() {
            dispatch(set, Fill { fills: self, plane, values });
        }
    }
}

struct Fill<'a> {
    fills: &'a Fills,
    plane: usize,
    values: &'a mut [Lanes],
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { fills, plane, values } = self;
        let outside = V::splat(f32::from_bits(fills.outside));
        match &fills.ring {
            Some((1, moves)) => rings::<V, 1, 9>(moves, outside, values),
            Some((2, moves)) => rings::<V, 2, 16>(moves, outside, values),
            Some((4, moves)) => rings::<V, 4, 36>(moves, outside, values),
            Some((7, moves)) => rings::<V, 7, 81>(moves, outside, values),
            Some((8, moves)) => rings::<V, 8, 100>(moves, outside, values),
            Some(_) | None => {
                for plane in values.chunks_exact_mut(plane) {
                    for (by, vectors) in &fills.list {
                        for [to, from] in vectors {
                            copy::<V>(by, outside, plane, *from as usize, *to as usize);
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn copy<V: Vector>(by: &Move, outside: V, plane: &mut [Lanes], from: usize, to: usize) {
    V::load(&plane[from]).moved(&by.lanes, by.mask).or(outside.keep(!by.mask)).store(&mut plane[to]);
}

/// The margins of tiles of side `S`, whose channels are `N = (S + 2)^2` vectors: without lists, which cost more than small
/// tiles themselves.
#[inline(always)]
fn rings<V: Vector, const S: usize, const N: usize>(moves: &[Move; 8], outside: V, values: &mut [Lanes]) {
    let [above_left, above, above_right, left, right, below_left, below, below_right] = moves;
    let pitch = S + 2;
    let (first, last, end) = (pitch, S * pitch, (S + 1) * pitch);
    for plane in values.as_chunks_mut::<N>().0 {
        copy::<V>(above_left, outside, plane, last + S, 0);
        for column in 1..=S {
            copy::<V>(above, outside, plane, last + column, column);
        }
        copy::<V>(above_right, outside, plane, last + 1, S + 1);
        for row in 1..=S {
            copy::<V>(left, outside, plane, row * pitch + S, row * pitch);
            copy::<V>(right, outside, plane, row * pitch + 1, row * pitch + S + 1);
        }
        copy::<V>(below_left, outside, plane, first + S, end);
        for column in 1..=S {
            copy::<V>(below, outside, plane, first + column, end + column);
        }
        copy::<V>(below_right, outside, plane, first + 1, end + S + 1);
    }
}
