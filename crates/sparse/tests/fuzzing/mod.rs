//! What the fuzz targets do with an input. The tests do the same with the corpus and with mutations of their own, so that
//! nothing of it is built or run by the fuzzer alone.
#![allow(dead_code, reason = "each target uses its own part")]

use secateur_sparse::file::{MAGIC, Model, VERSION, decode, decode_within, encode, seal};
use secateur_sparse::infer::{Engine, Error, Forms, Options};
use secateur_sparse::{InstructionSet, Trained, compact};

/// Dense places, and values for one image, that a file may ask for: the reference implementation computes it.
const PLACES: u32 = 1 << 12;
/// Bytes that an engine's buffers may take.
const BUFFER_BYTES: usize = 1 << 22;

/// The input behind a good head: magic, version (1, unless the input says a newer one), checksum and length.
pub(crate) fn sealed(data: &[u8]) -> Vec<u8> {
    let (mut bytes, length) = (data.to_vec(), data.len() as u32);
    if let Some(head) = bytes.get_mut(..20) {
        head[..8].copy_from_slice(&MAGIC);
        let version = match u32::from(head[8]) {
            version @ 2..=VERSION => version,
            _ => 1,
        };
        head[8..12].copy_from_slice(&version.to_le_bytes());
        head[16..].copy_from_slice(&length.to_le_bytes());
        seal(&mut bytes);
    }
    bytes
}

/// Reads a file: what is accepted can be written and read again, and computed as it is and compacted.
pub(crate) fn read(bytes: &[u8]) -> Option<Model> {
    read_within(bytes, PLACES)
}

/// The same with so many dense places and values for one image.
pub(crate) fn read_within(bytes: &[u8], places: u32) -> Option<Model> {
    let model = match decode_within(bytes, places) {
        Ok(model) => model,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    let Model { network: Trained { graph, weights }, info, precision, .. } = &model;
    // A bias of a chain of version 1 was rounded when it was written, so the sizes differ, but for nothing else.
    let again = encode(graph, weights, info, *precision).expect("it was in a file");
    let again = decode(&again).expect("just written");
    assert!(again.network == model.network && again.info == *info);
    let image = vec![0.5; graph.shape(graph.input()).iter().product()];
    let answers = graph.forward(weights, &image).len();
    let small = compact(graph, weights);
    assert_eq!(small.graph.forward(&small.weights, &image).len(), answers);
    Some(model)
}

/// Compiles a file's graph as it is and compacted, with its zeros and without them, for one image and for many, and asks it; or is
/// refused for the memory.
pub(crate) fn ask(model: &Model, instruction_set: InstructionSet) {
    let Trained { graph, weights } = &model.network;
    let small = compact(graph, weights);
    for (graph, weights) in [(graph, weights), (&small.graph, &small.weights)] {
        let [pixels, classes] = [graph.input(), graph.output()].map(|own| graph.shape(own).iter().product::<usize>());
        for (batch, forms) in [(1, Forms::Any), (1, Forms::Dense), (17, Forms::Any), (17, Forms::Dense)] {
            let (precision, buffer_bytes) = (model.precision, BUFFER_BYTES);
            let options =
                Options { threads: 1, instruction_set, forms, buffer_bytes, precision, ..Options::new(batch) };
            match Engine::new(graph, weights, &options) {
                Ok(mut engine) => {
                    assert_eq!(engine.logits(&vec![0.5; batch * pixels]).len(), batch * classes);
                    assert!(engine.bytes() - engine.weight_bytes() <= BUFFER_BYTES, "{} bytes", engine.bytes());
                }
                // What compaction folds into a weight may leave the numbers.
                Err(error) => assert!(matches!(error, Error::Memory { .. } | Error::Value { .. }), "{error}"),
            }
            match Engine::with_bytes(graph, weights, &model.info.ranges, &options) {
                Ok(mut engine) => {
                    assert_eq!(engine.logits(&vec![0.5; batch * pixels]).len(), batch * classes);
                    assert!(engine.bytes() - engine.weight_bytes() <= BUFFER_BYTES, "{} bytes", engine.bytes());
                }
                Err(error) => assert!(matches!(error, Error::Memory { .. } | Error::Range { .. }), "{error}"),
            }
        }
    }
}
