//! What a cycle's network costs whoever stores and runs it: the event, and the readings that stand beside it.

use serde::{Deserialize, Serialize};

use super::nan_from_null;

/// The network of a cycle as it would be used: written to a file, compacted, and run by the inference engine. Stands
/// after the cycle's dense or retrained test; what it was timed at is in its line's `timing`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The cycle that was measured; 0 is the dense model.
    pub cycle: u64,
    /// Steps trained since the run's start.
    pub step: u64,
    /// The sparse model file at one precision or several. The first is the one that charts and tables show.
    pub files: Vec<FileSize>,
    /// The network without what compaction takes out.
    pub compacted: Compacted,
}

/// How large the sparse model file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSize {
    /// How the values are stored: `f32`, `f16` or `int8`.
    pub precision: String,
    /// The whole file, headers and checksums included.
    pub bytes: u64,
}

/// A network after compaction: without dead units, what they always say folded into biases, and without what no layer
/// reads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compacted {
    /// Units (filters and neurons) that are left, the outputs included.
    pub units: u64,
    /// Places for parameters in the layers that are left, biases included; some of them hold zero.
    pub parameters: u64,
    /// Parameters that are not zero.
    pub nonzero: u64,
    /// Multiply-accumulates an image, zeros included.
    pub macs: u64,
    /// Multiply-accumulates an image whose weight is not zero.
    pub remaining_macs: u64,
    /// The largest difference that compaction makes to any logit of the images that were compared. Like the instruction
    /// set a fact of the place: sums are rounded otherwise on another. NaN is written as `null`.
    #[serde(deserialize_with = "nan_from_null")]
    pub max_logit_delta: f64,
}

/// What the inference engine was read at: of a clock and of its own memory, so no fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inference {
    /// The instructions that its kernels were chosen for, such as `avx512`.
    pub instruction_set: String,
    /// Bytes that it holds for the run's dense network, weights and buffers.
    pub dense_memory_bytes: u64,
    /// Bytes that it holds for the network of this cycle.
    pub sparse_memory_bytes: u64,
    /// Times, one for each batch size and number of threads.
    pub latencies: Vec<Latency>,
}

/// How long a call of the inference engine takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Images a call.
    pub batch: u64,
    /// Threads that share the call.
    pub threads: u64,
    /// Median time of one call with the whole batch, in milliseconds: the run's dense network in our own dense kernels.
    pub dense_ms: f64,
    /// The same for the network of this cycle, as the engine compiled it.
    pub sparse_ms: f64,
}

impl Latency {
    /// How many times faster than the dense network; measured.
    pub fn speedup(&self) -> f64 {
        self.dense_ms / self.sparse_ms
    }

    /// Time of this cycle's network for one image of the batch, in milliseconds.
    pub fn image_ms(&self) -> f64 {
        self.sparse_ms / self.batch as f64
    }
}
