//! Laws 4 and 5 on the real program: killed, signalled, out of disk or with a damaged checkpoint, a run ends with the same
//! bytes as one that was left alone.

mod common;

use common::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

const CONFIG: &str = "configs/smoke.toml";

/// The run that nobody disturbed, and the lines of its log.
fn whole() -> &'static (TempDir, PathBuf, usize) {
    static WHOLE: OnceLock<(TempDir, PathBuf, usize)> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let out = folder();
        succeed(&["run", CONFIG, "--out", text(out.path())]);
        let run = only_run(out.path()).expect("a run");
        let lines = log_lines(out.path());
        (out, run, lines)
    })
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Starts or resumes the run below `out`.
fn go_on(out: &Path) -> Child {
    match only_run(out) {
        Some(run) => start(&["resume", text(&run)]),
        None => start(&["run", CONFIG, "--out", text(out)]),
    }
}

#[test]
fn killed_at_any_instant_a_run_resumes_to_the_same_bytes() {
    let (_, whole, lines) = whole();
    // Instants that a fixed sequence spreads over the log: the golden ratio's multiples, modulo 1.
    let (mut share, mut kills) = (0.31, 0);
    for trial in 0..10 {
        let out = folder();
        for quarter in 0..4 {
            let child = go_on(out.path());
            share = (share + 0.618_034) % 1.0;
            let line = (*lines as f64 * (f64::from(quarter) + share) / 4.0) as usize;
            kills += usize::from(killed_at(child, out.path(), line));
        }
        let run = match only_run(out.path()) {
            Some(run) => run,
            None => {
                succeed(&["run", CONFIG, "--out", text(out.path())]);
                only_run(out.path()).expect("a run")
            }
        };
        succeed(&["resume", text(&run)]);
        assert_same_run(whole, &run, &format!("trial {trial}, {kills} kills"));
        // On a machine that stalls a run may end before its kill; then others are killed.
        if trial >= 2 && kills >= 3 {
            return;
        }
    }
    panic!("only {kills} kills in ten runs");
}

#[test]
fn a_rewinding_run_resumes_to_the_same_bytes_from_every_stage() {
    let rewinding = r#"retrain={ kind = "rewind-weights", rewind_to = { steps = 7 } }"#;
    let args = |out: &Path| {
        ["run", CONFIG, "--set", rewinding, "--set", "checkpoint.keep=100", "--out", text(out)].map(str::to_owned)
    };
    let run = |out: &Path| {
        succeed(&args(out).each_ref().map(String::as_str));
        only_run(out).expect("a run")
    };
    let (left_alone, cut) = (folder(), folder());
    let (whole, cut) = (run(left_alone.path()), run(cut.path()));
    // What is remembered shrinks with every prune; each of these states has to lead to the same end.
    let names = checkpoints(&cut);
    assert!(names.len() > 15, "{names:?}");
    for (index, last) in names.iter().enumerate().rev().step_by(3) {
        go_back(&cut, index);
        succeed(&["resume", text(&cut)]);
        assert_same_run(&whole, &cut, last);
    }
}

/// Prunes that a run's log tells.
fn prunes(run: &Path) -> usize {
    let log = fs::read_to_string(run.join("log.jsonl")).unwrap_or_default();
    log.matches("\"event\":\"pruned\"").count()
}

/// A run that is held, by SIGSTOP, when it has saved two checkpoints and still has prunes before it.
fn held() -> (TempDir, Child, PathBuf) {
    let before = prunes(&whole().1);
    assert!(before > 1);
    // On a machine that stalls a run may be further before it is held; then another one is.
    for _ in 0..20 {
        let out = folder();
        // Whoever starts the tests may ignore SIGHUP, which its children inherit.
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_secateur")]);
        command.args(["run", CONFIG, "--out", text(out.path())]).current_dir(root());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut run = None;
        while run.is_none() && child.try_wait().expect("a child").is_none() {
            run = only_run(out.path()).filter(|run| checkpoints(run).len() >= 2);
            std::thread::sleep(Duration::from_millis(1));
        }
        if let Some(run) = run {
            signal(&child, "STOP");
            if prunes(&run) < before {
                return (out, child, run);
            }
        }
        let _ = child.kill();
        child.wait().expect("reaped");
    }
    panic!("no run could be held before its last prune");
}

#[test]
fn signals_save_the_state_and_say_how_to_go_on() {
    for name in ["INT", "TERM", "HUP"] {
        let (_out, child, run) = held();
        signal(&child, name);
        signal(&child, "CONT");
        let output = child.wait_with_output().expect("reaped");
        assert_eq!(output.status.code(), Some(130), "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains(&format!("secateur resume {}", run.display())), "{}", stderr(&output));
        succeed(&["resume", text(&run)]);
        assert_same_run(&whole().1, &run, name);
    }
}

#[test]
fn a_second_process_is_refused() {
    let (_out, mut child, run) = held();
    let said = fail(&["resume", text(&run)]);
    assert!(said.contains("in use by another process"), "{said}");
    child.kill().expect("SIGKILL");
    child.wait().expect("reaped");
    succeed(&["resume", text(&run)]);
    assert_same_run(&whole().1, &run, "after a refused second process");
    // Resuming what is finished changes nothing.
    succeed(&["resume", text(&run)]);
    assert_same_run(&whole().1, &run, "resumed when finished");
}

#[test]
fn a_damaged_checkpoint_is_told_and_the_one_before_is_used() {
    let (_out, mut child, run) = held();
    child.kill().expect("SIGKILL");
    child.wait().expect("reaped");
    let newest = checkpoints(&run).pop().expect("a checkpoint");
    let state = run.join("checkpoints").join(&newest).join("state.safetensors");
    let mut bytes = fs::read(&state).expect("a state");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&state, bytes).expect("written");
    let resumed = output(&["resume", text(&run)]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    let said = stderr(&resumed);
    assert!(said.contains(&newest) && said.contains("damaged") && said.contains("the one before"), "{said}");
    assert_same_run(&whole().1, &run, "after damage");
}

#[test]
fn a_full_disk_leaves_the_last_good_checkpoint() {
    let out = folder();
    // A limit on the size of files, in blocks of 512 bytes, stands in for the full disk: the first checkpoints fit
    // (720 KB), one that holds the best epoch's weights as well (960 KB) does not.
    let script = "trap '' XFSZ; ulimit -f 1640; exec \"$0\" run configs/smoke.toml --out \"$1\"";
    let mut full = Command::new("sh");
    full.args(["-c", script, env!("CARGO_BIN_EXE_secateur"), text(out.path())]).current_dir(root());
    let full = full.output().expect("sh");
    let said = stderr(&full);
    assert_eq!(full.status.code(), Some(1), "{said}");
    assert!(
        said.contains("cannot write") && said.contains("state.safetensors") && !said.contains("panicked"),
        "{said}"
    );
    let run = only_run(out.path()).expect("a run");
    assert!(!checkpoints(&run).is_empty());
    let half_written: Vec<_> = fs::read_dir(run.join("checkpoints")).expect("checkpoints").collect();
    assert_eq!(half_written.len(), checkpoints(&run).len(), "nothing half written stays");
    succeed(&["resume", text(&run)]);
    assert_same_run(&whole().1, &run, "after a full disk");
}

#[test]
fn one_thread_gives_the_same_bytes() {
    let out = folder();
    succeed(&["run", CONFIG, "--threads", "1", "--out", text(out.path())]);
    assert_same_run(&whole().1, &only_run(out.path()).expect("a run"), "one thread");
}
