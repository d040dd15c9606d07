//! A network of one's own: a list of layers in a config, each of which reads the one before it or the ones that it names.

use crate::config::words;
use secateur_graph::{Activation, BatchNorm, Builder, Conv2d, Error, Graph, Linear, Op, Pool, PoolKind, Window};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most layers that a list may have.
const MOST: usize = 10_000;

/// One layer of the list. In a config: `{ op = "conv2d", outputs = 16, kernel = 3, padding = 1 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table", into = "toml::Table")]
pub struct LayerConfig {
    /// Its name; left out, the word for its kind with a number, such as `conv1`.
    pub name: Option<String>,
    /// Names of the layers that it reads, `input` for the images; left out, the layer before it.
    pub inputs: Option<Vec<String>>,
    /// What it computes.
    pub op: OpConfig,
}

/// What a layer computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OpConfig {
    /// A convolution.
    #[serde(rename = "conv2d")]
    Conv2d {
        /// Filters.
        outputs: usize,
        /// Sides of the kernel.
        kernel: Pair,
        /// Steps between positions.
        #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
        stride: Pair,
        /// Zeros on each side.
        #[serde(default, skip_serializing_if = "Pair::is_zero")]
        padding: Pair,
        /// Distance between taps.
        #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
        dilation: Pair,
        /// Groups of channels; as many as there are channels make it depthwise.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        groups: usize,
        /// Whether it has a bias.
        #[serde(default = "yes", skip_serializing_if = "is_yes")]
        bias: bool,
    },
    /// A fully connected layer.
    Linear {
        /// Outputs; left out, the number of classes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outputs: Option<usize>,
        /// Whether it has a bias.
        #[serde(default = "yes", skip_serializing_if = "is_yes")]
        bias: bool,
    },
    /// Batch normalisation.
    BatchNorm {
        /// What is added to the variance.
        #[serde(default = "epsilon")]
        epsilon: f64,
        /// Weight of a batch in the running mean and variance.
        #[serde(default = "momentum")]
        momentum: f64,
    },
    /// `max(x, 0)`.
    Relu {},
    /// `min(max(x, 0), 6)`.
    Relu6 {},
    /// `x P(X <= x)` for a standard normal X.
    Gelu {},
    /// `x / (1 + exp(-x))`.
    Silu {},
    /// `x min(max(x + 3, 0), 6) / 6`.
    HardSwish {},
    /// `1 / (1 + exp(-x))`.
    Sigmoid {},
    /// `(exp(x) - exp(-x)) / (exp(x) + exp(-x))`.
    Tanh {},
    /// `min(max(x + 3, 0), 6) / 6`.
    HardSigmoid {},
    /// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`.
    GeluTanh {},
    /// The largest value of each window.
    MaxPool {
        /// Sides of the window.
        size: Pair,
        /// Steps between windows; left out, their size.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<Pair>,
        /// Rows and columns added on each side, which are never the largest.
        #[serde(default, skip_serializing_if = "Pair::is_zero")]
        padding: Pair,
    },
    /// The mean of each window.
    AveragePool {
        /// Sides of the window.
        size: Pair,
        /// Steps between windows; left out, their size.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<Pair>,
        /// Zeros on each side.
        #[serde(default, skip_serializing_if = "Pair::is_zero")]
        padding: Pair,
    },
    /// The mean of each channel.
    GlobalAveragePool {},
    /// The sum of two layers.
    Add {},
    /// Layers one behind the other, along the channels.
    Concat {},
    /// An image to features.
    Flatten {},
    /// The same numbers in another shape.
    Reshape {
        /// Channels, rows and columns, or features.
        shape: Vec<usize>,
    },
}

/// A number for both directions, or `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Typed", into = "Typed")]
pub struct Pair([usize; 2]);

/// As a person types it.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a whole number from 0, or one for each direction, such as [3, 1]")]
enum Typed {
    Both(usize),
    Each([usize; 2]),
}

impl From<Typed> for Pair {
    fn from(typed: Typed) -> Self {
        match typed {
            Typed::Both(own) => Self([own; 2]),
            Typed::Each(own) => Self(own),
        }
    }
}

impl From<Pair> for Typed {
    fn from(Pair(own): Pair) -> Self {
        if own[0] == own[1] { Self::Both(own[0]) } else { Self::Each(own) }
    }
}

impl Pair {
    fn one() -> Self {
        Self([1; 2])
    }

    fn is_one(&self) -> bool {
        *self == Self::one()
    }

    fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

fn one() -> usize {
    1
}

fn is_one(own: &usize) -> bool {
    *own == 1
}

fn yes() -> bool {
    true
}

fn is_yes(own: &bool) -> bool {
    *own
}

fn epsilon() -> f64 {
    BatchNorm::default().epsilon
}

fn momentum() -> f64 {
    BatchNorm::default().momentum
}

/// Reads `name` and `inputs`, which every layer may have, and leaves the rest to the kind.
impl TryFrom<toml::Table> for LayerConfig {
    type Error = String;

    fn try_from(mut table: toml::Table) -> Result<Self, String> {
        let told = |table: &toml::Table| {
            let op = table.get("op").and_then(toml::Value::as_str).unwrap_or("a layer");
            table.get("name").and_then(toml::Value::as_str).map_or(op.to_owned(), |name| format!("{op} `{name}`"))
        };
        let what = told(&table);
        let name = match table.remove("name") {
            None => None,
            Some(toml::Value::String(name)) => Some(name),
            Some(other) => return Err(format!("{what}: found {} as `name`, expected a string", other.type_str())),
        };
        let inputs = match table.remove("inputs") {
            None => None,
            Some(value) => {
                let refuse = || format!("{what}: expected a list of names as `inputs`, such as [\"relu1\", \"conv3\"]");
                let names = value.as_array().ok_or_else(refuse)?.iter().map(|own| own.as_str().map(str::to_owned));
                Some(names.collect::<Option<Vec<_>>>().ok_or_else(refuse)?)
            }
        };
        match table.clone().try_into() {
            Ok(op) => Ok(Self { name, inputs, op }),
            Err(error) => Err(format!("{what}: {}", words::plain(error.message(), &faulty_key(&table, &error)))),
        }
    }
}

/// The key of a layer without which an error is another one: serde names none where a word says what kind of table it is.
fn faulty_key(table: &toml::Table, error: &toml::de::Error) -> String {
    let is_gone = |key: &&String| {
        let mut without = table.clone();
        without.remove(key.as_str());
        let left: Result<OpConfig, toml::de::Error> = without.try_into();
        left.err().is_none_or(|left| left.message() != error.message())
    };
    let names_it = ["unknown field", "missing field", "unknown variant"];
    let found = table.keys().filter(|key| *key != "op").find(is_gone);
    found.filter(|_| !names_it.iter().any(|own| error.message().starts_with(own))).cloned().unwrap_or_default()
}

/// Reads the list, and says of a layer that is at fault the number, from 1.
pub(super) fn list<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<LayerConfig>, D::Error> {
    let tables = Vec::<toml::Table>::deserialize(from)?;
    let layer = |(place, table)| {
        LayerConfig::try_from(table).map_err(|why| serde::de::Error::custom(format!("layer {}, {why}", place + 1)))
    };
    tables.into_iter().enumerate().map(layer).collect()
}

impl From<LayerConfig> for toml::Table {
    fn from(layer: LayerConfig) -> Self {
        let mut table = Self::try_from(&layer.op).expect("an operation is a table");
        table.extend(layer.name.map(|name| ("name".to_owned(), name.into())));
        table.extend(layer.inputs.map(|inputs| ("inputs".to_owned(), inputs.into())));
        table
    }
}

/// The network that a list of layers is, for images of this shape and so many classes.
pub(super) fn network(input: [usize; 3], classes: usize, layers: &[LayerConfig]) -> Result<Graph, Error> {
    let mut graph = Builder::new(&input)?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut last = "input".to_owned();
    let mut unread: BTreeSet<String> = BTreeSet::new();
    for layer in layers.iter().take(MOST + 1) {
        let count = counts.entry(layer.op.word()).or_default();
        *count += 1;
        let name = layer.name.clone().unwrap_or_else(|| format!("{}{count}", layer.op.word()));
        let inputs = layer.inputs.clone().unwrap_or_else(|| vec![last.clone()]);
        graph.add_named(&name, layer.op.op(classes), &inputs.iter().map(String::as_str).collect::<Vec<_>>())?;
        inputs.iter().for_each(|input| {
            unread.remove(input);
        });
        unread.insert(name.clone());
        last = name;
    }
    unread.remove(&last);
    let refuse = |node: &str, expected: String, found: String| {
        Err(Error::Shape { node: node.to_owned(), op: "a layer of the list".into(), expected, found })
    };
    if layers.is_empty() || layers.len() > MOST {
        return refuse(&last, format!("1 to {MOST} layers"), format!("{} of them", layers.len()));
    }
    if let Some(name) = unread.first() {
        return refuse(name, "a later layer that names it in its `inputs`".into(), "none".into());
    }
    let output = graph.find(&last).expect("the last layer was just added");
    if graph.shape(output) != [classes] {
        let found = format!("{:?}", graph.shape(output));
        return refuse(&last, format!("[{classes}] as the last layer's output, one number a class"), found);
    }
    Ok(graph.finish())
}

impl OpConfig {
    /// What a layer of this kind is called, before its number.
    fn word(&self) -> &'static str {
        match self {
            Self::Conv2d { .. } => "conv",
            Self::Linear { .. } => "fc",
            Self::BatchNorm { .. } => "bn",
            Self::Relu {} => "relu",
            Self::Relu6 {} => "relu6_",
            Self::Gelu {} => "gelu",
            Self::Silu {} => "silu",
            Self::HardSwish {} => "swish",
            Self::Sigmoid {} => "sigmoid",
            Self::Tanh {} => "tanh",
            Self::HardSigmoid {} => "hard_sigmoid",
            Self::GeluTanh {} => "gelu_tanh",
            Self::MaxPool { .. } | Self::AveragePool { .. } => "pool",
            Self::GlobalAveragePool {} => "avgpool",
            Self::Add {} => "add",
            Self::Concat {} => "concat",
            Self::Flatten {} => "flatten",
            Self::Reshape { .. } => "reshape",
        }
    }

    fn op(&self, classes: usize) -> Op {
        let pool = |kind, size: Pair, stride: Option<Pair>, padding: Pair| {
            let window =
                Window { size: size.0, stride: stride.unwrap_or(size).0, padding: padding.0, dilation: [1; 2] };
            Op::Pool(Pool { kind, window })
        };
        match self {
            Self::Conv2d { outputs, kernel, stride, padding, dilation, groups, bias } => {
                let window = Window { size: kernel.0, stride: stride.0, padding: padding.0, dilation: dilation.0 };
                Op::Conv2d(Conv2d { outputs: *outputs, window, groups: *groups, bias: *bias })
            }
            Self::Linear { outputs, bias } => Op::Linear(Linear { outputs: outputs.unwrap_or(classes), bias: *bias }),
            Self::BatchNorm { epsilon, momentum } => {
                Op::BatchNorm(BatchNorm { epsilon: *epsilon, momentum: *momentum })
            }
            Self::Relu {} => Op::Activation(Activation::Relu),
            Self::Relu6 {} => Op::Activation(Activation::Relu6),
            Self::Gelu {} => Op::Activation(Activation::Gelu),
            Self::Silu {} => Op::Activation(Activation::Silu),
            Self::HardSwish {} => Op::Activation(Activation::HardSwish),
            Self::Sigmoid {} => Op::Activation(Activation::Sigmoid),
            Self::Tanh {} => Op::Activation(Activation::Tanh),
            Self::HardSigmoid {} => Op::Activation(Activation::HardSigmoid),
            Self::GeluTanh {} => Op::Activation(Activation::GeluTanh),
            Self::MaxPool { size, stride, padding } => pool(PoolKind::Max, *size, *stride, *padding),
            Self::AveragePool { size, stride, padding } => pool(PoolKind::Average, *size, *stride, *padding),
            Self::GlobalAveragePool {} => Op::GlobalAveragePool,
            Self::Add {} => Op::Add,
            Self::Concat {} => Op::Concat,
            Self::Flatten {} => Op::Flatten,
            Self::Reshape { shape } => Op::Reshape(shape.clone()),
        }
    }

    /// What is wrong with its numbers, if anything.
    pub(super) fn fault(&self) -> Option<String> {
        let Self::BatchNorm { epsilon, momentum } = self else { return None };
        if !(1e-12..=1.0).contains(epsilon) {
            return Some(format!("found an epsilon of {epsilon}, expected from 1e-12 to 1, such as 1e-5"));
        }
        (!(0.0..=1.0).contains(momentum)).then(|| format!("found a momentum of {momentum}, expected 0 to 1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The network of a list in TOML for images of 3 x 8 x 8 and 5 classes.
    fn read(list: &str) -> Result<Graph, String> {
        #[derive(Deserialize)]
        struct Document {
            #[serde(deserialize_with = "super::list")]
            layers: Vec<LayerConfig>,
        }
        let document: Document = toml::from_str(list).map_err(|error| error.to_string())?;
        network([3, 8, 8], 5, &document.layers).map_err(|error| error.to_string())
    }

    const RESIDUAL: &str = r#"
        layers = [
            { op = "conv2d", outputs = 4, kernel = 3, padding = 1, bias = false },
            { op = "batch-norm" },
            { op = "relu", name = "stem" },
            { op = "conv2d", outputs = 4, kernel = [3, 1], padding = [1, 0] },
            { op = "add", inputs = ["conv2", "stem"] },
            { op = "max-pool", size = 2 },
            { op = "global-average-pool" },
            { op = "flatten" },
            { op = "linear" },
        ]
    "#;

    #[test]
    fn a_list_with_a_shortcut_is_a_graph() {
        let graph = read(RESIDUAL).expect("fits");
        let names: Vec<&str> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["conv1", "bn1", "stem", "conv2", "add1", "pool1", "avgpool1", "flatten1", "fc1"]);
        assert_eq!(graph.shape(graph.output()), [5]);
        assert_eq!(graph.parameter("conv2.weight").expect("there").shape, [4, 4, 3, 1]);
        assert!(graph.parameter("conv1.bias").is_none());
    }

    #[test]
    fn a_list_survives_being_written() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Document {
            layers: Vec<LayerConfig>,
        }
        let document: Document = toml::from_str(RESIDUAL).expect("valid");
        let text = toml::to_string(&document).expect("plain data");
        assert_eq!(toml::from_str::<Document>(&text).expect("just written"), document);
        let json = serde_json::to_string(&document).expect("plain data");
        assert_eq!(serde_json::from_str::<Document>(&json).expect("just written"), document);
    }

    #[test]
    fn what_does_not_fit_is_told_with_the_layer() {
        let with = |line: &str| read(&format!("layers = [\n{line}\n]")).expect_err(line);
        for (line, wanted) in [
            ("", "expected 1 to 10000 layers, found 0 of them"),
            ("{ op = \"flatten\" }", "node `flatten1`"),
            ("{ op = \"flatten\" }, { op = \"linear\", outputs = 4 }", "expected [5] as the last layer's output"),
            ("{ op = \"conv2d\", outputs = 4, kernel = 9 }", "an image that a window of 9x9 fits in, found [3, 8, 8]"),
            ("{ op = \"conv2d\", outputs = 4 }", "layer 1, conv2d: the key `kernel` is missing"),
            ("{ op = \"relu\" }, { op = \"relu\", kernel = 4 }", "layer 2, relu: unknown key `kernel`"),
            ("{ op = \"batchnorm\" }", "found `batchnorm`, did you mean `batch-norm`?"),
            (
                "{ op = \"conv2d\", name = \"c\", outputs = -3, kernel = 3 }",
                "conv2d `c`: `outputs`: found -3, expected a whole number",
            ),
            (
                "{ op = \"conv2d\", outputs = 3, kernel = \"x\" }",
                "conv2d: `kernel`: expected a whole number from 0, or one for each",
            ),
            ("{ op = \"batch-norm\", epsilon = true }", "batch-norm: `epsilon`: found true, expected a number"),
            ("{ name = \"x\" }", "layer 1, a layer `x`: the key `op` is missing"),
            ("{ op = \"add\", inputs = \"input\" }", "add: expected a list of names as `inputs`"),
            ("{ op = \"relu\", inputs = [\"later\"] }, { op = \"relu\", name = \"later\" }", "reads `later`"),
            ("{ op = \"relu\", name = \"input\" }", "the name is that of the input"),
            ("{ op = \"relu\", name = \"a\" }, { op = \"relu\", name = \"a\" }", "two nodes have this name"),
            (
                "{ op = \"relu\", name = \"lost\" }, { op = \"flatten\", inputs = [\"input\"] }, { op = \"linear\" }",
                "node `lost` (a layer of the list): expected a later layer that names it in its `inputs`, found none",
            ),
        ] {
            let found = with(line);
            assert!(found.contains(wanted), "{line}: {found}");
        }
    }
}
