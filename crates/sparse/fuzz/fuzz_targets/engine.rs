//! A network out of any file: compacted, compiled within little memory or refused for it, and asked, without a panic; by
//! the tuner and by plans of any kind, on every instruction set of the machine.
#![no_main]

#[path = "../../tests/fuzzing/mod.rs"]
mod fuzzing;

use libfuzzer_sys::fuzz_target;
use secateur_sparse::InstructionSet;

fuzz_target!(|data: &[u8]| {
    let bytes = fuzzing::sealed(data);
    let (graph, chain) = (fuzzing::read_graph(&bytes), fuzzing::read(&bytes));
    for set in InstructionSet::available() {
        graph.iter().for_each(|model| fuzzing::ask_graph(model, set));
        for model in &chain {
            fuzzing::ask(model, set);
            fuzzing::ask_in_every_form(model, set);
        }
    }
});
