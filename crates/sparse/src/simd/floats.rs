//! Vectors as the numbers that they are made of.
#![expect(unsafe_code, reason = "a slice of arrays is one of their elements")]

use crate::lanes::{LANES, Lanes};

/// All numbers, one vector after the other.
#[inline(always)]
pub(crate) fn floats(from: &[Lanes]) -> &[f32] {
    // SAFETY: `Lanes` is an array of so many floats (`repr(C)`), without padding: its 64 bytes are its alignment.
    unsafe { std::slice::from_raw_parts(from.as_ptr().cast(), from.len() * LANES) }
}
