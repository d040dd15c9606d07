//! A network out of any file: compacted, compiled within little memory or refused for it, and asked, without a panic, on every
//! instruction set of the machine.
#![no_main]

#[path = "../../tests/fuzzing/mod.rs"]
mod fuzzing;

use libfuzzer_sys::fuzz_target;
use secateur_sparse::InstructionSet;

fuzz_target!(|data: &[u8]| {
    let bytes = fuzzing::sealed(data);
    if let Some(model) = fuzzing::read(&bytes) {
        InstructionSet::available().into_iter().for_each(|set| fuzzing::ask(&model, set));
    }
});
