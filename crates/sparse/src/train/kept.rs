//! Which values of a tensor are kept, and where each stands among the kept ones.

/// The kept values of a tensor, one bit a value, with the place of each in the list of the kept ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    words: Vec<u64>,
    /// Values kept before each word.
    before: Vec<usize>,
    total: usize,
    kept: usize,
}

impl Kept {
    /// Reads one bit a value of `total`, the lowest bit of a byte first, set where it is kept.
    ///
    /// # Panics
    /// When there are not as many bytes as `total` values take.
    pub fn new(total: usize, bits: &[u8]) -> Self {
        assert_eq!(bits.len(), total.div_ceil(8), "there is a bit for each value");
        let mut own = Self { total, ..Self::default() };
        for (place, bytes) in bits.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            let valid = u64::MAX >> (64 - (total - place * 64).min(64));
            let word = u64::from_le_bytes(word) & valid;
            own.words.push(word);
            own.before.push(own.kept);
            own.kept += word.count_ones() as usize;
        }
        own
    }

    /// Values in all.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Values kept.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Whether the value at this index is kept.
    pub(super) fn keeps(&self, index: usize) -> bool {
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    /// Place among the kept values of the one at this index; `None` when it is pruned.
    ///
    /// # Panics
    /// When `index` is not below [`Kept::total`].
    pub fn place(&self, index: usize) -> Option<usize> {
        let word = self.words[index / 64];
        let lower = word & !(u64::MAX << (index % 64));
        self.keeps(index).then(|| self.before[index / 64] + lower.count_ones() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_the_kept_values_before() {
        for total in [0usize, 1, 7, 8, 63, 64, 65, 200] {
            let mut bits = vec![0u8; total.div_ceil(8)];
            let keeps = |index: usize| index % 3 != 1;
            for index in (0..total).filter(|index| keeps(*index)) {
                bits[index / 8] |= 1 << (index % 8);
            }
            let kept = Kept::new(total, &bits);
            let places: Vec<usize> = (0..total).filter_map(|index| kept.place(index)).collect();
            assert_eq!(places, (0..kept.kept()).collect::<Vec<_>>());
            assert!((0..total).all(|index| kept.keeps(index) == keeps(index)));
        }
        // Bits past the last value say nothing.
        assert_eq!(Kept::new(3, &[0xff]).kept(), 3);
    }
}
