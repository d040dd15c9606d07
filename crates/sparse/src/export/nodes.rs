//! A graph without its weights as JSON, written and read: what a safetensors file of it has in its metadata.
//!
//! ```text
//! {"input":[3,8,8],"nodes":[{"name":"conv1","inputs":["input"],"kind":"conv2d","inputs_per_group":3,"outputs":4,..},..]}
//! ```

use super::Error;
use secateur_graph::{
    Activation, BatchNorm, Builder, Conv2d, Embedding, Graph, LayerNorm, Linear, Op, Pool, PoolKind, Window,
};
use serde::{Deserialize, Serialize};

/// A graph's input and nodes as JSON, one object a node: what the metadata of a safetensors file has as `graph`.
///
/// # Panics
/// Never: all of it can be said in JSON.
pub fn graph_to_json(graph: &Graph) -> String {
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
        Op::Activation(Activation::HardSwish) => OpKind::HardSwish,
        Op::Activation(Activation::Sigmoid) => OpKind::Sigmoid,
        Op::Activation(Activation::Tanh) => OpKind::Tanh,
        Op::Activation(Activation::HardSigmoid) => OpKind::HardSigmoid,
        Op::Activation(Activation::GeluTanh) => OpKind::GeluTanh,
        Op::Pool(Pool { kind: PoolKind::Max, window }) => OpKind::MaxPool2d(window.into()),
        Op::Pool(Pool { kind: PoolKind::Average, window }) => OpKind::AvgPool2d(window.into()),
        Op::GlobalAveragePool => OpKind::GlobalAvgPool2d,
        Op::Add => OpKind::Add,
        Op::Concat => OpKind::Concat,
        Op::Flatten => OpKind::Flatten,
        Op::Reshape(shape) => OpKind::Reshape { shape: shape.clone() },
        Op::Crop([height, width]) => OpKind::Crop { height: *height, width: *width },
        Op::Mul => OpKind::Mul,
        Op::Permute(order) => OpKind::Permute { order: order.clone() },
        Op::LayerNorm(norm) => OpKind::LayerNorm { axes: norm.axes.clone(), epsilon: norm.epsilon },
        Op::Softmax(axis) => OpKind::Softmax { axis: *axis },
        Op::Embedding(own) => OpKind::Embedding { rows: own.rows, columns: own.columns },
    };
    let node = |node: &secateur_graph::Node| Node {
        name: node.name.clone(),
        inputs: node.inputs.iter().map(|value| name(*value)).collect(),
        kind: kind(node),
    };
    let nodes = Nodes { input: graph.shape(graph.input()).to_vec(), nodes: graph.nodes().iter().map(node).collect() };
    serde_json::to_string(&nodes).expect("plain data")
}

/// The graph that [`graph_to_json`] has written.
///
/// # Errors
/// When the text is no such JSON, or the graph does not fit together; the error names the node.
pub fn graph_from_json(text: &str) -> Result<Graph, Error> {
    let nodes: Nodes = serde_json::from_str(text).map_err(|error| Error::Json(error.to_string()))?;
    let mut builder = Builder::new(&nodes.input).map_err(Error::Graph)?;
    for Node { name, inputs, kind } in nodes.nodes {
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        builder.add_named(&name, kind.op(), &inputs).map_err(Error::Graph)?;
    }
    Ok(builder.finish())
}

/// A graph without its values.
#[derive(Serialize, Deserialize)]
struct Nodes {
    input: Vec<usize>,
    nodes: Vec<Node>,
}

/// A node without its values.
#[derive(Serialize, Deserialize)]
struct Node {
    name: String,
    /// Names of nodes, or `input`.
    inputs: Vec<String>,
    #[serde(flatten)]
    kind: OpKind,
}

/// An operation, as PyTorch's modules take it; pairs are `[vertical, horizontal]`.
#[derive(Serialize, Deserialize)]
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
    HardSwish,
    Sigmoid,
    Tanh,
    HardSigmoid,
    GeluTanh,
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
    Mul,
    Permute {
        order: Vec<usize>,
    },
    /// The batch is no axis.
    LayerNorm {
        axes: Vec<usize>,
        epsilon: f64,
    },
    Softmax {
        axis: usize,
    },
    Embedding {
        rows: usize,
        columns: usize,
    },
}

/// A window.
#[derive(Serialize, Deserialize)]
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

impl From<Sides> for Window {
    fn from(sides: Sides) -> Self {
        let Sides { kernel: size, stride, padding, dilation } = sides;
        Self { size, stride, padding, dilation }
    }
}

impl OpKind {
    fn op(self) -> Op {
        match self {
            Self::Conv2d { outputs, groups, bias, window, .. } => {
                Op::Conv2d(Conv2d { outputs, window: window.into(), groups, bias })
            }
            Self::Linear { outputs, bias } => Op::Linear(Linear { outputs, bias }),
            Self::BatchNorm { epsilon, momentum } => Op::BatchNorm(BatchNorm { epsilon, momentum }),
            Self::Relu => Op::Activation(Activation::Relu),
            Self::Relu6 => Op::Activation(Activation::Relu6),
            Self::Gelu => Op::Activation(Activation::Gelu),
            Self::Silu => Op::Activation(Activation::Silu),
            Self::HardSwish => Op::Activation(Activation::HardSwish),
            Self::Sigmoid => Op::Activation(Activation::Sigmoid),
            Self::Tanh => Op::Activation(Activation::Tanh),
            Self::HardSigmoid => Op::Activation(Activation::HardSigmoid),
            Self::GeluTanh => Op::Activation(Activation::GeluTanh),
            Self::MaxPool2d(window) => Op::Pool(Pool { kind: PoolKind::Max, window: window.into() }),
            Self::AvgPool2d(window) => Op::Pool(Pool { kind: PoolKind::Average, window: window.into() }),
            Self::GlobalAvgPool2d => Op::GlobalAveragePool,
            Self::Add => Op::Add,
            Self::Concat => Op::Concat,
            Self::Flatten => Op::Flatten,
            Self::Reshape { shape } => Op::Reshape(shape),
            Self::Crop { height, width } => Op::Crop([height, width]),
            Self::Mul => Op::Mul,
            Self::Permute { order } => Op::Permute(order),
            Self::LayerNorm { axes, epsilon } => Op::LayerNorm(LayerNorm { axes, epsilon }),
            Self::Softmax { axis } => Op::Softmax(axis),
            Self::Embedding { rows, columns } => Op::Embedding(Embedding { rows, columns }),
        }
    }
}
