//! The layers of a graph whose weights can be pruned.

use crate::Error;
use secateur_graph::{Graph, Op, Role, Value};
use secateur_pruner::Selection;

/// A convolution or a fully connected layer.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// Place of its node in the graph.
    pub node: usize,
    /// Name of its weight.
    pub weight: String,
    /// Shape of the weight.
    pub shape: Vec<usize>,
    /// Groups of channels that are computed apart.
    pub groups: usize,
    /// Multiply-accumulates of an image that each weight takes part in.
    pub positions: usize,
    /// Name of its bias.
    pub bias: Option<String>,
    /// Place of the batch normalisation that alone reads what it gives.
    pub norm: Option<usize>,
}

impl Layer {
    /// Weights.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Weights of a filter or a neuron.
    pub(crate) fn fan_in(&self) -> usize {
        self.shape[1..].iter().product()
    }
}

/// The layers whose weights are selected, in the order in which they are computed.
///
/// # Errors
/// When a pattern matches nothing, or nothing is left.
pub(crate) fn layers(graph: &Graph, selection: &Selection) -> Result<Vec<Layer>, Error> {
    let weights = || graph.parameters().iter().enumerate().filter(|(_, own)| own.role == Role::Weight);
    let names: Vec<&str> = weights().map(|(_, own)| own.name.as_str()).collect();
    let chosen = selection.choose(&names)?;
    let layer = |(place, own): (usize, &secateur_graph::Parameter)| {
        let node = &graph.nodes()[own.node];
        let bias = graph.parameters().get(place + 1).filter(|next| next.node == own.node && next.role == Role::Bias);
        Layer {
            node: own.node,
            weight: own.name.clone(),
            shape: own.shape.clone(),
            groups: if let Op::Conv2d(conv) = &node.op { conv.groups } else { 1 },
            positions: graph.positions(place),
            bias: bias.map(|own| own.name.clone()),
            norm: sole_reader(graph, node.output).filter(|place| matches!(graph.nodes()[*place].op, Op::BatchNorm(_))),
        }
    };
    Ok(weights().filter(|(_, own)| chosen.contains(&own.name.as_str())).map(layer).collect())
}

/// The place of the only node that reads a value.
fn sole_reader(graph: &Graph, value: Value) -> Option<usize> {
    let mut readers = graph.nodes().iter().enumerate().filter(|(_, node)| node.inputs.contains(&value));
    match (readers.next(), readers.next()) {
        (Some((place, _)), None) => Some(place),
        _ => None,
    }
}
