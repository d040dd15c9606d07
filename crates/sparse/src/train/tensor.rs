//! Tensors of the network as it is outside of training: what a trainer is made from, and what it gives back.

use super::kept::Kept;

/// A tensor of the original network, as a trainer is made from it.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// The kept values, row-major.
    pub values: &'a [f32],
    /// What the optimizer remembers, of the same length; empty when it has none, or has not begun.
    pub moments: [&'a [f32]; 2],
    /// Which values are kept; `None` when all are.
    pub kept: Option<&'a Kept>,
}

/// A tensor of the original network, to be written.
#[derive(Debug)]
pub struct TensorMut<'a> {
    /// The values that are wanted, row-major.
    pub values: &'a mut [f32],
    /// What the optimizer remembers, of the same length; empty when it is not wanted.
    pub moments: [&'a mut [f32]; 2],
    /// Which values are wanted; `None` when all are.
    pub kept: Option<&'a Kept>,
}

impl Tensor<'_> {
    pub(super) fn keeps(&self, index: usize) -> bool {
        self.kept.is_none_or(|kept| kept.keeps(index))
    }

    /// Whether it is a tensor of so many values, pruned ones included.
    pub(super) fn has(&self, total: usize) -> bool {
        let (wanted, kept) = self.kept.map_or((total, total), |kept| (kept.total(), kept.kept()));
        wanted == total && self.values.len() == kept
    }

    /// The value at `index` with its moments; `None` when it is pruned.
    pub(super) fn at(&self, index: usize) -> Option<(f32, [f32; 2])> {
        let place = place_in(self.kept, index)?;
        Some((self.values[place], self.moments.map(|moment| moment.get(place).copied().unwrap_or(0.0))))
    }
}

impl TensorMut<'_> {
    /// Sets what stands at `index`, if it is wanted.
    pub(super) fn write(&mut self, index: usize, value: f32, moments: [f32; 2]) {
        let Some(index) = place_in(self.kept, index) else { return };
        self.values[index] = value;
        for (own, moment) in self.moments.iter_mut().zip(moments) {
            if let Some(own) = own.get_mut(index) {
                *own = moment;
            }
        }
    }
}

/// Place among the kept values of the one at `index`; `None` when it is not kept.
fn place_in(kept: Option<&Kept>, index: usize) -> Option<usize> {
    kept.map_or(Some(index), |kept| kept.place(index))
}
