//! Which class is taken for which: a count for each pair.

/// Counts of answers by the true class and the class given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// No answers yet, of so many classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Counts an answer.
    ///
    /// # Panics
    /// When a class is not below [`Confusion::classes`].
    pub fn add(&mut self, truth: usize, given: usize) {
        assert!(truth < self.classes && given < self.classes, "an answer is a class");
        self.counts[truth * self.classes + given] += 1;
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
        self.counts[truth * self.classes + given]
    }

    /// Images of this class.
    pub fn of_class(&self, truth: usize) -> u64 {
        (0..self.classes).map(|given| self.count(truth, given)).sum()
    }

    /// Images that were given this class.
    pub fn given(&self, given: usize) -> u64 {
        (0..self.classes).map(|truth| self.count(truth, given)).sum()
    }

    /// Right answers: the diagonal.
    pub fn correct(&self) -> u64 {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// Answers in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The largest count of one kind of mistake.
    pub fn worst(&self) -> u64 {
        let pairs = (0..self.classes).flat_map(|truth| (0..self.classes).map(move |given| (truth, given)));
        pairs.filter(|(truth, given)| truth != given).map(|(truth, given)| self.count(truth, given)).max().unwrap_or(0)
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
        assert_eq!(Confusion::new(3).worst(), 0);
    }
}
