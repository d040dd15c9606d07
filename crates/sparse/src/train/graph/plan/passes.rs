//! Which nodes of a graph are computed in one pass.

use super::Kind;
use secateur_graph::{Activation, Conv2d, Graph, Node, Op, Value, Window};

/// A pass: the node that it is named after, what it does, what it reads and what it gives.
pub(crate) type Pass = (usize, Kind, Vec<Value>, Value);

/// The passes of a graph, in the order in which they are computed.
pub(crate) fn passes(graph: &Graph) -> Vec<Pass> {
    let nodes = graph.nodes();
    let mut readers: Vec<Vec<usize>> = vec![vec![]; nodes.len() + 1];
    for (place, node) in nodes.iter().enumerate() {
        node.inputs.iter().for_each(|value| readers[value.index()].push(place));
    }
    // The only node that reads a node's value, if nobody else needs it.
    let reader = |place: usize| match readers[place + 1].as_slice() {
        [one] => Some(*one),
        [] | [_, ..] => None,
    };
    let mut absorbed = vec![false; nodes.len()];
    let mut found: Vec<(usize, Pass)> = vec![];
    for (place, node) in nodes.iter().enumerate() {
        if absorbed[place] {
            continue;
        }
        let (mut last, mut inputs) = (place, node.inputs.clone());
        let kind = match &node.op {
            Op::Conv2d(Conv2d { window, groups, bias, .. }) => {
                Kind::Conv { window: *window, groups: *groups, has_bias: *bias, is_linear: false }
            }
            Op::Linear(own) => Kind::Conv { window: Window::square(1), groups: 1, has_bias: own.bias, is_linear: true },
            Op::Pool(pool) => Kind::Pool(*pool),
            Op::GlobalAveragePool => Kind::GlobalAveragePool,
            Op::Concat | Op::Flatten | Op::Reshape(_) | Op::Crop(_) | Op::Permute(_) => Kind::Copy,
            Op::Mul | Op::LayerNorm(_) | Op::Softmax(_) | Op::Embedding(_) => Kind::Other,
            Op::Activation(own) => Kind::Pointwise { norm: None, activation: Some(*own) },
            Op::BatchNorm(_) | Op::Add => {
                let norm = matches!(node.op, Op::BatchNorm(_)).then_some(place);
                let add = |next: &usize| norm.is_some() && nodes[*next].op == Op::Add && !absorbed[*next];
                if let Some(next) = reader(last).filter(add) {
                    inputs.extend(nodes[next].inputs.iter().filter(|value| **value != nodes[last].output));
                    absorbed[next] = true;
                    last = next;
                }
                let activation = reader(last).and_then(|next| Some((next, activation(&nodes[next])?)));
                if let Some((next, _)) = activation {
                    absorbed[next] = true;
                    last = next;
                }
                Kind::Pointwise { norm, activation: activation.map(|own| own.1) }
            }
        };
        found.push((last, (place, kind, inputs, nodes[last].output)));
    }
    // A pass is computed where its last node stands: there all that it reads is known.
    found.sort_by_key(|own| own.0);
    found.into_iter().map(|own| own.1).collect()
}

fn activation(node: &Node) -> Option<Activation> {
    if let Op::Activation(own) = node.op { Some(own) } else { None }
}
