//! Below which share of kept weights a layer is faster with its kept weights only.

use super::{Images, Kept, LayerState, Options, Tensor, Trainer};
use crate::{InstructionSet, Layer, Network, Optimizer};
use std::time::{Duration, Instant};

/// Shares of kept weights below which a layer holds only those; 0 for never, 2 for always.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossovers {
    /// Of a convolution; one and a half times as much for those of a graph.
    pub conv: f64,
    /// Of a fully connected layer.
    pub linear: f64,
}

impl Crossovers {
    /// Every layer has all of its weights.
    pub const DENSE: Self = Self { conv: 0.0, linear: 0.0 };
    /// Every layer has its kept weights only.
    pub const SPARSE: Self = Self { conv: 2.0, linear: 2.0 };

    /// The table: a little below what `cargo bench -p secateur-sparse --bench crossover` measured, since a layer that is
    /// sparse too late loses less than one that is sparse too early. A constant, so that a run's bytes do not depend on a
    /// clock.
    pub fn table(set: InstructionSet) -> Self {
        match set {
            InstructionSet::Avx512 => Self { conv: 0.22, linear: 0.45 },
            InstructionSet::Avx2 => Self { conv: 0.23, linear: 0.33 },
            InstructionSet::Portable => Self { conv: 0.4, linear: 0.6 },
        }
    }

    /// Measures them on this machine, in a few seconds, on layers of the size of LeNet's at k = 5.
    pub fn measure(threads: usize, instruction_set: InstructionSet) -> Self {
        let options = |crossovers| Options { threads, instruction_set, crossovers, compact: true };
        let find = |network: &Network| {
            let time = |density, crossovers| time_step(network, density, options(crossovers));
            let mut before: Option<(f64, f64)> = None;
            // From few weights to many: the first density at which all weights are faster, and the one before.
            for density in [0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8] {
                let ratio = time(density, Self::SPARSE) / time(density, Self::DENSE);
                if ratio >= 1.0 {
                    let (last, below) = before.unwrap_or((0.0, 0.0));
                    return last + (density - last) * (1.0 - below) / (ratio - below);
                }
                before = Some((density, ratio));
            }
            1.0
        };
        Self { conv: find(&conv_network()), linear: find(&linear_network()) }
    }
}

/// Images of a measured step.
const BATCH: usize = 128;

/// LeNet's second convolution; what stands around it costs little.
fn conv_network() -> Network {
    let pool = || Layer::MaxPool2d { size: 2 };
    let layers = vec![
        Layer::conv("a", 1, 30, 3),
        Layer::Relu,
        pool(),
        Layer::conv("measured", 30, 80, 3),
        Layer::Relu,
        pool(),
        Layer::Flatten,
        Layer::linear("c", 2000, 10),
    ];
    Network::new([1, 28, 28], layers).expect("fits together")
}

/// LeNet's first fully connected layer; what stands around it costs little.
fn linear_network() -> Network {
    let layers = vec![
        Layer::Flatten,
        Layer::linear("a", 16, 2000),
        Layer::Relu,
        Layer::linear("measured", 2000, 600),
        Layer::Relu,
        Layer::linear("c", 600, 10),
    ];
    Network::new([1, 4, 4], layers).expect("fits together")
}

/// Seconds of a training step, the median of some; the `measured` layer keeps a share of its weights, evenly spread.
fn time_step(network: &Network, density: f64, options: Options) -> f64 {
    // Marsaglia's xorshift, enough for made-up numbers.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let states: Vec<(Vec<f32>, Kept, Vec<f32>)> = network
        .parameters()
        .map(|own| {
            let bound = (own.bias.len() as f32 / own.weight.len() as f32).sqrt();
            let mut kept = vec![u8::MAX; own.weight.len().div_ceil(8)];
            for place in (0..own.weight.len()).filter(|_| own.name == "measured") {
                if f64::from(random()) >= density {
                    kept[place / 8] &= !(1 << (place % 8));
                }
            }
            let kept = Kept::new(own.weight.len(), &kept);
            let weight = (0..kept.kept()).map(|_| (2.0 * random() - 1.0) * bound).collect();
            (weight, kept, vec![0.0; own.bias.len()])
        })
        .collect();
    let plain = |values| Tensor { values, moments: [&[], &[]], kept: None };
    let states: Vec<LayerState<'_>> = states
        .iter()
        .map(|(weight, kept, bias)| LayerState {
            weight: Tensor { kept: Some(kept), ..plain(weight) },
            bias: plain(bias),
        })
        .collect();
    let mut trainer = Trainer::new(network, &states, Optimizer::default(), 0, options).expect("a network of this room");
    let pixels: usize = network.input().iter().product();
    let images: Vec<u8> = (0..BATCH * pixels).map(|_| (random() * 255.0) as u8).collect();
    let rows: Vec<&[u8]> = images.chunks(pixels).collect();
    let labels = [0u16; BATCH];
    let table: [f32; 256] = std::array::from_fn(|byte| byte as f32 / 255.0 - 0.5);
    let mut step = || {
        let began = Instant::now();
        trainer.forward(Images::Bytes { rows: &rows, tables: &[table] });
        trainer.backward(&labels, 1e-4);
        began.elapsed()
    };
    step();
    let mut times: [Duration; 7] = std::array::from_fn(|_| step());
    times.sort();
    times[3].as_secs_f64()
}
