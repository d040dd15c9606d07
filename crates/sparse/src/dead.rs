//! Which units (filters and neurons) are dead: they no longer vary with the input, or nothing that they say reaches the
//! output. The weights around a dead unit are spent for nothing, even those that are not zero.

use crate::{Network, Parameters, Survey};

/// Which units of a layer are joined to which of the layer before, by a weight that lives: one bit a pair.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    /// Units of the layer before.
    pub(crate) from: usize,
    /// Units of the layer.
    pub(crate) to: usize,
    /// Weights between one pair of units: a kernel, or the pixels of a channel that was flattened.
    pub(crate) spread: usize,
    joined: Vec<u64>,
}

impl Connections {
    /// None joined yet; each of `to` units has `columns` weights.
    pub(crate) fn new(from: usize, to: usize, columns: usize) -> Self {
        let spread = (columns / from.max(1)).max(1);
        Self { from, to, spread, joined: vec![0; (from * to).div_ceil(64)] }
    }

    /// Joins the units that this weight lies between; `column` is its place in the row of `to`'s weights.
    pub(crate) fn join(&mut self, to: usize, column: usize) {
        let pair = to * self.from + column / self.spread;
        self.joined[pair / 64] |= 1 << (pair % 64);
    }

    pub(crate) fn joined(&self, to: usize, from: usize) -> bool {
        let pair = to * self.from + from;
        self.joined[pair / 64] >> (pair % 64) & 1 == 1
    }
}

/// The number of dead units of layers that follow an input of so many channels, the outputs left out.
pub(crate) fn dead_units(input: usize, layers: &[&Connections]) -> usize {
    // Forward: a unit varies when a nonzero weight joins it to one that varies; every input channel does.
    let mut varies = vec![vec![true; input]];
    for layer in layers {
        let before = varies.last().expect("starts with the input");
        let unit = |to| (0..layer.from).any(|from| before[from] && layer.joined(to, from));
        varies.push((0..layer.to).map(unit).collect());
    }
    // Backward: a unit is heard when a nonzero weight joins it to one that is; every output is.
    let mut heard = vec![true; layers.last().map_or(0, |layer| layer.to)];
    let mut dead = 0;
    for (place, layer) in layers.iter().enumerate().skip(1).rev() {
        heard = (0..layer.from).map(|from| (0..layer.to).any(|to| heard[to] && layer.joined(to, from))).collect();
        dead += varies[place].iter().zip(&heard).filter(|(varies, heard)| !(**varies && **heard)).count();
    }
    dead
}

/// The connections of a network of this shape, none joined yet, input first.
pub(crate) fn connections(network: &Network) -> Vec<Connections> {
    let mut from = network.input()[0];
    let mut found = Vec::new();
    for Parameters { shape, .. } in network.parameters() {
        let (to, inputs) = (shape[0], shape[1..].iter().product::<usize>());
        found.push(Connections::new(from, to, inputs));
        from = to;
    }
    found
}

impl Network {
    /// The number of dead units, the network's outputs left out.
    pub fn dead_units(&self) -> usize {
        Survey::of(self).dead_units()
    }
}

#[cfg(test)]
mod tests {
    use crate::network::tests::{conv, linear};
    use crate::{Layer, Network};

    fn dead(input: [usize; 3], layers: Vec<Layer>) -> usize {
        Network::new(input, layers).expect("fits").dead_units()
    }

    #[test]
    fn units_without_input_or_without_output_are_dead() {
        let two = |first: [f32; 4], second: [f32; 2]| {
            dead(
                [2, 1, 1],
                vec![linear("a", [2, 2], first.to_vec()), Layer::Relu, linear("b", [2, 1], second.to_vec())],
            )
        };
        assert_eq!(two([1.0, 1.0, 1.0, 1.0], [1.0, 1.0]), 0);
        assert_eq!(two([0.0, 0.0, 1.0, 1.0], [1.0, 1.0]), 1, "unit 0 does not vary");
        assert_eq!(two([1.0, 1.0, 1.0, 1.0], [1.0, 0.0]), 1, "unit 1 is not heard");
        assert_eq!(two([0.0, 0.0, 1.0, 1.0], [1.0, 0.0]), 2, "neither does anything");
    }

    #[test]
    fn death_spreads_through_conv_pool_and_flatten() {
        // 2 filters 1x1 on 4x4, pooled to 2x2, flattened to 8; fc 2 neurons; out 1.
        let network = |fc: Vec<f32>, out: Vec<f32>| {
            let layers = vec![
                conv("c", [1, 2, 1], vec![1.0, 1.0]),
                Layer::Relu,
                Layer::MaxPool2d { size: 2 },
                Layer::Flatten,
                linear("f", [8, 2], fc),
                Layer::Relu,
                linear("o", [2, 1], out),
            ];
            dead([1, 4, 4], layers)
        };
        let only_first_filter = vec![1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(network(only_first_filter.clone(), vec![1.0, 1.0]), 1, "filter 1 is not heard");
        assert_eq!(network(only_first_filter, vec![0.0, 0.0]), 4, "nothing is heard");
        assert_eq!(network(vec![1.0; 16], vec![1.0, 0.0]), 1);
    }
}
