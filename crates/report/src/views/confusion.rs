//! Which class is taken for which: a count for each pair that occurs.

use std::collections::BTreeMap;

/// Counts of answers by the true class and the class given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// By the true class and the class given.
    counts: BTreeMap<(usize, usize), u64>,
}

impl Confusion {
    /// No answers yet, of so many classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: BTreeMap::new() }
    }

    /// Counts an answer.
    ///
    /// # Panics
    /// When a class is not below [`Confusion::classes`].
    pub fn add(&mut self, truth: usize, given: usize) {
        assert!(truth < self.classes && given < self.classes, "an answer is a class");
        *self.counts.entry((truth, given)).or_default() += 1;
    }

    /// Classes that a label can name.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How often `truth` was taken for `given`.
    ///
    /// # Panics
    /// When a class is not below [`Confusion::classes`].
    pub fn count(&self, truth: usize, given: usize) -> u64 {
        assert!(truth < self.classes && given < self.classes, "an answer is a class");
        self.counts.get(&(truth, given)).copied().unwrap_or(0)
    }

    /// Images of this class.
    pub fn of_class(&self, truth: usize) -> u64 {
        self.counts.range((truth, 0)..(truth + 1, 0)).map(|(_, count)| count).sum()
    }

    /// Images that were given this class.
    pub fn given(&self, given: usize) -> u64 {
        self.counts.iter().filter(|((_, own), _)| *own == given).map(|(_, count)| count).sum()
    }

    /// Right answers: the diagonal.
    pub fn correct(&self) -> u64 {
        self.counts.iter().filter(|((truth, given), _)| truth == given).map(|(_, count)| count).sum()
    }

    /// Answers in all.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Whether a table of all pairs can still be read.
    pub(super) fn is_small(&self) -> bool {
        self.classes <= 40
    }

    /// The true class, the class given and the count of every pair, zeros included, or of many classes of those that occur.
    pub(super) fn pairs(&self) -> Vec<(usize, usize, u64)> {
        if !self.is_small() {
            return self.counts.iter().map(|((truth, given), count)| (*truth, *given, *count)).collect();
        }
        let all = (0..self.classes).flat_map(|truth| (0..self.classes).map(move |given| (truth, given)));
        all.map(|(truth, given)| (truth, given, self.count(truth, given))).collect()
    }

    /// Which class was taken for which other one, and how often: the most frequent first, of equally frequent ones the lower classes.
    pub fn mistakes(&self) -> Vec<(usize, usize, u64)> {
        let mut found: Vec<_> = self.wrong().collect();
        found.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
        found
    }

    /// The largest count of one kind of mistake.
    pub fn worst(&self) -> u64 {
        self.wrong().map(|(.., count)| count).max().unwrap_or(0)
    }

    fn wrong(&self) -> impl Iterator<Item = (usize, usize, u64)> {
        let all = self.counts.iter().map(|((truth, given), count)| (*truth, *given, *count));
        all.filter(|(truth, given, _)| truth != given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_columns_and_the_diagonal_add_up() {
        let mut own = Confusion::new(3);
        for (truth, given, times) in [(0, 0, 5), (0, 2, 2), (1, 1, 4), (2, 0, 1), (2, 2, 3)] {
            (0..times).for_each(|_| own.add(truth, given));
        }
        assert_eq!((own.correct(), own.total(), own.worst()), (12, 15, 2));
        assert_eq!([0, 1, 2].map(|class| own.of_class(class)), [7, 4, 4]);
        assert_eq!([0, 1, 2].map(|class| own.given(class)), [6, 4, 5]);
        assert_eq!(own.mistakes(), [(0, 2, 2), (2, 0, 1)]);
        assert_eq!(Confusion::new(3).worst(), 0);
        // Only pairs that occur take memory.
        let mut many = Confusion::new(1 << 40);
        many.add(3, 1 << 39);
        assert_eq!((many.worst(), many.of_class(3), many.total()), (1, 1, 1));
        assert_eq!((many.pairs().len(), own.pairs().len()), (1, 9));
    }
}
