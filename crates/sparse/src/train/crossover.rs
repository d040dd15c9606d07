//! Below which share of kept weights a layer is faster with its kept weights only.

use super::{ChainTrainer, Images, Kept, Options, Tensor};
use crate::{InstructionSet, Optimizer};
use secateur_graph::{Activation, Conv2d, Graph, Linear, Op, Pool};
use std::collections::BTreeMap;
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
        let find = |graph: &Graph| {
            let time = |density, crossovers| time_step(graph, density, options(crossovers));
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
        Self { conv: find(&conv_graph()), linear: find(&linear_graph()) }
    }
}

/// Images of a measured step.
const BATCH: usize = 128;

/// LeNet's second convolution; what stands around it costs little.
fn conv_graph() -> Graph {
    graph(
        &[1, 28, 28],
        [
            ("a", Op::Conv2d(Conv2d::new(30, 3))),
            ("relu1", Op::Activation(Activation::Relu)),
            ("pool1", Op::Pool(Pool::max(2))),
            ("measured", Op::Conv2d(Conv2d::new(80, 3))),
            ("relu2", Op::Activation(Activation::Relu)),
            ("pool2", Op::Pool(Pool::max(2))),
            ("flatten", Op::Flatten),
            ("c", Op::Linear(Linear::new(10))),
        ],
    )
}

/// LeNet's first fully connected layer; what stands around it costs little.
fn linear_graph() -> Graph {
    graph(
        &[16],
        [
            ("a", Op::Linear(Linear::new(2000))),
            ("relu1", Op::Activation(Activation::Relu)),
            ("measured", Op::Linear(Linear::new(600))),
            ("relu2", Op::Activation(Activation::Relu)),
            ("c", Op::Linear(Linear::new(10))),
        ],
    )
}

fn graph<const N: usize>(input: &[usize], ops: [(&str, Op); N]) -> Graph {
    Graph::sequential(input, ops).expect("fits together")
}

/// Seconds of a training step, the median of some; the `measured` layer keeps a share of its weights, evenly spread.
fn time_step(graph: &Graph, density: f64, options: Options) -> f64 {
    // Marsaglia's xorshift, enough for made-up numbers.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let mut states: BTreeMap<&str, (Vec<f32>, Kept)> = BTreeMap::new();
    for own in graph.parameters() {
        let bound = (own.shape[0] as f32 / own.len() as f32).sqrt();
        let mut bits = vec![u8::MAX; own.len().div_ceil(8)];
        for place in (0..own.len()).filter(|_| own.name == "measured.weight") {
            if f64::from(random()) >= density {
                bits[place / 8] &= !(1 << (place % 8));
            }
        }
        let kept = Kept::new(own.len(), &bits);
        states.insert(&own.name, ((0..kept.kept()).map(|_| (2.0 * random() - 1.0) * bound).collect(), kept));
    }
    let tensor = |name: &str| {
        let (values, kept) = &states[name];
        Tensor { values, moments: [&[], &[]], kept: Some(kept) }
    };
    let mut trainer = ChainTrainer::new(graph, tensor, Optimizer::default(), 0, options).expect("a chain");
    let pixels: usize = graph.shape(graph.input()).iter().product();
    let images: Vec<u8> = (0..BATCH * pixels).map(|_| (random() * 255.0) as u8).collect();
    let rows: Vec<&[u8]> = images.chunks(pixels).collect();
    let labels = [0u16; BATCH];
    let table: [f32; 256] = std::array::from_fn(|byte| byte as f32 / 255.0 - 0.5);
    let mut step = || {
        let began = Instant::now();
        trainer.forward(Images::Bytes { rows: &rows, tables: &[table] });
        trainer.backward(&labels, &[], 1e-4);
        began.elapsed()
    };
    step();
    let mut times: [Duration; 7] = std::array::from_fn(|_| step());
    times.sort();
    times[3].as_secs_f64()
}
