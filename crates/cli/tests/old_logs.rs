//! Runs whose logs an earlier version wrote: they tell their method in words, and the config beside them tells the rest.

mod common;

use common::*;
use std::fs;
use std::path::Path;

const OLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../report/tests/testdata/run-v1");

/// A run of version 1 with this seed, changed.
fn old_run(to: &Path, seed: u64, change: impl Fn(&str, String) -> String) {
    fs::create_dir_all(to).expect("a folder");
    for name in ["log.jsonl", "experiment.toml", "manifest.json"] {
        let text = fs::read_to_string(Path::new(OLD).join(name)).expect("test data");
        let text = text.replacen("\"seed\":1", &format!("\"seed\":{seed}"), 1);
        let text = text.replacen("seed = 1", &format!("seed = {seed}"), 1);
        fs::write(to.join(name), change(name, text)).expect("written");
    }
}

/// How many seeds each series has at 95 %.
fn seeds(runs: &Path) -> Vec<u64> {
    let page = tempfile::tempdir().expect("a folder");
    succeed(&["report", text(runs), "--out", text(page.path()), "--no-models"]);
    let series = fs::read_to_string(page.path().join("series.json")).expect("a table");
    let series: serde_json::Value = serde_json::from_str(&series).expect("JSON");
    let rows = series.as_array().expect("rows").iter();
    rows.filter(|row| row["target"] == 0.95).map(|row| row["n"].as_u64().expect("a count")).collect()
}

#[test]
fn old_runs_are_seeds_of_one_series_where_their_configs_say_that_they_are() {
    let runs = tempfile::tempdir().expect("a folder");
    let add = |name: &str, seed, change: &dyn Fn(&str, String) -> String| {
        old_run(&runs.path().join(name), seed, change);
    };
    add("a", 1, &|_, text| text);
    add("b", 2, &|_, text| text);
    assert_eq!(seeds(runs.path()), [2]);
    // A run of today with the same config splits its data otherwise only where that is not synthetic.
    succeed(&["run", "configs/smoke.toml", "--out", text(runs.path()), "--set", "seed=3"]);
    assert_eq!(seeds(runs.path()), [3]);
    // Another rate, which the old log does not tell.
    add("c", 4, &|_, text| text.replace("kind = \"constant\"", "kind = \"cosine\""));
    assert_eq!(seeds(runs.path()), [3, 1]);
    // A config that cannot be read, and one that is another run's: nobody knows what these are repetitions of.
    add("d", 5, &|name, text| if name == "experiment.toml" { "no = toml [".into() } else { text });
    add("e", 6, &|name, text| if name == "experiment.toml" { text.replace("width = 1", "width = 2") } else { text });
    assert_eq!(seeds(runs.path()), [3, 1, 1, 1]);
}
