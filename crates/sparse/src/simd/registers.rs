//! Vectors that are taken as one register.

use super::{Register, Vector};
use crate::lanes::{LANES, Lanes};

/// A whole vector.
#[derive(Clone, Copy)]
pub(super) struct Whole<V>(V);

/// What a vector that is one register looks up.
pub(super) trait Lookup: Vector {
    /// As [`Register::Indices`].
    type Indices: Copy;

    /// As [`Register::indices`].
    fn indices(from: &[u32; LANES]) -> Self::Indices;
    /// As [`Register::next`].
    fn next(indices: Self::Indices) -> Self::Indices;
    /// As [`Register::pick`].
    fn pick(table: &[f32; ENTRIES], indices: Self::Indices) -> Self;
}

/// Entries of a table: two registers of sixteen.
pub(super) const ENTRIES: usize = 32;

impl<V: Lookup> Register for Whole<V> {
    const COUNT: usize = 1;
    const ENTRIES: usize = ENTRIES;

    type Indices = V::Indices;

    #[inline(always)]
    fn zero() -> Self {
        Self(V::splat(0.0))
    }

    #[inline(always)]
    fn load(from: &Lanes, _: usize) -> Self {
        Self(V::load(from))
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, _: usize) {
        self.0.store(to);
    }

    #[inline(always)]
    fn read(from: &[f32]) -> Self {
        Self(V::read(from.first_chunk().expect("sixteen floats")))
    }

    #[inline(always)]
    fn widen(from: &[u16]) -> Self {
        Self(V::widen(from.first_chunk().expect("sixteen floats")))
    }

    #[inline(always)]
    fn indices(from: &[u32]) -> V::Indices {
        V::indices(from.first_chunk().expect("sixteen lanes"))
    }

    #[inline(always)]
    fn next(indices: V::Indices) -> V::Indices {
        V::next(indices)
    }

    #[inline(always)]
    fn pick(table: &[f32], indices: V::Indices) -> Self {
        Self(V::pick(table.first_chunk().expect("as many entries"), indices))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0.add(other.0))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(self.0.mul_add(factor.0, addend.0))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        self.0.sum()
    }

    #[inline(always)]
    fn sum_each(own: &[Self; 8]) -> [f32; 8] {
        let mut all = [V::splat(0.0); 8];
        for place in 0..8 {
            all[place] = own[place].0;
        }
        V::sum_each(&all)
    }
}
