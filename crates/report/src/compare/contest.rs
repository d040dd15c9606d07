//! All series at one target: every two of them compared, and who leads. Pure.

use std::collections::BTreeSet;

use super::{Comparison, Verdict, judge};
use crate::series::{Pool, RunSeries};
use crate::statistics::{FEWEST, Spread};
use crate::target::{Key, Unit};

/// Series that are compared may have trained for so many times as many steps as each other: early stops and lengths in whole epochs
/// leave a little.
const STEPS_APART: f64 = 1.1;

/// All series at one target.
pub(crate) struct Contest<'s, 'a> {
    pub(crate) unit: Unit,
    pub(crate) target: f64,
    /// Those with more than one seed first, the most accurate first.
    pub(crate) entries: Vec<Entry<'s, 'a>>,
    /// Of every two entries the first against the second, in the order of [`places`].
    comparisons: Vec<Comparison>,
    /// Place of the leader among the entries.
    leader: Option<usize>,
}

/// A series at a target.
pub(crate) struct Entry<'s, 'a> {
    pub(crate) series: &'s RunSeries<'a>,
    pub(crate) pool: &'s Pool<'a>,
    pub(crate) top_1: Spread,
}

impl<'s, 'a> Contest<'s, 'a> {
    /// The series with the highest mean over the seeds that all comparable ones have, among those that no series is significantly
    /// above. `None` where there are fewer than three such seeds, or nobody to lead.
    pub(crate) fn leader(&self) -> Option<&Entry<'s, 'a>> {
        self.leader.map(|place| &self.entries[place])
    }

    /// Every two entries, and the first against the second.
    pub(crate) fn comparisons(&self) -> impl Iterator<Item = (&Entry<'s, 'a>, &Entry<'s, 'a>, &Comparison)> {
        let entries = &self.entries;
        places(entries.len()).zip(&self.comparisons).map(|((a, b), found)| (&entries[a], &entries[b], found))
    }

    /// Each other entry against the leader.
    pub(crate) fn beside_leader(&self) -> Vec<(&Entry<'s, 'a>, Comparison)> {
        let Some(leader) = self.leader else { return Vec::new() };
        let others = (0..self.entries.len()).filter(|place| *place != leader);
        others.filter_map(|place| Some((&self.entries[place], self.of(place, leader)?))).collect()
    }

    /// The fewest and the most steps that its entries had trained for, where these are too far apart to be called as many.
    pub(crate) fn steps_apart(&self) -> Option<(f64, f64)> {
        let steps = || self.entries.iter().filter_map(|entry| entry.pool.steps());
        let (low, high) = (steps().reduce(f64::min)?, steps().reduce(f64::max)?);
        (high > STEPS_APART * low).then_some((low, high))
    }

    /// Whether anything is compared: who has nobody beside it is not.
    pub(crate) fn compares(&self) -> bool {
        self.entries.len() > 1
    }

    /// One entry against another.
    fn of(&self, a: usize, b: usize) -> Option<Comparison> {
        let found = places(self.entries.len()).position(|pair| pair == (a.min(b), a.max(b)))?;
        let found = &self.comparisons[found];
        Some(if a < b { found.clone() } else { found.turned() })
    }

    /// The largest set of entries that can all be compared over the same seeds, and these seeds. Of equals the first.
    fn members(&self) -> (Vec<usize>, BTreeSet<u64>) {
        let seeds = |place: usize| -> BTreeSet<u64> {
            let trained = self.entries[place].pool.samples.iter().filter(|sample| sample.point.trained.is_some());
            trained.map(|sample| sample.seed).collect()
        };
        let judged = |a: usize, b: usize| self.of(a, b).is_some_and(|found| found.corrected.is_some());
        let from = |first: usize| {
            let (mut members, mut common) = (vec![first], seeds(first));
            for place in (0..self.entries.len()).filter(|place| *place != first) {
                let shared: BTreeSet<u64> = common.intersection(&seeds(place)).copied().collect();
                if shared.len() >= FEWEST && members.iter().all(|member| judged(*member, place)) {
                    members.push(place);
                    common = shared;
                }
            }
            (members, common)
        };
        let all = (0..self.entries.len()).map(from);
        all.reduce(|best, next| if next.0.len() > best.0.len() { next } else { best }).unwrap_or_default()
    }

    fn find_leader(&self) -> Option<usize> {
        let (members, seeds) = self.members();
        if members.len() < 2 {
            return None;
        }
        let mean = |place: usize| {
            let samples = self.entries[place].pool.samples.iter().filter(|sample| seeds.contains(&sample.seed));
            samples.filter_map(|sample| sample.top_1()).sum::<f64>()
        };
        // Over other seeds than all have in common another one may be significantly better, a member or not.
        let beaten = |place: usize| {
            let mut others = (0..self.entries.len()).filter(|other| *other != place);
            others.any(|other| self.of(place, other).is_some_and(|found| found.verdict == Verdict::Below))
        };
        let fit = members.iter().copied().filter(|place| !beaten(*place));
        fit.reduce(|best, next| if mean(next) > mean(best) { next } else { best })
    }
}

/// Every two of so many places, the lower one first.
fn places(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |a| (a + 1..count).map(move |b| (a, b)))
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
        Some(Entry { series, pool, top_1: pool.top_1()? })
    };
    let mut entries: Vec<_> = all.iter().filter_map(entry).collect();
    entries.sort_by(|a, b| (a.top_1.n == 1).cmp(&(b.top_1.n == 1)).then(b.top_1.mean.total_cmp(&a.top_1.mean)));
    let pair = |(a, b): (usize, usize)| Comparison::of(entries[a].pool, entries[b].pool, unit);
    let mut comparisons: Vec<_> = places(entries.len()).map(pair).collect();
    judge(&mut comparisons);
    let mut contest = Contest { unit, target, entries, comparisons, leader: None };
    contest.leader = contest.find_leader();
    contest
}
