//! Checkpoints before version 4 have the weights of fully connected layers as burn's own layers do, `[inputs, outputs]`.

use super::Checkpoint;
use secateur_pruner::{Mask, MaskSet};
use std::collections::BTreeMap;

/// The first version in which all weights are `[outputs, inputs, ..]`.
pub(super) const FIRST_LIKE_PYTORCH: u32 = 4;

/// The model's parameters in the shapes that these versions have.
pub(super) fn shapes(shapes: &[(String, Vec<usize>)]) -> Vec<(String, Vec<usize>)> {
    let turned = |(name, shape): &(String, Vec<usize>)| match shape[..] {
        [outputs, inputs] => (name.clone(), vec![inputs, outputs]),
        _ => (name.clone(), shape.clone()),
    };
    shapes.iter().map(turned).collect()
}

/// The same state with every matrix transposed.
pub(super) fn like_pytorch(mut own: Checkpoint) -> Checkpoint {
    let held = if own.state.shadows { MaskSet::default() } else { own.masks.clone() };
    let mut orders = BTreeMap::new();
    for parameter in &own.state.parameters {
        if let [inputs, outputs] = parameter.shape[..] {
            let order = order(held.get(&parameter.name), inputs, outputs);
            orders.insert(parameter.name.clone(), (vec![outputs, inputs], order));
        }
    }
    let transpose = |name: &str, shape: Option<&mut Vec<usize>>, kept: &mut Vec<f32>| {
        let Some((turned, order)) = orders.get(name) else { return };
        *kept = order.iter().map(|index| kept[*index]).collect();
        if let Some(shape) = shape {
            shape.clone_from(turned);
        }
    };
    let copies = [own.remembered.as_mut(), own.best.as_mut()];
    for weights in std::iter::once(&mut own.state.parameters).chain(copies.into_iter().flatten()).flatten() {
        transpose(&weights.name, Some(&mut weights.shape), &mut weights.kept);
    }
    for moment in &mut own.state.moments {
        transpose(&moment.parameter, None, &mut moment.kept);
    }
    let masks = own.masks.iter().map(|(name, mask)| {
        let mask = match *mask.shape() {
            [inputs, outputs] => {
                let mut keeps = vec![false; mask.total()];
                mask.indices().for_each(|index| keeps[index % outputs * inputs + index / outputs] = true);
                Mask::from_fn(&[outputs, inputs], |index| keeps[index])
            }
            _ => mask.clone(),
        };
        (name.to_owned(), mask)
    });
    own.masks = MaskSet::new(masks.collect());
    own
}

/// By kept weight of the transposed matrix, in order: its position among the kept weights of the `[inputs, outputs]` one.
fn order(mask: Option<&Mask>, inputs: usize, outputs: usize) -> Vec<usize> {
    let transposed = |index: usize| index % outputs * inputs + index / outputs;
    let mut found: Vec<(usize, usize)> = match mask {
        Some(mask) => mask.indices().map(transposed).zip(0..).collect(),
        None => (0..inputs * outputs).map(transposed).zip(0..).collect(),
    };
    found.sort_unstable();
    found.into_iter().map(|(_, position)| position).collect()
}
