//! What is pooled, and what must never be.

use super::*;
use crate::event::{Choice, Event, MasksMoved, RunStarted, Unit};
use crate::fixture;

fn input(label: &str, events: &[Event]) -> ReportInput {
    fixture::input(label, fixture::record(events))
}

fn of(runs: &[ReportInput]) -> Vec<RunSeries<'_>> {
    series(&runs.iter().collect::<Vec<_>>(), 0)
}

/// Name, runs, and of each target how many seeds.
fn shape_of(all: &[RunSeries<'_>]) -> Vec<(String, usize, Vec<usize>)> {
    let pools = |series: &RunSeries<'_>| series.pools.iter().map(|pool| pool.samples.len()).collect();
    all.iter().map(|series| (series.name.clone(), series.runs.len(), pools(series))).collect()
}

#[test]
fn seeds_of_one_schedule_share_every_target() {
    let runs = [1, 2, 3].map(|seed| input(&format!("s{seed}"), &fixture::l1_events(seed)));
    let all = of(&runs);
    assert_eq!(shape_of(&all), [("l1-global".to_owned(), 3, vec![3; 7])]);
    assert_eq!((all[0].plan, all[0].control), (Plan::Curve, Control::Pruned));
    let targets: Vec<_> = all[0].pools.iter().map(|pool| pool.target).collect();
    assert_eq!(targets, [0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995]);
    // 9899, 9886, 9873 of 10,000.
    let half = all[0].pools[0].top_1().expect("three seeds");
    assert!((half.mean - 98.86).abs() < 1e-9 && (half.deviation.expect("three seeds") - 0.13).abs() < 1e-9);
    assert_eq!(all[0].dense.samples.iter().map(|sample| sample.seed).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(all[0].pools[6].is_collapsed() && !all[0].pools[5].is_collapsed());
}

#[test]
fn runs_to_one_target_each_give_that_target_alone() {
    let to = |seed, target, correct| {
        input(&format!("to-{target}-s{seed}"), &fixture::one_target(fixture::l1_events(seed), target, correct))
    };
    let runs = [to(1, 0.9, 9880), to(2, 0.9, 9870), to(1, 0.98, 9700)];
    let all = of(&runs);
    assert_eq!(shape_of(&all), [("l1-global".to_owned(), 3, vec![2, 1])]);
    assert_eq!(all[0].plan, Plan::Sweep);
    let points: Vec<_> =
        all[0].pools.iter().map(|pool| (pool.target, pool.top_1().map(|spread| spread.mean))).collect();
    assert_eq!(points, [(0.9, Some(98.75)), (0.98, Some(97.0))], "what was passed on the way is no point");
    assert_eq!(all[0].dense.samples.len(), 2, "a seed's dense network counts once");
    // Alone, such a run is a curve as it always was.
    assert_eq!(shape_of(&of(&runs[..1])), [("l1-global".to_owned(), 1, vec![1, 1])]);
}

#[test]
fn a_run_of_a_sweep_that_is_not_done_is_no_point() {
    let mut runs = [0.9, 0.98]
        .map(|target| input(&format!("to-{target}"), &fixture::one_target(fixture::l1_events(1), target, 9800)));
    runs[1].record.ended = None;
    runs[1].record.tests.pop();
    assert_eq!(shape_of(&of(&runs)), [("l1-global".to_owned(), 2, vec![1])], "pruned to its target, not trained");
    runs[1].record.prunes.pop();
    runs[1].record.tests.pop();
    assert_eq!(shape_of(&of(&runs)), [("l1-global".to_owned(), 2, vec![1])], "on its way");
}

#[test]
fn whatever_else_differs_parts_them() {
    type Change = fn(&mut RunStarted);
    fn schedule(started: &mut RunStarted, name: &str, value: impl Into<serde_json::Value>) {
        let method = started.method.as_mut().expect("a method");
        method.schedule = method.schedule.clone().with(name, value);
    }
    fn method(started: &mut RunStarted) -> &mut crate::event::Method {
        started.method.as_mut().expect("a method")
    }
    let changes: [(&str, Change); 22] = [
        ("name", |run| run.name = "other".into()),
        ("optimizer", |run| run.optimizer = Choice::of_kind("adam").with("lr", 0.001)),
        ("a setting of it", |run| run.optimizer = run.optimizer.clone().with("nesterov", true)),
        ("learning rate", |run| run.lr_schedule = Some(Choice::of_kind("cosine").with("floor", 0.1))),
        ("batch size", |run| run.batch_size = 64),
        ("training images", |run| run.images.train = 1000),
        ("split", |run| run.split_seed = Some(2)),
        ("start", |run| run.start_sha256 = Some("ab".repeat(32))),
        ("classes", |run| run.classes = 100),
        ("criterion", |run| method(run).criterion = "l2".into()),
        ("regrowth", |run| method(run).regrow = Some(Choice::of_kind("rigl").with("share", 0.3))),
        ("scores", |run| method(run).scores_sha256 = Some("cd".repeat(32))),
        ("unit", |run| method(run).target_of = Some(Unit::Macs)),
        ("retraining", |run| method(run).retrain = Choice::of_kind("rewind-lr").with("lr", 0.1)),
        ("number of prunes", |run| schedule(run, "prunes", 7)),
        ("where the ramp starts", |run| schedule(run, "initial", 0.5)),
        ("a of one-cycle", |run| schedule(run, "a", 3.0)),
        ("b of one-cycle", |run| schedule(run, "b", 3.0)),
        ("values of a list", |run| schedule(run, "sparsities", [0.4, 0.75].as_slice())),
        ("steps", |run| run.planned_steps += 1),
        ("other settings", |run| run.settings = Some([("train".to_owned(), 1.into())].into())),
        ("unknown settings", |run| run.settings = None),
    ];
    for (what, change) in changes {
        for seeds in [[1, 2], [1, 1]] {
            let mut runs = seeds.map(|seed| input(&format!("s{seed}"), &fixture::l1_events(seed)));
            runs[1].label = "changed".into();
            assert_eq!(of(&runs).len(), 1);
            change(&mut runs[1].record.started);
            let all = of(&runs);
            assert_eq!(all.len(), 2, "{what}");
            assert_eq!((all[0].id, all[1].id), (0, 1));
            assert_ne!(all[0].name, all[1].name, "{what}: told apart by their names");
            assert!(all.iter().all(|series| series.spare.is_empty()), "{what}: none repeats another");
        }
    }
}

#[test]
fn unknown_settings_are_like_no_others_not_even_unknown_ones() {
    let mut runs = [1, 2].map(|seed| input(&format!("s{seed}"), &fixture::l1_events(seed)));
    runs.iter_mut().for_each(|run| run.record.started.lr_schedule = None);
    assert_eq!(of(&runs).len(), 2);
    let mut words = [1, 2].map(|seed| input(&format!("s{seed}"), &fixture::l1_events(seed)));
    words.iter_mut().for_each(|run| run.record.started.optimizer = Choice::Words("adam lr 0.001".into()));
    assert_eq!(of(&words).len(), 2);
}

#[test]
fn a_seed_counts_once() {
    let mut runs = [1, 1, 2].map(|seed| input(&format!("s{seed}"), &fixture::l1_events(seed)));
    runs[0].label = "interrupted".into();
    runs[0].record.ended = None;
    runs[0].record.tests.truncate(3);
    let all = of(&runs);
    let labels = |runs: &[&ReportInput]| runs.iter().map(|run| run.label.clone()).collect::<Vec<_>>();
    assert_eq!(
        (labels(&all[0].runs), labels(&all[0].spare)),
        (vec!["s1".into(), "s2".into()], vec!["interrupted".into()])
    );
    assert!(all[0].pools.iter().all(|pool| pool.samples.len() == 2));
}

#[test]
fn one_target_written_in_two_ways_is_one() {
    // Half of the parameters, as a count of those that stay and as a ratio.
    let run = |label: &str, seed: u64, name: &str, value: serde_json::Value| {
        let mut run = input(label, &fixture::one_target(fixture::l1_events(seed), 0.9, 9_880));
        let method = run.record.started.method.as_mut().expect("a method");
        method.target_of = Some(Unit::Parameters);
        method.schedule = Choice::of_kind("cubic").with("final", serde_json::json!({ name: value })).with("prunes", 2);
        run
    };
    let mut runs = [
        run("kept", 1, "kept", 6_000.into()),
        run("ratio", 1, "compression", 10.0.into()),
        run("other", 2, "compression", 10.0.into()),
    ];
    let all = of(&runs);
    let labels = |runs: &[&ReportInput]| runs.iter().map(|run| run.label.clone()).collect::<Vec<_>>();
    assert_eq!(
        (labels(&all[0].runs), labels(&all[0].spare)),
        (vec!["kept".into(), "other".into()], vec!["ratio".into()])
    );
    assert_eq!((shape_of(&all), all[0].plan), (vec![("l1-global".to_owned(), 2, vec![2, 2])], Plan::Curve));
    let groups = crate::group::groups(&runs);
    let whys: Vec<_> = crate::apart::apart(&groups, &[]).into_iter().map(|apart| (apart.label, apart.why)).collect();
    assert_eq!(whys, [("ratio".into(), "repeats seed 1 of the series l1-global, which would count twice".into())]);
    // What has not pruned yet has no targets in common with what has not, either.
    for run in &mut runs {
        run.record.ended = None;
        run.record.prunes.clear();
        run.record.tests.truncate(1);
    }
    assert!(of(&runs)[0].spare.is_empty());
}

#[test]
fn a_network_before_its_first_step_is_no_baseline() {
    let mut run = input("at-once", &fixture::l1_events(1));
    run.record.tests[0].tested.step = 0;
    assert!(of(std::slice::from_ref(&run))[0].dense.samples.is_empty());
}

#[test]
fn a_dense_control_is_its_last_test() {
    let run = input("dense", &fixture::dense_events_to(4, 9906));
    let all = of(std::slice::from_ref(&run));
    assert_eq!((all[0].control, all[0].pools.len()), (Control::Dense, 0));
    assert_eq!(all[0].dense.top_1().map(|spread| spread.mean), Some(99.06));
}

#[test]
fn masks_that_move_or_will_are_no_random_control() {
    let mut run = input("rigl", &fixture::random_events(1));
    let control = |run: &ReportInput| of(std::slice::from_ref(run))[0].control;
    assert_eq!(control(&run), Control::Random);
    let moved = MasksMoved { cycle: 1, step: 1800, regrown: 90, pruned: 29_472, prunable: 58_944 };
    run.record.add(Event::MasksMoved(moved), None);
    assert_eq!(control(&run), Control::Pruned);

    // Its masks have not moved yet, but its log says that they will.
    let mut running = input("rigl", &fixture::random_events(1));
    running.record.ended = None;
    assert_eq!(control(&running), Control::Random);
    running.record.started.method.as_mut().expect("a method").regrow = Some(Choice::of_kind("rigl"));
    assert_eq!(control(&running), Control::Pruned);
    // A log of version 1 does not say; once it has ended, it shows.
    let mut old = input("old", &fixture::random_events(1));
    old.record.started.settings = None;
    assert_eq!(control(&old), Control::Random);
    old.record.ended = None;
    assert_eq!(control(&old), Control::Pruned);
}
