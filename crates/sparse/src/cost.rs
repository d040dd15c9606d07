//! What a network costs: parameters, multiply-accumulates and bytes, dense and with its zeros left out.

use crate::{Affine, Conv2d, Layer, Linear, Network};

pub use secateur_graph::Cost;

/// The cost of one layer that has parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerCost {
    /// Its name, such as `conv1`.
    pub name: String,
    /// What it costs.
    pub cost: Cost,
}

impl Network {
    /// The cost of the whole network.
    pub fn cost(&self) -> Cost {
        self.layer_costs().iter().fold(Cost::default(), |sum, layer| Cost {
            parameters: sum.parameters + layer.cost.parameters,
            nonzero: sum.nonzero + layer.cost.nonzero,
            macs: sum.macs + layer.cost.macs,
            remaining_macs: sum.remaining_macs + layer.cost.remaining_macs,
        })
    }

    /// The cost of each layer that has parameters, input first.
    pub fn layer_costs(&self) -> Vec<LayerCost> {
        let mut costs = Vec::new();
        for (place, layer) in self.layers().iter().enumerate() {
            let [_, rows, columns] = self.shape(place + 1);
            // Of a channel's or unit's weights each is used once a position.
            let (weight, bias) = match layer {
                Layer::Affine(Affine { scale, shift, .. }) => (scale, shift),
                Layer::Conv2d(Conv2d { weight, bias, .. }) | Layer::Linear(Linear { weight, bias, .. }) => {
                    (weight, bias)
                }
                Layer::Relu
                | Layer::MaxPool2d { .. }
                | Layer::AvgPool2d { .. }
                | Layer::Crop { .. }
                | Layer::Flatten => {
                    continue;
                }
            };
            let living = nonzero(weight);
            let cost = Cost {
                parameters: weight.len() + bias.len(),
                nonzero: living + nonzero(bias),
                macs: weight.len() * rows * columns,
                remaining_macs: living * rows * columns,
            };
            costs.push(LayerCost { name: layer.name().to_owned(), cost });
        }
        costs
    }
}

fn nonzero(values: &[f32]) -> usize {
    values.iter().filter(|value| **value != 0.0).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::tests::{conv, linear};

    #[test]
    fn a_small_network_by_hand() {
        // 1x4x4 -> conv 2 filters 3x3 -> 2x2x2 -> flatten 8 -> fc 3.
        let mut filters = vec![1.0; 18];
        filters[0] = 0.0;
        let layers = vec![conv("c", [1, 2, 3], filters), Layer::Flatten, linear("f", [8, 3], vec![0.5; 24])];
        let network = Network::new([1, 4, 4], layers).expect("fits");
        let costs = network.layer_costs();
        assert_eq!(costs[0].cost, Cost { parameters: 20, nonzero: 17, macs: 72, remaining_macs: 68 });
        assert_eq!(costs[1].cost, Cost { parameters: 27, nonzero: 24, macs: 24, remaining_macs: 24 });
        let cost = network.cost();
        assert_eq!(cost, Cost { parameters: 47, nonzero: 41, macs: 96, remaining_macs: 92 });
    }
}
