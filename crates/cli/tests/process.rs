//! The program as a process: nobody reads what it says, arguments are no text, signals come twice.

mod common;

use common::*;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn a_run_goes_on_when_nobody_can_read_what_it_says() {
    let out = tempfile::tempdir().expect("a folder");
    // A reader that left, as `2>&1 | head -1` does, and a disk that is full under a redirect.
    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Stdio::from(writer)
    };
    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("a full disk"));
    for (name, silent) in [("closed", &closed as &dyn Fn() -> Stdio), ("full", &full)] {
        let folder = out.path().join(name);
        for verb in [&["-vv", "run", "configs/smoke.toml", "--out", text(&folder)][..], &["list", text(&folder)]] {
            let ended = secateur(verb).stderr(silent()).stdout(silent()).status().expect("the program starts");
            // The table that is left for last is an answer, which a full disk may not lose without a word.
            assert!(ended.success() || name == "full" && ended.code() == Some(1), "{name}, {verb:?}: {ended}");
        }
        let run = only_run(&folder).expect("a run");
        assert_eq!(facts_of(&run, "run_ended").len(), 1, "{name}");
    }
    let bad = secateur(&["run", "nowhere.toml"]).stderr(closed()).status().expect("the program starts");
    assert_eq!(bad.code(), Some(1), "an error that nobody reads is one");
}

#[test]
fn arguments_that_are_no_text_are_paths_or_refused() {
    let out = tempfile::tempdir().expect("a folder");
    let torn = OsStr::from_bytes(b"torn\xff");
    let said = |command: &mut Command| {
        let output = command.output().expect("the program starts");
        let said = stderr(&output);
        assert!(!said.contains("panicked"), "{said}");
        (output.status.code(), said)
    };
    let (code, words) = said(secateur(&["run", "configs/smoke.toml", "--out", text(out.path()), "--data"]).arg(torn));
    assert!(code == Some(1) && words.contains("`data.dir`: expected a path in UTF-8"), "{words}");
    assert!(only_run(out.path()).is_none(), "nothing is left behind");
    let (code, words) = said(secateur(&["run"]).arg(torn));
    assert!(code == Some(1) && words.contains("cannot read the config"), "{words}");
    // A folder may have any name.
    let (code, words) = said(secateur(&["run", "configs/smoke.toml", "--out"]).arg(out.path().join(torn)));
    assert_eq!(code, Some(0), "{words}");
    assert!(only_run(&out.path().join(torn)).expect("a run").join("model.safetensors").exists());
}

#[test]
fn more_threads_than_can_be_are_refused_before_anything_is_made() {
    let out = tempfile::tempdir().expect("a folder");
    let said = fail(&["run", "configs/smoke.toml", "--threads", "100000", "--out", text(out.path())]);
    assert!(said.contains("`threads`: expected at most 1024"), "{said}");
    assert!(only_run(out.path()).is_none());
}

#[test]
fn no_more_threads_compute_than_the_machine_runs_at_once() {
    let out = tempfile::tempdir().expect("a folder");
    let short =
        ["--set", "train.length={ steps = 2 }", "--set", "prune.enabled=false", "--set", "measure.enabled=true"];
    succeed(&[&["run", "configs/smoke.toml", "--threads", "200", "--out", text(out.path())][..], &short].concat());
    let log = std::fs::read_to_string(only_run(out.path()).expect("a run").join("log.jsonl")).expect("a log");
    let events = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an event"));
    let events: Vec<_> = events.collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).collect::<Vec<_>>();
    let (timed, began) = (of("measured"), of("session_started"));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    assert_eq!(began[0]["threads"].as_u64(), Some(cores.min(200)), "{}", began[0]);
    for event in &timed {
        let latencies = event["timing"]["inference"]["latencies"].as_array().expect("latencies");
        assert!(latencies.iter().all(|own| own["threads"].as_u64().is_some_and(|own| own <= cores)), "{event}");
    }
    assert!(!timed.is_empty());
}

#[test]
fn a_second_signal_ends_at_once_and_promises_no_saved_state() {
    let out = tempfile::tempdir().expect("a folder");
    let long = ["run", "configs/smoke.toml", "--set", "train.length={ epochs = 100000 }", "--out", text(out.path())];
    let mut child = start(&long);
    let id = child.id().to_string();
    let signal = |signal: &str| {
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill").success());
    };
    while only_run(out.path()).is_none_or(|run| !run.join("log.jsonl").exists()) {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before it had a log");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Held, so that both come before it takes another step.
    signal("-STOP");
    signal("-TERM");
    signal("-INT");
    signal("-CONT");
    assert_eq!(child.wait().expect("it ends").code(), Some(131));
    succeed(&["list", text(out.path())]);
}

#[test]
fn a_lost_terminal_saves_the_state_also_when_it_comes_with_another_signal_and_is_ignored_under_nohup() {
    let long = "train.length={ epochs = 100000 }";
    for (how, changes, signals, expected) in [
        // At a log-out both come at once.
        ("--default-signal=HUP", &["--set", long][..], &["-HUP", "-TERM"][..], 130),
        ("--ignore-signal=HUP", &[], &["-HUP"], 0),
    ] {
        let out = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("env");
        command.args([how, env!("CARGO_BIN_EXE_secateur"), "run", "configs/smoke.toml", "--out", text(out.path())]);
        let command = command.args(changes).current_dir(root()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        while only_run(out.path()).is_none_or(|run| !run.join("log.jsonl").exists()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Held, so that all come before it takes another step.
        for signal in ["-STOP"].iter().chain(signals).chain(&["-CONT"]) {
            assert!(Command::new("kill").args([signal, &*child.id().to_string()]).status().expect("kill").success());
        }
        assert_eq!(child.wait().expect("it ends").code(), Some(expected), "{how}");
        let run = only_run(out.path()).expect("a run");
        assert_eq!(facts_of(&run, "run_ended").len(), usize::from(expected == 0), "{how}");
        assert!(!checkpoints(&run).is_empty(), "{how}");
    }
}
