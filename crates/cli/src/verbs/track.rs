//! `secateur track`: logs for the tools that people look at experiments with.

use super::Done;
use super::report::{found, input, log_of, name};
use crate::args::TrackArgs;
use crate::say::say;
use anyhow::{Context, Result, anyhow, bail};
use secateur_report::write_tensorboard;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Writes an event file a run, below a folder of the run's name: of the runs that are named and of all below a folder that
/// is none. A folder that cannot be read is named, and stops no other.
pub(crate) fn track(args: &TrackArgs) -> Result<Done> {
    let mut names = BTreeSet::new();
    let mut bad = 0;
    let runs = found(&args.runs);
    for run in &runs {
        let done = match &run.fault {
            Some(why) => Err(anyhow!("{}: {why}", run.path.display())),
            None => written(&run.path, &args.tensorboard, &mut names),
        };
        match done {
            Ok(path) => say!("wrote {}", path.display()),
            Err(error) => {
                bad += 1;
                say!("not written: {error:#}");
            }
        }
    }
    if bad < runs.len() {
        say!("look at it with: tensorboard --logdir {}", args.tensorboard.display());
    }
    if bad > 0 {
        bail!("{bad} of {} folders could not be written", runs.len());
    }
    Ok(Done::Whole)
}

/// Writes the event file of one run.
fn written(run: &Path, to: &Path, names: &mut BTreeSet<String>) -> Result<PathBuf> {
    let log = log_of(run)?;
    if !names.insert(name(run)) {
        bail!("{}: found a second run of the name `{}`, wanted one folder for each", run.display(), name(run));
    }
    // As a report takes it: what is damaged is refused.
    input(run, name(run))?;
    write_tensorboard(log, to.join(name(run))).with_context(|| run.display().to_string())
}
