//! `secateur run`: an experiment from its config to its curve.

use super::{Done, conclude, experiment};
use crate::{args::RunArgs, interrupt::on_signal, progress::Progress};
use anyhow::Result;
use secateur_trainer::Facts;

/// Runs the experiment, then shows its table and leaves its report.
pub(crate) fn run(args: &RunArgs) -> Result<Done> {
    let (experiment, typed) = experiment(&args.config, Some(&args.place))?;
    let stop = on_signal()?;
    let command: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let facts = Facts { typed: &typed, commit: option_env!("SECATEUR_COMMIT"), command: &command };
    let (run, outcome) = secateur_trainer::run(&experiment, &args.out, facts, &mut Progress::new(), &stop)?;
    conclude(&run, outcome)
}
