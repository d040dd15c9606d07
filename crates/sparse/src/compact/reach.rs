//! Drops nodes that the output does not depend on, and sums with nothing but zeros.

use super::constants::Constant;
use super::{Part, Small};
use secateur_graph::Op;

/// Drops what can be dropped, given the constants of each value; whether there was something.
pub(super) fn drop_unreached(small: &mut Small, constants: &[Vec<Constant>]) -> bool {
    let nodes = small.graph.nodes();
    // By value: the earlier one that is the same.
    let mut same: Vec<usize> = (0..=nodes.len()).collect();
    for node in nodes.iter().filter(|node| node.op == Op::Add) {
        let zero = |place: usize| constants[node.inputs[place].index()].iter().all(|own| *own == Some(0.0));
        let other = if zero(1) { Some(0) } else { zero(0).then_some(1) };
        if let Some(other) = other {
            same[node.output.index()] = same[node.inputs[other].index()];
        }
    }
    let mut reached = vec![false; nodes.len() + 1];
    reached[same[nodes.len()]] = true;
    for node in nodes.iter().rev().filter(|node| same[node.output.index()] == node.output.index()) {
        if reached[node.output.index()] {
            node.inputs.iter().for_each(|value| reached[same[value.index()]] = true);
        }
    }
    // The output stays that of the last node: it depends on all the others that are left.
    let kept = |index: usize| reached[index] && same[index] == index;
    if (1..=nodes.len()).all(kept) {
        return false;
    }
    let mut parts: Vec<Part> = vec![];
    let mut values = vec![0; nodes.len() + 1];
    for node in nodes.iter().filter(|node| kept(node.output.index())) {
        let inputs = node.inputs.iter().map(|value| values[same[value.index()]]).collect();
        parts.push((node.name.clone(), node.op.clone(), inputs));
        values[node.output.index()] = parts.len();
    }
    small.rebuild(parts);
    true
}
