//! Lowered modules against burn's own answers.

use crate::config::DataConfig;
use crate::data;
use crate::models::testing;
use crate::{Error, Lowering, ModelConfig, Net, seed};
use burn::module::{Module, Param, RunningState};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AvgPool2dConfig, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData, activation};
use secateur_pruner::{Mask, MaskSet, Parameter, attach_masks, set_masks, set_parameters};
use secateur_sparse::{Layer, Network, compact};
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
fn apart(network: &Network, images: &[f32], logits: &[f32]) -> f32 {
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

#[test]
fn masks_are_folded_in() {
    let device = Device::flex();
    let layer = LinearConfig::new(4, 2).init(&device);
    let layer = attach_masks(layer, &["weight"]).expect("it has that parameter");
    let weight = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let values = [("weight", vec![4, 2], weight.to_vec()), ("bias", vec![2], vec![0.5, 0.25])];
    let values = values.map(|(name, shape, values)| Parameter { name: name.into(), shape, values });
    let layer = set_parameters(layer, &values).expect("they fit");
    // burn keeps `[in, out]`: output 1 loses all its weights.
    let masks = MaskSet::new(vec![("weight".to_owned(), Mask::from_fn(&[4, 2], |index| index % 2 != 1))]);
    let layer = set_masks(layer, &masks).expect("they fit");
    let lowered = Lowering::new([4, 1, 1]).linear("fc", &layer).expect("it fits").finish();
    let Some(Layer::Linear(own)) = lowered.layers().first() else { panic!("it is linear") };
    assert_eq!((&own.weight[..], &own.bias[..]), (&[1.0, 3.0, 5.0, 7.0, 0.0, 0.0, 0.0, 0.0][..], &[0.5, 0.25][..]));
}

#[test]
fn it_answers_as_burn_does_on_the_whole_test_set() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/mnist");
    let config = DataConfig { dir, validation: 0, ..DataConfig::default() };
    let dataset = data::load(&config, 1).expect("the shipped files");
    let split = dataset.test_split();
    let indices: Vec<u32> = (0..split.len() as u32).collect();
    let (graph, weights) = testing::model(ModelConfig::Lenet { width: 1 }, 1);
    let network = compact(&Network::from_graph(&graph, &weights).expect("a chain")).network;
    let net = Net::new(&Arc::new(graph), &weights, &Device::flex()).expect("images and features");
    let mut images = vec![];
    let mut logits: Vec<f32> = vec![];
    for indices in indices.chunks(1000) {
        let pixels = split.gather(indices).pixels;
        images.extend_from_slice(&pixels);
        let batch = tensor(pixels, [indices.len(), 1, 28, 28], &Device::flex());
        logits.extend(net.forward(batch).into_data().iter::<f32>());
    }
    assert_eq!((images.len(), logits.len()), (10_000 * 784, 100_000));
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

    fn lower(&self, input: [usize; 3]) -> Result<Network, Error> {
        let first = Lowering::new(input).conv2d("conv1", &self.conv1)?.batch_norm("norm1", &self.norm1)?.relu();
        let second = first.avg_pool2d(&AvgPool2dConfig::new([2, 2]).init())?.conv2d("conv2", &self.conv2)?.relu();
        let third = second.conv2d("conv3", &self.conv3)?.max_pool2d(&MaxPool2dConfig::new([2, 2]).init())?;
        let features = third.flatten().linear("fc1", &self.fc1)?.batch_norm("norm2", &self.norm2)?;
        Ok(features.relu().linear("fc2", &self.fc2)?.finish())
    }
}

#[test]
fn it_answers_as_burn_does_with_padding_strides_norms_and_averages() {
    let device = Device::flex();
    let module = Sequential::new(&device);
    // 23 x 22 -> 12 x 11 -> 6 x 5 -> 6 x 5 -> 5 x 4 -> 2 x 2.
    let network = module.lower([2, 23, 22]).expect("a network can say it");
    let images = drawn(20 * 2 * 23 * 22, 7);
    let logits: Vec<f32> =
        module.forward(tensor(images.clone(), [20, 2, 23, 22], &device)).into_data().iter::<f32>().collect();
    let scale = logits.iter().fold(1f32, |most, logit| most.max(logit.abs()));
    for network in [&network, &compact(&network).network] {
        let own = apart(network, &images, &logits);
        assert!(own <= 1e-4 * scale, "differs by {own} of {scale}");
    }
    let norms = |network: &Network| network.layers().iter().filter(|layer| matches!(layer, Layer::Affine(_))).count();
    assert_eq!((norms(&network), norms(&compact(&network).network)), (2, 0));
}

#[test]
fn what_a_network_cannot_say_is_named() {
    let device = Device::flex();
    let plain = || Conv2dConfig::new([2, 2], [3, 3]);
    let conv = |config: Conv2dConfig| {
        let refused = Lowering::new([2, 8, 8]).conv2d("conv1", &config.init(&device));
        refused.expect_err("no network can say it").to_string()
    };
    assert_eq!(conv(plain().with_groups(2)), "layer `conv1` has 2 groups, wanted 1");
    assert_eq!(conv(plain().with_dilation([1, 2])), "layer `conv1` has a dilation of [1, 2], wanted [1, 1]");
    assert!(conv(plain().with_stride([1, 2])).contains("a stride of [1, 2], wanted the same in both directions"));
    assert!(conv(Conv2dConfig::new([2, 2], [3, 5])).contains("a kernel of [3, 5]"));
    let uneven = plain().with_padding(PaddingConfig2d::Explicit(1, 0, 1, 0));
    assert!(conv(uneven).contains("a padding of [1, 0, 1, 0] (top, left, bottom, right)"));
    let same = Conv2dConfig::new([2, 2], [2, 2]).with_padding(PaddingConfig2d::Same);
    assert!(conv(same).contains("a padding of [0, 0, 1, 1]"));
    assert!(conv(Conv2dConfig::new([3, 2], [3, 3])).contains("takes 3 channels"));

    let pool = |config: MaxPool2dConfig| Lowering::new([2, 7, 7]).max_pool2d(&config.init());
    let refused = |config| pool(config).expect_err("no network can say it").to_string();
    assert!(
        refused(MaxPool2dConfig::new([3, 3]).with_strides([2, 2])).contains("windows of [3, 3] at a stride of [2, 2]")
    );
    assert!(refused(MaxPool2dConfig::new([2, 3]).with_strides([2, 3])).contains("a window of [2, 3]"));
    let padded = MaxPool2dConfig::new([2, 2]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
    assert_eq!(refused(padded), "layer `max-pool` has a padding of 1, wanted 0");
    assert!(refused(MaxPool2dConfig::new([2, 2]).with_ceil_mode(true)).contains("only partly filled"));
    assert!(refused(MaxPool2dConfig::new([2, 2]).with_dilation([2, 2])).contains("a dilation of [2, 2]"));
    assert!(pool(MaxPool2dConfig::new([7, 7]).with_ceil_mode(true)).is_ok(), "every window is filled");
    let overlapping = AvgPool2dConfig::new([2, 2]).with_strides([1, 1]).init();
    let refused = Lowering::new([2, 7, 7]).avg_pool2d(&overlapping).expect_err("no network can say it").to_string();
    assert!(refused.starts_with("layer `average pooling` has windows of [2, 2]"), "{refused}");
}
