//! `secateur bench`: what it says fits together. Times are read here, never judged.

use super::*;
use secateur_sparse::InstructionSet;
use secateur_sparse::file::Precision;
use serde_json::Value;

fn bench(args: &[&str]) -> Value {
    let said = succeed(&[&["bench", "--seconds", "0.01", "--json"], args].concat());
    serde_json::from_str(&said).expect("JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("found {value}, wanted a number"))
}

#[test]
fn every_model_and_batch_size_has_its_numbers() {
    let folder = folder();
    let small = exported(folder.path());
    let answer = bench(&[text(run()), text(&small), "--batch", "1,16", "--threads", "1"]);
    assert_eq!(answer["instruction_set"], InstructionSet::best().name());
    assert!(number(&answer["cores"]) >= 1.0);
    let rows = answer["results"].as_array().expect("a list");
    let mut places: Vec<_> = rows.iter().map(|row| (row["model"].as_str(), row["batch"].as_u64())).collect();
    places.sort();
    let mut wanted: Vec<_> = [1, 16]
        .iter()
        .flat_map(|batch| [(Some(text(run())), Some(*batch)), (Some(text(&small)), Some(*batch))])
        .collect();
    wanted.sort();
    assert_eq!(places, wanted);
    let (network, info) = (network(), model().info);
    let (smaller, _) = network.compacted();
    for row in rows {
        assert_eq!(row["threads"], 1);
        let file = smaller.encode(&info, Precision::F32).expect("small weights").len();
        assert_eq!(row["file_bytes"].as_u64(), Some(file as u64), "the name is the same, so the bytes are");
        let [dense, sparse, compacted] = ["dense", "sparse", "compacted"].map(|form| &row[form]);
        for own in [dense, sparse, compacted] {
            let (ms, batch) = (number(&own["call_ms"]), number(&row["batch"]));
            assert!(ms > 0.0);
            assert!((number(&own["images_per_s"]) * ms / 1e3 / batch - 1.0).abs() < 1e-6);
            assert!((number(&own["speedup"]) * ms / number(&dense["call_ms"]) - 1.0).abs() < 1e-6);
            assert!(number(&own["engine_bytes"]) >= number(&own["weight_bytes"]));
            assert!(number(&own["same_answers"]) >= 0.99 && number(&own["max_logit_delta"]) < 1e-3, "{own}");
        }
        assert_eq!(number(&dense["macs"]), network.cost().macs as f64);
        assert_eq!(number(&sparse["macs"]), network.cost().remaining_macs as f64);
        assert_eq!(number(&compacted["macs"]), smaller.cost().remaining_macs as f64);
        // The run's own test images tell the accuracy; a file alone has none.
        let is_run = row["model"] == text(run());
        assert_eq!(dense["accuracy"].as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)), is_run, "{row}");
        assert_eq!(row["images"].as_str().expect("words").contains("made-up"), !is_run);
    }
}

#[test]
fn the_table_has_a_row_for_each_form() {
    let said = succeed(&["bench", text(run()), "--batch", "16", "--seconds", "0.01", "--values", "int8"]);
    for word in ["dense", "sparse", "compacted", "int8", "images/s", "test images of synthetic"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn a_file_is_held_as_it_holds_its_weights() {
    let folder = folder();
    let out = folder.path().join("int8.secateur");
    succeed(&["export", text(run()), "--values", "int8", "--compact", "--out", text(&out)]);
    let bytes = fs::metadata(&out).expect("a file").len();
    let answer = bench(&[text(&out), text(run()), "--batch", "16", "--threads", "1"]);
    let [file, run] = [0, 1].map(|place: usize| &answer["results"][place]);
    assert_eq!((&file["values"], file["file_bytes"].as_u64()), (&Value::from("int8"), Some(bytes)));
    assert_eq!(run["values"], "f32");
    // Its codes and scales are used as they are, so only the order of sums differs from the file's values as f32.
    for form in ["dense", "sparse", "compacted"] {
        assert!(number(&file[form]["max_logit_delta"]) < 1e-3, "{file}");
    }
    let said = succeed(&["bench", text(&out), "--batch", "16", "--seconds", "0.01"]);
    assert!(said.contains(&format!("weights as int8, {bytes} bytes")), "{said}");
    let answer = bench(&[text(&out), "--batch", "16", "--values", "f16"]);
    assert_eq!(answer["results"][0]["values"], "f16");
}

#[test]
fn what_cannot_be_timed_is_named() {
    let folder = folder();
    let here = text(run());
    for (path, wanted) in no_models(folder.path()) {
        let said = fail(&["bench", text(&path), "--seconds", "0.01"]);
        assert!(said.contains(wanted), "{}: {said}", path.display());
    }
    for (args, wanted) in [
        (&["--seconds", "0"][..], "--seconds is 0"),
        (&["--seconds", "NaN"], "--seconds is NaN"),
        (&["--data", "no/such/folder"], "no/such/folder"),
    ] {
        assert!(fail(&[&["bench", here], args].concat()).contains(wanted), "{args:?}");
    }
    for args in [&[][..], &[here, "--batch", "0"], &[here, "--batch", "1,x"], &[here, "--threads", "-1"]] {
        assert_eq!(output(&[&["bench"], args].concat()).status.code(), Some(2), "{args:?}");
    }
}
