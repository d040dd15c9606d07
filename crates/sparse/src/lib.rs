//! Trained networks without burn: files, compaction, inference with the weights that are left, and kernels that train them on the CPU,
//! with all weights or with the kept ones only.
//!
//! A file is opened and asked, by any number of threads:
//!
//! ```no_run
//! use secateur_sparse::Trained;
//! use secateur_sparse::infer::Predictor;
//! use std::path::Path;
//!
//! let path = Path::new("model.onnx");
//! let (network, info) = Trained::read(path, &std::fs::read(path)?)?;
//! let (smaller, _) = network.compacted();
//! let predictor = Predictor::new(smaller, info.ranges, 0);
//! let logits = predictor.logits(&vec![0.0; predictor.pixels()])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Or a graph with its weights is compiled for this machine; what is zero is neither held nor computed:
//!
//! ```
//! use secateur_graph::{Activation, Graph, Linear, Op, Weights};
//! use secateur_sparse::infer::{Engine, Options};
//!
//! let graph = Graph::sequential(&[3], [
//!     ("fc1", Op::Linear(Linear::new(2))),
//!     ("relu", Op::Activation(Activation::Relu)),
//!     ("fc2", Op::Linear(Linear::new(1))),
//! ])?;
//! let mut weights = Weights::neutral(&graph);
//! weights.insert("fc1.weight", vec![1.0, 0.0, -2.0, 0.0, 0.0, 3.0]);
//! weights.insert("fc2.weight", vec![2.0, 1.0]);
//! let mut engine = Engine::new(&graph, &weights, &Options::new(1))?;
//! assert_eq!(engine.logits(&[5.0, 7.0, 1.0]), [2.0 * 3.0 + 3.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Versions follow semantic versioning: before 1.0 a minor version may change the interface, a patch version does not; model files that
//! a version has written are read by all later ones.

mod compact;
pub mod export;
pub mod file;
pub mod import;
pub mod infer;
mod kernels;
mod lanes;
mod node_names;
mod peak;
mod pool;
mod proto;
mod ranges;
mod simd;
pub mod train;
mod trained;
mod unsupported;

pub use compact::{Compacted, Footprint, compact};
pub use kernels::update::{Distillation, Optimizer, Update};
pub use peak::peak;
pub use ranges::Ranges;
pub use secateur_graph::Cost;
pub use simd::InstructionSet;
pub use trained::{LayerWeights, ReadError, Trained, difference};
pub use unsupported::Unsupported;
