//! Invariants of the model file with graphs, over random graphs of every operation; it leaves files in the build folder,
//! which `scripts/check-format` compares with what the reader in `docs/` makes of them.

mod fuzzing;
mod graphs;

use graphs::{Random, graph, weights};
use secateur_graph::{Activation, BatchNorm, Builder, Conv2d, Graph, Linear, Op, Pool, Role, Weights};
use secateur_sparse::file::{
    Coding, Error, Info, Model, Precision, Scale, decode, decode_within, encode, quantized, seal,
};
use secateur_sparse::{InstructionSet, Ranges};
use std::path::{Path, PathBuf};

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::F16, Precision::Int8];

fn info(name: &str) -> Info {
    Info {
        name: name.into(),
        scales: vec![Scale { divisor: 255.0, shift: -0.5 }],
        classes: vec![],
        ranges: Ranges::default(),
    }
}

fn random(seed: u64) -> (Graph, Weights) {
    let mut random = Random(seed);
    let graph = graph(&mut random);
    let weights = weights(&graph, &mut random);
    (graph, weights)
}

/// With names of the classes where there are two, and beside int8 weights with ranges where the first node has an even number
/// of outputs.
fn info_of(graph: &Graph, precision: Precision) -> Info {
    let two = graph.shape(graph.output()).iter().product::<usize>() == 2;
    let even = graph.nodes().first().is_some_and(|node| graph.shape(node.output)[0].is_multiple_of(2));
    let even = even && precision == Precision::Int8;
    let names = graph.nodes().iter().map(|node| node.name.clone()).chain(["input".to_owned()]).filter(|_| even);
    Info {
        classes: if two { vec!["cat".into(), "a dog".into()] } else { vec![] },
        ranges: Ranges::new(names.enumerate().map(|(place, name)| (name, [-0.5 * place as f32, 3.0]))),
        ..info("a graph")
    }
}

fn encoded(graph: &Graph, weights: &Weights, precision: Precision) -> Vec<u8> {
    encode(graph, weights, &info_of(graph, precision), precision).expect("finite")
}

/// A graph with every operation, of a few hundred bytes.
fn everything() -> (Graph, Weights) {
    let mut net = Builder::new(&[2, 4, 4]).expect("a shape");
    let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
    add("conv", Op::Conv2d(Conv2d::new(2, 3).padding(1).groups(2)), &["input"]);
    add("norm", Op::BatchNorm(BatchNorm::default()), &["conv"]);
    add("silu", Op::Activation(Activation::Silu), &["norm"]);
    add("sum", Op::Add, &["silu", "input"]);
    add("crop", Op::Crop([3, 3]), &["sum"]);
    add("max", Op::Pool(Pool::max(2)), &["crop"]);
    add("mean", Op::GlobalAveragePool, &["sum"]);
    add("average", Op::Pool(Pool::average(3)), &["crop"]);
    add("all", Op::Concat, &["max", "mean", "average"]);
    add("shape", Op::Reshape(vec![3, 2]), &["all"]);
    add("flat", Op::Flatten, &["shape"]);
    add("fc", Op::Linear(Linear::new(2)), &["flat"]);
    let graph = net.finish();
    let value = |role: Role, index: usize| match role {
        Role::Variance => 0.5 + index as f32,
        Role::Weight if index.is_multiple_of(3) => 0.0,
        Role::Weight | Role::Bias | Role::Scale | Role::Shift | Role::Mean | Role::Table => index as f32 / 8.0 - 1.0,
    };
    let own = graph.parameters().iter();
    let weights = own.map(|own| (own.name.clone(), (0..own.len()).map(|at| value(own.role, at)).collect())).collect();
    (graph, weights)
}

#[test]
fn what_is_read_is_what_was_written() {
    for seed in 0..400 {
        let (graph, weights) = random(seed);
        for precision in PRECISIONS {
            let bytes = encoded(&graph, &weights, precision);
            let model = decode(&bytes).expect("just written");
            assert_eq!(model.network.graph, graph, "{seed}");
            assert_eq!(model.network.weights, quantized(&graph, &weights, precision).expect("finite"), "{seed}");
            assert_eq!((&model.info, model.precision), (&info_of(&graph, precision), precision));
            let is_late = |op: &Op| match op {
                Op::Activation(own) => Activation::ALL[5..].contains(own),
                Op::Mul | Op::Permute(_) | Op::LayerNorm(_) | Op::Softmax(_) | Op::Embedding(_) => true,
                _ => false,
            };
            let version = match (model.info.classes.is_empty(), model.info.ranges.is_empty()) {
                _ if graph.nodes().iter().any(|node| is_late(&node.op)) => 5,
                (true, true) => 2,
                (false, true) => 3,
                (_, false) => 4,
            };
            assert_eq!(bytes[8], version);
            assert!(precision != Precision::F32 || model.network.weights == weights, "{seed}");
            // A second time changes nothing.
            assert_eq!(encoded(&model.network.graph, &model.network.weights, precision), bytes, "{seed}");
            let stored: usize = model.sizes.iter().map(|own| own.bytes).sum();
            assert!(stored <= bytes.len() && model.sizes.len() <= graph.nodes().len());
        }
    }
}

#[test]
fn a_file_cut_off_or_with_one_bit_changed_is_refused() {
    let mut sets = InstructionSet::available().into_iter().cycle();
    let (graph, weights) = everything();
    for precision in PRECISIONS {
        let bytes = encoded(&graph, &weights, precision);
        for length in 0..bytes.len() {
            let mut cut = bytes[..length].to_vec();
            assert!(decode(&cut).is_err(), "{length} bytes");
            // With a head that knows of it, too.
            if length >= 20 {
                cut[16..20].copy_from_slice(&(length as u32).to_le_bytes());
                seal(&mut cut);
                assert!(decode(&cut).is_err(), "{length} bytes");
            }
        }
        let mut damaged = bytes.clone();
        for bit in 0..8 * bytes.len() {
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&damaged).is_err(), "bit {bit}");
            seal(&mut damaged);
            ask(fuzzing::read(&damaged), &mut sets);
            damaged.copy_from_slice(&bytes);
        }
    }
}

/// Asks the engine of a graph that a file was read as, on the next instruction set; whether it was read.
fn ask(model: Option<Model>, sets: &mut impl Iterator<Item = InstructionSet>) -> bool {
    if let Some(model) = &model {
        fuzzing::ask(model, sets.next().expect("there is always one"));
    }
    model.is_some()
}

/// A file with a good checksum can still say anything: each of its words becomes what hurts most.
#[test]
fn a_sealed_lie_is_refused_or_is_another_graph() {
    let words = [0, 1, 2, 3, 5, 8, 9, 31, 32, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX, u32::MAX - 3, 0x1000_0000];
    let (mut found, mut sets) = ([0, 0], InstructionSet::available().into_iter().cycle());
    for seed in 0..30 {
        let (graph, weights) = if seed < 3 { everything() } else { random(seed) };
        let bytes = encoded(&graph, &weights, PRECISIONS[seed as usize % 3]);
        for place in (20..bytes.len().min(1200)).step_by(4) {
            for word in words {
                let mut lie = bytes.clone();
                lie[place..place + 4].copy_from_slice(&u32::to_le_bytes(word));
                seal(&mut lie);
                found[usize::from(ask(fuzzing::read(&lie), &mut sets))] += 1;
            }
        }
    }
    assert!(found.iter().all(|count| *count > 5000), "{found:?} refused and accepted");
}

/// Several words at once, of those that the file has or of any.
#[test]
fn a_shuffled_file_is_refused_or_is_another_graph() {
    let (mut random, mut sets) = (Random(1), InstructionSet::available().into_iter().cycle());
    for seed in 0..40 {
        let (graph, weights) = if seed < 3 { everything() } else { self::random(seed) };
        let bytes = encoded(&graph, &weights, PRECISIONS[seed as usize % 3]);
        let count = bytes.len() / 4;
        for _ in 0..300 {
            let mut lie = bytes.clone();
            for _ in 0..1 + random.below(4) {
                let [to, from] = [5 + random.below(count - 5), random.below(count)];
                if random.one_in(3) {
                    lie[4 * to..4 * to + 4].copy_from_slice(&(random.below(40) as u32).to_le_bytes());
                } else {
                    lie.copy_within(4 * from..4 * from + 4, 4 * to);
                }
            }
            seal(&mut lie);
            ask(fuzzing::read(&lie), &mut sets);
        }
    }
}

/// The file of a graph, with this change, sealed.
fn changed(graph: &Graph, weights: &Weights, change: impl Fn(&mut Vec<u8>)) -> String {
    let mut bytes = encoded(graph, weights, Precision::F32);
    change(&mut bytes);
    let length = (bytes.len() as u32).to_le_bytes();
    bytes[16..20].copy_from_slice(&length);
    seal(&mut bytes);
    decode(&bytes).expect_err("refused").to_string()
}

#[test]
fn what_is_wrong_is_named_with_its_node_and_its_byte() {
    let ops = [("fc", Op::Linear(Linear::new(3))), ("norm", Op::BatchNorm(BatchNorm::default()))];
    let graph = Graph::sequential(&[2], ops).expect("fits");
    let weights = Weights::neutral(&graph);
    let set = |place: usize, word: u32| {
        changed(&graph, &weights, |bytes| bytes[place..place + 4].copy_from_slice(&word.to_le_bytes()))
    };
    // Head of 24 bytes, one scale, the name `a graph`, the input's one side, two nodes.
    let fc = 24 + 12 + 4 + 8 + 8 + 4;
    assert_eq!(set(40 + 8, 0), "byte 52: the shape of the input is 0 sides, wanted 1 to 8 sides");
    assert!(set(52, 0).contains("node `input`"));
    assert_eq!(set(fc, 17), "byte 80: the kind of `fc` is 17, wanted 0 to 16");
    assert_eq!(set(fc + 12, 0), "byte 76: the number of inputs of `fc` is 0, wanted at least one");
    assert_eq!(set(fc + 12, 2), "byte 84: an input of `fc` is 2, wanted at most 0");
    assert_eq!(set(fc + 16, 1), "byte 80: an input of `fc` is 1, wanted at most 0");
    assert_eq!(set(fc + 20, 3), "byte 84: the number of channels that `fc` reads is 3, wanted 2");
    assert_eq!(set(fc + 28, 7), "byte 92: the bias of `fc` is 7, wanted 0 (none) or 1");
    assert_eq!(set(fc, 7), "byte 80: node `fc` (add): expected two inputs, found 1 input");
    assert!(set(fc + 8, 0x2f2f).starts_with("byte 92: node `//`: expected 1 to 200 letters"));
    let large = set(fc + 24, 1 << 28);
    assert!(large.starts_with("byte 92: node `fc`: the network up to here has 268435458 values"), "{large}");
    let large = set(fc + 24, 1 << 27);
    assert_eq!(
        large,
        "the network up to `fc`, in parameters, asks for 402653184 places, at most 268435456 are allowed"
    );
    let small = decode_within(&encoded(&graph, &weights, Precision::F32), 10).expect_err("21 parameters");
    assert!(small.to_string().contains("the network up to `norm`, in parameters, asks for 21 places, at most 10"));
}

#[test]
fn ranges_are_finite_in_order_and_of_values_of_the_graph() {
    let graph = Graph::sequential(&[2], [("fc", Op::Linear(Linear::new(3)))]).expect("fits");
    let ranges = Ranges::new(["fc", "input"].map(|name| (name.to_owned(), [-1.0, 2.0])));
    let own = Info { ranges: ranges.clone(), ..info("a graph") };
    let bytes = encode(&graph, &Weights::neutral(&graph), &own, Precision::Int8).expect("finite");
    assert_eq!((bytes[8], decode(&bytes).expect("just written").info.ranges), (4, ranges));
    let set = |place: usize, word: u32| {
        let mut bytes = bytes.clone();
        bytes[place..place + 4].copy_from_slice(&word.to_le_bytes());
        seal(&mut bytes);
        decode(&bytes).expect_err("refused").to_string()
    };
    // Head of 24 bytes, one scale, the name `a graph`, no classes, two ranges: `fc` and its ends, `input` and its ends.
    let first = 24 + 12 + 4 + 8 + 4 + 4;
    assert_eq!(set(first - 4, 0), "byte 56: the number of ranges is 0, wanted one or more");
    assert_eq!(
        set(first + 8, 2f32.to_bits() + 1),
        "byte 72: a range is 2.0000002 to 2, wanted two finite numbers in order"
    );
    assert!(set(first + 12, f32::INFINITY.to_bits()).contains("a range is -1 to inf"));
    assert_eq!(
        set(first + 4, 0x6364),
        "the ranges of the values: found one of `dc`, expected names of nodes, or `input`"
    );
    assert!(set(first + 4, 0x7a7a).contains("the name of a value is input, wanted one behind `zz`"));
    // Weights of another precision have other tensors, so that nothing behind them fits either.
    assert!(set(20, 0).starts_with("byte "));
}

#[test]
fn batch_normalisation_divides_by_something() {
    let norm = |epsilon: f64, momentum: f64| {
        Graph::sequential(&[2], [("norm", Op::BatchNorm(BatchNorm { epsilon, momentum }))]).expect("fits")
    };
    let refused = |graph: &Graph, variance: [f32; 2]| {
        let mut weights = Weights::neutral(graph);
        weights.insert("norm.running_var", variance.to_vec());
        match encode(graph, &weights, &info(""), Precision::F32) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(refused(&norm(0.0, 0.0), [1.0; 2]), "");
    assert_eq!(refused(&norm(1e-5, 1.0), [0.0; 2]), "");
    let expected = "`norm.running_var`, value 1, is 0: a variance is at least 0, and more than 0 with epsilon";
    assert_eq!(refused(&norm(0.0, 0.1), [1.0, 0.0]), expected);
    assert!(refused(&norm(0.0, 0.1), [1.0, -1.0]).contains("is -1: a variance is at least 0"));
    // Read as well: the variances are the last values of the file.
    let (graph, weights) = (norm(0.0, 0.1), Weights::neutral(&norm(0.0, 0.1)));
    let said = changed(&graph, &weights, |bytes| {
        let end = bytes.len();
        bytes[end - 1] = 0xbf;
    });
    assert!(said.contains("a value of `norm.running_var` is -1, wanted a variance"), "{said}");
    // The epsilon stands before the momentum, which stands before the tensors.
    let file = encoded(&graph, &weights, Precision::F32);
    let momentum = file.windows(8).position(|bytes| bytes == 0.1f64.to_le_bytes()).expect("it is there");
    for (place, value, expected) in [
        (
            momentum - 8,
            -1.0,
            "node `norm` (batch-norm): expected an epsilon that is finite and at least 0, found an epsilon of -1",
        ),
        (momentum - 8, f64::NAN, "found an epsilon of NaN"),
        (momentum, 2.0, "expected a momentum from 0 to 1, found a momentum of 2"),
    ] {
        let said = changed(&graph, &weights, |bytes| bytes[place..place + 8].copy_from_slice(&f64::to_le_bytes(value)));
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn what_cannot_be_stored_is_refused_by_name() {
    let (graph, mut weights) = everything();
    weights.get_mut("fc.bias").expect("there")[1] = f32::INFINITY;
    let said = encode(&graph, &weights, &info(""), Precision::F16).expect_err("infinite").to_string();
    assert_eq!(said, "`fc.bias`, value 1, is inf: only finite values can be stored");
    weights.remove("fc.bias");
    let said = encode(&graph, &weights, &info(""), Precision::F16).expect_err("missing").to_string();
    assert_eq!(said, "no values for `fc.bias`; expected 2 of them, of shape [2]");
    let scales = Info { scales: vec![], ..info("") };
    assert_eq!(encode(&graph, &weights, &scales, Precision::F16), Err(Error::Scales { found: 0, channels: 2 }));
    for (classes, expected) in [
        (vec!["one".to_owned()], "1 names for 2 classes"),
        (vec!["one".to_owned(), String::new()], "\"\", expected 1 to 1024 bytes"),
        (vec!["one".to_owned(), "t\u{1b}[31mwo".into()], "\"t\\u{1b}[31mwo\", expected"),
        (vec!["one".to_owned(), "o".repeat(1025)], "ooo\", expected 1 to 1024 bytes without control characters"),
    ] {
        let said = encode(&graph, &weights, &Info { classes, ..info("") }, Precision::F16).expect_err("names");
        assert!(
            said.to_string().starts_with("the names of the classes: found ") && said.to_string().contains(expected)
        );
    }
    let ranges = |name: &str| Info { ranges: Ranges::new([(name.to_owned(), [0.0, 1.0])]), ..info("") };
    let refused = |name: &str, precision| {
        encode(&everything().0, &everything().1, &ranges(name), precision).expect_err("ranges").to_string()
    };
    let said = "the ranges of the values: found some beside weights in F16, expected int8 weights";
    assert_eq!(refused("conv", Precision::F16), said);
    // A range of nothing is left out.
    let (graph, mut weights) = everything();
    weights.get_mut("fc.bias").expect("there")[1] = 0.0;
    let bytes = encode(&graph, &weights, &ranges("conv2"), Precision::Int8).expect("finite");
    assert_eq!((bytes[8], decode(&bytes).expect("just written").info.ranges), (2, Ranges::default()));
    let many = Graph::sequential(&[16], [("shape", Op::Reshape([&[16][..], &[1; 8]].concat()))]).expect("fits");
    let said = encode(&many, &Weights::default(), &info(""), Precision::F32).expect_err("sides").to_string();
    assert!(said.ends_with("the shape of `shape` is 9 sides, wanted at most 8 sides"), "{said}");
}

#[test]
fn a_small_file_holds_zeros_without_storing_them() {
    let graph = Graph::sequential(&[1000], [("fc", Op::Linear(Linear::new(1000)))]).expect("fits");
    let mut weights = Weights::neutral(&graph);
    weights.get_mut("fc.weight").expect("there")[123_456] = 2.0;
    let bytes = encoded(&graph, &weights, Precision::Int8);
    assert!(bytes.len() < 4500, "{}", bytes.len());
    let model = decode(&bytes).expect("just written");
    assert_eq!(model.network.weights, weights);
    assert_ne!(model.sizes[0].coding, Coding::Dense);
}

/// The graph drawn in `docs/format.md`: a file of each of its bytes, so a change of the format shows there.
#[test]
fn the_example_in_the_documents_is_what_is_written() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/format.md");
    let page = std::fs::read_to_string(page).expect("the page is there").replace("\r\n", "\n");
    let drawn = page.split("```hex\n").nth(2).and_then(|rest| rest.split("```").next()).expect("a second example");
    let hex = drawn.lines().flat_map(|line| line.split("  ").next().into_iter().flat_map(str::split_whitespace));
    let drawn: Vec<u8> = hex.map(|byte| u8::from_str_radix(byte, 16).expect("two digits")).collect();
    let mut net = Builder::new(&[2]).expect("a shape");
    net.add_named("fc", Op::Linear(Linear { outputs: 2, bias: false }), &["input"]).expect("fits");
    net.add_named("sum", Op::Add, &["fc", "input"]).expect("fits");
    let graph = net.finish();
    let mut weights = Weights::neutral(&graph);
    weights.insert("fc.weight", vec![2.0, 0.0, 0.0, 1.0]);
    let bytes = encode(&graph, &weights, &info("tiny"), Precision::F32).expect("finite");
    let lines: Vec<String> =
        bytes.chunks(4).map(|word| word.iter().map(|byte| format!("{byte:02x} ")).collect()).collect();
    assert!(drawn == bytes, "{}", lines.join("\n"));
    assert_eq!(decode(&drawn).expect("good").network.graph, graph);
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("format");
    std::fs::create_dir_all(&folder).expect("the build folder can be written");
    folder
}

/// For `scripts/check-format`: files, and beside each all values of its parameters as f32, in the order of the graph.
#[test]
fn files_for_other_readers() {
    let folder = folder();
    for seed in 0..40 {
        let (graph, weights) = if seed == 0 { everything() } else { random(seed) };
        for precision in PRECISIONS {
            let path = folder.join(format!("graph-{seed:02}-{precision:?}.secateur").to_lowercase());
            std::fs::write(&path, encoded(&graph, &weights, precision)).expect("writes");
            let rounded = quantized(&graph, &weights, precision).expect("finite");
            let values = graph.parameters().iter().flat_map(|own| rounded.get(&own.name));
            let values: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
            std::fs::write(path.with_extension("f32"), values).expect("writes");
        }
    }
}

#[test]
fn channels_may_have_scales_of_their_own() {
    let graph = Graph::sequential(&[2, 1, 2], [("relu", Op::Activation(Activation::Relu))]).expect("fits");
    let (first, second) = (Scale { divisor: 2.0, shift: 1.0 }, Scale { divisor: 4.0, shift: -1.0 });
    let with = |scales: &[Scale]| {
        let info = Info { scales: scales.to_vec(), ..info("two") };
        let bytes = encode(&graph, &Weights::default(), &info, Precision::F32).expect("finite");
        (decode(&bytes).expect("just written").info, bytes)
    };
    let (found, bytes) = with(&[first, second]);
    assert_eq!(found.scales, [first, second]);
    assert_eq!(found.input(&[2, 4, 4, 8]).collect::<Vec<_>>(), [2.0, 3.0, 0.0, 1.0]);
    // Where one is enough, there is one.
    let (found, one) = with(&[first, first]);
    assert_eq!(found.scales, [first]);
    assert_eq!(found.input(&[2, 4, 4, 8]).collect::<Vec<_>>(), [2.0, 3.0, 3.0, 5.0]);
    assert_eq!(bytes.len(), one.len() + 8);
    // As no writer leaves them: the same scale twice, none, more than there are bytes.
    let scales = 24;
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        let length = (bytes.len() as u32).to_le_bytes();
        bytes[16..20].copy_from_slice(&length);
        seal(&mut bytes);
        decode(&bytes).expect_err("refused").to_string()
    };
    let same = changed(&|bytes| bytes.copy_within(scales + 4..scales + 12, scales + 12));
    assert!(same.contains("wanted one, or one for each channel"), "{same}");
    let none = changed(&|bytes| {
        bytes[scales] = 0;
        bytes.drain(scales + 4..scales + 20);
    });
    assert!(none.contains("the scales is 0 for 2 channels"), "{none}");
    let endless = changed(&|bytes| bytes[scales..scales + 4].fill(0xff));
    assert!(endless.contains("byte "), "{endless}");
}

#[test]
fn a_zero_is_not_stored_and_has_no_sign() {
    let graph = Graph::sequential(&[4], [("norm", Op::BatchNorm(BatchNorm::default()))]).expect("fits");
    let mut weights = Weights::neutral(&graph);
    weights.insert("norm.weight", vec![-0.0, 0.0, 0.0, 1.0]);
    weights.insert("norm.bias", vec![-0.0; 4]);
    let model = decode(&encode(&graph, &weights, &info(""), Precision::F32).expect("finite")).expect("just written");
    let own = |name: &str| model.network.weights.get(name);
    assert!(own("norm.weight")[0].is_sign_positive() && own("norm.bias")[1].is_sign_positive());
    // The scale, and the four variances of 1.
    assert_eq!((model.sizes[0].stored, model.sizes[0].value_bytes), (5, 20));
    // Three zeros before the one: with a bit of remainder that takes three bits, as a bitmap four.
    assert_eq!(model.sizes[0].coding, Coding::Rice { remainder: 1 });
}
