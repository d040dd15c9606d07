//! Scores as integers of the same order, counted digit by digit: bits of floats that are not negative are ordered like
//! the floats.

/// Digits of a key, highest first: how far to shift, and how many bits. The first is fine enough that few keys share one,
/// so that the later counts, which only look at those, are quick.
pub(super) const DIGITS: [(u32, u32); 3] = [(18, 14), (9, 9), (0, 9)];

/// How many of the keys that begin with `prefix` have which next digit.
pub(super) fn count<T: Copy>(
    items: &[T],
    key: impl Fn(T) -> u32,
    prefix: u32,
    (shift, bits): (u32, u32),
) -> Vec<usize> {
    let digit = |key: u32| (key >> shift & ((1 << bits) - 1)) as usize;
    if shift + bits == 32 {
        // Neighbours often share a digit; four histograms keep their counts from waiting for each other.
        let mut lanes = vec![[0; 4]; 1 << bits];
        for four in items.chunks(4) {
            for (lane, item) in four.iter().enumerate() {
                lanes[digit(key(*item))][lane] += 1;
            }
        }
        return lanes.iter().map(|lanes| lanes.iter().sum()).collect();
    }
    let mut histogram = vec![0; 1 << bits];
    for item in items {
        let key = key(*item);
        if key >> (shift + bits) == prefix {
            histogram[digit(key)] += 1;
        }
    }
    histogram
}
