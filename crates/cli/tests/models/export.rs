//! `secateur export`: every format holds the run's network, and what cannot be written leaves nothing.

use super::*;
use safetensors::SafeTensors;
use secateur_sparse::difference;
use secateur_sparse::file::{Precision, decode};
use secateur_trainer::inference::made_up;

/// Exports the run into a file of this name; returns what was said, and the file's bytes.
fn export(out: &Path, args: &[&str]) -> (String, Vec<u8>) {
    let said = succeed(&[&["export", text(run()), "--out", text(out)], args].concat());
    let bytes = fs::read(out).expect("a file");
    assert!(said.contains(&format!("{}: {} bytes", out.display(), bytes.len())), "{said}");
    (said, bytes)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

#[test]
fn the_sparse_file_holds_the_network_at_each_precision() {
    let (folder, model) = (folder(), model());
    let mut sizes = vec![];
    for (word, precision) in [("f32", Precision::F32), ("f16", Precision::F16), ("int8", Precision::Int8)] {
        let (said, bytes) = export(&folder.path().join(format!("{word}.secateur")), &["--values", word]);
        let found = decode(&bytes).expect("own file");
        assert_eq!(found.network, network().quantized(precision).expect("small weights"), "{word}");
        assert_eq!((found.info, found.precision), (model.info.clone(), precision));
        for own in found.sizes {
            let line = said.lines().find(|line| line.trim_start().starts_with(&own.name));
            assert!(line.is_some_and(|line| line.ends_with(&own.bytes.to_string())), "{}: {said}", own.name);
        }
        assert!(said.contains("500 test images of synthetic"), "{said}");
        sizes.push(bytes.len());
    }
    assert!(sizes.is_sorted_by(|a, b| a > b), "fewer bits, fewer bytes: {sizes:?}");
    assert!(sizes[0] < 4 * model.network.cost().parameters / 5, "{sizes:?}");
}

#[test]
fn compaction_is_told_and_changes_no_answer() {
    let (folder, model) = (folder(), model());
    let (said, bytes) = export(&folder.path().join("small.secateur"), &["--compact"]);
    let (smaller, [before, after]) = network().compacted();
    assert_eq!(decode(&bytes).expect("own file").network, smaller);
    let line = |name: &str| -> Vec<String> {
        let line = said.lines().map(str::trim_start).find(|line| line.starts_with(name)).expect(name);
        line[name.len()..].split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(line("units "), [before.units, after.units].map(|units| units.to_string()));
    assert_eq!(line("MACs "), [before.macs, after.macs].map(|macs| macs.to_string()));
    assert!(after.macs < before.macs, "conv1 computes what pooling does not read");
    let images = made_up(&model.network, 4);
    let delta = difference(&model.network, &smaller, images.chunks_exact(784));
    assert!(delta < 1e-4, "{delta}");
    let (again, _) = export(&folder.path().join("small.secateur"), &["--compact", "--force"]);
    assert_eq!(again, said, "no clock takes part in what is told");
}

/// What a model tells beside its weights.
fn notes(model: &Model) -> Vec<(&str, &str)> {
    model.notes.iter().map(|(key, note)| (*key, note.as_str())).collect()
}

#[test]
fn other_formats_hold_the_same_weights() {
    let (folder, model) = (folder(), model());
    let (_, dense) = export(&folder.path().join("d.safetensors"), &["--format", "safetensors"]);
    let (_, rows) = export(&folder.path().join("r.safetensors"), &["--format", "safetensors", "--csr"]);
    let (dense, rows) = [&dense, &rows].map(|bytes| SafeTensors::deserialize(bytes).expect("safetensors")).into();
    let network = network();
    for own in network.layers() {
        let name = |field: &str| format!("{}.{field}", own.name);
        assert_eq!(floats(dense.tensor(&name("weight")).expect("there").data()), own.weight);
        assert_eq!(floats(dense.tensor(&name("bias")).expect("there").data()), network.weights.get(&name("bias")));
        let kept: Vec<f32> = own.weight.iter().copied().filter(|value| *value != 0.0).collect();
        assert_eq!(floats(rows.tensor(&name("weight.values")).expect("there").data()), kept, "row by row");
    }
    for (args, batch) in [(&["--format", "onnx"][..], None), (&["--format", "onnx", "--batch", "4"], Some(4))] {
        let (_, bytes) = export(&folder.path().join(format!("{batch:?}.onnx")), args);
        assert!(bytes == model.network.onnx(&model.info.name, batch, &notes(&model)).expect("small"), "{batch:?}");
    }
}

#[test]
fn an_exported_file_is_a_model_like_any_other() {
    let folder = folder();
    let own = exported(folder.path());
    succeed(&["export", text(&own), "--format", "onnx"]);
    assert!(own.with_extension("onnx").is_file(), "beside the model, with the format's ending");
    // The run's own file is that of a reference model, which its shapes tell.
    let reference = run().join("model.safetensors");
    let out = folder.path().join("again.secateur");
    let said = succeed(&["export", text(&reference), "--out", text(&out)]);
    let again = decode(&fs::read(&out).expect("a file")).expect("own file");
    assert_eq!((again.network, again.info.name.as_str()), (network(), "lenet k=1"));
    assert!(said.contains("bytes"), "{said}");
}

#[test]
fn an_onnx_model_is_a_model_like_any_other() {
    let folder = folder();
    let onnx = folder.path().join("own.onnx");
    export(&onnx, &[]);
    let read = Model::open(&onnx, None).expect("written by us");
    assert_eq!((&read.network, notes(&read)), (&network(), notes(&model())));
    // It becomes a file of ours, compacted as the run's own is.
    let [again, own] = ["again.secateur", "own.secateur"].map(|name| folder.path().join(name));
    succeed(&["export", text(&onnx), "--compact", "--out", text(&again)]);
    export(&own, &["--compact"]);
    let [again, own] = [again, own].map(|path| decode(&fs::read(path).expect("a file")).expect("own file"));
    assert_eq!((again.network, again.info.scales), (own.network, own.info.scales));
    assert!(!succeed(&["bench", text(&onnx), "--batch", "1", "--seconds", "0.01"]).is_empty());
}

#[test]
fn a_checkpoint_is_exported_by_its_name() {
    let folder = folder();
    let name = checkpoints(run()).pop().expect("a checkpoint");
    let (_, bytes) = export(&folder.path().join("c.secateur"), &["--checkpoint", &name]);
    assert_eq!(decode(&bytes).expect("own file").network, network(), "the last one is what the run left");
    assert!(fail(&["export", text(run()), "--checkpoint", "nonsense"]).contains("no checkpoint of this name"));
}

#[test]
fn nothing_is_written_over_by_chance() {
    let folder = folder();
    let path = written(folder.path(), "mine.secateur", b"mine");
    let args = ["export", text(run()), "--out", text(&path)];
    assert!(fail(&args).contains("--force"));
    assert_eq!(fs::read(&path).expect("there"), b"mine");
    succeed(&[&args[..], &["--force"]].concat());
    assert!(decode(&fs::read(&path).expect("there")).is_ok());
    // What is read is never written over, forced or not.
    for source in [path.clone(), run().join("model.safetensors")] {
        let before = fs::read(&source).expect("there");
        let model = if source == path { text(&path) } else { text(run()) };
        let said = fail(&["export", model, "--values", "int8", "--force", "--out", text(&source)]);
        assert!(said.contains("is the model itself"), "{said}");
        assert!(fs::read(&source).expect("there") == before);
    }
    let names = fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(names, 1, "nothing half written stays");
}

#[test]
fn what_cannot_be_exported_is_named_and_leaves_nothing() {
    let folder = folder();
    let out = folder.path().join("out.safetensors");
    for (path, wanted) in no_models(folder.path()) {
        let said = fail(&["export", text(&path), "--out", text(&out)]);
        assert!(said.contains(wanted), "{}: {said}", path.display());
    }
    let here = text(run());
    for (args, wanted) in [
        (&["--batch", "4"][..], "--batch belongs to --format onnx, found safetensors"),
        (&["--format", "onnx"], "the ending says safetensors, but --format says onnx"),
        (&["--data", "no/such/folder"], "no/such/folder"),
    ] {
        let said = fail(&[&["export", here, "--out", text(&out)], args].concat());
        assert!(said.contains(wanted), "{args:?}: {said}");
    }
    let nowhere = folder.path().join("none/x.secateur");
    assert!(fail(&["export", here, "--out", text(&nowhere)]).contains("none/x.secateur"));
    for args in [&["--values", "f8"][..], &["--format", "gif"], &["--batch", "0"]] {
        assert_eq!(output(&[&["export", here, "--out", text(&out)], args].concat()).status.code(), Some(2), "{args:?}");
    }
    assert!(!out.exists());
    for (name, args, wanted) in [
        ("q.pt", &[][..], "expected .secateur, .safetensors or .onnx"),
        ("q.secateur", &["--csr"], "--csr belongs to --format safetensors, found secateur"),
    ] {
        let out = folder.path().join(name);
        let said = fail(&[&["export", here, "--out", text(&out)], args].concat());
        assert!(said.contains(wanted) && !out.exists(), "{said}");
    }
}

#[test]
fn the_ending_of_the_file_decides_the_format() {
    let (folder, model) = (folder(), model());
    let (_, bytes) = export(&folder.path().join("q.onnx"), &[]);
    assert!(
        bytes == model.network.onnx(&model.info.name, None, &notes(&model)).expect("small"),
        "ONNX, as the ending says"
    );
    let (_, bytes) = export(&folder.path().join("q.safetensors"), &["--csr"]);
    assert!(SafeTensors::deserialize(&bytes).expect("safetensors").tensor("fc1.weight.col_indices").is_ok());
}

/// Rows of a sparse matrix are written for PyTorch, and are no model here.
#[test]
fn rows_that_were_exported_are_told_from_a_model() {
    let folder = folder();
    let rows = folder.path().join("m.csr.safetensors");
    export(&rows, &["--csr"]);
    for args in [&["export", text(&rows)][..], &["bench", text(&rows)]] {
        let said = fail(args);
        assert!(said.contains("compressed sparse rows") && said.contains("model.safetensors"), "{said}");
    }
}

/// A weight that f16 has no room for stops the export before anything is written.
#[test]
fn a_weight_too_large_for_its_precision_is_named() {
    let folder = folder();
    let mut network = network();
    network.weights.get_mut("fc2.weight").expect("a layer")[5] = 1e6;
    let bytes = network.encode(&model().info, Precision::F32).expect("f32 has room");
    let (large, out) = (written(folder.path(), "large.secateur", &bytes), folder.path().join("out.secateur"));
    let said = fail(&["export", text(&large), "--values", "f16", "--out", text(&out)]);
    assert!(said.contains("`fc2.weight`, value 5") && said.contains("large.secateur"), "{said}");
    assert!(!out.exists());
}
