//! What an engine refuses, and what it must not lose: memory that a file asks for, codes of an int8 file, numbers that are none.

mod graphs;
mod networks;

use networks::{Random, chain, conv, flatten, lenet, linear, pool, pruned, relu};
use secateur_graph::{Conv2d, Graph, Op, Pool, Weights};
use secateur_sparse::file::{Info, Precision, Scale, decode};
use secateur_sparse::infer::{Engine, Error, Options};
use secateur_sparse::{InstructionSet, Ranges, Trained};

/// Images a call: one, whose pixels or neurons stand in the lanes, and many.
const BATCHES: [usize; 2] = [1, 64];

fn info() -> Info {
    Info {
        name: "a network".into(),
        scales: vec![Scale { divisor: 255.0, shift: -0.5 }],
        classes: vec![],
        ranges: Ranges::default(),
    }
}

fn images(network: &Trained, count: usize) -> Vec<f32> {
    let mut random = Random(9);
    (0..count * network.input().iter().product::<usize>()).map(|_| random.share() as f32 - 0.5).collect()
}

/// The largest difference, of the largest value.
fn worst(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    let scale = wanted.iter().fold(1e-9f32, |most, value| most.max(value.abs()));
    found.iter().zip(wanted).map(|(a, b)| (a - b).abs() / scale).fold(0.0, f32::max)
}

#[test]
fn buffers_are_bounded_whatever_the_network_asks_for() {
    // 64 million numbers between two layers, out of a file of a few hundred bytes.
    let wide = chain([1, 1 << 13, 1 << 13], vec![relu(), ("", Op::Pool(Pool::max(1 << 13)))]);
    let bytes = wide.encode(&info(), Precision::F32).expect("it has no values");
    assert!(bytes.len() < 200);
    let network = decode(&bytes).expect("just written").network;
    let options = Options { threads: 2, ..Options::new(128) };
    for batch in BATCHES {
        let error = Engine::of(&network, &Options { batch, ..options }).expect_err("two threads take more than 1 GiB");
        assert!(matches!(error, Error::Memory { most: 1_073_741_824, .. }), "{error}");
    }
    let small = lenet();
    for batch in BATCHES {
        let options = |buffer_bytes| Options { batch, buffer_bytes, ..options };
        let Error::Memory { found, .. } = Engine::of(&small, &options(0)).expect_err("no buffer fits nothing") else {
            panic!("another error")
        };
        let engine = Engine::of(&small, &options(found)).expect("just fits");
        assert!(engine.bytes() - engine.weight_bytes() <= found, "what is held is no more than what is asked for");
    }
}

#[test]
fn a_padding_that_no_memory_holds_is_refused_by_the_reader() {
    let conv = |padding, stride| {
        Graph::sequential(&[1, 1, 1], [("c", Op::Conv2d(Conv2d::new(1, 1).stride(stride).padding(padding)))])
    };
    let graph = conv(1, 2).expect("fits");
    let own = Trained { weights: Weights::neutral(&graph), graph };
    let bytes = own.encode(&info(), Precision::F32).expect("finite");
    // The words of the stride and the padding are the only ones that are 2 and 1 twice.
    let words: Vec<u32> = bytes.chunks(4).map(|own| u32::from_le_bytes(own.try_into().expect("whole words"))).collect();
    let place = words.windows(4).position(|own| own == [2, 2, 1, 1]).expect("stride and padding");
    for padding in [1u32 << 13, 1 << 14, 1 << 27, 1 << 28] {
        let mut lie = bytes.clone();
        for (word, value) in [2 * padding, 2 * padding, padding, padding].into_iter().enumerate() {
            lie[4 * (place + word)..][..4].copy_from_slice(&value.to_le_bytes());
        }
        secateur_sparse::file::seal(&mut lie);
        let error = decode(&lie).expect_err("hundreds of millions of zeros").to_string();
        assert!(error.contains("`c`"), "{error}");
    }
    // What the reader refuses nobody makes.
    assert!(conv(1 << 14, 1 << 13).is_err());
}

#[test]
fn an_int8_file_answers_with_its_own_codes() {
    let mut exact = chain([40, 1, 1], vec![flatten(), linear("fc", 3)]);
    let codes = (0..120).map(|place| if place % 40 == 0 { 100.0 } else { 1.0 });
    exact.weights.insert("fc.weight", codes.collect());
    let mut networks = vec![exact, pruned(&lenet(), &[0.6, 0.1, 0.0187, 0.0142, 0.3], &mut Random(5))];
    networks.extend((0..40).map(|seed| {
        let mut random = graphs::Random(seed);
        let graph = graphs::graph(&mut random);
        let weights = graphs::weights(&graph, &mut random);
        Trained { graph, weights }
    }));
    for (place, own) in networks.iter().enumerate() {
        let stored =
            decode(&own.encode(&info(), Precision::Int8).expect("small weights")).expect("just written").network;
        if place == 0 {
            assert_eq!(&stored, own, "whole numbers are stored as they are");
        }
        let images = images(&stored, 3);
        let pixels = stored.input().iter().product();
        let wanted: Vec<f32> = images.chunks_exact(pixels).flat_map(|image| stored.forward(image)).collect();
        for instruction_set in InstructionSet::available() {
            for batch in BATCHES {
                for precision in [Precision::F32, Precision::Int8] {
                    let options = Options { threads: 1, instruction_set, precision, ..Options::new(batch) };
                    let off = worst(&Engine::of(&stored, &options).expect("it fits").logits(&images), &wanted);
                    assert!(off < 2e-5, "network {place}, {precision:?}, batch {batch}: {off}");
                }
            }
        }
    }
}

#[test]
fn a_weight_that_is_no_number_is_held_as_f32_only() {
    let mut network = chain([2, 1, 1], vec![flatten(), linear("fc", 1)]);
    network.weights.insert("fc.weight", vec![0.0, f32::NAN]);
    for precision in [Precision::F16, Precision::Int8] {
        let error = Engine::of(&network, &Options { precision, ..Options::new(1) }).expect_err("no room").to_string();
        assert!(error.starts_with("`fc.weight`, value 1, is NaN"), "{error}");
    }
    for instruction_set in InstructionSet::available() {
        for batch in BATCHES {
            let options = Options { threads: 1, instruction_set, ..Options::new(batch) };
            let logits = Engine::of(&network, &options).expect("it fits").logits(&[1.0, 1.0]);
            assert!(logits[0].is_nan(), "{instruction_set:?}, batch {batch}");
        }
    }
}

#[test]
fn instructions_that_the_machine_lacks_are_refused() {
    let lacking = [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512];
    for instruction_set in lacking.into_iter().filter(|set| !set.is_available()) {
        let error = Engine::of(&lenet(), &Options { instruction_set, ..Options::new(1) }).expect_err("lacking");
        assert!(error.to_string().contains("this machine has portable"), "{error}");
    }
}

/// A 1x1 convolution of weight 1, a 2x2 max-pool, and maybe a relu, of rows of `columns` windows.
fn pooling(columns: usize, rectified: bool) -> Trained {
    let mut layers = vec![conv("c", 1, 1), pool()];
    layers.extend(rectified.then(relu));
    let mut network = chain([1, 4, 2 * columns], layers);
    network.weights.insert("c.weight", vec![1.0]);
    network
}

/// An image of ones with one number that is none, or with two.
fn with_nan(pixels: usize, places: &[usize]) -> Vec<f32> {
    (0..pixels).map(|place| if places.contains(&place) { f32::NAN } else { 1.0 }).collect()
}

#[test]
fn a_nan_anywhere_in_a_window_is_the_maximum() {
    for columns in [1, 2, 7, 8, 11, 20] {
        for rectified in [false, true] {
            let network = pooling(columns, rectified);
            let pixels = 8 * columns;
            for instruction_set in InstructionSet::available() {
                for batch in BATCHES {
                    let options = Options { threads: 1, instruction_set, ..Options::new(batch) };
                    let mut engine = Engine::of(&network, &options).expect("it fits");
                    for place in 0..pixels {
                        let image = with_nan(pixels, &[place, (place + 1) % pixels]);
                        let (found, wanted) = (engine.logits(&image), network.forward(&image));
                        let nans = |values: &[f32]| values.iter().map(|value| value.is_nan()).collect::<Vec<_>>();
                        assert_eq!(nans(&found), nans(&wanted), "{place} of {columns}, batch {batch}");
                        assert_eq!(nans(&engine.logits(&with_nan(pixels, &[]))), vec![false; 2 * columns]);
                    }
                }
            }
        }
    }
}
