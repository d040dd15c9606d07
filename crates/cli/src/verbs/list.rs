//! `secateur list`: the runs of a folder, a line each.

use super::{Done, print};
use crate::args::ListArgs;
use crate::progress::clock;
use crate::say::say;
use anyhow::{Context, Result};
use secateur_report::event::Stage;
use secateur_report::{RunRecord, read_log};
use secateur_trainer::{RunFolder, RunState};
use std::fmt::Write;
use std::path::PathBuf;

/// Prints the table; a folder whose log cannot be read says so in its line.
pub(crate) fn list(args: &ListArgs) -> Result<Done> {
    let place = || format!("{}: cannot list runs", args.dir.display());
    let mut runs: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&args.dir).with_context(place)? {
        let path = entry.with_context(place)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && RunFolder::at(&path).is_run() {
            runs.push(path);
        }
    }
    runs.sort();
    if runs.is_empty() {
        say!("no runs in {}; start one with: secateur run configs/quickstart.toml", args.dir.display());
        return Ok(Done::Whole);
    }
    let names: Vec<String> =
        runs.iter().map(|run| run.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(3);
    let mut out = format!(
        "{:<wide$}  {:<10} {:>17}  {:>9}  {:>9}  {:<11}  {:>8}\n",
        "run", "state", "steps", "sparsity", "accuracy", "network", "time"
    );
    for (run, name) in runs.iter().zip(&names) {
        let folder = RunFolder::at(run);
        let row = match read_log(folder.log()) {
            Ok(record) => row(&record, &folder.check(&record)),
            Err(error) => match folder.state() {
                RunState::Running => "running".into(),
                RunState::Unfinished => "unfinished".into(),
                RunState::Damaged(why) => format!("damaged: {why}"),
                RunState::Finished | RunState::NoModel => format!("unreadable: {error}"),
            },
        };
        writeln!(out, "{name:<wide$}  {row}").expect("strings take all");
    }
    print(&out)?;
    Ok(Done::Whole)
}

/// A run in columns; one that is damaged says what is, since its numbers may not be its own.
fn row(record: &RunRecord, state: &RunState) -> String {
    let summary = record.summary();
    let state = match state {
        RunState::Finished => "finished",
        RunState::NoModel => "no model",
        RunState::Running => "running",
        RunState::Unfinished => "unfinished",
        RunState::Damaged(why) => return format!("damaged: {why}"),
    };
    let steps = format!("{}/{}", summary.step, summary.planned_steps);
    // The accuracy is the newest test's; which network that was stands beside it, since one that was just pruned answers
    // worse than after its retraining.
    let (sparsity, accuracy, network) = record.tests.last().map_or(("-".into(), "-".into(), "-"), |test| {
        let tested = &test.tested;
        let network = match tested.stage {
            Stage::Dense => "dense",
            Stage::JustPruned => "just pruned",
            Stage::Retrained => "retrained",
        };
        let percent = |share: f64| format!("{:.2} %", 100.0 * share);
        (percent(tested.size.sparsity()), percent(tested.score.accuracy()), network)
    });
    let time = clock(summary.elapsed_ms as f64 / 1000.0);
    format!("{state:<10} {steps:>17}  {sparsity:>9}  {accuracy:>9}  {network:<11}  {time:>8}")
}
