//! A run's folder as the report takes it.

use crate::shell::quoted;
use anyhow::{Context, Result, bail};
use secateur_report::{Origin, ReportInput, State, read_log, regular};
use secateur_trainer::{RunFolder, RunState};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Longest config or manifest that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// Reads the run at `path`, which the report calls `label`.
pub(crate) fn read(path: &Path, label: String) -> Result<ReportInput> {
    let log = log_of(path)?;
    let mut record = read_log(&log)?;
    let folder = RunFolder::at(path);
    let state = match folder.check(&record) {
        RunState::Finished => State::Finished,
        RunState::NoModel => State::NoModel,
        RunState::Running | RunState::Unfinished => State::Unfinished,
        RunState::Damaged(why) => bail!("damaged, and left out: {why}"),
    };
    // A log of an earlier version tells its method in words; the config beside it tells the rest.
    if !record.started.is_known()
        && let Some(told) = secateur_trainer::told(path, &record.started)
    {
        record.started = told;
    }
    let manifest = manifest(path)?;
    let origin = Origin {
        log: log.display().to_string(),
        config: text(&folder.config())?.unwrap_or_default(),
        surroundings: surroundings(&manifest),
    };
    Ok(ReportInput { label, record, state, reproduce: command(&manifest), origin })
}

/// Where a run's log is.
pub(crate) fn log_of(run: &Path) -> Result<PathBuf> {
    let log = RunFolder::at(run).log();
    if !log.is_file() {
        bail!("{}: no run here: found no log.jsonl, wanted a folder that `secateur run` made", run.display());
    }
    Ok(log)
}

/// The manifest; nothing where there is none.
fn manifest(run: &Path) -> Result<serde_json::Value> {
    let path = RunFolder::at(run).manifest();
    let Some(text) = text(&path)? else { return Ok(serde_json::Value::Null) };
    serde_json::from_str(&text).with_context(|| format!("{}: no manifest", path.display()))
}

/// A file of the run; `None` where there is none.
fn text(path: &Path) -> Result<Option<String>> {
    match regular::read_text(path, LONGEST) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{}: cannot read", path.display())),
    }
}

/// What the manifest says of the program and the machine, by name.
fn surroundings(manifest: &serde_json::Value) -> BTreeMap<String, String> {
    let names = ["secateur", "commit", "burn", "platform", "processor", "threads", "threads_used", "device"];
    let mut known: BTreeMap<_, _> =
        names.iter().filter_map(|name| Some(((*name).to_owned(), words(&manifest[*name])?))).collect();
    known.extend(words(&manifest["kernels"]["instruction_set"]).map(|set| ("instructions".to_owned(), set)));
    known
}

fn words(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The command that repeats a run, from its manifest; empty where that has none.
fn command(manifest: &serde_json::Value) -> String {
    let words = manifest["command"].as_array().into_iter().flatten().filter_map(|word| word.as_str());
    // The program's own path says nothing to others.
    let mut words: Vec<&str> = words.collect();
    if let Some(program) = words.first_mut() {
        *program = "secateur";
    }
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_says_what_it_can() {
        let manifest = serde_json::json!({
            "secateur": "0.1.0", "commit": null, "threads": 2, "kernels": { "instruction_set": "avx2" },
            "command": ["/somewhere/secateur", "run", "a b"],
        });
        let known: Vec<_> = surroundings(&manifest).into_iter().collect();
        let expected = [("instructions", "avx2"), ("secateur", "0.1.0"), ("threads", "2")];
        assert_eq!(known, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(command(&manifest), "secateur run 'a b'");
        assert_eq!(
            (surroundings(&serde_json::Value::Null).len(), command(&serde_json::Value::Null)),
            (0, String::new())
        );
    }
}
