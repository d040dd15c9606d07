//! Every recommendation once met and once not.

use super::*;
use crate::event::Stage;
use crate::fixture::{self, measured::measured};
use crate::group::groups;

/// A report that meets everything but the number of pairs: three seeds of a method, its two controls, all measured.
fn good() -> Vec<ReportInput> {
    let mut runs = Vec::new();
    for seed in 1..=3 {
        for (kind, events) in [
            ("l1", fixture::l1_events(seed)),
            ("random", fixture::random_events(seed)),
            ("dense", fixture::dense_events(seed)),
        ] {
            let record = fixture::measured::record(&measured(events, 5));
            let mut run = fixture::input(&format!("{kind}-s{seed}"), record);
            let known = [
                ("secateur", "0.1.0"),
                ("commit", "abc"),
                ("platform", "x86_64 linux"),
                ("processor", "EPYC"),
                ("device", "cpu"),
            ];
            run.origin.surroundings = known.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            runs.push(run);
        }
    }
    runs
}

fn found(runs: &[ReportInput], id: &str) -> (State, String) {
    let items = audit(&groups(runs));
    let item = items.iter().find(|item| item.id == id).unwrap_or_else(|| panic!("no item `{id}`"));
    (item.state, item.found.clone())
}

#[test]
fn a_whole_comparison_meets_all_but_the_number_of_pairs() {
    let items = audit(&groups(&good()));
    let unmet = items.iter().filter(|item| item.state != State::Met);
    let unmet: Vec<_> = unmet.map(|item| (item.id, item.found.as_str())).collect();
    assert_eq!(unmet, [("pairs", "One: what is said here holds for it alone.")]);
    let mut ids: Vec<_> = items.iter().map(|item| item.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), items.len());
}

#[test]
fn every_item_can_be_missed_and_says_by_whom() {
    type Change = fn(&mut Vec<ReportInput>);
    let table: [(&str, Change, &str); 20] = [
        ("fractions", |runs| runs[0].record.tests[0].tested.size.nonzero = 0, "l1-s1: 1 tests of a network without"),
        ("raw-accuracy", |runs| runs[4].record.tests[2].tested.score.total = 0, "random-s2: 1 tests of no image"),
        ("theoretical-speed-up", |runs| runs[2].record.started.macs = 0, "dense-s1: its multiply-accumulates"),
        ("sparsities", |runs| keep(runs, |target| target < 0.98), "l1-global: 4"),
        ("collapse", |runs| keep(runs, |target| target < 0.995), "l1-global: ends at 99 % with 93.72 %"),
        ("seeds", |runs| runs.truncate(7), "random-global: 2 at one sparsity"),
        ("seeds", |runs| drop(runs.drain(..6)), "l1-global: 1 at one sparsity or more"),
        ("dense-control", |runs| drop(runs.remove(5)), "l1-global: 1 of its seeds have no control"),
        ("dense-control", |runs| runs.retain(|run| !run.label.starts_with("dense")), "l1-global: none"),
        (
            "dense-control",
            |runs| runs.iter_mut().filter(|run| run.label.starts_with("dense")).for_each(half_as_long),
            "none of equal steps, optimizer, learning rates and data",
        ),
        (
            "dense-control",
            |runs| runs.iter_mut().filter(|run| run.label.starts_with("dense")).for_each(by_adam),
            "none of equal steps, optimizer, learning rates and data",
        ),
        ("random-control", |runs| runs.retain(|run| !run.label.starts_with("random")), "none at 7 of 7 sparsities"),
        ("magnitude", |runs| runs.iter_mut().for_each(as_snip), "10,000 test images: none"),
        (
            "same-length",
            |runs| runs.iter_mut().filter(|run| run.label.starts_with("random")).for_each(twice_as_slow),
            "50 %: 3,440 to 6,880 steps; 75 %",
        ),
        ("selection", |runs| runs[0].record.started.images.validation = 0, "l1-s1: holds out no validation images"),
        ("selection", |runs| runs[0].record.epochs[1].validation = None, "l1-s1: 1 epochs without a validation score"),
        (
            "hardware-and-versions",
            |runs| drop(runs[3].origin.surroundings.remove("processor")),
            "l1-s2: processor not known",
        ),
        (
            "same-program",
            |runs| drop(runs[3].origin.surroundings.insert("commit".into(), "def".into())),
            "2 builds made the runs.",
        ),
        ("measured-time", |runs| runs[1].record.tests[0].measured = None, "random-s1: 1 networks not timed"),
        ("whole-runs", |runs| runs[0].record.ended = None, "1 of 9 have not ended."),
    ];
    for (id, change, wanted) in table {
        let mut runs = good();
        assert_eq!(found(&runs, id).0, State::Met, "{id} is met at first");
        change(&mut runs);
        let (state, words) = found(&runs, id);
        assert!(state == State::NotMet && words.contains(wanted), "{id}: {state:?}, {words}");
    }
}

#[test]
fn selection_is_met_within_runs_and_not_between_them() {
    let items = audit(&groups(&good()));
    let selection = items.iter().find(|item| item.id == "selection").expect("it is asked");
    assert_eq!(selection.asked, "The choices within a run are made on validation, never on test.");
    assert!(selection.found.starts_with("Within every run they were"), "{}", selection.found);
    let open = "No log tells what people chose between runs, such as a rule or a learning rate, nor by which images.";
    assert!(selection.found.ends_with(open), "{}", selection.found);
}

#[test]
fn a_control_that_is_still_trained_is_awaited_and_another_one_is_not() {
    let mut runs = good();
    for run in runs.iter_mut().filter(|run| run.label.starts_with("dense")) {
        run.record.ended = None;
        run.record.tests.clear();
    }
    let words = "l1-global: its control has not ended yet.";
    assert_eq!(found(&runs, "dense-control"), (State::NoData, words.to_owned()));
    runs.iter_mut().filter(|run| run.label.starts_with("dense")).for_each(by_adam);
    assert_eq!(found(&runs, "dense-control").0, State::NotMet);
}

#[test]
fn three_pairs_of_model_and_data_are_enough() {
    let mut runs = good();
    for (name, dataset, model) in [("a", "fashion-mnist", "lenet k=5"), ("b", "mnist", "lenet k=2")] {
        let mut run = runs[0].clone();
        run.label = name.into();
        run.record.started.dataset = dataset.into();
        run.record.started.model = model.into();
        runs.push(run);
    }
    assert_eq!(found(&runs, "pairs"), (State::Met, "3.".to_owned()));
    assert_eq!(found(&runs[..10], "pairs"), (State::NotMet, "2.".to_owned()));
}

/// As their logs are right after the start.
fn just_started(mut runs: Vec<ReportInput>) -> Vec<ReportInput> {
    for run in &mut runs {
        run.record = RunRecord::new(run.record.started.clone());
    }
    runs
}

#[test]
fn a_run_without_a_test_meets_nothing_that_a_test_tells() {
    let runs = just_started(good()[..1].to_vec());
    let items = audit(&groups(&runs));
    let met: Vec<_> = items.iter().filter(|item| item.state == State::Met).map(|item| item.id).collect();
    assert_eq!(met, ["hardware-and-versions", "same-program"], "what its folder tells already");
    let unmet: Vec<_> = items.iter().filter(|item| item.state == State::NotMet).map(|item| item.id).collect();
    assert_eq!(unmet, ["whole-runs"]);
    assert_eq!(counts(&items), "2 of 16 recommendations met, 13 without data yet");
    // The same for all of a comparison, and for a report of nothing.
    let items = audit(&groups(&just_started(good())));
    assert!(counts(&items).starts_with("2 of 16") && counts(&items).ends_with("13 without data yet"), "{items:?}");
    let nothing = audit(&groups(&[]));
    assert_eq!(counts(&nothing), "0 of 16 recommendations met, 16 without data yet");
}

#[test]
fn one_that_has_no_data_yet_keeps_the_rest_from_meeting_it() {
    let mut runs = good();
    runs[4].record.tests.clear();
    assert_eq!(found(&runs, "raw-accuracy"), (State::NoData, "random-s2: no test yet.".to_owned()));
    runs[0].record.tests[0].tested.score.total = 0;
    let (state, words) = found(&runs, "raw-accuracy");
    assert!(state == State::NotMet && !words.contains("random-s2"), "what is lacking weighs more: {words}");
    let mut alone = good();
    alone.retain(|run| run.label.starts_with("l1"));
    assert_eq!(found(&alone, "same-length").0, State::NoData, "it is compared with nothing");
}

#[test]
fn tables_for_programs_tell_three_states() {
    let items = audit(&groups(&just_started(good()[..1].to_vec())));
    let data = audit_data(&items);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&data.json()).expect("JSON");
    let row = |id: &str| rows.iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("no row `{id}`"));
    for (id, state, met) in [
        ("collapse", "no data yet", serde_json::Value::Null),
        ("whole-runs", "not met", false.into()),
        ("same-program", "met", true.into()),
    ] {
        assert_eq!((row(id)["state"].as_str(), &row(id)["met"]), (Some(state), &met), "{id}");
    }
    assert!(data.csv().contains(",no data yet,,") && data.csv().contains(",not met,false,"), "{}", data.csv());
}

#[test]
fn a_report_without_a_result_meets_nothing_about_results() {
    let dense: Vec<_> = good().into_iter().filter(|run| run.label.starts_with("dense")).collect();
    for id in ["sparsities", "collapse", "dense-control", "random-control", "magnitude", "same-length", "seeds"] {
        assert_eq!(found(&dense, id).0, State::NoData, "{id}");
    }
}

#[test]
fn many_that_lack_something_are_counted() {
    let mut runs = good();
    runs.iter_mut().for_each(|run| run.record.started.images.validation = 0);
    let (_, words) = found(&runs, "selection");
    assert!(words.ends_with("; and 5 more."), "{words}");
}

/// Leaves out prunes to other targets, and what follows them.
fn keep(runs: &mut [ReportInput], target: fn(f64) -> bool) {
    for run in runs {
        let record = &mut run.record;
        record.prunes.retain(|prune| target(prune.target));
        let left: Vec<_> = record.prunes.iter().map(|prune| prune.cycle).collect();
        record.tests.retain(|test| test.tested.stage == Stage::Dense || left.contains(&test.tested.cycle));
    }
}

fn half_as_long(run: &mut ReportInput) {
    run.record.started.planned_steps /= 2;
}

fn by_adam(run: &mut ReportInput) {
    run.record.started.optimizer = crate::event::Choice::of_kind("adam").with("lr", 0.001);
}

fn twice_as_slow(run: &mut ReportInput) {
    run.record.tests.iter_mut().for_each(|test| test.tested.step *= 2);
}

fn as_snip(run: &mut ReportInput) {
    if let Some(method) = &mut run.record.started.method
        && method.criterion == "l1"
    {
        method.criterion = "snip".into();
    }
}
