//! Cycles that are shorter than an epoch: each has scores of its own, and resumes to the same bytes.

mod common;

use common::*;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// An epoch has 32 steps, a cycle 5 or 7; after the rewind each begins in the middle of an epoch.
const CYCLES: [&str; 3] = ["prune.every={ steps = 5 }", "retrain.final={ steps = 7 }", "measure.enabled=false"];

fn run(out: &Path, changes: &[&str]) -> PathBuf {
    let mut args = vec!["run", "configs/smoke.toml", "--out", text(out)];
    CYCLES.iter().chain(changes).for_each(|change| args.extend(["--set", change]));
    succeed(&args);
    only_run(out).expect("a run")
}

fn number(event: &Value, key: &str) -> u64 {
    event[key].as_u64().unwrap_or_else(|| panic!("`{key}` is a number: {event}"))
}

#[test]
fn each_cycle_has_scores_of_its_own_network_alone() {
    for keep in ["best", "last"] {
        let out = tempfile::tempdir().expect("a folder");
        let keep = format!("train.keep={keep}");
        let run = run(out.path(), &[&keep, "train.length={ steps = 40 }"]);
        let epochs = facts_of(&run, "epoch_ended");
        let found: Vec<(u64, u64, u64)> = epochs
            .iter()
            .map(|epoch| (number(epoch, "cycle"), number(epoch, "step"), number(&epoch["train"], "total")))
            .collect();
        // 2,000 images an epoch, 64 a step; the 32nd step of an epoch has the last 16.
        let cycles = [(0, 32, 2_000), (0, 40, 8 * 64), (1, 45, 5 * 64), (2, 50, 5 * 64), (3, 55, 5 * 64)];
        assert_eq!(found[..5], cycles, "{keep}");
        assert_eq!(found[5..], [(4, 62, 7 * 64)], "{keep}");
        assert!(
            epochs.iter().all(|epoch| number(&epoch["validation"], "total") == 200),
            "each was scored on validation"
        );
        assert!(epochs[2..].iter().all(|epoch| epoch["best"] == true), "the only candidate of its cycle");
    }
}

#[test]
fn masks_that_move_end_no_training() {
    let out = tempfile::tempdir().expect("a folder");
    let moving = "prune.regrow={ kind = \"set\", every = { steps = 3 }, until = 1.0 }";
    let run = run(out.path(), &["prune.schedule={ kind = \"one-shot\", sparsity = 0.5 }", moving]);
    let moved = facts_of(&run, "masks_moved");
    assert_eq!(moved.len(), 2);
    let last = facts_of(&run, "epoch_ended").pop().expect("an end");
    assert_eq!((number(&last, "cycle"), number(&last["train"], "total")), (1, 7 * 64));
    assert_eq!(facts_of(&run, "epoch_ended").iter().filter(|epoch| epoch["cycle"] == 1).count(), 1);
}

#[test]
fn rewound_epochs_have_the_dense_epochs_learning_rates() {
    for restart in ["cycle", "never"] {
        let out = tempfile::tempdir().expect("a folder");
        let schedule = format!("train.lr_schedule={{ kind = \"cosine\", restart = \"{restart}\" }}");
        let once = "prune.schedule={ kind = \"one-shot\", sparsity = 0.5 }";
        let rewind = "retrain={ kind = \"rewind-lr\", rewind_to = { epochs = 1 }, final = { epochs = 2 } }";
        let run = run(out.path(), &[&schedule, once, rewind, "train.length={ epochs = 3 }"]);
        let rates: Vec<f64> = facts_of(&run, "epoch_ended")
            .iter()
            .map(|epoch| epoch["learning_rate"].as_f64().expect("a rate"))
            .collect();
        assert_eq!(rates[3..], rates[1..3], "{restart}: {rates:?}");
        assert!(rates.iter().all(|rate| *rate > 0.0) && rates[0] > rates[1], "{rates:?}");
    }
}

#[test]
fn nothing_is_saved_twice_where_nothing_changed() {
    let out = tempfile::tempdir().expect("a folder");
    let moving = "prune.regrow={ kind = \"set\", every = { steps = 3 }, until = 0.9 }";
    let often = ["checkpoint.every_steps=10", "checkpoint.keep=1000", "retrain.final={ steps = 40 }"];
    let once = "prune.schedule={ kind = \"one-shot\", sparsity = 0.5 }";
    let run = run(out.path(), &[&often[..], &[once, moving, "train.length={ steps = 20 }"]].concat());
    assert_eq!(facts_of(&run, "masks_moved").len(), 11);
    let step = |name: &String| name.rsplit('-').next().and_then(|step| step.parse::<u64>().ok()).expect("a step");
    let steps: Vec<u64> = checkpoints(&run).iter().map(step).collect();
    // Within the dense training, its end and the prune; then once after every tenth step, at the training's and the run's end.
    assert_eq!(steps, [10, 20, 20, 32, 41, 50, 60, 60]);
}

/// A copy of a run as a kill right after it saved this checkpoint would have left it.
fn cut_back(run: &Path, to: &Path, last: &str) -> PathBuf {
    let copy = to.join(run.file_name().expect("named"));
    fs::create_dir_all(copy.join("checkpoints")).expect("made");
    for file in ["config.toml", "experiment.toml", "manifest.json", "log.jsonl"] {
        fs::copy(run.join(file), copy.join(file)).expect("copied");
    }
    fs::copy(run.join("run.lock"), copy.join("run.lock")).expect("copied");
    for name in checkpoints(run).iter().filter(|name| name.as_str() <= last) {
        fs::create_dir(copy.join("checkpoints").join(name)).expect("made");
        for file in fs::read_dir(run.join("checkpoints").join(name)).expect("readable") {
            let file = file.expect("readable");
            fs::copy(file.path(), copy.join("checkpoints").join(name).join(file.file_name())).expect("copied");
        }
    }
    let cursor = fs::read(copy.join("checkpoints").join(last).join("cursor.json")).expect("a cursor");
    let cursor: Value = serde_json::from_slice(&cursor).expect("JSON");
    let log = fs::read(run.join("log.jsonl")).expect("a log");
    fs::write(copy.join("log.jsonl"), &log[..number(&cursor, "log_bytes") as usize]).expect("written");
    copy
}

#[test]
fn within_such_a_cycle_a_run_resumes_to_the_same_bytes() {
    let out = tempfile::tempdir().expect("a folder");
    let often = ["checkpoint.every_steps=2", "checkpoint.keep=1000"];
    let rewinding = r#"retrain.kind="rewind-weights""#;
    let whole = run(out.path(), &[&often[..], &[rewinding, "train.length={ steps = 9 }"]].concat());
    let names = checkpoints(&whole);
    for last in names.iter().step_by(7) {
        let copies = tempfile::tempdir().expect("a folder");
        let cut = cut_back(&whole, copies.path(), last);
        succeed(&["resume", text(&cut)]);
        assert_same_run(&whole, &cut, last);
    }
}
