//! Blocks, filters and channels: groups go whole, in the order of their scores, until the count is as near as it gets.
//!
//! A group counts as pruned when all of its weights are, and then with its whole size; so a filter that has lost some of
//! its inputs is still there. Ties keep the lower (layer, flat index of the group's first element).
//!
//! No list of groups is sorted: what goes as a whole is found by histograms, and what is looked at one by one is what ties
//! at the cut, or is smaller than the others.

use super::group_scores::{keys, mask};
use super::histogram::{DIGITS, count};
use super::{Entrant, Request};
use crate::target::Amount;
use crate::{Granularity, Mask, Tiling};
use std::cmp::Reverse;

/// In place of a group's score: it stays whatever comes.
const STAYS: u32 = u32::MAX;
/// In place of a group's score: it goes.
const GOES: u32 = u32::MAX - 1;
/// Above all scores, but below what stands in place of one: where a group has no weight left, too.
pub(super) const END: u32 = f32::INFINITY.to_bits() + 1;

fn tiling(own: &Entrant<'_, '_>, request: &Request) -> Tiling {
    let layer = own.layer;
    let tiling = request.granularity.tiling(layer.name, layer.shape, layer.terms.layout);
    tiling.expect("layers enter with a granularity that fits")
}

/// Elements of the largest group.
pub(super) fn largest(own: &Entrant<'_, '_>, request: &Request) -> u64 {
    match request.granularity {
        Granularity::Element {} => 1,
        Granularity::NOfM { .. } | Granularity::Block { .. } | Granularity::Filter {} | Granularity::Channel {} => {
            tiling(own, request).largest() as u64
        }
    }
}

/// The masks that leave about `wanted` of the cost pruned: the nearest count, or, of MACs, the first that is enough.
pub(super) fn prune(entrants: &[Entrant<'_, '_>], wanted: u64, request: &Request) -> Vec<Mask> {
    let mut layers: Vec<Groups> = entrants.iter().map(|own| Groups::new(own, request)).collect();
    // First what each layer has to give, then the rest in order.
    for (layer, own) in layers.iter_mut().zip(entrants) {
        layer.give(own.bounds.least, own.bounds.most);
    }
    let mut gone: u64 = layers.iter().map(|layer| layer.cost * layer.count as u64).sum();
    let mut threshold = 0;
    if !near(gone, wanted, entrants, request) {
        layers.iter_mut().filter(|layer| layer.cost == 0).for_each(|layer| layer.hold(0));
        let cut = loop {
            let cut = Cut::find(&layers, wanted.saturating_sub(gone), |layer| layer.cost);
            let mut again = false;
            for ((layer, own), through) in layers.iter_mut().zip(entrants).zip(&cut.through) {
                if layer.count + through > own.bounds.most {
                    layer.hold(own.bounds.most - layer.count);
                    again = true;
                }
            }
            if !again {
                break cut;
            }
        };
        threshold = cut.key;
        gone += cut.spent;
        'ties: for layer in layers.iter_mut().rev() {
            for group in (0..layer.keys.len()).rev() {
                if layer.keys[group] != threshold {
                    continue;
                }
                let cost = layer.cost * layer.tiling.size(group) as u64;
                let enough = match request.amount {
                    Amount::Macs(_) => gone >= wanted,
                    Amount::Share(_) | Amount::Weights(_) => {
                        gone + cost > wanted && gone + cost - wanted > wanted.saturating_sub(gone)
                    }
                };
                if enough {
                    break 'ties;
                }
                layer.keys[group] = GOES;
                gone += cost;
            }
        }
    }
    let stays = |key: &u32| *key >= threshold && *key != GOES;
    layers.iter().zip(entrants).map(|(layer, own)| mask(own.layer.within, &layer.tiling, &layer.keys, stays)).collect()
}

/// Whether an earlier prune has come as near as whole groups did: within half of the largest one. Then the same target
/// again changes nothing, even if the order has changed since.
fn near(gone: u64, wanted: u64, entrants: &[Entrant<'_, '_>], request: &Request) -> bool {
    let largest = entrants.iter().map(|own| own.cost * largest(own, request)).max().unwrap_or(0);
    match request.amount {
        Amount::Macs(_) => gone >= wanted,
        Amount::Share(_) | Amount::Weights(_) => {
            entrants.iter().any(|own| own.pruned > 0) && gone.abs_diff(wanted) * 2 <= largest
        }
    }
}

/// The groups of a layer.
struct Groups {
    tiling: Tiling,
    /// The score of each as an integer of the same order, [`STAYS`], or [`GOES`].
    keys: Vec<u32>,
    /// Weights that count as pruned.
    count: usize,
    /// What each of them costs of the amount.
    cost: u64,
}

impl Groups {
    fn new(own: &Entrant<'_, '_>, request: &Request) -> Self {
        let tiling = tiling(own, request);
        Self { keys: keys(own, &tiling, request), tiling, count: own.pruned, cost: own.cost }
    }

    /// Lets go what the layer has to give: groups that come nearer to `least`, and no more than `most`.
    fn give(&mut self, least: usize, most: usize) {
        if self.count < least {
            let fits = |count, size| count + size / 2 < least && count + size <= most;
            self.count = self.in_order(least - self.count, fits, |goes, key| if goes { GOES } else { key });
        }
    }

    /// Holds what the layer cannot give beside the weights that `room` is left for, in order; what is left then fits.
    fn hold(&mut self, room: usize) {
        let most = self.count + room;
        self.in_order(room, |count, size| count + size <= most, |goes, key| if goes { key } else { STAYS });
    }

    /// Goes through the groups in their order and takes each with which `fits(count, size)`, `count` being the weights that
    /// have gone before it; it fits until `room` is full. `mark` says what becomes of a group's key. Returns the count.
    fn in_order(&mut self, room: usize, fits: impl Fn(usize, usize) -> bool, mark: impl Fn(bool, u32) -> u32) -> usize {
        let Cut { key: threshold, spent, .. } = Cut::find(std::slice::from_ref(self), room as u64, |_| 1);
        let mut count = self.count + spent as usize;
        let Some(last) = self.keys.len().checked_sub(1) else { return count };
        let smallest = self.tiling.size(last);
        for group in (0..self.keys.len()).rev() {
            if self.keys[group] == threshold {
                let goes = fits(count, smallest) && fits(count, self.tiling.size(group));
                count += if goes { self.tiling.size(group) } else { 0 };
                self.keys[group] = mark(goes, threshold);
            }
        }
        // Where the next group was too large, smaller ones behind it may not be.
        let mut rest: Vec<(u32, Reverse<usize>)> = vec![];
        if fits(count, smallest) {
            let later = self.keys.iter().zip(0..).filter(|(key, _)| (threshold + 1..END).contains(*key));
            let later = later.filter(|(_, group)| fits(count, self.tiling.size(*group)));
            rest.extend(later.map(|(key, group)| (*key, Reverse(group))));
            rest.sort_unstable();
        }
        for key in self.keys.iter_mut().filter(|key| **key < END && **key != threshold) {
            *key = mark(*key < threshold, *key);
        }
        for (key, Reverse(group)) in rest {
            let size = self.tiling.size(group);
            if fits(count, size) {
                (self.keys[group], count) = (mark(true, key), count + size);
            }
        }
        count
    }

    /// How many weights the groups bring whose keys begin with `prefix`, by the next digit.
    fn histogram(&self, prefix: u32, digit: (u32, u32)) -> Vec<usize> {
        let largest = self.tiling.largest();
        let mut weights = count(&self.keys, |key| key, prefix, digit);
        weights.iter_mut().for_each(|weights| *weights *= largest);
        let (shift, bits) = digit;
        let mut group = 0;
        while group < self.keys.len() {
            let (size, run) = self.tiling.run(group);
            let keys = if size < largest { &self.keys[group..group + run] } else { &[] };
            for key in keys.iter().filter(|key| u64::from(**key) >> (shift + bits) == u64::from(prefix)) {
                weights[(key >> shift & ((1 << bits) - 1)) as usize] -= largest - size;
            }
            group += run;
        }
        weights
    }
}

/// Where the order of all groups is cut.
struct Cut {
    /// What is below it, all together, costs no more than the limit; with the groups that have it, it would. [`END`] when
    /// all groups are below it.
    key: u32,
    /// What those below it cost.
    spent: u64,
    /// Weights of each layer up to the key.
    through: Vec<usize>,
}

impl Cut {
    fn find(layers: &[Groups], limit: u64, cost: impl Fn(&Groups) -> u64) -> Self {
        let mut cut = Self { key: 0, spent: 0, through: vec![0; layers.len()] };
        for (shift, bits) in DIGITS {
            let histograms: Vec<Vec<usize>> = layers.iter().map(|own| own.histogram(cut.key, (shift, bits))).collect();
            let mut value = 0;
            loop {
                if cut.key << bits | value > END >> shift {
                    return Self { key: END, ..cut };
                }
                let own = histograms.iter().map(|own| own[value as usize]);
                let more: u64 = layers.iter().zip(own.clone()).map(|(layer, more)| cost(layer) * more as u64).sum();
                if cut.spent + more > limit {
                    break;
                }
                cut.through.iter_mut().zip(own).for_each(|(through, more)| *through += more);
                (cut.spent, value) = (cut.spent + more, value + 1);
            }
            cut.key = cut.key << bits | value;
            if shift == 0 {
                cut.through.iter_mut().zip(&histograms).for_each(|(through, own)| *through += own[value as usize]);
            }
        }
        cut
    }
}
