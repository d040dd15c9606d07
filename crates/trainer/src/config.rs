//! An experiment as a person writes it: TOML, every key spelled out, unknown keys refused.
//!
//! What the words mean together is checked in [`crate::Experiment`]; here stands only what can be typed.

mod arrays;
mod criterion;
mod differences;
mod distillation;
mod essential;
mod prune;
mod regrow;
mod until;
pub(crate) mod words;

pub use crate::average::AverageConfig;
pub use criterion::CriterionConfig;
pub use differences::{Difference, differences};
pub use distillation::{DistillationConfig, Teacher};
pub(crate) use prune::is_calibration;
pub use prune::{Override, PruneConfig};
pub use regrow::RegrowConfig;
pub use until::UntilConfig;

use crate::data::{self, MNIST};
use crate::{Error, learning_rate::LrSchedule, models::ModelConfig, optimizer::OptimizerConfig};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A whole experiment, as typed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentConfig {
    /// Name of the run folder; letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Everything random derives from it.
    #[serde(default = "one")]
    pub seed: u64,
    /// Where to compute: `cpu`, which is Secateur's own kernels, or burn's `flex`, `ndarray` or `wgpu`.
    #[serde(default = "cpu")]
    pub device: String,
    /// Threads of the device `cpu`; 0 for every core. It changes no result.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub threads: usize,
    /// Instructions of the device `cpu`: `avx512`, `avx2` or `portable`; left out, the best that the machine has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction_set: Option<String>,
    /// A PyTorch state dict of the model to start from instead of random weights: `.safetensors`, `.pt` or `.pth`, with
    /// plain tensors or the `_orig` and `_mask` of `torch.nn.utils.prune`. Relative to where the program runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<PathBuf>,
    /// What zeros among the weights of `start` are that no mask of the file prunes.
    #[serde(default, skip_serializing_if = "Zeros::is_default")]
    pub start_zeros: Zeros,
    /// What to learn from.
    #[serde(default)]
    pub data: DataConfig,
    /// What learns.
    pub model: ModelConfig,
    /// How the dense model is trained.
    pub train: TrainConfig,
    /// How and when weights are pruned; left out, nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune: Option<PruneConfig>,
    /// What follows a prune.
    #[serde(default)]
    pub retrain: RetrainConfig,
    /// When the test split is read.
    #[serde(default)]
    pub test: TestConfig,
    /// When the run's state is saved.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// What each cycle's network costs whoever stores and runs it.
    #[serde(default, skip_serializing_if = "MeasureConfig::is_default")]
    pub measure: MeasureConfig,
}

/// What a zero in a file of weights is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Zeros {
    /// A weight like any other, which training may move.
    #[default]
    Values,
    /// A pruned weight, where the config may prune its parameter.
    Pruned,
}

impl Zeros {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Where the images come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// What kind of files they come from, or `synthetic`: made from the seed, for tests.
    pub source: Source,
    /// Folder of the files, or the file of `npz`.
    pub dir: PathBuf,
    /// Where the labels come from.
    #[serde(skip_serializing_if = "Labels::is_default")]
    pub labels: Labels,
    /// Training images held out for choices, taken by `split_seed`.
    pub validation: usize,
    /// Which of the training images are held out. Apart from `seed`, so that runs of several seeds, and runs that start from
    /// each other's models, choose by images that none of them has trained on. Without effect on `synthetic`, whose validation
    /// images are drawn apart.
    pub split_seed: u64,
    /// Rows and columns that pictures are scaled to, for `image-folder`; left out, they have to be of one size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// Whether pictures become shades of grey, for `image-folder`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub grey: bool,
    /// Images to train on, for `synthetic`.
    pub synthetic_train: usize,
    /// Images to test on, for `synthetic`.
    pub synthetic_test: usize,
    /// Channels, rows and columns of an image, for `synthetic`.
    #[serde(skip_serializing_if = "is_like_mnist")]
    pub synthetic_shape: [usize; 3],
    /// What the network sees of a pixel.
    #[serde(skip_serializing_if = "Normalisation::is_default")]
    pub normalisation: Normalisation,
    /// How training images are varied, each epoch anew; left out, they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<data::Augment>,
}

/// Where labels come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Labels {
    /// The files of the images.
    #[default]
    Files,
    /// The answers of the teacher of `train.distillation`: accuracies are then the fraction of images on which both agree.
    Teacher,
}

impl Labels {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What the network sees of a pixel: of a byte `b` in a channel with mean and standard deviation it is `(b / 255 - mean) / std`.
///
/// In a config: `normalisation = { kind = "training" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Normalisation {
    /// `b / 255 - 0.5`, whatever the images.
    Centred {},
    /// By mean and standard deviation of each channel over the images to train on.
    Training {},
    /// Every number as it is.
    None {},
    /// By these of each channel, as fractions of 255.
    Given {
        /// The means.
        mean: Vec<f64>,
        /// The standard deviations.
        std: Vec<f64>,
    },
}

impl Default for Normalisation {
    fn default() -> Self {
        Self::Centred {}
    }
}

impl Normalisation {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it depends on which images are trained on.
    pub(crate) fn is_measured(&self) -> bool {
        match self {
            Self::Centred {} | Self::None {} | Self::Given { .. } => false,
            Self::Training {} => true,
        }
    }

    /// What is wrong with it for images of so many channels, if anything.
    pub(crate) fn fault(&self, channels: usize) -> Option<String> {
        let Self::Given { mean, std } = self else { return None };
        if mean.len() != channels || std.len() != channels {
            let (means, stds) = (mean.len(), std.len());
            return Some(format!(
                "found {means} means and {stds} standard deviations, expected {channels}, one a channel"
            ));
        }
        let odd = |least: f64| move |value: &&f64| !(least..=1e6).contains(*value);
        if let Some(value) = mean.iter().find(odd(-1e6)) {
            return Some(format!("found a mean of {value}, expected a finite number"));
        }
        let value = std.iter().find(odd(1e-6))?;
        Some(format!("found a standard deviation of {value}, expected above 0, as a fraction of 255"))
    }
}

/// Whether it is the shape of synthetic images that a config leaves out.
fn is_like_mnist(shape: &[usize; 3]) -> bool {
    *shape == MNIST.shape
}

/// Kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Four files in MNIST's format, raw or gzipped, of any size and any number of classes.
    Idx,
    /// CIFAR-10 in its binary layout, raw or gzipped.
    #[serde(rename = "cifar10")]
    Cifar10,
    /// CIFAR-100 in its binary layout, raw or gzipped; the fine labels.
    #[serde(rename = "cifar100")]
    Cifar100,
    /// The arrays `x_train`, `y_train`, `x_test` and `y_test` in one file of NumPy's.
    Npz,
    /// PNG and JPEG files in `train/<class>/` and `test/<class>/`.
    ImageFolder,
    /// Noisy bars in ten directions, one a class.
    Synthetic,
}

impl Source {
    /// Whether the images are drawn and not read.
    pub(crate) fn is_drawn(self) -> bool {
        match self {
            Self::Idx | Self::Cifar10 | Self::Cifar100 | Self::Npz | Self::ImageFolder => false,
            Self::Synthetic => true,
        }
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            source: Source::Idx,
            dir: "datasets/mnist".into(),
            labels: Labels::default(),
            validation: 5_000,
            split_seed: 1,
            size: None,
            grey: false,
            synthetic_train: 2_000,
            synthetic_test: 500,
            synthetic_shape: MNIST.shape,
            normalisation: Normalisation::default(),
            augment: None,
        }
    }
}

/// A length of training: `{ epochs = 2 }` or `{ steps = 500 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Length {
    /// Passes over the training split.
    Epochs(u64),
    /// Batches.
    Steps(u64),
}

/// Training of the dense model, and the rules for all training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Images a step.
    #[serde(default = "batch_size")]
    pub batch_size: usize,
    /// How long the dense model trains before the first prune.
    pub length: Length,
    /// The optimizer.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Which parameters the optimizer's weight decay is for.
    #[serde(default, skip_serializing_if = "DecayOf::is_default")]
    pub weight_decay_of: DecayOf,
    /// Fraction of each label that all classes get in equal parts, in `[0, 1)` (Szegedy et al., 2016). Losses in the log are
    /// those of the labels as they are.
    #[serde(default, skip_serializing_if = "is_none")]
    pub label_smoothing: f32,
    /// Length that a step's gradient of all parameters together is cut to, if it is longer (Pascanu et al., 2013); left out,
    /// it is never cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_gradient_norm: Option<f32>,
    /// The average of the weights over the steps, which a training then is validated by and ends with; left out, the weights
    /// themselves are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<AverageConfig>,
    /// The network whose answers are learned from beside the labels; left out, there is none. Losses in the log are those of the labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distillation: Option<DistillationConfig>,
    /// How the learning rate moves.
    #[serde(default)]
    pub lr_schedule: LrSchedule,
    /// Which epoch's weights a training stage ends with.
    #[serde(default)]
    pub keep: Keep,
    /// How layers compute on the device `cpu`.
    #[serde(default, skip_serializing_if = "Paths::is_default")]
    pub paths: Paths,
    /// Ends a training stage when validation stops improving.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stop: Option<EarlyStop>,
}

impl TrainConfig {
    /// All that a step does with gradients, in Secateur's own kernels.
    pub(crate) fn update(&self) -> secateur_sparse::Update {
        secateur_sparse::Update {
            optimizer: self.optimizer.native(),
            decays_weights_only: self.weight_decay_of == DecayOf::Weights,
            label_smoothing: self.label_smoothing,
            distillation: self.distillation.as_ref().map_or_else(Default::default, |own| {
                secateur_sparse::Distillation { temperature: own.temperature, weight: own.weight }
            }),
            max_norm: self.max_gradient_norm,
        }
    }
}

/// Which parameters weight decay is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecayOf {
    /// All of them.
    #[default]
    All,
    /// The weights of convolutions and fully connected layers; biases, and what batch normalisation learns, are spared.
    Weights,
}

impl DecayOf {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Which epoch's weights a training stage ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The epoch that is best on the validation split.
    #[default]
    Best,
    /// The last epoch.
    Last,
}

/// How layers compute on the device `cpu`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Paths {
    /// With all weights, or with the kept ones only: whichever the table of measured crossovers says is faster.
    #[default]
    Auto,
    /// With all weights, always.
    Dense,
    /// With the kept weights only, always.
    Sparse,
    /// Whichever is faster by a measurement on this machine when the run starts, which takes some seconds. Its result is
    /// written into the manifest, and obeyed when the run is resumed.
    Measured,
}

impl Paths {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// When training stops before its planned end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStop {
    /// Epochs without a new best on validation that are borne.
    pub patience: u64,
}

/// What follows a prune.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetrainConfig {
    /// How training goes on.
    pub kind: Retrain,
    /// Where in the dense training to rewind to, for the rewinding kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewind_to: Option<Length>,
    /// Another learning rate for retraining.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Training after the last prune, when it is to differ from `prune.every`.
    #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
    pub last: Option<Length>,
}

/// How training goes on after a prune.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retrain {
    /// Go on from the pruned weights.
    #[default]
    FineTune,
    /// Set the kept weights back to an early point of the dense training, with the learning rate of that point
    /// (Frankle & Carbin, "The Lottery Ticket Hypothesis", 2019).
    RewindWeights,
    /// Keep the weights, set the learning rate back (Renda, Frankle & Carbin, 2020).
    RewindLr,
    /// Ablation: keep the masks, draw the weights anew.
    Reinitialise,
}

impl std::fmt::Display for Retrain {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::FineTune => "fine-tune",
            Self::RewindWeights => "rewind-weights",
            Self::RewindLr => "rewind-lr",
            Self::Reinitialise => "reinitialise",
        })
    }
}

/// When the test split is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TestConfig {
    /// Test every n-th cycle, and always the first and the last.
    pub every_cycles: u64,
}

impl Default for TestConfig {
    fn default() -> Self {
        Self { every_cycles: 1 }
    }
}

/// When the run's state is saved, besides the end of every stage that changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Save every n steps of training, too.
    pub every_steps: u64,
    /// Checkpoints kept, newest first; at least 2, so that a damaged one has a predecessor.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every_steps: 500, keep: 3 }
    }
}

/// What each cycle's network costs whoever stores and runs it. It changes nothing that is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeasureConfig {
    /// Whether the network is stored, compacted and timed in the inference engine after each test of a whole cycle. Takes a
    /// fraction of a second a cycle, some seconds for the widest networks, and while it lasts the memory of two dense
    /// networks more.
    pub enabled: bool,
}

impl Default for MeasureConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl MeasureConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl ExperimentConfig {
    /// Reads TOML text and applies `key=value` overrides such as `model.width=5`; `place` names the text in errors.
    ///
    /// # Errors
    /// When the text is no TOML, a key is unknown or a value of the wrong type.
    pub fn parse(place: &str, text: &str, overrides: &[String]) -> Result<Self, Error> {
        Ok(Self::read(place, text, overrides)?.filled_in())
    }

    /// With what follows from other keys where it was left out, so that a run's copy of its config says it.
    fn filled_in(mut self) -> Self {
        if let Some(prune) = &mut self.prune {
            prune.scope = Some(prune.scope());
        }
        self
    }

    fn read(place: &str, text: &str, overrides: &[String]) -> Result<Self, Error> {
        let refuse = |why: String| refuse(place, why);
        if overrides.is_empty() {
            if let Ok(table) = toml::from_str(text) {
                sweep_hint(place, &table).map_or(Ok(()), Err).map_err(refuse)?;
                arrays::check(&table).map_err(refuse)?;
            }
            // Straight from the text, so that an error shows the line.
            return toml::from_str(text).map_err(|error| refuse(words::of_text::<Self>(text, &error)));
        }
        let table: toml::Table =
            toml::from_str(text).map_err(|error| refuse(words::of_text::<toml::Table>(text, &error)))?;
        Self::changed(place, table, overrides)
    }

    /// Reads a config that is TOML already, with overrides as [`Self::parse`] takes them.
    ///
    /// # Errors
    /// When a key is unknown or a value of the wrong type.
    pub(crate) fn changed(place: &str, mut table: toml::Table, overrides: &[String]) -> Result<Self, Error> {
        let refuse = |why: String| refuse(place, why);
        for change in overrides {
            set(&mut table, change).map_err(|why| refuse(format!("--set {}: {why}", words::short(change))))?;
        }
        // Without a schedule there was nothing to switch off.
        if let Some(toml::Value::Table(prune)) = table.get("prune")
            && prune.get("enabled") == Some(&toml::Value::Boolean(false))
            && !prune.contains_key("schedule")
        {
            table.remove("prune");
        }
        sweep_hint(place, &table).map_or(Ok(()), Err).map_err(refuse)?;
        arrays::check(&table).map_err(refuse)?;
        table.clone().try_into().map_err(|error: toml::de::Error| {
            let own = words::left_over::<Self>(&table, &error, overrides);
            let changes: Vec<String> = overrides.iter().map(|change| words::short(change)).collect();
            let why = own.unwrap_or_else(|| words::of_table::<Self>(&table, &error));
            refuse(format!("{why} (with --set {})", changes.join(" --set ")))
        })
    }

    /// Names the data folder where it is found, when it is not there as it is given: beside `file`, which this config is read
    /// from, or above it, or beside the program. The name of a run does not depend on it.
    pub fn locate_data(&mut self, file: &Path) {
        let data = &mut self.data;
        if !data.source.is_drawn() && !data.dir.exists() {
            let found = data::located(&data.dir, file, data::program().as_deref());
            if let Some(found) = found {
                tracing::info!("data folder `{}` is found as {}", data.dir.display(), found.display());
                data.dir = found;
            }
        }
    }

    /// The configuration as TOML, every key spelled out.
    ///
    /// # Panics
    /// Never: every value of the type is representable in TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every configuration is representable in TOML")
    }
}

fn refuse(place: &str, why: String) -> Error {
    Error::Config { place: place.into(), why: why.trim_end().into() }
}

/// How to run a table that is a sweep rather than the config of a run.
fn sweep_hint(place: &str, table: &toml::Table) -> Option<String> {
    let is_sweep =
        table.contains_key("base") && ["seeds", "axes", "methods"].iter().any(|key| table.contains_key(*key));
    is_sweep
        .then(|| format!("found a sweep, expected the config of one run; run the sweep with: secateur sweep {place}"))
}

/// Sets a dotted key. A value that is no TOML is taken as a string, so that shells need no second quotes, unless it begins as a
/// table or a list.
fn set(table: &mut toml::Table, change: &str) -> Result<(), String> {
    let (key, value) = change.split_once('=').ok_or("wanted key=value, such as model.width=5")?;
    let value = match toml::from_str::<toml::Table>(&format!("value = {value}")) {
        Ok(mut parsed) if parsed.len() == 1 => parsed.remove("value").ok_or("wanted one value")?,
        Err(error) if value.trim_start().starts_with(['{', '[']) => {
            return Err(format!("the value is no TOML: {}", words::plain(error.message(), "")));
        }
        _ => toml::Value::String(value.to_owned()),
    };
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().filter(|part| !part.is_empty()).ok_or("wanted a key before the `=`")?;
    let mut place = table;
    for part in parts {
        let entry = place.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        place = entry.as_table_mut().ok_or_else(|| format!("`{part}` is a value, not a table"))?;
    }
    place.insert(last.to_owned(), value);
    Ok(())
}

fn one() -> u64 {
    1
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}

fn is_none(fraction: &f32) -> bool {
    *fraction == 0.0
}

fn cpu() -> String {
    "cpu".into()
}

fn batch_size() -> usize {
    128
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        name = "small"
        model = { kind = "lenet", width = 1 }
        train = { length = { epochs = 2 } }
        [prune]
        schedule = { kind = "one-shot", sparsity = 0.9 }
        every = { steps = 10 }
    "#;

    fn parse(overrides: &[&str]) -> Result<ExperimentConfig, Error> {
        let overrides: Vec<String> = overrides.iter().map(|change| (*change).to_owned()).collect();
        ExperimentConfig::parse("small.toml", SMALL, &overrides)
    }

    #[test]
    fn defaults_are_spelled_out_and_read_back() {
        let config = parse(&[]).expect("valid");
        assert_eq!((config.seed, config.train.batch_size, config.data.validation), (1, 128, 5_000));
        let again = ExperimentConfig::parse("copy", &config.to_toml(), &[]).expect("own text");
        assert_eq!(again, config);
    }

    #[test]
    fn the_scope_follows_the_criterion_where_it_is_left_out() {
        use secateur_pruner::Scope;
        let scope = |changes: &[&str]| {
            let config = parse(changes).expect("valid");
            let prune = config.prune.clone().expect("there");
            assert_eq!(prune.scope, Some(prune.scope()), "it is filled in");
            assert_eq!(ExperimentConfig::parse("copy", &config.to_toml(), &[]).expect("own text"), config);
            prune.scope()
        };
        assert_eq!(scope(&["prune.criterion=snip"]), Scope::Global);
        assert_eq!(scope(&["prune.criterion=wanda"]), Scope::Output);
        assert_eq!(scope(&["prune.criterion=wanda", "prune.scope=global"]), Scope::Global);
        let filters = "prune.granularity={ kind = \"filter\" }";
        assert_eq!(scope(&["prune.criterion=wanda", filters]), Scope::Layerwise);
    }

    #[test]
    fn overrides_reach_into_tables() {
        let config = parse(&["model.width=5", "seed=7", "prune.criterion=random", "retrain.kind=\"rewind-lr\""]);
        let config = config.expect("valid");
        assert_eq!(config.model, ModelConfig::Lenet { width: 5 });
        assert_eq!((config.seed, config.prune.expect("kept").criterion), (7, CriterionConfig::Random));
        assert_eq!(config.retrain.kind, Retrain::RewindLr);
        let text = "name = \"x\"\nmodel = { kind = \"lenet-5\" }\ntrain = { length = { steps = 1 } }";
        let off = ExperimentConfig::parse("x", text, &["prune.enabled=false".into()]).expect("nothing to switch off");
        assert_eq!(off, ExperimentConfig::parse("x", text, &[]).expect("valid"));
    }

    #[test]
    fn faults_are_named() {
        for (change, wanted) in [
            ("seed", "wanted key=value"),
            ("=1", "wanted a key"),
            ("seed.a=1", "`seed` is a value, not a table"),
            ("seed=-1", "`seed`: found -1, expected a whole number from 0"),
            ("colour=1", "unknown key `colour`"),
            ("prune.schedule.sparsity=1.5", "sparsity is 1.5"),
            ("train.length={ weeks = 1 }", "`train.length`: found `weeks`"),
        ] {
            // `seed.a=1` needs a seed to collide with.
            let found = parse(&["seed=1", change]).expect_err(change).to_string();
            assert!(found.contains(wanted) && found.contains("small.toml"), "{change}: {found}");
        }
        let torn = ExperimentConfig::parse("torn.toml", "name = ", &[]).expect_err("torn").to_string();
        assert!(torn.contains("torn.toml") && torn.contains("line 1"), "{torn}");
    }
}
