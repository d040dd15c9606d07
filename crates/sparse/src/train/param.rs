//! A parameter tensor as training holds it: values, what the optimizer remembers, and one mask bit a weight.

use crate::kernels::update::{Optimizer, Rule, Slot};
use crate::lanes::{LANES, Lanes};
use crate::simd::Vector;
use std::ops::Range;

/// A tensor in lanes. What the lanes mean is the layer's business.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Param {
    pub values: Vec<Lanes>,
    /// Empty where the optimizer remembers nothing.
    moments: [Vec<Lanes>; 2],
    /// One bit a value, set where it is kept; empty when all are.
    kept: Vec<u16>,
}

/// The parameters of a layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Params {
    pub weight: Param,
    pub bias: Param,
}

impl Param {
    /// All zero, all kept.
    pub(super) fn zeros(vectors: usize, optimizer: &Optimizer) -> Self {
        let moment = |place: usize| vec![Lanes::ZERO; if place < optimizer.moments() { vectors } else { 0 }];
        Self { values: vec![Lanes::ZERO; vectors], moments: [moment(0), moment(1)], kept: vec![] }
    }

    /// Sets the value at `place`, with its moments.
    pub(super) fn set(&mut self, place: usize, value: f32, moments: [f32; 2]) {
        self.values[place / LANES].0[place % LANES] = value;
        for (own, moment) in self.moments.iter_mut().zip(moments) {
            if let Some(own) = own.get_mut(place / LANES) {
                own.0[place % LANES] = moment;
            }
        }
    }

    /// The value at `place`, with its moments.
    pub(super) fn get(&self, place: usize) -> (f32, [f32; 2]) {
        let at = |own: &[Lanes]| own.get(place / LANES).map_or(0.0, |own| own.0[place % LANES]);
        (at(&self.values), [at(&self.moments[0]), at(&self.moments[1])])
    }

    /// Marks the value at `place` as pruned: it is `+0.0`, and stays so.
    pub(super) fn prune(&mut self, place: usize) {
        self.kept.resize(self.values.len(), u16::MAX);
        self.kept[place / LANES] &= !(1 << (place % LANES));
        self.set(place, 0.0, [0.0; 2]);
    }

    /// The whole of it, to be updated.
    pub(super) fn all(&mut self) -> Chunk<'_> {
        let vectors = self.values.len().max(1);
        self.chunks(vectors).pop().unwrap_or_default()
    }

    /// Pieces of `vectors` vectors, to be updated.
    pub(super) fn chunks(&mut self, vectors: usize) -> Vec<Chunk<'_>> {
        let [first, second] = &mut self.moments;
        let (mut first, mut second) = (first.chunks_mut(vectors), second.chunks_mut(vectors));
        let mut kept = self.kept.chunks(vectors);
        let chunk = |(place, values)| Chunk {
            start: place * vectors,
            values,
            moments: [first.next().unwrap_or_default(), second.next().unwrap_or_default()],
            kept: kept.next().unwrap_or_default(),
        };
        self.values.chunks_mut(vectors).enumerate().map(chunk).collect()
    }
}

/// A piece of a [`Param`].
#[derive(Debug, Default)]
pub(super) struct Chunk<'a> {
    /// Place of the first vector in the whole.
    pub start: usize,
    pub values: &'a mut [Lanes],
    moments: [&'a mut [Lanes]; 2],
    kept: &'a [u16],
}

impl Chunk<'_> {
    /// The vectors of the whole that this is.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.values.len()
    }

    /// Moves the vector at `place` of this piece along its gradient; pruned values stay.
    #[inline(always)]
    pub(super) fn update<V: Vector>(&mut self, rule: &Rule, place: usize, gradient: V) {
        let gradient = match self.kept.get(place) {
            Some(bits) => gradient.keep(*bits),
            None => gradient,
        };
        let [first, second] = &mut self.moments;
        let slot = Slot { weight: &mut self.values[place], moments: [first.get_mut(place), second.get_mut(place)] };
        rule.apply(slot, gradient);
    }
}
