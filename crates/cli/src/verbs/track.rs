//! `secateur track`: logs for the tools that people look at experiments with.

use super::Done;
use super::report::name;
use crate::args::TrackArgs;
use anyhow::{Result, bail};
use secateur_report::write_tensorboard;
use std::collections::BTreeSet;

/// Writes an event file a run, below a folder of the run's name.
pub(crate) fn track(args: &TrackArgs) -> Result<Done> {
    let mut names = BTreeSet::new();
    for run in &args.runs {
        if !run.join("log.jsonl").is_file() {
            bail!("{}: no run here: found no log.jsonl, wanted a folder that `secateur run` made", run.display());
        }
        if !names.insert(name(run)) {
            bail!("{}: found a second run of the name `{}`, wanted one folder for each", run.display(), name(run));
        }
    }
    for run in &args.runs {
        let path = write_tensorboard(run.join("log.jsonl"), args.tensorboard.join(name(run)))?;
        eprintln!("wrote {}", path.display());
    }
    eprintln!("look at it with: tensorboard --logdir {}", args.tensorboard.display());
    Ok(Done::Whole)
}
