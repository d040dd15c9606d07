//! What a report shows of the models themselves, as a user meets it.

mod common;

use common::*;
use std::fs;
use std::path::Path;

fn page(report: &Path) -> String {
    fs::read_to_string(report.join("index.html")).expect("a page")
}

/// Sum of the last column of the rows that hold all of these cells.
fn sum(report: &Path, table: &str, of: &dyn Fn(&[&str]) -> bool) -> u64 {
    let text = fs::read_to_string(report.join(table)).expect("a table");
    let rows = text.lines().skip(1).map(|row| row.split(',').collect::<Vec<_>>());
    rows.filter(|row| of(row)).map(|row| row[row.len() - 1].parse::<u64>().expect("a count")).sum()
}

#[test]
fn a_report_shows_the_model_that_its_log_has_tested() {
    let out = tempfile::tempdir().expect("a folder");
    succeed(&["run", "configs/smoke.toml", "--out", text(out.path())]);
    let run = only_run(out.path()).expect("a run");
    // A run that ends leaves its report whole.
    let own = run.join("report");
    let said = page(&own);
    for text in ["The trained models", "Which class is taken for which", "Filters of conv1", "before training"] {
        assert!(said.contains(text), "{text}");
    }
    assert!(!said.contains("<mark>warning</mark>"));

    // Recomputed: all test images, and of them as many right as the log says, but for what rounding may turn round.
    let last = facts_of(&run, "tested").pop().expect("a test");
    let (correct, total) = (last["score"]["correct"].as_u64().expect("a count"), last["score"]["total"].as_u64());
    assert_eq!(Some(sum(&own, "models-answers.csv", &|_| true)), total);
    let right = sum(&own, "models-answers.csv", &|row| row[2] == row[3]);
    assert!(right == correct || said.contains("rounding may turn"), "{right} {correct}");
    // The weights in the histograms are those that the last prune kept.
    for layer in facts_of(&run, "pruned").pop().expect("a prune")["layers"].as_array().expect("layers") {
        let name = layer["name"].as_str().expect("a name");
        let kept = sum(&own, "models-weights.csv", &|row| row[2] == name && row[3] == "at the end");
        let began = sum(&own, "models-weights.csv", &|row| row[2] == name && row[3] == "before training");
        assert_eq!((Some(kept), Some(began)), (layer["kept"].as_u64(), layer["total"].as_u64()), "{name}");
    }

    // The same again, and without.
    let again = out.path().join("again");
    succeed(&["report", text(&run), "--out", text(&again)]);
    assert!(page(&again) == said, "the same run, the same page");
    let without = out.path().join("without");
    succeed(&["report", text(&run), "--no-models", "--out", text(&without)]);
    assert!(!page(&without).contains("The trained models") && !without.join("models-answers.csv").exists());

    // A log that claims more than the model does is found out, and the report is made all the same.
    let log = fs::read_to_string(run.join("log.jsonl")).expect("a log");
    let claim =
        resealed(&log.replace(&format!("\"correct\":{correct},\"total\":500"), "\"correct\":500,\"total\":500"));
    assert_ne!(claim, log);
    fs::write(run.join("log.jsonl"), claim).expect("written");
    succeed(&["report", text(&run), "--out", text(&again)]);
    let said = page(&again);
    assert!(said.contains("<mark>warning</mark>") && said.contains("but the log says 500 / 500"));

    // Nor does a model that is gone stop it; one that is not the log's has the run left out.
    let model = run.join("model.safetensors");
    let bytes = fs::read(&model).expect("a model");
    fs::remove_file(&model).expect("removed");
    succeed(&["report", text(&run), "--out", text(&again)]);
    let said = page(&again);
    assert!(said.contains("found no final model") && said.contains("accuracy-vs-sparsity.svg"));
    fs::write(&model, &bytes[..bytes.len() / 2]).expect("written");
    assert!(fail(&["report", text(&run), "--out", text(&again)]).contains("the final model was changed"));
}

#[test]
fn a_report_of_several_seeds_compares_their_masks_and_asks_data_from_elsewhere() {
    let out = tempfile::tempdir().expect("a folder");
    let base = ["run", "configs/smoke.toml", "--out", text(out.path()), "--set"];
    for seed in ["seed=1", "seed=2"] {
        succeed(&[&base[..], &[seed]].concat());
    }
    let runs: Vec<_> = fs::read_dir(out.path()).expect("runs").map(|entry| entry.expect("readable").path()).collect();
    let report = out.path().join("report");
    let args: Vec<&str> = runs.iter().map(|run| text(run)).collect();
    succeed(&[&["report"], &args[..], &["--out", text(&report)]].concat());
    let said = page(&report);
    assert!(said.contains("Do seeds keep the same weights?") && said.contains("Shown are 1 of 2 finished runs"));
    let masks = fs::read_to_string(report.join("models-masks.csv")).expect("a table");
    let rows: Vec<Vec<&str>> = masks.lines().skip(1).map(|row| row.split(',').collect()).collect();
    assert_eq!(rows.len(), 5, "a pair of seeds, a row a layer");
    for row in rows {
        let number = |cell: usize| row[cell].parse::<f64>().expect("a number");
        let (union, iou) = (number(4) + number(5) - number(6), number(8));
        assert!(row[2..4] == ["1", "2"] && (number(6) / union - iou).abs() < 1e-12, "{row:?}");
    }

    for wrong in
        [&["--no-models", "--data", "nowhere"][..], &["--models-at", "1"], &["--no-models", "--models-at", "0.5"]]
    {
        assert!(!output(&[&["report", args[0]], wrong].concat()).status.success(), "{wrong:?}");
    }
    // A run on files: where the folder is gone, the page says so.
    let idx = [
        "--set",
        "data={ source = \"idx\" }",
        "--set",
        "train.length={ steps = 2 }",
        "--set",
        "prune.every={ steps = 1 }",
    ];
    let elsewhere = tempfile::tempdir().expect("a folder");
    succeed(&[&["run", "configs/smoke.toml", "--out", text(elsewhere.path())], &idx[..]].concat());
    let run = only_run(elsewhere.path()).expect("a run");
    assert!(page(&run.join("report")).contains("of the test images are right"));
    succeed(&["report", text(&run), "--data", "nowhere"]);
    let said = page(&run.join("report"));
    assert!(said.contains("The answers of") && said.contains("are not shown") && said.contains("Filters of conv1"));
}
