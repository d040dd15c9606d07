//! How far the top-1 of some seeds may be off, by how many there are: the test images' own error of one, the ends of two, the
//! t-interval of more. Where some seeds collapsed and others did not, there is no one number that they are spread around. Pure.

use crate::number::percent;
use crate::series::Pool;
use crate::statistics::{Spread, wilson};

/// What an interval of top-1 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The 95 % t-interval of the mean over three seeds or more.
    Mean,
    /// The lowest and the highest of two seeds, or of seeds of which some collapsed.
    Ends,
    /// The 95 % interval of one network's accuracy, given how many test images there are: Wilson's score interval.
    TestImages,
}

/// An interval of top-1 in percent, within 0 and 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    pub(crate) kind: Kind,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Kind {
    /// The kind in a word, for tables that programs read.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mean => "t-95",
            Self::Ends => "min-max",
            Self::TestImages => "wilson-95",
        }
    }

    /// What a legend says of it.
    pub(crate) fn legend(self) -> &'static str {
        match self {
            Self::Mean => "band: 95 % t-interval of the mean",
            Self::Ends => "band of two seeds: lowest to highest",
            Self::TestImages => "bar: 95 % interval of the test images",
        }
    }
}

impl Interval {
    /// That of a pool; `None` where nothing was tested after training.
    pub(crate) fn of(pool: &Pool<'_>) -> Option<Self> {
        let spread = pool.top_1()?;
        let ends = Self { kind: Kind::Ends, low: spread.min, high: spread.max };
        if split(pool).is_some() {
            return Some(ends);
        }
        if spread.n == 1 {
            let score = pool.samples.iter().find_map(|sample| sample.point.trained)?.score;
            let (low, high) = wilson(score.correct, score.total)?;
            return Some(Self { kind: Kind::TestImages, low: 100.0 * low, high: 100.0 * high });
        }
        Some(spread.interval().map_or(ends, |(low, high)| Self {
            kind: Kind::Mean,
            low: low.clamp(0.0, 100.0),
            high: high.clamp(0.0, 100.0),
        }))
    }

    /// `98.71 to 99.12`.
    pub(crate) fn words(&self) -> String {
        format!("{:.2} to {:.2}", self.low, self.high)
    }
}

/// How many seeds collapsed of how many that were trained, where some did and some did not.
pub(crate) fn split(pool: &Pool<'_>) -> Option<(usize, usize)> {
    let trained = || pool.samples.iter().filter(|sample| sample.point.trained.is_some());
    let (collapsed, all) = (trained().filter(|sample| sample.point.is_collapsed()).count(), trained().count());
    (collapsed > 0 && collapsed < all).then_some((collapsed, all))
}

/// `98.93 ± 0.12 % (3 seeds, 98.88 to 98.98)`, `98.93 % (2 seeds, 98.88 to 98.98)`, `98.93 % (one seed; its test images alone:
/// 98.71 to 99.12)` or `2 of 5 seeds collapsed (11.35 to 97.10 %)`; empty where nothing was tested.
pub(crate) fn words(pool: &Pool<'_>) -> String {
    let (Some(spread), Some(interval)) = (pool.top_1(), Interval::of(pool)) else { return String::new() };
    let Spread { n, mean, min, max, .. } = spread;
    if let Some((collapsed, all)) = split(pool) {
        return format!("{collapsed} of {all} seeds collapsed ({min:.2} to {max:.2} %)");
    }
    match (interval.kind, spread.half_width) {
        (Kind::TestImages, _) => {
            let score = pool.samples.iter().find_map(|sample| sample.point.trained).map(|test| test.score);
            let top_1 = score.map_or_else(String::new, |score| percent(score.correct, score.total));
            format!("{top_1} (one seed; its test images alone: {})", interval.words())
        }
        (Kind::Mean, Some(half)) if mean - half >= 0.0 && mean + half <= 100.0 => {
            format!("{mean:.2} ± {half:.2} % ({n} seeds, {min:.2} to {max:.2})")
        }
        // Accuracies end where the interval does not.
        (Kind::Mean, _) => format!("{mean:.2} % (95 %: {}; {n} seeds, {min:.2} to {max:.2})", interval.words()),
        (Kind::Ends, _) => format!("{mean:.2} % ({n} seeds, {min:.2} to {max:.2})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::report::ReportInput;
    use crate::series::series;

    /// Runs whose networks at 50 % get so many of 10,000 right.
    fn runs(correct: &[u64]) -> Vec<ReportInput> {
        let run = |(seed, correct): (usize, &u64)| {
            let mut run = fixture::input("a", fixture::record(&fixture::l1_events(seed as u64 + 1)));
            let tests = run.record.tests.iter_mut().filter(|test| test.tested.cycle == 1);
            tests.for_each(|test| test.tested.score.correct = *correct);
            run
        };
        correct.iter().enumerate().map(run).collect()
    }

    #[test]
    fn an_interval_is_of_the_kind_that_the_seeds_allow() {
        for (correct, kind, low, high, text) in [
            (
                &[9_900][..],
                Kind::TestImages,
                98.785,
                99.177,
                "99.00 % (one seed; its test images alone: 98.79 to 99.18)",
            ),
            (&[9_900, 9_800], Kind::Ends, 98.0, 99.0, "98.50 % (2 seeds, 98.00 to 99.00)"),
            (&[9_899, 9_886, 9_873], Kind::Mean, 98.537, 99.183, "98.86 ± 0.32 % (3 seeds, 98.73 to 98.99)"),
            (&[3_000, 9_000, 9_000], Kind::Mean, 0.0, 100.0, "70.00 % (95 %: 0.00 to 100.00; 3 seeds, 30.00 to 90.00)"),
            (&[1_135, 9_700, 9_800], Kind::Ends, 11.35, 98.0, "1 of 3 seeds collapsed (11.35 to 98.00 %)"),
            (&[1_135, 1_135, 1_135], Kind::Mean, 11.35, 11.35, "11.35 ± 0.00 % (3 seeds, 11.35 to 11.35)"),
        ] {
            let runs = runs(correct);
            let all = series(&runs.iter().collect::<Vec<_>>(), 0);
            let pool = &all[0].pools[0];
            let found = Interval::of(pool).expect("an interval");
            assert_eq!(found.kind, kind, "{correct:?}");
            assert!((found.low - low).abs() < 0.006 && (found.high - high).abs() < 0.006, "{correct:?}: {found:?}");
            assert_eq!(words(pool), text);
        }
    }
}
