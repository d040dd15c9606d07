//! What a network costs: parameters and multiply-accumulates.

use crate::graph::Graph;
use crate::op::Role;

/// Parameters and multiply-accumulates (MACs) of an image, dense and with the zeros left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Trained parameters, biases included, buffers not.
    pub parameters: usize,
    /// Those that are not zero.
    pub nonzero: usize,
    /// MACs of an image; biases, batch normalisation, activations and pooling are not counted.
    pub macs: usize,
    /// MACs whose weight is not zero.
    pub remaining_macs: usize,
}

/// The size of one node that has parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSize {
    /// Its name, such as `conv1`.
    pub name: String,
    /// Its trained parameters.
    pub parameters: usize,
    /// Its multiply-accumulates of an image.
    pub macs: usize,
}

impl Graph {
    /// Trained parameters, biases included, buffers not.
    pub fn parameter_count(&self) -> usize {
        self.layer_sizes().iter().map(|own| own.parameters).sum()
    }

    /// Multiply-accumulates of an image.
    pub fn macs(&self) -> usize {
        self.layer_sizes().iter().map(|own| own.macs).sum()
    }

    /// How many multiply-accumulates of an image each value of a parameter takes part in: 0 but for weights.
    pub fn positions(&self, parameter: usize) -> usize {
        let own = &self.parameters()[parameter];
        let node = &self.nodes()[own.node];
        if own.role == Role::Weight { node.op.positions(self.shape(node.output)) } else { 0 }
    }

    /// The size of each node that has parameters.
    pub fn layer_sizes(&self) -> Vec<LayerSize> {
        let mut sizes: Vec<(usize, LayerSize)> = Vec::new();
        for (place, own) in self.parameters().iter().enumerate().filter(|(_, own)| !own.role.is_buffer()) {
            let (parameters, macs) = (own.len(), own.len() * self.positions(place));
            match sizes.last_mut() {
                Some((node, size)) if *node == own.node => {
                    size.parameters += parameters;
                    size.macs += macs;
                }
                _ => sizes.push((own.node, LayerSize { name: self.nodes()[own.node].name.clone(), parameters, macs })),
            }
        }
        sizes.into_iter().map(|(_, size)| size).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{BatchNorm, Conv2d, Linear, Op, Pool};

    #[test]
    fn a_small_network_counted_by_hand() {
        let ops = [
            ("conv", Op::Conv2d(Conv2d::new(4, 3).groups(2).padding(1).without_bias())),
            ("norm", Op::BatchNorm(BatchNorm::default())),
            ("pool", Op::Pool(Pool::max(2))),
            ("flatten", Op::Flatten),
            ("fc", Op::Linear(Linear::new(3))),
        ];
        let graph = Graph::sequential(&[2, 4, 4], ops).expect("fits");
        // 4 filters of 1 x 3 x 3 at 16 positions; 4 + 4 of the norm; 3 x 16 + 3.
        assert_eq!((graph.parameter_count(), graph.macs()), (36 + 8 + 51, 36 * 16 + 48));
        let sizes = graph.layer_sizes().into_iter().map(|own| (own.name, own.parameters, own.macs));
        let expected =
            [("conv", 36, 576), ("norm", 8, 0), ("fc", 51, 48)].map(|(name, n, macs)| (name.to_owned(), n, macs));
        assert!(sizes.eq(expected));
    }
}
