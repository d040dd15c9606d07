//! Single weights: where the order of all scores is cut, in linear time and without a copy.
//!
//! Bits of non-negative floats are ordered like the floats, so a threshold is found digit by digit, by histograms of 11,
//! 11 and 10 bits, one a layer, so that each layer's bounds are obeyed on the way.

use super::{Entrant, Scores};
use crate::Mask;

/// Digits of a key, highest first: how far to shift, and how many bits.
const DIGITS: [(u32, u32); 3] = [(21, 11), (10, 11), (0, 10)];

/// The masks that leave `wanted` of the cost pruned. The bounds have to allow it.
pub(super) fn prune(entrants: &[Entrant<'_, '_>], wanted: u64) -> Vec<Mask> {
    let counts = |entrant: &Entrant<'_, '_>, below: usize| {
        (entrant.pruned + below).clamp(entrant.bounds.least, entrant.bounds.most)
    };
    let spent = |below: &[usize]| -> u64 {
        entrants.iter().zip(below).map(|(own, below)| own.cost * counts(own, *below) as u64).sum()
    };
    let mut below = vec![0; entrants.len()];
    let mut equal = vec![0; entrants.len()];
    let mut threshold = 0;
    if spent(&below) < wanted {
        for (shift, bits) in DIGITS {
            let histogram = |own: &Entrant<'_, '_>| histogram(&own.layer.scores, own.scale, threshold, shift, bits);
            let histograms: Vec<Vec<usize>> = entrants.iter().map(histogram).collect();
            let mut digit = 0;
            loop {
                equal = histograms.iter().map(|own| own[digit]).collect();
                let through: Vec<usize> = below.iter().zip(&equal).map(|(below, equal)| below + equal).collect();
                if spent(&through) >= wanted || digit + 1 == 1 << bits {
                    break;
                }
                below = through;
                digit += 1;
            }
            threshold = threshold << bits | digit as u32;
        }
    }
    // The ties that go are those of the last layers.
    let mut finals: Vec<usize> = entrants.iter().zip(&below).map(|(own, below)| counts(own, *below)).collect();
    let mut left = wanted.saturating_sub(spent(&below));
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
fn histogram(scores: &[f32], scale: f64, prefix: u32, shift: u32, bits: u32) -> Vec<usize> {
    if scale == 1.0 {
        count(scores, f32::to_bits, prefix, shift, bits)
    } else {
        count(scores, |score| key(score, scale), prefix, shift, bits)
    }
}

fn count(scores: &[f32], key: impl Fn(f32) -> u32, prefix: u32, shift: u32, bits: u32) -> Vec<usize> {
    let digit = |key: u32| (key >> shift & ((1 << bits) - 1)) as usize;
    let mut histogram = vec![0usize; 1 << bits];
    if shift + bits == 32 {
        // Neighbours often share a digit; four histograms keep their counts from waiting for each other.
        let mut lanes = vec![[0usize; 4]; 1 << bits];
        for four in scores.chunks(4) {
            for (lane, score) in four.iter().enumerate() {
                lanes[digit(key(*score))][lane] += 1;
            }
        }
        return lanes.iter().map(|lanes| lanes.iter().sum()).collect();
    }
    for score in scores {
        let key = key(*score);
        if key >> (shift + bits) == prefix {
            histogram[digit(key)] += 1;
        }
    }
    histogram
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
        for (shift, bits) in DIGITS {
            let histogram = histogram(scores, scale, threshold, shift, bits);
            let mut digit = 0;
            while digit + 1 < histogram.len() && rank > histogram[digit] {
                rank -= histogram[digit];
                digit += 1;
            }
            (threshold, equal) = (threshold << bits | digit as u32, histogram[digit]);
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
