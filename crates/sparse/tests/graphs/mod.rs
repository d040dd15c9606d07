//! Random graphs of every operation, for tests of what holds for any graph.
#![allow(dead_code, reason = "each test uses its own part")]

use secateur_graph::{
    Activation, BatchNorm, Builder, Conv2d, Embedding, Graph, LayerNorm, Linear, Op, Pool, PoolKind, Role, Value,
    Weights, Window,
};

/// Numbers that are the same on every machine: SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// From 0 up to this, excluded.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// One time in so many.
    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// From -1 to 1.
    pub(crate) fn signed(&mut self) -> f32 {
        ((self.next() >> 40) as f32 / (1u64 << 23) as f32) - 1.0
    }
}

/// A graph that grows.
struct Growing<'a> {
    net: Builder,
    values: Vec<Value>,
    random: &'a mut Random,
}

impl Growing<'_> {
    fn add(&mut self, op: Op, inputs: &[Value]) -> Option<Value> {
        let name = format!("n{}", self.values.len());
        let value = self.net.add(&name, op, inputs).ok()?;
        self.values.push(value);
        Some(value)
    }

    /// The last value, or an earlier one.
    fn some(&mut self) -> Value {
        let back = if self.random.one_in(3) { self.random.below(self.values.len().min(6)) } else { 0 };
        self.values[self.values.len() - 1 - back]
    }

    fn window(&mut self, size: usize) -> Window {
        let mut pair = |most: usize| [0; 2].map(|_| 1 + self.random.below(most));
        let (size, stride, dilation) = (pair(size), pair(2), [1; 2]);
        let padding = [self.random.below(2), self.random.below(2)];
        let dilation = if self.random.one_in(5) { [2, 1] } else { dilation };
        Window { size, stride, padding, dilation }
    }

    fn conv(&mut self, channels: usize) -> Conv2d {
        let outputs = 1 + self.random.below(6);
        let conv = Conv2d { outputs, window: self.window(3), groups: 1, bias: self.random.one_in(2) };
        match self.random.below(5) {
            0 if channels > 1 => Conv2d { outputs: channels * (1 + self.random.below(2)), groups: channels, ..conv },
            1 if channels.is_multiple_of(2) => Conv2d { outputs: 2 + 2 * self.random.below(2), groups: 2, ..conv },
            _ => conv,
        }
    }

    fn activation(&mut self) -> Op {
        // Most networks have relu.
        let other = Activation::ALL[self.random.below(Activation::ALL.len())];
        Op::Activation(if self.random.one_in(4) { Activation::Relu } else { other })
    }

    /// A residual block, with or without a projection.
    fn block(&mut self, x: Value) -> Option<()> {
        let channels = self.net.shape(x)[0];
        let outputs = if self.random.one_in(2) { channels } else { 1 + self.random.below(6) };
        let conv = |outputs: usize| Op::Conv2d(Conv2d::new(outputs, 3).padding(1).without_bias());
        let norm = || Op::BatchNorm(BatchNorm::default());
        let hidden = 1 + self.random.below(6);
        let mut own = self.add(conv(hidden), &[x])?;
        own = self.add(norm(), &[own])?;
        let activation = self.activation();
        own = self.add(activation, &[own])?;
        own = self.add(conv(outputs), &[own])?;
        own = self.add(norm(), &[own])?;
        let mut beside = x;
        if outputs != channels || self.random.one_in(4) {
            beside = self.add(Op::Conv2d(Conv2d::new(outputs, 1).without_bias()), &[x])?;
            beside = self.add(norm(), &[beside])?;
        }
        let inputs = if self.random.one_in(2) { [own, beside] } else { [beside, own] };
        let sum = self.add(Op::Add, &inputs)?;
        let activation = self.activation();
        self.add(activation, &[sum]).map(drop)
    }

    /// Two or three values that differ in their channels only, or are of one shape.
    fn alike(&mut self, first: Value, count: usize, channels_too: bool) -> Vec<Value> {
        let shape = self.net.shape(first).to_vec();
        let fits = |value: &&Value| {
            let own = self.net.shape(**value);
            own.len() == shape.len() && own[1..] == shape[1..] && (!channels_too || own[0] == shape[0])
        };
        let all: Vec<Value> = self.values.iter().filter(fits).copied().collect();
        let others: Vec<Value> = (1..count).map(|_| all[self.random.below(all.len())]).collect();
        if self.random.one_in(2) { [vec![first], others].concat() } else { [others, vec![first]].concat() }
    }

    /// One more node, or a few, unless they do not fit.
    fn grow(&mut self) {
        let x = self.some();
        let shape = self.net.shape(x).to_vec();
        let image = shape.len() == 3;
        let _ = match self.random.below(18) {
            0..3 if image => {
                let conv = self.conv(shape[0]);
                self.add(Op::Conv2d(conv), &[x])
            }
            0..3 if shape.len() == 1 => {
                let linear = Linear { outputs: 1 + self.random.below(8), bias: self.random.one_in(2) };
                self.add(Op::Linear(linear), &[x])
            }
            3 | 4 if image => self.block(x).and(None),
            5 => self.add(Op::BatchNorm(BatchNorm::default()), &[x]),
            6 | 7 => {
                let activation = self.activation();
                self.add(activation, &[x])
            }
            8 if image => {
                let kind = if self.random.one_in(2) { PoolKind::Max } else { PoolKind::Average };
                let window = self.window(3);
                self.add(Op::Pool(Pool { kind, window }), &[x])
            }
            9 => {
                let inputs = self.alike(x, 2, true);
                self.add(Op::Add, &inputs)
            }
            10 => {
                let count = 2 + self.random.below(2);
                let inputs = self.alike(x, count, false);
                self.add(Op::Concat, &inputs)
            }
            11 if image => {
                let crop = [1 + self.random.below(shape[1]), 1 + self.random.below(shape[2])];
                self.add(Op::Crop(crop), &[x])
            }
            12 if image && self.random.one_in(3) => self.add(Op::GlobalAveragePool, &[x]),
            13 => self.product(x, image),
            14 => {
                let mut order: Vec<usize> = (0..shape.len()).collect();
                order.rotate_left(self.random.below(shape.len()));
                self.add(Op::Permute(order), &[x])
            }
            15 => {
                let mut axes: Vec<usize> = (0..shape.len()).filter(|_| self.random.one_in(2)).collect();
                axes.extend(if axes.is_empty() { Some(0) } else { None });
                self.add(Op::LayerNorm(LayerNorm { axes, epsilon: 0.1 }), &[x])
            }
            16 if self.random.one_in(2) => {
                let axis = self.random.below(shape.len());
                self.add(Op::Softmax(axis), &[x])
            }
            12 => self.reshape(x, &shape),
            _ if self.random.one_in(3) => self.add(Op::Flatten, &[x]),
            _ => None,
        };
    }

    /// The product of two values, or of an image and a gate of its own.
    fn product(&mut self, x: Value, image: bool) -> Option<Value> {
        if !image || self.random.one_in(2) {
            let inputs = self.alike(x, 2, true);
            return self.add(Op::Mul, &inputs);
        }
        let channels = self.net.shape(x)[0];
        let mean = self.add(Op::GlobalAveragePool, &[x])?;
        let hidden = self.add(Op::Conv2d(Conv2d::new(2, 1)), &[mean])?;
        let activation = self.activation();
        let hidden = self.add(activation, &[hidden])?;
        let gate = self.add(Op::Conv2d(Conv2d::new(channels, 1)), &[hidden])?;
        let gate = self.add(Op::Activation(Activation::Sigmoid), &[gate])?;
        self.add(Op::Mul, &[x, gate])
    }

    fn reshape(&mut self, x: Value, shape: &[usize]) -> Option<Value> {
        let all: usize = shape.iter().product();
        let to = match self.random.below(4) {
            0 => vec![shape[0], all / shape[0]],
            1 => vec![shape[0], all / shape[0], 1],
            2 if all.is_multiple_of(2) => vec![2, all / 2, 1],
            _ => vec![all, 1, 1],
        };
        self.add(Op::Reshape(to), &[x])
    }
}

/// A graph of up to some twenty nodes of any kind.
pub(crate) fn graph(random: &mut Random) -> Graph {
    let input = match random.below(8) {
        0 | 1 => vec![1 + random.below(8)],
        _ => vec![1 + random.below(4), 2 + random.below(7), 2 + random.below(7)],
    };
    let net = Builder::new(&input).expect("a shape");
    let values = vec![net.input()];
    let mut growing = Growing { net, values, random };
    if input.len() == 1 && growing.random.one_in(2) {
        let (first, columns) = (growing.values[0], 1 + growing.random.below(4));
        growing.add(Op::Embedding(Embedding { rows: ROWS, columns }), &[first]).expect("numbers");
    }
    for _ in 0..growing.random.below(16) {
        growing.grow();
    }
    if growing.random.one_in(2) {
        let last = growing.some();
        let flat = if growing.net.shape(last).len() == 1 { Some(last) } else { growing.add(Op::Flatten, &[last]) };
        if let Some(flat) = flat {
            let linear = Linear::new(1 + growing.random.below(5));
            growing.add(Op::Linear(linear), &[flat]);
        }
    }
    growing.net.finish()
}

/// Weights of which some are zero: single ones, whole filters and channels, and units with all that belongs to them.
pub(crate) fn weights(graph: &Graph, random: &mut Random) -> Weights {
    let density = [100, 100, 70, 40, 15, 3, 0][random.below(7)];
    let dead = if density == 100 { 0 } else { [0, 20, 50, 90][random.below(4)] };
    let mut weights: Weights = graph
        .parameters()
        .iter()
        .map(|own| {
            let columns: usize = own.shape[1..].iter().product();
            let bound = (300.0 / (columns * density.max(5)) as f32).sqrt();
            let shifted = random.one_in(2);
            let mut value = || match own.role {
                Role::Weight if random.below(100) < density => bound * random.signed(),
                Role::Weight => 0.0,
                Role::Bias | Role::Shift if shifted => 0.5 * random.signed(),
                Role::Bias | Role::Shift => 0.0,
                Role::Scale if density < 100 && random.one_in(6) => 0.0,
                Role::Scale => 1.0 + 0.5 * random.signed(),
                Role::Table => random.signed(),
                Role::Mean => 0.3 * random.signed(),
                Role::Variance => 1.0 + 0.6 * random.signed(),
            };
            (own.name.clone(), (0..own.len()).map(|_| value()).collect())
        })
        .collect();
    for group in graph.dependency_groups() {
        let whole = random.one_in(8) && dead > 0;
        for unit in 0..group.len() {
            if !whole && random.below(100) >= dead {
                continue;
            }
            // What gives it, what gives it but for what is added, or what reads it.
            let kind = random.below(3);
            for member in &group.members {
                let own = &graph.parameters()[member.parameter];
                let fits = match own.role {
                    Role::Weight if member.axis == 1 => kind == 2,
                    Role::Weight | Role::Scale => kind < 2,
                    Role::Bias | Role::Shift => kind == 0,
                    Role::Mean | Role::Variance | Role::Table => false,
                };
                let values = weights.get_mut(&own.name).expect("there");
                let inner: usize = own.shape[member.axis + 1..].iter().product();
                let along = own.shape[member.axis];
                for (index, value) in values.iter_mut().enumerate() {
                    if fits && member.units[index / inner % along] == Some(unit) {
                        *value = 0.0;
                    }
                }
            }
        }
    }
    weights
}

/// Rows of the tables that random graphs begin with.
const ROWS: usize = 5;

/// Images for a graph: whole numbers where they choose rows.
pub(crate) fn images(graph: &Graph, count: usize, random: &mut Random) -> Vec<Vec<f32>> {
    let pixels: usize = graph.shape(graph.input()).iter().product();
    let chooses = graph.nodes().iter().any(|node| matches!(node.op, Op::Embedding(_)));
    let mut one = || if chooses { random.below(ROWS) as f32 } else { random.signed() };
    (0..count).map(|_| (0..pixels).map(|_| one()).collect()).collect()
}

/// The largest difference between the answers of two graphs, and the largest answer; of images that make infinities of the
/// first one's values, as a window in nothing but padding does, none.
pub(crate) fn difference(a: (&Graph, &Weights), b: (&Graph, &Weights), images: &[Vec<f32>]) -> [f32; 2] {
    let [mut most, mut scale] = [0f32; 2];
    for image in images {
        let values = a.0.forward_all(a.1, image);
        if values.iter().flatten().any(|value| !value.is_finite()) {
            continue;
        }
        let (a, b) = (&values[a.0.output().index()], b.0.forward(b.1, image));
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(&b) {
            let own = (a - b).abs();
            most = if own.is_nan() || own > most { own } else { most };
            scale = scale.max(a.abs());
        }
    }
    [most, scale]
}
