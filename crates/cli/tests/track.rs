//! Logs for TensorBoard; `scripts/check-tensorboard` reads what comes out with TensorBoard itself.

mod common;

use common::*;
use std::fs;

#[test]
fn a_run_becomes_an_event_file_below_its_name() {
    let out = tempfile::tempdir().expect("a folder");
    let (runs, board) = (out.path().join("runs"), out.path().join("board"));
    succeed(&["run", "configs/smoke.toml", "--out", text(&runs)]);
    let run = only_run(&runs).expect("a run");
    succeed(&["track", text(&run), "--tensorboard", text(&board)]);
    let folder = only_run(&board).expect("a folder of the run's name");
    assert_eq!(folder.file_name(), run.file_name());
    let file = only_run(&folder).expect("one file");
    assert!(file.file_name().expect("named").to_string_lossy().contains("tfevents"), "{}", file.display());
    let bytes = fs::read(&file).expect("it is there");
    for tag in ["accuracy/train", "loss/validation", "learning_rate", "sparsity", "accuracy/test_just_pruned"] {
        assert!(bytes.windows(tag.len()).any(|part| part == tag.as_bytes()), "{tag}");
    }
    succeed(&["track", text(&run), "--tensorboard", text(&board)]);
    assert_eq!(fs::read(&file).expect("it is there"), bytes, "the same log, the same bytes, no second file");
    assert!(only_run(&folder).is_some());

    let copy = out.path().join("other").join(run.file_name().expect("named"));
    fs::create_dir_all(&copy).expect("a folder");
    fs::copy(run.join("log.jsonl"), copy.join("log.jsonl")).expect("a copy");
    let said = fail(&["track", text(&run), text(&copy), "--tensorboard", text(&board)]);
    assert!(said.contains("a second run of the name"), "{said}");
    let empty = out.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    assert!(fail(&["track", text(&empty), "--tensorboard", text(&board)]).contains("no run here"));

    // A folder of runs stands for the runs below it.
    let all = out.path().join("all");
    succeed(&["track", text(&runs), "--tensorboard", text(&all)]);
    let folder = only_run(&all).expect("a folder of the run's name");
    assert_eq!(fs::read(only_run(&folder).expect("one file")).expect("it is there"), bytes);
    assert_eq!(output(&["track", text(&run)]).status.code(), Some(2), "where to is not guessed");
}
