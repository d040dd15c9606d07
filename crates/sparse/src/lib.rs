//! The network without burn: plain layers in plain vectors, what they cost, which of their units are dead, and kernels
//! that train them on the CPU, with all weights or with the kept ones only.

mod compact;
mod cost;
pub mod export;
pub mod file;
mod from_graph;
pub mod import;
pub mod infer;
mod kernels;
mod lanes;
mod layer;
mod network;
mod node_names;
mod peak;
mod pool;
mod proto;
mod ranges;
mod reference;
mod simd;
mod to_graph;
pub mod train;
mod trained;

pub use compact::{Compacted, CompactedGraph, Footprint, compact, compact_graph};
pub use cost::{Cost, LayerCost};
pub use from_graph::Unsupported;
pub use kernels::update::{Optimizer, Update};
pub use layer::{Affine, Conv2d, Layer, Linear, Parameters, ParametersMut};
pub use network::{Error, Network};
pub use peak::peak;
pub use ranges::Ranges;
pub use simd::InstructionSet;
pub use trained::{LayerWeights, ReadError, Trained, TrainedFile, difference};
