//! Leaves out units (channels that belong together) that nothing reads.

use super::{Part, Small, name};
use secateur_graph::{ChannelUnits, Channels, Graph, Node, Op, Role};

/// Leaves out what can be left out; whether there was something.
pub(super) fn leave_out_unread(small: &mut Small) -> bool {
    let units = small.graph.channel_units();
    let mut kept = read_units(small, &units);
    let silent = keep_something_to_read(&small.graph, &units, &mut kept);
    let silenced = silence(small, &units, &silent);
    let left = Left::new(&small.graph, &units, kept);
    if left.is_everything(&small.graph) {
        return silenced;
    }
    let parts = left.parts(&small.graph);
    left.cut(small);
    small.rebuild(parts);
    true
}

/// By unit: whether it is pinned, or a nonzero weight leads from it to such a unit, by way of others.
fn read_units(small: &Small, units: &ChannelUnits) -> Vec<bool> {
    let graph = &small.graph;
    // By unit: the rows of weights that give it.
    let mut rows: Vec<Vec<(usize, usize)>> = vec![vec![]; units.pinned.len()];
    for (place, node) in graph.nodes().iter().enumerate().filter(|(_, node)| node.op.joins_all()) {
        let given = units.of[node.output.index()].iter().enumerate();
        given.for_each(|(row, unit)| rows[*unit].push((place, row)));
    }
    let mut kept = units.pinned.clone();
    let mut open: Vec<usize> = (0..kept.len()).filter(|unit| kept[*unit]).collect();
    while let Some(unit) = open.pop() {
        for (place, row) in &rows[unit] {
            let read = &units.of[graph.nodes()[*place].inputs[0].index()];
            let weight = small.of(*place, Role::Weight);
            let columns = weight.len() / units.of[place + 1].len();
            let weights = weight[row * columns..][..columns].chunks_exact(columns / read.len());
            for (weights, unit) in weights.zip(read) {
                if !kept[*unit] && weights.iter().any(|weight| *weight != 0.0) {
                    kept[*unit] = true;
                    open.push(*unit);
                }
            }
        }
    }
    kept
}

/// By value: how many of its channels are kept.
fn counts(units: &ChannelUnits, kept: &[bool]) -> Vec<usize> {
    units.of.iter().map(|own| own.iter().filter(|unit| kept[**unit]).count()).collect()
}

/// By value: whether something of it is kept, and the output is computed from it.
fn needed(graph: &Graph, counts: &[usize]) -> Vec<bool> {
    let mut needed = vec![false; counts.len()];
    needed[graph.output().index()] = true;
    for node in graph.nodes().iter().rev().filter(|node| counts[node.output.index()] > 0) {
        if needed[node.output.index()] {
            node.inputs.iter().for_each(|value| needed[value.index()] |= counts[value.index()] > 0);
        }
    }
    needed
}

/// Where a layer would read nothing, its first unit stays; gives those units, which nothing reads.
fn keep_something_to_read(graph: &Graph, units: &ChannelUnits, kept: &mut [bool]) -> Vec<bool> {
    let mut silent = vec![false; kept.len()];
    loop {
        let counts = counts(units, kept);
        let needed = needed(graph, &counts);
        let mut missing = false;
        for node in graph.nodes().iter().filter(|node| needed[node.output.index()] && node.op.joins_all()) {
            let input = node.inputs[0].index();
            if counts[input] == 0 {
                let unit = units.of[input][0];
                (kept[unit], silent[unit], missing) = (true, true, true);
            }
        }
        if !missing {
            return silent;
        }
    }
}

/// Gives these units zeros for all their parameters; whether one of them was not zero.
fn silence(small: &mut Small, units: &ChannelUnits, silent: &[bool]) -> bool {
    let mut changed = false;
    for own in small.graph.parameters().iter().filter(|own| !own.role.is_buffer()) {
        let given = &units.of[small.graph.nodes()[own.node].output.index()];
        if !given.iter().any(|unit| silent[*unit]) {
            continue;
        }
        let length = own.len() / given.len();
        let values = small.weights.get_mut(&own.name).expect("weights are checked against their graph");
        let rows = values.chunks_exact_mut(length).zip(given).filter(|(_, unit)| silent[**unit]);
        for value in rows.flat_map(|(row, _)| row) {
            changed |= *value != 0.0;
            *value = 0.0;
        }
    }
    changed
}

/// What is left of a graph.
struct Left {
    /// By value: whether a channel is kept.
    channels: Vec<Vec<bool>>,
    /// By value: how many are.
    counts: Vec<usize>,
    /// By value: whether it is computed at all.
    needed: Vec<bool>,
}

impl Left {
    fn new(graph: &Graph, units: &ChannelUnits, kept: Vec<bool>) -> Self {
        let counts = counts(units, &kept);
        let needed = needed(graph, &counts);
        let channels = units.of.iter().map(|own| own.iter().map(|unit| kept[*unit]).collect()).collect();
        Self { channels, counts, needed }
    }

    fn is_everything(&self, graph: &Graph) -> bool {
        let whole = |node: &Node| {
            let index = node.output.index();
            self.needed[index] && self.counts[index] == self.channels[index].len()
        };
        graph.nodes().iter().all(whole)
    }

    fn parts(&self, graph: &Graph) -> Vec<Part> {
        let mut parts: Vec<Part> = vec![];
        let mut values = vec![0; self.counts.len()];
        for node in graph.nodes().iter().filter(|node| self.needed[node.output.index()]) {
            let index = node.output.index();
            let present = node.inputs.iter().map(|value| value.index()).filter(|value| self.counts[*value] > 0);
            let inputs: Vec<usize> = present.map(|value| values[value]).collect();
            if matches!(node.op, Op::Concat) && inputs.len() == 1 {
                values[index] = inputs[0];
                continue;
            }
            let channels = graph.shape(node.inputs[0])[0];
            let [read, given] = [self.counts[node.inputs[0].index()], self.counts[index]];
            let op = node.op.narrowed(channels, read, given);
            parts.push((node.name.clone(), op, inputs));
            values[index] = parts.len();
        }
        parts
    }

    /// Leaves of every parameter what belongs to channels that are kept.
    fn cut(&self, small: &mut Small) {
        for own in small.graph.parameters() {
            let node = &small.graph.nodes()[own.node];
            if !self.needed[node.output.index()] {
                continue;
            }
            let values = small.weights.remove(&own.name).expect("weights are checked against their graph");
            let mut values = match node.op.channels(small.graph.shape(node.inputs[0])) {
                // All channels are kept, and its parameters lie along other sides.
                Channels::Mixed => values,
                _ => gather(&values, &self.channels[node.output.index()]),
            };
            if own.role == Role::Weight && node.op.joins_all() {
                let columns = values.len() / self.counts[node.output.index()];
                let read = &self.channels[node.inputs[0].index()];
                values = values.chunks_exact(columns).flat_map(|row| gather(row, read)).collect();
            }
            small.weights.insert(name(&node.name, own.role), values);
        }
    }
}

/// The parts of these values, as many as there are flags, whose flag is set.
fn gather(values: &[f32], kept: &[bool]) -> Vec<f32> {
    let parts = values.chunks_exact(values.len() / kept.len()).zip(kept);
    parts.filter(|(_, kept)| **kept).flat_map(|(part, _)| part).copied().collect()
}
