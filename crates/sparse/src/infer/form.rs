//! A step in one of its forms, whatever lies in the lanes.

use crate::InstructionSet;
use crate::simd::{Kernel, Vector, dispatch};
use std::fmt::Debug;

/// What lies in the lanes: it decides what a step reads and writes.
pub(super) trait Mode {
    /// What a step reads and writes.
    type Io<'a>;
}

/// Computes a step; compiled for every instruction set.
pub(super) trait Compute<M: Mode>: Debug + Send + Sync {
    /// Memory that its weights take.
    fn bytes(&self) -> usize;
    /// Computes it; implementations are `#[inline(always)]`.
    fn compute<V: Vector>(&self, io: M::Io<'_>);
}

/// A step in one of its forms.
pub(super) trait Compiled<M: Mode>: Debug + Send + Sync {
    /// Memory that its weights take.
    fn bytes(&self) -> usize;
    /// Computes it with these instructions.
    fn run(&self, set: InstructionSet, io: M::Io<'_>);
}

/// What computes with vectors runs with any instructions.
#[derive(Debug)]
pub(super) struct Vectorised<C>(pub C);

impl<M: Mode, C: Compute<M>> Compiled<M> for Vectorised<C> {
    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn run(&self, set: InstructionSet, io: M::Io<'_>) {
        struct Run<'a, 'b, M: Mode, C>(&'a C, M::Io<'b>);
        impl<M: Mode, C: Compute<M>> Kernel for Run<'_, '_, M, C> {
            type Output = ();

            #[inline(always)]
            fn run<V: Vector>(self) {
                self.0.compute::<V>(self.1);
            }
        }
        dispatch(set, Run::<M, C>(&self.0, io));
    }
}

/// The last thing that happens to a sum.
#[inline(always)]
pub(super) fn finished<V: Vector>(sum: V, rectified: bool) -> V {
    if rectified { V::splat(0.0).max(sum) } else { sum }
}
