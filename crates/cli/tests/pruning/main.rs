//! What can be asked of pruning in a config, asked of whole runs: what is counted, what stays, and that a run which was
//! killed ends with the same bytes.

#[path = "../common/mod.rs"]
mod common;

mod ablations;
mod budget;
mod criteria;
mod growth;
mod structures;

use common::*;
use std::path::{Path, PathBuf};

/// Runs the small LeNet on synthetic images with these changes, and returns its folder.
fn run(out: &Path, changes: &[&str]) -> PathBuf {
    succeed(&with(out, changes).iter().map(String::as_str).collect::<Vec<_>>());
    only_run(out).expect("a run")
}

/// What is typed for it.
fn with(out: &Path, changes: &[&str]) -> Vec<String> {
    let mut typed: Vec<String> = ["run", "configs/smoke.toml", "--out", text(out)].map(str::to_owned).to_vec();
    // One prune, at once, unless the changes say otherwise: short, and told apart by what a criterion does.
    for change in
        ["prune.schedule={ kind = \"one-shot\", sparsity = 0.9 }", "measure.enabled=false"].iter().chain(changes)
    {
        typed.extend(["--set".to_owned(), (*change).to_owned()]);
    }
    typed
}

/// Kept weights of each layer after the last prune, by name.
fn kept(run: &Path) -> Vec<(String, u64, u64)> {
    let pruned = facts_of(run, "pruned").pop().expect("a prune");
    let layers = pruned["layers"].as_array().expect("layers").clone();
    let number = |layer: &serde_json::Value, key: &str| layer[key].as_u64().expect("a count");
    layers
        .iter()
        .map(|own| (own["name"].as_str().expect("a name").into(), number(own, "kept"), number(own, "total")))
        .collect()
}

/// The bits of every mask of the newest checkpoint, by parameter.
fn masks(run: &Path) -> Vec<(String, Vec<u8>)> {
    let (_, state) = newest_state(run);
    let file = safetensors::SafeTensors::deserialize(&state).expect("a state");
    let mut masks: Vec<_> = file.iter().filter(|(name, _)| name.starts_with("mask/")).collect();
    masks.sort_by_key(|(name, _)| *name);
    masks.into_iter().map(|(name, bits)| (name.to_owned(), bits.data().to_vec())).collect()
}

/// The final model's bytes.
fn model(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("model.safetensors")).expect("a model")
}

/// The highest accuracy among the tests of this stage.
fn accuracy(run: &Path, stage: &str) -> f64 {
    let tests = facts_of(run, "tested").into_iter().filter(|test| test["stage"] == stage);
    let share = |test: serde_json::Value| {
        test["score"]["correct"].as_f64().expect("a count") / test["score"]["total"].as_f64().expect("a count")
    };
    tests.map(share).fold(0.0, f64::max)
}

/// Runs with these changes, once to the end and once stopped by SIGKILL where its log is so far, and compares the models.
fn survives_kills(changes: &[&str]) {
    let whole = tempfile::tempdir().expect("a folder");
    let undisturbed = run(whole.path(), changes);
    let lines = log_lines(whole.path());
    let mut kills = 0;
    // On a machine that stalls a run may end before its kill; then another one is killed.
    for _ in 0..10 {
        let torn = tempfile::tempdir().expect("a folder");
        let typed = with(torn.path(), changes);
        for fifth in 1..5 {
            let child = match only_run(torn.path()) {
                Some(path) => start(&["resume", text(&path)]),
                None => start(&typed.iter().map(String::as_str).collect::<Vec<_>>()),
            };
            kills += usize::from(killed_at(child, torn.path(), lines * fifth / 5));
        }
        let path = only_run(torn.path()).expect("a run");
        succeed(&["resume", text(&path)]);
        assert_eq!(model(&undisturbed), model(&path), "{changes:?}");
        assert_eq!(facts(&undisturbed), facts(&path), "{changes:?}");
        if kills > 0 {
            return;
        }
    }
    panic!("{changes:?}: nothing was killed in ten runs");
}
