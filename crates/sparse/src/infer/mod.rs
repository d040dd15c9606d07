//! Inference: a network compiled for one machine and one batch size, each layer in the form that was measured fastest.
//!
//! Two ways to use a vector: sixteen images in its lanes (`batch/`), for batches, or sixteen places of one image
//! (`image/`), for calls with few images. What was chosen is a [`Plan`].

mod aligned;
mod batch;
mod engine;
mod form;
mod image;
mod matrix;
mod plan;
mod shared;
mod simple;
mod step;
mod tune;

pub use engine::Engine;
pub use plan::{Form, LanesHold, Plan, StepPlan, Tried};

use crate::InstructionSet;
use crate::file::Precision;

/// How an [`Engine`] computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Images a call that it is tuned for.
    pub batch: usize,
    /// Threads, the caller's own included.
    pub threads: usize,
    /// Instructions.
    pub instruction_set: InstructionSet,
    /// How weights are held in memory; activations and sums are f32 always. Codes of eight bits get a factor for each row:
    /// its largest weight over 127, so a network that was rounded to such codes before is held exactly.
    pub precision: Precision,
    /// Which forms of a layer may be chosen.
    pub forms: Forms,
}

impl Options {
    /// All of this machine, f32, any form, for so many images a call.
    pub fn new(batch: usize) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { batch, threads, instruction_set: InstructionSet::best(), precision: Precision::F32, forms: Forms::Any }
    }
}

/// Which forms of a layer may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forms {
    /// The fastest.
    Any,
    /// Those that compute with every weight, zeros included: what the network costs when its zeros are not known.
    Dense,
}

/// What can be wrong with a plan.
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
    #[error("the plan's `blocks` is 0, wanted 1 or more")]
    NoBlocks,
}
