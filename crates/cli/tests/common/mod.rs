//! What the tests of the program share: starting it, and reading what it left.
#![allow(dead_code, unreachable_pub, reason = "each test file is a crate that uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The root of the repository, where commands are typed.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The program with these arguments, typed in the root of the repository.
pub fn secateur(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_secateur"));
    command.args(args).current_dir(root()).env_remove("RUST_LOG");
    command
}

/// Runs the program to its end.
pub fn output(args: &[&str]) -> Output {
    secateur(args).output().expect("the program starts")
}

/// Runs the program, which has to succeed, and returns its stdout.
pub fn succeed(args: &[&str]) -> String {
    let output = output(args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// Runs the program, which has to fail with code 1 and without a panic, and returns its stderr.
pub fn fail(args: &[&str]) -> String {
    let output = output(args);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
    assert!(said.contains("error: ") && !said.contains("panicked"), "{args:?}: {said}");
    said
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Starts the program in the background, silent.
pub fn start(args: &[&str]) -> Child {
    secateur(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// Lines of the log of the one run below a folder.
pub fn log_lines(out: &Path) -> usize {
    let log = only_run(out).and_then(|run| fs::read(run.join("log.jsonl")).ok());
    log.map_or(0, |log| log.iter().filter(|byte| **byte == b'\n').count())
}

/// Sends SIGKILL to a process once the log of the one run below a folder has so many lines; whether that ended it.
pub fn killed_at(mut child: Child, out: &Path, lines: usize) -> bool {
    while log_lines(out) < lines {
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("reaped").code().is_none()
}

/// Sends a signal, by name.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().expect("kill");
    assert!(sent.success(), "{name}");
}

/// The one run below a folder; `None` when there is none yet.
pub fn only_run(out: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(out).ok()?;
    let runs: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| !path.file_name().expect("named").to_string_lossy().starts_with('.'))
        .collect();
    assert!(runs.len() <= 1, "{runs:?}");
    runs.into_iter().next()
}

/// The log's facts: every line without what a clock said, and without the sessions, of which an interrupted run has more.
pub fn facts(run: &Path) -> Vec<serde_json::Value> {
    let log = fs::read_to_string(run.join("log.jsonl")).expect("a log");
    log.lines()
        .map(|line| {
            let mut event: serde_json::Value = serde_json::from_str(line).expect("an event a line");
            event.as_object_mut().expect("an object").remove("timing");
            event
        })
        .filter(|event| event["event"] != "session_started")
        .collect()
}

/// A finished log that a test has changed, with the checksum that it has now: what was changed in it is then for others to find.
pub fn resealed(log: &str) -> String {
    match log.split_once(",\"log_sha256\":\"") {
        Some((before, after)) => {
            format!("{before},\"log_sha256\":\"{}{}", secateur_report::log_digest(log.as_bytes()), &after[64..])
        }
        None => log.to_owned(),
    }
}

/// The sessions that worked on a run.
pub fn sessions(run: &Path) -> Vec<serde_json::Value> {
    let log = fs::read_to_string(run.join("log.jsonl")).expect("a log");
    let lines = log.lines().map(|line| serde_json::from_str(line).expect("an event a line"));
    lines.filter(|event: &serde_json::Value| event["event"] == "session_started").collect()
}

/// Every file below a folder with its bytes.
pub fn content(folder: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            let bytes = fs::read(&path).expect("readable");
            found.insert(path, bytes);
        }
    }
    found
}

/// Facts of one kind.
pub fn facts_of(run: &Path, kind: &str) -> Vec<serde_json::Value> {
    facts(run).into_iter().filter(|event| event["event"] == kind).collect()
}

/// The newest checkpoint's tensors: weights, masks, optimizer state.
pub fn newest_state(run: &Path) -> (String, Vec<u8>) {
    let newest = checkpoints(run).pop().expect("a checkpoint");
    let state = fs::read(run.join("checkpoints").join(&newest).join("state.safetensors")).expect("a state");
    (newest, state)
}

/// Names of the checkpoints, oldest first.
pub fn checkpoints(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run.join("checkpoints")).expect("checkpoints");
    let names = entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> =
        names.filter(|name| name.starts_with("stage-") && !name.ends_with(".damaged")).collect();
    names.sort();
    names
}

/// Takes a finished run back to its checkpoint of this index, as if it had been killed right after.
pub fn go_back(run: &Path, index: usize) {
    let names = checkpoints(run);
    for name in &names[index + 1..] {
        fs::remove_dir_all(run.join("checkpoints").join(name)).expect("removed");
    }
    fs::remove_file(run.join("model.safetensors")).expect("removed");
    let cursor = fs::read(run.join("checkpoints").join(&names[index]).join("cursor.json")).expect("a cursor");
    let cursor: serde_json::Value = serde_json::from_slice(&cursor).expect("JSON");
    let length = usize::try_from(cursor["log_bytes"].as_u64().expect("a length")).expect("short");
    let log = fs::read(run.join("log.jsonl")).expect("a log");
    // And a torn line.
    fs::write(run.join("log.jsonl"), &log[..length + 9]).expect("cut");
}

/// Asserts that two finished runs left the same bytes and told the same facts.
pub fn assert_same_run(whole: &Path, other: &Path, how: &str) {
    let read = |run: &Path| fs::read(run.join("model.safetensors")).expect("a model");
    assert!(read(whole) == read(other), "{how}: the final models differ");
    let ((name, state), (other_name, other_state)) = (newest_state(whole), newest_state(other));
    assert_eq!(name, other_name, "{how}");
    assert!(state == other_state, "{how}: weights, masks or optimizer state differ");
    assert_eq!(facts(whole), facts(other), "{how}: the logs differ");
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a printable path")
}
