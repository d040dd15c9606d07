//! `secateur report`: pictures and tables from logs, nothing measured again; and what the final models look like.

mod find;
mod input;

use super::{Done, print};
use crate::args::ReportArgs;
use crate::say::say;
use anyhow::{Result, bail};
use find::Found;
pub(crate) use find::found;
pub(crate) use input::{log_of, read as input};
use secateur_report::views::Views;
use secateur_report::{Refused, Report, ReportInput, RunRecord, curve_table, on_all_cores, series_table};
use secateur_trainer::inspect;
use std::path::{Path, PathBuf};

/// Tables of single runs that a terminal shows; of more runs it shows the series.
const TABLES: usize = 4;

/// Writes the report and shows the tables. What cannot be shown is named in it; nothing that can be is an error.
pub(crate) fn report(args: &ReportArgs) -> Result<Done> {
    let out = match (&args.out, args.runs.as_slice()) {
        (Some(out), _) => out.clone(),
        (None, [only]) => only.join("report"),
        (None, _) => bail!("several runs need a folder for their report: add --out DIR"),
    };
    let near = args.models_at;
    if !(0.0..1.0).contains(&near) {
        bail!("--models-at {near}: wanted a sparsity from 0 to below 1");
    }
    let Inputs { folders, runs, refused } = inputs(&found(&args.runs));
    for Refused { label, why } in &refused {
        say!("not shown: {label}: {why}");
    }
    if runs.is_empty() {
        match refused.as_slice() {
            [only] => bail!("{}: {}", only.label, only.why),
            _ => bail!("none of {} folders can be shown", refused.len()),
        }
    }
    let views = match args.no_models {
        true => Views::default(),
        false => views(&folders, &runs, inspect::Choice { data: args.data.as_deref(), near }),
    };
    let files = Report::with(&runs, &refused, &views)?.write(&out)?;
    if runs.len() <= TABLES {
        for run in &runs {
            print(&format!("{}\n{}", run.label, curve_table(&run.record)))?;
        }
    }
    if runs.len() > 1 {
        print(&series_table(&runs))?;
    }
    for file in &files {
        tracing::info!("wrote {}", file.display());
    }
    say!("wrote {} files to {}; open {}", files.len(), out.display(), out.join("index.html").display());
    Ok(Done::Whole)
}

/// Writes a single run's report into its own folder; returns what the log says, and the page.
pub(crate) fn of_one(run: &Path) -> Result<(RunRecord, PathBuf)> {
    let input = input(run, name(run))?;
    let out = run.join("report");
    let runs = std::slice::from_ref(&input);
    Report::with(runs, &[], &views(&[run.to_owned()], runs, inspect::Choice::default()))?.write(&out)?;
    Ok((input.record, out.join("index.html")))
}

/// Writes the report of several runs, in which those that cannot be read are named; returns the page.
pub(crate) fn of_many(runs: &[PathBuf], out: &Path) -> Result<PathBuf> {
    let Inputs { folders, runs, refused } = inputs(&found(runs));
    Report::with(&runs, &refused, &views(&folders, &runs, inspect::Choice::default()))?.write(out)?;
    Ok(out.join("index.html"))
}

/// What the final models in these folders look like; what cannot be read becomes a note.
fn views(folders: &[PathBuf], inputs: &[ReportInput], choice: inspect::Choice<'_>) -> Views {
    let runs = folders.iter().zip(inputs);
    let runs: Vec<_> =
        runs.map(|(folder, input)| inspect::Run { label: &input.label, folder, record: &input.record }).collect();
    inspect::views(&runs, choice)
}

/// What a run is called: its folder.
pub(crate) fn name(run: &Path) -> String {
    run.file_name().unwrap_or(run.as_os_str()).to_string_lossy().into_owned()
}

/// Runs that can be shown with their folders, and what cannot.
#[derive(Default)]
struct Inputs {
    folders: Vec<PathBuf>,
    runs: Vec<ReportInput>,
    refused: Vec<Refused>,
}

/// Reads what was found, on all cores: logs of long runs are long. The order stays.
fn inputs(all: &[Found]) -> Inputs {
    let mut inputs = Inputs::default();
    for (found, result) in all.iter().zip(on_all_cores(all, one)) {
        match result {
            Ok(run) => {
                inputs.folders.push(found.path.clone());
                inputs.runs.push(run);
            }
            Err(why) => inputs.refused.push(why),
        }
    }
    inputs
}

fn one(found: &Found) -> Result<ReportInput, Refused> {
    let refuse = |why: String| Refused { label: found.label.clone(), why };
    match &found.fault {
        Some(why) => Err(refuse(why.clone())),
        None => input(&found.path, found.label.clone()).map_err(|error| refuse(format!("{error:#}"))),
    }
}
