//! Inference: a network compiled for one machine and one batch size, each layer in the form that was measured fastest.
//!
//! Two ways to use a vector: sixteen images in its lanes (`batch/`), for batches, or sixteen places of one image
//! (`image/`), for calls with few images. What was chosen is a [`Plan`].

mod aligned;
mod any;
mod batch;
mod engine;
mod form;
mod graph;
mod image;
mod matrix;
mod plan;
mod predictor;
mod shared;
mod simple;
mod step;
mod threads;
mod tune;

pub use any::AnyEngine;
pub use engine::Engine;
pub use graph::GraphEngine;
pub use plan::{Form, LanesHold, Plan, StepPlan, Tried};
pub use predictor::Predictor;
pub use threads::Threads;
pub use tune::seconds;

use crate::file::Precision;
use crate::{InstructionSet, Unsupported};

/// How an [`Engine`] computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Images a call that it is tuned for.
    pub batch: usize,
    /// Threads, the caller's own included.
    pub threads: usize,
    /// Instructions.
    pub instruction_set: InstructionSet,
    /// How weights are held in memory; activations and sums are f32 always. Codes of eight bits and the scale of each row are
    /// those that an int8 file holds, so a network out of such a file is held exactly.
    pub precision: Precision,
    /// Which forms of a layer may be chosen.
    pub forms: Forms,
    /// Bytes that the buffers of all threads may take together, weights aside.
    pub buffer_bytes: usize,
}

/// Bytes that the buffers of an engine may take unless somebody says otherwise.
const BUFFER_BYTES: usize = 1 << 30;

impl Options {
    /// All of this machine, f32, any form, for so many images a call.
    pub fn new(batch: usize) -> Self {
        Self {
            batch,
            threads: threads_of(0),
            instruction_set: InstructionSet::best(),
            precision: Precision::F32,
            forms: Forms::Any,
            buffer_bytes: BUFFER_BYTES,
        }
    }
}

/// The threads that a number asks for: 0 is one for every core, and more than those would only wait for each other.
pub fn threads_of(asked: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if asked == 0 { cores } else { asked.min(cores) }
}

/// Which forms of a layer may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forms {
    /// The fastest.
    Any,
    /// Those that compute with every weight, zeros included: what the network costs when its zeros are not known.
    Dense,
}

/// What keeps a network from being compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It was made for other steps.
    #[error("the plan's steps are {found}; this network's are {wanted}")]
    Steps {
        /// The plan's.
        found: String,
        /// The network's.
        wanted: String,
    },
    /// A step has no such form.
    #[error("step `{name}` has no form `{form}` when the lanes hold {lanes}")]
    Form {
        /// Name of the step.
        name: String,
        /// What the plan says.
        form: String,
        /// `images` or `places`.
        lanes: &'static str,
    },
    /// A plan's number of blocks is 0.
    #[error("the plan's `blocks` is 0, expected 1 or more")]
    NoBlocks,
    /// The buffers would take more memory than is allowed.
    #[error("the engine's buffers would take {found} bytes, expected at most {most}: use fewer threads, or allow more")]
    Memory {
        /// Bytes that they would take; the largest number where even that is too small.
        found: usize,
        /// Bytes that they may take.
        most: usize,
    },
    /// A weight that codes and 16-bit floats have no room for.
    #[error("`{name}.weight`, value {place}, is {found}, expected a finite number: other weights are held as f32 only")]
    Value {
        /// Name of the layer.
        name: String,
        /// Place of the value.
        place: usize,
        /// The value.
        found: String,
    },
    /// A node that no engine computes.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// Weights of a graph in another precision.
    #[error("the precision is {found}, expected F32: the weights of a graph are held as they are")]
    Precision {
        /// The one that was asked for.
        found: String,
    },
    /// A value whose range is not known.
    #[error(
        "there is no range of the values of `{name}`: expected those of this network, taken over images of its kind"
    )]
    Range {
        /// Name of the node that gives the value, or `input`.
        name: String,
    },
    /// A chain that is more than a graph may be.
    #[error("as a graph: {0}")]
    Large(secateur_graph::Error),
    /// Bytes whose sums do not fit.
    #[error("`{name}` adds up more products of bytes than 32 bits hold: compute this network with f32")]
    Sums {
        /// Name of the layer.
        name: String,
    },
    /// Instructions that this machine lacks.
    #[error("the instruction set is {found}, this machine has {available}")]
    InstructionSet {
        /// The one that was asked for.
        found: &'static str,
        /// Those that there are.
        available: String,
    },
    /// The system gives fewer threads.
    #[error("cannot start {threads} threads: {why}")]
    Threads {
        /// Threads that were asked for.
        threads: usize,
        /// What the system says.
        why: String,
    },
}
