//! `secateur prune`: every budget is met, the file holds what was told, and what cannot be done is refused before anything is written.

use super::*;
use secateur_sparse::Trained;
use serde_json::Value;

/// Prunes the run's dense network; what was told as JSON, and the file's network.
fn pruned(out: &Path, args: &[&str]) -> (Value, Trained) {
    let all = [&["prune", text(run()), "--checkpoint", "dense", "--json", "--out", text(out)], args].concat();
    let told: Value = serde_json::from_str(&succeed(&all)).expect("JSON");
    let model = Model::open(out, None).expect("a model");
    assert_eq!(told["bytes"].as_u64().expect("a size"), fs::metadata(out).expect("a file").len());
    for own in told["layers"].as_array().expect("layers") {
        let name = own["name"].as_str().expect("a name").trim_end_matches(".weight");
        let layers = model.network.layers();
        let layer = layers.iter().find(|layer| layer.name == name).expect("a layer of the network");
        let kept = layer.weight.iter().filter(|weight| **weight != 0.0).count();
        assert_eq!(own["kept"].as_u64(), Some(kept as u64), "{name}");
    }
    (told, model.network)
}

/// Kept weights and all of them.
fn counts(told: &Value) -> [u64; 2] {
    let sum = |key: &str| {
        told["layers"].as_array().expect("layers").iter().map(|own| own[key].as_u64().expect("a count")).sum()
    };
    [sum("kept"), sum("weights")]
}

#[test]
fn a_sparsity_is_met_exactly_whatever_the_images_are() {
    let folder = folder();
    let pixels: Vec<u8> = (0..20 * 784u32).map(|place| (place * 7919 % 251) as u8).collect();
    let head = [[0, 0, 8, 3], 20u32.to_be_bytes(), 28u32.to_be_bytes(), 28u32.to_be_bytes()].concat();
    let idx = written(folder.path(), "some-images", &[head, pixels].concat());
    let mut agreements = vec![];
    for (place, more) in [
        &[][..],
        &["--no-reconstruction", "--scope", "global"],
        &["--calibration", text(&idx)],
        &["--calibration", text(&idx), "--scope", "erk"],
    ]
    .into_iter()
    .enumerate()
    {
        let out = folder.path().join(format!("{place}.secateur"));
        let (told, _) = pruned(&out, &[&["--sparsity", "0.9"], more].concat());
        let [kept, all] = counts(&told);
        assert_eq!(kept, all - (0.9 * all as f64).round() as u64, "{more:?}");
        let answers = told["answers"].as_array().expect("answers");
        assert_eq!(answers.len(), if place < 2 { 2 } else { 1 }, "judges, and the run's test images: {answers:?}");
        assert_eq!(answers[0]["count"], if place < 2 { 200 } else { 10 });
        agreements.push(answers.last().expect("some")["after"]["agreement"].as_f64().expect("a number"));
    }
    assert!(agreements[0] > agreements[1], "images help: {agreements:?}");
    let again = folder.path().join("again.onnx");
    let (_, onnx) = pruned(&again, &["--sparsity", "0.9"]);
    let first = Model::open(&folder.path().join("0.secateur"), None).expect("a model").network;
    assert_eq!(onnx.layers(), first.layers(), "the same weights in another format, each time");
}

#[test]
fn budgets_are_met() {
    let folder = folder();
    let (told, _) = pruned(&folder.path().join("within.secateur"), &["--within", "2"]);
    let judged = &told["answers"][0];
    let accuracy = |when: &str| judged[when]["accuracy"].as_f64().expect("labels are known");
    assert!(accuracy("before") - accuracy("after") <= 0.02 + 1e-9, "{judged}");
    let [kept, all] = counts(&told);
    assert!(kept < all / 2, "{kept} of {all}");
    let small = folder.path().join("small.secateur");
    let (told, _) = pruned(&small, &["--within-bytes", "9000", "--values", "int8"]);
    let bytes = told["bytes"].as_u64().expect("a size");
    assert!((8000..=9000).contains(&bytes), "{bytes}");
    // Whatever the clock of this machine says, a second is enough, and nothing goes.
    let (told, _) = pruned(&folder.path().join("fast.secateur"), &["--within-ms", "1000"]);
    let [kept, all] = counts(&told);
    assert_eq!(kept, all);
}

#[test]
fn without_images_the_smallest_weights_go_and_that_is_said() {
    let folder = folder();
    let own = exported(folder.path());
    let said = succeed(&["prune", text(&own), "--sparsity", "0.95", "--exclude", "conv1.*"]);
    assert!(said.contains("no images: whether the answers are still good is not known"), "{said}");
    assert!(!said.contains("conv1") && said.contains("fc3.weight"), "{said}");
    assert!(folder.path().join("own-pruned.secateur").exists());
}

#[test]
fn what_cannot_be_pruned_is_refused_and_nothing_is_written() {
    let folder = folder();
    let own = exported(folder.path());
    let out = folder.path().join("out.secateur");
    fs::create_dir(folder.path().join("empty")).expect("a folder");
    let empty = folder.path().join("empty");
    let npz = written(folder.path(), "none.npz", b"no zip");
    let head = [[0, 0, 8, 3], 1u32.to_be_bytes(), 28u32.to_be_bytes(), 28u32.to_be_bytes()].concat();
    let one = written(folder.path(), "one-image", &[head, vec![7; 784]].concat());
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder");
    for part in ["train", "t10k"] {
        let sides = [4u32, 28, 28].map(u32::to_be_bytes).concat();
        written(&data, &format!("{part}-images-idx3-ubyte"), &[vec![0, 0, 8, 3], sides, vec![7; 4 * 784]].concat());
        written(&data, &format!("{part}-labels-idx1-ubyte"), &[0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 2, 11]);
    }
    for (args, expected) in [
        (&["--sparsity", "1"][..], "--sparsity"),
        (&["--sparsity", "NaN"], "--sparsity"),
        (&["--within", "101"], "expected percentage points from 0 to 100"),
        (&["--within-ms", "0"], "expected a number of milliseconds above 0"),
        (&["--within-bytes", "3"], "--within-bytes 3"),
        (&["--within-bytes", "9000", "--out", "other.onnx"], "counts the bytes of a .secateur file"),
        (&["--sparsity", "0.5", "--calibration", text(&one)], "found 1 image, expected at least 2"),
        (&["--within-bytes", "300"], "the smallest network that pruning finds has"),
        (&["--within", "1"], "needs images to compare answers on"),
        (&["--sparsity", "0.5", "--include", "fc9.*"], "`fc9.*` matches no parameter"),
        (&["--sparsity", "0.5", "--calibration", text(&empty)], "found no PNG or JPEG file in this folder"),
        (&["--sparsity", "0.5", "--calibration", text(&npz)], "no npz file"),
        (&["--sparsity", "0.5", "--calibration", "nothing.png"], "nothing.png"),
        (
            &["--sparsity", "0.5", "--data", text(&data)],
            "the data has the label 11, expected 0 to 9, as the model answers",
        ),
    ] {
        let to = if args.contains(&"--out") { &[][..] } else { &["--out", text(&out)] };
        let said = fail(&[&["prune", text(&own)], args, to].concat());
        assert!(said.contains(expected), "{args:?}: {said}");
        assert!(!out.exists(), "{args:?}");
    }
    let other = self::folder();
    for (path, expected) in no_models(other.path()) {
        let said = fail(&["prune", text(&path), "--sparsity", "0.5", "--out", text(&out)]);
        assert!(said.contains(expected), "{}: {said}", path.display());
    }
    let said = fail(&["prune", text(&own), "--sparsity", "0.5", "--out", text(&own), "--force"]);
    assert!(said.contains("is the model itself"), "{said}");
    for args in [&["prune", text(&own)][..], &["prune", text(&own), "--sparsity", "0.5", "--within", "1"]] {
        assert_eq!(output(args).status.code(), Some(2), "one budget is asked for: {args:?}");
    }
}
