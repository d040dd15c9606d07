//! Graphs with the weights of burn modules against burn's own answers.

use crate::config::DataConfig;
use crate::data;
use crate::models::testing;
use crate::{ModelConfig, Net, seed, weights_of};
use burn::module::{Module, Param, RunningState};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AvgPool2dConfig, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData, activation};
use secateur_graph::{Activation, Builder, Graph, Op, Pool};
use secateur_pruner::{Mask, MaskSet, Parameter, attach_masks, set_masks, set_parameters};
use secateur_sparse::Trained;
use std::path::Path;
use std::sync::Arc;

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn drawn(count: usize, purpose: u64) -> Vec<f32> {
    let mut numbers = seed::stream(1, "lower", purpose);
    (0..count).map(|_| 2.0 * numbers.unit_f32() - 1.0).collect()
}

/// The largest difference between a network's answers and these logits, computed on two threads.
fn apart(network: &Trained, images: &[f32], logits: &[f32]) -> f32 {
    let pixels: usize = network.input().iter().product();
    let answers = logits.len() / (images.len() / pixels);
    let half = images.len() / pixels / 2;
    let part = |images: &[f32], logits: &[f32]| {
        let each = images.chunks(pixels).zip(logits.chunks(answers)).flat_map(|(image, logits)| {
            let found = network.forward(image);
            assert_eq!(found.len(), logits.len());
            found.into_iter().zip(logits).map(|(a, b)| (a - b).abs()).collect::<Vec<_>>()
        });
        each.fold(0f32, |most, own| if own.is_nan() || own > most { own } else { most })
    };
    let ((a, b), (c, d)) = (images.split_at(half * pixels), logits.split_at(half * answers));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| part(a, c));
        part(b, d).max(first.join().expect("it has only counted"))
    })
}

/// One fully connected layer, under the name that a graph's node has.
#[derive(Module, Debug)]
struct Single {
    fc: Linear,
}

fn single(inputs: usize, outputs: usize) -> Graph {
    let linear = Op::Linear(secateur_graph::Linear::new(outputs));
    Graph::sequential(&[inputs], [("fc", linear)]).expect("fits")
}

#[test]
fn masks_are_folded_in() {
    let module = Single { fc: LinearConfig::new(4, 2).init(&Device::flex()) };
    let module = attach_masks(module, &["fc.weight"]).expect("it has that parameter");
    let weight = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let values = [("fc.weight", vec![4, 2], weight.to_vec()), ("fc.bias", vec![2], vec![0.5, 0.25])];
    let values = values.map(|(name, shape, values)| Parameter { name: name.into(), shape, values });
    let module = set_parameters(module, &values).expect("they fit");
    // burn keeps `[in, out]`: output 1 loses all its weights.
    let masks = MaskSet::new(vec![("fc.weight".to_owned(), Mask::from_fn(&[4, 2], |index| index % 2 != 1))]);
    let module = set_masks(module, &masks).expect("they fit");
    let weights = weights_of(&module, &single(4, 2)).expect("it fits");
    assert_eq!(weights.get("fc.weight"), [1.0, 3.0, 5.0, 7.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(weights.get("fc.bias"), [0.5, 0.25]);
}

#[test]
fn parameters_that_do_not_belong_together_are_named() {
    let module = Single { fc: LinearConfig::new(4, 2).init(&Device::flex()) };
    let refused = |graph: &Graph| weights_of(&module, graph).expect_err("another network").to_string();
    assert_eq!(refused(&single(4, 3)), "`fc.weight` of the module: expected [3, 4], found [2, 4]");
    let other = Op::Linear(secateur_graph::Linear::new(2));
    let other = Graph::sequential(&[4], [("head", other)]).expect("fits");
    assert_eq!(refused(&other), "`head.weight` of the module: expected [2, 4], found none");
    let without = Op::Linear(secateur_graph::Linear { bias: false, ..secateur_graph::Linear::new(2) });
    let without = Graph::sequential(&[4], [("fc", without)]).expect("fits");
    assert_eq!(refused(&without), "`fc.bias` of the module: expected none, as the graph, found [2]");
}

#[test]
fn it_answers_as_burn_does_on_the_whole_test_set() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/mnist");
    let config = DataConfig { dir, validation: 0, ..DataConfig::default() };
    let dataset = data::load(&config, 1).expect("the shipped files");
    let split = dataset.test_split();
    let indices: Vec<u32> = (0..split.len() as u32).collect();
    let (graph, weights) = testing::model(ModelConfig::Lenet { width: 1 }, 1);
    let net = Net::new(&Arc::new(graph.clone()), &weights, &Device::flex()).expect("images and features");
    let mut images = vec![];
    let mut logits: Vec<f32> = vec![];
    for indices in indices.chunks(1000) {
        let pixels = split.gather(indices).pixels;
        images.extend_from_slice(&pixels);
        let batch = tensor(pixels, [indices.len(), 1, 28, 28], &Device::flex());
        logits.extend(net.forward(batch).into_data().iter::<f32>());
    }
    assert_eq!((images.len(), logits.len()), (10_000 * 784, 100_000));
    let (network, _) = Trained { graph, weights }.compacted();
    let own = apart(&network, &images, &logits);
    assert!(own <= 1e-4, "differs by {own}");
}

/// Padding, strides, batch normalisation of channels and of features, both kinds of pooling.
#[derive(Module, Debug)]
struct Sequential {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    conv3: Conv2d,
    fc1: Linear,
    norm2: BatchNorm,
    fc2: Linear,
}

impl Sequential {
    fn new(device: &Device) -> Self {
        let norm = |features: usize, purpose: u64| {
            let values = |place: u64| drawn(features, 10 * purpose + place);
            let positive: Vec<f32> = values(0).into_iter().map(|value| value.abs() + 0.1).collect();
            BatchNorm {
                gamma: Param::from_tensor(tensor(values(1), [features], device)),
                beta: Param::from_tensor(tensor(values(2), [features], device)),
                running_mean: RunningState::new(tensor(values(3), [features], device)),
                running_var: RunningState::new(tensor(positive, [features], device)),
                ..BatchNormConfig::new(features).init(device)
            }
        };
        let conv = |channels, kernel: usize, stride: usize, padding, purpose: u64| {
            let config = Conv2dConfig::new(channels, [kernel; 2]).with_stride([stride; 2]).with_padding(padding);
            let own = config.init(device);
            let shape = own.weight.dims();
            let weight = Param::from_tensor(tensor(drawn(shape.iter().product(), 100 + purpose), shape, device));
            let bias = Some(Param::from_tensor(tensor(drawn(channels[1], 200 + purpose), [channels[1]], device)));
            Conv2d { weight, bias, ..own }
        };
        let linear = |inputs: usize, outputs: usize, purpose: u64| Linear {
            weight: Param::from_tensor(tensor(drawn(inputs * outputs, 300 + purpose), [inputs, outputs], device)),
            bias: None,
        };
        Self {
            conv1: conv([2, 5], 3, 2, PaddingConfig2d::Explicit(1, 1, 1, 1), 1),
            norm1: norm(5, 1),
            conv2: conv([5, 7], 3, 1, PaddingConfig2d::Same, 2),
            conv3: conv([7, 4], 2, 1, PaddingConfig2d::Valid, 3),
            fc1: linear(4 * 2 * 2, 6, 1),
            norm2: norm(6, 2),
            fc2: linear(6, 3, 2),
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let first = activation::relu(self.norm1.forward(self.conv1.forward(images)));
        let second = activation::relu(self.conv2.forward(AvgPool2dConfig::new([2, 2]).init().forward(first)));
        let third = MaxPool2dConfig::new([2, 2]).init().forward(self.conv3.forward(second));
        let features = self.norm2.forward(self.fc1.forward(third.flatten(1, 3)));
        self.fc2.forward(activation::relu(features))
    }

    fn graph(input: &[usize]) -> Graph {
        let conv = |outputs, kernel| secateur_graph::Conv2d::new(outputs, kernel);
        let linear =
            |outputs| Op::Linear(secateur_graph::Linear { bias: false, ..secateur_graph::Linear::new(outputs) });
        let (norm, relu) =
            (|| Op::BatchNorm(secateur_graph::BatchNorm::default()), || Op::Activation(Activation::Relu));
        let ops = [
            ("conv1", Op::Conv2d(conv(5, 3).stride(2).padding(1))),
            ("norm1", norm()),
            ("relu1", relu()),
            ("mean", Op::Pool(Pool::average(2))),
            ("conv2", Op::Conv2d(conv(7, 3).padding(1))),
            ("relu2", relu()),
            ("conv3", Op::Conv2d(conv(4, 2))),
            ("max", Op::Pool(Pool::max(2))),
            ("flat", Op::Flatten),
            ("fc1", linear(6)),
            ("norm2", norm()),
            ("relu3", relu()),
            ("fc2", linear(3)),
        ];
        Graph::sequential(input, ops).expect("fits")
    }
}

#[test]
fn it_answers_as_burn_does_with_padding_strides_norms_and_averages() {
    let device = Device::flex();
    let module = Sequential::new(&device);
    // 23 x 22 -> 12 x 11 -> 6 x 5 -> 6 x 5 -> 5 x 4 -> 2 x 2.
    let graph = Sequential::graph(&[2, 23, 22]);
    let weights = weights_of(&module, &graph).expect("the same layers");
    let network = Trained { graph, weights };
    let images = drawn(20 * 2 * 23 * 22, 7);
    let logits: Vec<f32> =
        module.forward(tensor(images.clone(), [20, 2, 23, 22], &device)).into_data().iter::<f32>().collect();
    let scale = logits.iter().fold(1f32, |most, logit| most.max(logit.abs()));
    let (smaller, _) = network.compacted();
    for network in [&network, &smaller] {
        let own = apart(network, &images, &logits);
        assert!(own <= 1e-4 * scale, "differs by {own} of {scale}");
    }
    let norms =
        |network: &Trained| network.graph.nodes().iter().filter(|own| matches!(own.op, Op::BatchNorm(_))).count();
    assert_eq!((norms(&network), norms(&smaller)), (2, 0));
}

/// A residual block with groups and dilation, which no chain of layers has.
#[derive(Module, Debug)]
struct Residual {
    blocks: Vec<Conv2d>,
    head: Linear,
}

impl Residual {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let inner = self.blocks[1].forward(activation::relu(self.blocks[0].forward(images.clone())));
        self.head.forward(activation::relu(images + inner).mean_dim(3).mean_dim(2).flatten(1, 3))
    }

    fn graph() -> Graph {
        let mut net = Builder::new(&[4, 7, 6]).expect("a shape");
        let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
        let conv = secateur_graph::Conv2d::new(4, 3);
        let dilated = secateur_graph::Window { dilation: [2, 1], padding: [2, 1], ..conv.window };
        let relu = || Op::Activation(Activation::Relu);
        add("blocks.0", Op::Conv2d(conv.padding(1).groups(2)), &["input"]);
        add("relu1", relu(), &["blocks.0"]);
        add("blocks.1", Op::Conv2d(secateur_graph::Conv2d { window: dilated, ..conv }), &["relu1"]);
        add("sum", Op::Add, &["blocks.1", "input"]);
        add("relu2", relu(), &["sum"]);
        add("mean", Op::GlobalAveragePool, &["relu2"]);
        add("flat", Op::Flatten, &["mean"]);
        add("head", Op::Linear(secateur_graph::Linear::new(3)), &["flat"]);
        net.finish()
    }
}

#[test]
fn a_residual_module_answers_as_its_graph() {
    let device = Device::flex();
    let conv = |config: Conv2dConfig| config.init(&device);
    let plain = || Conv2dConfig::new([4, 4], [3, 3]);
    let first = plain().with_groups(2).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
    let second = plain().with_dilation([2, 1]).with_padding(PaddingConfig2d::Explicit(2, 1, 2, 1));
    let module = Residual { blocks: vec![conv(first), conv(second)], head: LinearConfig::new(4, 3).init(&device) };
    let graph = Residual::graph();
    let weights = weights_of(&module, &graph).expect("the same layers");
    let images = drawn(5 * 4 * 7 * 6, 9);
    let logits = module.forward(tensor(images.clone(), [5, 4, 7, 6], &device)).into_data();
    for (image, logits) in images.chunks(4 * 7 * 6).zip(logits.iter::<f32>().collect::<Vec<_>>().chunks(3)) {
        for (found, expected) in graph.forward(&weights, image).iter().zip(logits) {
            assert!((found - expected).abs() < 1e-5, "expected {expected}, found {found}");
        }
    }
}
