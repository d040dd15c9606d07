//! One whole small run for each instruction set of the machine, resumed too.

mod common;

use common::*;
use secateur_sparse::InstructionSet;
use std::path::{Path, PathBuf};

fn run(out: &Path, set: InstructionSet) -> PathBuf {
    let word = format!("instruction_set={}", set.name());
    // All checkpoints stay, so that a run can go on from the first half of them.
    let args = ["run", "configs/smoke.toml", "--set", &word, "--set", "checkpoint.keep=100", "--out", text(out)];
    succeed(&args);
    only_run(out).expect("a run")
}

#[test]
fn every_instruction_set_runs_to_the_end_and_resumes_to_the_same_bytes() {
    for set in InstructionSet::available() {
        let [whole, cut] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let (whole, cut) = (run(whole.path(), set), run(cut.path(), set));
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
