//! Series beside each other: differences between runs of the same seed, and who leads at a sparsity. Pure.
//!
//! Runs of one seed start from the same weights and see the same images in the same order, so that much of what luck does
//! to one it does to the other: their difference is surer than the difference of two means.

use crate::record::Control;
use crate::series::{Pool, RunSeries, Sample};
use crate::statistics::{Sign, Spread};
use crate::target::{Key, Unit};

/// Densities of a pair may differ by this part of the smaller one. Groups of weights go whole, so that methods that are
/// asked for the same do not leave quite the same.
const DENSITY_APART: f64 = 0.02;

/// Differences of top-1 in points, `a` minus `b`, over the seeds that both have; `None` where there is no such seed.
/// Networks of another size than the other one's, at what is the same target, are no pair.
pub(crate) fn paired(a: &Pool<'_>, b: &Pool<'_>) -> Option<Spread> {
    differences(a, b, |a, b| {
        let density = |sample: &Sample<'_>| Some(1.0 - sample.point.size()?.sparsity());
        let (Some(a), Some(b)) = (density(a), density(b)) else { return false };
        (a - b).abs() <= DENSITY_APART * a.min(b)
    })
}

/// The same against dense networks, which are of another size by their nature.
pub(crate) fn against_dense(pool: &Pool<'_>, dense: &Pool<'_>) -> Option<Spread> {
    differences(pool, dense, |_, _| true)
}

fn differences(a: &Pool<'_>, b: &Pool<'_>, fit: impl Fn(&Sample<'_>, &Sample<'_>) -> bool) -> Option<Spread> {
    let pairs = a.samples.iter().filter_map(|sample| {
        let other = b.samples.iter().find(|other| other.seed == sample.seed)?;
        fit(sample, other).then_some(())?;
        Some(sample.top_1()? - other.top_1()?)
    });
    Spread::of(&pairs.collect::<Vec<_>>())
}

/// The dense control that trains as long as a series: of several the one whose steps are nearest.
pub(crate) fn dense_control<'s, 'a>(series: &RunSeries<'_>, all: &'s [RunSeries<'a>]) -> Option<&'s RunSeries<'a>> {
    let steps = |series: &RunSeries<'_>| series.runs.first().map_or(0, |run| run.record.started.planned_steps);
    let controls = all.iter().filter(|other| other.control == Control::Dense && !other.dense.samples.is_empty());
    controls.min_by_key(|other| steps(other).abs_diff(steps(series)))
}

/// The random control with the most seeds in common at a target; of equals the first.
pub(crate) fn random_control<'s, 'a>(
    series: &RunSeries<'_>,
    pool: &Pool<'_>,
    all: &'s [RunSeries<'a>],
) -> Option<(&'s RunSeries<'a>, Spread)> {
    let others = all.iter().filter(|other| other.control == Control::Random && other.id != series.id);
    let pairs = others.filter_map(|other| Some((other, paired(pool, other.at(series.unit, pool.target)?)?)));
    pairs.reduce(|best, next| if next.1.n > best.1.n { next } else { best })
}

/// All series at one target.
pub(crate) struct Contest<'s, 'a> {
    pub(crate) unit: Unit,
    pub(crate) target: f64,
    /// Those with more than one seed first, the most accurate first.
    pub(crate) entries: Vec<Entry<'s, 'a>>,
}

/// A series at a target.
pub(crate) struct Entry<'s, 'a> {
    pub(crate) series: &'s RunSeries<'a>,
    pub(crate) pool: &'s Pool<'a>,
    pub(crate) top_1: Spread,
    /// Its paired difference from the leader; `None` for the leader, without one, and without a seed in common.
    pub(crate) from_leader: Option<Spread>,
}

impl<'s, 'a> Contest<'s, 'a> {
    /// The series with the highest mean over more than one seed: one seed alone leads nothing. `None` also where it has
    /// nobody beside it.
    pub(crate) fn leader(&self) -> Option<&Entry<'s, 'a>> {
        self.entries.first().filter(|entry| entry.top_1.n > 1 && self.entries.len() > 1)
    }

    /// Others that the seeds do not tell apart from the leader: their differences hold 0, or there are too few pairs.
    pub(crate) fn near(&self) -> impl Iterator<Item = &Entry<'s, 'a>> {
        self.entries.iter().skip(1).filter(|entry| entry.from_leader.is_none_or(|spread| spread.sign() != Sign::Below))
    }
}

/// A contest for every target that any series but a dense control was trained at, in the order of units and targets.
pub(crate) fn contests<'s, 'a>(all: &'s [RunSeries<'a>]) -> Vec<Contest<'s, 'a>> {
    let mut targets: Vec<(Unit, f64)> =
        all.iter().flat_map(|series| series.trained().map(|pool| (series.unit, pool.target))).collect();
    targets.sort_by_key(|&(unit, target)| (unit, Key::of(target)));
    targets.dedup_by_key(|(unit, target)| (*unit, Key::of(*target)));
    targets.into_iter().map(|(unit, target)| contest(all, unit, target)).collect()
}

fn contest<'s, 'a>(all: &'s [RunSeries<'a>], unit: Unit, target: f64) -> Contest<'s, 'a> {
    let entry = |series: &'s RunSeries<'a>| {
        let pool = series.at(unit, target)?;
        Some(Entry { series, pool, top_1: pool.top_1()?, from_leader: None })
    };
    let mut entries: Vec<_> = all.iter().filter_map(entry).collect();
    entries.sort_by(|a, b| (a.top_1.n == 1).cmp(&(b.top_1.n == 1)).then(b.top_1.mean.total_cmp(&a.top_1.mean)));
    if let Some((first, others)) = entries.split_first_mut().filter(|(first, _)| first.top_1.n > 1) {
        others.iter_mut().for_each(|entry| entry.from_leader = paired(entry.pool, first.pool));
    }
    Contest { unit, target, entries }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::report::ReportInput;
    use crate::series::series;

    /// L1 and random over three seeds, with a difference of its own for each seed.
    fn runs() -> Vec<ReportInput> {
        let mut runs = Vec::new();
        for seed in 1..=3 {
            for events in [fixture::l1_events(seed), fixture::random_events(seed), fixture::dense_events(seed)] {
                runs.push(fixture::input(&format!("{seed}-{}", runs.len()), fixture::record(&events)));
            }
        }
        for (index, more) in [(0, 10), (3, 20), (6, 30)] {
            let run: &mut ReportInput = &mut runs[index];
            run.record.tests.iter_mut().for_each(|test| test.tested.score.correct += more);
        }
        runs
    }

    fn all(runs: &[ReportInput]) -> Vec<RunSeries<'_>> {
        series(&runs.iter().collect::<Vec<_>>(), 0)
    }

    #[test]
    fn pairs_are_of_one_seed() {
        let runs = runs();
        let all = all(&runs);
        // At 50 % 9899 and 9861, and 10, 20, 30 more: differences of 0.48, 0.58 and 0.68 points.
        let spread = paired(&all[0].pools[0], &all[1].pools[0]).expect("three pairs");
        assert_eq!(spread.n, 3);
        assert!((spread.mean - 0.58).abs() < 1e-9 && (spread.min - 0.48).abs() < 1e-9, "{spread:?}");
        assert_eq!(spread.sign(), Sign::Above);
        let back = paired(&all[1].pools[0], &all[0].pools[0]).expect("three pairs");
        assert!((back.mean + 0.58).abs() < 1e-9);
        let control = dense_control(&all[0], &all).expect("a control");
        assert_eq!(
            (control.name.as_str(), against_dense(&all[0].pools[0], &control.dense).map(|s| s.n)),
            ("dense", Some(3))
        );
        let random = random_control(&all[0], &all[0].pools[0], &all).expect("a control");
        assert_eq!((random.0.name.as_str(), random.1), ("random-global", spread));
    }

    #[test]
    fn other_seeds_and_other_sizes_are_no_pair() {
        let mut runs = runs();
        runs[4].record.started.seed = 9;
        assert_eq!(paired(&all(&runs)[0].pools[0], &all(&runs)[1].pools[0]).map(|spread| spread.n), Some(2));
        let twice = |run: &mut ReportInput| {
            run.record.tests.iter_mut().for_each(|test| test.tested.size.pruned = test.tested.size.prunable / 4);
        };
        [1, 4, 7].into_iter().for_each(|index| twice(&mut runs[index]));
        assert_eq!(paired(&all(&runs)[0].pools[0], &all(&runs)[1].pools[0]), None, "75 % are left, not 50 %");
        assert!(against_dense(&all(&runs)[0].pools[0], &all(&runs)[2].dense).is_some(), "a dense one always is");
    }

    #[test]
    fn a_leader_has_more_than_one_seed_and_somebody_beside_it() {
        let runs = runs();
        let one: Vec<_> = runs[..3].to_vec();
        assert!(contests(&all(&one)).iter().all(|contest| contest.leader().is_none()), "one seed each");
        let alone = [runs[0].clone(), runs[3].clone()];
        assert!(contests(&all(&alone)).iter().all(|contest| contest.leader().is_none()), "nobody beside it");

        let mut lucky = runs[0].clone();
        lucky.record.started.name = "lucky".into();
        lucky.record.tests.iter_mut().for_each(|test| test.tested.score.correct = 9_990);
        let runs: Vec<_> = runs.into_iter().chain([lucky]).collect();
        let all = all(&runs);
        let contests = contests(&all);
        assert_eq!(
            contests.iter().map(|contest| contest.target).collect::<Vec<_>>(),
            [0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995]
        );
        let names: Vec<_> = contests[0].entries.iter().map(|entry| entry.series.name.as_str()).collect();
        assert_eq!(names, ["l1-global", "random-global", "lucky"], "one seed comes last, however lucky");
        assert_eq!(contests[0].leader().map(|leader| leader.series.name.as_str()), Some("l1-global"));
        let near: Vec<_> = contests[0].near().map(|entry| entry.series.name.as_str()).collect();
        assert_eq!(near, ["lucky"], "and is not told apart; the random control is below");
    }
}
