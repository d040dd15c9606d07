//! Which controls belong to a series, and that everybody is told the same of them.

use super::*;
use crate::compare::tests::{all, each, runs};
use crate::event::{Choice, Unit};
use crate::fixture;

#[test]
fn a_dense_control_has_the_same_training_or_there_is_none() {
    type Change = fn(&mut ReportInput);
    let changes: [(&str, Change); 10] = [
        ("steps", |run| run.record.started.planned_steps += 1),
        ("optimizer", |run| run.record.started.optimizer = Choice::of_kind("adam").with("lr", 0.05)),
        ("a setting of it", |run| {
            run.record.started.optimizer = run.record.started.optimizer.clone().with("nesterov", true);
        }),
        ("learning rates", |run| run.record.started.lr_schedule = Some(Choice::of_kind("cosine"))),
        ("batch", |run| run.record.started.batch_size = 64),
        ("training images", |run| run.record.started.images.train -= 1),
        ("split", |run| run.record.started.split_seed = Some(2)),
        ("start", |run| run.record.started.start_sha256 = Some("ab".into())),
        ("unknown settings", |run| run.record.started.settings = None),
        ("test after as many steps", |run| run.record.tests.iter_mut().for_each(|test| test.tested.step += 1)),
    ];
    for (what, change) in changes {
        let mut runs = runs(3);
        each(&mut runs, 2, change);
        let all = all(&runs);
        let found = vs_dense(&all[0], &all[0].pools[0], &all).map(|found| found.spread);
        assert_eq!(found, Err("no dense control of equal steps"), "{what}");
    }
    // The right one beside a wrong one that comes first.
    let mut runs = runs(3);
    let mut adam: Vec<_> = runs.iter().skip(2).step_by(3).cloned().collect();
    for run in &mut adam {
        run.record.started.optimizer = Choice::of_kind("adam");
        run.record.started.name = "a-dense".into();
    }
    runs.splice(0..0, adam);
    let all = all(&runs);
    let l1 = all.iter().find(|series| series.name == "l1-global").expect("it is there");
    assert_eq!(vs_dense(l1, &l1.pools[0], &all).map(|found| found.series.name.as_str()), Ok("dense"));
}

#[test]
fn a_random_control_prunes_the_same_groups_and_is_trained_alike() {
    type Change = fn(&mut ReportInput);
    fn method(run: &mut ReportInput) -> &mut crate::event::Method {
        run.record.started.method.as_mut().expect("it prunes")
    }
    fn prune(run: &mut ReportInput, key: &str, value: serde_json::Value) {
        method(run).others.as_mut().expect("known").insert(key.into(), value);
    }
    let changes: [(&str, Change); 8] = [
        ("granularity", |run| method(run).granularity = Choice::of_kind("filter")),
        ("optimizer", |run| run.record.started.optimizer = Choice::of_kind("adam")),
        ("unit", |run| method(run).target_of = Some(Unit::Macs)),
        ("retraining", |run| method(run).retrain = Choice::of_kind("reinitialise")),
        ("a setting of it", |run| method(run).retrain = method(run).retrain.clone().with("last", 3)),
        ("training after each prune", |run| prune(run, "every", serde_json::json!({ "epochs": 1 }))),
        ("fading", |run| prune(run, "gsm", serde_json::json!({ "steps": 9 }))),
        ("steps trained", |run| run.record.tests.iter_mut().for_each(|test| test.tested.step += 1)),
    ];
    for (what, change) in changes {
        let mut runs = runs(3);
        each(&mut runs, 1, change);
        let all = all(&runs);
        let found = vs_random(&all[0], &all[0].pools[0], &all).map(|found| found.spread);
        assert_eq!(found, Err("no random control of equal steps"), "{what}");
    }
    // What else is said of pruning makes no other control of it.
    let mut runs = runs(3);
    each(&mut runs, 1, |run| prune(run, "calibration", 9.into()));
    let all = all(&runs);
    assert_eq!(vs_random(&all[0], &all[0].pools[0], &all).map(|found| found.pairs), Ok(3));
}

#[test]
fn page_tables_and_compare_say_the_same() {
    // A control of another optimizer comes first; over that one the difference would be +0.93.
    let mut wrong = fixture::input("a-wrong", fixture::record(&fixture::dense_events_to(1, 9_806)));
    wrong.record.started.optimizer = Choice::of_kind("adam");
    wrong.record.started.name = "a-wrong".into();
    let right = fixture::input("dense", fixture::record(&fixture::dense_events(1)));
    let pruned = fixture::input("l1", fixture::record(&fixture::l1_events(1)));
    for (runs, said) in [(vec![wrong.clone(), pruned.clone(), right], Some("-0.07")), (vec![wrong, pruned], None)] {
        let found = crate::side_by_side::side_by_side(&runs).expect("comparable");
        let labels: Vec<_> = runs.iter().map(|run| run.label.clone()).collect();
        let table = found.table(&labels);
        // No two are asked for one target, so the control alone is told.
        let control = table.iter().find(|line| line[0] == "dense control").expect("a row");
        assert_eq!(control[2], if said.is_some() { "99.06 %" } else { "-" });
        let beside =
            [runs.clone(), vec![fixture::input("random", fixture::record(&fixture::random_events(1)))]].concat();
        let found = crate::side_by_side::side_by_side(&beside).expect("comparable");
        let points = found.rows[0].runs[1].as_ref().expect("it was asked for").points_vs_dense;
        assert_eq!(points.map(|points| format!("{points:+.2}")).as_deref(), said, "compare");
        let table = crate::series_table(&runs);
        let row = table.lines().find(|line| line.trim_start().starts_with("50 %")).expect("a row");
        assert_eq!(row.split_whitespace().rev().nth(1), said.or(Some("-")), "terminal: {row}");
        let report = crate::Report::of(&runs).expect("a report");
        let cell = said.map_or("<td>-<small>no dense control of equal steps</small>".to_owned(), |said| {
            format!("<td>{said}, one pair<small>dense</small>")
        });
        assert!(report.page().contains(&cell), "page: {cell}");
        let json = report.file("series.json").expect("no fault").expect("a table");
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&json).expect("JSON");
        let row = rows.iter().find(|row| row["series"] == "l1-global" && row["target"] == 0.5).expect("a row");
        let points = row["vs_dense_mean"].as_f64().map(|mean| format!("{:+.2}", 100.0 * mean));
        assert_eq!((points.as_deref(), row["dense_control"].as_str()), (said, said.map(|_| "dense")), "tables");
    }
}
