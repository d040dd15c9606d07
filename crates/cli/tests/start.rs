//! A run that starts from a file of weights begins with exactly these, and prunes on from the zeros that it is told of.

mod common;

use common::*;
use std::fs;
use std::path::{Path, PathBuf};

fn run(out: &Path, changes: &[&str]) -> PathBuf {
    let mut args = vec!["run", "configs/smoke.toml", "--out", text(out)];
    changes.iter().for_each(|change| args.extend(["--set", change]));
    succeed(&args);
    only_run(out).expect("a run")
}

#[test]
fn it_begins_with_exactly_the_weights_of_its_file() {
    let folders = [(); 4].map(|()| tempfile::tempdir().expect("a folder"));
    let out = |place: usize| folders[place].path();
    let half = "prune.schedule={ kind = \"one-shot\", sparsity = 0.5 }";
    let first = run(out(0), &[half, "train.length={ steps = 20 }", "prune.every={ steps = 20 }"]);
    let model = first.join("model.safetensors");
    let start = format!("start={}", model.display());
    let none = "train.length={ steps = 0 }";

    // The control without a step leaves the file as it is, on our own kernels and on burn's.
    for (place, device) in [(1, "device=cpu"), (2, "device=flex")] {
        let control = ["prune.enabled=false", "prune.every={ steps = 0 }", "start_zeros=pruned", none, device, &start];
        let same = run(out(place), &control);
        assert!(fs::read(same.join("model.safetensors")).expect("a model") == fs::read(&model).expect("a model"));
    }

    // Pruned on, its first test is the last one of the run that it came from, and zeros stay zeros.
    let ninety = "prune.schedule={ kind = \"one-shot\", sparsity = 0.9 }";
    let on = run(out(3), &[ninety, none, "prune.every={ steps = 20 }", "start_zeros=pruned", &start]);
    let (before, after) = (facts_of(&first, "tested"), facts_of(&on, "tested"));
    let last = before.last().expect("a test");
    assert_eq!((&after[0]["score"], &after[0]["size"]), (&last["score"], &last["size"]));
    let zeros = |run: &Path| {
        let bytes = fs::read(run.join("model.safetensors")).expect("a model");
        let read = safetensors::SafeTensors::deserialize(&bytes).expect("tensors");
        let weight = read.tensor("fc1.weight").expect("a weight").data().to_vec();
        weight.chunks(4).map(|four| four == [0; 4]).collect::<Vec<bool>>()
    };
    assert!(zeros(&first).iter().zip(zeros(&on)).all(|(was, is)| !was || is));
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(on.join("manifest.json")).expect("a manifest")).expect("JSON");
    let ended = facts_of(&first, "run_ended");
    assert_eq!(manifest["start"]["sha256"], ended[0]["model_sha256"]);

    // From the very start it goes on with that file alone; from a checkpoint it needs none.
    let bytes = fs::read(&model).expect("read");
    fs::write(&model, &bytes[..bytes.len() - 4]).expect("written");
    let restart = ["resume", "--restart", text(&on)];
    assert!(fail(&restart).contains("the run was started from another file"));
    fs::write(&model, bytes).expect("written");
    succeed(&restart);
    fs::remove_file(&model).expect("removed");
    fs::remove_file(on.join("model.safetensors")).expect("removed");
    succeed(&["resume", text(&on)]);
}

#[test]
fn faults_of_the_file_leave_nothing_behind() {
    let out = tempfile::tempdir().expect("a folder");
    let smoke = |start: &str| fail(&["run", "configs/smoke.toml", "--out", text(out.path()), "--set", start]);
    assert!(smoke("start=no/such/file.pt").contains("no/such/file.pt"));
    assert!(smoke("start=crates/trainer/tests/testdata/plain.pt").contains("found no `conv1.weight`"));
    assert!(smoke("start=README.md").contains("README.md: wanted a file whose name ends in"));
    assert_eq!(only_run(out.path()), None);
}

#[test]
fn a_start_that_was_trained_on_the_validation_images_is_refused() {
    let out = tempfile::tempdir().expect("a folder");
    let tiny = |name: &str, changes: &[&str]| {
        let short = ["train.length={ steps = 1 }", "prune.every={ steps = 0 }", "retrain.final={ steps = 0 }"];
        let small = ["prune.enabled=false", "measure.enabled=false"];
        let mut args =
            vec!["run".to_owned(), "configs/quickstart.toml".into(), "--out".into(), text(out.path()).into()];
        let name = format!("name={name}");
        for change in short.iter().chain(&small).chain(changes).chain([&&*name]) {
            args.extend(["--set".into(), (*change).to_owned()]);
        }
        args
    };
    let run = |args: Vec<String>| succeed(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let refused = |args: Vec<String>| fail(&args.iter().map(String::as_str).collect::<Vec<_>>());
    run(tiny("first", &["data.split_seed=3"]));
    let first = only_run(out.path()).expect("a run");
    let model = first.join("model.safetensors");
    let copy = out.path().join(".copy.safetensors");
    fs::copy(&model, &copy).expect("copied");
    let exported = out.path().join(".elsewhere").join("m.safetensors");
    fs::create_dir(exported.parent().expect("a folder")).expect("created");
    succeed(&["export", text(&first), "--format", "safetensors", "--out", text(&exported)]);
    for file in [&model, &copy, &exported] {
        let said = refused(tiny("second", &[&format!("start={}", file.display())]));
        assert!(said.contains("`data.split_seed`") && said.contains("set data.split_seed = 3"), "{said}");
    }
    let said = refused(tiny("second", &[&format!("model={{ kind = \"file\", path = {:?} }}", text(&first))]));
    assert!(said.contains("`model.path` = ") && said.contains("set data.split_seed = 3"), "{said}");
    let start = format!("start={}", copy.display());
    run(tiny("second", &[&start, "data.split_seed=3", "seed=2"]));
    run(tiny("third", &[&start, "data.validation=0"]));
    // A model of a version that told nothing: its folder says how its images were divided.
    let mut silent = fs::read(&model).expect("a model");
    let note = silent.windows(11).position(|bytes| bytes == b"secateur.tr").expect("a note");
    silent[note] = b'S';
    let sum = |path: &Path| {
        let sum = std::process::Command::new("sha256sum").arg(path).output().expect("sha256sum");
        String::from_utf8_lossy(&sum.stdout)[..64].to_owned()
    };
    let told = sum(&model);
    fs::write(&model, silent).expect("written");
    let log = fs::read_to_string(first.join("log.jsonl")).expect("a log");
    fs::write(first.join("log.jsonl"), resealed(&log.replace(&told, &sum(&model)))).expect("written");
    let said = refused(tiny("fourth", &[&format!("start={}", model.display())]));
    assert!(said.contains("set data.split_seed = 3"), "{said}");
    // Away from its folder nothing says so: that is told before anything is trained.
    let stray = exported.with_file_name("stray.safetensors");
    fs::rename(&model, &stray).expect("moved");
    let plan = ["plan", "configs/quickstart.toml", "--set", &format!("start={}", stray.display())];
    let said = stderr(&output(&plan));
    assert!(said.contains("nothing says which images it was trained on"), "{said}");
}

#[test]
fn rounds_begin_at_the_density_of_the_start() {
    let (first, second) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let once = |share: f64| format!("prune.schedule={{ kind = \"one-shot\", sparsity = {share} }}");
    let small = ["train.length={ steps = 4 }", "prune.every={ steps = 2 }", "measure.enabled=false"];
    let pruned = run(first.path(), &[&small[..], &[&once(0.5)]].concat());
    let start = format!("start={}", pruned.join("model.safetensors").display());
    for scope in ["global", "layerwise", "erk"] {
        let scope = format!("prune.scope={scope}");
        let out = second.path().join(&scope);
        let synflow = ["prune.criterion=synflow", "start_zeros=pruned", &start, &scope, "train.length={ steps = 0 }"];
        let on = run(&out, &[&small[1..], &synflow[..], &[&once(0.95)]].concat());
        let fact = facts_of(&on, "pruned").pop().expect("a prune");
        let (gone, all) = (fact["pruned"].as_f64().expect("a count"), fact["prunable"].as_f64().expect("a count"));
        assert!((gone / all - 0.95).abs() < 1e-3, "{scope}: {gone} of {all}");
    }
}
