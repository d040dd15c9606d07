//! Masks that grow: an exchange of weak weights for promising ones at the same density, growth to a lower sparsity, and
//! the shuffle that shows whether it matters which weights live. Pure.
//!
//! Growing is a selection, too: from all weights, with those that live ahead of everything, so that counts are exact and
//! ties keep the lower index here as well.

use crate::select::check_scores;
use crate::{Amount, Criterion, Error, Layout, Mask, MaskSet, Request, Scope, Scores, Terms, score, select};

/// One layer of an [`exchange`].
#[derive(Clone, Debug)]
pub struct Exchange<'a> {
    /// Path of the parameter.
    pub name: &'a str,
    /// What lives now.
    pub mask: &'a Mask,
    /// A score for each living weight, in order; the lowest go. Finite and not negative.
    pub living: Vec<f32>,
    /// A score for every weight of the parameter, pruned or not, row-major; of what does not live the highest come. Finite
    /// and not negative.
    pub growth: Vec<f32>,
}

/// Drops `share` of each layer's living weights and grows as many: each layer keeps its number of weights.
///
/// With `|w|` and random growth this is SET (Mocanu et al., "Scalable training of artificial neural networks with adaptive
/// sparse connectivity inspired by network science", 2018) but for what is dropped: SET drops the smallest positive and the
/// largest negative weights, an equal part of each, here the smallest magnitudes go, whatever their sign. With `|w|` and the
/// gradient's size it is RigL (Evci et al., "Rigging the Lottery", 2020). As there, what was just dropped may come back. No
/// more is exchanged than is pruned.
///
/// # Errors
/// When the share is not in `[0, 1]`. When a score is negative, infinite or not a number: growth by gradients takes their
/// sizes.
///
/// # Panics
/// When a layer has not one score for each of its weights.
pub fn exchange(layers: &[Exchange<'_>], share: f64) -> Result<MaskSet, Error> {
    if !(0.0..=1.0).contains(&share) {
        return Err(Error::Schedule(format!("a share of {share} is exchanged, wanted one from 0 to 1")));
    }
    let mut masks = vec![];
    for Exchange { name, mask, living, growth: grown } in layers {
        let pruned = mask.total() - mask.kept();
        let count = ((mask.kept() as f64 * share).round() as usize).min(pruned);
        let rest = alone(name, mask, living.clone(), pruned + count)?;
        let full = Mask::full(mask.shape());
        masks.push(((*name).to_owned(), alone(name, &full, growth(name, &rest, grown)?, pruned)?));
    }
    Ok(MaskSet::new(masks))
}

/// Scores for a selection from all weights of a parameter in which those that live come first, and of the others those
/// with the highest `scores`, of which there is one for every weight.
///
/// # Errors
/// When a score is negative, infinite or not a number: such a one would come before what lives.
///
/// # Panics
/// When there is not one score for every weight.
pub fn growth(name: &str, mask: &Mask, scores: &[f32]) -> Result<Vec<f32>, Error> {
    assert_eq!(scores.len(), mask.total(), "a mask meets scores of another length");
    check_scores("growth score", name, scores, |index| index)?;
    // The highest number is the living ones' own.
    let highest = f32::from_bits(f32::MAX.to_bits() - 1);
    let one = |(index, score): (usize, &f32)| if mask.keeps(index) { f32::MAX } else { score.min(highest) };
    Ok(scores.iter().enumerate().map(one).collect())
}

/// Masks with as many weights in each layer as `new` keeps, drawn at random from those that `old` keeps: what a pruned
/// network owes to the choice of its weights shows in the difference (Frankle & Carbin, "The Lottery Ticket Hypothesis",
/// 2019; Frankle et al., "Pruning neural networks at initialization: why are we missing the mark?", 2021).
///
/// # Errors
/// When `new` has a parameter that `old` lacks, or keeps more of one.
pub fn shuffle(old: &MaskSet, new: &MaskSet, seed: u64) -> Result<MaskSet, Error> {
    let mut masks = vec![];
    for (place, (name, mask)) in new.iter().enumerate() {
        let known = || old.iter().map(|(name, _)| name.to_owned()).collect();
        let within = old.get(name).ok_or_else(|| Error::UnknownMask { name: name.into(), known: known() })?;
        let drawn = score(Criterion::Random, name, &vec![0.0; within.kept()], within, place, seed)?;
        masks.push((name.to_owned(), alone(name, within, drawn, mask.total() - mask.kept())?));
    }
    Ok(MaskSet::new(masks))
}

/// The mask of one layer that leaves `pruned` of its weights pruned.
fn alone(name: &str, within: &Mask, scores: Vec<f32>, pruned: usize) -> Result<Mask, Error> {
    let terms = Terms::new(Layout::of_burn(within.shape()));
    let layer = Scores { name, shape: within.shape(), scores, within, terms };
    let request = Request { min_kept: 0, ..Request::new(Scope::Global, Amount::Weights(pruned)) };
    let chosen = select(&[layer], &request)?;
    Ok(chosen.get(name).unwrap_or(within).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(bits: &[u8]) -> Mask {
        Mask::from_fn(&[bits.len()], |index| bits[index] == 1)
    }

    fn one(layer: Exchange<'_>, share: f64) -> Mask {
        exchange(&[layer], share).expect("possible").get("w").expect("the layer").clone()
    }

    #[test]
    fn the_weakest_go_and_the_most_promising_come() {
        let now = mask(&[1, 1, 1, 1, 0, 0, 0, 0]);
        let layer = |growth: [f32; 8]| Exchange {
            name: "w",
            mask: &now,
            living: vec![0.4, 0.1, 0.2, 0.3],
            growth: growth.to_vec(),
        };
        let fresh = [0.0, 0.0, 0.0, 0.0, 5.0, 1.0, 6.0, 2.0];
        assert_eq!(one(layer(fresh), 0.5), mask(&[1, 0, 0, 1, 1, 0, 1, 0]));
        assert_eq!(one(layer(fresh), 0.0), now);
        // What was just dropped may come back, and ties keep the lower index.
        assert_eq!(one(layer([0.0, 9.0, 0.0, 0.0, 5.0, 5.0, 0.0, 0.0]), 0.5), mask(&[1, 1, 0, 1, 1, 0, 0, 0]));
        assert!(exchange(&[layer(fresh)], 1.5).is_err());
    }

    #[test]
    fn scores_without_a_place_in_an_order_are_refused_by_layer_and_index() {
        let now = mask(&[1, 1, 0, 0]);
        let layer = |living: [f32; 2], growth: [f32; 4]| Exchange {
            name: "fc1.weight",
            mask: &now,
            living: living.to_vec(),
            growth: growth.to_vec(),
        };
        for (living, growth, wanted) in [
            // A signed gradient would evict what lives.
            (
                [1.0, 2.0],
                [0.0, 0.0, 0.5, -3.0],
                "growth score of `fc1.weight` at flat index 3 is -3, expected at least 0",
            ),
            ([1.0, 2.0], [0.0, f32::NAN, 0.5, 3.0], "growth score of `fc1.weight` at flat index 1 is NaN"),
            ([1.0, -2.0], [0.0; 4], "score of `fc1.weight` at flat index 1 is -2"),
            ([f32::INFINITY, 2.0], [0.0; 4], "score of `fc1.weight` at flat index 0 is inf"),
        ] {
            let error = exchange(&[layer(living, growth)], 0.5).expect_err("refused").to_string();
            assert!(error.contains(wanted), "{error}");
        }
        // A negative zero is a zero: the lower index comes.
        let found = exchange(&[layer([-0.0, 1.0], [0.0, 0.0, -0.0, 0.0])], 0.5).expect("possible");
        assert_eq!(found.get("fc1.weight"), Some(&mask(&[1, 1, 0, 0])));
    }

    #[test]
    fn no_more_is_exchanged_than_is_pruned() {
        let now = mask(&[1, 1, 1, 0]);
        let layer = Exchange { name: "w", mask: &now, living: vec![0.3, 0.1, 0.2], growth: vec![1.0; 4] };
        // All three might go; one is pruned, so one goes. Of equals the lowest index comes, which is the one that went.
        assert_eq!(one(layer, 1.0), mask(&[1, 1, 1, 0]));
        let full = mask(&[1, 1]);
        assert_eq!(one(Exchange { name: "w", mask: &full, living: vec![1.0; 2], growth: vec![1.0; 2] }, 0.5), full);
    }

    #[test]
    fn a_shuffle_keeps_counts_and_stays_within() {
        let old = MaskSet::new(vec![("w".into(), Mask::from_fn(&[4, 50], |index| index % 3 > 0))]);
        let new = MaskSet::new(vec![("w".into(), Mask::from_fn(&[4, 50], |index| index < 60 && index % 3 > 0))]);
        let drawn = shuffle(&old, &new, 1).expect("possible");
        let (drawn, wanted) = (drawn.get("w").expect("there"), new.get("w").expect("there"));
        assert_eq!(drawn.kept(), wanted.kept());
        assert!(drawn.is_within(old.get("w").expect("there")) && drawn != wanted);
        assert_ne!(shuffle(&old, &new, 2).expect("possible").get("w"), Some(drawn));
        let foreign = MaskSet::new(vec![("v".into(), mask(&[1]))]);
        assert!(matches!(shuffle(&foreign, &new, 1), Err(Error::UnknownMask { .. })));
    }

    #[test]
    fn values_are_carried_over_and_new_ones_start_at_zero() {
        let (old, new) = (mask(&[1, 0, 1, 0]), mask(&[0, 1, 1, 0]));
        assert_eq!(new.carry(&old, &[2.0, 3.0]), [0.0, 3.0]);
        assert_eq!(mask(&[0, 0, 1, 0]).carry(&old, &[2.0, 3.0]), [3.0]);
    }
}
