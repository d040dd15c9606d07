//! How much memory there is, and how much the process took, as Linux tells it. A reading beside the facts, of the whole process:
//! where the system does not tell it, there is none, and nothing fails.

use crate::Error;
use secateur_graph::Graph;
use secateur_sparse::train::Trainer;
use std::fs;

/// Checks that the machine has the memory that a native training step over so many images takes.
///
/// # Errors
/// When it takes more than there is.
pub(crate) fn check(graph: &Graph, batch_size: usize, images: usize) -> Result<(), Error> {
    let Some(total) = fs::read_to_string("/proc/meminfo").ok().and_then(|text| of_line(&text, "MemTotal:")) else {
        return Ok(());
    };
    check_within(graph, batch_size, images, total)
}

fn check_within(graph: &Graph, batch_size: usize, images: usize, total: u64) -> Result<(), Error> {
    let needed = Trainer::bytes(graph, batch_size.min(images))?;
    if needed <= total {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let why = format!(
        "found {batch_size}, whose values and gradients take {:.1} GiB in training, expected fewer images, or smaller ones: this \
         machine has {:.1} GiB",
        gib(needed),
        gib(total)
    );
    Err(Error::Meaning { key: "train.batch_size", why })
}

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
    of_line(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// What a line of this name says in KiB, in bytes.
fn of_line(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelConfig;

    #[test]
    fn a_step_that_takes_more_memory_than_there_is_is_refused() {
        let graph = ModelConfig::Resnet { depth: 8, width: 16 }.graph([3, 32, 32], 10).expect("fits");
        let check = |batch, images, total| check_within(&graph, batch, images, total);
        check(128, 48_000, 1 << 30).expect("200 MB");
        check(65_536, 100, 1 << 30).expect("no more images than there are");
        let said = check(4_096, 48_000, 1 << 30).expect_err("gigabytes").to_string();
        assert!(said.starts_with("`train.batch_size`: found 4096, whose values and gradients take"), "{said}");
        assert!(said.ends_with("this machine has 1.0 GiB"), "{said}");
    }

    #[test]
    fn the_mark_is_read_in_bytes_or_not_at_all() {
        let status = "Name:\tsecateur\nVmPeak:\t    9000 kB\nVmHWM:\t    2148 kB\nVmRSS:\t    2000 kB\n";
        assert_eq!(of_line(status, "VmHWM:"), Some(2_199_552));
        for status in
            ["", "VmHWM:", "VmHWM:\t2148", "VmHWM:\t2148 MB", "VmHWM:\t-1 kB", "VmHWM:\t18446744073709551615 kB"]
        {
            assert_eq!(of_line(status, "VmHWM:"), None, "{status}");
        }
    }
}
