//! Prunes a trained network without training it: by the size of its weights, or, given some images, so that what is left makes up for
//! what goes. How much each layer loses follows from what the network's answers lose, and from a budget: a sparsity, a loss of accuracy,
//! a latency, or the size of a file.
//!
//! No burn, and nothing that learns: a network of some other program is pruned in seconds to minutes.
//!
//! ```
//! use secateur_graph::{Graph, Linear, Op, Weights};
//! use secateur_oneshot::{Budget, Images, Job, Options};
//! use secateur_pruner::Sparsity;
//!
//! let graph = Graph::sequential(&[4], [("fc", Op::Linear(Linear::new(2)))])?;
//! let mut weights = Weights::neutral(&graph);
//! weights.insert("fc.weight", vec![0.9, 0.1, -0.8, 0.0, 0.2, 0.7, 0.1, -0.5]);
//! let options = Options::default();
//! let job = Job::new(&graph, &weights, [Images::default(); 2], &options)?;
//! let pruned = job.prune(Budget::Sparsity(Sparsity::new(0.5)?), &mut |_| {})?;
//! assert_eq!(pruned.weights.get("fc.weight"), [0.9, 0.0, -0.8, 0.0, 0.0, 0.7, 0.0, -0.5]);
//! # Ok::<(), secateur_oneshot::Error>(())
//! ```

mod allocate;
mod answers;
mod budget;
mod error;
mod factor;
mod job;
mod layers;
mod levels;
mod moments;
mod normalise;
mod reconstruct;
mod values;

pub use answers::{Images, Score};
pub use budget::{Budget, Calls};
pub use error::Error;
pub use job::{Job, Options, Progress, Pruned, PrunedLayer};
