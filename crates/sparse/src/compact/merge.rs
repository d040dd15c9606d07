//! Makes one of constants that have to stay: where padding keeps a constant channel from moving into a bias, two of them are
//! one, with the sum of what they contribute.

use super::constants::Constant;
use super::{Small, name};
use secateur_graph::{ChannelUnits, Role};
use std::collections::BTreeMap;

/// Merges constant units whose channels stand in the same values, given the constants of each value; whether there were
/// some. Nothing reads the others any more.
pub(super) fn merge_constants(small: &mut Small, constants: &[Vec<Constant>]) -> bool {
    let units = small.graph.channel_units();
    let mut readers: Vec<Vec<usize>> = vec![vec![]; constants.len()];
    for (place, node) in small.graph.nodes().iter().enumerate().filter(|(_, node)| node.op.joins_all()) {
        readers[node.inputs[0].index()].push(place);
    }
    let mut changed = false;
    for set in alike(&units, constants) {
        let size = |own: &Vec<Channel>| own.iter().map(|channel| f64::from(channel.constant.abs())).sum();
        // The largest one divides best; ties keep the lower unit.
        let sizes: Vec<f64> = set.iter().map(size).collect();
        let largest = (0..set.len()).fold(0, |most, own| if sizes[own] > sizes[most] { own } else { most });
        for other in (0..set.len()).filter(|other| *other != largest) {
            changed |= merged(small, &readers, &set[largest], &set[other]);
        }
    }
    changed
}

/// A channel of a value that is a constant.
struct Channel {
    value: usize,
    index: usize,
    constant: f32,
}

/// Sets of units that are constant in all values, are not pinned, and have as many channels in the same values.
fn alike(units: &ChannelUnits, constants: &[Vec<Constant>]) -> Vec<Vec<Vec<Channel>>> {
    let mut constant: Vec<bool> = units.pinned.iter().map(|pinned| !pinned).collect();
    for (of, own) in units.of.iter().zip(constants) {
        of.iter().zip(own).for_each(|(unit, own)| constant[*unit] &= own.is_some());
    }
    let mut channels: BTreeMap<usize, Vec<Channel>> = BTreeMap::new();
    for (value, (of, own)) in units.of.iter().zip(constants).enumerate() {
        for (index, (unit, own)) in of.iter().zip(own).enumerate().filter(|(_, (unit, _))| constant[**unit]) {
            let constant = own.expect("it is constant in all values");
            channels.entry(*unit).or_default().push(Channel { value, index, constant });
        }
    }
    let mut sets: BTreeMap<Vec<usize>, Vec<Vec<Channel>>> = BTreeMap::new();
    for own in channels.into_values() {
        sets.entry(own.iter().map(|channel| channel.value).collect()).or_default().push(own);
    }
    sets.into_values().filter(|set| set.len() > 1).collect()
}

/// Gives the weights that read one unit to another one, in proportion to their constants; whether there were some, and all of
/// them could be given.
fn merged(small: &mut Small, readers: &[Vec<usize>], to: &[Channel], from: &[Channel]) -> bool {
    let mut reading = false;
    let pairs = || to.iter().zip(from).flat_map(|pair| readers[pair.1.value].iter().map(move |place| (pair, *place)));
    for ((to, from), place) in pairs() {
        let [columns, taps] = sizes(small, place);
        for row in small.of(place, Role::Weight).chunks_exact(columns) {
            for tap in (0..taps).filter(|tap| row[from.index * taps + tap] != 0.0) {
                reading = true;
                if !sum(row, taps, tap, (to, from)).is_finite() {
                    return false;
                }
            }
        }
    }
    for ((to, from), place) in pairs().filter(|_| reading) {
        let [columns, taps] = sizes(small, place);
        let name = name(&small.graph.nodes()[place].name, Role::Weight);
        let weight = small.weights.get_mut(&name).expect("weights are checked against their graph");
        for row in weight.chunks_exact_mut(columns) {
            for tap in (0..taps).filter(|tap| row[from.index * taps + tap] != 0.0).collect::<Vec<_>>() {
                row[to.index * taps + tap] = sum(row, taps, tap, (to, from));
                row[from.index * taps + tap] = 0.0;
            }
        }
    }
    reading
}

/// The weight of one channel that does the work of two.
fn sum(row: &[f32], taps: usize, tap: usize, (to, from): (&Channel, &Channel)) -> f32 {
    let [own, other] = [to, from].map(|channel| f64::from(row[channel.index * taps + tap]));
    (own + other * f64::from(from.constant) / f64::from(to.constant)) as f32
}

/// Weights of a row of a node's weight, and those of each channel.
fn sizes(small: &Small, place: usize) -> [usize; 2] {
    let node = &small.graph.nodes()[place];
    let [read, given] = [node.inputs[0], node.output].map(|value| small.graph.shape(value)[0]);
    let columns = small.of(place, Role::Weight).len() / given;
    [columns, columns / read]
}
