//! A report over a folder of runs: seeds are averaged, everything that was given is named, nothing is mixed.

mod common;

use common::*;
use std::fs;
use std::path::Path;

/// Runs the smoke config into `out`, changed.
fn run(out: &Path, changes: &[&str]) {
    let changes: Vec<&str> = changes.iter().flat_map(|&change| ["--set", change]).collect();
    succeed(&[&["run", "configs/smoke.toml", "--out", text(out)], &changes[..]].concat());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for file in ["log.jsonl", "manifest.json", "experiment.toml", "config.toml"] {
        fs::copy(from.join(file), to.join(file)).expect("copied");
    }
}

fn change(file: &Path, how: impl Fn(&str) -> String) {
    let changed = how(&fs::read_to_string(file).expect("text"));
    fs::write(file, changed).expect("written");
}

#[test]
fn a_folder_of_runs_is_one_report_and_nothing_is_left_out_in_silence() {
    let out = tempfile::tempdir().expect("a folder");
    let runs = out.path().join("runs");
    for seed in ["seed=1", "seed=2", "seed=3"] {
        run(&runs, &[seed]);
        run(&runs, &[seed, "prune.criterion=\"random\"", "name=\"control\""]);
        run(&runs, &[seed, "prune.enabled=false", "name=\"dense\""]);
    }
    let good = fs::read_dir(&runs).expect("runs").map(|entry| entry.expect("readable").path()).min().expect("a run");
    let bad = runs.join("z-bad");
    for name in ["empty", "config-only"] {
        fs::create_dir_all(bad.join(name)).expect("a folder");
    }
    fs::copy(good.join("config.toml"), bad.join("config-only/config.toml")).expect("copied");
    for name in ["no-log", "half", "newer", "older", "torn", "no-manifest", "fashion"] {
        copy(&good, &bad.join(name));
    }
    fs::remove_file(bad.join("no-log/log.jsonl")).expect("removed");
    change(&bad.join("half/log.jsonl"), |log| log[..40].to_owned());
    change(&bad.join("newer/log.jsonl"), |log| log.replacen("{\"v\":2", "{\"v\":9", 1));
    change(&bad.join("older/log.jsonl"), |log| log.replacen("{\"v\":2", "{\"v\":0", 1));
    change(&bad.join("torn/log.jsonl"), |log| log.replacen("\"event\":\"tested\"", "\"event\":\"tes", 1));
    fs::remove_file(bad.join("no-manifest/manifest.json")).expect("removed");
    change(&bad.join("fashion/log.jsonl"), |log| {
        resealed(&log.replacen("\"dataset\":\"synthetic\"", "\"dataset\":\"fashion\"", 1))
    });

    let page = out.path().join("page");
    let missing = out.path().join("missing");
    let done = output(&["report", text(&runs), text(&missing), "--out", text(&page)]);
    let (table, said) = (String::from_utf8_lossy(&done.stdout).into_owned(), stderr(&done));
    assert!(done.status.success() && table.contains("vs random") && table.contains(" ± "), "{table}{said}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    // One line for all files; -v names them.
    let files: Vec<&str> = said.lines().filter(|line| line.contains("wrote ")).collect();
    assert!(files.len() == 1 && files[0].contains(&format!("files to {}; open ", page.display())), "{said}");
    let html = fs::read_to_string(page.join("index.html")).expect("a page");
    let (_, apart) = html.split_once("id=\"apart\"").expect("what stands apart is named");
    let (apart, _) = apart.split_once("</section>").expect("closed");
    for (name, why) in [
        ("no-log", "found no log.jsonl"),
        ("empty", "found no log.jsonl"),
        ("config-only", "found no log.jsonl"),
        ("half", "holds no complete line"),
        ("newer", "found version 9, this program reads up to version 2"),
        ("older", "wanted version 1 to 2"),
        ("torn", "wanted an event of version 1 to 2"),
        ("missing", "cannot look into the folder"),
        // A copy of a run says what that says; it is listed and not averaged.
        ("no-manifest", "which would count twice"),
        ("fashion", "on fashion"),
    ] {
        let row =
            apart.lines().find(|line| line.contains(&format!("{name}<"))).unwrap_or_else(|| panic!("{name}: {apart}"));
        assert!(row.contains(why), "{name}: {row}");
    }

    let series = fs::read_to_string(page.join("series.json")).expect("a table");
    let series: serde_json::Value = serde_json::from_str(&series).expect("JSON");
    let rows = series.as_array().expect("rows");
    let of = |name: &str, dataset: &str| {
        let matches =
            |row: &&serde_json::Value| row["series"] == name && row["dataset"] == dataset && row["target"] == 0.95;
        rows.iter().find(matches).unwrap_or_else(|| panic!("{name} on {dataset}")).clone()
    };
    assert_eq!((&of("smoke", "synthetic")["n"], &of("smoke", "synthetic")["seeds"]), (&3.into(), &"1 2 3".into()));
    assert_eq!(of("smoke", "synthetic")["vs_random_pairs"], 3);
    assert_eq!(
        (&of("smoke", "synthetic")["vs_dense_pairs"], &of("control", "synthetic")["vs_dense_pairs"]),
        (&3.into(), &3.into())
    );
    assert_eq!(of("control", "fashion")["n"], 1, "never mixed");
    // The mean is that of the logs.
    let mut sum = 0.0;
    for entry in fs::read_dir(&runs).expect("runs") {
        let path = entry.expect("readable").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("smoke")) {
            let last = facts_of(&path, "tested").pop().expect("a test");
            sum +=
                last["score"]["correct"].as_f64().expect("a count") / last["score"]["total"].as_f64().expect("a count");
        }
    }
    let mean = of("smoke", "synthetic")["accuracy_mean"].as_f64().expect("a mean");
    assert!((mean - sum / 3.0).abs() < 1e-12, "{mean} {sum}");

    // Only what cannot be shown: an error that says why, and no page.
    let said =
        fail(&["report", text(&bad.join("half")), text(&bad.join("newer")), "--out", text(&out.path().join("none"))]);
    assert!(said.contains("holds no complete line") && said.contains("found version 9"), "{said}");
    assert!(!out.path().join("none").exists());
}

#[test]
fn settings_that_a_log_does_not_hold_part_runs_of_one_name() {
    let out = tempfile::tempdir().expect("a folder");
    run(out.path(), &["seed=1"]);
    run(out.path(), &["seed=2", "train.lr_schedule={ kind = \"cosine\" }"]);
    succeed(&["report", text(out.path())]);
    let series = fs::read_to_string(out.path().join("report/series.json")).expect("a table, in the folder of the runs");
    let series: serde_json::Value = serde_json::from_str(&series).expect("JSON");
    let counts: Vec<_> = series.as_array().expect("rows").iter().map(|row| row["n"].as_u64()).collect();
    assert!(counts.iter().all(|count| *count == Some(1)), "{counts:?}");
}
