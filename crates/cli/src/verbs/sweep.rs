//! `secateur sweep`: a grid of runs, and the one page that shows them.

use super::{Done, report};
use crate::args::{LauncherKind, SweepArgs, SweepCellArgs};
use crate::interrupt::{end_with, on_signal};
use crate::progress::Progress;
use crate::say::say;
use crate::shell::quoted;
use crate::sweep::board::Board;
use crate::sweep::local::Local;
use crate::sweep::slurm::Slurm;
use crate::sweep::{Launcher, Places, State, Task, is_done};
use anyhow::{Result, bail};
use secateur_trainer::{CellFile, CellPlaces, Error, Facts, Outcome, Sweep, is_finished, run_cell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often the launcher is asked.
const POLL: Duration = Duration::from_millis(5);
/// How often a cluster is asked.
const POLL_CLUSTER: Duration = Duration::from_secs(2);

/// How long a cell waits for another process to leave its folder, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(200);

/// Runs all cells that are not finished, then leaves the report.
pub(crate) fn sweep(args: &SweepArgs) -> Result<Done> {
    let sweep = Sweep::read(&args.sweep)?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(&sweep.config.name));
    let places = Places { out };
    let tasks = places.tasks(&sweep);
    sweep.notes.iter().for_each(|note| say!("note: {note}"));
    if args.dry_run {
        return super::print(&table(&sweep, &tasks)).map(|()| Done::Whole);
    }
    // Before there is a folder: whoever sees one may send a signal.
    let stop = on_signal()?;
    let _lock = places.open(&sweep)?;
    let jobs = usize::from(args.jobs);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = args.threads.map_or((cores / jobs).max(1), usize::from);
    let (mut launcher, pause): (Box<dyn Launcher>, Duration) = match args.launcher {
        LauncherKind::Local => (Box::new(Local::new(places.clone(), jobs, threads)), POLL),
        LauncherKind::Slurm => {
            let slurm = Slurm::new(places.clone(), threads, args.sbatch.clone(), Arc::clone(&stop));
            (Box::new(slurm), POLL_CLUSTER)
        }
    };
    launcher.submit(&tasks)?;
    let mut board = Board::new(&tasks);
    let mut cancelled = false;
    let states = loop {
        let states = launcher.poll()?;
        let running = states.contains(&State::Running);
        let waiting = states.contains(&State::Waiting) && !cancelled;
        board.show(&tasks, &states, !running && !waiting);
        if !running && !waiting {
            break states;
        }
        if stop.load(Ordering::Relaxed) && !cancelled {
            say!("stopping: runs save their state; the same command goes on with them");
            launcher.cancel()?;
            cancelled = true;
        }
        std::thread::sleep(pause);
    };
    conclude(&places, &sweep, &tasks, &states, cancelled)
}

/// Leaves the report of what has finished, and tells what has not.
fn conclude(places: &Places, sweep: &Sweep, tasks: &[Task], states: &[State], cancelled: bool) -> Result<Done> {
    let cells: Vec<PathBuf> = sweep.cells.iter().map(|cell| places.out.join(cell.experiment.run_name())).collect();
    if cells.iter().any(|run| is_finished(run)) {
        // All of them: the page says which have not finished, or have not begun.
        let page = report::of_many(&cells, &places.out.join("report"))?;
        say!("report  {}", page.display());
    }
    if cancelled {
        let command: Vec<String> = std::env::args_os().map(|word| quoted(&word.to_string_lossy())).collect();
        say!("stopped; the runs' states are saved. Go on with: {}", command.join(" "));
        return Ok(Done::Interrupted);
    }
    let failed: Vec<String> = tasks
        .iter()
        .zip(states)
        .filter_map(|(task, state)| match state {
            State::Failed(why) => Some(format!("{}: {why}; it said: {}", task.name, task.log.display())),
            _ => None,
        })
        .collect();
    if !failed.is_empty() {
        let blocked = states.iter().filter(|state| **state == State::Blocked).count();
        let others = match blocked {
            0 => "the others are finished".to_owned(),
            _ => format!("{blocked} that begin with one of them were not begun, the others are finished"),
        };
        bail!("{} of {} runs failed; {others}\n  {}", failed.len(), tasks.len(), failed.join("\n  "));
    }
    Ok(Done::Whole)
}

/// What would be run.
fn table(sweep: &Sweep, tasks: &[Task]) -> String {
    // Each run by its name, with what a cell changes, but for its name, which begins the row.
    let starts = sweep.starts.iter().map(|start| (start.run_name(), (start.plan().steps(), String::new())));
    let cells = sweep.cells.iter().map(|cell| {
        let changes: Vec<&str> = cell.changes.iter().skip(1).map(String::as_str).collect();
        (cell.experiment.run_name(), (cell.experiment.plan().steps(), changes.join("  ")))
    });
    let known: HashMap<String, (u64, String)> = starts.chain(cells).collect();
    let whole = |name: &str| known.get(name).map_or(0, |(steps, _)| *steps);
    let wide = tasks.iter().map(|task| task.name.chars().count()).max().unwrap_or(0);
    let start =
        tasks.iter().filter_map(|task| Some(tasks[task.after?].name.chars().count())).max().unwrap_or(0).max(11);
    let mut rows = vec![format!(
        "{:<wide$}  {:<8}  {:>9}  {:>9}  {:<start$}  changes",
        "run", "state", "steps", "in all", "begins with"
    )];
    let mut left = 0;
    for task in tasks {
        let shared = task.after.map_or(0, |after| whole(&tasks[after].name));
        let (all, changes) = known.get(&task.name).map_or((0, ""), |(steps, changes)| (*steps, changes.as_str()));
        let steps = all - shared;
        let state = match (is_done(task), task.run.exists()) {
            (true, _) => "done",
            (false, true) => "begun",
            (false, false) => "new",
        };
        left += if state == "done" { 0 } else { steps };
        let after = task.after.map_or("", |after| tasks[after].name.as_str());
        let row = format!("{:<wide$}  {state:<8}  {steps:>9}  {all:>9}  {after:<start$}  {changes}", task.name);
        rows.push(row.trim_end().to_owned());
    }
    rows.push(format!("{} runs, {} cells, at most {left} steps left", tasks.len(), sweep.cells.len()));
    rows.join("\n")
}

/// `secateur sweep-cell`: one run of a sweep, for launchers.
pub(crate) fn cell(args: &SweepCellArgs) -> Result<Done> {
    let places = Places { out: args.out.clone() };
    let stop = on_signal()?;
    let (file, experiment) = CellFile::read(&places.cell(&args.name), &args.name)?;
    let facts = Facts { typed: &file.base, commit: option_env!("SECATEUR_COMMIT"), command: &file.command };
    let (out, starts) = (if file.shared { places.starts() } else { places.out.clone() }, places.starts());
    let places = CellPlaces { out: &out, starts: &starts, threads: Some(args.threads) };
    if let Some(parent) = args.parent {
        end_with(parent, &stop);
    }
    let mut progress = Progress::new();
    let began = Instant::now();
    let (run, outcome) = loop {
        match run_cell(&experiment, file.start.as_deref(), places, facts, &mut progress, &stop) {
            Err(error) if is_taken(&error) && began.elapsed() < PATIENCE && !stop.load(Ordering::Relaxed) => {
                std::thread::sleep(RETRY);
            }
            other => break other?,
        }
    };
    match outcome {
        Outcome::Finished { .. } | Outcome::FinishedBefore { .. } | Outcome::Restored { .. } => {
            say!("{} has finished", run.display());
            Ok(Done::Whole)
        }
        Outcome::Interrupted { checkpoint } => {
            say!("stopped; the state is saved as {checkpoint}");
            Ok(Done::Interrupted)
        }
    }
}

/// Whether another process works on the run: one of a sweep that was killed may still be saving its state, or have made the folder
/// meanwhile, which is then gone on with.
fn is_taken(error: &Error) -> bool {
    matches!(error, Error::Locked { .. } | Error::RunExists { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_waits_for_whoever_works_on_its_run_and_for_nothing_else() {
        let path = PathBuf::from("runs/a");
        assert!(is_taken(&Error::Locked { path: path.clone() }) && is_taken(&Error::RunExists { path: path.clone() }));
        assert!(!is_taken(&Error::Run { path, why: "is no run".into() }));
    }
}
