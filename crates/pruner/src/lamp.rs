//! LAMP, layer-adaptive magnitudes (Lee et al., "Layer-adaptive Sparsity for the Magnitude-based Pruning", 2021): what a
//! weight's square is of the squares that would be left in its layer, itself and all larger ones. Pure.
//!
//! The sum grows in the order of the magnitudes, so they have to be sorted; and each score has to come back to where its
//! weight stands. No index is carried for that: magnitudes are dealt into buckets by their high bits, in the order of the
//! weights, become scores there, bucket by bucket in the cache, and are drawn in the order in which they were dealt.

/// Bits of a magnitude that a bucket's members differ in; there are 31, the sign being left out.
const LOW: u32 = 15;
/// Bits of a number in a bucket, beside the low bits in 32.
const PLACE: u32 = 32 - LOW;
/// Below this many members they are simply sorted.
const SHORT: usize = 64;

/// What the square of each value is of the squares that are left, between 0 and 1; 0 where there is none. Of equal magnitudes
/// the one that stands first counts as the larger.
pub(crate) fn shares(values: &[f32]) -> Vec<f32> {
    // The largest magnitude has the lowest key.
    let key = |value: &f32| !value.to_bits() & i32::MAX as u32;
    let bucket = |value: &f32| (key(value) >> LOW) as usize;
    let mut starts = vec![0; 1 << (31 - LOW)];
    values.iter().for_each(|value| starts[bucket(value)] += 1);
    starts.iter_mut().fold(0, |start, own| start + std::mem::replace(own, start));
    let mut dealt = vec![0u32; values.len()];
    let mut next = starts.clone();
    for value in values {
        let place = &mut next[bucket(value)];
        dealt[*place] = key(value);
        *place += 1;
    }
    let mut ranks = Ranks::default();
    for (start, end) in starts.iter().zip(&next) {
        ranks.replace(&mut dealt[*start..*end]);
    }
    let (scores, next) = (&dealt[..], &mut starts[..]);
    let draw = |value: &f32| {
        let place = &mut next[bucket(value)];
        *place += 1;
        f32::from_bits(scores[*place - 1])
    };
    values.iter().map(draw).collect()
}

/// What ranks the members of one bucket after the other, the largest magnitudes first.
#[derive(Default)]
struct Ranks {
    /// Sum of the squares so far.
    left: f64,
    /// Low bits and place of each member, and room to sort them.
    order: Vec<u32>,
    room: Vec<u32>,
    /// For each value of the low bits how many members have it, and the sum of the squares before the next of them.
    table: Vec<(usize, f64)>,
}

impl Ranks {
    /// Writes the bits of its score in place of each member's key.
    fn replace(&mut self, members: &mut [u32]) {
        let Some(high) = members.first().map(|key| key >> LOW << LOW) else { return };
        let low = |key: u32| key & ((1 << LOW) - 1);
        let square = |low: u32| f64::from(f32::from_bits(!(high | low) & i32::MAX as u32)).powi(2);
        let bits = |square: f64, left: f64| if left > 0.0 { (square / left) as f32 } else { 0.0 }.to_bits();
        if members.len() > 1 << PLACE {
            // There are more of them than values that they can have.
            self.table.resize(1 << LOW, (0, 0.0));
            members.iter().for_each(|key| self.table[low(*key) as usize].0 += 1);
            for (value, (count, before)) in (0..).zip(&mut self.table) {
                *before = self.left;
                (0..std::mem::take(count)).for_each(|_| self.left += square(value));
            }
            for key in members {
                let (square, before) = (square(low(*key)), &mut self.table[low(*key) as usize].1);
                *before += square;
                *key = bits(square, *before);
            }
            return;
        }
        let entries = members.iter().zip(0..).map(|(key, place): (_, u32)| low(*key) << PLACE | place);
        self.order.resize(members.len(), 0);
        self.room.resize(members.len(), 0);
        if members.len() < SHORT {
            self.order.iter_mut().zip(entries).for_each(|(own, entry)| *own = entry);
            self.order.sort_unstable();
        } else {
            deal(entries, &mut self.room, PLACE);
            deal(self.room.iter().copied(), &mut self.order, PLACE + 8);
        }
        let mut left = self.left;
        for entry in &self.order {
            let square = square(entry >> PLACE);
            left += square;
            members[(entry & ((1 << PLACE) - 1)) as usize] = bits(square, left);
        }
        self.left = left;
    }
}

/// A pass of a radix sort: deals entries by the byte above `shift`, those of equal bytes in their order.
fn deal(entries: impl Iterator<Item = u32> + Clone, to: &mut [u32], shift: u32) {
    let byte = |entry: u32| (entry >> shift & 255) as usize;
    let mut next = [0; 256];
    entries.clone().for_each(|entry| next[byte(entry)] += 1);
    next.iter_mut().fold(0, |start, own| start + std::mem::replace(own, start));
    for entry in entries {
        let place = &mut next[byte(entry)];
        to[*place] = entry;
        *place += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference implementation: sort and add.
    fn by_sorting(values: &[f32]) -> Vec<f32> {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*b].abs().total_cmp(&values[*a].abs()));
        let mut scores = vec![0.0; values.len()];
        let mut left = 0.0;
        for place in order {
            let square = f64::from(values[place]).powi(2);
            left += square;
            scores[place] = if left > 0.0 { (square / left) as f32 } else { 0.0 };
        }
        scores
    }

    fn check(values: &[f32]) {
        let bits = |scores: Vec<f32>| scores.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        // Not `assert_eq`, which would print them all.
        assert!(bits(shares(values)) == bits(by_sorting(values)), "{}", values.len());
    }

    #[test]
    fn buckets_and_a_sort_agree_to_the_bit() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        for length in [0, 1, 2, SHORT - 1, SHORT, SHORT + 1, 1_000, 30_000] {
            // Of one size, of all sizes, in one bucket, of few values, all equal, all zero.
            check(&Vec::from_iter((0..length).map(|_| next() as f32 / (1 << 24) as f32 - 0.5)));
            check(&Vec::from_iter((0..length).map(|_| f32::from_bits((next() << 8 | next() >> 16) & !(1 << 30)))));
            check(&Vec::from_iter((0..length).map(|_| f32::from_bits(1.0f32.to_bits() + next() % (1 << LOW)))));
            check(&Vec::from_iter((0..length).map(|_| (next() % 7) as f32 - 3.0)));
            check(&vec![-0.25; length]);
            check(&vec![0.0; length]);
        }
        // A bucket whose members outnumber the places that an entry has room for, between two others.
        let members = (1 << PLACE) + 1;
        let one = |index: usize| match index % 1_000 {
            0 => 2.0,
            1 => 0.5,
            2 => 0.0,
            _ => f32::from_bits(1.0f32.to_bits() + next() % (1 << LOW)),
        };
        check(&Vec::from_iter((0..members + members / 100).map(one)));
        check(&vec![0.0; members]);
    }
}
