//! Whole small runs for each instruction set of the machine, resumed too.

mod common;

use common::*;
use secateur_sparse::InstructionSet;
use std::path::{Path, PathBuf};

fn run(out: &Path, set: InstructionSet, changes: &[&str]) -> PathBuf {
    let word = format!("instruction_set={}", set.name());
    // All checkpoints stay, so that a run can go on from the first half of them.
    let mut args =
        vec!["run", "configs/smoke.toml", "--set", &word, "--set", "checkpoint.keep=100", "--out", text(out)];
    changes.iter().for_each(|change| args.extend(["--set", change]));
    succeed(&args);
    only_run(out).expect("a run")
}

/// On every set two runs leave the same bytes, and so does one that is resumed from its middle.
fn check(changes: &[&str]) {
    for set in InstructionSet::available() {
        let [whole, cut] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let (whole, cut) = (run(whole.path(), set, changes), run(cut.path(), set, changes));
        assert_same_run(&whole, &cut, set.name());
        let compiled = facts_of(&whole, "layers_compiled");
        assert!(!compiled.is_empty() && compiled.iter().all(|event| event["instruction_set"] == set.name()));
        let names = checkpoints(&cut);
        assert!(names.len() > 4, "{names:?}");
        go_back(&cut, names.len() / 2);
        succeed(&["resume", text(&cut)]);
        assert_same_run(&whole, &cut, set.name());
    }
}

/// A short run of small batches, with other settings.
fn check_short(changes: &[&str]) {
    let short = [
        "data.synthetic_train=320",
        "data.synthetic_test=64",
        "data.validation=64",
        "train.batch_size=32",
        "prune.schedule={ kind = \"list\", sparsities = [0.3, 0.5] }",
        "measure.enabled=false",
    ];
    check(&[&short[..], changes].concat());
}

#[test]
fn every_instruction_set_runs_to_the_end_and_resumes_to_the_same_bytes() {
    check(&[]);
}

#[test]
fn so_it_does_with_filters_and_sgd() {
    let sgd = "train.optimizer={ kind = \"sgd\", lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 1e-3 }";
    check_short(&["prune.granularity={ kind = \"filter\" }", "prune.exclude=[\"fc3.*\"]", sgd]);
}

#[test]
fn so_it_does_with_graphs() {
    let images = "data.synthetic_shape=[3, 12, 12]";
    let sgd = "train.optimizer={ kind = \"sgd\", lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 1e-3 }";
    check_short(&["model={ kind = \"resnet\", depth = 8, width = 4 }", images, sgd]);
    let filters = "prune.granularity={ kind = \"filter\" }";
    check_short(&["model={ kind = \"mobilenet\", width = 4 }", images, filters]);
}

#[test]
fn so_it_does_with_another_model_and_sparse_layers() {
    check_short(&["model={ kind = \"lenet-5\" }", "train.paths=sparse"]);
}
