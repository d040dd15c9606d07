//! Where to compute: the only file that knows burn's devices and the cargo features that they need.

use crate::config::{Paths, PruneConfig, words};
use crate::models::Net;
use crate::{Error, ExperimentConfig};
use secateur_graph::Graph;
use secateur_sparse::InstructionSet;
use secateur_sparse::infer::threads_of;
use secateur_sparse::train::{Crossovers, Trainer};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::thread::Builder;

/// Devices that a config can ask for: Secateur's own kernels, and burn's backends, each with the cargo feature of its name.
pub const NAMES: [&str; 4] = [OWN, "flex", "ndarray", "wgpu"];

/// The device of Secateur's own kernels.
pub(crate) const OWN: &str = "cpu";

/// Where to compute.
#[derive(Clone, Debug)]
pub(crate) enum Device {
    /// Secateur's own kernels.
    Own {
        /// Threads.
        threads: usize,
        /// Instructions.
        instruction_set: InstructionSet,
        /// Which form a layer takes.
        crossovers: Crossovers,
    },
    /// burn's operations on one of its devices, without gradients.
    Burn(burn::tensor::Device),
}

/// The device that a config names. Where the device `cpu` computes for a run that has begun, `begun` is how it began: the
/// same choices lead to the same bytes.
///
/// # Errors
/// When the name is unknown, or its backend was not compiled in: then the error says which feature to build with; when
/// the machine lacks the instructions that are asked for.
pub(crate) fn open(config: &ExperimentConfig, begun: Option<&Kernels>) -> Result<Device, Error> {
    match config.device.as_str() {
        "cpu" => own(config, begun),
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::Burn(burn::tensor::Device::flex())),
        #[cfg(feature = "ndarray")]
        "ndarray" => {
            tracing::warn!("burn has deprecated its ndarray backend; `flex` is its successor, and much faster");
            #[expect(deprecated, reason = "kept for comparisons")]
            Ok(Device::Burn(burn::tensor::Device::ndarray()))
        }
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::Burn(burn::tensor::Device::wgpu(burn::tensor::DeviceKind::DefaultDevice))),
        known if NAMES.contains(&known) => Err(Error::DeviceNotBuilt { name: known.into() }),
        other => Err(unknown(other)),
    }
}

/// Checks that the device that a config names can train a network, and that its weights can be scored.
///
/// # Errors
/// When a node cannot be computed, which is named.
pub(crate) fn supports(config: &ExperimentConfig, graph: &Graph) -> Result<(), Error> {
    if config.device != OWN {
        return Net::supports(graph);
    }
    Trainer::supports(graph)?;
    let criteria = config.prune.iter().filter(|prune| prune.enabled).flat_map(PruneConfig::criteria);
    match criteria.into_iter().find(|criterion| criterion.takes_burn()) {
        None => Ok(()),
        Some(criterion) => Net::supports(graph).map_err(|error| {
            let why =
                format!("`{criterion}` is worked out by burn's operations, and {error}; expected another criterion");
            Error::Meaning { key: "prune.criterion", why }
        }),
    }
}

/// A name that no device has.
pub(crate) fn unknown(name: &str) -> Error {
    let hint = words::near(name, NAMES.into_iter()).map_or(String::new(), |own| format!(", did you mean `{own}`?"));
    Error::UnknownDevice { name: words::short(name), hint }
}

/// Whether the device that a config names is there; nothing is measured.
///
/// # Errors
/// Those of [`open`].
pub(crate) fn check(config: &ExperimentConfig) -> Result<(), Error> {
    let mut config = config.clone();
    if config.train.paths == Paths::Measured {
        config.train.paths = Paths::Auto;
    }
    open(&config, None).map(drop)
}

/// The choices of the device `cpu` that a run's bytes depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kernels {
    /// Instructions, such as `avx512`.
    pub instruction_set: String,
    /// Share of kept weights below which a convolution holds only those.
    pub conv_crossover: f64,
    /// The same for a fully connected layer.
    pub linear_crossover: f64,
}

impl Device {
    /// burn's device for scores that take more of a network than its gradients: the run's own, or `flex` beside Secateur's own
    /// kernels.
    ///
    /// # Errors
    /// When that was not compiled in.
    pub(crate) fn for_scores(&self) -> Result<burn::tensor::Device, Error> {
        match self {
            Self::Burn(device) => Ok(device.clone()),
            #[cfg(feature = "flex")]
            Self::Own { .. } => Ok(burn::tensor::Device::flex()),
            #[cfg(not(feature = "flex"))]
            Self::Own { .. } => Err(Error::DeviceNotBuilt { name: "flex".into() }),
        }
    }

    /// What a resumed run has to obey; `None` where that is burn's business.
    pub(crate) fn kernels(&self) -> Option<Kernels> {
        match self {
            Self::Own { instruction_set, crossovers, .. } => Some(Kernels {
                instruction_set: instruction_set.name().to_owned(),
                conv_crossover: crossovers.conv,
                linear_crossover: crossovers.linear,
            }),
            Self::Burn(_) => None,
        }
    }
}

fn own(config: &ExperimentConfig, begun: Option<&Kernels>) -> Result<Device, Error> {
    let threads = threads(config);
    // Those of training, and of two networks that are timed beside it.
    try_threads(3 * threads).map_err(|error| {
        let why = format!("found {threads}, and the system does not give as many ({error}); expected fewer");
        Error::Meaning { key: "threads", why }
    })?;
    if let Some(Kernels { instruction_set: name, conv_crossover, linear_crossover }) = begun {
        let instruction_set = by_name(name).unwrap_or_else(|| {
            let best = InstructionSet::best();
            tracing::warn!(
                "the run began with {name} instructions, this machine goes on with {}: sums are rounded otherwise, so its \
                 bytes will differ from those of an undisturbed run",
                best.name()
            );
            best
        });
        let crossovers = Crossovers { conv: *conv_crossover, linear: *linear_crossover };
        return Ok(Device::Own { threads, instruction_set, crossovers });
    }
    let instruction_set = instruction_set(config)?;
    let crossovers = match config.train.paths {
        Paths::Auto => Crossovers::table(instruction_set),
        Paths::Dense => Crossovers::DENSE,
        Paths::Sparse => Crossovers::SPARSE,
        Paths::Measured => {
            tracing::info!("measuring from which sparsity on layers are faster with their kept weights only");
            Crossovers::measure(threads, instruction_set)
        }
    };
    Ok(Device::Own { threads, instruction_set, crossovers })
}

/// The instructions that a config asks for, or the best that there are.
///
/// # Errors
/// When this machine lacks them.
pub(crate) fn instruction_set(config: &ExperimentConfig) -> Result<InstructionSet, Error> {
    let Some(name) = &config.instruction_set else { return Ok(InstructionSet::best()) };
    by_name(name).ok_or_else(|| {
        let known: Vec<_> = InstructionSet::available().into_iter().map(InstructionSet::name).collect();
        let near = words::near(name, known.iter().copied());
        let hint = near.map_or(String::new(), |own| format!("; did you mean `{own}`?"));
        let why = format!("is `{}`, this machine has {}{hint}", words::short(name), known.join(", "));
        Error::Meaning { key: "instruction_set", why }
    })
}

/// The instructions of this name, if this machine has them.
fn by_name(name: &str) -> Option<InstructionSet> {
    InstructionSet::available().into_iter().find(|own| own.name() == name)
}

/// Processor architecture and operating system.
pub(crate) fn platform() -> String {
    format!("{} {}", std::env::consts::ARCH, std::env::consts::OS)
}

/// The processor as Linux names it.
pub(crate) fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let (_, name) = text.lines().find(|line| line.starts_with("model name"))?.split_once(':')?;
    Some(name.trim().to_owned())
}

/// Threads that a run computes with.
pub(crate) fn threads(config: &ExperimentConfig) -> usize {
    threads_of(config.threads)
}

/// Starts so many threads side by side, and ends them: what the system does not give is known before there is work to lose.
fn try_threads(count: usize) -> std::io::Result<()> {
    let gate = Mutex::new(());
    std::thread::scope(|scope| {
        let _closed = gate.lock();
        (0..count).try_for_each(|_| Builder::new().spawn_scoped(scope, || drop(gate.lock())).map(drop))
    })
}

/// Hardware threads.
pub(crate) fn cores() -> usize {
    threads_of(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(changes: &[&str]) -> ExperimentConfig {
        let text = "name = \"x\"\nmodel = { kind = \"lenet-5\" }\ntrain = { length = { steps = 1 } }";
        let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
        ExperimentConfig::parse("x", text, &changes).expect("valid")
    }

    #[test]
    fn a_device_is_open_or_says_how_to_get_it() {
        for name in NAMES {
            let built = match name {
                "cpu" => true,
                "flex" => cfg!(feature = "flex"),
                "ndarray" => cfg!(feature = "ndarray"),
                _ => cfg!(feature = "wgpu"),
            };
            // A wgpu device starts a driver; that is the business of its own check.
            if !built {
                let error = open(&config(&[&format!("device={name}")]), None).expect_err(name).to_string();
                assert!(error.contains(&format!("--features {name}")), "{error}");
            }
        }
        let error = open(&config(&["device=tpu"]), None).expect_err("unknown").to_string();
        assert_eq!(error, "device is `tpu`, did you mean `cpu`?; expected one of cpu, flex, ndarray, wgpu");
        let error = open(&config(&["device=cpuu"]), None).expect_err("unknown").to_string();
        assert!(error.starts_with("device is `cpuu`, did you mean `cpu`?"), "{error}");
        let error = open(&config(&["device=quantum"]), None).expect_err("unknown").to_string();
        assert_eq!(error, "device is `quantum`; expected one of cpu, flex, ndarray, wgpu");
    }

    #[test]
    fn instructions_can_be_chosen_and_a_begun_run_keeps_its_own() {
        let device = open(&config(&["instruction_set=portable"]), None).expect("every machine has it");
        let kernels = device.kernels().expect("our own device");
        assert_eq!(kernels.instruction_set, "portable");
        let best = open(&config(&[]), None).expect("a device").kernels().expect("our own device");
        assert_eq!(best.instruction_set, InstructionSet::best().name());
        let begun = Kernels { conv_crossover: 0.125, ..kernels };
        let again = open(&config(&["train.paths=measured"]), Some(&begun)).expect("a device");
        assert_eq!(again.kernels(), Some(begun));
        let elsewhere = Kernels { instruction_set: "mmx".into(), ..best };
        assert_eq!(open(&config(&[]), Some(&elsewhere)).expect("goes on").kernels(), Some(best));
        let error = open(&config(&["instruction_set=mmx"]), None).expect_err("no such").to_string();
        assert!(error.contains("`instruction_set`: is `mmx`, this machine has portable"), "{error}");
        let error = open(&config(&["instruction_set=portabel"]), None).expect_err("no such").to_string();
        assert!(error.contains("did you mean `portable`?"), "{error}");
    }
}
