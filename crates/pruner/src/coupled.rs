//! Whole output units with everything that belongs to them: as many as come nearest to the amount. Pure.
//!
//! A filter takes its bias and what reads it along, so that more goes than was selected; how much more depends on which
//! units have gone before. But the further one goes in the order of the units, the more is gone, so the number of units is
//! found by halving, each time with an exact count.

use crate::select::order;
use crate::unit_group::{coupled, take_away};
use crate::{Amount, Error, Granularity, Layout, Mask, MaskSet, Request, Scores, Terms, UnitGroup};
use std::cmp::Reverse;

/// The masks that prune whole output units within the `old` ones, each unit with everything that `groups` say belongs to it:
/// those that come nearest to the request's amount, of two as near the one that prunes more; of MACs the first that is enough.
///
/// The amount is what is gone in all of `old`, where `cost` says what one element of a parameter counts: 1, or its MACs.
/// `scores` and `terms` are those of [`crate::choose_by`], and are asked of the parameters that compute units; a group
/// competes where these have terms, with the scores of all of them, the highest floor, the lowest ceiling and the first
/// sparsity of its own. Units go in the order of their scores where layers compete, and where they do not by turns, so that
/// all keep the same fraction of their units, or that of Erdos-Renyi-Kernel. Where the next unit would take so much along that
/// the amount is missed by more than a hundredth of everything, its layer keeps it and the rest of its units, and those of
/// the other layers go on. A floor, a ceiling and an own sparsity hold for units ([`Terms::units`]).
///
/// An amount out of reach gives the nearest that there is: nothing more than `old` and what the terms ask for in any case,
/// or everything that the terms let go.
///
/// # Errors
/// What `scores` refuses; when the granularity is not [`Granularity::Filter`], a group does not fit its parameters, or only
/// some of the parameters that compute its units have terms.
///
/// # Panics
/// When there are not as many scores as a mask keeps.
pub fn choose_coupled(
    mut scores: impl FnMut(usize, &str, &Mask) -> Result<Vec<f32>, Error>,
    old: &MaskSet,
    request: &Request,
    terms: impl Fn(&str, &[usize]) -> Option<Terms>,
    groups: &[UnitGroup],
    cost: impl Fn(&str) -> u64,
) -> Result<MaskSet, Error> {
    let places = groups.iter().map(|group| group.places(old)).collect::<Result<Vec<_>, _>>()?;
    let masks: Vec<(&str, &Mask)> = old.iter().collect();
    // What is scored, in the order of the parameters, each once.
    let mut scored: Vec<Option<Vec<f32>>> = vec![None; masks.len()];
    let competes = |name: &str| terms(name, old.get(name).map_or(&[], Mask::shape));
    for (place, (name, mask)) in masks.iter().enumerate() {
        let computes = groups.iter().any(|group| group.computing().any(|own| own.name == *name));
        if !computes || competes(name).is_none() {
            continue;
        }
        if request.granularity != (Granularity::Filter {}) {
            let why = "groups are of whole output units, expected `filter`".into();
            let granularity = request.granularity.to_string();
            return Err(Error::Granularity { name: (*name).into(), granularity, why });
        }
        scored[place] = Some(scores(place, name, mask)?);
    }
    let mut entrants = vec![];
    for (group, (own, places)) in groups.iter().zip(&places).enumerate() {
        entrants.extend(Entrant::new(group, own, places, &masks, &scored, &competes)?);
    }
    // Ties keep the lower parameter.
    entrants.sort_by_key(|own| own.place);
    let layers: Vec<Scores<'_>> = entrants.iter().map(Entrant::scores).collect();
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
    // What is gone without these units, and the masks of what is left.
    let without = |units: &[(usize, usize)]| {
        let mut going: Vec<Vec<usize>> = vec![vec![]; entrants.len()];
        units.iter().for_each(|(entrant, row)| going[*entrant].push(*row));
        let mut masks: Vec<(String, Mask)> = old.iter().map(|(name, mask)| (name.to_owned(), mask.clone())).collect();
        for (entrant, rows) in entrants.iter().zip(&going) {
            let group = &groups[entrant.group];
            let gone = entrant.gone(group, rows);
            take_away(&mut masks, group, &places[entrant.group], &gone);
        }
        let masks = coupled(&MaskSet::new(masks), groups, &places);
        (total - sum(&Mask::kept, &masks), masks)
    };
    // The first of these units go, of the others the first so many.
    let (mut units, mut certain) = (order.units, order.given);
    let mut best = without(&units[..certain]);
    if best.0 >= wanted {
        return Ok(best.1);
    }
    // Nearer to the amount; of two as near the one that prunes more; of MACs one that is enough before one that is not.
    let is_better = |found: u64, best: u64| {
        let rank = |gone: u64| (enough && gone < wanted, gone.abs_diff(wanted), Reverse(gone));
        rank(found) < rank(best)
    };
    loop {
        // The first count whose loss is not below the amount, if there is one.
        let (mut low, mut high) = (certain + 1, units.len() + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let found = without(&units[..middle]);
            match found.0 < wanted {
                true => low = middle + 1,
                false => high = middle,
            }
            if is_better(found.0, best.0) {
                best = found;
            }
        }
        let is_near = best.0.abs_diff(wanted) <= total / NEAR && (best.0 >= wanted || !enough);
        if is_near || low > units.len() {
            return Ok(best.1);
        }
        // The last of these takes too much along: its layer keeps it, and the others go on.
        certain = low - 1;
        let others = units.split_off(certain);
        units.extend(others.iter().filter(|(entrant, _)| *entrant != others[0].0));
    }
}

/// An amount is met where no more than this part of everything is gone too much or too little.
const NEAR: u64 = 100;

/// The units of a group as one layer of the competition: a row for each unit that may go, with the weights of all parameters
/// that compute it one behind the other.
struct Entrant<'a> {
    group: usize,
    /// Place and name of the first parameter.
    place: usize,
    name: &'a str,
    /// The unit of each row.
    units: Vec<usize>,
    shape: Vec<usize>,
    scores: Vec<f32>,
    within: Mask,
    terms: Terms,
}

impl<'a> Entrant<'a> {
    /// `None` when the group does not compete.
    fn new(
        group: usize,
        own: &UnitGroup,
        places: &[usize],
        masks: &[(&'a str, &'a Mask)],
        scored: &[Option<Vec<f32>>],
        terms: &impl Fn(&str) -> Option<Terms>,
    ) -> Result<Option<Self>, Error> {
        let computing: Vec<_> = own.members.iter().zip(places).filter(|(member, _)| member.computes).collect();
        let all: Vec<Terms> = computing.iter().filter_map(|(member, _)| terms(&member.name)).collect();
        let Some((_, first)) = computing.first().filter(|_| !all.is_empty()) else { return Ok(None) };
        if all.len() < computing.len() {
            let without = computing.iter().find(|(member, _)| terms(&member.name).is_none());
            let (found, name) =
                without.map_or_else(Default::default, |(member, _)| (member.name.clone(), masks[**first].0));
            let wanted = "terms for all parameters that compute its units, or for none".to_owned();
            return Err(Error::State { name: name.to_owned(), found: format!("no terms for `{found}`"), wanted });
        }
        let units: Vec<usize> = (0..own.len()).filter(|unit| !own.pinned[*unit]).collect();
        if units.is_empty() {
            return Ok(None);
        }
        // By unit: whether each weight is kept, and the scores of those that are.
        let mut rows: Vec<(Vec<bool>, Vec<f32>)> = vec![<_>::default(); own.len()];
        for (member, place) in &computing {
            let (mask, scores) = (masks[**place].1, scored[**place].as_deref().unwrap_or_default());
            let mut scores = scores.iter();
            for index in 0..mask.total() {
                let score = mask.keeps(index).then(|| scores.next().copied().expect("a score for each kept weight"));
                let Some(unit) = member.unit(mask.shape(), index) else { continue };
                rows[unit].0.push(score.is_some());
                rows[unit].1.extend(score);
            }
        }
        let width = units.iter().map(|unit| rows[*unit].0.len()).max().unwrap_or(0);
        let shape = match &computing[..] {
            // What depends on a layer's shape goes by its own.
            [(member, place)] => {
                let whole = masks[**place].1.shape();
                let others = (0..whole.len()).filter(|axis| *axis != member.axis).map(|axis| whole[axis]);
                Some(std::iter::once(units.len()).chain(others).collect::<Vec<_>>())
            }
            _ => None,
        };
        let shape = shape.filter(|shape| shape[1..].iter().product::<usize>() == width);
        let shape = shape.unwrap_or_else(|| vec![units.len(), width]);
        let keeps =
            |index: usize| rows[units[index / width.max(1)]].0.get(index % width.max(1)).copied().unwrap_or(false);
        let within = Mask::from_fn(&shape, keeps);
        let scores = units.iter().flat_map(|unit| rows[*unit].1.iter().copied()).collect();
        let sizes: Vec<u64> = computing.iter().map(|(_, place)| masks[**place].1.total() as u64).collect();
        let macs: u64 = all.iter().zip(&sizes).map(|(terms, size)| terms.positions * size).sum();
        let layout = Layout { output: 0, input: (shape.len() > 1).then_some(1) };
        let terms = Terms {
            layout,
            positions: macs / sizes.iter().sum::<u64>().max(1),
            floor: all.iter().map(|own| own.floor).fold(0.0, f64::max),
            ceiling: all.iter().map(|own| own.ceiling).fold(1.0, f64::min),
            own: all.iter().find_map(|own| own.own),
        };
        Ok(Some(Self { group, place: **first, name: masks[**first].0, units, shape, scores, within, terms }))
    }

    fn scores(&self) -> Scores<'_> {
        Scores {
            name: self.name,
            shape: &self.shape,
            scores: self.scores.clone(),
            within: &self.within,
            terms: self.terms,
        }
    }

    /// The units that are gone when these rows go, in order, as far as what is left is a multiple of the group's number.
    fn gone(&self, group: &UnitGroup, rows: &[usize]) -> Vec<bool> {
        let mut alive = vec![false; self.units.len()];
        let width = self.shape[1..].iter().product::<usize>().max(1);
        self.within.indices().for_each(|index| alive[index / width] = true);
        let pinned = group.pinned.iter().filter(|pinned| **pinned).count();
        let alive = alive.iter().filter(|alive| **alive).count() + pinned;
        let kept = (alive - rows.len().min(alive)).next_multiple_of(group.round_to.max(1)).min(alive);
        let mut gone = vec![false; group.len()];
        rows.iter().take(alive - kept).for_each(|row| gone[self.units[*row]] = true);
        gone
    }
}

#[cfg(test)]
#[path = "coupled_tests.rs"]
mod tests;
