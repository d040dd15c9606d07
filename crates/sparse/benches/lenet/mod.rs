//! LeNet k on made-up images with uniformly random masks: what the benchmarks time.
#![expect(dead_code, reason = "each benchmark uses its part")]

use secateur_graph::{Activation, Conv2d, Graph, Linear, Op, Pool, Weights};
use secateur_sparse::train::{ChainTrainer, Images, Kept, Options, Tensor};
use secateur_sparse::{Optimizer, Trained};

/// A network in training, and a batch for it.
pub(crate) struct Subject {
    trainer: ChainTrainer,
    pixels: Vec<u8>,
    labels: Vec<u16>,
}

/// The numbers on the command line, in their order, or what they are by default.
pub(crate) fn arguments<const N: usize>(default: [usize; N]) -> [usize; N] {
    let mut typed = std::env::args().filter_map(|arg| arg.parse().ok());
    default.map(|own| typed.next().unwrap_or(own))
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Subject {
    pub(crate) fn new(k: usize, batch: usize, density: f64, options: Options) -> Self {
        let network = lenet(k);
        let mut random = Random(1);
        let mut states: Vec<(Vec<f32>, Kept, Vec<f32>)> = vec![];
        let layers = network.layers();
        for own in &layers {
            let bound = (own.shape[0] as f32 / own.weight.len() as f32).sqrt();
            let mut kept = vec![0u8; own.weight.len().div_ceil(8)];
            for place in 0..own.weight.len() {
                kept[place / 8] |= u8::from(f64::from(random.next()) < density) << (place % 8);
            }
            let kept = Kept::new(own.weight.len(), &kept);
            let weight = (0..kept.kept()).map(|_| (random.next() * 2.0 - 1.0) * bound).collect();
            states.push((weight, kept, vec![0.0; own.shape[0]]));
        }
        let tensor = |name: &str| {
            let (layer, field) = name.split_once('.').expect("a layer and its field");
            let place = layers.iter().position(|own| own.name == layer).expect("a layer of the network");
            let (weight, kept, bias) = &states[place];
            match field {
                "weight" => Tensor { values: weight, moments: [&[], &[]], kept: Some(kept) },
                _ => Tensor { values: bias, moments: [&[], &[]], kept: None },
            }
        };
        let trainer = ChainTrainer::new(&network.graph, tensor, Optimizer::default(), 0, options).expect("a chain");
        let pixels = (0..batch * 784).map(|_| (random.next() * 255.0) as u8).collect();
        let labels = (0..batch).map(|image| (image % 10) as u16).collect();
        Self { trainer, pixels, labels }
    }

    /// Seconds of forward and backward of each layer, medians over the rounds.
    pub(crate) fn layer_times(&mut self, rounds: usize) -> Vec<[f64; 2]> {
        let table: [f32; 256] = std::array::from_fn(|byte| byte as f32 / 255.0 - 0.5);
        let rows: Vec<&[u8]> = self.pixels.chunks(784).collect();
        let mut times: Vec<Vec<[f64; 2]>> = vec![];
        for round in 0..rounds + 3 {
            let own = self.trainer.timed_step(Images::Bytes { rows: &rows, tables: &[table] }, &self.labels, 1e-3);
            if round >= 3 {
                times.push(own.into_iter().map(|own| own.times.map(|time| time.as_secs_f64())).collect());
            }
        }
        let middle = |layer: usize, way: usize| median(times.iter().map(|round| round[layer][way]).collect());
        (0..times[0].len()).map(|layer| [middle(layer, 0), middle(layer, 1)]).collect()
    }
}

/// LeNet with a width factor, all weights zero.
pub(crate) fn lenet(k: usize) -> Trained {
    let conv = |filters: usize| Op::Conv2d(Conv2d::new(filters, 3));
    let (linear, relu) = (|outputs: usize| Op::Linear(Linear::new(outputs)), || Op::Activation(Activation::Relu));
    let ops = [
        ("conv1", conv(6 * k)),
        ("relu1", relu()),
        ("pool1", Op::Pool(Pool::max(2))),
        ("conv2", conv(16 * k)),
        ("relu2", relu()),
        ("pool2", Op::Pool(Pool::max(2))),
        ("flatten", Op::Flatten),
        ("fc1", linear(120 * k)),
        ("relu3", relu()),
        ("fc2", linear(84 * k)),
        ("relu4", relu()),
        ("fc3", linear(10)),
    ];
    let graph = Graph::sequential(&[1, 28, 28], ops).expect("a LeNet fits together");
    let weights = Weights::neutral(&graph);
    Trained { graph, weights }
}

/// LeNet with a width factor, of whose weights and biases a share is kept, uniformly at random.
pub(crate) fn masked(k: usize, density: f64) -> Trained {
    let (mut random, mut own) = (Random(1), lenet(k));
    for layer in lenet(k).layers() {
        let bound = (layer.shape[0] as f32 / layer.weight.len() as f32).sqrt();
        for (field, count) in [("weight", layer.weight.len()), ("bias", layer.shape[0])] {
            let mut value =
                || if f64::from(random.next()) < density { (random.next() * 2.0 - 1.0) * bound } else { 0.0 };
            own.weights.insert(format!("{}.{field}", layer.name), (0..count).map(|_| value()).collect());
        }
    }
    own
}

/// Marsaglia's xorshift, enough for made-up numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }
}
