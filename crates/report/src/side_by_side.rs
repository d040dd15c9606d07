//! Single runs beside each other at the same target: what each reaches there, and how far that is from dense networks. What may
//! be compared, and which control belongs to a run, is decided in `compare.rs`. Pure.
//!
//! Nothing is interpolated: a target that one run alone was asked for is named, and not compared.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::compare::{comparable, dense_at, is_dense_control};
use crate::error::Error;
use crate::event::Unit;
use crate::number::grouped;
use crate::record::{Control, Point, RunRecord};
use crate::report::ReportInput;
use crate::series::Sample;
use crate::target::{Key, target, unit};

mod words;

/// Runs of one model, on one data set, at the targets that they share.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SideBySide {
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
    pub unpruned: Option<f64>,
    /// The dense control of equal steps among the runs: of the same seed, and trained as the run is. `None` where there is none; a
    /// dense control is its own.
    pub control: Option<String>,
    /// Top-1 of the control at its end.
    pub control_top_1: Option<f64>,
}

/// A target of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Asked {
    /// The fraction that is to go, in `[0, 1)`.
    pub target: f64,
    /// Of what; `null` where a log of version 1 does not say.
    pub of: Option<Unit>,
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
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reached {
    /// The cycle; of several with the same target the last.
    pub cycle: u64,
    /// Share of zeros among the prunable parameters.
    pub sparsity: f64,
    /// Top-1 right after the prune, in `[0, 1]`.
    pub just_pruned: Option<f64>,
    /// Top-1 after retraining; `None` where the cycle was not retrained.
    pub retrained: Option<f64>,
    /// Why it is not compared with the first run; `None` where it is, and for the first.
    pub not_comparable: Option<String>,
    /// Retrained, minus that of the first run; `None` for the first, and where the two are not comparable.
    pub points_from_first: Option<f64>,
    /// Retrained, minus the run's own network before its first prune.
    pub points_vs_unpruned: Option<f64>,
    /// Retrained, minus the dense control after as many steps.
    pub points_vs_dense: Option<f64>,
}

/// Compares runs.
///
/// # Errors
/// When two runs have other models, data or test images: their accuracies say nothing about each other.
pub fn side_by_side(runs: &[ReportInput]) -> Result<SideBySide, Error> {
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
    let curves: Vec<_> = runs.iter().map(targets).collect();
    let mut all: BTreeMap<(Unit, Key), usize> = BTreeMap::new();
    for key in curves.iter().flat_map(BTreeMap::keys) {
        *all.entry(*key).or_default() += 1;
    }
    let asked = |&(of, _): &(Unit, Key), (target, _): &(f64, Sample<'_>)| Asked {
        target: *target,
        of: Some(of).filter(|of| *of != Unit::Unknown),
    };
    let shared = all.iter().filter(|(_, runs)| **runs > 1);
    let rows = shared.filter_map(|(key, _)| {
        let points: Vec<_> = curves.iter().map(|curve| curve.get(key)).collect();
        let first = points.first().copied().flatten().map(|(_, sample)| sample);
        let reached = points.iter().enumerate().map(|(place, point)| {
            let first = first.filter(|_| place > 0);
            point.and_then(|(_, sample)| reached(sample, first, key.0, runs))
        });
        let asked = asked(key, points.iter().copied().flatten().next()?);
        Some(Row { asked, runs: reached.collect() })
    });
    let rows = rows.collect();
    let alone = curves.iter().map(|curve| {
        curve.iter().filter(|(key, _)| all.get(key) == Some(&1)).map(|(key, point)| asked(key, point)).collect()
    });
    Ok(SideBySide { test_images: first.record.started.images.test, dense, rows, alone: alone.collect() })
}

/// What a run's accuracy is an accuracy of.
fn subject(record: &RunRecord) -> String {
    let started = &record.started;
    let (parameters, images) = (grouped(started.parameters), grouped(started.images.test));
    format!("{} ({parameters} parameters) on {}, {images} test images", started.model, started.dataset)
}

/// The points of a run by what they were asked for, of several with one target the last.
fn targets(run: &ReportInput) -> BTreeMap<(Unit, Key), (f64, Sample<'_>)> {
    let started = &run.record.started;
    let points = run.record.points().into_iter();
    let asked = points.filter_map(|point| {
        let target = target(started, point.pruned?);
        Some(((unit(started), Key::of(target)), (target, Sample { seed: started.seed, run, point })))
    });
    asked.collect()
}

fn dense(run: &ReportInput, runs: &[ReportInput]) -> Dense {
    let control = Some(run).filter(|run| run.record.control() == Control::Dense);
    let control = control.or_else(|| runs.iter().find(|other| is_dense_control(other, run)));
    // A control goes on training where others are pruned, and is tested as often.
    let end = |control: &ReportInput| control.record.points().iter().rev().find_map(retrained);
    Dense {
        unpruned: run
            .record
            .dense()
            .filter(|_| run.record.control() != Control::Dense)
            .map(|test| test.score.accuracy()),
        control: control.map(|control| control.label.clone()),
        control_top_1: control.and_then(end),
    }
}

fn retrained(point: &Point<'_>) -> Option<f64> {
    point.trained.map(|test| test.score.accuracy())
}

fn reached(sample: &Sample<'_>, first: Option<&Sample<'_>>, unit: Unit, runs: &[ReportInput]) -> Option<Reached> {
    let (point, own) = (&sample.point, retrained(&sample.point));
    let from = |other: Option<f64>| Some(100.0 * (own? - other?));
    let fits = first.map(|first| match sample.seed == first.seed {
        true => comparable(sample, first, unit),
        false => Err(format!("seeds {} and {}", first.seed, sample.seed)),
    });
    let same_seed = |run: &&ReportInput| run.record.started.seed == sample.seed;
    let control = runs.iter().filter(same_seed).find_map(|control| dense_at(control, sample));
    let control = control.map(|test| test.score.accuracy());
    Some(Reached {
        cycle: point.cycle,
        sparsity: point.size()?.sparsity(),
        just_pruned: point.just_pruned.map(|test| test.score.accuracy()),
        retrained: own,
        not_comparable: fits.clone().and_then(Result::err),
        points_from_first: fits.and_then(Result::ok).and_then(|()| from(retrained(&first?.point))),
        points_vs_unpruned: from(sample.run.record.dense().map(|test| test.score.accuracy())),
        points_vs_dense: from(control),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn input(label: &str, events: &[crate::Event]) -> ReportInput {
        fixture::input(label, fixture::record(events))
    }

    #[test]
    fn targets_are_matched_and_dense_networks_stand_beside() {
        let runs = [
            input("l1", &fixture::l1_events(1)),
            input("random", &fixture::random_events(1)),
            input("dense", &fixture::dense_events(1)),
        ];
        let found = side_by_side(&runs).expect("comparable");
        assert_eq!((found.rows.len(), found.test_images), (7, 10_000));
        let row = &found.rows[3];
        assert_eq!((row.asked.target, row.asked.of), (0.95, Some(Unit::Prunable)));
        let [l1, random] = [0, 1].map(|run: usize| row.runs[run].clone().expect("asked for"));
        assert_eq!((l1.retrained, l1.just_pruned, random.retrained), (Some(0.9842), Some(0.812), Some(0.9127)));
        let near = |found: Option<f64>, wanted: f64| (found.expect("a difference") - wanted).abs() < 1e-9;
        assert!(near(random.points_from_first, -7.15) && l1.points_from_first.is_none());
        assert!(near(l1.points_vs_unpruned, 98.42 - 98.90) && near(l1.points_vs_dense, 98.42 - 99.06));
        assert_eq!(
            (row.runs[2].clone(), found.dense[2].control.as_deref()),
            (None, Some("dense")),
            "a control is not pruned"
        );
        assert!(found.alone.iter().all(Vec::is_empty));

        let labels = runs.map(|run| run.label);
        let table = found.table(&labels);
        assert_eq!(table[1], ["unpruned", "98.90 %", "98.90 %", "-"]);
        assert_eq!(table[2], ["dense control", "99.06 %", "99.06 %", "99.06 %"]);
        assert_eq!(table[12], ["95 %", "98.42 %", "91.27 % (-7.15)", "-"]);
        assert_eq!(table[14], ["  vs dense", "-0.64", "-7.79", "-"]);
        let notes = found.notes(&labels);
        assert_eq!(notes[0], "dense control: `dense`; vs dense: from it after as many steps, of the same seed");
        assert!(notes[1].starts_with("one run each: no verdict"), "{notes:?}");
    }

    #[test]
    fn a_control_is_of_the_same_seed_and_training_or_there_is_none() {
        let mut runs = [
            input("l1", &fixture::l1_events(2)),
            input("other seed", &fixture::dense_events_to(1, 9906)),
            input("other steps", &fixture::dense_events_to(2, 9907)),
            input("other optimizer", &fixture::dense_events_to(2, 9907)),
        ];
        runs[2].record.started.planned_steps *= 2;
        runs[3].record.started.optimizer = crate::event::Choice::of_kind("adam");
        let found = side_by_side(&runs).expect("comparable");
        assert_eq!((&found.dense[0].control, found.dense[0].control_top_1), (&None, None));
        let labels = runs.clone().map(|run| run.label);
        assert!(found.notes(&labels).iter().any(|note| note == "no dense control of equal steps: `l1`"));
        runs[3] = input("same", &fixture::dense_events_to(2, 9908));
        let found = side_by_side(&runs).expect("comparable");
        assert_eq!((found.dense[0].control.as_deref(), found.dense[0].control_top_1), (Some("same"), Some(0.9908)));
        assert_eq!(found.dense[1].control.as_deref(), Some("other seed"), "a control is its own");
    }

    #[test]
    fn runs_of_other_seeds_are_no_pair() {
        let runs = [input("a", &fixture::l1_events(1)), input("b", &fixture::random_events(2))];
        let found = side_by_side(&runs).expect("comparable");
        let second = found.rows[0].runs[1].clone().expect("it was asked for");
        assert_eq!((second.points_from_first, second.not_comparable.as_deref()), (None, Some("seeds 1 and 2")));
        let notes = found.notes(&["a", "b"].map(str::to_owned));
        assert!(notes.contains(&"`b` is not compared with `a`: seeds 1 and 2".to_owned()), "{notes:?}");
    }

    #[test]
    fn a_target_of_one_run_is_named_and_not_compared() {
        let mut runs = [input("a", &fixture::l1_events(1)), input("b", &fixture::random_events(1))];
        runs[1].record.prunes[6].target = 0.994;
        let labels = ["a", "b"].map(str::to_owned);
        let found = side_by_side(&runs).expect("comparable");
        assert_eq!(found.rows.len(), 6);
        let notes = found.notes(&labels);
        assert_eq!(notes[2], "only `a` was asked for 99.5 %: not compared, and not interpolated");
        assert_eq!(notes[3], "only `b` was asked for 99.4 %: not compared, and not interpolated");
        // The same numbers as shares of something else are other targets.
        let method = runs[1].record.started.method.as_mut().expect("it prunes");
        method.target_of = Some(Unit::Macs);
        let found = side_by_side(&runs).expect("comparable");
        assert!(found.rows.is_empty() && found.alone[1].len() == 7);
        assert!(found.notes(&labels).last().is_some_and(|note| note.starts_with("no two runs")));
    }

    #[test]
    fn other_sizes_at_the_same_target_are_told() {
        let mut runs = [input("a", &fixture::l1_events(1)), input("b", &fixture::random_events(1))];
        for test in &mut runs[1].record.tests {
            test.tested.size.pruned = test.tested.size.pruned.saturating_sub(240);
        }
        let table = side_by_side(&runs).expect("comparable").table(&["a", "b"].map(str::to_owned));
        assert_eq!(table[2], ["50 %", "98.99 % at 50.00 %", "98.61 % (-0.38) at 49.59 %"]);
    }

    #[test]
    fn other_models_are_refused_by_name() {
        let mut runs = [input("a", &fixture::l1_events(1)), input("b", &fixture::l1_events(1))];
        runs[1].record.started.dataset = "fashion-mnist".into();
        let error = side_by_side(&runs).expect_err("another data set").to_string();
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
        let table = side_by_side(&runs).expect("comparable").table(&["a", "b"].map(str::to_owned));
        let last = table.iter().find(|line| line[0] == "99.5 %").expect("the last target");
        assert_eq!(last[1..], ["10.28 % just pruned", "11.35 %"]);
    }
}
