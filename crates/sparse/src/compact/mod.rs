//! Makes a network smaller without changing what it answers: after structured pruning what comes out is a normal small
//! network, and after any pruning nothing is left that nobody hears, that never varies, or that nobody reads.
//!
//! Values decide, not masks: a weight that is zero joins nothing. (A trainer asks its masks instead, since zeros move there:
//! `train/units.rs`.)

mod affine;
mod crop;
pub(crate) mod graph;
mod units;

pub use graph::{CompactedGraph, compact_graph};

use crate::{Layer, Network};

/// A network without what its answers do not depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Compacted {
    /// The smaller network. It has the input and the outputs of the original.
    pub network: Network,
    /// Size of the original.
    pub before: Footprint,
    /// Size of what is left; no number in it is larger than before.
    pub after: Footprint,
}

/// How large a network is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Filters and neurons, outputs included.
    pub units: usize,
    /// Places of weights, zeros included: of convolutions, fully connected and affine layers, biases left out.
    pub weights: usize,
    /// Weights that are not zero, biases left out.
    pub nonzero: usize,
    /// Multiply-accumulates of an image, as the shapes ask for.
    pub macs: usize,
    /// Multiply-accumulates of an image whose weight is not zero.
    pub remaining_macs: usize,
}

impl Footprint {
    /// The size of this network.
    pub fn of(network: &Network) -> Self {
        let cost = network.cost();
        let mut own = Self { macs: cost.macs, remaining_macs: cost.remaining_macs, ..Self::default() };
        for layer in network.layers() {
            let weight = match layer {
                Layer::Conv2d(conv) => &conv.weight,
                Layer::Linear(linear) => &linear.weight,
                Layer::Affine(affine) => &affine.scale,
                Layer::Relu
                | Layer::MaxPool2d { .. }
                | Layer::AvgPool2d { .. }
                | Layer::Crop { .. }
                | Layer::Flatten => continue,
            };
            own.units += layer.parameters().map_or(0, |layer| layer.bias.len());
            own.weights += weight.len();
            own.nonzero += weight.iter().filter(|value| **value != 0.0).count();
        }
        own
    }
}

/// The same network, smaller: its answers differ by rounding alone, as long as its values are finite.
///
/// To a fixed point:
///
/// - An affine layer (batch normalisation) is folded into the layer before it, or into the one after it. It stays where
///   neither is next to it, and before a padded convolution when it has a shift, since padding is not shifted.
/// - A unit (filter or neuron) goes when nothing hears it: each weight out of it is zero, or leads to a unit that goes.
/// - A unit that does not vary with the input is a constant. Relu, pooling and affine layers make another constant of it,
///   and that times its weights is added to the next layer's bias; then nothing hears it. In a padded convolution a
///   constant other than zero is smaller at the border, so there the unit stays when one of its weights reaches the border.
/// - Of a layer whose units would all go, one stays, with zeros for values.
/// - Rows and columns at the right and lower edges that pooling and strides never read are not computed: a [`Layer::Crop`]
///   stands directly before the first layer with weights that has less to do for it. No crop reaches through a padded
///   convolution.
///
/// Outputs stay, and so do the inputs of the first layer, read or not.
pub fn compact(network: &Network) -> Compacted {
    let input = network.input();
    let rebuilt = |layers| Network::new(input, layers).expect("what was left out was left out on both sides");
    let mut small = network.clone();
    loop {
        let (layers, folded) = affine::folded(small.into_layers());
        let (layers, left_out) = units::without_idle(rebuilt(layers));
        small = rebuilt(layers);
        // An affine layer may fold once a channel with a shift is gone, so both have to find nothing in one round.
        if !folded && !left_out {
            break;
        }
    }
    let small = rebuilt(crop::cropped(small));
    Compacted { before: Footprint::of(network), after: Footprint::of(&small), network: small }
}
