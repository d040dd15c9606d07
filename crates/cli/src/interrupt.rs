//! SIGINT and SIGTERM: the first asks a run to finish its step and save, the second ends at once, with an
//! exit code that promises no saved state. The end of a sweep is such
//! a signal for its runs.

use crate::HALTED;
use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that the first signal sets.
pub(crate) fn on_signal() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Order matters: the second handler must find the flag as the first signal left it.
        flag::register_conditional_shutdown(signal, HALTED.into(), Arc::clone(&stop))
            .context("cannot watch for signals")?;
        flag::register(signal, Arc::clone(&stop)).context("cannot watch for signals")?;
    }
    Ok(stop)
}

/// Has this process told to stop when `parent`, which started it, is gone; on Linux, where that can be asked for.
pub(crate) fn end_with(parent: u32, stop: &AtomicBool) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, getppid, set_parent_process_death_signal};
        // One that cannot be watched is no reason not to train.
        let _ = set_parent_process_death_signal(Some(Signal::TERM));
        // It may have gone before anybody watched.
        if getppid().is_none_or(|own| u32::try_from(own.as_raw_nonzero().get()) != Ok(parent)) {
            stop.store(true, Ordering::Relaxed);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (parent, stop);
}
