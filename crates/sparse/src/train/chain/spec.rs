//! Reads a graph as a chain of LeNet's kind: convolutions with their max-pool, then fully connected layers.

use crate::kernels::conv::Shape;
use secateur_graph::{Activation, Graph, Op, Pool, Window};

/// A layer that has parameters, with the relu and the max-pool that follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub name: String,
    pub kind: Kind,
    /// Channels or features.
    pub inputs: usize,
    /// Filters or neurons.
    pub outputs: usize,
    pub rectified: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Conv(Shape),
    Linear,
}

impl Spec {
    /// The layers of a graph; `None` when it is no such chain.
    pub(super) fn of(graph: &Graph) -> Option<Vec<Self>> {
        let mut last = graph.input();
        for node in graph.nodes() {
            if node.inputs != [last] {
                return None;
            }
            last = node.output;
        }
        let (mut found, mut rest) = (vec![], graph.nodes());
        while let [node, behind @ ..] = rest {
            let shape = graph.shape(node.inputs[0]);
            let is_relu =
                |place: usize| behind.get(place).is_some_and(|own| own.op == Op::Activation(Activation::Relu));
            let is_pool = |place: usize| behind.get(place).is_some_and(|own| own.op == Op::Pool(Pool::max(2)));
            let (kind, inputs, outputs, rectified, followers) = match &node.op {
                Op::Conv2d(conv) => {
                    let (kernel, outputs) = (conv.window.size[0], conv.outputs);
                    let is_plain = conv.window == Window::square(kernel) && conv.groups == 1 && conv.bias;
                    let &[inputs, height, width] = shape else { return None };
                    let rectified = is_relu(0) && is_pool(1) || is_pool(0) && is_relu(1);
                    if !is_plain || ![1, 3, 5, 7].contains(&kernel) || !rectified && !is_pool(0) {
                        return None;
                    }
                    let shape = Shape { inputs, outputs, kernel, height, width };
                    (Kind::Conv(shape), inputs, outputs, rectified, 1 + usize::from(rectified))
                }
                Op::Linear(own) if own.bias => {
                    (Kind::Linear, shape[0], own.outputs, is_relu(0), usize::from(is_relu(0)))
                }
                // Features and an image of one pixel are the same here.
                Op::Flatten => {
                    rest = behind;
                    continue;
                }
                Op::Reshape(to) if to.len() == 1 || shape.len() == 1 && to[1..] == [1, 1] => {
                    rest = behind;
                    continue;
                }
                _ => return None,
            };
            found.push(Self { name: node.name.clone(), kind, inputs, outputs, rectified });
            rest = &behind[followers..];
        }
        Some(found)
    }

    /// Weights between a pair of units: the taps of a kernel, or one.
    pub(super) fn taps(&self) -> usize {
        match self.kind {
            Kind::Conv(shape) => shape.kernel * shape.kernel,
            Kind::Linear => 1,
        }
    }

    /// Weights of a unit.
    pub(super) fn columns(&self) -> usize {
        self.inputs * self.taps()
    }

    /// Weights of all units.
    pub(super) fn weights(&self) -> usize {
        self.outputs * self.columns()
    }

    /// Where the weight at this row and column stands in the layer's tensor.
    pub(super) fn index(&self, row: usize, column: usize) -> usize {
        row * self.columns() + column
    }

    /// The same layer with only some of its inputs and outputs.
    pub(super) fn narrowed(&self, inputs: usize, outputs: usize) -> Self {
        let kind = match self.kind {
            Kind::Conv(shape) => Kind::Conv(Shape { inputs, outputs, ..shape }),
            Kind::Linear => Kind::Linear,
        };
        Self { name: self.name.clone(), kind, inputs, outputs, rectified: self.rectified }
    }

    /// Numbers that a unit gives for each image.
    pub(super) fn positions(&self) -> usize {
        match self.kind {
            Kind::Conv(shape) => shape.positions(),
            Kind::Linear => 1,
        }
    }
}
