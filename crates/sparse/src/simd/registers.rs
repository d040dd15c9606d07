//! Vectors that are taken as one register.

use super::{Register, Vector};
use crate::lanes::Lanes;

/// A whole vector.
#[derive(Clone, Copy)]
pub(super) struct Whole<V>(V);

impl<V: Vector> Register for Whole<V> {
    const COUNT: usize = 1;

    #[inline(always)]
    fn zero() -> Self {
        Self(V::splat(0.0))
    }

    #[inline(always)]
    fn load(from: &Lanes, _: usize) -> Self {
        Self(V::load(from))
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
