//! SIGINT, SIGTERM and SIGHUP, which a lost terminal sends: the first asks a run to finish its step and save, a second SIGINT or
//! SIGTERM ends at once, with an exit code that promises no saved state. SIGHUP is no first or
//! second one in this: shell and kernel both send it, and at a log-out SIGTERM comes with it.
//! The end of a sweep is such a signal for its runs.

use crate::HALTED;
use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that the first signal sets.
pub(crate) fn on_signal() -> Result<Arc<AtomicBool>> {
    let [stop, interrupted, terminated] = [(); 3].map(|()| Arc::new(AtomicBool::new(false)));
    for (signal, own, other) in [(SIGINT, &interrupted, &terminated), (SIGTERM, &terminated, &interrupted)] {
        let ends_if = |flag: &Arc<AtomicBool>| {
            flag::register_conditional_shutdown(signal, HALTED.into(), Arc::clone(flag)).map(drop)
        };
        // Order matters: the second signal of a kind must find its flag as the first one left it, and of two kinds that come
        // at once, on two threads, one must find the other's, so each looks for it behind its own.
        ends_if(own)
            .and_then(|()| flag::register(signal, Arc::clone(own)).map(drop))
            .and_then(|()| ends_if(other))
            .and_then(|()| flag::register(signal, Arc::clone(&stop)).map(drop))
            .context("cannot watch for signals")?;
    }
    if takes_hangup() {
        flag::register(SIGHUP, Arc::clone(&stop)).context("cannot watch for signals")?;
    }
    Ok(stop)
}

/// Whether a lost terminal is to stop this process: not where it was started to ignore that, as `nohup` does. Only Linux tells,
/// so elsewhere SIGHUP is left as it is.
fn takes_hangup() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| !ignores_hangup(&status))
}

/// Whether SIGHUP, the lowest bit, is among the ignored signals of a process's `status`.
fn ignores_hangup(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u128::from_str_radix(mask.trim(), 16).ok()).is_none_or(|mask| mask & 1 == 1)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_under_nohup_is_told_by_its_mask() {
        assert!(!ignores_hangup("Name:\tx\nSigIgn:\t0000000000001000\n"));
        assert!(ignores_hangup("SigIgn:\t0000000000001001\nSigCgt:\t0000000000000000\n"));
        assert!(ignores_hangup(""), "what is not known is left as it is");
    }
}
