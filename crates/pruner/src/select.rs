//! Chooses which weights stay. Pure: numbers in, bits out; no tensors, no clock, no files.
//!
//! Exactly `round(sparsity * n)` weights go, those with the lowest scores; ties keep the lower (layer, flat index).
//! A weight that is pruned already goes before every living one, so a new mask lies within the old one.

use crate::{Error, Mask, MaskSet, Sparsity};
use serde::{Deserialize, Serialize};

/// Who competes with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Every layer gives the same share of its own weights.
    Layerwise,
    /// All layers compete together.
    Global,
}

/// The scores of one layer.
#[derive(Clone, Debug)]
pub struct Scores<'a> {
    /// Path of the parameter.
    pub name: &'a str,
    /// Its shape.
    pub shape: &'a [usize],
    /// One score for each weight that `within` keeps, in order; finite and not negative.
    pub scores: Vec<f32>,
    /// The mask that the new one has to lie within.
    pub within: &'a Mask,
}

/// The masks that leave `sparsity` of the weights pruned, one for each of `layers`, in their order.
///
/// # Errors
/// When fewer weights would be pruned than are pruned already: masks never grow back.
pub fn select(layers: &[Scores<'_>], scope: Scope, sparsity: Sparsity) -> Result<MaskSet, Error> {
    let groups: Vec<&[Scores<'_>]> = match scope {
        Scope::Layerwise => layers.chunks(1).collect(),
        Scope::Global => vec![layers],
    };
    let mut masks = Vec::with_capacity(layers.len());
    for group in groups {
        masks.extend(prune_group(group, sparsity)?);
    }
    Ok(MaskSet::new(masks))
}

/// Prunes the layers of one competition.
fn prune_group(group: &[Scores<'_>], sparsity: Sparsity) -> Result<Vec<(String, Mask)>, Error> {
    for layer in group {
        let (scores, kept) = (layer.scores.len(), layer.within.kept());
        assert!(scores == kept, "`{}` has {scores} scores for {kept} weights", layer.name);
    }
    let total = group.iter().map(|layer| layer.within.total()).sum();
    let living: usize = group.iter().map(|layer| layer.within.kept()).sum();
    let (pruned, wanted) = (total - living, sparsity.count(total));
    if wanted < pruned {
        let place = if group.len() == 1 { format!("`{}`", group[0].name) } else { "all layers".into() };
        return Err(Error::Grows { place, pruned, wanted, total });
    }
    let cut = Cut::find(|| group.iter().flat_map(living_keys), wanted - pruned);
    let mut ties_kept = cut.ties_kept;
    let mut cut_layer = |layer: &Scores<'_>| {
        let mut keys = living_keys(layer);
        Mask::from_fn(layer.shape, |index| {
            if !layer.within.keeps(index) {
                return false;
            }
            let key = keys.next().expect("there is a score for each living weight");
            let kept_tie = key == cut.threshold && ties_kept > 0;
            ties_kept -= usize::from(kept_tie);
            key > cut.threshold || kept_tie
        })
    };
    Ok(group.iter().map(|layer| (layer.name.to_owned(), cut_layer(layer))).collect())
}

/// Scores of the living weights as integers: bits of non-negative floats are ordered like the floats.
fn living_keys<'a>(layer: &'a Scores<'_>) -> impl Iterator<Item = u32> + 'a {
    layer.scores.iter().map(|score| score.to_bits())
}

/// Where the order is cut: all keys above `threshold` stay, and the first `ties_kept` of those equal to it.
struct Cut {
    threshold: u32,
    ties_kept: usize,
}

impl Cut {
    /// The cut that removes `count` of the keys, found by two histograms of 16 bits each: linear time, no copy.
    fn find<I: Iterator<Item = u32>>(keys: impl Fn() -> I, count: usize) -> Self {
        if count == 0 {
            return Self { threshold: 0, ties_kept: usize::MAX };
        }
        let (high, rank, _) = bucket(keys().map(|key| key >> 16), count);
        let (low, rank, equal) = bucket(keys().filter(|key| key >> 16 == high).map(|key| key & 0xffff), rank);
        Self { threshold: high << 16 | low, ties_kept: equal - rank }
    }
}

/// The 16-bit value in which the `count`-th smallest lies, its rank (from 1) among the equal ones, and their number.
fn bucket(values: impl Iterator<Item = u32>, count: usize) -> (u32, usize, usize) {
    let mut histogram = vec![0usize; 1 << 16];
    for value in values {
        histogram[value as usize] += 1;
    }
    let mut left = count;
    for (value, &size) in histogram.iter().enumerate() {
        if left <= size {
            return (value as u32, left, size);
        }
        left -= size;
    }
    unreachable!("more weights are to be pruned than are alive; the caller compares the counts");
}

impl std::fmt::Display for Scope {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Layerwise => "layerwise",
            Self::Global => "global",
        })
    }
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
