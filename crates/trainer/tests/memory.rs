//! The peak of the process's memory. A file of its own with a single test: the mark belongs to the whole process, and other
//! tests would move it.

use secateur_trainer::take_peak;
use std::hint::black_box;

#[test]
fn a_peak_outlives_its_memory_and_is_taken_once() {
    const BYTES: usize = 256 << 20;
    drop(black_box(vec![1_u8; BYTES]));
    // A system that does not tell has nothing to test.
    let Some(high) = take_peak() else { return };
    let next = take_peak().expect("told a moment ago");
    assert!(high >= BYTES as u64, "{high}");
    assert!(next < high, "{next} after {high}");
}
