//! What a run says about itself: the events of `log.jsonl`, one a line.
//!
//! Every line is `{"v":2,"event":"tested",...,"timing":{...}}`. Everything outside `timing` is a fact that the same
//! configuration and seed repeat to the byte; `timing` holds what a clock and the system said.
//!
//! ```text
//! {"v":2,"event":"pruned","cycle":1,"step":938,"target":0.5,"pruned":29472,"prunable":58944,"dead_units":0,"layers":[...]}
//! ```

use serde::{Deserialize, Deserializer, Serialize};

mod measured;
mod recipe;

pub use measured::{Compacted, FileSize, Inference, Latency, Measured};
pub(crate) use recipe::words;
pub use recipe::{Choice, Method, Settings, Unit};

/// The version of the log's lines that this crate writes, and the newest that it reads. In version 1 `run_started` told
/// optimizer and method in words; what it did not tell is absent when it is read.
pub const LOG_VERSION: u32 = 2;

/// The oldest version that this crate reads.
pub const OLDEST_LOG_VERSION: u32 = 1;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of the line's schema, see [`LOG_VERSION`].
    pub v: u32,
    /// The fact.
    #[serde(flatten)]
    pub event: Event,
    /// What a clock and the system said; not part of the facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
}

/// Readings beside an event that another run of the same would not repeat: of the clock, and of memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Time spent in this run so far, all its sessions together, in milliseconds.
    pub elapsed_ms: u64,
    /// Throughput of the work that the event closes, in images a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_per_s: Option<f64>,
    /// With a test: the peak of the process's resident memory since the test before, or, for a process's first test,
    /// since the process started. In bytes; `None` where the system does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// With `measured`: what the inference engine was read at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference: Option<Inference>,
    /// With `run_ended`: the SHA-256 of the whole log without this field, in hexadecimal, see [`crate::log_digest`]. It
    /// covers the readings, so it is one itself. Logs of earlier builds lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_sha256: Option<String>,
}

/// A fact of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "an event lives for one line; the large one opens a log, once")]
pub enum Event {
    /// The first line of every log.
    RunStarted(RunStarted),
    /// A process began to work on the run, or went on with it. The one kind that is no fact of the experiment: an
    /// interrupted run has more of them.
    SessionStarted(SessionStarted),
    /// An epoch, or the rest of one at the end of a training stage, was trained.
    EpochEnded(EpochEnded),
    /// Training of a cycle ended before its planned steps, since validation stopped improving.
    StoppedEarly(StoppedEarly),
    /// Weights were pruned.
    Pruned(Pruned),
    /// Masks moved while the network trained: as many weights came as went.
    MasksMoved(MasksMoved),
    /// Validation was asked whether an accuracy budget bears a cycle's network.
    Judged(Judged),
    /// The kernels that compute the layers were built: at the start, after a prune, and where a layer takes another path.
    LayersCompiled(LayersCompiled),
    /// The test split was read.
    Tested(Tested),
    /// A cycle's network was stored, compacted and timed.
    Measured(Measured),
    /// The last line of a finished log.
    RunEnded(RunEnded),
}

/// What is run: everything that a reader of the curve has to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// The experiment's name, as in its config.
    pub name: String,
    /// The seed that everything random derives from.
    pub seed: u64,
    /// The model with its size, such as `lenet k=5`.
    pub model: String,
    /// The data set, such as `mnist`.
    pub dataset: String,
    /// Classes that an answer chooses from. Data sets of the time of version 1, which does not tell it, had ten.
    #[serde(default = "ten")]
    pub classes: u64,
    /// Images in the training, validation and test splits.
    pub images: Images,
    /// Seed that drew the validation images; `None` where the run's own seed did.
    pub split_seed: Option<u64>,
    /// SHA-256 of the file that the run starts from, in hexadecimal; `None` for random weights.
    pub start_sha256: Option<String>,
    /// Images a training step.
    pub batch_size: u64,
    /// The optimizer with all its settings.
    pub optimizer: Choice,
    /// How the learning rate moves, with all settings; `None` in logs of version 1.
    pub lr_schedule: Option<Choice>,
    /// What else of the config the result depends on, by its sections and keys; `None` in logs of version 1.
    pub settings: Option<Settings>,
    /// The pruning method; `None` for a run that never prunes (a dense control).
    pub method: Option<Method>,
    /// Training steps planned, all cycles together.
    pub planned_steps: u64,
    /// Prunes planned.
    pub planned_prunes: u64,
    /// All parameters of the dense model, biases included.
    pub parameters: u64,
    /// Parameters that pruning may remove.
    pub prunable: u64,
    /// Multiply-accumulates an image of the dense model.
    pub macs: u64,
    /// The layers of the dense model, input first.
    pub layers: Vec<LayerFacts>,
    /// The device that computes, such as `flex`.
    pub device: String,
}

/// Where and by which program a run goes on from here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStarted {
    /// Steps trained since the run's start.
    pub step: u64,
    /// The checkpoint that it goes on from; `None` at the run's start.
    pub checkpoint: Option<String>,
    /// Version of Secateur.
    pub secateur: String,
    /// Commit that the program was built from, where that is known.
    pub commit: Option<String>,
    /// Processor architecture and operating system.
    pub platform: String,
    /// The processor as the system calls it, where that is known.
    pub processor: Option<String>,
    /// The device that computes, such as `cpu`.
    pub device: String,
    /// The instructions that its kernels were chosen for, such as `avx512`; `None` where that is burn's business.
    pub instruction_set: Option<String>,
    /// Threads that it computes with.
    pub threads: u64,
    /// SHA-256 of the run's `manifest.json`, in hexadecimal. Earlier builds did not tell it, and a run that goes on from a shared
    /// start leaves it out of that one's sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_sha256: Option<String>,
}

/// Sizes of the splits, in images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Images {
    /// Trained on.
    pub train: u64,
    /// Chosen on.
    pub validation: u64,
    /// Reported on.
    pub test: u64,
}

fn ten() -> u64 {
    10
}

/// Size of one layer of the dense model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerFacts {
    /// Name of the layer, such as `conv1`.
    pub name: String,
    /// Its parameters, bias included.
    pub parameters: u64,
    /// Its multiply-accumulates an image.
    pub macs: u64,
}

/// A share of answers that were right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Images whose largest logit was at the label.
    pub correct: u64,
    /// Images asked.
    pub total: u64,
    /// Mean cross-entropy over the images, in nats. JSON has no word for a loss that is not finite: it is written as
    /// `null`, and read back as NaN.
    #[serde(deserialize_with = "nan_from_null")]
    pub loss: f64,
}

fn nan_from_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

impl Score {
    /// Top-1 accuracy in `[0, 1]`; 0 when nothing was asked.
    pub fn accuracy(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.correct as f64 / self.total as f64 }
    }
}

/// An epoch of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochEnded {
    /// The cycle that it belongs to; 0 is the dense training before the first prune.
    pub cycle: u64,
    /// Epochs trained since the run's start, this one included.
    pub epoch: u64,
    /// Steps trained since the run's start.
    pub step: u64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Steps since the run's start and their learning rates: the first step since the event before, the last, and those
    /// between at which the rate turns. From one to the next it goes along a straight line, to a hundredth of the highest.
    /// Logs of earlier builds lack it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learning_rates: Vec<(u64, f64)>,
    /// Running score over the training images of this epoch.
    pub train: Score,
    /// Score on the validation split; `None` when the run holds none out.
    pub validation: Option<Score>,
    /// Whether this is the best epoch of its training stage so far, chosen on validation.
    pub best: bool,
}

/// An early stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoppedEarly {
    /// The cycle whose training stopped.
    pub cycle: u64,
    /// Steps trained since the run's start.
    pub step: u64,
    /// Steps of this stage that were planned and not trained.
    pub steps_saved: u64,
}

/// A prune.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pruned {
    /// The cycle that it opens; the first prune opens cycle 1.
    pub cycle: u64,
    /// Steps trained since the run's start.
    pub step: u64,
    /// Sparsity of the prunable parameters that the schedule asked for, in `[0, 1)`.
    pub target: f64,
    /// Prunable parameters that are now zero.
    pub pruned: u64,
    /// Prunable parameters in all.
    pub prunable: u64,
    /// Units (filters and neurons) that no longer reach the output or no longer vary with the input.
    pub dead_units: u64,
    /// What is left of each prunable parameter, in the model's order.
    pub layers: Vec<LayerDensity>,
}

/// A change of the masks between two prunes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasksMoved {
    /// The cycle that is trained.
    pub cycle: u64,
    /// Steps trained since the run's start.
    pub step: u64,
    /// Weights that came, having been pruned before.
    pub regrown: u64,
    /// Prunable parameters that are now zero.
    pub pruned: u64,
    /// Prunable parameters in all.
    pub prunable: u64,
}

/// What validation said to a cycle's network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The cycle; 0 is the dense network, which always holds.
    pub cycle: u64,
    /// Steps trained since the run's start.
    pub step: u64,
    /// Sparsity of the prunable parameters that was tried, in `[0, 1)`.
    pub target: f64,
    /// The score on the validation split.
    pub validation: Score,
    /// Share of right answers that was wanted.
    pub wanted: f64,
    /// Whether the run goes on from this network; if not, it goes back to the last one that held.
    pub holds: bool,
}

/// What a mask keeps of one parameter tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerDensity {
    /// Path of the parameter, such as `conv1.weight`.
    pub name: String,
    /// Elements kept.
    pub kept: u64,
    /// Elements in all.
    pub total: u64,
}

/// How each layer is computed until the next such event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayersCompiled {
    /// The cycle that is computed this way; 0 is the dense model.
    pub cycle: u64,
    /// Steps trained since the run's start.
    pub step: u64,
    /// The instructions that the kernels were chosen for, such as `avx512`. Like the device a fact of the place: the
    /// same on another machine only where that has them, too.
    pub instruction_set: String,
    /// The layers, input first.
    pub layers: Vec<LayerPath>,
}

/// How one layer is computed, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerPath {
    /// Name of the layer, such as `conv1`.
    pub name: String,
    /// The path that it takes, such as `dense` or `sparse`.
    pub path: String,
    /// Weights that it trains on.
    pub kept: u64,
    /// Its weights in the original network.
    pub total: u64,
    /// Units (filters or neurons) that it computes.
    pub units: u64,
    /// Its units in the original network.
    pub all_units: u64,
}

/// When in its cycle a test was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before the first prune.
    Dense,
    /// Right after a prune.
    JustPruned,
    /// After the training that follows a prune.
    Retrained,
}

/// A measurement on the test split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// The cycle that was tested; 0 is the dense model.
    pub cycle: u64,
    /// Steps trained since the run's start.
    pub step: u64,
    /// When in its cycle.
    pub stage: Stage,
    /// The score on the test split.
    pub score: Score,
    /// What is left of the model.
    pub size: Size,
}

/// What is left of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Prunable parameters that are pruned.
    pub pruned: u64,
    /// Prunable parameters.
    pub prunable: u64,
    /// Parameters of the whole model that are not zero.
    pub nonzero: u64,
    /// Parameters of the whole model, biases included.
    pub parameters: u64,
    /// Multiply-accumulates an image whose weight is not zero.
    pub remaining_macs: u64,
    /// Multiply-accumulates an image of the dense model.
    pub macs: u64,
    /// Units (filters and neurons) that no longer reach the output or no longer vary with the input.
    pub dead_units: u64,
}

impl Size {
    /// Share of zeros among the prunable parameters, `[0, 1]`.
    pub fn sparsity(&self) -> f64 {
        share(self.pruned, self.prunable)
    }

    /// All parameters over those that are not zero; infinite when none is left.
    pub fn compression_ratio(&self) -> f64 {
        self.parameters as f64 / self.nonzero as f64
    }

    /// Dense MACs over remaining MACs; infinite when none is left.
    pub fn theoretical_speedup(&self) -> f64 {
        self.macs as f64 / self.remaining_macs as f64
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnded {
    /// Steps trained in all.
    pub step: u64,
    /// SHA-256 of the final model file, in hexadecimal.
    pub model_sha256: String,
    /// Bytes of the final model file.
    pub model_bytes: u64,
}
