//! The range of each value of a network over some images: what bytes have to hold.

use super::bytes::Bytes;
use super::engine::{Engine, Program};
use super::plan::{Numbers, Plan};
use super::read::read;
use super::walk::{Scratch, walk_each};
use super::{Error, LanesHold, Options};
use crate::lanes::LANES;
use crate::ranges::INPUT;
use crate::{Ranges, Trained};
use secateur_graph::{Activation, Graph, Weights};

impl Ranges {
    /// Those of a network over images `[image][channels, height, width]`, computed with f32.
    ///
    /// # Errors
    /// As [`Engine::new`].
    ///
    /// # Panics
    /// When `images` is no whole number of images.
    pub fn of_network(network: &Trained, images: &[f32], options: &Options) -> Result<Self, Error> {
        Self::over(&network.graph, &network.weights, images, options)
    }

    /// Those over images `[image][channels, height, width]`, computed with f32.
    ///
    /// # Errors
    /// As [`Engine::new`].
    ///
    /// # Panics
    /// When the weights are not the graph's, or `images` is no whole number of images.
    pub fn over(graph: &Graph, weights: &Weights, images: &[f32], options: &Options) -> Result<Self, Error> {
        let options = Options { threads: 1, ..*options };
        let mut engine = Engine::compile(graph, weights, &options, Numbers::EveryFloat, &[LanesHold::Images])?;
        let Engine { program, scratch, .. } = &mut engine;
        let Program { set, pixels, plan, steps, names, .. } = &**program;
        assert!(images.len().is_multiple_of(*pixels), "expected whole images of {pixels} numbers");
        let mut found = Self::default();
        for images in images.chunks(LANES * pixels) {
            let count = images.len() / pixels;
            read(*set, images, *pixels, &mut scratch[0].buffers[plan.buffers[plan.input]]);
            found.meet_value(plan, names, plan.input, count, &scratch[0]);
            walk_each(*set, plan, steps, &mut scratch[0], |value, scratch| {
                found.meet_value(plan, names, value, count, scratch);
            });
        }
        // A value that is no number, or too large for one, has no range.
        found.retain_finite();
        Ok(found)
    }

    /// Widens the range of a value by what stands in its buffer, in the lanes of so many images.
    fn meet_value(&mut self, plan: &Plan, names: &[String], value: usize, images: usize, scratch: &Scratch) {
        let layout = &plan.layouts[value];
        let values = &scratch.buffers[plan.buffers[value]];
        let places = (0..layout.values()).map(|index| layout.place(index));
        self.meet(&names[plan.origins[value]], places.flat_map(|place| &values[place].0[..images]));
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
    /// How a value is held as bytes. What rectifies the value ends with its range, whatever the range is said to be.
    pub(super) fn bytes(&self, value: usize, rectified: Option<Activation>) -> Result<Bytes, Error> {
        let name = &self.names[value];
        let [low, high] = self.ranges.of(name).ok_or_else(|| Error::Range { name: name.clone() })?;
        Ok(Bytes::over(match rectified {
            Some(Activation::Relu) => [0.0, high],
            Some(Activation::Relu6) => [0.0, high.min(6.0)],
            None | Some(_) => [low, high],
        }))
    }
}

/// By value of a graph the name of the node that gives it.
pub(super) fn names(graph: &Graph) -> Vec<String> {
    [INPUT.to_owned()].into_iter().chain(graph.nodes().iter().map(|node| node.name.clone())).collect()
}
