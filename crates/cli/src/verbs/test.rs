//! `secateur test`: the accuracy of what a run left.

use super::{Done, print};
use crate::{args::TestArgs, progress::Progress};
use anyhow::Result;
use secateur_trainer::TestRequest;

/// Measures and prints.
pub(crate) fn test(args: &TestArgs) -> Result<Done> {
    let asked = TestRequest { checkpoint: args.checkpoint.as_deref(), other_data: args.other_data };
    let (score, dataset) = secateur_trainer::test(&args.run, asked, args.place.place(), &mut Progress::new())?;
    let (correct, total) = (score.correct, score.total);
    let other = if args.other_data { format!(" on `{dataset}`, data that --other-data allows") } else { String::new() };
    print(&format!(
        "test accuracy {:.2} % ({correct} of {total}), loss {:.4}{other}",
        100.0 * score.accuracy(),
        score.loss
    ))?;
    Ok(Done::Whole)
}
