//! Prunes a network that Secateur has never seen: a small residual network with batch normalisation, in a training loop
//! of its own, on made-up pictures. `docs/prune-your-module.md` walks through it.
//!
//! `cargo run --release -p secateur-pruner --example prune_your_module`

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData, activation::relu};
use secateur_pruner::{
    Criterion, Error, MaskSet, Rule, Scope, Selection, Targets, fold_masks, forget_pruned, mask_selected, masks, prune,
};

/// Two 3x3 convolutions beside a shortcut.
#[derive(Module, Debug)]
pub struct Block {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
}

impl Block {
    fn new(channels: usize, device: &Device) -> Self {
        let conv = || conv3x3(channels, channels, device);
        let norm = || BatchNormConfig::new(channels).init(device);
        Self { conv1: conv(), norm1: norm(), conv2: conv(), norm2: norm() }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let inner = relu(self.norm1.forward(self.conv1.forward(input.clone())));
        relu(input + self.norm2.forward(self.conv2.forward(inner)))
    }
}

/// A residual network for pictures of 8x8 pixels in four classes.
#[derive(Module, Debug)]
pub struct SmallResNet {
    stem: Conv2d,
    norm: BatchNorm,
    blocks: Vec<Block>,
    head: Linear,
}

impl SmallResNet {
    /// A network with 8 channels and two blocks.
    pub fn new(device: &Device) -> Self {
        Self {
            stem: conv3x3(1, 8, device),
            norm: BatchNormConfig::new(8).init(device),
            blocks: (0..2).map(|_| Block::new(8, device)).collect(),
            head: LinearConfig::new(8, 4).init(device),
        }
    }

    /// Logits `[batch, 4]` of pictures `[batch, 1, 8, 8]`.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        let stem = relu(self.norm.forward(self.stem.forward(pictures)));
        let features = self.blocks.iter().fold(stem, |features, block| block.forward(features));
        self.head.forward(features.mean_dim(3).mean_dim(2).flatten(1, 3))
    }
}

fn conv3x3(inputs: usize, outputs: usize, device: &Device) -> Conv2d {
    let config = Conv2dConfig::new([inputs, outputs], [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
    config.with_bias(false).init(device)
}

/// 32 pictures of stripes, rising, falling, lying or standing, with some noise; the same for the same `number`.
pub fn batch(number: u32, device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let (mut pixels, mut labels) = (vec![], vec![]);
    for picture in 0..32 {
        let (class, phase) = (picture % 4, (number + picture / 4) % 4);
        labels.push(i64::from(class));
        for pixel in 0..64 {
            let (row, column) = (pixel / 8, pixel % 8);
            let along = [row + column, row + 8 - column, row, column][class as usize];
            let noise = (number * 2048 + picture * 64 + pixel).wrapping_mul(2_654_435_761) >> 24;
            pixels.push(((along + phase) / 2 % 2) as f32 + noise as f32 / 256.0 - 1.0);
        }
    }
    let pictures = Tensor::from_data(TensorData::new(pixels, [32, 1, 8, 8]), device);
    (pictures, Tensor::from_data(TensorData::new(labels, [32]), device))
}

/// One's own training loop: nothing in it knows of pruning. Returns the mean loss of the last ten batches, too.
pub fn train(
    mut net: SmallResNet,
    optimizer: &mut ModuleOptimizer,
    batches: std::ops::Range<u32>,
    device: &Device,
) -> (SmallResNet, f32) {
    let mut losses = vec![];
    for number in batches {
        let (pictures, labels) = batch(number, device);
        let loss = CrossEntropyLossConfig::new().init(device).forward(net.forward(pictures), labels);
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        net = optimizer.step(0.003, net, gradients);
    }
    let last = &losses[losses.len().saturating_sub(10)..];
    (net, last.iter().sum::<f32>() / last.len() as f32)
}

/// What [`train_and_prune`] hands back.
pub struct Pruned {
    /// The network, without masks.
    pub net: SmallResNet,
    /// What lives in it.
    pub masks: MaskSet,
    /// Mean loss when it was dense, and after the last stage of training.
    pub losses: [f32; 2],
}

/// Trains, prunes to 90 % in five steps with training after each, and folds the masks.
pub fn train_and_prune(device: &Device) -> Result<Pruned, Error> {
    let mut optimizer = AdamConfig::new().init();
    let (net, dense) = train(SmallResNet::new(device), &mut optimizer, 0..60, device);

    // Pruning starts here.
    let weights = Selection { include: vec!["*.weight".into()], exclude: vec!["stem.*".into()] };
    let targets = Targets::by(5, |done| 0.9 * (1.0 - (1.0 - done).powi(3)))?;
    let (mut net, mut loss) = (mask_selected(net, &weights)?, dense);
    for (step, sparsity) in (0..).zip(targets.shares) {
        let rule = Rule::new(Criterion::L1, Scope::Global, sparsity);
        (net, _) = prune(net, rule)?;
        optimizer = forget_pruned(optimizer, &net)?;
        (net, loss) = train(net, &mut optimizer, 60 + 30 * step..90 + 30 * step, device);
    }
    let (masks, net) = (masks(&net), fold_masks(net));
    // Pruning ends here.

    Ok(Pruned { net, masks, losses: [dense, loss] })
}

fn main() -> Result<(), Error> {
    let device = Device::flex().autodiff();
    let Pruned { net, masks, losses: [dense, pruned] } = train_and_prune(&device)?;
    println!("{} of {} weights are zero", masks.pruned(), masks.total());
    for (name, mask) in masks.iter() {
        println!("  {name}: {} of {} kept", mask.kept(), mask.total());
    }
    println!("loss {dense:.4} when dense, {pruned:.4} when pruned");
    // Without gradients normalisation uses its running statistics; burn's own `save_file` would store this network.
    let plain = Device::flex();
    let (pictures, labels) = batch(1000, &plain);
    let right = net.valid().forward(pictures).argmax(1).flatten::<1>(0, 1).equal(labels).int().sum();
    println!("{} of 32 new pictures are told right", right.into_scalar::<i64>());
    Ok(())
}
