//! What the fuzz targets do with an input. The tests do the same with the corpus and with mutations of their own, so that
//! nothing of it is built or run by the fuzzer alone.
#![allow(dead_code, reason = "each target uses its own part")]

use secateur_sparse::file::{MAGIC, Model, VERSION, decode, decode_within, encode, seal};
use secateur_sparse::infer::{Engine, Error, Form, LanesHold, Options, Plan};
use secateur_sparse::{InstructionSet, Network, compact};

/// Dense places that a file may ask for, and bytes that an engine's buffers may take.
const PLACES: u32 = 1 << 16;
const BUFFER_BYTES: usize = 1 << 22;

/// The input behind a good head: magic, version, checksum and length.
pub(crate) fn sealed(data: &[u8]) -> Vec<u8> {
    let (mut bytes, length) = (data.to_vec(), data.len() as u32);
    if let Some(head) = bytes.get_mut(..20) {
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
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
            assert_eq!(decode(&again).expect("just written").network, model.network);
            Some(model)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
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
    let classes: usize = network.shape(network.layers().len()).iter().product();
    match engine {
        Ok(mut engine) => {
            assert_eq!(engine.logits(&vec![0.5; 17 * engine.pixels()]).len(), 17 * classes);
            assert!(engine.bytes() - engine.weight_bytes() <= BUFFER_BYTES, "{} bytes", engine.bytes());
        }
        Err(error) => assert!(matches!(error, Error::Memory { .. } | Error::Form { .. } | Error::NoBlocks), "{error}"),
    }
}
