//! A parameter row by row: the scores of all its weights on the way in, the bits of a mask on the way out.

use super::Scores;
use crate::Mask;
use crate::mask::ones;

/// Stands for the score of a pruned weight: it adds nothing to a sum, and a sum of nothing else is negative, too.
pub(super) const NOTHING: f32 = -0.0;

/// Goes through the scores of a layer, pruned weights included.
pub(super) struct Rows<'a> {
    within: &'a Mask,
    /// Those that have not been read.
    scores: &'a [f32],
    /// Where the next row begins.
    next: usize,
    row: Vec<f32>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(layer: &'a Scores<'_>) -> Self {
        Self { within: layer.within, scores: &layer.scores, next: 0, row: vec![] }
    }

    /// The scores of the next `length` weights, [`NOTHING`] for those that are pruned.
    pub(super) fn next(&mut self, length: usize) -> &[f32] {
        if self.within.kept() == self.within.total() {
            let row;
            (row, self.scores) = self.scores.split_at(length);
            return row;
        }
        self.row.clear();
        self.row.resize(length, NOTHING);
        let mut scores = self.scores.iter();
        living(self.within, self.next, length)
            .for_each(|place| self.row[place] = scores.next().copied().unwrap_or(NOTHING));
        self.scores = scores.as_slice();
        self.next += length;
        &self.row
    }
}

/// Places in the row of `length` weights from `first` on that the mask keeps, rising.
pub(super) fn living(mask: &Mask, first: usize, length: usize) -> impl Iterator<Item = usize> {
    let end = first + length;
    let words = mask.words()[first / 64..end.div_ceil(64)].iter().enumerate();
    words.flat_map(move |(place, word)| {
        let start = first / 64 * 64 + place * 64;
        let below = |end: usize| if end >= start + 64 { u64::MAX } else { (1 << end.saturating_sub(start)) - 1 };
        ones(word & below(end) & !below(first)).map(move |bit| start + bit - first)
    })
}

/// The bits of a mask, one after the other.
pub(super) struct Bits {
    words: Vec<u64>,
    length: usize,
}

impl Bits {
    pub(super) fn new(total: usize) -> Self {
        Self { words: Vec::with_capacity(total.div_ceil(64)), length: 0 }
    }

    /// `length` bits, of which each item has `step` in turn, the last perhaps fewer.
    pub(super) fn extend<T>(&mut self, items: &[T], step: usize, mut length: usize, keeps: impl Fn(&T) -> bool) {
        // As many items as fit a word; a large one goes on in others.
        let step = step.min(length);
        let ones = u64::MAX >> (64 - step.min(64));
        for items in items.chunks((64 / step).max(1)) {
            let mut word = 0;
            for (place, item) in items.iter().enumerate() {
                word |= if keeps(item) { ones << (place * step) } else { 0 };
            }
            let mut count = (items.len() * step).min(length);
            length -= count;
            while count > 0 {
                let now = count.min(64);
                self.push(word & u64::MAX >> (64 - now), now);
                count -= now;
            }
        }
    }

    /// The lowest `count` bits of a word that has no others.
    fn push(&mut self, word: u64, count: usize) {
        let used = self.length % 64;
        match self.words.last_mut() {
            Some(last) if used > 0 => *last |= word << used,
            _ => self.words.push(word),
        }
        if used > 0 && used + count > 64 {
            self.words.push(word >> (64 - used));
        }
        self.length += count;
    }

    /// The mask that keeps what these bits and `within` keep.
    pub(super) fn mask(mut self, within: &Mask) -> Mask {
        self.words.iter_mut().zip(within.words()).for_each(|(word, old)| *word &= old);
        Mask::from_words(within.shape(), self.words)
    }
}
