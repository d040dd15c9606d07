//! Runs beside each other at the same target: what each reaches there, and how far that is from dense networks. Pure.
//!
//! Nothing is interpolated: a target that one run alone was asked for is named, and not compared.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Error;
use crate::number::grouped;
use crate::record::{Control, Point, RunRecord};
use crate::report::ReportInput;
use crate::target::{Unit, unit};

mod words;

/// Runs of one model, on one data set, at the targets that they share.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Matched {
    /// The images that accuracy was measured on.
    pub test_images: u64,
    /// The dense networks, one entry a run.
    pub dense: Vec<Dense>,
    /// The targets that two runs or more were asked for, the lowest first.
    pub rows: Vec<Row>,
    /// The targets that a run alone was asked for, one list a run.
    pub alone: Vec<Vec<Asked>>,
}

/// What a run is compared with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dense {
    /// Top-1 of the run's own network before its first prune, in `[0, 1]`; `None` without such a test.
    pub before_pruning: Option<f64>,
    /// The dense control among the runs that trained on as many images in the same batches by the same optimizer: the first
    /// of the same seed, or else the first; a dense control is its own.
    pub control: Option<String>,
    /// Top-1 of the control at its end.
    pub control_top_1: Option<f64>,
}

/// A target of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Asked {
    /// The share that is to go, in `[0, 1)`.
    pub target: f64,
    /// Of what.
    pub of: Share,
}

/// What a target is a share of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// The prunable parameters.
    Weights,
    /// The multiply-accumulates of an image.
    Macs,
}

/// A target, and what each run reached there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What was asked for.
    #[serde(flatten)]
    pub asked: Asked,
    /// One entry a run; `None` where it was not asked for this.
    pub runs: Vec<Option<Reached>>,
}

/// What a run reached at a target. Differences are in points of top-1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Reached {
    /// The cycle; of several with the same target the last.
    pub cycle: u64,
    /// Share of zeros among the prunable parameters.
    pub sparsity: f64,
    /// Top-1 right after the prune, in `[0, 1]`.
    pub just_pruned: Option<f64>,
    /// Top-1 after retraining; `None` where the cycle was not retrained.
    pub retrained: Option<f64>,
    /// Retrained, minus that of the first run; `None` for the first.
    pub points_from_first: Option<f64>,
    /// Retrained, minus the run's own dense network before pruning.
    pub points_from_before_pruning: Option<f64>,
    /// Retrained, minus the dense control.
    pub points_from_control: Option<f64>,
}

/// Compares runs.
///
/// # Errors
/// When two runs have other models, data or test images: their accuracies say nothing about each other.
pub fn matched(runs: &[ReportInput]) -> Result<Matched, Error> {
    let Some(first) = runs.first() else { return Err(Error::NoRuns) };
    if let Some(other) = runs.iter().find(|run| subject(&run.record) != subject(&first.record)) {
        return Err(Error::NotComparable {
            run: other.label.clone(),
            found: subject(&other.record),
            other: first.label.clone(),
            wanted: subject(&first.record),
        });
    }
    let dense: Vec<_> = runs.iter().map(|run| dense(run, runs)).collect();
    let curves: Vec<_> = runs.iter().map(|run| targets(&run.record)).collect();
    let mut all: BTreeMap<Key, usize> = BTreeMap::new();
    for key in curves.iter().flat_map(BTreeMap::keys) {
        *all.entry(*key).or_default() += 1;
    }
    let asked =
        |&(of, _): &Key, point: &Point<'_>| Asked { target: point.pruned.map_or(0.0, |prune| prune.target), of };
    let shared = all.iter().filter(|(_, runs)| **runs > 1);
    let rows = shared.filter_map(|(key, _)| {
        let points: Vec<_> = curves.iter().map(|curve| curve.get(key)).collect();
        let first = points.first().copied().flatten().and_then(retrained);
        let reached = points.iter().zip(&dense).enumerate().map(|(place, (point, dense))| {
            let first = if place == 0 { None } else { first };
            point.and_then(|point| reached(point, first, dense))
        });
        let asked = asked(key, points.iter().copied().flatten().next()?);
        Some(Row { asked, runs: reached.collect() })
    });
    let rows = rows.collect();
    let alone = curves.iter().map(|curve| {
        curve.iter().filter(|(key, _)| all.get(key) == Some(&1)).map(|(key, point)| asked(key, point)).collect()
    });
    Ok(Matched { test_images: first.record.started.images.test, dense, rows, alone: alone.collect() })
}

/// What a run's accuracy is an accuracy of.
fn subject(record: &RunRecord) -> String {
    let started = &record.started;
    let (parameters, images) = (grouped(started.parameters), grouped(started.images.test));
    format!("{} ({parameters} parameters) on {}, {images} test images", started.model, started.dataset)
}

/// A target in a form that rounding does not part.
type Key = (Share, u64);

/// The points of a run by what they were asked for.
fn targets(record: &RunRecord) -> BTreeMap<Key, Point<'_>> {
    let of = if unit(&record.started) == Unit::Macs { Share::Macs } else { Share::Weights };
    let points = record.points().into_iter();
    points.filter_map(|point| Some(((of, (1e9 * point.pruned?.target).round() as u64), point))).collect()
}

fn dense(run: &ReportInput, runs: &[ReportInput]) -> Dense {
    let trained = |run: &ReportInput| {
        let started = &run.record.started;
        (started.batch_size, started.optimizer.clone(), started.images)
    };
    let is_control = |other: &&ReportInput| other.record.control() == Control::Dense && trained(other) == trained(run);
    let controls = || runs.iter().filter(is_control);
    let same_seed = controls().find(|other| other.record.started.seed == run.record.started.seed);
    let control = Some(run).filter(is_control).or(same_seed).or_else(|| controls().next());
    // A control goes on training where others are pruned, and is tested as often.
    let end = |control: &ReportInput| control.record.points().iter().rev().find_map(retrained);
    Dense {
        before_pruning: run.record.dense().map(|test| test.score.accuracy()),
        control: control.map(|control| control.label.clone()),
        control_top_1: control.and_then(end),
    }
}

fn retrained(point: &Point<'_>) -> Option<f64> {
    point.trained.map(|test| test.score.accuracy())
}

fn reached(point: &Point<'_>, first: Option<f64>, dense: &Dense) -> Option<Reached> {
    let own = retrained(point);
    let from = |other: Option<f64>| Some(100.0 * (own? - other?));
    Some(Reached {
        cycle: point.cycle,
        sparsity: point.size()?.sparsity(),
        just_pruned: point.just_pruned.map(|test| test.score.accuracy()),
        retrained: own,
        points_from_first: from(first),
        points_from_before_pruning: from(dense.before_pruning),
        points_from_control: from(dense.control_top_1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn input(label: &str, events: &[crate::Event]) -> ReportInput {
        ReportInput {
            label: label.into(),
            record: fixture::record(events),
            reproduce: String::new(),
            origin: crate::Origin::default(),
        }
    }

    #[test]
    fn targets_are_matched_and_dense_networks_stand_beside() {
        let runs = [
            input("l1", &fixture::l1_events(1)),
            input("random", &fixture::random_events(1)),
            input("dense", &fixture::dense_events(1)),
        ];
        let matched = matched(&runs).expect("comparable");
        assert_eq!((matched.rows.len(), matched.test_images), (7, 10_000));
        let row = &matched.rows[3];
        assert_eq!((row.asked.target, row.asked.of), (0.95, Share::Weights));
        let [l1, random] = [row.runs[0], row.runs[1]].map(|reached| reached.expect("asked for"));
        assert_eq!((l1.retrained, l1.just_pruned, random.retrained), (Some(0.9842), Some(0.812), Some(0.9127)));
        let near = |found: Option<f64>, wanted: f64| (found.expect("a difference") - wanted).abs() < 1e-9;
        assert!(near(random.points_from_first, -7.15) && l1.points_from_first.is_none());
        assert!(near(l1.points_from_before_pruning, 98.42 - 98.90) && near(l1.points_from_control, 98.42 - 99.06));
        assert_eq!(
            (row.runs[2], matched.dense[2].control.as_deref()),
            (None, Some("dense")),
            "a control is not pruned"
        );
        assert!(matched.alone.iter().all(Vec::is_empty));

        let labels = runs.map(|run| run.label);
        let table = matched.table(&labels);
        assert_eq!(table[1], ["dense, before pruning", "98.90 %", "98.90 %", "99.06 %"]);
        assert_eq!(table[2], ["dense control", "99.06 %", "99.06 %", "99.06 %"]);
        assert_eq!(table[12], ["95 %", "98.42 %", "91.27 % (-7.15)", "-"]);
        assert_eq!(table[14], ["  from dense control", "-0.64", "-7.79", "-"]);
        assert_eq!(matched.notes(&labels), ["dense control: `dense` at its end, of the same seed where there is one"]);
    }

    #[test]
    fn a_control_counts_at_its_end_and_one_of_the_same_seed_comes_first() {
        let mut runs = [
            input("l1", &fixture::l1_events(2)),
            input("other seed", &fixture::dense_events_to(1, 9906)),
            input("same seed", &fixture::dense_events_to(2, 9907)),
        ];
        let mut later = runs[2].record.tests[0].clone();
        later.tested.cycle = 1;
        later.tested.stage = crate::event::Stage::Retrained;
        later.tested.score.correct = 9920;
        runs[2].record.tests.push(later);
        let dense = &matched(&runs).expect("comparable").dense;
        assert_eq!((dense[0].control.as_deref(), dense[0].control_top_1), (Some("same seed"), Some(0.992)));
        assert_eq!((dense[1].control.as_deref(), dense[1].control_top_1), (Some("other seed"), Some(0.9906)));
    }

    #[test]
    fn a_target_of_one_run_is_named_and_not_compared() {
        let mut runs = [input("a", &fixture::l1_events(1)), input("b", &fixture::random_events(1))];
        runs[1].record.prunes[6].target = 0.994;
        let labels = ["a", "b"].map(str::to_owned);
        let found = matched(&runs).expect("comparable");
        assert_eq!(found.rows.len(), 6);
        let notes = found.notes(&labels);
        assert_eq!(notes[0], "only `a` was asked for 99.5 %: not compared, and not interpolated");
        assert_eq!(notes[1], "only `b` was asked for 99.4 %: not compared, and not interpolated");
        // The same numbers as shares of something else are other targets.
        let method = runs[1].record.started.method.as_mut().expect("it prunes");
        method.target_of = Some(Unit::Macs);
        let found = matched(&runs).expect("comparable");
        assert!(found.rows.is_empty() && found.alone[1].len() == 7);
        assert!(found.notes(&labels).last().is_some_and(|note| note.starts_with("no two runs")));
    }

    #[test]
    fn other_sizes_at_the_same_target_are_told() {
        let mut runs = [input("a", &fixture::l1_events(1)), input("b", &fixture::random_events(1))];
        for test in &mut runs[1].record.tests {
            test.tested.size.pruned = test.tested.size.pruned.saturating_sub(600);
        }
        let table = matched(&runs).expect("comparable").table(&["a", "b"].map(str::to_owned));
        assert_eq!(table[2], ["50 %", "98.99 % at 50.00 %", "98.61 % (-0.38) at 48.98 %"]);
    }

    #[test]
    fn other_models_are_refused_by_name() {
        let mut runs = [input("a", &fixture::l1_events(1)), input("b", &fixture::l1_events(1))];
        runs[1].record.started.dataset = "fashion-mnist".into();
        let error = matched(&runs).expect_err("another data set").to_string();
        assert!(
            error.contains("`b` is lenet k=1 (60,074 parameters) on fashion-mnist") && error.contains("`a` is"),
            "{error}"
        );
    }

    #[test]
    fn an_unfinished_cycle_has_no_retrained_accuracy() {
        let mut runs = [input("a", &fixture::l1_events(1)), input("b", &fixture::random_events(1))];
        runs[0].record.ended = None;
        runs[0].record.tests.pop();
        let table = matched(&runs).expect("comparable").table(&["a", "b"].map(str::to_owned));
        let last = table.iter().find(|line| line[0] == "99.5 %").expect("the last target");
        assert_eq!(last[1..], ["10.28 % just pruned", "11.35 %"]);
    }
}
