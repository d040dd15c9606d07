//! Networks of layers one behind the other, and a pruned LeNet among them, for tests of what holds for any such network.
#![allow(dead_code, reason = "each test uses its own part")]

use secateur_graph::{Activation, Conv2d, Graph, Linear, Op, Pool, Weights};
use secateur_sparse::Trained;

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// From 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal, with a standard deviation of 0.05.
    pub(crate) fn weight(&mut self) -> f32 {
        ((0..12).map(|_| self.share()).sum::<f64>() - 6.0) as f32 * 0.05
    }
}

/// A layer: its name, where it has parameters, and what it does.
pub(crate) type Named = (&'static str, Op);

pub(crate) fn conv(name: &'static str, filters: usize, kernel: usize) -> Named {
    (name, Op::Conv2d(Conv2d::new(filters, kernel)))
}

pub(crate) fn linear(name: &'static str, outputs: usize) -> Named {
    (name, Op::Linear(Linear::new(outputs)))
}

pub(crate) fn relu() -> Named {
    ("", Op::Activation(Activation::Relu))
}

pub(crate) fn pool() -> Named {
    ("", Op::Pool(Pool::max(2)))
}

pub(crate) fn flatten() -> Named {
    ("", Op::Flatten)
}

/// The network of these layers, all of its parameters zero.
pub(crate) fn chain(input: [usize; 3], layers: Vec<Named>) -> Trained {
    let name = |(place, (name, op)): (usize, &Named)| match *name {
        "" => (format!("step{place}"), op.clone()),
        name => (name.to_owned(), op.clone()),
    };
    let named: Vec<(String, Op)> = layers.iter().enumerate().map(name).collect();
    let graph = Graph::sequential(&input, named.iter().map(|(name, op)| (name.as_str(), op.clone()))).expect("fits");
    let weights = Weights::neutral(&graph);
    Trained { graph, weights }
}

/// The parameters of a layer.
pub(crate) struct Layer<'a> {
    pub(crate) name: &'a str,
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
}

/// Those of the layers that have some, input first.
pub(crate) fn parameters(network: &Trained) -> impl Iterator<Item = Layer<'_>> {
    network.layers().into_iter().map(|own| Layer {
        name: own.name,
        weight: own.weight,
        bias: network.weights.get(&format!("{}.bias", own.name)),
    })
}

/// The same network with the weights and the biases that `fill` makes of each layer's.
pub(crate) fn filled(network: &Trained, mut fill: impl FnMut(&mut [f32], &mut [f32])) -> Trained {
    let mut own = network.clone();
    for layer in network.layers() {
        let [weight, bias] = ["weight", "bias"].map(|field| format!("{}.{field}", layer.name));
        let (mut values, mut biases) = (network.weights.get(&weight).to_vec(), network.weights.get(&bias).to_vec());
        fill(&mut values, &mut biases);
        own.weights.insert(weight, values);
        own.weights.insert(bias, biases);
    }
    own
}

/// The LeNet of width 5: 1,479,210 parameters, all of them zero.
pub(crate) fn lenet() -> Trained {
    let layers = vec![
        conv("conv1", 30, 3),
        relu(),
        pool(),
        conv("conv2", 80, 3),
        relu(),
        pool(),
        flatten(),
        linear("fc1", 600),
        relu(),
        linear("fc2", 420),
        relu(),
        linear("fc3", 10),
    ];
    chain([1, 28, 28], layers)
}

/// The same network with random values, and of each layer a share of the weights and biases.
pub(crate) fn pruned(network: &Trained, shares: &[f64], random: &mut Random) -> Trained {
    let mut shares = shares.iter();
    filled(network, |weight, bias| {
        let share = shares.next().copied().unwrap_or(1.0);
        for value in weight.iter_mut().chain(bias) {
            *value = if random.share() < share { random.weight() } else { 0.0 };
        }
    })
}
