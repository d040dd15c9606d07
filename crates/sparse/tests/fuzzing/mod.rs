//! What the fuzz targets do with an input. The tests do the same with the corpus and with mutations of their own, so that
//! nothing of it is built or run by the fuzzer alone.
#![allow(dead_code, reason = "each target uses its own part")]

use secateur_sparse::file::{
    GraphModel, MAGIC, Model, VERSION, decode, decode_graph, decode_graph_within, decode_within, encode, encode_graph,
    seal,
};
use secateur_sparse::infer::{Engine, Error, Forms, Options};
use secateur_sparse::{InstructionSet, compact_graph};

/// Dense places that a file may ask for, and bytes that an engine's buffers may take.
const PLACES: u32 = 1 << 16;
const BUFFER_BYTES: usize = 1 << 22;

/// Dense places, and values for one image, that a graph in a file may ask for: the reference implementation computes it.
const GRAPH_PLACES: u32 = 1 << 12;

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

/// Reads a file: what is accepted is a network that can be written and read again.
pub(crate) fn read(bytes: &[u8]) -> Option<Model> {
    match decode_within(bytes, PLACES) {
        Ok(model) => {
            let again = encode(&model.network, &model.info, model.precision).expect("it was in a file");
            let again = decode(&again).expect("just written").network;
            // A graph may say that features are features; a chain has images of one pixel, and flattens those.
            if bytes[8] == 1 {
                assert_eq!(again, model.network);
            }
            Some(model)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// Reads a file as a graph: what is accepted can be written and read again, and computed as it is and compacted.
pub(crate) fn read_graph(bytes: &[u8]) -> Option<GraphModel> {
    let model = match decode_graph_within(bytes, GRAPH_PLACES) {
        Ok(model) => model,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    let GraphModel { graph, weights, info, precision, .. } = &model;
    // A bias of a chain is rounded when it is written, one of a graph is not, so the sizes differ, but for nothing else.
    let again = encode_graph(graph, weights, info, *precision).expect("it was in a file");
    let again = decode_graph(&again).expect("just written");
    assert!(again.graph == *graph && again.weights == *weights && again.info == *info);
    let image = vec![0.5; graph.shape(graph.input()).iter().product()];
    let answers = graph.forward(weights, &image).len();
    let small = compact_graph(graph, weights);
    assert_eq!(small.graph.forward(&small.weights, &image).len(), answers);
    Some(model)
}

/// Compiles a file's graph as it is and compacted, with its zeros and without them, for one image and for many, and asks it; or is
/// refused for the memory.
pub(crate) fn ask_graph(model: &GraphModel, instruction_set: InstructionSet) {
    let small = compact_graph(&model.graph, &model.weights);
    for (graph, weights) in [(&model.graph, &model.weights), (&small.graph, &small.weights)] {
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
