//! `secateur report`: pictures and tables from logs, nothing measured again.

use super::{Done, print};
use crate::args::ReportArgs;
use anyhow::{Context, Result, bail};
use secateur_report::{ReportInput, RunRecord, curve_table, read_log, write_report};
use std::path::{Path, PathBuf};

/// Writes the report and shows the tables.
pub(crate) fn report(args: &ReportArgs) -> Result<Done> {
    let out = match (&args.out, args.runs.as_slice()) {
        (Some(out), _) => out.clone(),
        (None, [only]) => only.join("report"),
        (None, _) => bail!("several runs need a folder for their report: add --out DIR"),
    };
    let runs = args.runs.iter().map(|run| input(run, name(run))).collect::<Result<Vec<_>>>()?;
    let files = write_report(&runs, &out)?;
    for run in &runs {
        print(&format!("{}\n{}", run.label, curve_table(&run.record)))?;
    }
    for file in files {
        eprintln!("wrote {}", file.display());
    }
    Ok(Done::Whole)
}

/// Writes a single run's report into its own folder; returns what the log says, and the page.
pub(crate) fn of_one(run: &Path) -> Result<(RunRecord, PathBuf)> {
    let input = input(run, name(run))?;
    let out = run.join("report");
    write_report(std::slice::from_ref(&input), &out)?;
    Ok((input.record, out.join("index.html")))
}

/// Writes the report of several runs; returns the page.
pub(crate) fn of_many(runs: &[PathBuf], out: &Path) -> Result<PathBuf> {
    let inputs = runs.iter().map(|run| input(run, name(run))).collect::<Result<Vec<_>>>()?;
    write_report(&inputs, out)?;
    Ok(out.join("index.html"))
}

/// What a run is called: its folder.
pub(crate) fn name(run: &Path) -> String {
    run.file_name().unwrap_or(run.as_os_str()).to_string_lossy().into_owned()
}

/// A run as its report takes it.
pub(crate) fn input(run: &Path, label: String) -> Result<ReportInput> {
    let log = run.join("log.jsonl");
    if !log.is_file() {
        bail!("{}: no run here: found no log.jsonl, wanted a folder that `secateur run` made", run.display());
    }
    Ok(ReportInput { label, record: read_log(&log)?, reproduce: command(run)? })
}

/// The command that repeats a run, from its manifest.
fn command(run: &Path) -> Result<String> {
    let path = run.join("manifest.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}: cannot read", path.display()))?;
    let manifest: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("{}: no manifest", path.display()))?;
    let words = manifest["command"].as_array().into_iter().flatten().filter_map(|word| word.as_str());
    // The program's own path says nothing to others.
    let mut words: Vec<&str> = words.collect();
    if let Some(program) = words.first_mut() {
        *program = "secateur";
    }
    Ok(words.into_iter().map(quoted).collect::<Vec<_>>().join(" "))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,+@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("model.width=5"), "model.width=5");
        assert_eq!(quoted("every={ steps = 5 }"), "'every={ steps = 5 }'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
