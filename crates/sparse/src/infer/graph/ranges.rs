//! The range of each value of a network over some images: what bytes have to hold.

use super::bytes::Bytes;
use super::plan::Plan;
use super::walk::Scratch;
use super::{GraphEngine, Program};
use crate::infer::batch::read;
use crate::infer::{Error, LanesHold, Options};
use crate::lanes::LANES;
use secateur_graph::{Graph, Weights};
use std::collections::BTreeMap;

/// The lowest and the largest number of each value that a network computes, by the name of the node that gives it; `input` for the
/// images. Batch normalisation counts as a part of the layer before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranges(BTreeMap<String, [f32; 2]>);

/// The name of the images.
const INPUT: &str = "input";

impl Ranges {
    /// Those over images `[image][channels, height, width]`, computed with f32.
    ///
    /// # Errors
    /// As [`GraphEngine::new`].
    ///
    /// # Panics
    /// When the weights are not the graph's, or `images` is no whole number of images.
    pub fn over(graph: &Graph, weights: &Weights, images: &[f32], options: &Options) -> Result<Self, Error> {
        let options = Options { threads: 1, ..*options };
        let mut engine = GraphEngine::compile(graph, weights, &options, None, &[LanesHold::Images])?;
        let GraphEngine { program, scratch, .. } = &mut engine;
        let Program { set, pixels, plan, steps, names, .. } = &**program;
        assert!(images.len().is_multiple_of(*pixels), "expected whole images of {pixels} numbers");
        let mut found = Self::default();
        for images in images.chunks(LANES * pixels) {
            let count = images.len() / pixels;
            read(*set, images, *pixels, &mut scratch[0].buffers[plan.buffers[plan.input]]);
            found.meet(plan, names, plan.input, count, &scratch[0]);
            super::walk::walk_each(*set, plan, steps, &mut scratch[0], |value, scratch| {
                found.meet(plan, names, value, count, scratch);
            });
        }
        Ok(found)
    }

    /// These, where each has a lowest and a largest number that are finite and in order.
    pub fn new(ranges: impl IntoIterator<Item = (String, [f32; 2])>) -> Option<Self> {
        let own = Self(ranges.into_iter().collect());
        own.0.values().all(|[low, high]| low.is_finite() && high.is_finite() && low <= high).then_some(own)
    }

    /// The range of each, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, [f32; 2])> {
        self.0.iter().map(|(name, own)| (name.as_str(), *own))
    }

    /// Widens the range of a value by what stands in its buffer, in the lanes of so many images.
    fn meet(&mut self, plan: &Plan, names: &[String], value: usize, images: usize, scratch: &Scratch) {
        let layout = &plan.layouts[value];
        let values = &scratch.buffers[plan.buffers[value]];
        let own = self.0.entry(names[plan.origins[value]].clone()).or_insert([f32::INFINITY, f32::NEG_INFINITY]);
        for place in (0..layout.values()).map(|index| layout.place(index)) {
            for number in &values[place].0[..images] {
                *own = [own[0].min(*number), own[1].max(*number)];
            }
        }
    }
}

/// The ranges of a graph's values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub ranges: &'a Ranges,
    /// By value.
    pub names: &'a [String],
}

impl Known<'_> {
    /// How a value is held as bytes.
    pub(super) fn bytes(&self, value: usize) -> Result<Bytes, Error> {
        let name = &self.names[value];
        let own = self.ranges.0.get(name).filter(|own| own.iter().all(|own| own.is_finite()));
        own.map(|own| Bytes::over(*own)).ok_or_else(|| Error::Range { name: name.clone() })
    }
}

/// By value of a graph the name of the node that gives it.
pub(super) fn names(graph: &Graph) -> Vec<String> {
    [INPUT.to_owned()].into_iter().chain(graph.nodes().iter().map(|node| node.name.clone())).collect()
}
