//! Makes a network smaller without changing what it answers: after structured pruning what comes out is a normal small
//! network, and after any pruning nothing is left that nobody reads or that never varies.
//!
//! Values decide, not masks: a weight that is zero joins nothing. (A trainer asks its masks instead, since zeros move there:
//! `train/chain/units.rs`.)

mod constants;
mod crop;
mod fold;
mod merge;
mod reach;
mod units;

use secateur_graph::{Builder, Graph, Op, Role, Value, Weights};

/// A graph without what its answers do not depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Compacted {
    /// The smaller graph. It has the input and the outputs of the original.
    pub graph: Graph,
    /// Its weights.
    pub weights: Weights,
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
    /// Places of weights and of batch normalisation's factors, zeros included; biases left out.
    pub weights: usize,
    /// Weights that are not zero, biases left out.
    pub nonzero: usize,
    /// Multiply-accumulates of an image, as the shapes ask for.
    pub macs: usize,
    /// Multiply-accumulates of an image whose weight is not zero.
    pub remaining_macs: usize,
}

impl Footprint {
    /// The size of a graph with these weights. Batch normalisation counts no multiply-accumulates.
    ///
    /// # Panics
    /// When the weights are not the graph's; [`Weights::check`] finds that out.
    pub fn of(graph: &Graph, weights: &Weights) -> Self {
        let mut own = Self { macs: graph.macs(), ..Self::default() };
        for (place, parameter) in graph.parameters().iter().enumerate() {
            if !matches!(parameter.role, Role::Weight | Role::Scale) {
                continue;
            }
            let nonzero = weights.get(&parameter.name).iter().filter(|value| **value != 0.0).count();
            own.units += if parameter.role == Role::Weight { parameter.shape[0] } else { 0 };
            own.weights += parameter.len();
            own.nonzero += nonzero;
            own.remaining_macs += nonzero * graph.positions(place);
        }
        own
    }
}

/// The same graph, smaller: its answers differ by rounding alone, as long as its values are finite.
///
/// To a fixed point:
///
/// - Batch normalisation is folded into the convolution or the fully connected layer before it, which gets a bias, where
///   nothing else reads that one's output.
/// - A channel that does not vary with the input is a constant. What it contributes to a convolution or a fully connected
///   layer is added to that one's bias, and its weights become zero. In a padded convolution a constant other than zero is
///   smaller at the border, so there the weights stay when one of them reaches the border; but of several such channels that
///   stand in the same values one takes over the weights of all.
/// - A sum with zeros is its other value, and nodes that the output does not depend on go.
/// - A unit (channels that belong together, as in a dependency group) goes when nothing reads it: each weight out of it is
///   zero, or leads to a unit that goes. Where a layer would read nothing at all, it reads one unit, with zeros for values.
///
/// Then rows and columns at the right and lower edges that pooling and strides never read are cut off ([`Op::Crop`]) before the first
/// convolution that has less to do for it.
///
/// Outputs and inputs stay, and so do the channels of a convolution in groups (unless it is depthwise) and those that a
/// reshape mixes.
///
/// # Panics
/// When the weights are not the graph's; [`Weights::check`] finds that out.
pub fn compact(graph: &Graph, weights: &Weights) -> Compacted {
    let mut small = Small { graph: graph.clone(), weights: weights.clone() };
    loop {
        let folded = fold::fold(&mut small);
        let (moved, constants) = constants::move_into_biases(&mut small);
        let merged = merge::merge_constants(&mut small, &constants);
        let dropped = reach::drop_unreached(&mut small, &constants);
        let left_out = units::leave_out_unread(&mut small);
        // What one of them does may make work for any other, so all have to find nothing in one round.
        if !(folded || moved || merged || dropped || left_out) {
            break;
        }
    }
    crop::crop(&mut small);
    let Small { graph: small, weights: own } = small;
    Compacted { before: Footprint::of(graph, weights), after: Footprint::of(&small, &own), graph: small, weights: own }
}

/// The graph with batch normalisation folded into the layers before it, where nothing else reads them, and its weights.
pub(crate) fn folded(graph: &Graph, weights: &Weights) -> (Graph, Weights) {
    let mut small = Small { graph: graph.clone(), weights: weights.clone() };
    fold::fold(&mut small);
    (small.graph, small.weights)
}

/// The graph so far, and its weights.
struct Small {
    graph: Graph,
    weights: Weights,
}

/// A node of a graph that is to be built: its name, its operation, and what it reads, by the index of the value.
type Part = (String, Op, Vec<usize>);

impl Small {
    /// The values of a node's parameter.
    fn of(&self, node: usize, role: Role) -> &[f32] {
        self.weights.get(&name(&self.graph.nodes()[node].name, role))
    }

    /// Takes these nodes instead, and of the weights those of their parameters.
    fn rebuild(&mut self, parts: Vec<Part>) {
        let whole = "what is left of a graph fits together, and is no larger";
        let mut builder = Builder::new(self.graph.shape(self.graph.input())).expect(whole);
        for (name, op, inputs) in parts {
            let inputs: Vec<Value> = inputs.into_iter().map(|index| builder.value(index).expect(whole)).collect();
            builder.add(&name, op, &inputs).expect(whole);
        }
        self.graph = builder.finish();
        let weights = &mut self.weights;
        let own = self.graph.parameters().iter();
        *weights = own.map(|own| (own.name.clone(), weights.remove(&own.name).expect(whole))).collect();
    }
}

/// The name of a node's parameter.
fn name(node: &str, role: Role) -> String {
    format!("{node}.{}", role.field())
}
