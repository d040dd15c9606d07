//! The range of each value of a network over some images: what bytes have to hold.

use std::collections::BTreeMap;

/// The lowest and the largest number of each value that a network computes, by the name of the node that gives it; `input` for the
/// images. Batch normalisation counts as a part of the layer before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranges(BTreeMap<String, [f32; 2]>);

/// The name of the images.
pub(crate) const INPUT: &str = "input";

impl Ranges {
    /// These, by name; those that are no two finite numbers in order are left out.
    pub fn new(ranges: impl IntoIterator<Item = (String, [f32; 2])>) -> Self {
        let mut own = Self(ranges.into_iter().collect());
        own.retain_finite();
        own
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// That of a value.
    pub fn of(&self, name: &str) -> Option<[f32; 2]> {
        self.0.get(name).copied()
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, [f32; 2])> {
        self.0.iter().map(|(name, own)| (name.as_str(), *own))
    }

    /// Those of some values.
    pub(crate) fn only(&self, is_one: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| is_one(name)).map(|(name, own)| (name.clone(), *own)).collect())
    }

    /// Widens a range, so that it holds these numbers.
    pub(crate) fn meet<'a>(&mut self, name: &str, numbers: impl Iterator<Item = &'a f32>) {
        let own = self.0.entry(name.to_owned()).or_insert([f32::INFINITY, f32::NEG_INFINITY]);
        *own = numbers.fold(*own, |[low, high], number| [low.min(*number), high.max(*number)]);
    }

    /// Leaves out what is no range.
    pub(crate) fn retain_finite(&mut self) {
        self.0.retain(|_, [low, high]| low.is_finite() && high.is_finite() && low <= high);
    }
}
