//! The reference models: LeNet with a width factor, LeNet-300-100, and Caffe's LeNet-5.
//!
//! A model is first a plain [`Network`] (what it costs, what its weights start as), and then a burn module ([`Net`])
//! made from it by [`raise`](Net::raise), which knows the layouts of both.

mod batch;
mod compute;
mod init;
mod net;

pub(crate) use batch::{images, tensors};
pub use net::Net;
pub(crate) use net::transpose;

use crate::data::{CLASSES, SIDE};
use secateur_sparse::{Layer, Network};
use serde::{Deserialize, Serialize};

/// A model. In a config: `model = { kind = "lenet", width = 5 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ModelConfig {
    /// Conv 6k, conv 16k (3x3, relu, max-pool 2), fc 120k, fc 84k (relu), fc 10, with k = `width`:
    /// over-parameterised on purpose; 58,944 k^2 + 1,120 k + 10 parameters.
    Lenet {
        /// The width factor k.
        width: usize,
    },
    /// Fully connected 300 and 100 (LeCun et al., 1998): 266,610 parameters.
    #[serde(rename = "lenet-300-100")]
    Lenet300 {},
    /// Caffe's variant of LeNet-5: conv 20, conv 50 (5x5, max-pool 2, no relu), fc 500 (relu), fc 10:
    /// 431,080 parameters.
    #[serde(rename = "lenet-5")]
    Lenet5 {},
}

/// Parameters that a model may have at most: 2 GiB of f32, and training holds several times that.
const MOST_PARAMETERS: usize = 1 << 29;

impl ModelConfig {
    /// What is wrong with the numbers, if anything; found before anything of the model's size is allocated.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::Lenet { width: 0 } => Some("width is 0, expected at least 1".into()),
            Self::Lenet { width } => {
                let parameters = |k: usize| 58_944 * k as u128 * k as u128 + 1_120 * k as u128 + 10;
                let most = (1..).take_while(|k| parameters(*k) <= MOST_PARAMETERS as u128).last().unwrap_or(1);
                (*width > most).then(|| {
                    format!(
                        "width is {width}, which makes {} parameters, expected at most {MOST_PARAMETERS}: a width of {most}",
                        parameters(*width)
                    )
                })
            }
            Self::Lenet300 {} | Self::Lenet5 {} => None,
        }
    }

    /// The model's layers, all weights zero.
    pub fn network(&self) -> Network {
        let layers = match *self {
            Self::Lenet { width: k } => {
                let mut layers = Vec::new();
                for (name, inputs, outputs) in [("conv1", 1, 6 * k), ("conv2", 6 * k, 16 * k)] {
                    layers.extend([Layer::conv(name, inputs, outputs, 3), Layer::Relu, Layer::MaxPool2d { size: 2 }]);
                }
                layers.push(Layer::Flatten);
                layers.extend([Layer::linear("fc1", 400 * k, 120 * k), Layer::Relu]);
                layers.extend([Layer::linear("fc2", 120 * k, 84 * k), Layer::Relu]);
                layers.push(Layer::linear("fc3", 84 * k, CLASSES));
                layers
            }
            Self::Lenet300 {} => vec![
                Layer::Flatten,
                Layer::linear("fc1", SIDE * SIDE, 300),
                Layer::Relu,
                Layer::linear("fc2", 300, 100),
                Layer::Relu,
                Layer::linear("fc3", 100, CLASSES),
            ],
            Self::Lenet5 {} => vec![
                Layer::conv("conv1", 1, 20, 5),
                Layer::MaxPool2d { size: 2 },
                Layer::conv("conv2", 20, 50, 5),
                Layer::MaxPool2d { size: 2 },
                Layer::Flatten,
                Layer::linear("fc1", 800, 500),
                Layer::Relu,
                Layer::linear("fc2", 500, CLASSES),
            ],
        };
        Network::new([1, SIDE, SIDE], layers).expect("the reference models fit together")
    }

    /// The model's layers with the weights that training starts from: PyTorch's default initialisation.
    pub fn initial(&self, seed: u64) -> Network {
        init::uniform(&self.network(), seed)
    }
}

/// The model with its size, for tables and logs.
impl std::fmt::Display for ModelConfig {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lenet { width } => write!(out, "lenet k={width}"),
            Self::Lenet300 {} => out.write_str("lenet-300-100"),
            Self::Lenet5 {} => out.write_str("lenet-5"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_macs_are_the_published_ones() {
        let size = |model: ModelConfig| {
            let cost = model.network().cost();
            (cost.parameters, cost.macs)
        };
        assert_eq!(size(ModelConfig::Lenet { width: 1 }).0, 60_074);
        assert_eq!(size(ModelConfig::Lenet { width: 5 }), (1_479_210, 4_252_320));
        assert_eq!(size(ModelConfig::Lenet { width: 30 }).0, 53_083_210);
        for k in [1, 2, 3, 7] {
            assert_eq!(size(ModelConfig::Lenet { width: k }).0, 58_944 * k * k + 1_120 * k + 10);
        }
        assert_eq!(size(ModelConfig::Lenet300 {}), (266_610, 266_200));
        assert_eq!(size(ModelConfig::Lenet5 {}), (431_080, 2_293_000));
    }

    #[test]
    fn sizes_without_sense_are_named() {
        assert!(ModelConfig::Lenet { width: 0 }.fault().is_some_and(|fault| fault.contains("width is 0")));
        assert_eq!(ModelConfig::Lenet { width: 95 }.fault(), None);
        for width in [96, 300, usize::MAX] {
            let fault = ModelConfig::Lenet { width }.fault().expect("too wide");
            assert!(
                fault.starts_with(&format!("width is {width}, which makes ")) && fault.ends_with("a width of 95"),
                "{fault}"
            );
        }
        assert_eq!(ModelConfig::Lenet5 {}.fault(), None);
    }
}
