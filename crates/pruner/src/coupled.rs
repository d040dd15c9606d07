//! Whole output units with what is coupled to them: as many as come nearest to the amount. Pure.
//!
//! A filter takes its bias and what reads it along, so that more goes than was selected; how much more depends on which
//! units have gone before. But the further one goes in the order of the units, the more is gone, so the number of units is
//! found by halving, each time with an exact count.

use crate::coupling::without;
use crate::select::order;
use crate::{Amount, Coupling, Error, Granularity, Mask, MaskSet, Request, Scores, Terms, couple};

/// The masks that prune whole output units within the `old` ones, each unit with what `couplings` couple to it: those that
/// come nearest to the request's amount, of two as near the one that prunes more; of MACs the first that is enough.
///
/// The amount is what is gone in all of `old`, coupled parameters included, where `cost` says what one element of a
/// parameter counts: 1, or its MACs. `scores` and `terms` are those of [`crate::choose_by`]; a parameter without terms only
/// goes along. Units go in the order of their scores where layers compete, and where they do not by turns, so that all keep
/// the same fraction of their units, or that of Erdos-Renyi-Kernel. A layer's floor, ceiling and own sparsity hold for its
/// units ([`Terms::units`]).
///
/// An amount out of reach gives the nearest that there is: nothing more than `old` and what the terms ask for in any case,
/// or everything that the terms let go.
///
/// # Errors
/// What `scores` refuses; when the granularity is not [`Granularity::Filter`], or a coupling does not fit its parameters.
///
/// # Panics
/// When there are not as many scores as a mask keeps.
pub fn choose_coupled(
    mut scores: impl FnMut(usize, &str, &Mask) -> Result<Vec<f32>, Error>,
    old: &MaskSet,
    request: &Request,
    terms: impl Fn(&str, &[usize]) -> Option<Terms>,
    couplings: &[Coupling],
    cost: impl Fn(&str) -> u64,
) -> Result<MaskSet, Error> {
    let (mut layers, mut places) = (vec![], vec![]);
    for (place, (name, within)) in old.iter().enumerate() {
        let Some(terms) = terms(name, within.shape()) else { continue };
        if request.granularity != (Granularity::Filter {}) {
            let why = "couplings belong to whole output units, expected `filter`".into();
            return Err(Error::Granularity { name: name.into(), granularity: request.granularity.to_string(), why });
        }
        layers.push(Scores { name, shape: within.shape(), scores: scores(place, name, within)?, within, terms });
        places.push(place);
    }
    let order = order(&layers, request)?;
    let sum = |of: &dyn Fn(&Mask) -> usize, masks: &MaskSet| {
        masks.iter().map(|(name, mask)| cost(name) * of(mask) as u64).sum::<u64>()
    };
    let total = sum(&Mask::total, old);
    let (wanted, enough) = match request.amount {
        Amount::Share(share) => (share.count(total as usize) as u64, false),
        Amount::Weights(count) => (count as u64, false),
        Amount::Macs(macs) => (macs, true),
    };
    // What is gone without the first units in the order, and the masks of what is left.
    let without_first = |count: usize| {
        let masks = couple(&without_units(old, &layers, &places, &order.units[..count]), couplings)?;
        Ok::<_, Error>((total - sum(&Mask::kept, &masks), masks))
    };
    let mut below = without_first(order.given)?;
    if below.0 >= wanted {
        return Ok(below.1);
    }
    // The first count that is not below the amount, if there is one.
    let (mut low, mut high, mut above) = (order.given + 1, order.units.len() + 1, None);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = without_first(middle)?;
        if found.0 < wanted {
            (low, below) = (middle + 1, found);
        } else {
            (high, above) = (middle, Some(found));
        }
    }
    Ok(match above {
        Some((gone, masks)) if enough || gone - wanted <= wanted - below.0 => masks,
        _ => below.1,
    })
}

/// The masks without these units of the layers, which stand at these places of the set.
fn without_units(old: &MaskSet, layers: &[Scores<'_>], places: &[usize], units: &[(usize, usize)]) -> MaskSet {
    let mut gone: Vec<Vec<bool>> = layers.iter().map(|own| vec![false; own.shape[own.terms.layout.output]]).collect();
    units.iter().for_each(|(layer, unit)| gone[*layer][*unit] = true);
    let mut masks: Vec<(String, Mask)> = old.iter().map(|(name, mask)| (name.to_owned(), mask.clone())).collect();
    for ((place, layer), gone) in places.iter().zip(layers).zip(&gone) {
        if gone.contains(&true) {
            masks[*place].1 = without(layer.within, layer.terms.layout.output, |unit| gone[unit]);
        }
    }
    MaskSet::new(masks)
}

#[cfg(test)]
#[path = "coupled_tests.rs"]
mod tests;
