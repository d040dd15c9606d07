//! What can be typed.

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// Network pruning that pays: train, prune, retrain, test and report, from one config.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done; 1 failed, the reason is on stderr; 2 the command line cannot be read; 130 stopped \
                  by a signal, with the run's state saved.\n\nExamples:\n  secateur run configs/quickstart.toml\n  \
                  secateur resume runs/quickstart-*\n  secateur report runs/quickstart-* --out report"
)]
pub(crate) struct Arguments {
    /// Say more: -v for what is done, -vv for details. RUST_LOG overrides it.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run an experiment from its config: train -> prune -> test, cycle after cycle.
    #[command(
        after_help = "Examples:\n  secateur run configs/quickstart.toml\n  secateur run configs/tutorial.toml --set \
                            model.width=30\n  secateur run configs/lenet-cubic-l1.toml --set seed=2 --set \
                            prune.criterion=random\n  secateur run configs/quickstart.toml --set prune.enabled=false   \
                            # the dense control\n  secateur run configs/quickstart.toml --set \
                            start=lenet.pt   # from a PyTorch state dict"
    )]
    Run(RunArgs),
    /// Go on with a run that was stopped or killed, as if it had never stopped.
    #[command(after_help = "Example:\n  secateur resume runs/quickstart-1a2b3c4d-s1")]
    Resume(ResumeArgs),
    /// Show what a run would do, without doing it.
    #[command(after_help = "Example:\n  secateur plan configs/lenet-300-100-lottery.toml")]
    Plan(PlanArgs),
    /// Draw the curves of one or more runs: a page, pictures, a table. Works on a run that is still going.
    #[command(after_help = "Example:\n  secateur report runs/lenet-cubic-* --out report")]
    Report(ReportArgs),
    /// Measure a run's final model, or one of its checkpoints, on the test split.
    #[command(after_help = "Examples:\n  secateur test runs/quickstart-1a2b3c4d-s1\n  secateur test \
                            runs/quickstart-1a2b3c4d-s1 --checkpoint stage-000004-step-0000000860")]
    Test(TestArgs),
    /// List the runs of a folder with their state, sparsity and accuracy.
    List(ListArgs),
    /// Print a completion script for a shell.
    #[command(
        after_help = "Example:\n  secateur completions bash > ~/.local/share/bash-completion/completions/secateur"
    )]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// A config and changes to it.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The experiment, a TOML file such as configs/quickstart.toml.
    pub(crate) config: PathBuf,
    /// Change a key, such as model.width=5 or prune.criterion=random; may be given more than once.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Another place to compute or to read data from.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// Where to compute: cpu (our own kernels, dense or on the kept weights only), or burn's flex, ndarray or wgpu (the
    /// last two need a build with that feature).
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// Threads of the device cpu; 0 for every core. It changes no result.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Folder of the four data files, in MNIST's format.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// `secateur run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The experiment.
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Where.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Folder that the run's folder is made in.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) out: PathBuf,
}

/// `secateur resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run's folder.
    pub(crate) run: PathBuf,
    /// Where.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// `secateur plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The experiment.
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// `secateur report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The runs' folders.
    #[arg(required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// Folder to write to; a single run's report goes into its own folder otherwise.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// `secateur test`.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The run's folder.
    pub(crate) run: PathBuf,
    /// Name of a folder below the run's checkpoints, instead of the final model.
    #[arg(long, value_name = "NAME")]
    pub(crate) checkpoint: Option<String>,
    /// Where.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// `secateur list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Folder that holds runs.
    #[arg(default_value = "runs")]
    pub(crate) dir: PathBuf,
}

/// Sends `tracing` to stderr.
pub(crate) fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("off,secateur={level},secateur_trainer={level}")));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .without_time()
        .init();
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
