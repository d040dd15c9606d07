//! Vectors around the tiles of an image that are those of other tiles, lanes moved.

use crate::lanes::{LANES, Lanes};
use crate::simd::{Vector, floats};

/// A vector that is read from anywhere in its channel and written with zeros in some lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fill {
    /// The vector that is written.
    pub to: u32,
    /// The first of the sixteen numbers that are read.
    pub from: u32,
    /// The lanes that are kept.
    pub mask: u16,
}

/// Does what is listed with a channel.
#[inline(always)]
pub(crate) fn fill<V: Vector>(fills: &[Fill], plane: &mut [Lanes]) {
    for Fill { to, from, mask } in fills {
        let from = floats(plane)[*from as usize..].first_chunk::<LANES>().expect("a margin is copied from its channel");
        V::read(from).keep(*mask).store(&mut plane[*to as usize]);
    }
}
