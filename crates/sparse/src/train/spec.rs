//! Reads a network as what this room computes: convolutions with their max-pool, then fully connected layers.

use crate::from_graph::chain;
use crate::kernels::conv::Shape;
use crate::{Layer, Network};
use secateur_graph::{Graph, Op, Value};

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

/// Whether a graph is a chain that [`Trainer`](super::Trainer) computes: convolutions with their max-pool and fully connected
/// layers, all with a bias.
pub fn is_trainable_chain(graph: &Graph) -> bool {
    let biased = graph.nodes().iter().all(|node| match &node.op {
        Op::Conv2d(conv) => conv.bias,
        Op::Linear(linear) => linear.bias,
        Op::BatchNorm(_) | Op::Crop(_) => false,
        Op::Activation(_)
        | Op::Pool(_)
        | Op::GlobalAveragePool
        | Op::Add
        | Op::Concat
        | Op::Flatten
        | Op::Reshape(_) => true,
    });
    let shape = |value: Value| match *graph.shape(value) {
        [channels, height, width] => [channels, height, width],
        [features] => [features, 1, 1],
        _ => [1; 3],
    };
    let shape = |place: usize| graph.nodes().get(place).map_or([1; 3], |node| shape(node.inputs[0]));
    biased && chain(graph, None).is_ok_and(|(_, layers)| Spec::of_layers(&layers, shape).is_ok())
}

/// A network that the native trainer cannot compute.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer {layer} ({what}) cannot be trained natively: {why}")]
pub struct Unsupported {
    /// Place of the layer, from 0.
    pub layer: usize,
    /// Its name or kind.
    pub what: String,
    /// What is missing.
    pub why: String,
}

impl Spec {
    /// The layers of a network.
    pub(super) fn of(network: &Network) -> Result<Vec<Self>, Unsupported> {
        Self::of_layers(network.layers(), |place| network.shape(place))
    }

    /// The same of layers in order, whatever their values; `shape` is that of the input of each.
    fn of_layers(layers: &[Layer], shape: impl Fn(usize) -> [usize; 3]) -> Result<Vec<Self>, Unsupported> {
        let mut found: Vec<Self> = vec![];
        let mut place = 0;
        while place < layers.len() {
            let refuse = |what: &str, why: &str| Unsupported { layer: place, what: what.into(), why: why.into() };
            let [_, height, width] = shape(place);
            let rest = &layers[place + 1..];
            let (name, kind, inputs, outputs, (rectified, followers)) = match &layers[place] {
                Layer::Conv2d(conv) => {
                    if conv.stride != 1 || conv.padding != 0 || ![1, 3, 5, 7].contains(&conv.kernel) {
                        let why = "convolutions have stride 1, no padding and a kernel of 1, 3, 5 or 7";
                        return Err(refuse(&conv.name, why));
                    }
                    let tail = match rest {
                        [Layer::Relu, Layer::MaxPool2d { size: 2 }, ..] => (true, 2),
                        [Layer::MaxPool2d { size: 2 }, Layer::Relu, ..] => (true, 2),
                        [Layer::MaxPool2d { size: 2 }, ..] => (false, 1),
                        _ => return Err(refuse(&conv.name, "a convolution is followed by a 2x2 max-pool")),
                    };
                    let Layer::Conv2d(conv) = &layers[place] else { unreachable!("matched above") };
                    let (inputs, outputs, kernel) = (conv.inputs, conv.outputs, conv.kernel);
                    let shape = Shape { inputs, outputs, kernel, height, width };
                    (&conv.name, Kind::Conv(shape), inputs, outputs, tail)
                }
                Layer::Linear(linear) => {
                    let rectified = matches!(rest, [Layer::Relu, ..]);
                    (&linear.name, Kind::Linear, linear.inputs, linear.outputs, (rectified, usize::from(rectified)))
                }
                Layer::Flatten => {
                    place += 1;
                    continue;
                }
                Layer::Relu => return Err(refuse("relu", "it follows no convolution and no fully connected layer")),
                Layer::MaxPool2d { .. } => return Err(refuse("max-pool", "it follows no convolution")),
                Layer::Affine(own) => return Err(refuse(&own.name, "it belongs to inference")),
                Layer::AvgPool2d { .. } => return Err(refuse("average pooling", "only max-pool is trained")),
                Layer::Crop { .. } => return Err(refuse("crop", "it belongs to inference")),
            };
            found.push(Self { name: name.clone(), kind, inputs, outputs, rectified });
            place += 1 + followers;
        }
        Ok(found)
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
