//! What a safetensors file says of itself: its tensors, and the network's layers as JSON in its metadata.
//!
//! The crate `safetensors` keeps metadata in an unordered map, whose bytes would differ from one writing to the next.

use super::names;
use crate::{Layer, Network};
use safetensors::tensor::TensorInfo;
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
