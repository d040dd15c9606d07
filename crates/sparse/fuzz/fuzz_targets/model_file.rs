//! Any bytes behind a good head and checksum: read without a panic, in bounded memory, and what is accepted is a network
//! that can be written and read again.
#![no_main]

#[path = "../../tests/fuzzing/mod.rs"]
mod fuzzing;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let bytes = fuzzing::sealed(data);
    fuzzing::read(&bytes);
});
