//! Blocks, filters and channels: groups go whole, in the order of their scores, until the count is as near as it gets.
//!
//! A group counts as pruned when all of its weights are, and then with its whole size; so a filter that has lost some of
//! its inputs is still there. Ties keep the lower (layer, flat index of the group's first element).

use super::{Entrant, over_mean};
use crate::granularity::Tiling;
use crate::select::Request;
use crate::target::Amount;
use crate::{Error, Granularity, GroupScore, Mask, Scope};

/// Elements of groups of which none is left.
pub(crate) fn pruned(mask: &Mask, tiling: &Tiling) -> usize {
    if tiling.groups() == mask.total() || mask.kept() == mask.total() {
        return mask.total() - mask.kept();
    }
    let mut alive = vec![false; tiling.groups()];
    let mut index = 0;
    tiling.walk(|group| {
        alive[group] |= mask.keeps(index);
        index += 1;
    });
    alive.iter().enumerate().filter(|(_, alive)| !**alive).map(|(group, _)| tiling.size(group)).sum()
}

fn tiling(own: &Entrant<'_, '_>, request: &Request) -> Tiling {
    let layer = own.layer;
    let tiling = request.granularity.tiling(layer.name, layer.shape, layer.terms.layout);
    tiling.expect("layers enter with a granularity that fits")
}

/// Elements of the largest group.
pub(super) fn largest(own: &Entrant<'_, '_>, request: &Request) -> u64 {
    match request.granularity {
        Granularity::Element {} => 1,
        _ => tiling(own, request).largest() as u64,
    }
}

/// The masks that leave about `wanted` of the cost pruned: the nearest count, or, of MACs, the first that is enough.
pub(super) fn prune(entrants: &[Entrant<'_, '_>], wanted: u64, request: &Request) -> Result<Vec<Mask>, Error> {
    let tilings: Vec<Tiling> = entrants.iter().map(|own| tiling(own, request)).collect();
    let total: usize = tilings.iter().map(Tiling::groups).sum();
    if total > u32::MAX as usize {
        let why = format!("there are {total} groups, wanted at most {}", u32::MAX);
        let name = entrants[0].layer.name.into();
        return Err(Error::Granularity { name, granularity: request.granularity.to_string(), why });
    }
    // One buffer: the scores add up where their places in the order will stand.
    let mut order = vec![GONE; total];
    let mut alive: Vec<Vec<bool>> = Vec::with_capacity(entrants.len());
    let mut first = 0;
    for (own, tiling) in entrants.iter().zip(&tilings) {
        let sums = &mut order[first..first + tiling.groups()];
        scores(own, tiling, request, sums);
        alive.push(sums.iter().map(|sum| *sum != GONE).collect());
        for (group, sum) in sums.iter_mut().enumerate().filter(|(_, sum)| **sum != GONE) {
            // Of equal scores the higher group comes first.
            let score = f64::from_bits(*sum) as f32;
            *sum = u64::from(score.to_bits()) << 32 | u64::from(!((first + group) as u32));
        }
        first += tiling.groups();
    }
    order.retain(|entry| *entry != GONE);
    let firsts: Vec<usize> =
        tilings.iter().scan(0, |next, own| Some(std::mem::replace(next, *next + own.groups()))).collect();
    let find = |entry: u64| {
        let number = !(entry as u32) as usize;
        // Layers without groups share their first number with the next, which is the last of these.
        let place = firsts.partition_point(|first| *first <= number) - 1;
        (place, number - firsts[place])
    };
    let mut counts: Vec<usize> = entrants.iter().map(|own| own.pruned).collect();
    let spent =
        |counts: &[usize]| entrants.iter().zip(counts).map(|(own, count)| own.cost * *count as u64).sum::<u64>();
    // First what each layer has to give, then the rest in order.
    if entrants.iter().zip(&counts).any(|(own, count)| own.bounds.least > *count) {
        order.sort_unstable();
        for &entry in &order {
            let (place, group) = find(entry);
            let (own, size) = (&entrants[place], tilings[place].size(group));
            if counts[place] + size / 2 < own.bounds.least && counts[place] + size <= own.bounds.most {
                (alive[place][group], counts[place]) = (false, counts[place] + size);
            }
        }
        order.retain(|entry| {
            let (place, group) = find(*entry);
            alive[place][group]
        });
    }
    let mut gone = spent(&counts);
    if !near(gone, wanted, entrants, request) {
        let mut rest = &mut order[..];
        // Halves that go as a whole need no order within; what is left in the end is short.
        while rest.len() > SHORT {
            let half = rest.len() / 2;
            rest.select_nth_unstable(half);
            let mut brought = vec![0; entrants.len()];
            for &entry in &rest[..half] {
                let (place, group) = find(entry);
                brought[place] += tilings[place].size(group);
            }
            let all = entrants.iter().zip(counts.iter().zip(&brought));
            if entrants.iter().any(|own| own.cost == 0)
                || all.clone().any(|(own, (count, more))| count + more > own.bounds.most)
            {
                break;
            }
            let cost: u64 = entrants.iter().zip(&brought).map(|(own, more)| own.cost * *more as u64).sum();
            if gone + cost > wanted {
                rest = &mut rest[..half];
                continue;
            }
            for &entry in &rest[..half] {
                let (place, group) = find(entry);
                alive[place][group] = false;
            }
            counts.iter_mut().zip(&brought).for_each(|(count, more)| *count += more);
            gone += cost;
            rest = &mut rest[half..];
        }
        rest.sort_unstable();
        for &entry in rest.iter() {
            let (place, group) = find(entry);
            let (own, size) = (&entrants[place], tilings[place].size(group));
            let cost = own.cost * size as u64;
            if counts[place] + size > own.bounds.most || own.cost == 0 {
                continue;
            }
            let enough = match request.amount {
                Amount::Macs(_) => gone >= wanted,
                _ => gone + cost > wanted && gone + cost - wanted > wanted.saturating_sub(gone),
            };
            if enough {
                break;
            }
            (alive[place][group], counts[place], gone) = (false, counts[place] + size, gone + cost);
        }
    }
    let masks = entrants.iter().zip(&tilings).zip(&alive);
    Ok(masks.map(|((own, tiling), alive)| mask(own.layer.within, tiling, alive)).collect())
}

/// Whether an earlier prune has come as near as whole groups did: within half of the largest one. Then the same target
/// again changes nothing, even if the order has changed since.
fn near(gone: u64, wanted: u64, entrants: &[Entrant<'_, '_>], request: &Request) -> bool {
    let largest = entrants.iter().map(|own| own.cost * largest(own, request)).max().unwrap_or(0);
    match request.amount {
        Amount::Macs(_) => gone >= wanted,
        _ => entrants.iter().any(|own| own.pruned > 0) && gone.abs_diff(wanted) * 2 <= largest,
    }
}

/// Below this many groups they are simply sorted.
const SHORT: usize = 32;

/// In place of a score: none of the group's weights is left. No score is this NaN.
const GONE: u64 = u64::MAX;

/// Writes a score for each group, as bits.
fn scores(own: &Entrant<'_, '_>, tiling: &Tiling, request: &Request, sums: &mut [u64]) {
    let within = own.layer.within;
    let full = within.kept() == within.total();
    let mut living = own.layer.scores.iter();
    let mut index = 0;
    tiling.walk(|group| {
        if full || within.keeps(index) {
            let score = f64::from(*living.next().expect("there is a score for each living weight"));
            let before = if sums[group] == GONE { None } else { Some(f64::from_bits(sums[group])) };
            let sum = match request.group_score {
                GroupScore::L2 => before.unwrap_or(0.0) + score * score,
                GroupScore::L1 | GroupScore::Mean => before.unwrap_or(0.0) + score,
                GroupScore::First => before.unwrap_or(score),
            };
            sums[group] = sum.to_bits();
        }
        index += 1;
    });
    let aware = request.scope == Scope::MacAware;
    let change = |sums: &mut [u64], change: &dyn Fn(usize, f64) -> f64| {
        for (group, sum) in sums.iter_mut().enumerate().filter(|(_, sum)| **sum != GONE) {
            *sum = change(group, f64::from_bits(*sum)).to_bits();
        }
    };
    let size = |group| tiling.size(group) as f64;
    match request.group_score {
        GroupScore::L2 if aware => change(sums, &|group, sum| (sum / size(group)).sqrt()),
        GroupScore::L2 => change(sums, &|_, sum| sum.sqrt()),
        GroupScore::L1 if aware => change(sums, &|group, sum| sum / size(group)),
        GroupScore::Mean => change(sums, &|group, sum| sum / size(group)),
        GroupScore::L1 | GroupScore::First => {}
    }
    let scale = match request.scope {
        Scope::GlobalNormalised => over_mean(sums.iter().filter(|sum| **sum != GONE).map(|sum| f64::from_bits(*sum))),
        _ => own.scale,
    };
    if scale != 1.0 {
        change(sums, &|_, sum| sum * scale);
    }
}

/// What `within` keeps of the groups that are alive.
fn mask(within: &Mask, tiling: &Tiling, alive: &[bool]) -> Mask {
    let mut words = vec![0u64; within.words().len()];
    let mut index = 0;
    tiling.walk(|group| {
        words[index / 64] |= u64::from(alive[group]) << (index % 64);
        index += 1;
    });
    words.iter_mut().zip(within.words()).for_each(|(word, old)| *word &= old);
    Mask::from_words(within.shape(), words)
}
