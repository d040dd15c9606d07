//! What the nodes of a graph give for images, by the engine: the graph is cut off behind the node.

use crate::Error;
use secateur_graph::{Builder, Graph, Value, Weights};
use secateur_sparse::infer::{Engine, Options};

/// Numbers that the values of a call have at most, unless one image has more.
const CALL: usize = 1 << 23;

/// Computes one value of a graph.
pub(crate) struct Source {
    /// `None` for the input itself.
    engine: Option<Engine>,
    /// Numbers of an image, and of its value.
    lengths: [usize; 2],
}

impl Source {
    /// Of this value with these weights.
    ///
    /// # Errors
    /// When the engine cannot compute it.
    pub(crate) fn new(graph: &Graph, weights: &Weights, value: Value, options: &Options) -> Result<Self, Error> {
        let lengths = [graph.input(), value].map(|value| graph.shape(value).iter().product());
        if value == graph.input() {
            return Ok(Self { engine: None, lengths });
        }
        let part = up_to(graph, value)?;
        let own = part.parameters().iter().map(|own| (own.name.clone(), weights.get(&own.name).to_vec())).collect();
        Ok(Self { engine: Some(Engine::new(&part, &own, options)?), lengths })
    }

    /// Images of a call.
    pub(crate) fn images(&self) -> usize {
        (CALL / self.lengths[1].max(self.lengths[0])).max(1)
    }

    /// The value of each of some images, one behind the other.
    pub(crate) fn values(&mut self, images: &[f32]) -> Vec<f32> {
        match &mut self.engine {
            Some(engine) => engine.logits(images),
            None => images.to_vec(),
        }
    }
}

/// The graph of what a value depends on; the value is its output.
fn up_to(graph: &Graph, value: Value) -> Result<Graph, Error> {
    let mut is_read = vec![false; graph.nodes().len() + 1];
    is_read[value.index()] = true;
    for node in graph.nodes().iter().rev() {
        if is_read[node.output.index()] {
            node.inputs.iter().for_each(|input| is_read[input.index()] = true);
        }
    }
    let mut part = Builder::new(graph.shape(graph.input()))?;
    let mut known = vec![part.input(); is_read.len()];
    for node in graph.nodes().iter().filter(|node| is_read[node.output.index()]) {
        let inputs: Vec<Value> = node.inputs.iter().map(|input| known[input.index()]).collect();
        known[node.output.index()] = part.add(&node.name, node.op.clone(), &inputs)?;
    }
    Ok(part.finish())
}
