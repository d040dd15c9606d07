//! Models in a config, each a function that builds a graph.

mod batch;
mod blocks;
mod file;
mod init;
mod layers;
mod lenet;
mod mobilenet;
mod net;
mod resnet;
mod vgg;

pub(crate) use batch::{images, tensors};
pub(crate) use file::Source;
pub(crate) use init::initial;
pub use layers::{LayerConfig, OpConfig, Pair};
pub use net::Net;
pub(crate) use net::id;

use crate::Error;
use crate::files::digest;
use secateur_graph::Graph;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A model. In a config: `model = { kind = "lenet", width = 5 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Fully connected layers with relu between them.
    Mlp {
        /// Outputs of each but the last.
        hidden: Vec<usize>,
    },
    /// A residual network for small images (He et al., 2015): depth 20 has 272,474 parameters for CIFAR-10.
    Resnet {
        /// Layers with weights: 20, 32, 44, 56 and so on.
        depth: usize,
        /// Channels of the first stage.
        #[serde(default = "sixteen", skip_serializing_if = "is_sixteen")]
        width: usize,
    },
    /// A wide residual network (Zagoruyko and Komodakis, 2016).
    WideResnet {
        /// Layers with weights: 10, 16, 22, 28, 40 and so on.
        depth: usize,
        /// Factor of the channels.
        widen: usize,
    },
    /// VGG with batch normalisation and one fully connected layer (Simonyan and Zisserman, 2014).
    Vgg {
        /// 11, 13, 16 or 19.
        depth: usize,
        /// Channels of the first stage.
        #[serde(default = "sixty_four", skip_serializing_if = "is_sixty_four")]
        width: usize,
    },
    /// A small network of depthwise separable convolutions (Howard et al., 2017).
    Mobilenet {
        /// Channels of the first convolution.
        #[serde(default = "thirty_two", skip_serializing_if = "is_thirty_two")]
        width: usize,
    },
    /// A network of one's own.
    Layers {
        /// What tables and logs call it.
        #[serde(default = "layers_name", skip_serializing_if = "is_layers_name")]
        name: String,
        /// The layers, in order.
        #[serde(deserialize_with = "layers::list")]
        layers: Vec<LayerConfig>,
    },
    /// The network of a file or of another run, with the weights that it has there.
    File {
        /// A `.secateur`, `.safetensors` or `.onnx` file, or a run's folder.
        path: PathBuf,
        /// What tables and logs call it; left out, the file's own name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// SHA-256 of its content, whatever kind of file it stands in; left out, it is filled in when the run begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
}

fn sixteen() -> usize {
    16
}

fn is_sixteen(own: &usize) -> bool {
    *own == 16
}

fn thirty_two() -> usize {
    32
}

fn is_thirty_two(own: &usize) -> bool {
    *own == 32
}

fn sixty_four() -> usize {
    64
}

fn is_sixty_four(own: &usize) -> bool {
    *own == 64
}

/// Letters of a model's name, at most.
const LONGEST_NAME: usize = 60;

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_.".contains(letter)
}

fn name_fault(name: &str) -> Option<String> {
    let fine = !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(is_plain);
    (!fine).then(|| format!("expected 1 to {LONGEST_NAME} letters, digits, `-`, `_` and `.` as `name`"))
}

/// What is wrong with a SHA-256 as it is typed, if anything.
pub(crate) fn sha256_fault(own: &str) -> Option<String> {
    let is_digest = own.len() == 64 && own.bytes().all(|letter| letter.is_ascii_hexdigit());
    let found = crate::config::words::short(own);
    (!is_digest).then(|| format!("expected 64 hexadecimal digits as `sha256`, or none, found {found:?}"))
}

fn layers_name() -> String {
    "layers".into()
}

fn is_layers_name(own: &str) -> bool {
    own == layers_name()
}

impl ModelConfig {
    /// The model's graph for images of this shape, `[channels, height, width]`, and so many classes.
    ///
    /// # Errors
    /// When the images are too small for it, its width is 0, or it has more values or parameters than the budget; when a file
    /// cannot be read, or is for other data.
    pub fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph, Error> {
        let built = match self {
            Self::Lenet { width } => lenet::lenet(input, classes, *width),
            Self::Lenet300 {} => lenet::mlp(input, classes, &[300, 100]),
            Self::Lenet5 {} => lenet::lenet5(input, classes),
            Self::Mlp { hidden } => lenet::mlp(input, classes, hidden),
            Self::Resnet { depth, width } => resnet::resnet(input, classes, *depth, *width),
            Self::WideResnet { depth, widen } => resnet::wide_resnet(input, classes, *depth, *widen),
            Self::Vgg { depth, width } => vgg::vgg(input, classes, *depth, *width),
            Self::Mobilenet { width } => mobilenet::mobilenet(input, classes, *width),
            Self::Layers { layers, .. } => layers::network(input, classes, layers),
            Self::File { path, sha256, .. } => {
                let own = Source::open(path, sha256.as_deref())?;
                own.check("model", &input, classes)?;
                return Ok(own.graph().clone());
            }
        };
        built.map_err(|error| Error::Meaning { key: "model", why: error.to_string() })
    }

    /// The file that the model is, if it is one.
    ///
    /// # Errors
    /// When it cannot be read, or is another one than its SHA-256 says.
    pub(crate) fn source(&self) -> Result<Option<Source>, Error> {
        match self {
            Self::File { path, sha256, .. } => Source::open(path, sha256.as_deref()).map(Some),
            _ => Ok(None),
        }
    }

    /// Says of a file which one it is and what it is called, where that is left out.
    pub(crate) fn identify(&mut self, source: &Source) {
        let Self::File { path, name, sha256 } = self else { return };
        *sha256 = Some(source.sha256().to_owned());
        if name.is_none() {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let plain = stem.chars().map(|letter| if is_plain(letter) { letter } else { '-' });
            *name = Some(plain.take(LONGEST_NAME).collect());
        }
    }

    /// What is wrong with its numbers whatever the images, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::Lenet { .. } | Self::Lenet300 {} | Self::Lenet5 {} | Self::Mobilenet { .. } => None,
            Self::Mlp { hidden } => {
                (hidden.len() > 1_000).then(|| format!("found {} hidden layers, expected at most 1000", hidden.len()))
            }
            Self::Resnet { depth, .. } => resnet::depth_fault(*depth, 2),
            Self::WideResnet { depth, .. } => resnet::depth_fault(*depth, 4),
            Self::Vgg { depth, .. } => vgg::depth_fault(*depth),
            Self::Layers { name, layers } => {
                if let Some(why) = name_fault(name) {
                    return Some(why);
                }
                let fault =
                    |(place, layer): (usize, &LayerConfig)| Some(format!("layer {}: {}", place + 1, layer.op.fault()?));
                layers.iter().enumerate().find_map(fault)
            }
            Self::File { path, name, sha256 } => {
                if let Some(why) = name.as_deref().and_then(name_fault) {
                    return Some(why);
                }
                if path.to_str().is_none() {
                    return Some(format!("expected a path in UTF-8 as `path`, found {path:?}"));
                }
                sha256.as_deref().and_then(sha256_fault)
            }
        }
    }
}

/// The model with its size, for tables and logs: what differs is called otherwise.
impl std::fmt::Display for ModelConfig {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wide = |own: &usize, default: usize| match *own == default {
            true => String::new(),
            false => format!(" width {own}"),
        };
        match self {
            Self::Lenet { width } => write!(out, "lenet k={width}"),
            Self::Lenet300 {} => out.write_str("lenet-300-100"),
            Self::Lenet5 {} => out.write_str("lenet-5"),
            Self::Mlp { hidden } => {
                out.write_str("mlp")?;
                hidden.iter().try_for_each(|outputs| write!(out, "-{outputs}"))
            }
            Self::Resnet { depth, width } => write!(out, "resnet-{depth}{}", wide(width, 16)),
            Self::WideResnet { depth, widen } => write!(out, "wide-resnet-{depth}-{widen}"),
            Self::Vgg { depth, width } => write!(out, "vgg-{depth}{}", wide(width, 64)),
            Self::Mobilenet { width } => write!(out, "mobilenet{}", wide(width, 32)),
            Self::Layers { name, layers } => {
                let text = serde_json::to_string(layers).expect("layers are plain data");
                write!(out, "{name} ({})", &digest(text.as_bytes())[..8])
            }
            Self::File { name, sha256, .. } => {
                let known = sha256.as_deref().and_then(|own| own.get(..8)).unwrap_or("not read yet");
                write!(out, "{} ({known})", name.as_deref().unwrap_or("a file"))
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::data::MNIST;
    use secateur_graph::{Activation, BatchNorm, Builder, Conv2d, LayerNorm, Linear, Op, Pool, Weights, Window};
    use secateur_sparse::Trained;
    use std::borrow::Borrow;

    /// A model for MNIST, and the weights that training starts from.
    pub(crate) fn model(model: impl Borrow<ModelConfig>, seed: u64) -> (Graph, Weights) {
        let graph = model.borrow().graph(MNIST.shape, MNIST.classes).expect("the reference models fit together");
        let weights = initial(&graph, seed);
        (graph, weights)
    }

    /// A net with every operation that burn's devices compute, on images of 2 channels and 8 by 9 pixels, with 10 answers.
    pub(crate) fn everything() -> Graph {
        let conv = |outputs: usize| Op::Conv2d(Conv2d::new(outputs, 3).padding(1));
        let mut net = Builder::new(&[2, 8, 9]).expect("a shape");
        let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
        add("stem", conv(4), &["input"]);
        add("norm", Op::BatchNorm(BatchNorm::default()), &["stem"]);
        add("relu", Op::Activation(Activation::Relu), &["norm"]);
        add(
            "pool",
            Op::Pool(Pool { window: Window { padding: [1, 1], stride: [2, 2], ..Window::square(3) }, ..Pool::max(3) }),
            &["relu"],
        );
        add("conv", Op::Conv2d(Conv2d::new(4, 3).padding(1).without_bias()), &["pool"]);
        add("silu", Op::Activation(Activation::Silu), &["conv"]);
        add("swish", Op::Activation(Activation::HardSwish), &["silu"]);
        add("sum", Op::Add, &["swish", "pool"]);
        add("depthwise", Op::Conv2d(Conv2d::new(8, 3).stride(2).padding(1).groups(4)), &["sum"]);
        add("gelu", Op::Activation(Activation::Gelu), &["depthwise"]);
        add("half", Op::Pool(Pool::average(2)), &["sum"]);
        let dilated = Window { dilation: [2, 1], padding: [2, 1], ..Window::square(3) };
        add("relu6", Op::Activation(Activation::Relu6), &["half"]);
        add("dilated", Op::Conv2d(Conv2d { window: dilated, ..Conv2d::new(3, 3) }), &["relu6"]);
        add("again", Op::Reshape(vec![3, 2, 2]), &["dilated"]);
        add("crop", Op::Crop([2, 2]), &["gelu"]);
        add("mean", Op::GlobalAveragePool, &["crop"]);
        add("flat", Op::Flatten, &["mean"]);
        add("other", Op::Flatten, &["again"]);
        add("both", Op::Concat, &["flat", "other"]);
        add("gate", Op::Activation(Activation::Sigmoid), &["mean"]);
        add("gated", Op::Mul, &["crop", "gate"]);
        add("turned", Op::Permute(vec![1, 2, 0]), &["gated"]);
        add("rows", Op::LayerNorm(LayerNorm { axes: vec![2], epsilon: 1e-5 }), &["turned"]);
        add("tanh", Op::Activation(Activation::Tanh), &["rows"]);
        add("soft", Op::Softmax(1), &["tanh"]);
        add("flat2", Op::Flatten, &["soft"]);
        add("features", Op::LayerNorm(LayerNorm { axes: vec![0], epsilon: 1e-5 }), &["flat2"]);
        add("gelu2", Op::Activation(Activation::GeluTanh), &["features"]);
        add("all", Op::Concat, &["both", "gelu2"]);
        add("hidden", Op::Linear(Linear::new(9)), &["all"]);
        add("hard", Op::Activation(Activation::HardSigmoid), &["hidden"]);
        add("fc", Op::Linear(Linear::new(10)), &["hard"]);
        net.finish()
    }

    /// The same as a trained network.
    pub(crate) fn network(model: impl Borrow<ModelConfig>, seed: u64) -> Trained {
        let (graph, weights) = self::model(model, seed);
        Trained { graph, weights }
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
    fn networks_for_colour_images_have_the_published_sizes() {
        let graph = |own: ModelConfig| own.graph([3, 32, 32], 10).expect("fits");
        let trained = |graph: &Graph| -> usize {
            graph.parameters().iter().filter(|own| !own.role.is_buffer()).map(|own| own.len()).sum()
        };
        // He et al. (2015), table 6: 0.27 M, 0.46 M, 0.66 M and 0.85 M; with projections a little more.
        for (depth, expected) in [(20, 272_474), (32, 466_906), (44, 661_338), (56, 855_770)] {
            assert_eq!(trained(&graph(ModelConfig::Resnet { depth, width: 16 })), expected, "resnet-{depth}");
        }
        assert_eq!(graph(ModelConfig::Resnet { depth: 20, width: 16 }).macs(), 40_813_184);
        // Zagoruyko and Komodakis (2016), table 4: WRN-28-10 has 36.5 M, WRN-16-4 2.7 M, WRN-40-4 8.9 M.
        for (depth, widen, millions) in [(28, 10, 36.5), (16, 4, 2.7), (40, 4, 8.9)] {
            let found = trained(&graph(ModelConfig::WideResnet { depth, widen })) as f64 / 1e6;
            assert!((found - millions).abs() < 0.06, "{depth}-{widen}: {found} M");
        }
        // Convolutions of 9,217,728 weights, 2 x 2,752 of batch normalisation, and 5,130.
        assert_eq!(trained(&graph(ModelConfig::Vgg { depth: 11, width: 64 })), 9_217_728 + 5_504 + 5_130);
        for depth in [13, 16, 19] {
            graph(ModelConfig::Vgg { depth, width: 64 });
        }
        let small = graph(ModelConfig::Mobilenet { width: 32 });
        let depthwise = small.parameter("blocks.3.depthwise.weight").expect("there");
        assert_eq!(depthwise.shape, [128, 1, 3, 3]);
        let mlp = graph(ModelConfig::Mlp { hidden: vec![7, 5] });
        assert_eq!((mlp.parameter_count(), mlp.shape(mlp.output())), (3073 * 7 + 8 * 5 + 6 * 10, &[10][..]));
    }

    #[test]
    fn depths_that_there_are_none_of_are_refused() {
        for (model, wanted) in [
            (ModelConfig::Resnet { depth: 18, width: 16 }, "found a depth of 18, expected 6 n + 2"),
            (ModelConfig::Resnet { depth: 2, width: 16 }, "such as 20"),
            (ModelConfig::WideResnet { depth: 20, widen: 2 }, "expected 6 n + 4 with n from 1, such as 22"),
            (ModelConfig::Vgg { depth: 12, width: 64 }, "expected one of [11, 13, 16, 19]"),
        ] {
            let found = model.fault().expect("no such depth");
            assert!(found.contains(wanted), "{found}");
        }
    }

    #[test]
    fn sizes_without_sense_are_named() {
        let fault = |width| ModelConfig::Lenet { width }.graph([1, 28, 28], 10).expect_err("no size").to_string();
        assert!(fault(0).starts_with("`model`: node `conv1` (conv2d, 0 filters of 3x3): expected at least one filter"));
        ModelConfig::Lenet { width: 95 }.graph([1, 28, 28], 10).expect("just fits");
        for (width, most) in [(96, "536870912"), (300, "536870912"), (usize::MAX, "268435456")] {
            let said = fault(width);
            assert!(
                said.starts_with("`model`: node `") && said.ends_with(&format!("expected at most {most}")),
                "{said}"
            );
        }
        let small = ModelConfig::Lenet5 {}.graph([1, 12, 12], 10).expect_err("too small").to_string();
        assert!(small.starts_with("`model`: node `conv2`") && small.ends_with("found [20, 4, 4]"), "{small}");
    }
}
