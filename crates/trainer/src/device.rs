//! Where tensors live: the only file that knows burn's devices and the cargo features that they need.

use crate::Error;
use burn::tensor::Device;

/// Devices that a config can ask for, each with the cargo feature that compiles it in.
pub const NAMES: [&str; 3] = ["flex", "ndarray", "wgpu"];

/// The device of this name, without gradients.
///
/// # Errors
/// When the name is unknown, or its backend was not compiled in: then the error says which feature to build with.
pub fn open(name: &str) -> Result<Device, Error> {
    match name {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        "ndarray" => {
            tracing::warn!("burn has deprecated its ndarray backend; `flex` is its successor, and much faster");
            #[expect(deprecated, reason = "kept for comparisons")]
            Ok(Device::ndarray())
        }
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        known if NAMES.contains(&known) => Err(Error::DeviceNotBuilt { name: known.into() }),
        unknown => Err(Error::UnknownDevice { name: unknown.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::{NAMES, open};

    #[test]
    fn a_device_is_open_or_says_how_to_get_it() {
        for name in NAMES {
            let built = match name {
                "flex" => cfg!(feature = "flex"),
                "ndarray" => cfg!(feature = "ndarray"),
                _ => cfg!(feature = "wgpu"),
            };
            // A wgpu device starts a driver; that is the business of its own check.
            if !built {
                let error = open(name).expect_err(name).to_string();
                assert!(error.contains(&format!("--features {name}")), "{error}");
            }
        }
        let error = open("tpu").expect_err("unknown").to_string();
        assert!(error.contains("`tpu`") && error.contains("flex, ndarray, wgpu"), "{error}");
    }
}
