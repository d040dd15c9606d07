//! What is left of a network, told value by value, so that nobody needs a copy of the weights to count them: its cost, and
//! which of its units are dead, because they no longer vary with the input or because nothing of them reaches the output.

use crate::channels::Channels;
use crate::cost::Cost;
use crate::graph::{Graph, Node};
use crate::op::{Op, Role};
use crate::weights::Weights;

/// Counts of a graph's nonzero parameters, and which of its units they join.
#[derive(Clone, Debug)]
pub struct Survey<'a> {
    graph: &'a Graph,
    /// By parameter: how many of its values are not zero.
    nonzero: Vec<usize>,
    /// By parameter: of a weight the pairs of units that it joins, of a scale the channels that it lets through.
    joined: Vec<Bits>,
}

/// Bits that are set one by one.
#[derive(Clone, Debug)]
struct Bits(Vec<u64>);

impl Bits {
    fn none(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn set(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    fn has(&self, place: usize) -> bool {
        self.0[place / 64] >> (place % 64) & 1 == 1
    }
}

impl<'a> Survey<'a> {
    /// Nothing told yet.
    pub fn new(graph: &'a Graph) -> Self {
        let joined = |own: &crate::graph::Parameter| match own.role {
            Role::Weight => Bits::none(own.shape[0] * own.shape[1]),
            Role::Scale => Bits::none(own.len()),
            Role::Bias | Role::Shift | Role::Mean | Role::Variance | Role::Table => Bits::none(0),
        };
        let parameters = graph.parameters();
        Self { graph, nonzero: vec![0; parameters.len()], joined: parameters.iter().map(joined).collect() }
    }

    /// Everything that is not zero in these weights.
    ///
    /// # Panics
    /// When they are not the graph's; [`Weights::check`] finds that out.
    pub fn of(graph: &'a Graph, weights: &Weights) -> Self {
        let mut own = Self::new(graph);
        for (place, parameter) in graph.parameters().iter().enumerate() {
            let values = weights.get(&parameter.name).iter().enumerate();
            values.filter(|(_, value)| **value != 0.0).for_each(|(index, _)| own.tell(place, index));
        }
        own
    }

    /// Tells that a value is not zero: that at a row-major index of the parameter at this place of
    /// [`Graph::parameters`].
    ///
    /// # Panics
    /// When there is no such parameter or value.
    pub fn tell(&mut self, parameter: usize, index: usize) {
        let own = &self.graph.parameters()[parameter];
        self.nonzero[parameter] += 1;
        match own.role {
            Role::Weight => self.joined[parameter].set(index / own.shape[2..].iter().product::<usize>()),
            Role::Scale => self.joined[parameter].set(index),
            Role::Bias | Role::Shift | Role::Mean | Role::Variance | Role::Table => {}
        }
    }

    /// The cost of what was told.
    pub fn cost(&self) -> Cost {
        let mut cost = Cost { macs: self.graph.macs(), parameters: self.graph.parameter_count(), ..Cost::default() };
        let trained = self.graph.parameters().iter().enumerate().filter(|(_, own)| !own.role.is_buffer());
        for (place, _) in trained {
            cost.nonzero += self.nonzero[place];
            cost.remaining_macs += self.nonzero[place] * self.graph.positions(place);
        }
        cost
    }

    /// The number of dead units (filters and neurons), the network's outputs left out.
    pub fn dead_units(&self) -> usize {
        let (varies, heard) = (self.varying(), self.heard());
        let answers = self.answers();
        let layers =
            self.graph.nodes().iter().enumerate().filter(|(place, node)| node.op.is_layer() && Some(*place) != answers);
        let dead = |node: &Node| {
            let at = node.output.index();
            varies[at].iter().zip(&heard[at]).filter(|(varies, heard)| !(**varies && **heard)).count()
        };
        layers.map(|(_, node)| dead(node)).sum()
    }

    /// By value: which of its channels vary with the input.
    fn varying(&self) -> Vec<Vec<bool>> {
        let mut varies = vec![vec![true; self.graph.shape(self.graph.input())[0]]];
        for (place, node) in self.graph.nodes().iter().enumerate() {
            let inputs: Vec<&Vec<bool>> = node.inputs.iter().map(|value| &varies[value.index()]).collect();
            let units = self.graph.shape(node.output)[0];
            let given = match self.channels(node) {
                Channels::Weighted { .. } => {
                    let mut given = vec![false; units];
                    self.pairs(place, |from, to| given[to] |= inputs[0][from]);
                    given
                }
                Channels::Same => {
                    let varies = |unit: usize| self.lets_through(place, unit) && inputs.iter().any(|own| own[unit]);
                    (0..units).map(varies).collect()
                }
                Channels::Appended => inputs.into_iter().flatten().copied().collect(),
                Channels::Spread(_) | Channels::Regrouped => spread(inputs[0], units),
                Channels::Mixed => vec![inputs.iter().any(|own| own.contains(&true)); units],
            };
            varies.push(given);
        }
        varies
    }

    /// By value: of which of its channels something reaches the output.
    fn heard(&self) -> Vec<Vec<bool>> {
        let count = self.graph.nodes().len() + 1;
        let mut heard: Vec<Vec<bool>> = vec![vec![]; count];
        for (place, flags) in heard.iter_mut().enumerate() {
            let value = if place == 0 { self.graph.input() } else { self.graph.nodes()[place - 1].output };
            flags.resize(self.graph.shape(value)[0], place + 1 == count);
        }
        for (place, node) in self.graph.nodes().iter().enumerate().rev() {
            let given = std::mem::take(&mut heard[node.output.index()]);
            let mut rest = given.as_slice();
            for value in &node.inputs {
                let read = &mut heard[value.index()];
                match self.channels(node) {
                    Channels::Weighted { .. } => self.pairs(place, |from, to| read[from] |= given[to]),
                    Channels::Same => {
                        let own = |unit: usize| given[unit] && self.lets_through(place, unit);
                        read.iter_mut().enumerate().for_each(|(unit, read)| *read |= own(unit));
                    }
                    Channels::Appended => {
                        let (own, behind) = rest.split_at(read.len());
                        read.iter_mut().zip(own).for_each(|(read, given)| *read |= given);
                        rest = behind;
                    }
                    Channels::Spread(_) | Channels::Regrouped => {
                        let own = gathered(&given, read.len());
                        read.iter_mut().zip(own).for_each(|(read, given)| *read |= given);
                    }
                    Channels::Mixed => read.iter_mut().for_each(|read| *read |= given.contains(&true)),
                }
            }
            heard[node.output.index()] = given;
        }
        heard
    }

    fn channels(&self, node: &Node) -> Channels {
        node.op.channels(self.graph.shape(node.inputs[0]))
    }

    /// Whether a node has no factor for a channel, or one that is not zero.
    fn lets_through(&self, node: usize, channel: usize) -> bool {
        let parameters = self.graph.parameters();
        let first = self.first(node);
        let has_factors = parameters.get(first).is_some_and(|own| own.node == node && own.role == Role::Scale);
        !has_factors || self.joined[first].has(channel)
    }

    /// Each pair of an input channel and an output unit of a node that a nonzero weight joins.
    fn pairs(&self, node: usize, mut pair: impl FnMut(usize, usize)) {
        let (weight, own) = (self.first(node), &self.graph.nodes()[node]);
        let [outputs, inputs] = [0, 1].map(|axis| self.graph.parameters()[weight].shape[axis]);
        let groups = if let Op::Conv2d(conv) = &own.op { conv.groups } else { 1 };
        for to in 0..outputs {
            let first = to / (outputs / groups) * inputs;
            for from in (0..inputs).filter(|from| self.joined[weight].has(to * inputs + from)) {
                pair(first + from, to);
            }
        }
    }

    /// Place of a node's first parameter.
    fn first(&self, node: usize) -> usize {
        self.graph.parameters().partition_point(|own| own.node < node)
    }

    /// The layer whose units are the network's outputs, if there is one.
    fn answers(&self) -> Option<usize> {
        let mut value = self.graph.output();
        while let Some(node) = self.graph.node(value) {
            match (self.channels(node), node.inputs.as_slice()) {
                (Channels::Weighted { .. }, _) => return Some(value.index() - 1),
                (_, [only]) => value = *only,
                _ => return None,
            }
        }
        None
    }
}

/// The flags of channels as those of what they become: side by side, each so many times; all of them where channels are mixed.
fn spread(flags: &[bool], units: usize) -> Vec<bool> {
    if units.is_multiple_of(flags.len()) {
        let each = units / flags.len();
        flags.iter().flat_map(|flag| std::iter::repeat_n(*flag, each)).collect()
    } else {
        vec![flags.contains(&true); units]
    }
}

/// The other way round.
fn gathered(flags: &[bool], channels: usize) -> Vec<bool> {
    if flags.len().is_multiple_of(channels) {
        flags.chunks(flags.len() / channels).map(|own| own.contains(&true)).collect()
    } else {
        vec![flags.contains(&true); channels]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;
    use crate::op::{Activation, BatchNorm, Conv2d, Linear, Pool};

    /// Dead units of a graph with these weights; what is not named is 1 throughout.
    fn dead(graph: &Graph, fill: &[(&str, &[f32])]) -> usize {
        let mut weights: Weights =
            graph.parameters().iter().map(|own| (own.name.clone(), vec![1.0; own.len()])).collect();
        fill.iter().for_each(|(name, values)| weights.insert(*name, values.to_vec()));
        weights.check(graph).expect("all of them");
        Survey::of(graph, &weights).dead_units()
    }

    #[test]
    fn what_is_not_zero_is_counted() {
        let conv = Op::Conv2d(Conv2d::new(2, 3).padding(1));
        let ops = [
            ("conv", conv),
            ("norm", Op::BatchNorm(BatchNorm::default())),
            ("flat", Op::Flatten),
            ("fc", Op::Linear(Linear::new(3))),
        ];
        let graph = Graph::sequential(&[1, 4, 4], ops).expect("fits");
        let mut weights = Weights::neutral(&graph);
        weights.get_mut("conv.weight").expect("there")[5] = -1.0;
        weights.get_mut("fc.weight").expect("there")[..2].fill(0.5);
        weights.get_mut("fc.bias").expect("there")[0] = 0.5;
        let expected = Cost { parameters: 20 + 4 + 99, nonzero: 1 + 2 + 3, macs: 18 * 16 + 96, remaining_macs: 16 + 2 };
        assert_eq!(Survey::of(&graph, &weights).cost(), expected);
    }

    #[test]
    fn units_without_input_or_without_output_are_dead() {
        let linear = |outputs| Op::Linear(Linear::new(outputs));
        let ops = [("a", linear(2)), ("relu", Op::Activation(Activation::Relu)), ("b", linear(1))];
        let graph = Graph::sequential(&[2], ops).expect("fits");
        let two = |a: [f32; 4], b: [f32; 2]| dead(&graph, &[("a.weight", &a), ("b.weight", &b)]);
        assert_eq!(two([1.0, 1.0, 1.0, 1.0], [1.0, 1.0]), 0);
        assert_eq!(two([0.0, 0.0, 1.0, 1.0], [1.0, 1.0]), 1, "unit 0 does not vary");
        assert_eq!(two([1.0, 1.0, 1.0, 1.0], [1.0, 0.0]), 1, "unit 1 is not heard");
        assert_eq!(two([0.0, 0.0, 1.0, 1.0], [1.0, 0.0]), 2, "neither does anything");
    }

    #[test]
    fn death_spreads_through_convolution_pooling_and_flatten() {
        let ops = [
            ("c", Op::Conv2d(Conv2d::new(2, 1))),
            ("relu", Op::Activation(Activation::Relu)),
            ("pool", Op::Pool(Pool::max(2))),
            ("flatten", Op::Flatten),
            ("f", Op::Linear(Linear::new(2))),
            ("o", Op::Linear(Linear::new(1))),
        ];
        let graph = Graph::sequential(&[1, 4, 4], ops).expect("fits");
        let only_first = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(dead(&graph, &[("f.weight", &only_first)]), 1, "filter 1 is not heard");
        assert_eq!(dead(&graph, &[("f.weight", &only_first), ("o.weight", &[0.0, 0.0])]), 4, "nothing is heard");
        assert_eq!(dead(&graph, &[("o.weight", &[1.0, 0.0])]), 1);
    }

    #[test]
    fn a_branch_that_is_dead_leaves_the_other_alive() {
        let mut net = Builder::new(&[2, 2, 2]).expect("a shape");
        let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
        add("a", Op::Conv2d(Conv2d::new(2, 1)), &["input"]);
        add("b", Op::Conv2d(Conv2d::new(2, 1).groups(2)), &["input"]);
        add("norm", Op::BatchNorm(BatchNorm::default()), &["b"]);
        add("sum", Op::Add, &["a", "norm"]);
        add("both", Op::Concat, &["sum", "b"]);
        add("flat", Op::Flatten, &["both"]);
        add("fc", Op::Linear(Linear::new(1)), &["flat"]);
        let graph = net.finish();
        assert_eq!(dead(&graph, &[]), 0);
        assert_eq!(dead(&graph, &[("a.weight", &[0.0, 0.0, 1.0, 1.0])]), 1, "b goes on beside it");
        assert_eq!(dead(&graph, &[("b.weight", &[0.0, 1.0])]), 1);
        assert_eq!(dead(&graph, &[("norm.weight", &[0.0, 1.0])]), 0, "b is heard behind the concat");
        // Of four channels behind the concat with four pixels each, the last is not read.
        let mut read = [1.0; 16];
        read[12..].fill(0.0);
        assert_eq!(dead(&graph, &[("fc.weight", &read)]), 0, "norm hears it");
        assert_eq!(dead(&graph, &[("fc.weight", &read), ("norm.weight", &[1.0, 0.0])]), 1);
    }
}
