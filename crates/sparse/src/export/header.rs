//! What a safetensors file says of itself: its tensors, and the network's layers, or a graph's nodes, as JSON in its metadata.
//!
//! The crate `safetensors` keeps metadata in an unordered map, whose bytes would differ from one writing to the next.

use super::names;
use crate::{Layer, Network};
use safetensors::tensor::TensorInfo;
use secateur_graph::{Activation, Graph, Op, Pool, PoolKind, Window};
use serde::Serialize;
use std::collections::BTreeMap;

/// The header's text: metadata first, then the tensors by name.
#[derive(Serialize)]
pub(super) struct Header<'a> {
    #[serde(rename = "__metadata__")]
    pub(super) metadata: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    pub(super) tensors: &'a BTreeMap<String, TensorInfo>,
}

/// A network without its values.
#[derive(Serialize)]
struct Structure {
    input: [usize; 3],
    layers: Vec<Kind>,
}

/// A layer without its values.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Kind {
    Conv2d { name: String, inputs: usize, outputs: usize, kernel: usize, stride: usize, padding: usize },
    Linear { name: String, inputs: usize, outputs: usize },
    Affine { name: String, channels: usize },
    Relu,
    MaxPool2d { size: usize },
    AvgPool2d { size: usize },
    Crop { height: usize, width: usize },
    Flatten,
}

/// The network's input and layers as JSON, one object a layer.
pub(super) fn structure(network: &Network) -> String {
    let kind = |(layer, name): (&Layer, String)| match layer {
        Layer::Conv2d(own) => Kind::Conv2d {
            name,
            inputs: own.inputs,
            outputs: own.outputs,
            kernel: own.kernel,
            stride: own.stride,
            padding: own.padding,
        },
        Layer::Linear(own) => Kind::Linear { name, inputs: own.inputs, outputs: own.outputs },
        Layer::Affine(own) => Kind::Affine { name, channels: own.scale.len() },
        Layer::Relu => Kind::Relu,
        Layer::MaxPool2d { size } => Kind::MaxPool2d { size: *size },
        Layer::AvgPool2d { size } => Kind::AvgPool2d { size: *size },
        Layer::Crop { height, width } => Kind::Crop { height: *height, width: *width },
        Layer::Flatten => Kind::Flatten,
    };
    let layers = network.layers().iter().zip(names(network)).map(kind).collect();
    serde_json::to_string(&Structure { input: network.input(), layers }).expect("plain data")
}

/// A graph without its values.
#[derive(Serialize)]
struct Nodes {
    input: Vec<usize>,
    nodes: Vec<Node>,
}

/// A node without its values.
#[derive(Serialize)]
struct Node {
    name: String,
    /// Names of nodes, or `input`.
    inputs: Vec<String>,
    #[serde(flatten)]
    kind: OpKind,
}

/// An operation, as PyTorch's modules take it; pairs are `[vertical, horizontal]`.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum OpKind {
    Conv2d {
        inputs_per_group: usize,
        outputs: usize,
        groups: usize,
        bias: bool,
        #[serde(flatten)]
        window: Sides,
    },
    Linear {
        outputs: usize,
        bias: bool,
    },
    BatchNorm {
        epsilon: f64,
        momentum: f64,
    },
    Relu,
    Relu6,
    Gelu,
    Silu,
    MaxPool2d(Sides),
    AvgPool2d(Sides),
    GlobalAvgPool2d,
    Add,
    Concat,
    Flatten,
    Reshape {
        shape: Vec<usize>,
    },
    Crop {
        height: usize,
        width: usize,
    },
}

/// A window.
#[derive(Serialize)]
struct Sides {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
}

impl From<&Window> for Sides {
    fn from(window: &Window) -> Self {
        let Window { size, stride, padding, dilation } = *window;
        Self { kernel: size, stride, padding, dilation }
    }
}

/// The graph's input and nodes as JSON, one object a node.
pub(super) fn nodes(graph: &Graph) -> String {
    let name = |value| graph.node(value).map_or_else(|| "input".to_owned(), |node| node.name.clone());
    let kind = |node: &secateur_graph::Node| match &node.op {
        Op::Conv2d(conv) => OpKind::Conv2d {
            inputs_per_group: graph.shape(node.inputs[0])[0] / conv.groups,
            outputs: conv.outputs,
            groups: conv.groups,
            bias: conv.bias,
            window: (&conv.window).into(),
        },
        Op::Linear(linear) => OpKind::Linear { outputs: linear.outputs, bias: linear.bias },
        Op::BatchNorm(norm) => OpKind::BatchNorm { epsilon: norm.epsilon, momentum: norm.momentum },
        Op::Activation(Activation::Relu) => OpKind::Relu,
        Op::Activation(Activation::Relu6) => OpKind::Relu6,
        Op::Activation(Activation::Gelu) => OpKind::Gelu,
        Op::Activation(Activation::Silu) => OpKind::Silu,
        Op::Pool(Pool { kind: PoolKind::Max, window }) => OpKind::MaxPool2d(window.into()),
        Op::Pool(Pool { kind: PoolKind::Average, window }) => OpKind::AvgPool2d(window.into()),
        Op::GlobalAveragePool => OpKind::GlobalAvgPool2d,
        Op::Add => OpKind::Add,
        Op::Concat => OpKind::Concat,
        Op::Flatten => OpKind::Flatten,
        Op::Reshape(shape) => OpKind::Reshape { shape: shape.clone() },
        Op::Crop([height, width]) => OpKind::Crop { height: *height, width: *width },
    };
    let node = |node: &secateur_graph::Node| Node {
        name: node.name.clone(),
        inputs: node.inputs.iter().map(|value| name(*value)).collect(),
        kind: kind(node),
    };
    let nodes = Nodes { input: graph.shape(graph.input()).to_vec(), nodes: graph.nodes().iter().map(node).collect() };
    serde_json::to_string(&nodes).expect("plain data")
}
