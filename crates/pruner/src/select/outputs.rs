//! Single weights, compared within their output unit: every unit of a layer keeps the same share, but for what rounding
//! and earlier prunes ask. Ties keep the lower flat index, and the first units keep one weight more where it does not
//! come out even.

use super::Entrant;
use crate::scope::{Bounds, Stake, allot};
use crate::{Granularity, Mask};

/// What of a unit stays: all keys above the threshold, and so many of the first that are equal to it.
#[derive(Clone, Copy, Default)]
struct Cut {
    threshold: u32,
    ties: usize,
}

/// The mask that leaves `wanted` weights of the layer pruned. The bounds have to allow it.
pub(super) fn prune(own: &Entrant<'_, '_>, wanted: usize) -> Mask {
    let (layer, within) = (own.layer, own.layer.within);
    let units = Granularity::Filter {}.tiling(layer.name, layer.shape, layer.terms.layout);
    let units = units.expect("layers enter with a layout that fits");
    let each = |visit: &mut dyn FnMut(usize, usize)| {
        let mut index = 0;
        units.walk(|unit| {
            if within.keeps(index) {
                visit(index, unit);
            }
            index += 1;
        });
    };
    let mut living = vec![0; units.groups()];
    each(&mut |_, unit| living[unit] += 1);
    let stake = |(unit, living): (usize, &usize)| {
        let size = units.size(unit);
        Stake { bounds: Bounds { size, least: size - living, most: size }, factor: 1.0, cost: 1 }
    };
    let stakes: Vec<Stake> = living.iter().enumerate().map(stake).collect();
    let pruned = allot(&stakes, (within.total() - wanted) as u64);

    // The keys of all units, one unit after the other.
    let starts: Vec<usize> = living.iter().scan(0, |end, own| Some(std::mem::replace(end, *end + own))).collect();
    let (mut keys, mut next) = (vec![0; within.kept()], starts.clone());
    let mut scores = layer.scores.iter();
    each(&mut |_, unit| {
        keys[next[unit]] = scores.next().map_or(0, |score| score.to_bits());
        next[unit] += 1;
    });
    let mut cuts: Vec<Cut> = vec![];
    for (unit, start) in starts.iter().enumerate() {
        let gone = pruned[unit] - (units.size(unit) - living[unit]);
        cuts.push(Cut::find(&mut keys[*start..start + living[unit]], gone));
    }
    let mut stays = vec![0u64; within.words().len()];
    let mut scores = layer.scores.iter();
    each(&mut |index, unit| {
        let (key, cut) = (scores.next().map_or(0, |score| score.to_bits()), &mut cuts[unit]);
        let tie = key == cut.threshold && cut.ties > 0;
        cut.ties -= usize::from(tie);
        stays[index / 64] |= u64::from(key > cut.threshold || tie) << (index % 64);
    });
    Mask::from_words(within.shape(), stays)
}

impl Cut {
    /// The cut that removes `gone` of these keys, whose order is lost.
    fn find(keys: &mut [u32], gone: usize) -> Self {
        let Some(last) = gone.checked_sub(1) else { return Self { threshold: 0, ties: keys.len() } };
        let (_, threshold, _) = keys.select_nth_unstable(last);
        let threshold = *threshold;
        let above = keys.iter().filter(|key| **key > threshold).count();
        Self { threshold, ties: keys.len() - gone - above }
    }
}
