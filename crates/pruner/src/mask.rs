//! Which weights live: one bit a weight, shaped like the parameter that it belongs to.

use crate::Error;

/// The kept elements of one parameter, one bit each, in row-major order.
#[derive(Clone, PartialEq, Eq)]
pub struct Mask {
    shape: Vec<usize>,
    words: Vec<u64>,
    kept: usize,
}

impl Mask {
    /// A mask of this shape that keeps every element.
    pub fn full(shape: &[usize]) -> Self {
        Self::from_words(shape, vec![u64::MAX; shape.iter().product::<usize>().div_ceil(64)])
    }

    /// A mask of this shape that keeps the elements whose flat (row-major) index `keeps` accepts; it is asked in order.
    pub fn from_fn(shape: &[usize], mut keeps: impl FnMut(usize) -> bool) -> Self {
        let total = shape.iter().product::<usize>();
        let mut words = vec![0u64; total.div_ceil(64)];
        let mut kept = 0;
        for index in 0..total {
            if keeps(index) {
                words[index / 64] |= 1 << (index % 64);
                kept += 1;
            }
        }
        Self { shape: shape.to_vec(), words, kept }
    }

    /// The mask of these words, a bit an element, the lowest first; bits past the last element are not looked at.
    pub(crate) fn from_words(shape: &[usize], mut words: Vec<u64>) -> Self {
        let total = shape.iter().product::<usize>();
        assert_eq!(words.len(), total.div_ceil(64), "a mask has a bit for each element");
        if let Some(last) = words.last_mut().filter(|_| total % 64 != 0) {
            *last &= (1 << (total % 64)) - 1;
        }
        let kept = words.iter().map(|word| word.count_ones() as usize).sum();
        Self { shape: shape.to_vec(), words, kept }
    }

    /// A bit an element, the lowest first; 0 past the last element.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Reads what [`Mask::to_bytes`] wrote.
    ///
    /// # Errors
    /// When `bytes` is not as long as `shape` asks for, or has bits set past its last element.
    pub fn from_bytes(name: &str, shape: &[usize], bytes: &[u8]) -> Result<Self, Error> {
        let total = shape.iter().product::<usize>();
        let wanted = total.div_ceil(8);
        if bytes.len() != wanted {
            return Err(Error::MaskBytes { name: name.into(), found: bytes.len(), wanted });
        }
        if total % 8 != 0 && bytes[wanted - 1] >> (total % 8) != 0 {
            return Err(Error::MaskPadding { name: name.into() });
        }
        Ok(Self::from_fn(shape, |index| bytes[index / 8] >> (index % 8) & 1 == 1))
    }

    /// One bit an element, the lowest bit of a byte first, `ceil(total / 8)` bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(self.total().div_ceil(8));
        bytes
    }

    /// Shape of the parameter.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether the element at this flat index lives.
    ///
    /// # Panics
    /// When `index` is not below [`Mask::total`].
    pub fn keeps(&self, index: usize) -> bool {
        assert!(index < self.total(), "mask of {} elements asked for element {index}", self.total());
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    /// Elements kept.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Elements in all.
    pub fn total(&self) -> usize {
        self.shape.iter().product()
    }

    /// Elements that both masks keep, of two of one shape.
    pub fn both(&self, other: &Self) -> usize {
        self.words.iter().zip(&other.words).map(|(own, other)| (own & other).count_ones() as usize).sum()
    }

    /// Flat indices of the elements kept, rising.
    pub fn indices(&self) -> impl Iterator<Item = usize> {
        let bits = |(place, word): (usize, &u64)| ones(*word).map(move |bit| place * 64 + bit);
        self.words.iter().enumerate().flat_map(bits)
    }

    /// The kept ones of these values, in their order.
    ///
    /// # Panics
    /// When `values` is not as long as the mask.
    pub fn gather(&self, values: &[f32]) -> Vec<f32> {
        assert_eq!(values.len(), self.total(), "a mask meets values of another length");
        let mut kept = Vec::with_capacity(self.kept);
        kept.extend(self.indices().map(|index| values[index]));
        kept
    }

    /// The inverse of [`Mask::gather`]: all values, those that are pruned `+0.0`.
    ///
    /// # Panics
    /// When there are not as many values as this mask keeps.
    pub fn scatter(&self, kept: &[f32]) -> Vec<f32> {
        assert_eq!(kept.len(), self.kept, "a mask meets another number of kept values");
        let mut values = vec![0.0; self.total()];
        for (index, value) in self.indices().zip(kept) {
            values[index] = *value;
        }
        values
    }

    /// Of the values that `old` keeps, those that this mask keeps, too.
    ///
    /// # Panics
    /// When there are not as many values as `old` keeps, or the masks have other shapes.
    pub fn narrow(&self, old: &Mask, kept: &[f32]) -> Vec<f32> {
        assert_eq!(kept.len(), old.kept, "a mask meets another number of kept values");
        assert_eq!(self.shape, old.shape, "a mask meets one of another shape");
        let stays = old.indices().zip(kept).filter(|(index, _)| self.words[index / 64] >> (index % 64) & 1 == 1);
        let mut narrowed = Vec::with_capacity(self.kept);
        narrowed.extend(stays.map(|(_, value)| *value));
        narrowed
    }

    /// Of the values that `old` keeps those that this mask keeps, too, and `+0.0` for what only this mask keeps.
    ///
    /// # Panics
    /// When there are not as many values as `old` keeps, or the masks have other shapes.
    pub fn carry(&self, old: &Mask, kept: &[f32]) -> Vec<f32> {
        if self.is_within(old) { self.narrow(old, kept) } else { self.gather(&old.scatter(kept)) }
    }

    /// Elements that this mask keeps and `old` does not.
    ///
    /// # Panics
    /// When the masks have other shapes.
    pub fn fresh(&self, old: &Mask) -> usize {
        assert_eq!(self.shape, old.shape, "a mask meets one of another shape");
        self.words.iter().zip(&old.words).map(|(new, old)| (new & !old).count_ones() as usize).sum()
    }

    /// Whether every element that this mask keeps is kept by `other`, too.
    pub fn is_within(&self, other: &Mask) -> bool {
        self.shape == other.shape && self.words.iter().zip(&other.words).all(|(new, old)| new & !old == 0)
    }

    /// Sets the values of pruned elements to `+0.0`.
    ///
    /// # Panics
    /// When `values` is not as long as the mask.
    pub fn zero_pruned(&self, values: &mut [f32]) {
        assert_eq!(values.len(), self.total(), "a mask meets values of another length");
        for (index, value) in values.iter_mut().enumerate() {
            if self.words[index / 64] >> (index % 64) & 1 == 0 {
                *value = 0.0;
            }
        }
    }
}

/// Places of the bits that are set, rising.
pub(crate) fn ones(word: u64) -> impl Iterator<Item = usize> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
        rest &= rest - 1;
        Some(bit)
    })
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Mask {{ shape: {:?}, kept: {} of {} }}", self.shape, self.kept, self.total())
    }
}

/// The masks of a module's prunable parameters, in the order in which the module visits them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskSet {
    masks: Vec<(String, Mask)>,
}

impl MaskSet {
    /// The set of these named masks; the order is the order of layers wherever one is needed.
    pub fn new(masks: Vec<(String, Mask)>) -> Self {
        Self { masks }
    }

    /// The mask of the parameter at this path, such as `fc1.weight`.
    pub fn get(&self, name: &str) -> Option<&Mask> {
        self.masks.iter().find_map(|(own, mask)| (own == name).then_some(mask))
    }

    /// Names and masks, in the module's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Mask)> {
        self.masks.iter().map(|(name, mask)| (name.as_str(), mask))
    }

    /// Elements kept in all masks together.
    pub fn kept(&self) -> usize {
        self.masks.iter().map(|(_, mask)| mask.kept()).sum()
    }

    /// Elements in all masks together.
    pub fn total(&self) -> usize {
        self.masks.iter().map(|(_, mask)| mask.total()).sum()
    }

    /// Elements pruned in all masks together.
    pub fn pruned(&self) -> usize {
        self.total() - self.kept()
    }

    /// Whether both sets name the same parameters and every mask lies within `other`'s.
    pub fn is_within(&self, other: &MaskSet) -> bool {
        self.masks.len() == other.masks.len()
            && self.masks.iter().zip(&other.masks).all(|((a, new), (b, old))| a == b && new.is_within(old))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip_at_sizes_around_a_word() {
        for total in [0, 1, 7, 8, 9, 63, 64, 65, 130] {
            let mask = Mask::from_fn(&[total], |index| index % 3 == 0);
            assert_eq!(mask.kept(), total.div_ceil(3));
            assert_eq!(Mask::from_bytes("w", &[total], &mask.to_bytes()).expect("own bytes"), mask);
            assert_eq!(mask.indices().collect::<Vec<_>>(), (0..total).step_by(3).collect::<Vec<_>>());
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert!(matches!(Mask::from_bytes("w", &[9], &[0]), Err(Error::MaskBytes { found: 1, wanted: 2, .. })));
        assert!(matches!(Mask::from_bytes("w", &[3], &[0b1000]), Err(Error::MaskPadding { .. })));
    }

    #[test]
    fn within_means_no_new_element() {
        let old = Mask::from_fn(&[2, 2], |index| index != 0);
        assert!(Mask::from_fn(&[2, 2], |index| index == 3).is_within(&old));
        assert!(!Mask::from_fn(&[2, 2], |index| index == 0).is_within(&old));
        assert!(!Mask::full(&[4]).is_within(&Mask::full(&[2, 2])), "another shape is never within");
    }

    #[test]
    fn kept_values_are_gathered_scattered_and_narrowed() {
        let old = Mask::from_fn(&[2, 3], |index| index != 1);
        let kept = old.gather(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(kept, [1.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(old.scatter(&kept), [1.0, 0.0, 3.0, 4.0, 5.0, 6.0]);
        let new = Mask::from_fn(&[2, 3], |index| index == 2 || index == 5);
        assert_eq!(new.narrow(&old, &kept), [3.0, 6.0]);
        assert_eq!(Mask::from_fn(&[6], |_| false).scatter(&[]), [0.0; 6]);
    }

    #[test]
    fn pruned_values_become_positive_zero_whatever_they_were() {
        let mask = Mask::from_fn(&[4], |index| index == 3);
        let mut values = [f32::NAN, f32::INFINITY, -0.0, -2.0];
        mask.zero_pruned(&mut values);
        assert_eq!(values.map(f32::to_bits), [0, 0, 0, (-2.0f32).to_bits()]);
    }
}
