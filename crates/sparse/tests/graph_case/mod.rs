//! What the tests of the graph trainer share: graphs with odd sizes, random masks and weights, a batch.

use super::graph_reference::Values;
use secateur_graph::{
    Activation, BatchNorm, Builder, Conv2d, Embedding, Graph, LayerNorm, Linear, Op, Pool, PoolKind, Role, Window,
};
use secateur_sparse::train::{Crossovers, GraphTrainer, Images, Kept, Options, Tensor, TensorMut};
use secateur_sparse::{InstructionSet, Update};
use std::collections::BTreeMap;

/// The kept values of a parameter, with their moments.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) kept: Kept,
    pub(crate) values: Vec<f32>,
    pub(crate) moments: [Vec<f32>; 2],
}

/// By parameter name.
pub(crate) type States = BTreeMap<String, State>;

/// A graph with random weights, of which a fraction is kept, and a batch for it.
pub(crate) struct Case {
    pub(crate) graph: Graph,
    pub(crate) states: States,
    pub(crate) images: Vec<Vec<f32>>,
    pub(crate) labels: Vec<u16>,
}

impl Case {
    pub(crate) fn new(graph: &Graph, density: f64, batch: usize, seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut states = States::new();
        for own in graph.parameters() {
            let mut bits = vec![0u8; own.len().div_ceil(8)];
            let mut values = vec![];
            let reach = (1.5 / (own.len() / own.shape[0]) as f32).sqrt();
            for index in 0..own.len() {
                if own.role != Role::Weight || f64::from(random.next()) < density {
                    bits[index / 8] |= 1 << (index % 8);
                    let number = random.next();
                    values.push(match own.role {
                        Role::Weight => reach * (2.0 * number - 1.0),
                        Role::Bias | Role::Shift | Role::Mean | Role::Table => number - 0.5,
                        Role::Scale | Role::Variance => number + 0.5,
                    });
                }
            }
            let moments = [vec![0.0; values.len()], vec![0.0; values.len()]];
            states.insert(own.name.clone(), State { kept: Kept::new(own.len(), &bits), values, moments });
        }
        let (pixels, classes) = (graph.shape(graph.input()).iter().product(), graph.shape(graph.output())[0]);
        let rows = graph.nodes().iter().find_map(|node| match node.op {
            Op::Embedding(table) if node.inputs[0] == graph.input() => Some(table.rows),
            _ => None,
        });
        let mut pixel = || match rows {
            Some(rows) => (random.next() * rows as f32).floor(),
            None => 2.0 * random.next() - 1.0,
        };
        let images = (0..batch).map(|_| (0..pixels).map(|_| pixel()).collect()).collect();
        let labels = (0..batch).map(|_| (random.next() * classes as f32) as u16).collect();
        Self { graph: graph.clone(), states, images, labels }
    }

    pub(crate) fn trainer(&self, update: impl Into<Update>, options: Options) -> GraphTrainer {
        self.resumed(&self.states, update, 0, options)
    }

    pub(crate) fn resumed(
        &self,
        states: &States,
        update: impl Into<Update>,
        time: u64,
        options: Options,
    ) -> GraphTrainer {
        GraphTrainer::new(&self.graph, |name| tensor(&states[name]), update, time, options).expect("small")
    }

    pub(crate) fn forward(&self, trainer: &mut GraphTrainer) -> Vec<f32> {
        trainer.forward(Images::Floats { rows: &self.rows() })
    }

    pub(crate) fn predict(&self, trainer: &mut GraphTrainer) -> Vec<f32> {
        trainer.predict(Images::Floats { rows: &self.rows() })
    }

    /// Logits and loss.
    pub(crate) fn step(&self, trainer: &mut GraphTrainer, lr: f64) -> (Vec<f32>, f64) {
        let logits = self.forward(trainer);
        (logits, trainer.backward(&self.labels, &[], lr))
    }

    fn rows(&self) -> Vec<&[f32]> {
        self.images.iter().map(Vec::as_slice).collect()
    }

    /// The kept values of everything.
    pub(crate) fn export(&self, trainer: &GraphTrainer) -> States {
        let export = |(name, own): (&String, &State)| {
            let zeros = || vec![0.0; own.values.len()];
            let (mut values, [mut first, mut second]) = (zeros(), [zeros(), zeros()]);
            let moments = [first.as_mut_slice(), second.as_mut_slice()];
            trainer.export(name, TensorMut { values: &mut values, moments, kept: Some(&own.kept) });
            (name.clone(), State { kept: own.kept.clone(), values, moments: [first, second] })
        };
        self.states.iter().map(export).collect()
    }

    /// All values of a parameter and its moments, pruned ones, too.
    pub(crate) fn export_all(&self, trainer: &GraphTrainer, name: &str) -> [Vec<f32>; 3] {
        let zeros = || vec![0.0; self.states[name].kept.total()];
        let [mut values, mut first, mut second] = [zeros(), zeros(), zeros()];
        trainer.export(name, TensorMut { values: &mut values, moments: [&mut first, &mut second], kept: None });
        [values, first, second]
    }

    /// The values for the reference implementation, zeros where they are pruned.
    pub(crate) fn values(&self) -> Values {
        self.states.iter().map(|(name, own)| (name.clone(), spread(own, &own.values))).collect()
    }

    pub(crate) fn images64(&self) -> Vec<Vec<f64>> {
        self.images.iter().map(|image| image.iter().copied().map(f64::from).collect()).collect()
    }
}

/// Numbers of the kept values where they stand, zeros elsewhere.
pub(crate) fn spread(state: &State, numbers: &[f32]) -> Vec<f64> {
    let at = |index: usize| state.kept.place(index).map_or(0.0, |place| f64::from(numbers[place]));
    (0..state.kept.total()).map(at).collect()
}

fn tensor(state: &State) -> Tensor<'_> {
    let moments = [state.moments[0].as_slice(), state.moments[1].as_slice()];
    Tensor { values: &state.values, moments, kept: Some(&state.kept) }
}

/// Every instruction set of the machine, dense and sparse.
pub(crate) fn every_option() -> Vec<Options> {
    let mut found = vec![];
    for instruction_set in InstructionSet::available() {
        for crossovers in [Crossovers::DENSE, Crossovers::SPARSE] {
            found.push(Options { threads: 2, instruction_set, crossovers, compact: true });
        }
    }
    found
}

fn conv(outputs: usize, size: [usize; 2]) -> Conv2d {
    Conv2d { window: Window { size, ..Window::square(1) }, ..Conv2d::new(outputs, 1) }
}

fn norm() -> Op {
    Op::BatchNorm(BatchNorm::default())
}

fn act(own: Activation) -> Op {
    Op::Activation(own)
}

fn linear(outputs: usize) -> Op {
    Op::Linear(Linear::new(outputs))
}

/// A graph of named nodes.
fn build(input: &[usize], nodes: Vec<(&str, Op, &[&str])>) -> Graph {
    let mut net = Builder::new(input).expect("a shape");
    for (name, op, inputs) in nodes {
        net.add_named(name, op, inputs).expect("fits");
    }
    net.finish()
}

/// Small graphs with every operation, odd sizes, and values that several nodes read.
pub(crate) fn graphs() -> Vec<(&'static str, Graph)> {
    use Activation::{Gelu, GeluTanh, HardSigmoid, HardSwish, Relu, Relu6, Sigmoid, Silu, Tanh};
    let residual = build(
        &[3, 9, 7],
        vec![
            ("stem", Op::Conv2d(Conv2d::new(5, 3).padding(1).without_bias()), &["input"]),
            ("bn", norm(), &["stem"]),
            ("relu", act(Relu), &["bn"]),
            ("conv1", Op::Conv2d(Conv2d::new(8, 3).padding(1).stride(2).without_bias()), &["relu"]),
            ("bn1", norm(), &["conv1"]),
            ("relu1", act(Relu), &["bn1"]),
            ("conv2", Op::Conv2d(Conv2d::new(8, 3).padding(1).without_bias()), &["relu1"]),
            ("bn2", norm(), &["conv2"]),
            ("short", Op::Conv2d(Conv2d::new(8, 1).stride(2).without_bias()), &["relu"]),
            ("bns", norm(), &["short"]),
            ("sum", Op::Add, &["bn2", "bns"]),
            ("relu2", act(Relu), &["sum"]),
            ("gap", Op::GlobalAveragePool, &["relu2"]),
            ("flat", Op::Flatten, &["gap"]),
            ("fc", linear(4), &["flat"]),
        ],
    );
    let depthwise = build(
        &[4, 8, 8],
        vec![
            ("widen", Op::Conv2d(Conv2d::new(7, 1)), &["input"]),
            ("relu6", act(Relu6), &["widen"]),
            ("depthwise", Op::Conv2d(Conv2d::new(14, 3).padding(1).stride(2).groups(7)), &["relu6"]),
            ("bn", norm(), &["depthwise"]),
            ("silu", act(Silu), &["bn"]),
            ("mix", Op::Conv2d(Conv2d::new(9, 1)), &["silu"]),
            ("gelu", act(Gelu), &["mix"]),
            ("mean", Op::Pool(Pool::average(2)), &["gelu"]),
            ("flat", Op::Flatten, &["mean"]),
            ("fc", linear(3), &["flat"]),
        ],
    );
    let dilated = |dilation, padding| Conv2d {
        window: Window { dilation, padding, ..conv(3, [3, 2]).window },
        ..conv(3, [3, 2])
    };
    let pool = |kind, padding| Pool { kind, window: Window { stride: [2, 1], padding, ..Window::square(3) } };
    let branches = build(
        &[2, 10, 9],
        vec![
            ("a", Op::Conv2d(dilated([2, 1], [2, 1])), &["input"]),
            ("b", Op::Conv2d(dilated([1, 3], [1, 2])), &["input"]),
            ("silu", act(Silu), &["b"]),
            ("both", Op::Concat, &["a", "silu", "a"]),
            ("max", Op::Pool(pool(PoolKind::Max, [1, 0])), &["both"]),
            ("average", Op::Pool(pool(PoolKind::Average, [0, 1])), &["max"]),
            ("swish", act(HardSwish), &["average"]),
            ("grouped", Op::Conv2d(Conv2d { groups: 3, ..conv(6, [2, 1]) }), &["swish"]),
            ("turned", Op::Reshape(vec![3, 1, 16]), &["grouped"]),
            ("bn", norm(), &["turned"]),
            ("flat", Op::Flatten, &["bn"]),
            ("fc", Op::Linear(Linear { outputs: 5, bias: false }), &["flat"]),
        ],
    );
    let strides = Window { size: [5, 2], stride: [2, 3], padding: [1, 0], dilation: [1, 2] };
    let wide = build(
        &[17, 6, 8],
        vec![
            ("a", Op::Conv2d(Conv2d { window: strides, ..Conv2d::new(23, 1) }), &["input"]),
            ("relu", act(Relu), &["a"]),
            ("b", Op::Conv2d(Conv2d::new(19, 2).padding(1).without_bias()), &["relu"]),
            ("bn", norm(), &["b"]),
            ("gelu", act(Gelu), &["bn"]),
            ("c", Op::Conv2d(Conv2d::new(3, 3)), &["gelu"]),
            ("swish", act(HardSwish), &["c"]),
            ("again", act(Relu6), &["swish"]),
            ("flat", Op::Flatten, &["again"]),
            ("fc", linear(4), &["flat"]),
        ],
    );
    // Even sizes and many channels: 3x3 convolutions in tiles of 2x2 outputs.
    let even = build(
        &[9, 6, 4],
        vec![
            ("a", Op::Conv2d(Conv2d::new(14, 3).padding(1)), &["input"]),
            ("bn", norm(), &["a"]),
            ("relu", act(Relu), &["bn"]),
            ("b", Op::Conv2d(Conv2d::new(14, 3).padding(1).without_bias()), &["relu"]),
            ("sum", Op::Add, &["b", "relu"]),
            ("c", Op::Conv2d(Conv2d::new(11, 3)), &["sum"]),
            ("d", Op::Conv2d(Conv2d::new(8, 3).padding(2)), &["c"]),
            ("gelu", act(Gelu), &["d"]),
            ("gap", Op::GlobalAveragePool, &["gelu"]),
            ("flat", Op::Flatten, &["gap"]),
            ("fc", linear(4), &["flat"]),
        ],
    );
    let features = build(
        &[7],
        vec![
            ("start", norm(), &["input"]),
            ("a", linear(9), &["start"]),
            ("bn", norm(), &["a"]),
            ("own", Op::Add, &["bn", "a"]),
            ("relu", act(Relu), &["own"]),
            ("unread", linear(3), &["relu"]),
            ("twice", Op::Add, &["relu", "relu"]),
            ("b", linear(20), &["twice"]),
            ("silu", act(Silu), &["b"]),
            ("tanh", act(Tanh), &["silu"]),
            ("soft", act(GeluTanh), &["tanh"]),
            ("hard", act(HardSigmoid), &["soft"]),
            ("gate", act(Sigmoid), &["b"]),
            ("gated", Op::Add, &["gate", "hard"]),
            ("c", Op::Linear(Linear { outputs: 4, bias: false }), &["gated"]),
        ],
    );
    let tiny = build(
        &[2, 4, 4],
        vec![
            ("shrunk", Op::Pool(Pool::average(2)), &["input"]),
            ("relu", act(Relu), &["shrunk"]),
            ("a", Op::Conv2d(Conv2d::new(13, 3).padding(1)), &["relu"]),
            ("max", Op::Pool(Pool::max(2)), &["a"]),
            ("b", Op::Conv2d(Conv2d::new(8, 3).padding(1).stride(3)), &["max"]),
            ("bn", norm(), &["b"]),
            ("skip", Op::Conv2d(Conv2d::new(8, 1)), &["max"]),
            ("sum", Op::Add, &["skip", "bn"]),
            ("gap", Op::GlobalAveragePool, &["sum"]),
            ("flat", Op::Flatten, &["gap"]),
        ],
    );
    let norm_over = |axes: &[usize]| Op::LayerNorm(LayerNorm { axes: axes.to_vec(), epsilon: 1e-5 });
    let mixed = build(
        &[3, 6, 5],
        vec![
            ("stem", Op::Conv2d(Conv2d::new(6, 3).padding(1)), &["input"]),
            ("normal", norm_over(&[0]), &["stem"]),
            ("gelu", act(GeluTanh), &["normal"]),
            ("gap", Op::GlobalAveragePool, &["gelu"]),
            ("narrow", Op::Conv2d(Conv2d::new(6, 1)), &["gap"]),
            ("gate", act(Sigmoid), &["narrow"]),
            ("gated", Op::Mul, &["gelu", "gate"]),
            ("square", Op::Mul, &["gated", "gated"]),
            ("cut", Op::Crop([5, 4]), &["square"]),
            ("turned", Op::Permute(vec![2, 0, 1]), &["cut"]),
            ("rows", norm_over(&[1, 2]), &["turned"]),
            ("soft", Op::Softmax(2), &["rows"]),
            ("weighted", Op::Mul, &["soft", "turned"]),
            ("again", Op::Conv2d(Conv2d::new(5, 3).padding(1)), &["weighted"]),
            ("flat", Op::Flatten, &["again"]),
            ("fc", linear(4), &["flat"]),
        ],
    );
    let text = build(
        &[11],
        vec![
            ("letters", Op::Embedding(Embedding { rows: 13, columns: 6 }), &["input"]),
            ("turned", Op::Permute(vec![1, 0]), &["letters"]),
            ("image", Op::Reshape(vec![6, 1, 11]), &["turned"]),
            (
                "conv",
                Op::Conv2d(Conv2d { window: Window { size: [1, 3], ..Window::square(1) }, ..Conv2d::new(7, 1) }),
                &["image"],
            ),
            ("gelu", act(Gelu), &["conv"]),
            (
                "largest",
                Op::Pool(Pool { kind: PoolKind::Max, window: Window { size: [1, 9], ..Window::square(1) } }),
                &["gelu"],
            ),
            ("flat", Op::Flatten, &["largest"]),
            ("normal", norm_over(&[0]), &["flat"]),
            ("fc", linear(4), &["normal"]),
        ],
    );
    // So many pixels that normalised values and their gradients are worked out block by block, some rows at a time.
    let plain = |outputs| Op::Conv2d(Conv2d::new(outputs, 3).padding(1).without_bias());
    let large = build(
        &[2, 17, 15],
        vec![
            ("stem", Op::Conv2d(Conv2d::new(4, 3).padding(1)), &["input"]),
            ("bn", norm(), &["stem"]),
            ("relu", act(Relu), &["bn"]),
            ("conv1", plain(6), &["relu"]),
            ("bn1", norm(), &["conv1"]),
            ("relu1", act(Relu), &["bn1"]),
            ("depthwise", Op::Conv2d(Conv2d::new(6, 3).padding(1).groups(6)), &["relu1"]),
            ("bnd", norm(), &["depthwise"]),
            ("silu", act(Silu), &["bnd"]),
            ("conv2", plain(4), &["silu"]),
            ("bn2", norm(), &["conv2"]),
            ("sum", Op::Add, &["bn2", "relu"]),
            ("relu2", act(Relu), &["sum"]),
            ("conv3", Op::Conv2d(Conv2d::new(5, 3).padding(1).stride(2).without_bias()), &["relu2"]),
            ("bn3", norm(), &["conv3"]),
            ("relu3", act(Relu6), &["bn3"]),
            ("conv4", plain(5), &["relu3"]),
            ("short", Op::Conv2d(Conv2d::new(5, 1).stride(2).without_bias()), &["relu2"]),
            ("bns", norm(), &["short"]),
            ("bn4", norm(), &["conv4"]),
            ("sum2", Op::Add, &["bn4", "bns"]),
            ("gelu", act(Gelu), &["sum2"]),
            ("conv5", plain(5), &["gelu"]),
            ("bn5", norm(), &["conv5"]),
            ("sum3", Op::Add, &["bn5", "gelu"]),
            ("conv6", plain(5), &["sum3"]),
            ("bn6", norm(), &["conv6"]),
            ("sum4", Op::Add, &["bn6", "sum3"]),
            ("gap", Op::GlobalAveragePool, &["sum4"]),
            ("flat", Op::Flatten, &["gap"]),
            ("fc", linear(4), &["flat"]),
        ],
    );
    // The same in tiles of 2x2 outputs.
    let tiled = build(
        &[8, 12, 12],
        vec![
            ("a", plain(8), &["input"]),
            ("bn", norm(), &["a"]),
            ("relu", act(Relu), &["bn"]),
            ("b", plain(9), &["relu"]),
            ("bn1", norm(), &["b"]),
            ("relu1", act(Relu), &["bn1"]),
            ("c", plain(8), &["relu1"]),
            ("bn2", norm(), &["c"]),
            ("sum", Op::Add, &["bn2", "relu"]),
            ("relu2", act(Relu), &["sum"]),
            ("d", plain(8), &["relu2"]),
            ("bn3", norm(), &["d"]),
            ("max", Op::Pool(Pool::max(2)), &["bn3"]),
            ("flat", Op::Flatten, &["max"]),
            ("fc", linear(3), &["flat"]),
        ],
    );
    vec![
        ("residual", residual),
        ("depthwise", depthwise),
        ("branches", branches),
        ("wide", wide),
        ("even", even),
        ("features", features),
        ("tiny", tiny),
        ("large", large),
        ("tiled", tiled),
        ("mixed", mixed),
        ("text", text),
    ]
}

/// Marsaglia's xorshift, enough for made-up numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1u64 << 24) as f32
    }
}
