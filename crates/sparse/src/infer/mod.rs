//! Inference of any graph: sixteen images in the lanes, or sixteen tiles of one image.
//!
//! Batch normalisation is folded into the layers before it, and an addition and an activation behind a convolution are part
//! of its pass, or max-pooling by two (`plan.rs`). For batches each thread takes blocks of sixteen images through all steps,
//! one after the other, so that what a step leaves is still in the cache when the next one reads it; a few blocks go through the
//! fully connected layers at the end together, which then read each weight once for all of them. For few images at a time
//! one image is cut into tiles (`tiling.rs`), which the same kernels compute; around them stand the pixels of the tiles beside
//! them (`margins.rs`). Its fully connected layers have neurons in the lanes, and convolutions without padding before them
//! neighbouring pixels (`single/`). Convolutions are the lists of offsets of the trainer (`train/graph`), with all weights or with the
//! nonzero ones: which of both follows from their density alone.
//!
//! Where the ranges of the values are known (`ranges.rs`), convolutions compute with bytes (`held.rs`, `bytes.rs`).

mod aligned;
mod bytes;
mod clock;
mod conv;
mod engine;
mod held;
mod margins;
mod other;
mod plan;
mod pooling;
mod predictor;
mod ranges;
mod read;
mod single;
mod step;
mod threads;
mod tiling;
mod walk;

pub use clock::seconds;
pub use engine::Engine;
pub use predictor::Predictor;
pub use threads::Threads;

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
    /// How fully connected layers of single images hold their weights, which they wait for; all others hold f32, and activations and
    /// sums are f32 always. Codes of eight bits and the scale of each row are those that an int8 file holds, so a network out of such
    /// a file is held exactly.
    pub precision: Precision,
    /// Which weights are computed with.
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

/// Which weights are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forms {
    /// Those that are left, where that is faster.
    Any,
    /// Every one, zeros included: what the network costs when its zeros are not known.
    Dense,
}

/// What lies side by side in a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanesHold {
    /// Sixteen images, at the same place of each.
    Images,
    /// Sixteen tiles, pixels or neurons of one image.
    Places,
}

/// What keeps a network from being compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The buffers would take more memory than is allowed.
    #[error("the engine's buffers would take {found} bytes, expected at most {most}: use fewer threads, or allow more")]
    Memory {
        /// Bytes that they would take; the largest number where even that is too small.
        found: usize,
        /// Bytes that they may take.
        most: usize,
    },
    /// A weight that codes and 16-bit floats have no room for.
    #[error("`{name}`, value {place}, is {found}, expected a finite number: other weights are held as f32 only")]
    Value {
        /// Name of the parameter.
        name: String,
        /// Place of the value.
        place: usize,
        /// The value.
        found: String,
    },
    /// A node that no engine computes.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// A value whose range is not known.
    #[error(
        "there is no range of the values of `{name}`: expected those of this network, taken over images of its kind"
    )]
    Range {
        /// Name of the node that gives the value, or `input`.
        name: String,
    },
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
