//! Laws 4 and 5 on the real program: killed, signalled, out of disk or with a damaged checkpoint, a run ends with the same
//! bytes as one that was left alone.

mod common;

use common::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const CONFIG: &str = "configs/smoke.toml";

/// The run that nobody disturbed, and how long it took.
fn whole() -> &'static (TempDir, PathBuf, Duration) {
    static WHOLE: OnceLock<(TempDir, PathBuf, Duration)> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let (out, began) = (folder(), Instant::now());
        succeed(&["run", CONFIG, "--out", text(out.path())]);
        let took = began.elapsed();
        let run = only_run(out.path()).expect("a run");
        (out, run, took)
    })
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Starts or resumes the run below `out`.
fn go_on(out: &Path) -> std::process::Child {
    match only_run(out) {
        Some(run) => start(&["resume", text(&run)]),
        None => start(&["run", CONFIG, "--out", text(out)]),
    }
}

#[test]
fn killed_at_any_instant_a_run_resumes_to_the_same_bytes() {
    let (_, whole, took) = whole();
    // Instants that a fixed sequence spreads over the run: the golden ratio's multiples, modulo 1.
    let mut share = 0.31;
    for trial in 0..3 {
        let out = folder();
        let mut kills = 0;
        while kills < 4 {
            let mut child = go_on(out.path());
            share = (share + 0.618_034) % 1.0;
            std::thread::sleep(took.mul_f64(0.02 + 0.5 * share));
            if child.try_wait().expect("a child").is_some() {
                break;
            }
            child.kill().expect("SIGKILL");
            child.wait().expect("reaped");
            kills += 1;
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
    }
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

/// Starts a run and waits until it has saved a checkpoint within training.
fn started(out: &Path) -> (std::process::Child, PathBuf) {
    let mut child = start(&["run", CONFIG, "--out", text(out)]);
    let deadline = Instant::now() + Duration::from_secs(120);
    while Instant::now() < deadline {
        if let Some(run) = only_run(out).filter(|run| run.join("checkpoints").is_dir() && checkpoints(run).len() >= 2) {
            return (child, run);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("reaped");
    panic!("no checkpoint within two minutes");
}

#[test]
fn signals_save_the_state_and_say_how_to_go_on() {
    for signal in ["INT", "TERM"] {
        let out = folder();
        let mut command = secateur(&["run", CONFIG, "--out", text(out.path())]);
        let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let child = child.spawn().expect("the program starts");
        let deadline = Instant::now() + Duration::from_secs(120);
        while only_run(out.path()).is_none_or(|run| checkpoints(&run).is_empty()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        let output = child.wait_with_output().expect("reaped");
        let run = only_run(out.path()).expect("a run");
        assert_eq!(output.status.code(), Some(130), "{signal}: {}", stderr(&output));
        assert!(stderr(&output).contains(&format!("secateur resume {}", run.display())), "{}", stderr(&output));
        succeed(&["resume", text(&run)]);
        assert_same_run(&whole().1, &run, signal);
    }
}

#[test]
fn a_second_process_is_refused() {
    let out = folder();
    let (mut child, run) = started(out.path());
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
    let out = folder();
    let (mut child, run) = started(out.path());
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
