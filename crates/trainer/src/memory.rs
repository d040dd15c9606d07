//! How much memory the process took, as Linux tells it. A reading beside the facts, of the whole process: where the
//! system does not tell it, there is none, and nothing fails.

use std::fs;

/// Takes the peak of the resident memory, in bytes, and starts a new one: the highest since it was last taken, or since
/// the process started. `None` where the system is not Linux, or does not tell it.
pub fn take_peak() -> Option<u64> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let peak = peak_memory()?;
    // 5 sets the mark to what is resident now, see proc_pid_clear_refs(5). Where that is refused, the next reading would
    // be of this stretch, too: better none at all.
    fs::write("/proc/self/clear_refs", "5").ok()?;
    Some(peak)
}

/// The peak of the resident memory since the process started, in bytes. `None` where the system is not Linux, or does not
/// tell it.
pub fn peak_memory() -> Option<u64> {
    high_water_mark(&fs::read_to_string("/proc/self/status").ok()?)
}

/// `VmHWM` of a process's status, which is in KiB, in bytes.
fn high_water_mark(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    value.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_read_in_bytes_or_not_at_all() {
        let status = "Name:\tsecateur\nVmPeak:\t    9000 kB\nVmHWM:\t    2148 kB\nVmRSS:\t    2000 kB\n";
        assert_eq!(high_water_mark(status), Some(2_199_552));
        for status in
            ["", "VmHWM:", "VmHWM:\t2148", "VmHWM:\t2148 MB", "VmHWM:\t-1 kB", "VmHWM:\t18446744073709551615 kB"]
        {
            assert_eq!(high_water_mark(status), None, "{status}");
        }
    }
}
