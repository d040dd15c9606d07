//! What the fuzz targets do with an input. The tests do the same with the corpus and with mutations of their own, so that
//! nothing of it is built or run by the fuzzer alone.
#![allow(dead_code, reason = "each target uses its own part")]

use secateur_sparse::file::{
    GraphModel, MAGIC, Model, VERSION, decode, decode_graph, decode_graph_within, decode_within, encode, encode_graph,
    seal,
};
use secateur_sparse::infer::{Engine, Error, Form, Forms, GraphEngine, LanesHold, Options, Plan};
use secateur_sparse::{InstructionSet, Network, compact, compact_graph};

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
            let options =
                Options { threads: 1, instruction_set, forms, buffer_bytes: BUFFER_BYTES, ..Options::new(batch) };
            match GraphEngine::new(graph, weights, &options) {
                Ok(mut engine) => {
                    assert_eq!(engine.logits(&vec![0.5; batch * pixels]).len(), batch * classes);
                    assert!(engine.bytes() - engine.weight_bytes() <= BUFFER_BYTES, "{} bytes", engine.bytes());
                }
                Err(error) => assert!(matches!(error, Error::Memory { .. }), "{error}"),
            }
            match GraphEngine::with_bytes(graph, weights, &model.info.ranges, &options) {
                Ok(mut engine) => {
                    assert_eq!(engine.logits(&vec![0.5; batch * pixels]).len(), batch * classes);
                    assert!(engine.bytes() - engine.weight_bytes() <= BUFFER_BYTES, "{} bytes", engine.bytes());
                }
                Err(error) => assert!(matches!(error, Error::Memory { .. } | Error::Range { .. }), "{error}"),
            }
        }
    }
}

/// Compiles a file's network as it is and compacted, tuned and by density, and asks it; or is refused for the memory.
pub(crate) fn ask(model: &Model, instruction_set: InstructionSet) {
    for network in [&model.network, &compact(&model.network).network] {
        let options = options(model, instruction_set);
        // A scale that compaction folds into a weight may leave the numbers.
        let Ok(images) = Plan::by_density(network, &options, LanesHold::Images) else { continue };
        let places = Plan::by_density(network, &options, LanesHold::Places).expect("as before");
        for plan in [images, places] {
            answers(network, Engine::with_plan(network, &options, plan));
        }
        answers(network, Engine::by_density(network, &options));
        let mut readings = 0.0;
        let mut clock = |call: &mut dyn FnMut()| {
            call();
            readings += 1.0;
            readings
        };
        answers(network, Engine::with_clock(network, &options, &mut clock));
    }
}

/// Compiles a file's network by plans that name every form for every step, and asks it where it has that form.
pub(crate) fn ask_in_every_form(model: &Model, instruction_set: InstructionSet) {
    let patterns = [(0, 0), (1, 0), (0, 4), (1, 4), (2, 4), (4, 8), (3, 8), (300, 300), (usize::MAX, usize::MAX)];
    let forms = [Form::Sparse, Form::Grouped, Form::Panels, Form::Windowed, Form::Columns, Form::Simple];
    let forms: Vec<Form> = forms.into_iter().chain(patterns.map(|(n, m)| Form::Patterned { n, m })).collect();
    let options = options(model, instruction_set);
    for lanes in [LanesHold::Images, LanesHold::Places] {
        let plan = Plan::by_density(&model.network, &options, lanes).expect("a file holds finite weights");
        for (step, form) in (0..plan.steps.len()).flat_map(|step| forms.iter().map(move |form| (step, *form))) {
            for blocks in [0, 1, 3, usize::MAX] {
                let mut plan = Plan { blocks, ..plan.clone() };
                plan.steps[step].form = form;
                answers(&model.network, Engine::with_plan(&model.network, &options, plan));
            }
        }
    }
}

fn options(model: &Model, instruction_set: InstructionSet) -> Options {
    let precision = model.precision;
    Options { threads: 1, instruction_set, precision, buffer_bytes: BUFFER_BYTES, ..Options::new(1) }
}

/// Asks an engine for images of two blocks, unless it was refused for its plan or for the memory.
fn answers(network: &Network, engine: Result<Engine, Error>) {
    let classes = network.classes();
    match engine {
        Ok(mut engine) => {
            assert_eq!(engine.logits(&vec![0.5; 17 * engine.pixels()]).len(), 17 * classes);
            assert!(engine.bytes() - engine.weight_bytes() <= BUFFER_BYTES, "{} bytes", engine.bytes());
        }
        Err(error) => assert!(matches!(error, Error::Memory { .. } | Error::Form { .. } | Error::NoBlocks), "{error}"),
    }
}
