//! A network as files that other programs load: ONNX for engines, safetensors for PyTorch.
//!
//! Masked networks are written with the zeros that they have, compacted ones are small networks like any other.

mod header;
mod nodes;
mod onnx;
mod safetensors;

pub use nodes::{graph_from_json, graph_to_json};
pub use onnx::{onnx, onnx_graph};
pub use safetensors::{Form, GRAPH, safetensors, safetensors_graph};

use crate::{Layer, Network};
use std::collections::{BTreeMap, BTreeSet};

/// A network that a format has no room for, or a text that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// ONNX keeps a model in one protobuf message, which may not reach 2 GiB.
    #[error("the network has {found} bytes of parameters, an ONNX file holds less than {wanted}")]
    TooLarge {
        /// Bytes of parameters.
        found: usize,
        /// The limit, in bytes.
        wanted: usize,
    },
    /// The weights are not the graph's, or the network is more than a graph may be.
    #[error(transparent)]
    Graph(secateur_graph::Error),
    /// A text is no graph as JSON.
    #[error("no graph as JSON: {0}")]
    Json(String),
}

/// A name for each layer, its own where no layer before it has the same: formats key tensors by them.
fn names(network: &Network) -> Vec<String> {
    let mut taken = BTreeSet::new();
    // The first number to try behind each name: those before it are taken, so equal names cost no search.
    let mut next: BTreeMap<String, usize> = BTreeMap::new();
    let named = |(place, layer): (usize, &Layer)| {
        // A layer without parameters is called after its kind, which may be two words.
        let own = match layer {
            Layer::Conv2d(_) | Layer::Linear(_) | Layer::Affine(_) => layer.name().to_owned(),
            _ => layer.name().replace([' ', '-'], "_"),
        };
        if taken.insert(own.clone()) {
            return own;
        }
        let number = next.entry(own.clone()).or_default();
        *number = place.max(*number);
        loop {
            let candidate = format!("{own}_{number}");
            *number += 1;
            if taken.insert(candidate.clone()) {
                return candidate;
            }
        }
    };
    network.layers().iter().enumerate().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_has_a_name_of_its_own() {
        let fc = |name: &str| Layer::linear(name, 1, 1);
        let layers = vec![fc("fc"), Layer::Relu, fc("fc"), Layer::Relu, fc("relu_3"), Layer::MaxPool2d { size: 1 }];
        let network = Network::new([1, 1, 1], layers).expect("fits");
        assert_eq!(names(&network), ["fc", "relu", "fc_2", "relu_3", "relu_3_4", "max_pool"]);
    }
}
