//! Law 10 and bad input: whatever is typed or found, an error that names the place, the found and the wanted; exit code
//! not 0, no panic, nothing lost.

mod common;

use common::*;
use std::fs;
use std::path::Path;

#[test]
fn bad_configs_and_command_lines_are_named() {
    let out = tempfile::tempdir().expect("a folder");
    let out = text(out.path());
    let smoke = ["run", "configs/smoke.toml", "--out", out];
    for (args, wanted) in [
        (vec!["run", "configs/none.toml"], "configs/none.toml: cannot read the config"),
        (vec!["run", "README.md"], "README.md"),
        (
            [&smoke[..], &["--device", "tpu"]].concat(),
            "device is `tpu`, did you mean `cpu`?; expected one of cpu, flex, ndarray, wgpu",
        ),
        (
            [&smoke[..], &["--set", "model.width=0"]].concat(),
            "`model`: node `conv1` (conv2d, 0 filters of 3x3): expected at least one filter",
        ),
        ([&smoke[..], &["--set", "model.depth=3"]].concat(), "unknown key `model.depth`"),
        (
            [&smoke[..], &["--set", "prune.include=[\"conv9.*\"]"]].concat(),
            "matches no parameter; there are `conv1.weight`",
        ),
        ([&smoke[..], &["--set", "train.optimizer={ kind = \"adam\", lr = 1e9 }"]].concat(), "training diverged"),
        (vec!["run", "configs/quickstart.toml", "--data", "no/such/folder", "--out", out], "no/such/folder"),
        (vec!["run", "configs/sweep-mnist.toml"], "secateur sweep configs/sweep-mnist.toml"),
        (vec!["sweep", "configs/smoke.toml", "--dry-run"], "secateur run configs/smoke.toml"),
        (vec!["resume", "configs"], "no run here"),
        (vec!["resume", "no/such/run"], "no run here"),
        (vec!["test", "configs"], "no run here"),
        (vec!["report", "configs"], "no run here"),
        (vec!["list", "no/such/folder"], "no/such/folder: cannot list runs"),
    ] {
        let said = fail(&args);
        assert!(said.contains(wanted), "{args:?}: {said}");
    }
    let code = output(&["prune"]).status.code();
    assert_eq!(code, Some(2), "an unknown verb");
}

#[test]
fn a_value_of_any_length_is_quoted_short() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = "x".repeat(100_000);
    let quoted = format!("\"{long}\"");
    let layers = format!("prune.layers=[{{ pattern = {quoted}, sparsity = 0.5 }}]");
    let include = format!("prune.include=[{quoted}]");
    let spaced = format!("prune.exclude=[\"{}\"]", "x ".repeat(50_000));
    let keys =
        ["name", "device", "instruction_set", "start", "seed", "data.dir", "prune.scope", "prune.criterion", "model"];
    let mut changes: Vec<String> = keys.iter().map(|key| format!("{key}={long}")).collect();
    changes.extend([layers, include, spaced, format!("{long}=1"), long.clone()]);
    changes.push(format!("prune.criterion={{ kind = {quoted} }}"));
    for change in &changes {
        let data = if change.starts_with("data") { "data.source=idx" } else { "seed=1" };
        let said = fail(&["run", "configs/smoke.toml", "--out", text(folder.path()), "--set", data, "--set", change]);
        assert!(said.len() < 3_000, "{}: {} bytes", &change[..40], said.len());
    }
    let scores = format!("prune.scores={long}");
    let typed = ["run", "configs/smoke.toml", "--set", "prune.criterion=scores", "--set", &scores];
    assert!(fail(&typed).len() < 3_000);
    let sweep = folder.path().join("sweep.toml");
    let axis = format!("[axes]\n\"prune.include\" = [[{quoted}]]");
    fs::write(&sweep, format!("name = \"s\"\nbase = \"configs/smoke.toml\"\nseeds = [1]\n{axis}")).expect("written");
    let said = fail(&["sweep", text(&sweep), "--dry-run"]);
    assert!(said.len() < 3_000, "{} bytes", said.len());
}

#[cfg(not(all(feature = "wgpu", feature = "ndarray")))]
#[test]
fn a_device_that_is_not_compiled_in_says_how_to_get_it() {
    let missing = if cfg!(feature = "wgpu") { "ndarray" } else { "wgpu" };
    let out = tempfile::tempdir().expect("a folder");
    let said = fail(&["run", "configs/smoke.toml", "--device", missing, "--out", text(out.path())]);
    assert!(said.contains(&format!("--features {missing}")), "{said}");
    assert_eq!(only_run(out.path()), None, "a fault before the long part leaves nothing behind");
}

#[test]
fn bad_data_is_named_before_anything_is_made() {
    let (data, out) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    for entry in fs::read_dir(root().join("datasets/mnist")).expect("MNIST") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|extension| extension == "gz") {
            fs::copy(&path, data.path().join(path.file_name().expect("named"))).expect("copied");
        }
    }
    let labels = data.path().join("t10k-labels-idx1-ubyte.gz");
    let bytes = fs::read(&labels).expect("read");
    fs::write(&labels, &bytes[..bytes.len() / 2]).expect("written");
    let args = ["run", "configs/quickstart.toml", "--data", text(data.path()), "--out", text(out.path())];
    assert!(fail(&args).contains("t10k-labels-idx1-ubyte.gz"));
    fs::remove_file(&labels).expect("removed");
    assert!(fail(&args).contains("t10k-labels-idx1-ubyte"));
    assert_eq!(only_run(out.path()), None);
}

/// Damages a file of a finished run and returns what the verbs then say.
fn damaged(run: &Path, file: &str, harm: impl Fn(&[u8]) -> Vec<u8>, args: &[&str]) -> String {
    let path = run.join(file);
    let good = fs::read(&path).expect("read");
    fs::write(&path, harm(&good)).expect("written");
    let said = fail(args);
    fs::write(&path, good).expect("written back");
    said
}

#[test]
fn damaged_runs_are_named_and_never_panic() {
    let out = tempfile::tempdir().expect("a folder");
    succeed(&["run", "configs/smoke.toml", "--out", text(out.path())]);
    let run = only_run(out.path()).expect("a run");
    let here = text(&run);
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let noise = |bytes: &[u8]| bytes.iter().map(|byte| byte ^ 0x55).collect::<Vec<u8>>();
    let wider = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("width = 1", "width = 2").into_bytes();
    let cut = damaged(&run, "model.safetensors", half, &["test", here]);
    assert!(cut.contains("model.safetensors: the final model was changed"), "{cut}");
    assert!(damaged(&run, "experiment.toml", noise, &["resume", here]).contains("experiment.toml"));
    assert!(damaged(&run, "experiment.toml", wider, &["test", here]).contains("was changed since the run began"));
    assert!(damaged(&run, "log.jsonl", noise, &["report", here]).contains("log.jsonl"));
    assert!(damaged(&run, "manifest.json", noise, &["report", here]).contains("manifest.json"));
    let checkpoint = checkpoints(&run).pop().expect("a checkpoint");
    let state = format!("checkpoints/{checkpoint}/state.safetensors");
    assert!(damaged(&run, &state, half, &["test", here, "--checkpoint", &checkpoint]).contains("damaged"));
    assert!(fail(&["test", here, "--checkpoint", "nonsense"]).contains("no checkpoint of this name"));
    for verb in ["test", "sensitivity", "resume"] {
        let said = fail(&[verb, here, "--data", "datasets/mnist"]);
        assert!(said.contains("`--data`: expected no data folder, since the run's images are synthetic"), "{said}");
    }
    fs::remove_file(run.join("model.safetensors")).expect("removed");
    assert!(fail(&["test", here]).contains("found no final model"));
}

#[test]
fn what_would_be_read_for_ever_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let at = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink("/dev/zero", at("zero.pt")).expect("a link");
    std::os::unix::fs::symlink("/dev/zero", at("zero.secateur")).expect("a link");
    assert!(std::process::Command::new("mkfifo").arg(at("pipe.png")).status().expect("mkfifo").success());
    fs::create_dir(at("data")).expect("a folder");
    let file = "train-images-idx3-ubyte";
    std::os::unix::fs::symlink(at("pipe.png"), at("data").join(file)).expect("a link");
    let [zero, model, pipe] = ["zero.pt", "zero.secateur", "pipe.png"].map(at);
    let start = format!("start={}", text(&zero));
    for typed in [
        &["run", "configs/smoke.toml", "--out", text(&out), "--set", &start][..],
        &["run", text(&pipe), "--out", text(&out)],
        &["plan", text(&zero)],
        &["sweep", text(&zero), "--dry-run"],
        &["predict", text(&model), text(&pipe)],
        &["bench", text(&model)],
    ] {
        assert!(fail(typed).contains("expected a regular file, found a"), "{typed:?}");
    }
    assert!(!out.exists());
    let data = at("data");
    for more in [&["--data", text(&data)][..], &["--set", "data.source=npz", "--data", text(&pipe)]] {
        let said = fail(&[&["plan", "configs/quickstart.toml"], more].concat());
        assert!(said.contains("is not a regular file, expected a file of data"), "{more:?}: {said}");
    }
    // A run whose log is a pipe hides no other.
    let run = out.join("run");
    fs::create_dir_all(&run).expect("a folder");
    fs::write(run.join("experiment.toml"), "").expect("written");
    assert!(std::process::Command::new("mkfifo").arg(run.join("log.jsonl")).status().expect("mkfifo").success());
    succeed(&["list", text(&out)]);
}

/// Puts a pipe, or an endless device, in the place of a file; returns what puts the file back.
fn replaced(file: &Path, with: &str) -> impl FnOnce() + use<> {
    let (file, aside) = (file.to_owned(), file.with_extension("aside"));
    fs::rename(&file, &aside).expect("moved");
    match with {
        "pipe" => assert!(std::process::Command::new("mkfifo").arg(&file).status().expect("mkfifo").success()),
        device => std::os::unix::fs::symlink(device, &file).expect("a link"),
    }
    move || {
        fs::remove_file(&file).expect("removed");
        fs::rename(&aside, &file).expect("moved back");
    }
}

#[test]
fn a_run_whose_files_would_be_read_for_ever_is_refused_at_once() {
    let out = tempfile::tempdir().expect("a folder");
    succeed(&["run", "configs/smoke.toml", "--out", text(out.path())]);
    let run = only_run(out.path()).expect("a run");
    let here = text(&run);
    let checkpoint = checkpoints(&run).pop().expect("a checkpoint");
    let sums = format!("checkpoints/{checkpoint}/SHA256SUMS");
    let cursor = format!("checkpoints/{checkpoint}/cursor.json");
    let of_checkpoint = ["test", here, "--checkpoint", &checkpoint];
    for (file, with, typed) in [
        ("config.toml", "pipe", &["report", here][..]),
        ("manifest.json", "pipe", &["report", here]),
        ("run.lock", "pipe", &["resume", here]),
        ("experiment.toml", "/dev/zero", &["resume", here]),
        (&sums, "/dev/zero", &of_checkpoint),
        (&sums, "pipe", &of_checkpoint),
        (&cursor, "/dev/zero", &of_checkpoint),
    ] {
        let back = replaced(&run.join(file), with);
        let said = fail(typed);
        assert!(said.contains(file) && said.contains("expected a regular file, found a"), "{file}, {typed:?}: {said}");
        back();
    }
    // Whether a process works on an unfinished run is asked of its lock.
    go_back(&run, 0);
    let back = replaced(&run.join("run.lock"), "pipe");
    assert!(succeed(&["list", text(out.path())]).contains("unfinished"));
    back();
    succeed(&["resume", here]);
}

/// Runs the program with so much address space, in KiB; it has to fail with code 1.
fn fail_within(kib: u64, args: &[&str]) -> String {
    let limited = format!("ulimit -v {kib}; exec \"$0\" \"$@\"");
    let program = secateur(args);
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(limited).arg(program.get_program()).args(args).current_dir(root());
    let output = shell.output().expect("a shell");
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", stderr(&output));
    stderr(&output)
}

#[test]
fn files_larger_than_the_memory_are_refused() {
    let out = tempfile::tempdir().expect("a folder");
    let at = |name: &str| out.path().join(name);
    let holes = |path: &Path, length: u64| {
        fs::File::create(path).and_then(|file| file.set_len(length)).expect("a sparse file");
    };
    holes(&at("zeros.secateur"), 10 << 30);
    let said = fail_within(4_000_000, &["predict", text(&at("zeros.secateur")), "none.png"]);
    assert!(said.contains("not a model file"), "{said}");
    // A log without an end of a line, in a run that is whole otherwise.
    succeed(&["run", "configs/smoke.toml", "--out", text(&at("out"))]);
    let whole = only_run(&at("out")).expect("a run");
    fs::remove_file(whole.join("log.jsonl")).expect("removed");
    holes(&whole.join("log.jsonl"), 20 << 30);
    for verb in ["test", "resume", "export"] {
        let said = fail_within(4_000_000, &[verb, text(&whole)]);
        assert!(said.contains("log.jsonl"), "{said}");
    }
    let run = at("run");
    fs::create_dir(&run).expect("a folder");
    fs::write(run.join("experiment.toml"), "").expect("written");
    holes(&run.join("log.jsonl"), 3 << 30);
    let said = fail_within(2_000_000, &["report", text(&run)]);
    assert!(said.contains("log.jsonl") && said.contains("no memory for its"), "{said}");
}
