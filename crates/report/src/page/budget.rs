//! How much of each run a page can hold: a page of hundreds of long runs has to open, too.

use crate::learning::Detail;

/// Cycles of all runs together up to which a page holds everything.
const EVERYTHING: usize = 1_500;

/// What a page shows of each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    /// Whether a run has all of its tables and both shapes of its chart.
    pub(super) whole: bool,
    /// Rows of a table of cycles.
    pub(super) rows: usize,
    /// What is drawn of how it learned.
    pub(super) learning: Detail,
    /// Letters of a config.
    pub(super) config: usize,
}

impl Budget {
    /// For a page of so many runs with so many cycles in all.
    pub(super) fn of(runs: usize, cycles: usize) -> Self {
        if cycles <= EVERYTHING && runs <= 60 {
            return Self {
                whole: true,
                rows: usize::MAX,
                learning: Detail { points: 1_000, markers: 60 },
                config: 20_000,
            };
        }
        // About 1,600 rows in all, and enough of each run to see how it went.
        Self {
            whole: false,
            rows: (1_600 / runs.max(1)).clamp(6, 40),
            learning: Detail { points: 50, markers: 0 },
            config: 2_000,
        }
    }

    /// Which of `length` rows are shown.
    pub(super) fn pick(self, length: usize) -> Vec<usize> {
        pick(length, self.rows)
    }
}

/// Which `most`, at least 2, of `length` are shown: the first, the last, and others at even distances.
pub(super) fn pick(length: usize, most: usize) -> Vec<usize> {
    if length <= most {
        return (0..length).collect();
    }
    let last = most.max(2) - 1;
    (0..=last).map(|row| (row * (length - 1) + last / 2) / last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_page_holds_everything_and_a_large_one_the_ends_of_all() {
        let small = Budget::of(4, 40);
        assert_eq!(small.pick(9), (0..9).collect::<Vec<_>>());
        let large = Budget::of(200, 20_000);
        assert!(!large.whole && large.rows == 8);
        let picked = large.pick(101);
        assert_eq!((picked.len(), picked[0], picked[7]), (8, 0, 100));
        assert!(picked.windows(2).all(|pair| pair[0] < pair[1]), "{picked:?}");
        assert_eq!(large.pick(3), [0, 1, 2]);
    }
}
