//! The reference models, each a graph: LeNet with a width factor, LeNet-300-100, and Caffe's LeNet-5.

mod batch;
mod init;
mod net;

pub(crate) use batch::{images, tensors};
pub(crate) use init::initial;
pub use net::Net;

use secateur_graph::{Activation, Conv2d, Error, Graph, Linear, Op, Pool};
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

/// What the reference models are made for: shape of an image and classes of MNIST.
pub(crate) const MNIST: ([usize; 3], usize) = ([1, 28, 28], 10);

impl ModelConfig {
    /// The model's graph for images of this shape, `[channels, height, width]`, and so many classes.
    ///
    /// # Errors
    /// When the images are too small for it, its width is 0, or it has more values or parameters than the budget.
    pub fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph, Error> {
        let relu = || Op::Activation(Activation::Relu);
        let conv = |outputs: usize, kernel: usize| Op::Conv2d(Conv2d::new(outputs, kernel));
        let linear = |outputs: usize| Op::Linear(Linear::new(outputs));
        let pool = || Op::Pool(Pool::max(2));
        match *self {
            Self::Lenet { width } => {
                let wide = |units: usize| units.saturating_mul(width);
                Graph::sequential(
                    &input,
                    [
                        ("conv1", conv(wide(6), 3)),
                        ("relu1", relu()),
                        ("pool1", pool()),
                        ("conv2", conv(wide(16), 3)),
                        ("relu2", relu()),
                        ("pool2", pool()),
                        ("flatten", Op::Flatten),
                        ("fc1", linear(wide(120))),
                        ("relu3", relu()),
                        ("fc2", linear(wide(84))),
                        ("relu4", relu()),
                        ("fc3", linear(classes)),
                    ],
                )
            }
            Self::Lenet300 {} => Graph::sequential(
                &input,
                [
                    ("flatten", Op::Flatten),
                    ("fc1", linear(300)),
                    ("relu1", relu()),
                    ("fc2", linear(100)),
                    ("relu2", relu()),
                    ("fc3", linear(classes)),
                ],
            ),
            Self::Lenet5 {} => Graph::sequential(
                &input,
                [
                    ("conv1", conv(20, 5)),
                    ("pool1", pool()),
                    ("conv2", conv(50, 5)),
                    ("pool2", pool()),
                    ("flatten", Op::Flatten),
                    ("fc1", linear(500)),
                    ("relu1", relu()),
                    ("fc2", linear(classes)),
                ],
            ),
        }
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
pub(crate) mod testing {
    use super::*;
    use secateur_graph::Weights;
    use secateur_sparse::Network;

    /// A model for MNIST, and the weights that training starts from.
    pub(crate) fn model(model: ModelConfig, seed: u64) -> (Graph, Weights) {
        let graph = model.graph(MNIST.0, MNIST.1).expect("the reference models fit together");
        let weights = initial(&graph, seed);
        (graph, weights)
    }

    /// The same as a chain of layers.
    pub(crate) fn network(model: ModelConfig, seed: u64) -> Network {
        let (graph, weights) = self::model(model, seed);
        Network::from_graph(&graph, &weights).expect("the reference models are chains")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_macs_are_the_published_ones() {
        let size = |own: ModelConfig| {
            let graph = own.graph([1, 28, 28], 10).expect("fits");
            (graph.parameter_count(), graph.macs())
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
        let fault = |width| ModelConfig::Lenet { width }.graph([1, 28, 28], 10).expect_err("no size").to_string();
        assert!(fault(0).starts_with("node `conv1` (conv2d, 0 filters of 3x3): expected at least one filter"));
        ModelConfig::Lenet { width: 95 }.graph([1, 28, 28], 10).expect("just fits");
        for (width, most) in [(96, "536870912"), (300, "536870912"), (usize::MAX, "268435456")] {
            let said = fault(width);
            assert!(said.starts_with("node `") && said.ends_with(&format!("expected at most {most}")), "{said}");
        }
        let small = ModelConfig::Lenet5 {}.graph([1, 12, 12], 10).expect_err("too small").to_string();
        assert!(small.starts_with("node `conv2`") && small.ends_with("found [20, 4, 4]"), "{small}");
    }
}
