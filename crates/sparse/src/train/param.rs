//! A parameter tensor as training holds it: values, what the optimizer remembers, and one mask bit a weight.

use super::Context;
use crate::Update;
use crate::kernels::update::{Held, Rule, Slot};
use crate::lanes::{LANES, Lanes};
use crate::simd::{Kernel, Vector, dispatch};
use std::ops::Range;

/// A tensor in lanes. What the lanes mean is the layer's business.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Param {
    pub values: Vec<Lanes>,
    /// Empty where the optimizer remembers nothing.
    moments: [Vec<Lanes>; 2],
    /// Gradients that wait for those of all other parameters; empty where none do.
    gradients: Vec<Lanes>,
    /// One bit a value, set where it is kept; empty when all are.
    kept: Vec<u16>,
    decays: bool,
}

/// Vectors that an item of an update owns.
pub(super) const CHUNK: usize = 512;

/// The parameters of a layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Params {
    pub weight: Param,
    pub bias: Param,
}

impl Param {
    /// All zero, all kept.
    pub(super) fn zeros(vectors: usize, held: Held) -> Self {
        let zeros = |is_held: bool| vec![Lanes::ZERO; if is_held { vectors } else { 0 }];
        Self {
            values: zeros(true),
            moments: [zeros(held.moments > 0), zeros(held.moments > 1)],
            gradients: zeros(held.gathers),
            kept: vec![],
            decays: held.decays,
        }
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
        let mut gradients = self.gradients.chunks_mut(vectors);
        let mut kept = self.kept.chunks(vectors);
        let chunk = |(place, values)| Chunk {
            start: place * vectors,
            values,
            moments: [first.next().unwrap_or_default(), second.next().unwrap_or_default()],
            gradients: gradients.next().unwrap_or_default(),
            kept: kept.next().unwrap_or_default(),
            decays: self.decays,
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
    gradients: &'a mut [Lanes],
    kept: &'a [u16],
    decays: bool,
}

impl Chunk<'_> {
    /// The vectors of the whole that this is.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.values.len()
    }

    /// Moves the vector at `place` of this piece along its gradient, or sets the gradient aside for [`settle`]; pruned
    /// values stay.
    #[inline(always)]
    pub(super) fn update<V: Vector>(&mut self, rule: &Rule, place: usize, gradient: V) {
        let gradient = match self.kept.get(place) {
            Some(bits) => gradient.keep(*bits),
            None => gradient,
        };
        match self.gradients.get_mut(place) {
            Some(own) => gradient.store(own),
            None => self.apply(rule, place, gradient),
        }
    }

    #[inline(always)]
    fn apply<V: Vector>(&mut self, rule: &Rule, place: usize, gradient: V) {
        let [first, second] = &mut self.moments;
        let slot = Slot { weight: &mut self.values[place], moments: [first.get_mut(place), second.get_mut(place)] };
        if self.decays { rule.apply(slot, gradient) } else { rule.without_decay().apply(slot, gradient) }
    }

    /// The sum of the squares of the gradients that were set aside.
    fn squares(&self) -> f64 {
        self.gradients.iter().flat_map(|own| own.0).map(|own| f64::from(own) * f64::from(own)).sum()
    }
}

/// Cuts the gradients that the parameters have set aside to the length that is allowed, and moves the parameters along them;
/// nothing where any length is.
pub(super) fn settle<'p>(at: &Context<'_>, rule: &Rule, update: &Update, params: impl Iterator<Item = &'p mut Param>) {
    struct Settled<'a, 'b>(&'a mut Chunk<'b>, &'a Rule, f32);
    impl Kernel for Settled<'_, '_> {
        type Output = ();

        #[inline(always)]
        fn run<V: Vector>(self) {
            let Self(chunk, rule, factor) = self;
            for place in 0..chunk.values.len() {
                let gradient = V::load(&chunk.gradients[place]).mul(V::splat(factor));
                chunk.apply(rule, place, gradient);
            }
        }
    }
    let Some(most) = update.max_norm else { return };
    let chunks = params.flat_map(|param| param.chunks(CHUNK));
    let mut items: Vec<(Chunk<'_>, f64)> = chunks.map(|chunk| (chunk, 0.0)).collect();
    at.pool.each(&mut items, |(chunk, squares)| *squares = chunk.squares());
    // In the parameters' order, so that the sum does not depend on the threads.
    let norm = items.iter().map(|(_, squares)| squares).sum::<f64>().sqrt();
    // As PyTorch's `clip_grad_norm_` computes it.
    let factor = (f64::from(most) / (norm + 1e-6)).min(1.0) as f32;
    at.pool.each(&mut items, |(chunk, _)| dispatch(at.set, Settled(chunk, rule, factor)));
}
