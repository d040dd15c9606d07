//! The door: arguments -> verbs -> exit code.
#![deny(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "they panic when nobody can read: `say!` and `verbs::print`"
)]

mod args;
mod interrupt;
mod progress;
mod say;
mod shell;
mod sweep;
mod verbs;

use crate::say::say;
use args::Verb;
use std::process::ExitCode;

/// burn allocates and frees a tensor for every operation; the system's allocator makes a training step 1.4x longer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Stopped by a signal after saving the run's state.
pub(crate) const INTERRUPTED: u8 = 130;
/// Ended at once by a second signal: what happened since the last checkpoint is lost.
pub(crate) const HALTED: u8 = 131;
/// A configuration makes no sense, or the work failed.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let arguments = args::parse();
    args::start_logging(arguments.verbose);
    let done = match arguments.verb {
        Verb::Run(args) => verbs::run::run(&args),
        Verb::Resume(args) => verbs::resume::resume(&args),
        Verb::Sweep(args) => verbs::sweep::sweep(&args),
        Verb::SweepCell(args) => verbs::sweep::cell(&args),
        Verb::Plan(args) => verbs::plan::plan(&args),
        Verb::Report(args) => verbs::report::report(&args),
        Verb::Compare(args) => verbs::compare::compare(&args),
        Verb::Serve(args) => verbs::serve::serve(&args),
        Verb::Track(args) => verbs::track::track(&args),
        Verb::Test(args) => verbs::test::test(&args),
        Verb::Sensitivity(args) => verbs::sensitivity::sensitivity(&args),
        Verb::Export(args) => verbs::export::export(&args),
        Verb::Prune(args) => verbs::prune::prune(&args),
        Verb::Bench(args) => verbs::bench::bench(&args),
        Verb::Predict(args) => verbs::predict::predict(&args),
        Verb::List(args) => verbs::list::list(&args),
        Verb::Completions { shell } => verbs::completions::completions(shell),
    };
    match done {
        Ok(verbs::Done::Whole) => ExitCode::SUCCESS,
        Ok(verbs::Done::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say!("error: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

/// Whether the reader of stdout went away, as `| head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
