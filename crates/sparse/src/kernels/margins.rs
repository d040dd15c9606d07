//! Vectors around the tiles of an image that are those of other tiles, lanes moved.

use crate::InstructionSet;
use crate::lanes::{LANES, Lanes};
use crate::simd::{Kernel, Vector, dispatch};

/// Vectors that are read from their channel, and written to it with their lanes moved in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moves {
    /// Of each lane the one that it comes from.
    pub lanes: [u32; LANES],
    /// The lanes that are kept; the others become zero.
    pub mask: u16,
    /// Where each vector goes, and where it comes from.
    pub vectors: Vec<[u32; 2]>,
}

/// What is written into a channel of tiles once its values are computed, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fills(pub Vec<Moves>);

impl Fills {
    /// Bytes of the lists.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.0) + self.0.iter().map(|own| size_of_val(&*own.vectors)).sum::<usize>()
    }

    /// Fills some channels, of so many vectors each.
    pub(crate) fn fill(&self, set: InstructionSet, plane: usize, values: &mut [Lanes]) {
        if !self.0.is_empty() {
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
        // One move after the other, so that its indices stay in a register.
        for Moves { lanes, mask, vectors } in &self.fills.0 {
            for plane in self.values.chunks_exact_mut(self.plane) {
                for [to, from] in vectors {
                    V::load(&plane[*from as usize]).moved(lanes, *mask).store(&mut plane[*to as usize]);
                }
            }
        }
    }
}
