//! How numbers lie in memory for the kernels: in lanes, sixteen side by side.
//!
//! Activations keep sixteen images in the lanes: a block is `[feature][16 images]`. Matrices lie in panels of sixteen
//! columns: `[columns / 16][rows][16]`, so that a block of activations is a panel, too.

/// Floats in a vector.
pub(crate) const LANES: usize = 16;

/// Sixteen floats on a boundary of 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Lanes(pub(crate) [f32; LANES]);

impl Lanes {
    /// All zero.
    pub(crate) const ZERO: Self = Self([0.0; LANES]);
}

/// Number of panels that `columns` columns take.
pub(crate) const fn panels(columns: usize) -> usize {
    columns.div_ceil(LANES)
}

/// An array of slices, by their places. The compiler often leaves `std::array::from_fn`, and a closure that indexes, as a call where it
/// stands; `scripts/check-inlining` looks for that.
macro_rules! slices {
    ($count:ident, |$place:ident| $slice:expr) => {{
        let mut all = [&[][..]; $count];
        for $place in 0..$count {
            all[$place] = $slice;
        }
        all
    }};
}
pub(crate) use slices;

/// The value at `place`.
#[inline(always)]
pub(crate) fn at(values: &[Lanes], place: usize) -> f32 {
    values[place / LANES].0[place % LANES]
}
