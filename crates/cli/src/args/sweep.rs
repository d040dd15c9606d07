//! `secateur sweep`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What stands below the options.
pub(super) const HELP: &str = "A sweep's file:\n  name = \"mine\"\n  base = \"configs/quickstart.toml\"\n  seeds = [1, 2, 3]\n  \
    [axes]                                  # any key of the config, with its values\n  \
    \"prune.schedule.final\" = [0.9, 0.99]\n  [[methods]]\n  name = \"global\"\n  set = { \"prune.scope\" = \"global\" }\n\n\
    The dense and the random control are run beside the methods unless dense = false, random = false.\n\nExamples:\n  \
    secateur sweep configs/sweep-mnist.toml --dry-run\n  secateur sweep configs/sweep-mnist.toml --jobs 2\n  \
    secateur sweep configs/sweep-mnist.toml --launcher slurm --threads 4 --sbatch=--partition=short\n\n\
    The same command goes on with a sweep that was stopped; finished runs are not done again.";

/// `secateur sweep`.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// The sweep, a TOML file such as configs/sweep-mnist.toml.
    pub(crate) sweep: PathBuf,
    /// Folder of the cells and of their report; runs/NAME of the sweep if left out.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Runs side by side on this machine, which share its cores.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: u16,
    /// Threads of each run; a share of the cores if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Who runs the cells.
    #[arg(long, value_enum, default_value = "local")]
    pub(crate) launcher: LauncherKind,
    /// An argument for sbatch, such as --sbatch=--partition=short; may be given more than once.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(crate) sbatch: Vec<String>,
    /// Show the cells and what is left to do, and run nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Who runs the cells of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LauncherKind {
    /// This machine.
    Local,
    /// A Slurm cluster, through sbatch.
    Slurm,
}

/// `secateur sweep-cell`.
#[derive(Debug, Args)]
pub(crate) struct SweepCellArgs {
    /// Folder of the cells.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Name of the run's folder.
    #[arg(long)]
    pub(crate) name: String,
    /// Threads.
    #[arg(long, default_value_t = 0)]
    pub(crate) threads: usize,
    /// The process that started this one; the run saves its state and ends when that does.
    #[arg(long, value_name = "PID")]
    pub(crate) parent: Option<u32>,
}
