//! A network as files that other programs load: ONNX for engines, safetensors for PyTorch.
//!
//! Masked networks are written with the zeros that they have, compacted ones are small networks like any other.

mod nodes;
mod onnx;
mod safetensors;

pub use nodes::{graph_from_json, graph_to_json};
pub use onnx::onnx;
pub use safetensors::{Form, GRAPH, safetensors};

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
    /// The weights are not the graph's.
    #[error(transparent)]
    Graph(secateur_graph::Error),
    /// A text is no graph as JSON.
    #[error("no graph as JSON: {0}")]
    Json(String),
}
