//! Single weights: where the order of all scores is cut, in linear time and without a copy.
//!
//! A threshold is found digit by digit, by one histogram a layer, so that each layer's bounds are obeyed on the way.

use super::histogram::{DIGITS, count};
use super::{Entrant, Scores};
use crate::Mask;

/// The masks that leave `wanted` of the cost pruned. The bounds have to allow it.
pub(super) fn prune(entrants: &[Entrant<'_, '_>], wanted: u64) -> Vec<Mask> {
    let counts = |entrant: &Entrant<'_, '_>, below: usize| {
        (entrant.pruned + below).clamp(entrant.bounds.least, entrant.bounds.most)
    };
    // What is spent when so many are taken of each layer, and as many more.
    let spent = |below: &[usize], more: &dyn Fn(usize) -> usize| -> u64 {
        let all = entrants.iter().zip(below).enumerate();
        all.map(|(place, (own, below))| own.cost * counts(own, below + more(place)) as u64).sum()
    };
    let mut below = vec![0; entrants.len()];
    let mut equal = vec![0; entrants.len()];
    let mut threshold = 0;
    if spent(&below, &|_| 0) < wanted {
        for digit in DIGITS {
            let histogram = |own: &Entrant<'_, '_>| histogram(&own.layer.scores, own.scale, threshold, digit);
            let histograms: Vec<Vec<usize>> = entrants.iter().map(histogram).collect();
            let mut value = 0;
            while value + 1 < 1 << digit.1 && spent(&below, &|place| histograms[place][value]) < wanted {
                below.iter_mut().zip(&histograms).for_each(|(below, own)| *below += own[value]);
                value += 1;
            }
            equal = histograms.iter().map(|own| own[value]).collect();
            threshold = threshold << digit.1 | value as u32;
        }
    }
    // The ties that go are those of the last layers.
    let mut finals: Vec<usize> = entrants.iter().zip(&below).map(|(own, below)| counts(own, *below)).collect();
    let mut left = wanted.saturating_sub(spent(&below, &|_| 0));
    for (place, own) in entrants.iter().enumerate().rev().filter(|(_, own)| own.cost > 0) {
        let room = counts(own, below[place] + equal[place]) - finals[place];
        let taken = room.min(left.div_ceil(own.cost) as usize);
        finals[place] += taken;
        left = left.saturating_sub(own.cost * taken as u64);
    }
    let mask = |(place, own): (usize, &Entrant<'_, '_>)| {
        let gone = finals[place] - own.pruned;
        let cut = match gone.checked_sub(below[place]) {
            _ if gone == 0 => Cut { threshold: 0, ties_kept: usize::MAX },
            Some(ties) if ties <= equal[place] => Cut { threshold, ties_kept: equal[place] - ties },
            // Its bounds, not the common threshold, say what this layer gives.
            _ => Cut::find(&own.layer.scores, own.scale, gone),
        };
        cut.mask(own.layer, own.scale)
    };
    entrants.iter().enumerate().map(mask).collect()
}

/// A score as an integer of the same order.
fn key(score: f32, scale: f64) -> u32 {
    ((f64::from(score) * scale) as f32).to_bits()
}

/// How many of the keys that begin with `prefix` have which next digit.
fn histogram(scores: &[f32], scale: f64, prefix: u32, digit: (u32, u32)) -> Vec<usize> {
    if scale == 1.0 {
        count(scores, f32::to_bits, prefix, digit)
    } else {
        count(scores, |score| key(score, scale), prefix, digit)
    }
}

/// Where the order is cut: all keys above `threshold` stay, and the first `ties_kept` of those equal to it.
struct Cut {
    threshold: u32,
    ties_kept: usize,
}

impl Cut {
    /// The cut that removes `gone` of the scores, at least 1.
    fn find(scores: &[f32], scale: f64, gone: usize) -> Self {
        let (mut threshold, mut rank, mut equal) = (0, gone, 0);
        for digit in DIGITS {
            let histogram = histogram(scores, scale, threshold, digit);
            let mut value = 0;
            while value + 1 < histogram.len() && rank > histogram[value] {
                rank -= histogram[value];
                value += 1;
            }
            (threshold, equal) = (threshold << digit.1 | value as u32, histogram[value]);
        }
        Self { threshold, ties_kept: equal.saturating_sub(rank) }
    }

    fn mask(mut self, layer: &Scores<'_>, scale: f64) -> Mask {
        if scale == 1.0 { self.build(layer, f32::to_bits) } else { self.build(layer, |score| key(score, scale)) }
    }

    fn build(&mut self, layer: &Scores<'_>, key: impl Fn(f32) -> u32) -> Mask {
        let within = layer.within;
        let mut words = Vec::with_capacity(within.words().len());
        if within.kept() == within.total() {
            for chunk in layer.scores.chunks(64) {
                let (mut above, mut ties) = (0u64, 0u64);
                for (bit, score) in chunk.iter().enumerate() {
                    let key = key(*score);
                    above |= u64::from(key > self.threshold) << bit;
                    ties |= u64::from(key == self.threshold) << bit;
                }
                words.push(above | self.keep_ties(ties));
            }
        } else {
            let mut scores = layer.scores.iter();
            for &old in within.words() {
                let (mut rest, mut above, mut ties) = (old, 0u64, 0u64);
                while rest != 0 {
                    let bit = rest & rest.wrapping_neg();
                    rest ^= bit;
                    let key = key(*scores.next().expect("there is a score for each living weight"));
                    above |= if key > self.threshold { bit } else { 0 };
                    ties |= if key == self.threshold { bit } else { 0 };
                }
                words.push(above | self.keep_ties(ties));
            }
        }
        Mask::from_words(layer.shape, words)
    }

    /// The first of these ties, as long as there are some to keep.
    fn keep_ties(&mut self, mut ties: u64) -> u64 {
        let found = ties.count_ones() as usize;
        if found <= self.ties_kept {
            self.ties_kept -= found;
            return ties;
        }
        let mut kept = 0;
        while self.ties_kept > 0 {
            let bit = ties & ties.wrapping_neg();
            (kept, ties) = (kept | bit, ties ^ bit);
            self.ties_kept -= 1;
        }
        kept
    }
}
