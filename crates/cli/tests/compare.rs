//! Runs beside each other in the terminal.

mod common;

use common::*;
use std::fs;

#[test]
fn configs_and_accuracies_stand_side_by_side() {
    let out = tempfile::tempdir().expect("a folder");
    let base = ["run", "configs/smoke.toml", "--out", text(out.path())];
    let less = "prune.schedule={ kind = \"list\", sparsities = [0.5, 0.97] }";
    for change in [&[][..], &["--set", less], &["--set", "prune.enabled=false"], &["--set", "model.width=2"]] {
        succeed(&[&base[..], change].concat());
    }
    let runs: Vec<_> = fs::read_dir(out.path()).expect("runs").map(|entry| entry.expect("readable").path()).collect();
    let find = |key: &str| {
        let config = |run: &std::path::Path| fs::read_to_string(run.join("experiment.toml")).expect("a config");
        runs.iter().find(|run| config(run).contains(key)).expect("it ran")
    };
    let (few, dense, wide) = (find("0.97"), find("enabled = false"), find("width = 2"));
    let whole = runs.iter().find(|run| ![few, dense, wide].contains(run)).expect("the plain one");

    let said = succeed(&["compare", text(whole), text(few), text(dense)]);
    let line =
        |start: &str| said.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {said}"));
    assert!(line("prune.enabled").contains("true") && line("prune.enabled").ends_with("false"));
    assert!(line("prune.schedule.sparsities").contains("[0.5, 0.8, 0.9, 0.95]"), "{said}");
    assert!(!said.contains("batch_size"), "what is the same is not told: {said}");
    let last = facts_of(dense, "tested").pop().expect("a test")["score"]["correct"].as_f64().expect("a count");
    assert!(line("dense control").contains(&format!("{:.2} %", last / 5.0)), "of 500 images, at its end: {said}");
    // The test after the retraining that follows the prune to a half, in the log and in the table.
    let half = facts_of(whole, "tested").into_iter().find(|test| test["cycle"] == 1 && test["stage"] == "retrained");
    let half = half.expect("a test");
    let right = half["score"]["correct"].as_f64().expect("a count");
    let words: Vec<&str> = line("50 %").split_whitespace().collect();
    assert_eq!(words[2], format!("{:.2}", right / 5.0), "{said}");
    let name = few.file_name().expect("named").to_str().expect("text");
    assert!(said.contains(&format!("only `{name}` was asked for 97 %")), "{said}");

    let said = succeed(&["compare", text(whole), text(wide)]);
    assert!(said.contains("model.width") && said.contains("not compared: ") && said.contains("lenet k=2"), "{said}");
    let json = |args: &[&str]| -> serde_json::Value { serde_json::from_str(&succeed(args)).expect("JSON") };
    let answer = json(&["compare", "--json", text(whole), text(few), text(dense)]);
    assert_eq!((answer["runs"].as_array().map(Vec::len), &answer["refused"]), (Some(3), &serde_json::Value::Null));
    assert_eq!(answer["accuracy"]["rows"][0]["runs"][0]["retrained"].as_f64(), Some(right / 500.0));
    // The dense run of the same config is the control of the pruned one, after as many steps.
    let step = |test: &serde_json::Value| test["step"].as_u64();
    let same = facts_of(dense, "tested").into_iter().find(|test| step(test) == step(&half)).expect("as many steps");
    let control = same["score"]["correct"].as_f64().expect("a count");
    let points = answer["accuracy"]["rows"][0]["runs"][0]["points_vs_dense"].as_f64().expect("a number");
    assert!((points - (right - control) / 5.0).abs() < 1e-9, "{points}");
    let answer = json(&["compare", "--json", text(whole), text(wide)]);
    assert!(answer["accuracy"].is_null() && answer["refused"].as_str().is_some_and(|why| why.contains("lenet k=2")));

    assert_eq!(output(&["compare", text(whole)]).status.code(), Some(2), "one run is not enough");
    assert!(fail(&["compare", text(whole), text(out.path())]).contains("no run here"));
}

#[test]
fn a_dense_run_of_other_learning_rates_is_no_control() {
    let out = tempfile::tempdir().expect("a folder");
    let smoke = fs::read_to_string(root().join("configs/smoke.toml")).expect("a config");
    let (before, rest) = smoke.split_once("[prune]").expect("it prunes");
    let (_, after) = rest.split_once("[checkpoint]").expect("it saves");
    // As many steps, two epochs and four, without a prune that would cut them.
    let whole = out.path().join("whole.toml");
    let text_of_whole = format!("{before}[checkpoint]{after}").replace("{ epochs = 2 }", "{ epochs = 6 }");
    fs::write(&whole, text_of_whole).expect("written");
    let run = |config: &str, name: &str, changes: &[&str]| {
        let folder = out.path().join(name);
        let changes: Vec<&str> = changes.iter().flat_map(|&change| ["--set", change]).collect();
        succeed(&[&["run", config, "--out", text(&folder)], &changes[..]].concat());
        only_run(&folder).expect("a run")
    };
    let points = |pruned: &std::path::Path, dense: &std::path::Path| {
        // Two that share targets, so that there are rows.
        let answer = succeed(&["compare", "--json", text(pruned), text(pruned), text(dense)]);
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        answer["accuracy"]["rows"][3]["runs"][0]["points_vs_dense"].as_f64()
    };
    let (smoke, whole, dense) = ("configs/smoke.toml", text(&whole), "prune.enabled=false");
    let restarts = "train.lr_schedule={ kind = \"cosine\" }";
    let (pruned, control) = (run(smoke, "pruned", &[restarts]), run(smoke, "control", &[restarts, dense]));
    let once = run(whole, "once", &[restarts]);
    assert!(points(&pruned, &control).is_some(), "the same config with `enabled = false`");
    assert_eq!(points(&pruned, &once), None, "one cosine instead of five");
    // One schedule over the whole run needs no cuts; one that goes back is walked by the control as well.
    let never = "train.lr_schedule={ kind = \"cosine\", restart = \"never\" }";
    let once = run(whole, "never", &[never]);
    assert!(points(&run(smoke, "pruned-never", &[never]), &once).is_some());
    let back = "retrain={ kind = \"rewind-lr\", rewind_to = { epochs = 1 } }";
    let rewound = run(smoke, "rewound", &[never, back]);
    assert_eq!(points(&rewound, &once), None, "its rate goes back");
    assert!(points(&rewound, &run(smoke, "rewound-control", &[never, back, dense])).is_some());
}
