//! Where to compute: the only file that knows burn's devices and the cargo features that they need.

use crate::Error;
use secateur_sparse::InstructionSet;

/// Devices that a config can ask for: Secateur's own kernels, and burn's backends, each with the cargo feature of its name.
pub const NAMES: [&str; 4] = ["cpu", "flex", "ndarray", "wgpu"];

/// Where to compute.
#[derive(Clone, Debug)]
pub(crate) enum Device {
    /// Secateur's own kernels.
    Own {
        /// Threads.
        threads: usize,
        /// Instructions.
        instruction_set: InstructionSet,
    },
    /// burn's operations on one of its devices, without gradients.
    Burn(burn::tensor::Device),
}

/// The device of this name; `threads` is for Secateur's own kernels, 0 for every core.
///
/// # Errors
/// When the name is unknown, or its backend was not compiled in: then the error says which feature to build with.
pub(crate) fn open(name: &str, threads: usize) -> Result<Device, Error> {
    match name {
        "cpu" => Ok(Device::Own {
            threads: if threads == 0 { cores() } else { threads },
            instruction_set: InstructionSet::best(),
        }),
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
        unknown => Err(Error::UnknownDevice { name: unknown.into() }),
    }
}

impl Device {
    /// Name of the instructions that results depend on; `None` where that is burn's business.
    pub(crate) fn instruction_set(&self) -> Option<String> {
        match self {
            Self::Own { instruction_set, .. } => Some(instruction_set.name().to_owned()),
            Self::Burn(_) => None,
        }
    }

    /// The same device with the instructions of this name, where this machine has them.
    pub(crate) fn with_instruction_set(self, name: Option<&str>) -> Self {
        let (Self::Own { threads, .. }, Some(name)) = (&self, name) else { return self };
        match InstructionSet::available().into_iter().find(|own| own.name() == name) {
            Some(instruction_set) => Self::Own { threads: *threads, instruction_set },
            None => {
                let best = InstructionSet::best().name();
                tracing::warn!(
                    "the run began with {name} instructions, this machine goes on with {best}: sums are rounded \
                     otherwise, so its bytes will differ from those of an undisturbed run"
                );
                self
            }
        }
    }
}

/// Hardware threads.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::{NAMES, open};

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
                let error = open(name, 0).expect_err(name).to_string();
                assert!(error.contains(&format!("--features {name}")), "{error}");
            }
        }
        let error = open("tpu", 0).expect_err("unknown").to_string();
        assert!(error.contains("`tpu`") && error.contains("cpu, flex, ndarray, wgpu"), "{error}");
    }
}
