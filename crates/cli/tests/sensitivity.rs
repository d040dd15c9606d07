//! `secateur sensitivity` as a user meets it: what it measures, that it only reads, and what it says to bad input.

mod common;

use common::*;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A run of the smoke config with changes, in a folder of its own.
fn run(out: &Path, changes: &[&str]) -> PathBuf {
    let mut args = vec!["run", "configs/smoke.toml", "--out", text(out), "--set", "measure.enabled=false"];
    changes.iter().for_each(|change| args.extend(["--set", change]));
    succeed(&args);
    only_run(out).expect("a run")
}

const DENSE: &str = "prune.enabled=false";

/// What the verb writes as JSON, and its stdout.
fn measured(run: &Path, out: &Path, more: &[&str]) -> (Value, String) {
    let stdout = succeed(&[&["sensitivity", text(run), "--out", text(out)], more].concat());
    let json = fs::read(out.join("sensitivity.json")).expect("written");
    (serde_json::from_slice(&json).expect("JSON"), stdout)
}

/// The validation score of the network that training left: the last best epoch of a cycle.
fn validation(run: &Path, cycle: u64) -> Value {
    let epochs = facts_of(run, "epoch_ended");
    let best = epochs.iter().rfind(|epoch| epoch["cycle"] == cycle && epoch["best"] == true);
    best.expect("a best epoch")["validation"].clone()
}

fn last_cycle(run: &Path) -> u64 {
    facts_of(run, "epoch_ended").pop().expect("an epoch")["cycle"].as_u64().expect("a number")
}

fn count(value: &Value) -> u64 {
    value.as_u64().expect("a count")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// Points of top-1 that a score is below the one before.
fn lost(found: &Value, score: &Value) -> f64 {
    let before = &found["before"];
    100.0 * (number(&before["correct"]) - number(&score["correct"])) / number(&before["total"])
}

#[test]
fn a_dense_run_is_measured_and_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = run(&dir.path().join("runs"), &[DENSE]);
    let before = content(&run);
    let out = dir.path().join("out");
    let grid = ["--sparsities", "0.9,0,0.5", "--within", "2"];
    let (found, table) = measured(&run, &out, &grid);
    assert_eq!(found["before"], validation(&run, last_cycle(&run)), "what training left");
    assert_eq!(found["sparsities"], serde_json::json!([0.0, 0.5, 0.9]));
    let layers = list(&found["layers"]);
    let names: Vec<_> = layers.iter().map(|layer| layer["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight", "fc3.weight"]);
    for layer in layers {
        let points = list(&layer["points"]);
        assert_eq!((points.len(), count(&layer["pruned"])), (3, 0));
        for point in points {
            let wanted = (number(&point["sparsity"]) * number(&layer["weights"])).round() as u64;
            assert_eq!(count(&point["pruned"]), wanted, "{point}");
        }
        assert_eq!(points[0]["score"], found["before"], "at sparsity 0 nothing is lost");
        assert!(table.contains(layer["name"].as_str().expect("a name")));
    }
    assert!(layers.iter().any(|layer| lost(&found, &layer["points"][2]["score"]) > 2.0), "something is lost at 90 %");
    for file in ["sensitivity.svg", "sensitivity.png"] {
        assert!(fs::metadata(out.join(file)).expect("written").len() > 2_000, "{file}");
    }
    assert_eq!(fs::read_to_string(out.join("sensitivity.csv")).expect("written").lines().count(), 1 + 5 * (3 + 1));

    // Again, with another number of threads: the same bytes.
    let again = dir.path().join("again");
    measured(&run, &again, &[&grid[..], &["--threads", "1"]].concat());
    let files = |folder: &Path| content(folder).into_values().collect::<Vec<_>>();
    assert!(files(&out) == files(&again), "the same bytes");
    assert!(content(&run) == before, "the run is only read");
    let beside: Vec<_> = fs::read_dir(dir.path().join("runs")).expect("readable").collect();
    assert_eq!(beside.len(), 1, "nothing appears beside it");

    // JSON on stdout is the file; fewer images are as many as asked.
    let few = dir.path().join("few");
    let (found, stdout) = measured(&run, &few, &["--sparsities", "0.5", "--images", "30", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&stdout).expect("JSON"), found);
    assert_eq!(found["before"]["total"], 30);

    // burn's operations come to the same within what rounding can turn.
    let (twin, _) = measured(&run, &few, &["--sparsities", "0.5", "--device", "flex"]);
    let (own, _) = measured(&run, &few, &["--sparsities", "0.5"]);
    for (twin, own) in list(&twin["layers"]).iter().zip(list(&own["layers"])) {
        let right = |layer: &Value| count(&layer["points"][0]["score"]["correct"]);
        assert!(right(twin).abs_diff(right(own)) <= 2, "{twin} {own}");
        assert_eq!(twin["points"][0]["pruned"], own["points"][0]["pruned"]);
    }
}

#[test]
fn what_is_within_is_the_edge_to_a_thousandth() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = run(&dir.path().join("runs"), &[DENSE]);
    let out = dir.path().join("out");
    let (found, _) = measured(&run, &out, &["--sparsities", "0.5,0.999", "--within", "1.5"]);
    let edges: Vec<f64> = list(&found["layers"]).iter().map(|layer| number(&layer["within"]["sparsity"])).collect();
    // A thousandth above each edge is asked for by itself.
    let above = |edge: f64| (1_000.0 * edge + 1.0).round() / 1_000.0;
    let grid: Vec<String> = edges.iter().flat_map(|edge| [edge.to_string(), above(*edge).to_string()]).collect();
    let (again, _) = measured(&run, &out, &["--sparsities", &grid.join(",")]);
    for ((layer, fresh), edge) in list(&found["layers"]).iter().zip(list(&again["layers"])).zip(edges) {
        let at = |sparsity: f64| {
            let points = list(&fresh["points"]);
            points.iter().find(|point| number(&point["sparsity"]) == sparsity).expect("asked for").clone()
        };
        assert_eq!(at(edge), layer["within"], "the same by itself");
        assert!(lost(&found, &layer["within"]["score"]) <= 1.5);
        assert!(edge < 0.999 && lost(&found, &at(above(edge))["score"]) > 1.5, "{layer}");
    }
}

#[test]
fn what_is_printed_for_the_next_config_gives_these_layers_these_sparsities() {
    let dir = tempfile::tempdir().expect("a folder");
    let run_folder = run(&dir.path().join("runs"), &[DENSE]);
    let (found, stdout) = measured(&run_folder, &dir.path().join("out"), &["--within", "1"]);
    let fragment = &stdout[stdout.find("# To paste below [prune], with scope = \"layerwise\"").expect("printed")..];
    let typed = format!(
        "name = \"pasted\"\n[data]\nsource = \"synthetic\"\nvalidation = 200\n[model]\nkind = \"lenet\"\nwidth = 1\n\
         [train]\nlength = {{ steps = 1 }}\n[prune]\nschedule = {{ kind = \"one-shot\", sparsity = 0.97 }}\n\
         every = {{ steps = 1 }}\nscope = \"layerwise\"\n{fragment}[measure]\nenabled = false\n"
    );
    let config = dir.path().join("pasted.toml");
    fs::write(&config, typed).expect("written");
    let pasted = dir.path().join("pasted");
    succeed(&["run", text(&config), "--out", text(&pasted)]);
    let pruned = facts_of(&only_run(&pasted).expect("a run"), "pruned").pop().expect("a prune");
    for (layer, own) in list(&found["layers"]).iter().zip(list(&pruned["layers"])) {
        assert_eq!(layer["name"], own["name"]);
        let gone = count(&own["total"]) - count(&own["kept"]);
        assert_eq!(gone, count(&layer["within"]["pruned"]), "as many weights as were measured: {layer}");
        let common = (0.97 * number(&own["total"])).round() as u64;
        assert_ne!(gone, common, "not the common target: {layer}");
    }
}

#[test]
fn a_pruned_run_goes_on_from_its_masks_and_its_dense_end_has_a_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = run(&dir.path().join("runs"), &[]);
    let out = dir.path().join("out");
    let (found, table) = measured(&run, &out, &["--sparsities", "0.3,0.97", "--within", "1"]);
    assert_eq!((&found["before"], &found["checkpoint"]), (&validation(&run, 4), &Value::Null));
    let pruned = facts_of(&run, "pruned").pop().expect("a prune");
    for (layer, own) in list(&found["layers"]).iter().zip(list(&pruned["layers"])) {
        let (gone, weights) = (count(&own["total"]) - count(&own["kept"]), count(&own["total"]));
        assert!(count(&layer["pruned"]) >= gone, "masks never grow back");
        for point in list(&layer["points"]) {
            assert!(number(&point["sparsity"]) * weights as f64 + 0.5 >= gone as f64, "{layer}");
        }
        assert!(number(&layer["within"]["pruned"]) >= gone as f64, "{layer}");
    }
    assert!(table.contains("less than was pruned before"), "{table}");

    let (dense, _) = measured(&run, &out, &["--checkpoint", "dense", "--sparsities", "0.5"]);
    assert_eq!(dense["before"], validation(&run, 0));
    let name = dense["checkpoint"].as_str().expect("a name").to_owned();
    assert!(run.join("dense").join(&name).is_dir() && name.starts_with("stage-000001-"), "{name}");
    assert!(!checkpoints(&run).contains(&name), "it outlives the checkpoint of that moment");
    let tested = succeed(&["test", text(&run), "--checkpoint", "dense"]);
    let score = &facts_of(&run, "tested")[0]["score"];
    assert!(tested.contains(&format!("({} of {})", score["correct"], score["total"])), "{tested}: {score}");
    assert!(list(&dense["layers"]).iter().all(|layer| layer["pruned"] == 0));
    let (named, _) = measured(&run, &out, &["--checkpoint", &name, "--sparsities", "0.5"]);
    assert_eq!(named, dense);
}

#[test]
fn filters_go_whole_and_take_along_what_belongs_to_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let changes = [DENSE, "prune.granularity={ kind = \"filter\" }", "prune.criterion=l2"];
    let run = run(&dir.path().join("runs"), &changes);
    let (found, table) = measured(&run, &dir.path().join("out"), &["--sparsities", "0,0.5,0.99"]);
    assert!(table.contains("l2 by filter"), "{table}");
    let layers = list(&found["layers"]);
    assert_eq!(layers.len(), 4, "the last layer's neurons are the answers");
    for layer in layers {
        assert_eq!(layer["points"][0]["score"], found["before"]);
        assert!(count(&layer["points"][2]["pruned"]) < count(&layer["weights"]), "one filter stays: {layer}");
    }
    // 6 filters of 9 weights, of which 3 go.
    assert_eq!(layers[0]["points"][1]["pruned"], 27);
}

#[test]
fn the_default_folder_is_where_one_is_and_never_inside_the_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = run(&dir.path().join("runs"), &[DENSE]);
    let before = content(&run);
    let name = run.file_name().expect("named").to_string_lossy().into_owned();
    let measure = |typed: &str, here: &Path| {
        let mut command = secateur(&["sensitivity", typed, "--sparsities", "0.5", "--images", "10"]);
        command.current_dir(here).output().expect("the program starts")
    };
    let done = measure(&format!("runs/{name}/"), dir.path());
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(stderr(&done).contains(&format!("wrote {name}-sensitivity/sensitivity.csv")), "{}", stderr(&done));
    assert!(dir.path().join(format!("{name}-sensitivity/sensitivity.json")).is_file());
    for (typed, here) in [(".", run.clone()), ("..", run.join("checkpoints"))] {
        let refused = measure(typed, &here);
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains("add --out DIR"), "{}", stderr(&refused));
    }
    assert!(content(&run) == before, "the run is only read");
}

#[test]
fn bad_input_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let (whole, blind) = (run(&dir.path().join("whole"), &[]), run(&dir.path().join("blind"), &["data.validation=0"]));
    // As an earlier version left it.
    let earlier = run(&dir.path().join("earlier"), &[]);
    fs::remove_dir_all(earlier.join("dense")).expect("removed");
    let (out, file) = (dir.path().join("out"), dir.path().join("file"));
    fs::write(&file, "").expect("written");
    for (run, more, wanted) in [
        (Path::new("configs"), vec![], "no run here"),
        (Path::new("no/such/run"), vec![], "no run here"),
        (&blind, vec![], "`data.validation` above 0"),
        (&whole, vec!["--sparsities", "0.5,1"], "`--sparsities`: found 1,"),
        (&whole, vec!["--sparsities", "nan"], "`--sparsities`: found NaN"),
        (&whole, vec!["--sparsities=-0.5"], "`--sparsities`: found -0.5"),
        (&whole, vec!["--images", "201"], "`--images`: found 201, wanted from 1 to the 200 images"),
        (&whole, vec!["--images", "0"], "`--images`: found 0"),
        (&whole, vec!["--within", "101"], "`--within`: found 101"),
        (&whole, vec!["--within=-1"], "`--within`: found -1"),
        (&whole, vec!["--within", "nan"], "`--within`: found NaN"),
        (&whole, vec!["--checkpoint", "nonsense"], "no checkpoint of this name; there are stage-"),
        (&earlier, vec!["--checkpoint", "dense"], "the dense network is not there"),
        (&whole, vec!["--device", "tpu"], "device is `tpu`"),
    ] {
        let said = fail(&[&["sensitivity", text(run), "--out", text(&out)], &more[..]].concat());
        assert!(said.contains(wanted), "{more:?}: {said}");
        assert!(!out.exists(), "{more:?}: a fault before the long part leaves nothing behind");
    }
    let said = fail(&["sensitivity", text(&whole), "--out", text(&file)]);
    assert!(said.contains("file: cannot create the folder"), "{said}");
    for list in ["", "0.5,", "half"] {
        let code = output(&["sensitivity", text(&whole), "--sparsities", list]).status.code();
        assert_eq!(code, Some(2), "`{list}` cannot be read");
    }
    fs::remove_file(whole.join("model.safetensors")).expect("removed");
    assert!(fail(&["sensitivity", text(&whole), "--out", text(&out)]).contains("found no final model"));
}
