//! Which runs repeat each other. Runs that differ by seed only, and by the sparsity that they prune to, form a series;
//! what its runs say of one target is pooled. Pure.
//!
//! ```text
//! l1 to 90 %, seed 1 ┐                                 90 %: seeds 1, 2      95 %: seed 1
//! l1 to 90 %, seed 2 ├─ one series, a point a target:    ├────────────────────┤
//! l1 to 95 %, seed 1 ┘
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{Control, Point};
use crate::report::ReportInput;
use crate::statistics::Spread;
use crate::target::{Key, Unit, target, unit};

mod identity;
mod names;
mod prefix;
mod repeats;

use identity::identity;
use names::name;
pub(crate) use names::schedule;
pub(crate) use prefix::shorten;
use repeats::{plan, repeats};

/// Runs that differ by seed only, and by target.
#[derive(Clone, Debug)]
pub(crate) struct RunSeries<'a> {
    /// Its place among all series of the report.
    pub(crate) id: usize,
    /// What it is called; no other series of its group has the name.
    pub(crate) name: String,
    /// Its name on the page: without what all series of the report are called alike.
    pub(crate) label: String,
    pub(crate) control: Control,
    /// Its place among the colours of the charts that it is in.
    pub(crate) colour: usize,
    pub(crate) plan: Plan,
    /// What its targets count.
    pub(crate) unit: Unit,
    /// Its runs, those that are pooled.
    pub(crate) runs: Vec<&'a ReportInput>,
    /// Runs that repeat the seed and the target of another one, and are not pooled.
    pub(crate) spare: Vec<&'a ReportInput>,
    /// The networks before the first prune, trained: one a seed. For a dense control, those at its end.
    pub(crate) dense: Pool<'a>,
    /// One a target, the lowest first.
    pub(crate) pools: Vec<Pool<'a>>,
}

/// What a run of a series says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// All runs have the same targets: each says something about all of them.
    Curve,
    /// Each run has a target of its own, and says something about that one only: on the way there a network was trained
    /// for a shorter time.
    Sweep,
}

/// What the seeds say about one target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool<'a> {
    /// What was asked for, in the series' unit; 0 for dense networks.
    pub(crate) target: f64,
    /// In the order of the seeds.
    pub(crate) samples: Vec<Sample<'a>>,
}

/// What one seed says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample<'a> {
    pub(crate) seed: u64,
    pub(crate) run: &'a ReportInput,
    pub(crate) point: Point<'a>,
}

impl Sample<'_> {
    /// Top-1 on test after training, in percent.
    pub(crate) fn top_1(&self) -> Option<f64> {
        Some(100.0 * self.point.trained?.score.accuracy())
    }

    /// Top-1 on test right after the prune, in percent.
    pub(crate) fn just_pruned(&self) -> Option<f64> {
        Some(100.0 * self.point.just_pruned?.score.accuracy())
    }
}

impl<'a> Pool<'a> {
    /// What the seeds say of one number; `None` where no seed has it.
    pub(crate) fn spread(&self, of: impl Fn(&Sample<'a>) -> Option<f64>) -> Option<Spread> {
        Spread::of(&self.samples.iter().filter_map(of).collect::<Vec<_>>())
    }

    /// Top-1 after training, in percent.
    pub(crate) fn top_1(&self) -> Option<Spread> {
        self.spread(Sample::top_1)
    }

    /// The mean share of zeros among the prunable parameters.
    pub(crate) fn sparsity(&self) -> Option<f64> {
        self.spread(|sample| Some(sample.point.size()?.sparsity())).map(|spread| spread.mean)
    }

    /// The mean of the steps trained when the networks were tested.
    pub(crate) fn steps(&self) -> Option<f64> {
        self.spread(|sample| Some(sample.point.trained?.step as f64)).map(|spread| spread.mean)
    }

    /// Whether every seed's network has collapsed.
    pub(crate) fn is_collapsed(&self) -> bool {
        !self.samples.is_empty() && self.samples.iter().all(|sample| sample.point.is_collapsed())
    }
}

impl<'a> RunSeries<'a> {
    /// The targets with a network that was trained after its prune.
    pub(crate) fn trained(&self) -> impl Iterator<Item = &Pool<'a>> {
        self.pools.iter().filter(|pool| pool.samples.iter().any(|sample| sample.point.trained.is_some()))
    }

    /// What the seeds say about a target of another series with the same unit.
    pub(crate) fn at(&self, unit: Unit, target: f64) -> Option<&Pool<'a>> {
        let same = |pool: &&Pool<'_>| Key::of(pool.target) == Key::of(target);
        (self.unit == unit).then(|| self.pools.iter().find(same)).flatten()
    }

    /// Seeds that any of its points has.
    pub(crate) fn seeds(&self) -> BTreeSet<u64> {
        self.runs.iter().map(|run| run.record.started.seed).collect()
    }
}

/// The series of runs that share a model, a data set and test images, in the order in which each first appears. Their
/// numbers go on from `first_id`.
pub(crate) fn series<'a>(runs: &[&'a ReportInput], first_id: usize) -> Vec<RunSeries<'a>> {
    let mut parts: Vec<Vec<&'a ReportInput>> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for &run in runs {
        let same = identity(&run.record.started).and_then(|same| serde_json::to_string(&same).ok());
        let part = same.map_or(parts.len(), |same| *known.entry(same).or_insert(parts.len()));
        match parts.get_mut(part) {
            Some(part) => part.push(run),
            None => parts.push(vec![run]),
        }
    }
    let mut all: Vec<_> = parts.into_iter().map(of).collect();
    for (index, series) in all.iter_mut().enumerate() {
        series.id = first_id + index;
    }
    name(&mut all);
    all.iter_mut().for_each(|series| series.label = series.name.clone());
    all
}

/// One series, not yet numbered, with the name of its experiment.
fn of(all: Vec<&ReportInput>) -> RunSeries<'_> {
    let (plan, (runs, spare)) = (plan(&all), repeats(&all));
    let record = &all[0].record;
    let control = runs.iter().map(|run| run.record.control()).find(|control| *control == Control::Pruned);
    let control = control.unwrap_or(record.control());
    let mut dense: BTreeMap<u64, Sample<'_>> = BTreeMap::new();
    let mut pools: BTreeMap<Key, (f64, BTreeMap<u64, Sample<'_>>)> = BTreeMap::new();
    for &run in &runs {
        let seed = run.record.started.seed;
        let points = run.record.points();
        // Before its first step a network knows nothing, and is no baseline.
        let knows = |point: &Point<'_>| point.trained.is_some_and(|test| test.step > 0);
        let first = match control {
            Control::Dense => points.iter().rfind(|point| knows(point)),
            _ => points.iter().find(|point| point.cycle == 0 && knows(point)),
        };
        if let Some(point) = first {
            dense.entry(seed).or_insert(Sample { seed, run, point: *point });
        }
        for point in points.iter().filter(|point| plan == Plan::Curve || is_result(run, point)) {
            if let Some(pruned) = point.pruned {
                let asked = target(&run.record.started, pruned);
                let pool = pools.entry(Key::of(asked)).or_insert((asked, BTreeMap::new()));
                pool.1.entry(seed).or_insert(Sample { seed, run, point: *point });
            }
        }
    }
    let pool = |target, samples: BTreeMap<_, _>| Pool { target, samples: samples.into_values().collect() };
    RunSeries {
        id: 0,
        name: record.started.name.clone(),
        label: String::new(),
        control,
        colour: 0,
        plan,
        unit: unit(&record.started),
        runs,
        spare,
        dense: pool(0.0, dense),
        pools: pools.into_values().map(|(target, samples)| pool(target, samples)).collect(),
    }
}

/// Whether a point is what the run was made for: its last, trained network, when no more prunes are to come.
fn is_result(run: &ReportInput, point: &Point<'_>) -> bool {
    let record = &run.record;
    let last = record.prunes.last().is_some_and(|prune| prune.cycle == point.cycle);
    let whole = record.ended.is_some() || record.prunes.len() as u64 == record.started.planned_prunes;
    last && whole && point.trained.is_some()
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
