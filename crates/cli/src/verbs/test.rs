//! `secateur test`: the accuracy of what a run left.

use super::{Done, print};
use crate::{args::TestArgs, progress::Progress};
use anyhow::Result;

/// Measures and prints.
pub(crate) fn test(args: &TestArgs) -> Result<Done> {
    let score =
        secateur_trainer::test(&args.run, args.checkpoint.as_deref(), args.place.place(), &mut Progress::new())?;
    let (correct, total) = (score.correct, score.total);
    print(&format!("test accuracy {:.2} % ({correct} of {total}), loss {:.4}", 100.0 * score.accuracy(), score.loss))?;
    Ok(Done::Whole)
}
