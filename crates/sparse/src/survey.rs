//! What is left of a network, told weight by weight, so that nobody needs a copy of the weights to count them.

use crate::dead::{Connections, connections, dead_units};
use crate::{Cost, Network, Parameters};

/// Counts of a network's nonzero parameters, and which of its units they join.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Channels of the input.
    input: usize,
    dense: Cost,
    layers: Vec<Layer>,
}

#[derive(Clone, Debug)]
struct Layer {
    connections: Connections,
    /// Numbers that a unit gives for each image.
    positions: usize,
    weights: usize,
    biases: usize,
}

impl Survey {
    /// Nothing seen yet of a network of this shape; its own values are not read.
    pub fn new(network: &Network) -> Self {
        let (mut dense, mut layers) = (Cost::default(), vec![]);
        let mut connections = connections(network).into_iter();
        for (place, layer) in network.layers().iter().enumerate() {
            let [_, rows, columns] = network.shape(place + 1);
            let Some(own) = layer.parameters() else { continue };
            dense.parameters += own.weight.len() + own.bias.len();
            dense.macs += own.weight.len() * rows * columns;
            let connections = connections.next().expect("there is one for each layer that has parameters");
            layers.push(Layer { connections, positions: rows * columns, weights: 0, biases: 0 });
        }
        Self { input: network.input()[0], dense, layers }
    }

    /// Everything that is not zero in this network.
    pub fn of(network: &Network) -> Self {
        let mut own = Self::new(network);
        for (place, Parameters { shape, weight, bias, .. }) in network.parameters().enumerate() {
            let columns = shape[1..].iter().product::<usize>().max(1);
            for (index, _) in weight.iter().enumerate().filter(|(_, value)| **value != 0.0) {
                own.weight(place, index / columns, index % columns);
            }
            own.biases(place, bias.iter().filter(|value| **value != 0.0).count());
        }
        own
    }

    /// Tells a nonzero weight of the `layer`-th layer that has parameters: that of unit `row`, at `column` of the unit's
    /// weights.
    ///
    /// # Panics
    /// When there is no such layer or unit.
    pub fn weight(&mut self, layer: usize, row: usize, column: usize) {
        let layer = &mut self.layers[layer];
        layer.weights += 1;
        layer.connections.join(row, column);
    }

    /// Tells so many nonzero biases of the `layer`-th layer that has parameters.
    ///
    /// # Panics
    /// When there is no such layer.
    pub fn biases(&mut self, layer: usize, count: usize) {
        self.layers[layer].biases += count;
    }

    /// The cost of what was told.
    pub fn cost(&self) -> Cost {
        Cost {
            nonzero: self.layers.iter().map(|layer| layer.weights + layer.biases).sum(),
            remaining_macs: self.layers.iter().map(|layer| layer.weights * layer.positions).sum(),
            ..self.dense
        }
    }

    /// The number of dead units, the network's outputs left out.
    pub fn dead_units(&self) -> usize {
        let connections: Vec<&Connections> = self.layers.iter().map(|layer| &layer.connections).collect();
        dead_units(self.input, &connections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layer;
    use crate::network::tests::{conv, linear};

    #[test]
    fn told_weight_by_weight_it_costs_what_the_network_costs() {
        let mut filters = vec![1.0; 18];
        filters[..9].fill(0.0);
        let layers = vec![conv("c", [1, 2, 3], filters), Layer::Flatten, linear("f", [8, 3], vec![0.5; 24])];
        let network = Network::new([1, 4, 4], layers).expect("fits");
        let survey = Survey::of(&network);
        assert_eq!(survey.cost(), network.cost());
        assert_eq!(survey.dead_units(), 1, "filter 0 does not vary");
        let nothing = Survey::new(&network);
        assert_eq!(nothing.cost(), Cost { nonzero: 0, remaining_macs: 0, ..network.cost() });
        assert_eq!(nothing.dead_units(), 2);
    }
}
