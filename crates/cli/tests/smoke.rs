//! The whole way of a user: plan, run, list, test, report; and what the files must hold.

mod common;

use common::*;
use std::fs;
use std::path::Path;

/// Removes a run's checkpoints, of which the newest says how far its log has to go.
fn without_checkpoints(run: &Path) {
    fs::remove_dir_all(run.join("checkpoints")).expect("removed");
    fs::create_dir(run.join("checkpoints")).expect("made");
}

#[test]
fn a_run_leaves_its_curve_its_model_and_its_report() {
    let out = tempfile::tempdir().expect("a folder");
    let table = succeed(&["run", "configs/smoke.toml", "--out", text(out.path())]);
    let run = only_run(out.path()).expect("a run");
    assert!(table.contains("95.00 %"), "{table}");

    for (file, least) in [
        ("index.html", 20_000),
        ("accuracy-vs-sparsity.svg", 2_000),
        ("accuracy-vs-sparsity.png", 10_000),
        ("accuracy-vs-compression.svg", 2_000),
        ("accuracy-vs-compression.png", 10_000),
        ("curve.csv", 500),
    ] {
        let size = fs::metadata(run.join("report").join(file)).unwrap_or_else(|error| panic!("{file}: {error}")).len();
        assert!(size > least, "{file} has {size} bytes");
    }
    assert_eq!(
        fs::read(run.join("config.toml")).expect("kept"),
        fs::read(root().join("configs/smoke.toml")).expect("there")
    );
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(run.join("manifest.json")).expect("kept")).expect("JSON");
    assert_eq!((manifest["dataset"].as_str(), manifest["device"].as_str()), (Some("synthetic"), Some("cpu")));

    // Beside every test, and nothing else, stands the memory that the process took, where Linux tells it.
    if fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("VmHWM"))
        && Path::new("/proc/self/clear_refs").exists()
    {
        let log = fs::read_to_string(run.join("log.jsonl")).expect("a log");
        let events = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an event a line"));
        for event in events {
            let peak = event["timing"]["peak_memory_bytes"].as_u64();
            assert_eq!(peak.is_some_and(|peak| peak > 1 << 20), event["event"] == "tested", "{event}");
        }
    }

    // What `test` measures is what the log says of the last test, for the model and for the last checkpoint.
    let last = facts_of(&run, "tested").pop().expect("a test");
    let wanted = format!("({} of {})", last["score"]["correct"], last["score"]["total"]);
    assert!(succeed(&["test", text(&run)]).contains(&wanted));
    let checkpoint = checkpoints(&run).pop().expect("a checkpoint");
    assert!(succeed(&["test", text(&run), "--checkpoint", &checkpoint]).contains(&wanted));

    let listed = succeed(&["list", text(out.path())]);
    assert!(listed.contains("finished") && listed.contains("95.00 %"), "{listed}");
    // Nothing is wrong with images that are drawn.
    let said = stderr(&output(&["report", text(&run)]));
    assert!(said.contains("open ") && !said.contains("WARN"), "{said}");

    // Law 1: exact counts, over all layers together since the scope is global.
    for pruned in facts_of(&run, "pruned") {
        let (target, prunable) =
            (pruned["target"].as_f64().expect("a number"), pruned["prunable"].as_u64().expect("a count"));
        assert_eq!(pruned["pruned"].as_u64(), Some((target * prunable as f64).round() as u64), "{pruned}");
    }
    // The folded model has no more nonzero weights than the masks keep.
    let size = &last["size"];
    let (nonzero, parameters, pruned) =
        (size["nonzero"].as_u64(), size["parameters"].as_u64(), size["pruned"].as_u64());
    assert!(nonzero.expect("a count") <= parameters.expect("a count") - pruned.expect("a count"));

    // A second run of the same is refused, and told how to go on.
    let said = fail(&["run", "configs/smoke.toml", "--out", text(out.path())]);
    assert!(said.contains("exists already") && said.contains("secateur resume"), "{said}");
}

#[test]
fn controls_stand_beside_the_result() {
    let out = tempfile::tempdir().expect("a folder");
    let base = ["run", "configs/smoke.toml", "--out", text(out.path())];
    for change in [&["--set", "prune.criterion=random"][..], &["--set", "prune.enabled=false"], &[]] {
        succeed(&[&base[..], change].concat());
    }
    let runs: Vec<_> = fs::read_dir(out.path()).expect("runs").map(|entry| entry.expect("readable").path()).collect();
    let report = out.path().join("report");
    let args: Vec<&str> = runs.iter().map(|run| text(run)).collect();
    assert!(fail(&[&["report"], &args[..]].concat()).contains("--out"));
    succeed(&[&["report"], &args[..], &["--out", text(&report)]].concat());
    let picture = fs::read_to_string(report.join("accuracy-vs-sparsity.svg")).expect("a picture");
    assert!(picture.contains("dense control") && picture.contains("random"), "both controls are in the legend");
    // The dense control trained as long and pruned nothing.
    let dense = runs.iter().find(|run| facts_of(run, "pruned").is_empty()).expect("a dense control");
    let steps = |run: &std::path::Path| facts_of(run, "run_ended")[0]["step"].clone();
    assert!(runs.iter().all(|run| steps(run) == steps(dense)));
}

#[test]
fn the_test_split_touches_nothing_but_tests() {
    // Law 8: with another test split, weights, choices and every other fact stay the same.
    let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let base = ["run", "configs/smoke.toml", "--set", "train.early_stop={ patience = 1 }", "--out"];
    succeed(&[&base[..], &[text(one.path())]].concat());
    succeed(&[&base[..], &[text(two.path()), "--set", "data.synthetic_test=70"]].concat());
    let (one, two) = (only_run(one.path()).expect("a run"), only_run(two.path()).expect("a run"));
    assert_eq!(
        fs::read(one.join("model.safetensors")).expect("a model"),
        fs::read(two.join("model.safetensors")).expect("a model")
    );
    for kind in ["epoch_ended", "stopped_early", "pruned", "run_ended"] {
        assert_eq!(facts_of(&one, kind), facts_of(&two, kind), "{kind}");
    }
    assert_ne!(facts_of(&one, "tested"), facts_of(&two, "tested"));
}

#[test]
fn a_report_of_a_run_that_is_still_going_says_so() {
    let out = tempfile::tempdir().expect("a folder");
    succeed(&["run", "configs/smoke.toml", "--out", text(out.path())]);
    let run = only_run(out.path()).expect("a run");
    let log = fs::read_to_string(run.join("log.jsonl")).expect("a log");
    // Cut in the middle of the line after the second prune, as a reader may find it.
    let cut = log.match_indices("\"pruned\"").nth(1).expect("two prunes").0 + 20;
    fs::write(run.join("log.jsonl"), &log[..cut]).expect("written");
    without_checkpoints(&run);
    succeed(&["report", text(&run)]);
    let page = fs::read_to_string(run.join("report/index.html")).expect("a page");
    assert!(page.contains("still going") || page.contains("unfinished"), "the page says that the run goes on");
    assert!(succeed(&["list", text(out.path())]).contains("unfinished"));
}

/// While a process works on a run it is running; cut off, it is unfinished; and a test after a prune is not one after its
/// retraining.
#[test]
fn a_list_tells_running_from_unfinished_and_just_pruned_from_retrained() {
    let out = tempfile::tempdir().expect("a folder");
    succeed(&["run", "configs/smoke.toml", "--out", text(out.path())]);
    let run = only_run(out.path()).expect("a run");
    let row = || {
        let listed = succeed(&["list", text(out.path())]);
        listed.lines().nth(1).expect("a run").split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let finished = row().join(" ");
    assert!(finished.starts_with("finished ") && finished.contains(" retrained "), "{finished}");

    let log = fs::read_to_string(run.join("log.jsonl")).expect("a log");
    let just_pruned = log.lines().position(|line| line.contains("\"just_pruned\"")).expect("a test after a prune");
    let cut: Vec<&str> = log.lines().take(just_pruned + 1).collect();
    fs::write(run.join("log.jsonl"), cut.join("\n") + "\n").expect("written");
    fs::remove_file(run.join("model.safetensors")).expect("removed");
    without_checkpoints(&run);
    let unfinished = row().join(" ");
    assert!(unfinished.starts_with("unfinished ") && unfinished.contains(" just pruned "), "{unfinished}");

    // What a process holds that works on the run.
    let lock = fs::File::create(run.join("run.lock")).expect("a lock");
    lock.try_lock().expect("free");
    assert_eq!(row()[0], "running");
    drop(lock);
    assert_eq!(row()[0], "unfinished");
}

#[test]
fn the_network_before_the_first_prune_has_a_name() {
    let out = tempfile::tempdir().expect("a folder");
    let run = |name: &str, changes: &[&str]| {
        let folder = out.path().join(name);
        succeed(&[&["run", "configs/smoke.toml", "--out", text(&folder)], changes].concat());
        only_run(&folder).expect("a run")
    };
    let says = |run: &Path, test: usize| {
        let score = facts_of(run, "tested")[test]["score"].clone();
        let wanted = format!("({} of {})", score["correct"], score["total"]);
        let said = succeed(&["test", text(run), "--checkpoint", "dense"]);
        assert!(said.contains(&wanted), "{said}: {wanted}");
    };
    // Of a run that prunes it is the first that was tested, whatever is kept; of one that prunes nothing the last.
    says(&run("kept", &["--set", "checkpoint.keep=1000"]), 0);
    says(&run("control", &["--set", "prune.enabled=false"]), 4);
    says(&run("default", &[]), 0);
}

#[test]
fn lottery_tickets_start_from_the_remembered_weights() {
    let out = tempfile::tempdir().expect("a folder");
    let tickets = ["--set", "retrain.kind=rewind-weights", "--set", "retrain.rewind_to={ steps = 7 }"];
    succeed(&[&["run", "configs/smoke.toml", "--out", text(out.path())], &tickets[..]].concat());
    let run = only_run(out.path()).expect("a run");
    // Rewound to step 7 of training, the network knows next to nothing, and learns again within the cycle.
    let epochs = facts_of(&run, "epoch_ended");
    let first_of = |cycle: u64| {
        let epoch = epochs.iter().find(|epoch| epoch["cycle"] == cycle).expect("an epoch of the cycle");
        epoch["train"]["loss"].as_f64().expect("a number")
    };
    let dense = epochs.iter().rfind(|epoch| epoch["cycle"] == 0).expect("a dense epoch")["train"]["loss"].as_f64();
    assert!(
        first_of(1) > dense.expect("a number"),
        "after a rewind the loss is an early one: {} {dense:?}",
        first_of(1)
    );
}

#[test]
fn help_teaches_and_completions_exist() {
    let help = succeed(&["--help"]);
    assert!(help.contains("Exit codes") && help.contains("secateur run configs/quickstart.toml"), "{help}");
    for verb in ["run", "resume", "plan", "report", "compare", "serve", "track", "test", "list"] {
        assert!(succeed(&[verb, "--help"]).contains("--help"), "{verb}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(succeed(&["completions", shell]).contains("secateur"), "{shell}");
    }
}
