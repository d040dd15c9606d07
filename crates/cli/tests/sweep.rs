//! Grids of runs: every cell is the run that it would be alone, and a sweep that was stopped goes on.

mod common;

use common::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A sweep over synthetic images: two methods, two sparsities, two seeds, both controls.
fn write(folder: &Path, more: &str) -> PathBuf {
    let path = folder.join("sweep.toml");
    let text = format!(
        r#"
        name = "grid"
        base = "configs/smoke.toml"
        seeds = [1, 2]
        [axes]
        "prune.schedule" = [{{ kind = "one-shot", sparsity = 0.5 }}, {{ kind = "one-shot", sparsity = 0.9 }}]
        "measure.enabled" = [false]
        [[methods]]
        name = "global"
        {more}
        "#
    );
    fs::write(&path, text).expect("room");
    path
}

/// The cells of a sweep's folder.
fn cells(out: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(out)
        .expect("a folder")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.join("experiment.toml").exists())
        .collect();
    found.sort();
    found
}

/// Times that a run of a sweep, or of its starts, was started or resumed.
fn sessions_below(out: &Path) -> usize {
    let runs = [out.to_owned(), out.join(".starts")].into_iter().filter(|folder| folder.is_dir());
    let logs = runs.flat_map(|folder| cells(&folder)).map(|run| fs::read_to_string(run.join("log.jsonl")));
    logs.map(|log| log.unwrap_or_default().matches("\"session_started\"").count()).sum()
}

fn model(run: &Path) -> Vec<u8> {
    fs::read(run.join("model.safetensors")).unwrap_or_else(|error| panic!("{}: {error}", run.display()))
}

fn manifest(run: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(run.join("manifest.json")).expect("a manifest")).expect("JSON")
}

#[test]
fn a_base_is_found_beside_the_sweep() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(root().join("configs/smoke.toml"), folder.path().join("own-base.toml")).expect("copied");
    let text_of = fs::read_to_string(write(folder.path(), "")).expect("text").replace("configs/smoke", "own-base");
    let path = folder.path().join("sweep.toml");
    fs::write(&path, text_of).expect("written");
    assert!(succeed(&["sweep", text(&path), "--dry-run"]).contains("steps left"));
}

#[test]
fn every_cell_is_the_run_that_it_would_be_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sweep, out, alone) = (write(folder.path(), ""), folder.path().join("out"), folder.path().join("alone"));
    let dry = succeed(&["sweep", text(&sweep), "--out", text(&out), "--dry-run"]);
    // The dense control has no sparsity; with its measure axis it is the base's own measured one: 2 + 4 + 4, and 2 starts.
    assert!(dry.contains("12 runs, 10 cells"), "{dry}");
    assert!(!out.exists(), "a dry run leaves nothing");
    let said = stderr(&output(&["sweep", text(&sweep), "--out", text(&out), "--jobs", "2"]));
    assert!(said.contains("report"), "{said}");
    assert!(out.join("report/index.html").exists());
    let all = cells(&out);
    assert_eq!(all.len(), 10);
    let starts = cells(&out.join(".starts"));
    assert_eq!(starts.len(), 2, "one dense training a seed");
    // What the manifest says repeats a cell leads to the same bytes and the same facts, without any shared start.
    for cell in [&all[0], &all[5], &all[9]] {
        let manifest = manifest(cell);
        let words = manifest["command"].as_array().expect("words").iter().skip(1);
        let mut typed: Vec<&str> = words.map(|word| word.as_str().expect("text")).collect();
        typed.extend(["--out", text(&alone)]);
        succeed(&typed);
        let twin = alone.join(cell.file_name().expect("named"));
        assert_eq!(model(cell), model(&twin), "{}", cell.display());
        assert_eq!(facts(cell), facts(&twin), "{}", cell.display());
    }
    // A cell names its own origin and that of the start, and its log has the sessions of both.
    let forked = all.iter().find(|cell| !manifest(cell)["forked_from"].is_null()).expect("a cell that forked");
    let from = &manifest(forked)["forked_from"];
    let start = out.join(".starts").join(from["run"].as_str().expect("a name"));
    let begun = manifest(&start);
    assert_eq!((&from["commit"], &from["processor"]), (&begun["commit"], &begun["processor"]));
    let told = sessions(forked);
    assert_eq!((told.len(), &told[0]["checkpoint"]), (2, &serde_json::Value::Null));
    assert!(told[1]["checkpoint"].as_str().is_some_and(|name| name.starts_with("stage-")), "{told:?}");
    // Finished cells are left alone, and one that was killed between its model and its log's last line is completed.
    let before = fs::metadata(all[3].join("log.jsonl")).expect("there").modified().expect("a time");
    let (log, whole) = (all[5].join("log.jsonl"), facts(&all[5]));
    let told = fs::read_to_string(&log).expect("a log");
    fs::write(&log, &told[..told.trim_end().rfind('\n').expect("lines") + 1]).expect("cut");
    succeed(&["sweep", text(&sweep), "--out", text(&out)]);
    assert_eq!(fs::metadata(all[3].join("log.jsonl")).expect("there").modified().expect("a time"), before);
    assert_eq!(facts(&all[5]), whole);
    // A cell that goes on from a damaged start fails, and leaves the start, another run's folder, as it is.
    let newest = checkpoints(&start).pop().expect("a checkpoint");
    let state = start.join("checkpoints").join(newest).join("state.safetensors");
    let bytes = fs::read(&state).expect("a state");
    fs::write(&state, &bytes[1..]).expect("written");
    fs::remove_dir_all(forked).expect("removed");
    let before = content(&start);
    let said = fail(&["sweep", text(&sweep), "--out", text(&out)]);
    assert!(said.contains("error: 1 of ") && said.contains("runs failed; the others are finished"), "{said}");
    assert!(content(&start) == before);
}

#[test]
fn a_sweep_that_is_stopped_or_killed_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, torn) = (folder.path().join("whole"), folder.path().join("torn"));
    let sweep = write(folder.path(), "");
    succeed(&["sweep", text(&sweep), "--out", text(&whole), "--jobs", "2"]);
    // Told to stop: its runs save, it says so and ends with 130; then killed outright: its runs notice, and the next sweep
    // waits until they have left.
    for signal in ["TERM", "KILL"] {
        let before = sessions_below(&torn);
        let mut child = start(&["sweep", text(&sweep), "--out", text(&torn), "--jobs", "2"]);
        // Once it has begun a run it takes signals; the second time there may be nothing left to begin.
        while sessions_below(&torn) == before && child.try_wait().expect("a child").is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        // It may have ended by itself.
        std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().expect("kill");
        let code = child.wait().expect("it ends").code();
        if signal == "TERM" {
            assert!(matches!(code, Some(130) | Some(0)), "{code:?}");
        }
    }
    succeed(&["sweep", text(&sweep), "--out", text(&torn)]);
    for (one, other) in cells(&whole).iter().zip(cells(&torn)) {
        assert_eq!(one.file_name(), other.file_name());
        assert_eq!(model(one), model(&other), "{}", one.display());
        assert_eq!(facts(one), facts(&other), "{}", one.display());
    }
    assert_eq!(cells(&torn).len(), 10);
}

#[test]
fn a_cell_that_fails_stops_no_other_and_is_told_with_its_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let wild = "[[methods]]\nname = \"wild\"\nset = { \"retrain.lr\" = 1e30 }\n";
    let lost = "[[methods]]\nname = \"lost\"\nset = { \"train.optimizer\" = { kind = \"sgd\", lr = 1e30 } }";
    let (sweep, out) = (write(folder.path(), &format!("{wild}{lost}")), folder.path().join("out"));
    let said = fail(&["sweep", text(&sweep), "--out", text(&out), "--jobs", "2"]);
    assert!(said.contains("6 of 24 runs failed; 6 that begin with one of them were not begun"), "{said}");
    // Each by a log that is there; what was not begun has none.
    let logs: Vec<&str> = said.lines().filter_map(|line| Some(line.split_once("it said: ")?.1)).collect();
    assert!(logs.len() == 6 && logs.iter().all(|log| Path::new(log).is_file()), "{said}");
    let (_, told) = said.split_once("it said: ").expect("a log's place");
    let log = fs::read_to_string(told.lines().next().expect("a path")).expect("a log");
    assert!(log.contains("training diverged"), "{log}");
    let finished = cells(&out).iter().filter(|run| run.join("model.safetensors").exists()).count();
    assert_eq!(finished, 10);
    assert!(out.join("report/index.html").exists(), "what has finished is reported");
}

#[test]
fn faults_are_named_before_anything_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sweep.toml");
    for (text_of, wanted) in [
        ("name = \"s\"\nbase = \"configs/nowhere.toml\"\nseeds = [1]", "configs/nowhere.toml"),
        ("name = \"s\"\nbase = \"configs/smoke.toml\"\nseeds = []", "`seeds` is empty"),
        ("name = \"s\"", "the key `base` is missing"),
        ("name = \"s s\"\nbase = \"configs/smoke.toml\"\nseeds = [1]", "`name`: found"),
    ] {
        fs::write(&path, text_of).expect("room");
        let said = fail(&["sweep", text(&path), "--out", text(&folder.path().join("out"))]);
        assert!(said.contains(wanted), "{text_of}: {said}");
    }
    assert!(!folder.path().join("out").exists());
    let said = fail(&["sweep-cell", "--out", text(folder.path()), "--name", "nobody"]);
    assert!(said.contains(".cells/nobody.toml: cannot read"), "{said}");
}
