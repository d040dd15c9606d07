//! A network out of any file: compacted, compiled within little memory or refused for it, and asked, without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use secateur_sparse::compact;
use secateur_sparse::file::{MAGIC, VERSION, decode_within, seal};
use secateur_sparse::infer::{Engine, Error, LanesHold, Options, Plan};

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    if let Some(head) = bytes.get_mut(..20) {
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
        head[16..].copy_from_slice(&(data.len() as u32).to_le_bytes());
        seal(&mut bytes);
    }
    let Ok(model) = decode_within(&bytes, 1 << 16) else { return };
    for network in [&model.network, &compact(&model.network).network] {
        for lanes in [LanesHold::Images, LanesHold::Places] {
            let options =
                Options { threads: 1, precision: model.precision, buffer_bytes: 1 << 22, ..Options::new(1) };
            // A scale that compaction folds into a weight may leave the numbers.
            let Ok(plan) = Plan::by_density(network, &options, lanes) else { continue };
            match Engine::with_plan(network, &options, plan) {
                Ok(mut engine) => assert_eq!(engine.logits(&vec![0.5; engine.pixels()]).len(), engine.classes()),
                Err(error) => assert!(matches!(error, Error::Memory { .. }), "{error}"),
            }
        }
    }
});
