//! Which results may be compared, and what the comparison says: the one place that decides it, for the page, the tables, and
//! `secateur compare`. Pure.
//!
//! Runs of one seed start from the same weights and see the same images in the same order, so that much of what luck does
//! to one it does to the other: their difference is surer than the difference of two means.

use crate::event::{RunStarted, Size, Tested};
use crate::interval::split;
use crate::number::grouped;
use crate::series::{Pool, Sample};
use crate::statistics::{FEWEST, Spread, holm, sign_test};
use crate::target::Unit;

mod contest;
mod control;
mod training;

pub(crate) use contest::{Contest, Entry, contests};
pub(crate) use control::{
    Against, against_other_size, dense_at, is_awaited, is_dense_control, no_control, trains_as_series, vs_dense,
    vs_random,
};
pub(crate) use training::But;

/// What two networks keep may differ by this part of the smaller one. Groups of weights go whole, so that methods that are
/// asked for the same do not leave quite the same.
const SIZES_APART: f64 = 0.1;
/// The chance of a difference, where there is none, that is accepted among all comparisons at one target.
const LEVEL: f64 = 0.05;

/// What is said of two series at one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The first is significantly more accurate.
    Above,
    /// The first is significantly less accurate.
    Below,
    /// What differs may be luck.
    Same,
    /// Nothing can be said; why not.
    NotComparable(String),
}

impl Verdict {
    /// The verdict in words, for tables.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
            Self::Same => "no significant difference",
            Self::NotComparable(_) => "not comparable",
        }
    }

    /// Why nothing can be said; empty where something is.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::NotComparable(why) => why,
            Self::Above | Self::Below | Self::Same => "",
        }
    }

    fn turned(&self) -> Self {
        match self {
            Self::Above => Self::Below,
            Self::Below => Self::Above,
            other => other.clone(),
        }
    }
}

/// Two series at one target, seed by seed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comparison {
    /// The first minus the second, in points of top-1; `None` where nothing is paired.
    pub(crate) spread: Option<Spread>,
    /// Probability of such a difference by luck alone, before it is corrected for the number of comparisons.
    pub(crate) p: Option<f64>,
    /// The same, corrected by Holm's method.
    pub(crate) corrected: Option<f64>,
    pub(crate) verdict: Verdict,
}

impl Comparison {
    /// Two pools at the same target, not yet corrected for other comparisons.
    fn of(a: &Pool<'_>, b: &Pool<'_>, unit: Unit) -> Self {
        if let Some(why) = collapsed(a, b) {
            return Self::not_comparable(None, why);
        }
        pairs(a, b, unit).map_or_else(|why| Self::not_comparable(None, why), |differences| Self::paired(&differences))
    }

    /// Networks of the same seeds, not yet corrected for other comparisons: their differences in points of top-1 and in test images.
    fn paired(differences: &[(f64, f64)]) -> Self {
        let Some(spread) = Spread::of(&differences.iter().map(|(points, _)| *points).collect::<Vec<_>>()) else {
            return Self::not_comparable(None, "no seed of both was tested after training".to_owned());
        };
        if spread.n < FEWEST {
            let seeds = if spread.n == 1 { "one seed" } else { "two seeds" };
            return Self::not_comparable(Some(spread), format!("{seeds} in common, a verdict takes {FEWEST}"));
        }
        // The same test images are asked each time: more seeds do not make a difference of few images a large one.
        let images = differences.iter().map(|(_, images)| images).sum::<f64>() / spread.n as f64;
        let p = spread.p().map(|p| p.max(sign_test(images.abs())));
        Self { spread: Some(spread), p, corrected: None, verdict: Verdict::Same }
    }

    fn not_comparable(spread: Option<Spread>, why: String) -> Self {
        Self { spread, p: None, corrected: None, verdict: Verdict::NotComparable(why) }
    }

    /// The same, of the second against the first.
    pub(crate) fn turned(&self) -> Self {
        let spread =
            self.spread.map(|spread| Spread { mean: -spread.mean, min: -spread.max, max: -spread.min, ..spread });
        Self { spread, verdict: self.verdict.turned(), ..self.clone() }
    }
}

/// Gives all comparisons that are made together their verdicts: by Holm's method the probability that any difference is called
/// significant where there is none stays below 5 %, whichever of them is looked at afterwards.
fn judge(all: &mut [Comparison]) {
    let tested: Vec<usize> = (0..all.len()).filter(|&index| all[index].p.is_some()).collect();
    let corrected = holm(&tested.iter().filter_map(|&index| all[index].p).collect::<Vec<_>>());
    for (index, p) in tested.into_iter().zip(corrected) {
        let one = &mut all[index];
        one.corrected = Some(p);
        one.verdict = match one.spread {
            Some(spread) if p < LEVEL && spread.mean > 0.0 => Verdict::Above,
            Some(spread) if p < LEVEL && spread.mean < 0.0 => Verdict::Below,
            _ => Verdict::Same,
        };
    }
}

/// That some seeds of one or the other collapsed and others did not: these have no mean that a difference could be one of.
fn collapsed(a: &Pool<'_>, b: &Pool<'_>) -> Option<String> {
    let words = |(collapsed, all): (usize, usize)| format!("{collapsed} of {all} seeds");
    match (split(a), split(b)) {
        (Some(one), Some(two)) => Some(format!("{} of one collapsed, {} of the other", words(one), words(two))),
        (Some(one), None) | (None, Some(one)) => Some(format!("{} of one of them collapsed", words(one))),
        (None, None) => None,
    }
}

/// How far one network is from another of the same seed, in points of top-1 and in test images.
fn difference(one: &Tested, two: &Tested) -> (f64, f64) {
    let images = one.score.correct as f64 - two.score.correct as f64;
    (100.0 * (one.score.accuracy() - two.score.accuracy()), images)
}

/// Differences of the seeds that both have, in points of top-1 and in test images; why there are none.
fn pairs(a: &Pool<'_>, b: &Pool<'_>, unit: Unit) -> Result<Vec<(f64, f64)>, String> {
    let mut differences = Vec::new();
    let mut found = false;
    for sample in &a.samples {
        let Some(other) = b.samples.iter().find(|other| other.seed == sample.seed) else { continue };
        found = true;
        comparable(sample, other, unit)?;
        if let (Some(one), Some(two)) = (sample.point.trained, other.point.trained) {
            differences.push(difference(one, two));
        }
    }
    if found { Ok(differences) } else { Err("no seed in common".to_owned()) }
}

/// Whether two networks of one seed, which were asked for the same fraction of this unit, may be compared; why not.
pub(crate) fn comparable(a: &Sample<'_>, b: &Sample<'_>, unit: Unit) -> Result<(), String> {
    let (one, two) = (&a.run.record.started, &b.run.record.started);
    if unit == Unit::Unknown {
        return Err("its log does not say what its targets are a fraction of".to_owned());
    }
    same_data(one, two)?;
    if unit == Unit::Prunable && one.prunable != two.prunable {
        let [one, two] = [one.prunable, two.prunable].map(grouped);
        return Err(format!("{one} weights may be pruned of one, {two} of the other"));
    }
    let (Some(one), Some(two)) = (a.point.size(), b.point.size()) else { return Ok(()) };
    let [one, two] = [one, two].map(|size| kept(&size, unit));
    if one.abs_diff(two) as f64 > SIZES_APART * one.min(two) as f64 {
        let what = if unit == Unit::Macs { "MACs" } else { "weights" };
        return Err(format!("one keeps {} {what}, the other {}", grouped(one), grouped(two)));
    }
    Ok(())
}

/// Whether two runs learned from and chose by the same images; why not.
fn same_data(a: &RunStarted, b: &RunStarted) -> Result<(), String> {
    let images = |run: &RunStarted| (run.images.train, run.images.validation);
    if images(a) != images(b) {
        let [one, two] =
            [a, b].map(|run| format!("{} + {}", grouped(run.images.train), grouped(run.images.validation)));
        return Err(format!("one has {one} training and validation images, the other {two}"));
    }
    if a.split_seed != b.split_seed {
        return Err("their validation images were drawn by other seeds".to_owned());
    }
    Ok(())
}

/// What is left, in the unit that the target counts.
fn kept(size: &Size, unit: Unit) -> u64 {
    match unit {
        Unit::Macs => size.remaining_macs,
        Unit::Parameters => size.nonzero,
        Unit::Prunable | Unit::Unknown => size.prunable.saturating_sub(size.pruned),
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
