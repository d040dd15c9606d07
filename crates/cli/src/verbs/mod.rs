//! One file a verb.

pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod export;
pub(crate) mod list;
mod models;
pub(crate) mod plan;
pub(crate) mod predict;
pub(crate) mod prune;
pub(crate) mod report;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod sensitivity;
pub(crate) mod serve;
pub(crate) mod sweep;
pub(crate) mod test;
pub(crate) mod track;

use crate::args::{ConfigArgs, PlaceArgs};
use crate::say::say;
use anyhow::{Context, Result};
use secateur_trainer::{Experiment, ExperimentConfig, Outcome, Place, read_text};
use std::io::Write;
use std::path::Path;

/// How a verb ended.
pub(crate) enum Done {
    /// It did what was asked.
    Whole,
    /// A signal stopped it, and the run's state is saved.
    Interrupted,
}

/// Reads a config with its changes; returns the text, too.
fn experiment(args: &ConfigArgs, place: Option<&PlaceArgs>) -> Result<(Experiment, String)> {
    let name = args.config.display().to_string();
    let text = read_text(&args.config).with_context(|| format!("{name}: cannot read the config"))?;
    let mut config = ExperimentConfig::parse(&name, &text, &args.set)?;
    if let Some(device) = place.and_then(|place| place.device.as_ref()) {
        config.device.clone_from(device);
    }
    if let Some(threads) = place.and_then(|place| place.threads) {
        config.threads = threads;
    }
    if let Some(data) = place.and_then(|place| place.data.as_ref()) {
        // As it is typed, and nowhere else.
        config.data.dir.clone_from(data);
    } else {
        config.locate_data(&args.config);
    }
    let experiment = Experiment::new(config).with_context(|| name.clone())?;
    Ok((experiment, text))
}

impl PlaceArgs {
    fn place(&self) -> Place<'_> {
        Place { device: self.device.as_deref(), threads: self.threads, data: self.data.as_deref() }
    }
}

/// Tells how a run ended; a finished one shows its table and leaves its report.
fn conclude(run: &Path, outcome: Outcome) -> Result<Done> {
    match outcome {
        Outcome::Interrupted { checkpoint } => {
            say!("stopped; the state is saved as {checkpoint}. Go on with: secateur resume {}", run.display());
            Ok(Done::Interrupted)
        }
        Outcome::FinishedBefore { .. } => {
            let run = run.display();
            say!("{run} has finished before; nothing is done. `secateur report {run}` draws its report");
            Ok(Done::Whole)
        }
        Outcome::Restored { model, checkpoint } => {
            say!("the final model was gone or changed; it is restored from {checkpoint}, the bytes that the log names");
            say!("model   {}", model.display());
            Ok(Done::Whole)
        }
        Outcome::Finished { model } => {
            let (record, page) = report::of_one(run)?;
            print(&secateur_report::curve_table(&record))?;
            say!("model   {}", model.display());
            say!("report  {}", page.display());
            Ok(Done::Whole)
        }
    }
}

/// Writes an answer to stdout; a reader that went away is an error that `main` forgives.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}
