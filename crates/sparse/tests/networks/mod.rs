//! Random networks of every kind of layer, and a pruned LeNet, for tests of what holds for any network.

use secateur_sparse::{Affine, Conv2d, Layer, Network};

/// xorshift64*: the same numbers on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        // A seed of 0 would stay there.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// From `least` up to `most`, both included.
    pub(crate) fn between(&mut self, least: usize, most: usize) -> usize {
        least + (self.next() % (most - least + 1) as u64) as usize
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

/// Values of which a share is not zero; sometimes whole rows and columns are.
fn values(rows: usize, columns: usize, share: f64, random: &mut Random) -> Vec<f32> {
    let mut dead = |length: usize| -> Vec<bool> {
        let often = [0.0, 0.0, 0.5, 0.9][random.between(0, 3)];
        (0..length).map(|_| random.share() < often).collect()
    };
    let (rows, columns) = (dead(rows), dead(columns));
    let places = rows.iter().flat_map(|row| columns.iter().map(move |column| *row || *column));
    places.map(|dead| if !dead && random.share() < share { random.weight() } else { 0.0 }).collect()
}

/// A network of up to a dozen layers of any kind, some of them full, or without a weight.
pub(crate) fn network(random: &mut Random) -> Network {
    let mut shape = [random.between(1, 3), random.between(1, 12), random.between(1, 12)];
    let input = shape;
    let mut layers: Vec<Layer> = vec![];
    for place in 0..random.between(0, 12) {
        let [channels, height, width] = shape;
        let side = height.min(width);
        let share = [0.0, 0.03, 0.3, 0.7, 1.0][random.between(0, 4)];
        let name = format!("layer {place} \u{e9}");
        let layer = match random.between(0, 8) {
            0 | 1 => {
                let [kernel, stride, padding] =
                    [random.between(1, side.min(3)), random.between(1, 2), random.between(0, 2)];
                let outputs = random.between(1, 6);
                let weight = values(outputs, channels * kernel * kernel, share, random);
                let bias = values(1, outputs, share, random);
                Layer::Conv2d(Conv2d { name, inputs: channels, outputs, kernel, stride, padding, weight, bias })
            }
            2 | 3 if [height, width] == [1, 1] => {
                let outputs = random.between(1, 40);
                let mut layer = Layer::linear(&name, channels, outputs);
                if let Layer::Linear(own) = &mut layer {
                    own.weight = values(outputs, channels, share, random);
                    own.bias = values(1, outputs, share, random);
                }
                layer
            }
            4 => {
                let (scale, shift) = (values(1, channels, share, random), values(1, channels, share, random));
                Layer::Affine(Affine { name, scale, shift })
            }
            5 => Layer::MaxPool2d { size: random.between(1, side) },
            6 => Layer::AvgPool2d { size: random.between(1, side) },
            7 => Layer::Crop { height: random.between(1, height), width: random.between(1, width) },
            8 => Layer::Flatten,
            _ => Layer::Relu,
        };
        layers.push(layer);
        let network = Network::new(input, layers.clone()).expect("made to fit");
        shape = network.shape(layers.len());
    }
    Network::new(input, layers).expect("made to fit")
}

/// The LeNet of width 5: 1,479,210 parameters, all of them zero.
pub(crate) fn lenet() -> Network {
    let layers = vec![
        Layer::conv("conv1", 1, 30, 3),
        Layer::Relu,
        Layer::MaxPool2d { size: 2 },
        Layer::conv("conv2", 30, 80, 3),
        Layer::Relu,
        Layer::MaxPool2d { size: 2 },
        Layer::Flatten,
        Layer::linear("fc1", 2000, 600),
        Layer::Relu,
        Layer::linear("fc2", 600, 420),
        Layer::Relu,
        Layer::linear("fc3", 420, 10),
    ];
    Network::new([1, 28, 28], layers).expect("fits")
}

/// The same network with random values, and of each layer a share of the weights and biases.
pub(crate) fn pruned(network: &Network, shares: &[f64], random: &mut Random) -> Network {
    let mut shares = shares.iter();
    let filled = network.filled(|own| {
        let share = shares.next().copied().unwrap_or(1.0);
        for value in own.weight.iter_mut().chain(own.bias) {
            *value = if random.share() < share { random.weight() } else { 0.0 };
        }
        Ok::<(), secateur_sparse::Error>(())
    });
    filled.expect("only values changed")
}
