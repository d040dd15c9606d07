//! `secateur completions`: scripts for shells.

use super::{Done, print};
use crate::args::Arguments;
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

/// Prints the script.
pub(crate) fn completions(shell: Shell) -> Result<Done> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "secateur", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Done::Whole)
}
