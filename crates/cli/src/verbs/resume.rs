//! `secateur resume`: goes on as if the run had never stopped.

use super::{Done, conclude};
use crate::{args::ResumeArgs, interrupt::on_signal, progress::Progress};
use anyhow::Result;
use secateur_trainer::ResumeOptions;

/// Resumes the run, then shows its table and leaves its report.
pub(crate) fn resume(args: &ResumeArgs) -> Result<Done> {
    let stop = on_signal()?;
    let options = ResumeOptions { restart: args.restart, commit: option_env!("SECATEUR_COMMIT") };
    let outcome = secateur_trainer::resume(&args.run, args.place.place(), options, &mut Progress::new(), &stop)?;
    conclude(&args.run, outcome)
}
