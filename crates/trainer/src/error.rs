//! What can go wrong in an experiment, each with its place, what was found and what was wanted.

use std::path::{Path, PathBuf};

/// Everything that stops an experiment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration that cannot be read.
    #[error("{place}: {why}")]
    Config {
        /// Name of the text, usually a path.
        place: String,
        /// What is wrong, with the line where there is one.
        why: String,
    },
    /// A configuration whose words make no sense together.
    #[error("`{key}`: {why}")]
    Meaning {
        /// The key, dotted.
        key: &'static str,
        /// Found and wanted.
        why: String,
    },
    /// A device name that nothing answers to.
    #[error("device is `{name}`{hint}; expected one of cpu, flex, ndarray, wgpu")]
    UnknownDevice {
        /// As typed.
        name: String,
        /// Which device is likely meant; empty where none is.
        hint: String,
    },
    /// A device whose backend was not compiled in.
    #[error("device `{name}` is not compiled in; build with `cargo build --release --features {name}`")]
    DeviceNotBuilt {
        /// Its name, and the feature's.
        name: String,
    },
    /// A dataset that cannot be loaded.
    #[error(transparent)]
    Data(#[from] crate::data::Error),
    /// A request that the pruner refuses.
    #[error(transparent)]
    Prune(#[from] secateur_pruner::Error),
    /// A log or report that cannot be read or written.
    #[error(transparent)]
    Report(#[from] secateur_report::Error),
    /// A run's log that is missing, short or changed, so that the run cannot go on with it.
    #[error(
        "{}: cannot go on with its log; nothing was changed. Put the log back as it was, or train anew and lose it with \
         `secateur resume {} --restart`",
        run.display(),
        run.display()
    )]
    Log {
        /// The run folder.
        run: PathBuf,
        /// What is wrong with the log.
        source: secateur_report::Error,
    },
    /// A run's log that cannot be read, which says nothing about what it holds.
    #[error("{}: cannot go on without reading its log; nothing was changed", run.display())]
    UnreadableLog {
        /// The run folder.
        run: PathBuf,
        /// Why it cannot be read.
        source: secateur_report::Error,
    },
    /// A network that the inference engine refuses.
    #[error(transparent)]
    Inference(#[from] secateur_sparse::infer::Error),
    /// A node that burn's devices cannot compute.
    #[error("node `{node}` {why}")]
    UnsupportedNode {
        /// Its name.
        node: String,
        /// What it does, and what is computed.
        why: String,
    },
    /// A node that Secateur's own kernels cannot compute.
    #[error("{0}; use device `flex`, which runs burn's operations")]
    Unsupported(#[from] secateur_sparse::Unsupported),
    /// A parameter of a burn module that is not that of a graph.
    #[error("`{name}` of the module: expected {expected}, found {found}")]
    Module {
        /// Its path in the module.
        name: String,
        /// What the graph has.
        expected: String,
        /// What the module has.
        found: String,
    },
    /// A state that does not fit the model.
    #[error("the state has no `{name}` of {wanted} values")]
    Foreign {
        /// Name of the parameter.
        name: String,
        /// Values that the model wants.
        wanted: usize,
    },
    /// A state of another optimizer.
    #[error("the state has `{name}`, which the optimizer of the config does not keep")]
    ForeignMoment {
        /// Parameter and field.
        name: String,
    },
    /// A state with shadows of pruned weights for an experiment that has none, or the other way round.
    #[error("the state has {} of pruned weights, which surgery alone keeps: expected the state of a run that {}",
        if *found { "the values" } else { "no values" }, if *found { "uses none" } else { "uses surgery" })]
    Shadows {
        /// Whether the state has shadows.
        found: bool,
    },
    /// Training left the numbers.
    #[error(
        "the loss is {loss} at step {step}: training diverged; lower the learning rate. Checkpoints of earlier steps are kept"
    )]
    Diverged {
        /// Step, from 1.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// Images whose loss is no number, where gradients are asked for.
    #[error(
        "the loss of the images that weights are ranked by is {loss}, expected a finite number: training diverged; lower the \
         learning rate"
    )]
    NoGradients {
        /// The loss.
        loss: f64,
    },
    /// A file or folder that cannot be used.
    #[error("{}: cannot {doing}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A run folder that exists already.
    #[error("{} exists already; go on with `secateur resume {}`, or choose another folder with --out", path.display(), path.display())]
    RunExists {
        /// The run folder.
        path: PathBuf,
    },
    /// A run that another process works on.
    #[error("{} is in use by another process; wait for it or stop it first", path.display())]
    Locked {
        /// The run folder.
        path: PathBuf,
    },
    /// A checkpoint in a layout that this program does not read.
    #[error("{}: the checkpoint has version {found}, this program reads {wanted}", path.display())]
    CheckpointVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that is read.
        wanted: u32,
    },
    /// A file or folder that is not what it should be.
    #[error("{}: {why}", path.display())]
    Run {
        /// The file or folder.
        path: PathBuf,
        /// Found and wanted.
        why: String,
    },
}

impl Error {
    /// Wraps a system error with its place; for use with `map_err`.
    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), doing, source }
    }

    /// What a fault of the log means for its run. Only a log that is missing, short or changed is a reason to begin anew.
    pub(crate) fn log(run: &Path, source: secateur_report::Error) -> Self {
        use secateur_report::Error as Fault;
        let run = run.to_owned();
        match &source {
            Fault::Io { source: system, .. } if system.kind() != std::io::ErrorKind::NotFound => {
                Self::UnreadableLog { run, source }
            }
            Fault::NewerLog { .. } => Self::UnreadableLog { run, source },
            _ => Self::Log { run, source },
        }
    }
}
