//! A parameter as training holds it: all of its values, or the kept ones only, with what the optimizer remembers.

use crate::kernels::update::{Held, Rule};
use crate::lanes::{LANES, at, panels};
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::Context;
use crate::train::param::{CHUNK, Chunk, Param};
use crate::train::{Tensor, TensorMut};

/// A parameter in training. Its values stand in the order of the original, row-major.
#[derive(Debug)]
pub(super) struct Stored {
    param: Param,
    /// Index in the original of each value that is held; `None` when all are.
    indices: Option<Vec<u32>>,
    held: usize,
}

impl Stored {
    /// All values; those that are not kept are 0 and stay so.
    pub(super) fn dense(tensor: &Tensor<'_>, total: usize, held: Held) -> Self {
        let mut param = Param::zeros(panels(total), held);
        for index in 0..total {
            match tensor.at(index) {
                Some((value, moments)) => param.set(index, value, moments),
                None => param.prune(index),
            }
        }
        Self { param, indices: None, held: total }
    }

    /// The kept values only.
    pub(super) fn sparse(tensor: &Tensor<'_>, total: usize, held: Held) -> Self {
        let indices: Vec<u32> = (0..total as u32).filter(|index| tensor.keeps(*index as usize)).collect();
        let mut param = Param::zeros(panels(indices.len()), held);
        for (place, index) in indices.iter().enumerate() {
            let (value, moments) = tensor.at(*index as usize).expect("it is kept");
            param.set(place, value, moments);
        }
        Self { param, held: indices.len(), indices: Some(indices) }
    }

    /// The whole of it, to be updated.
    pub(super) fn param(&mut self) -> &mut Param {
        &mut self.param
    }

    /// Values that are held.
    pub(super) fn len(&self) -> usize {
        self.held
    }

    /// Index in the original of each value that is held; `None` when all are.
    pub(super) fn indices(&self) -> Option<&[u32]> {
        self.indices.as_deref()
    }

    /// The values that are held, a vector at a time; zeros behind the last.
    pub(super) fn copy_to(&self, values: &mut Vec<f32>) {
        values.clear();
        self.param.values.iter().for_each(|own| values.extend_from_slice(&own.0));
    }

    /// Copies the values of a range.
    pub(super) fn copy_range(&self, range: std::ops::Range<usize>, values: &mut Vec<f32>) {
        values.clear();
        let mut at = range.start;
        while at < range.end {
            let (vector, lane) = (at / LANES, at % LANES);
            let end = (range.end - at + lane).min(LANES);
            values.extend_from_slice(&self.param.values[vector].0[lane..end]);
            at += end - lane;
        }
    }

    /// One of the values that are held.
    #[inline(always)]
    pub(super) fn value(&self, place: usize) -> f32 {
        at(&self.param.values, place)
    }

    /// Writes what is wanted into zeroed buffers.
    pub(super) fn export(&self, mut tensor: TensorMut<'_>) {
        for place in 0..self.held {
            let index = self.indices.as_ref().map_or(place, |own| own[place] as usize);
            let (value, moments) = self.param.get(place);
            tensor.write(index, value, moments);
        }
    }

    /// Length of a gradient: that of the values, in whole vectors.
    pub(super) fn padded(&self) -> usize {
        self.param.values.len() * LANES
    }

    /// Moves the values along their gradient, which is the sum of parts of [`padded`](Self::padded) values each.
    pub(super) fn update(&mut self, at: &Context<'_>, rule: &Rule, parts: &[f32]) {
        struct Update<'a, 'b> {
            chunk: &'a mut Chunk<'b>,
            rule: &'a Rule,
            parts: &'a [f32],
            each: usize,
        }
        impl Kernel for Update<'_, '_> {
            type Output = ();

            #[inline(always)]
            fn run<V: Vector>(self) {
                for place in 0..self.chunk.values.len() {
                    let start = (self.chunk.start + place) * LANES;
                    let mut sum = V::splat(0.0);
                    for part in self.parts.chunks_exact(self.each) {
                        sum = sum.add(V::read(part[start..].first_chunk().expect("a whole vector")));
                    }
                    self.chunk.update(self.rule, place, sum);
                }
            }
        }
        let each = self.padded().max(1);
        let mut chunks = self.param.chunks(CHUNK);
        at.pool.each(&mut chunks, |chunk| dispatch(at.set, Update { chunk, rule, parts, each }));
    }
}
