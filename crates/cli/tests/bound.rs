//! Invariant 5 on the real program: a run's files are bound to each other by checksums, every reader compares them, and nothing
//! but an explicit command discards, restarts or rewrites a run.

mod common;

use common::*;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const SMOKE: [&str; 4] = ["run", "configs/smoke.toml", "--set", "measure.enabled=false"];

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A finished run with these changes to the smoke config.
fn finished(out: &Path, changes: &[&str]) -> PathBuf {
    let changes: Vec<&str> = changes.iter().flat_map(|change| ["--set", *change]).collect();
    succeed(&[&SMOKE[..], &["--out", text(out)], &changes[..]].concat());
    only_run(out).expect("a run")
}

const KEEP: &str = "checkpoint.keep=100";

fn change(path: &Path, how: impl FnOnce(String) -> String) {
    let before = fs::read_to_string(path).expect("text");
    let after = how(before.clone());
    assert_ne!(after, before, "{}", path.display());
    fs::write(path, after).expect("written");
}

/// Takes a run back to the moment in which its folder was made.
fn just_made(run: &Path) {
    for file in ["log.jsonl", "model.safetensors", "run.saved"] {
        fs::remove_file(run.join(file)).expect("removed");
    }
    for folder in ["checkpoints", "dense", "report"] {
        fs::remove_dir_all(run.join(folder)).expect("removed");
    }
    fs::create_dir(run.join("checkpoints")).expect("made");
}

/// Everything below a run but the lock and the report.
fn left(run: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    content(run).into_iter().filter(|(path, _)| !path.starts_with(run.join("report"))).collect()
}

fn listed(out: &Path) -> String {
    succeed(&["list", text(out)])
}

#[test]
fn a_log_that_is_lost_or_changed_costs_no_checkpoint() {
    let (whole, out) = (folder(), folder());
    let whole = finished(whole.path(), &[KEEP]);
    let run = finished(out.path(), &[KEEP]);
    go_back(&run, 6);
    let log = run.join("log.jsonl");
    let good = fs::read_to_string(&log).expect("a log");
    let lines: Vec<&str> = good.lines().collect();
    let swapped = good.replacen(&format!("{}\n{}", lines[3], lines[4]), &format!("{}\n{}", lines[4], lines[3]), 1);
    let digit = good.replacen("\"loss\":0.", "\"loss\":1.", 1);
    let short = good[..good.len() / 2].to_owned();
    for (how, harmed) in [("gone", None), ("swapped", Some(swapped)), ("a digit", Some(digit)), ("short", Some(short))]
    {
        match &harmed {
            Some(text) => {
                assert_ne!(*text, good, "{how}");
                fs::write(&log, text).expect("written");
            }
            None => fs::remove_file(&log).expect("removed"),
        }
        let before = left(&run);
        let said = fail(&["resume", text(&run)]);
        assert!(said.contains("nothing was changed") && said.contains("--restart"), "{how}: {said}");
        assert!(left(&run) == before, "{how}: nothing is renamed, cut or written");
    }
    // One that cannot be read may be as good as ever: nothing is offered that would lose it.
    fs::remove_file(&log).expect("removed");
    std::os::unix::fs::symlink("log.jsonl", &log).expect("a link to itself");
    let said = fail(&["resume", text(&run)]);
    assert!(said.contains("without reading its log; nothing was changed") && !said.contains("--restart"), "{said}");
    fs::remove_file(&log).expect("removed");
    fs::write(&log, good).expect("put back");
    succeed(&["resume", text(&run)]);
    assert_same_run(&whole, &run, "after its log was put back");
}

#[test]
fn an_unfinished_log_that_was_changed_before_its_newest_checkpoint_is_refused_by_all() {
    let out = folder();
    let run = finished(out.path(), &[KEEP]);
    go_back(&run, 6);
    let page = out.path().join(".page");
    succeed(&["report", text(&run), "--out", text(&page)]);
    change(&run.join("log.jsonl"), |log| log.replacen("\"loss\":0.", "\"loss\":1.", 1));
    for args in [
        &["report", text(&run), "--out", text(&page)][..],
        &["track", text(&run), "--tensorboard", text(&page)],
        &["resume", text(&run)],
    ] {
        assert!(fail(args).contains("was changed after it was written"), "{args:?}");
    }
    assert!(listed(out.path()).contains("damaged: log"), "{}", listed(out.path()));
}

#[test]
fn restarting_removes_nothing_before_everything_else_is_checked() {
    let out = folder();
    let mnist = ["data={ source = \"idx\", validation = 5000 }", "train.length={ steps = 2 }", "prune.enabled=false"];
    let run = finished(out.path(), &mnist);
    let before = left(&run);
    for (place, expected) in [(["--device", "wgpu"], "not compiled in"), (["--data", "nowhere"], "nowhere")] {
        if place[1] == "wgpu" && cfg!(feature = "wgpu") {
            continue;
        }
        let said = fail(&[&["resume", text(&run), "--restart"][..], &place].concat());
        assert!(said.contains(expected), "{said}");
        assert!(left(&run) == before, "{place:?}: nothing is removed");
    }
    succeed(&["resume", text(&run), "--restart"]);
}

#[test]
fn checkpoints_that_are_lost_within_the_first_epoch_are_missed() {
    let (whole, out) = (folder(), folder());
    let often = ["checkpoint.every_steps=5", KEEP];
    let whole = finished(whole.path(), &often);
    let run = finished(out.path(), &often);
    go_back(&run, 0);
    let (folder, mark) = (run.join("checkpoints"), run.join("run.saved"));
    let only = checkpoints(&run).pop().expect("a checkpoint");
    let refused = |why: &str| {
        let before = left(&run);
        let said = fail(&["resume", text(&run)]);
        assert!(said.contains(&format!("found no checkpoint, but {why}")) && said.contains("--restart"), "{said}");
        assert!(left(&run) == before, "{why}: nothing is changed");
    };
    // Damaged, all of them: an error, and an error again.
    let state = folder.join(&only).join("state.safetensors");
    let bytes = fs::read(&state).expect("a state");
    fs::write(&state, &bytes[1..]).expect("written");
    assert!(fail(&["resume", text(&run)]).contains("all checkpoints are damaged"));
    refused(&format!("the run has saved some, the first one as {only}"));
    fs::remove_file(&mark).expect("removed");
    refused(&format!("there is the damaged one {only}.damaged"));
    fs::remove_dir_all(&folder).expect("removed");
    refused("their folder is gone");
    succeed(&["resume", text(&run), "--restart"]);
    assert_same_run(&whole, &run, "restarted");
    go_back(&run, 0);
    fs::remove_dir_all(folder.join(&only)).expect("removed");
    refused(&format!("the run has saved some, the first one as {only}"));
}

#[test]
fn a_device_that_cannot_take_a_run_on_costs_no_checkpoint() {
    let out = folder();
    // Shadows are not kept by the device cpu.
    let surgery = ["device=flex", "prune.regrow={ kind = \"surgery\", every = { steps = 8 } }", KEEP];
    let run = finished(out.path(), &surgery);
    go_back(&run, 3);
    let before = left(&run);
    let said = fail(&["resume", text(&run), "--device", "cpu"]);
    assert!(said.contains("flex"), "{said}");
    assert!(left(&run) == before);
}

#[test]
fn a_finished_run_is_left_as_it_is_also_without_checkpoints() {
    let out = folder();
    let run = finished(out.path(), &[]);
    fs::remove_dir_all(run.join("checkpoints")).expect("removed");
    fs::create_dir(run.join("checkpoints")).expect("made");
    let before = left(&run);
    let done = output(&["resume", text(&run)]);
    assert!(
        done.status.success() && stderr(&done).contains("has finished before; nothing is done"),
        "{}",
        stderr(&done)
    );
    assert!(left(&run) == before);
    assert!(listed(out.path()).contains("finished"));
}

/// A run that prunes before it trains is killed between what its log says of that and its first checkpoint.
#[test]
fn a_run_killed_before_its_first_step_begins_again() {
    let (whole, out) = (folder(), folder());
    let untrained = ["train.length={ steps = 0 }"];
    let whole = finished(whole.path(), &untrained);
    let run = finished(out.path(), &untrained);
    let log = fs::read_to_string(run.join("log.jsonl")).expect("a log");
    let pruned = log.lines().position(|line| line.contains("\"pruned\"")).expect("a prune");
    for lines in 1..=pruned + 2 {
        let early: String = log.lines().take(lines).map(|line| format!("{line}\n")).collect();
        assert!(!early.contains("epoch_ended"), "nothing is trained in {lines} lines");
        just_made(&run);
        fs::write(run.join("log.jsonl"), early).expect("cut");
        succeed(&["resume", text(&run)]);
        assert_same_run(&whole, &run, "killed before its first step");
    }
}

#[test]
fn a_log_without_checkpoints_is_an_error_and_restart_means_it() {
    let (whole, out) = (folder(), folder());
    let whole = finished(whole.path(), &[]);
    let run = finished(out.path(), &[]);
    let log = fs::read_to_string(run.join("log.jsonl")).expect("a log");
    let tested = log.lines().position(|line| line.contains("\"tested\"")).expect("a test");
    let cut: String = log.lines().take(tested + 1).map(|line| format!("{line}\n")).collect();
    fs::write(run.join("log.jsonl"), cut).expect("cut");
    fs::remove_file(run.join("model.safetensors")).expect("removed");
    fs::remove_dir_all(run.join("checkpoints")).expect("removed");
    let said = fail(&["resume", text(&run)]);
    assert!(said.contains("found no checkpoint, but the run has saved some") && said.contains("--restart"), "{said}");
    // As earlier versions left it.
    fs::remove_file(run.join("run.saved")).expect("removed");
    fs::create_dir(run.join("checkpoints")).expect("made");
    let said = fail(&["resume", text(&run)]);
    assert!(
        said.contains("found no checkpoint, but the log tells of 64 steps") && said.contains("--restart"),
        "{said}"
    );
    succeed(&["resume", text(&run), "--restart"]);
    assert_same_run(&whole, &run, "restarted");
    // What was told before the first checkpoint could have been saved is no loss.
    let early: String = log.lines().take(3).map(|line| format!("{line}\n")).collect();
    just_made(&run);
    fs::write(run.join("log.jsonl"), early).expect("cut");
    succeed(&["resume", text(&run)]);
    assert_same_run(&whole, &run, "killed before its first checkpoint");
}

#[test]
fn a_run_that_was_killed_between_its_model_and_its_last_line_is_unfinished_for_all_and_resumes() {
    let (whole, out) = (folder(), folder());
    let whole = finished(whole.path(), &[]);
    let run = finished(out.path(), &[]);
    let log = fs::read_to_string(run.join("log.jsonl")).expect("a log");
    let end = log.trim_end().rfind('\n').expect("lines") + 1;
    fs::write(run.join("log.jsonl"), &log[..end]).expect("cut");
    assert!(listed(out.path()).contains("unfinished"));
    assert!(fail(&["test", text(&run)]).contains("has not finished"));
    succeed(&["report", text(&run), "--out", text(&out.path().join(".report"))]);
    let page = fs::read_to_string(out.path().join(".report/index.html")).expect("a page");
    assert!(page.contains("unfinished"));
    succeed(&["resume", text(&run)]);
    assert_same_run(&whole, &run, "completed");
    assert!(!listed(out.path()).contains("unfinished"));
}

#[test]
fn an_edited_experiment_is_refused() {
    let out = folder();
    let run = finished(out.path(), &[KEEP]);
    let experiment = run.join("experiment.toml");
    let good = fs::read(&experiment).expect("text");
    let checks = |verbs: &[&[&str]]| {
        for edit in [("seed = 1", "seed = 2"), ("lr = 0.001", "lr = 0.01"), ("synthetic_test = 500\n", "")] {
            change(&experiment, |text| text.replacen(edit.0, edit.1, 1));
            for verb in verbs {
                let said = fail(&[verb[..1].to_vec(), vec![text(&run)], verb[1..].to_vec()].concat());
                let named = said.contains("experiment.toml: was changed since the run began");
                assert!(named && said.contains("put the original back"), "{verb:?}, {edit:?}: {said}");
            }
            fs::write(&experiment, &good).expect("put back");
        }
    };
    let page = out.path().join(".page");
    let sensitivity = ["sensitivity", "--out", text(&page)];
    let (report, track) = (["report", "--out", text(&page)], ["track", "--tensorboard", text(&page)]);
    checks(&[&["resume"], &["test"], &["export"], &["bench"], &sensitivity, &report, &track]);
    go_back(&run, 4);
    checks(&[&["resume"]]);
    succeed(&["resume", text(&run)]);
    just_made(&run);
    // A run of an earlier version has no checksum there.
    change(&run.join("manifest.json"), |text| {
        let line = text.lines().find(|line| line.contains("experiment_sha256")).expect("there").to_owned();
        text.replace(&format!("{line}\n"), "")
    });
    let resumed = output(&["resume", text(&run)]);
    assert!(resumed.status.success() && stderr(&resumed).contains("is not checked"), "{}", stderr(&resumed));
}

#[test]
fn a_changed_manifest_or_typed_config_is_refused() {
    let out = folder();
    let run = finished(out.path(), &[KEEP]);
    let (page, manifest, typed) = (out.path().join(".page"), run.join("manifest.json"), run.join("config.toml"));
    let refused = |what: &str| {
        for args in [
            &["resume", text(&run)][..],
            &["test", text(&run)],
            &["report", text(&run), "--out", text(&page)],
            &["track", text(&run), "--tensorboard", text(&page)],
        ] {
            let said = fail(args);
            let named = said.contains(&format!("{what}: was changed since the run began: expected SHA-256 "));
            assert!(named && said.contains("put the original back"), "{args:?}: {said}");
        }
        assert!(listed(out.path()).contains("damaged: "), "{what}");
    };
    let good = fs::read_to_string(&manifest).expect("a manifest");
    let config = fs::read(&typed).expect("a config");
    let value = |line: &str| Some(line.split_once("\": ")?.1.trim_end_matches(',').to_owned());
    let numbers: Vec<&str> =
        good.lines().filter(|line| value(line).is_some_and(|value| value.parse::<f64>().is_ok())).collect();
    assert!(numbers.iter().any(|line| line.contains("conv_crossover")), "{good}");
    for unfinished in [false, true] {
        if unfinished {
            go_back(&run, 4);
        }
        for line in &numbers {
            let found = value(line).expect("a value");
            let other = format!("{}", found.parse::<f64>().expect("a number") + 1.0);
            fs::write(&manifest, good.replacen(line, &line.replacen(&found, &other, 1), 1)).expect("written");
            refused("manifest.json");
        }
        fs::write(&manifest, good.replacen("\"commit\": ", "\"commit\":  ", 1)).expect("written");
        refused("manifest.json");
        fs::write(&manifest, &good).expect("put back");
        fs::write(&typed, [&config[..], b"#"].concat()).expect("written");
        refused("config.toml");
        fs::write(&typed, &config).expect("put back");
    }
    succeed(&["resume", text(&run)]);
}

#[test]
fn a_damaged_final_model_is_refused_as_a_file_too() {
    let out = folder();
    let run = finished(out.path(), &[]);
    let (model, link) = (run.join("model.safetensors"), out.path().join(".link.safetensors"));
    std::os::unix::fs::symlink(&model, &link).expect("a link");
    let good = fs::read(&model).expect("a model");
    let next = out.path().join(".next");
    for path in [&model, &link] {
        let start = format!("start={}", text(path));
        let started = [&SMOKE[..], &["--set", &start, "--out", text(&next)]].concat();
        let file = out.path().join(".x.secateur");
        let exported = ["export", text(path), "--force", "--out", text(&file)];
        let mut harmed = good.clone();
        *harmed.last_mut().expect("bytes") ^= 1;
        fs::write(&model, &harmed).expect("written");
        for args in [&started[..], &exported] {
            let said = fail(args);
            assert!(said.contains("the final model was changed: expected SHA-256 "), "{args:?}: {said}");
        }
        assert!(!next.exists());
        fs::write(&model, &good).expect("put back");
        succeed(&exported);
    }
}

#[test]
fn a_damaged_model_is_refused_by_every_verb_and_restored_by_resume() {
    let out = folder();
    let run = finished(out.path(), &[]);
    let model = run.join("model.safetensors");
    let good = fs::read(&model).expect("a model");
    let log = fs::read(run.join("log.jsonl")).expect("a log");
    let mut harmed = good.clone();
    *harmed.last_mut().expect("bytes") ^= 0x40;
    fs::write(&model, &harmed).expect("written");
    let image = root().join("datasets/mnist/t10k-images-idx3-ubyte.gz");
    let page = out.path().join(".page");
    for args in [
        &["test", text(&run)][..],
        &["export", text(&run), "--out", text(&out.path().join(".x.secateur"))],
        &["bench", text(&run), "--seconds", "0.01"],
        &["predict", text(&run), text(&image), "--index", "0"],
        &["report", text(&run), "--out", text(&page)],
        &["sensitivity", text(&run), "--out", text(&page)],
        &["compare", text(&run), text(&run)],
    ] {
        let said = fail(args);
        let both = said.contains("expected SHA-256 ") && said.contains(" as in the log, found ");
        assert!(both && said.contains("`secateur resume"), "{args:?}: {said}");
    }
    assert!(listed(out.path()).contains("damaged: "));
    for gone in [false, true] {
        if gone {
            fs::remove_file(&model).expect("removed");
            assert!(listed(out.path()).contains("no model"));
            succeed(&["report", text(&run), "--out", text(&page)]);
            let shown = fs::read_to_string(page.join("index.html")).expect("a page");
            assert!(shown.contains("<dt>state</dt><dd><mark>no model</mark>"), "as list says");
            assert!(fs::read_to_string(page.join("curve.csv")).expect("a table").contains(",no_model,"));
        }
        let done = output(&["resume", text(&run)]);
        assert!(done.status.success() && stderr(&done).contains("restored from stage-"), "{}", stderr(&done));
        assert!(fs::read(&model).expect("a model") == good && fs::read(run.join("log.jsonl")).expect("a log") == log);
    }
    // Without a checkpoint that leads to it, it is an error that touches nothing.
    fs::write(&model, &harmed).expect("written");
    fs::remove_dir_all(run.join("checkpoints")).expect("removed");
    let said = fail(&["resume", text(&run)]);
    assert!(said.contains("no checkpoint leads to the one with SHA-256") && said.contains("--restart"), "{said}");
    assert!(fs::read(&model).expect("a model") == harmed && fs::read(run.join("log.jsonl")).expect("a log") == log);
}

#[test]
fn weights_that_are_no_numbers_are_refused_by_test() {
    let out = folder();
    let run = finished(out.path(), &[]);
    let model = run.join("model.safetensors");
    let sum = |path: &Path| {
        let sum = std::process::Command::new("sha256sum").arg(path).output().expect("sha256sum");
        String::from_utf8_lossy(&sum.stdout)[..64].to_owned()
    };
    let before = sum(&model);
    let mut bytes = fs::read(&model).expect("a model");
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&model, &bytes).expect("written");
    // As if the run had ended with it.
    change(&run.join("log.jsonl"), |log| resealed(&log.replace(&before, &sum(&model))));
    for verb in ["test", "export"] {
        let said = fail(&[verb, text(&run)]);
        assert!(said.contains("value 839 is NaN, expected finite numbers"), "{verb}: {said}");
    }
}

#[test]
fn a_changed_log_is_left_out_of_reports_and_is_an_error_alone() {
    let out = folder();
    let runs = out.path().join("runs");
    for seed in ["seed=1", "seed=2"] {
        succeed(&[&SMOKE[..], &["--set", seed, "--out", text(&runs)]].concat());
    }
    let mut all: Vec<_> = fs::read_dir(&runs).expect("runs").map(|entry| entry.expect("readable").path()).collect();
    all.sort();
    change(&all[0].join("log.jsonl"), |log| log.replacen("\"correct\":4", "\"correct\":3", 1));
    let page = out.path().join("page");
    let done = output(&["report", text(&runs), "--out", text(&page)]);
    let name = all[0].file_name().expect("named").to_str().expect("text");
    let said = stderr(&done);
    assert!(done.status.success() && said.contains(&format!("not shown: {name}: ")), "{said}");
    assert!(said.contains("was changed after it was written"), "{said}");
    for args in [
        &["report", text(&all[0]), "--out", text(&page)][..],
        &["compare", text(&all[0]), text(&all[1])],
        &["track", text(&all[0]), "--tensorboard", text(&page)],
        &["resume", text(&all[0])],
        &["test", text(&all[0])],
    ] {
        assert!(fail(args).contains("was changed after it was written"), "{args:?}");
    }
    assert!(listed(&runs).contains("damaged: log"), "{}", listed(&runs));
}

#[test]
fn other_data_is_refused_until_it_is_meant() {
    let out = folder();
    let data = folder();
    for entry in fs::read_dir(root().join("datasets/mnist")).expect("MNIST") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|extension| extension == "gz") {
            fs::copy(&path, data.path().join(path.file_name().expect("named"))).expect("copied");
        }
    }
    // The test images stand for the labels of none: only their checksum is another one.
    let mnist =
        ["data={ source = \"idx\", validation = 5000 }", "train.length={ steps = 2 }", "prune.every={ steps = 1 }"];
    let run = finished(out.path(), &[&mnist[..], &["prune.schedule={ kind = \"one-shot\", sparsity = 0.5 }"]].concat());
    let labels = data.path().join("t10k-labels-idx1-ubyte.gz");
    let raw = std::process::Command::new("gzip").args(["-dc", text(&labels)]).output().expect("gzip").stdout;
    fs::remove_file(&labels).expect("removed");
    let mut other = raw;
    let last = other.len() - 1;
    other[last] = (other[last] + 1) % 10;
    fs::write(data.path().join("t10k-labels-idx1-ubyte"), other).expect("written");
    let (data, page, file) = (text(data.path()).to_owned(), out.path().join(".page"), out.path().join(".x.secateur"));
    for args in [
        &["test", text(&run), "--data", &data][..],
        &["sensitivity", text(&run), "--data", &data, "--out", text(&page)],
        &["export", text(&run), "--data", &data, "--out", text(&file)],
        &["bench", text(&run), "--data", &data, "--seconds", "0.01"],
    ] {
        let said = fail(args);
        assert!(said.contains("found other data than the run was started with"), "{args:?}: {said}");
        assert!(said.contains("another data set on purpose takes --other-data"), "{args:?}: {said}");
    }
    let page = out.path().join(".report");
    succeed(&["report", text(&run), "--data", &data, "--out", text(&page)]);
    let shown = fs::read_to_string(page.join("index.html")).expect("a page");
    assert!(shown.contains("are not shown: ") && shown.contains("found other data than the run was started with"));
    let few = ["--other-data", "--sparsities", "0.5", "--images", "100", "--out", text(&page)];
    succeed(&[&["sensitivity", text(&run), "--data", &data][..], &few].concat());
    let said = succeed(&["test", text(&run), "--data", &data, "--other-data"]);
    assert!(said.contains("on `") && said.contains("--other-data"), "{said}");
    succeed(&["export", text(&run), "--data", &data, "--other-data", "--out", text(&file)]);
}

#[test]
fn a_folder_that_is_removed_or_moved_under_a_run_ends_it_and_comes_not_back() {
    let long = ["--set", "train.length={ steps = 200000 }", "--set", "prune.enabled=false"];
    for removed in [false, true] {
        let out = folder();
        let args = [&SMOKE[..], &long, &["--out", text(out.path())]].concat();
        let child = secateur(&args).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn();
        let mut child = child.expect("the program starts");
        let run = loop {
            if let Some(run) = only_run(out.path()).filter(|run| !checkpoints(run).is_empty()) {
                break run;
            }
            assert!(child.try_wait().expect("a child").is_none(), "it ended before its first checkpoint");
            std::thread::sleep(std::time::Duration::from_millis(2));
        };
        if removed {
            // What is saved meanwhile makes it fail, and is removed with the rest.
            while run.exists() {
                let _ = fs::remove_dir_all(&run);
            }
        } else {
            fs::rename(&run, out.path().join(".away")).expect("moved");
        }
        let ended = child.wait_with_output().expect("it ends by itself");
        assert_eq!(ended.status.code(), Some(1));
        assert!(stderr(&ended).contains("the run's folder was removed or moved"), "{}", stderr(&ended));
        assert!(!run.exists(), "no folder is made anew");
        fs::create_dir(&run).expect("in its place");
        let said = fail(&args);
        assert!(said.contains("is no run") && !said.contains("secateur resume"), "{said}");
    }
}

#[test]
fn every_session_is_told_and_another_device_is_warned_of() {
    let out = folder();
    let run = finished(out.path(), &[KEEP]);
    assert_eq!(sessions(&run).len(), 1);
    assert_eq!(sessions(&run)[0]["checkpoint"], serde_json::Value::Null);
    let name = checkpoints(&run)[3].clone();
    go_back(&run, 3);
    let resumed = output(&["resume", text(&run), "--device", "flex", "--threads", "1"]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    assert!(stderr(&resumed).contains("began on the device cpu, it goes on with flex"), "{}", stderr(&resumed));
    let told = sessions(&run);
    assert_eq!((told.len(), &told[1]["checkpoint"], &told[1]["device"]), (2, &name.into(), &"flex".into()));
    assert!(told[0]["instruction_set"].is_string() && told[1]["instruction_set"].is_null());
    assert_eq!(told[1]["threads"], 1);
    just_made(&run);
    change(&run.join("manifest.json"), |text| {
        let line = text.lines().find(|line| line.contains("\"commit\"")).expect("there").to_owned();
        text.replacen(&line, "  \"commit\": \"another\",", 1)
    });
    let said = stderr(&output(&["resume", text(&run)]));
    assert!(option_env!("SECATEUR_COMMIT").is_none() || said.contains("began with commit another"), "{said}");
}
