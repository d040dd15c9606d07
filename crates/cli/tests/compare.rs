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
    let right = half.expect("a test")["score"]["correct"].as_f64().expect("a count");
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
    let answer = json(&["compare", "--json", text(whole), text(wide)]);
    assert!(answer["accuracy"].is_null() && answer["refused"].as_str().is_some_and(|why| why.contains("lenet k=2")));

    assert_eq!(output(&["compare", text(whole)]).status.code(), Some(2), "one run is not enough");
    assert!(fail(&["compare", text(whole), text(out.path())]).contains("no run here"));
}
