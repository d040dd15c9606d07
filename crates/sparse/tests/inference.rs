//! The engine against the reference implementation: random graphs of every operation, with zeros of every kind,
//! compacted or not, on every instruction set, with images in the lanes and with tiles, pixels or neurons of one image.

mod graphs;

use graphs::{Random, graph, images, weights};
use secateur_graph::{
    Activation, BatchNorm, Builder, Conv2d, Graph, LayerNorm, Linear, Op, Pool, PoolKind, Role, Weights, Window,
};
use secateur_sparse::file::{Precision, quantized};
use secateur_sparse::infer::{Engine, Error, Forms, LanesHold, Options};
use secateur_sparse::{InstructionSet, Ranges, Trained, compact};

/// Images of the calls: a block that is not full, a full one, and more than one.
const COUNTS: [usize; 5] = [1, 15, 16, 17, 33];

fn engine(graph: &Graph, weights: &Weights, options: &Options) -> Engine {
    Engine::new(graph, weights, options).unwrap_or_else(|error| panic!("{error}: {graph:#?}"))
}

/// The largest difference between answers, and the largest answer of those that are expected.
fn difference(found: &[f32], expected: &[f32]) -> [f32; 2] {
    assert_eq!(found.len(), expected.len());
    let [mut most, mut scale] = [0f32; 2];
    for (found, expected) in found.iter().zip(expected) {
        let own = (found - expected).abs();
        most = if own.is_nan() || own > most { own } else { most };
        scale = scale.max(expected.abs());
    }
    [most, scale]
}

/// Random graphs by their seeds, with weights, and images whose values are all finite, unlike those of a window in nothing but
/// padding.
fn random_graphs() -> impl Iterator<Item = (u64, Graph, Weights, Vec<Vec<f32>>)> {
    let all = (0..400).map(|seed| {
        let mut random = Random(seed);
        let graph = graph(&mut random);
        let weights = weights(&graph, &mut random);
        let mut images = images(&graph, COUNTS[4], &mut random);
        images.retain(|image| graph.forward_all(&weights, image).iter().flatten().all(|value| value.is_finite()));
        (seed, graph, weights, images)
    });
    all.filter(|(.., images)| !images.is_empty())
}

/// The engine's answers to any number of these images, against the reference implementation's.
fn check(graph: &Graph, weights: &Weights, images: &[Vec<f32>], about: &str) {
    let expected: Vec<f32> = images.iter().flat_map(|image| graph.forward(weights, image)).collect();
    let (rows, classes) = (images.concat(), expected.len() / images.len());
    for instruction_set in InstructionSet::available() {
        let (any, dense) = (Forms::Any, Forms::Dense);
        for (forms, batch) in [(any, 64), (any, 16), (any, 1), (dense, 64), (dense, 1)] {
            let options = |threads| Options { threads, instruction_set, forms, ..Options::new(batch) };
            let mut one = engine(graph, weights, &options(1));
            let about = || format!("{about}, {}, {forms:?}, batch {batch}: {graph:#?}", instruction_set.name());
            let all = one.logits(&rows);
            let [most, scale] = difference(&all, &expected);
            assert!(most <= 1e-4 * scale.max(1e-2), "differs by {most} of {scale}; {}", about());
            for (place, count) in COUNTS.into_iter().enumerate() {
                let count = count.min(images.len());
                let mut many = engine(graph, weights, &options(1 + place % 3));
                let found = many.logits(&rows[..count * one.pixels()]);
                assert!(found == all[..count * classes], "{count} images differ; {}", about());
            }
            let single = engine(graph, weights, &options(3)).logits(&rows[..one.pixels()]);
            assert!(single == all[..classes], "one image on three threads differs; {}", about());
        }
    }
}

#[test]
fn any_graph_answers_as_the_reference_does() {
    let mut checked = 0;
    for (seed, graph, weights, images) in random_graphs() {
        checked += 1;
        check(&graph, &weights, &images, &format!("seed {seed}"));
        let small = compact(&graph, &weights);
        check(&small.graph, &small.weights, &images, &format!("seed {seed}, compacted"));
    }
    assert!(checked > 300, "{checked}");
}

/// `input -> conv -> bn -> relu -> conv -> bn -> + projection -> relu -> conv -> + its input -> crop -> max-pool -> mean ->
/// fc`, on images of these sides.
fn residual(sides: [usize; 2]) -> Graph {
    let mut net = Builder::new(&[3, sides[0], sides[1]]).expect("a shape");
    let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
    let conv = |outputs: usize, kernel: usize| Conv2d::new(outputs, kernel).padding(kernel / 2).without_bias();
    let norm = || Op::BatchNorm(BatchNorm::default());
    add("conv1", Op::Conv2d(conv(19, 3)), &["input"]);
    add("bn1", norm(), &["conv1"]);
    add("relu1", Op::Activation(Activation::Relu), &["bn1"]);
    add("conv2", Op::Conv2d(conv(23, 3)), &["relu1"]);
    add("bn2", norm(), &["conv2"]);
    add("projection", Op::Conv2d(conv(23, 1)), &["input"]);
    add("sum", Op::Add, &["bn2", "projection"]);
    add("relu2", Op::Activation(Activation::Relu), &["sum"]);
    add("next", Op::Conv2d(conv(23, 5)), &["relu2"]);
    add("again", Op::Add, &["relu2", "next"]);
    add("narrow", Op::Conv2d(conv(9, 3)), &["again"]);
    add("gelu", Op::Activation(Activation::Gelu), &["narrow"]);
    add("crop", Op::Crop([9, 35]), &["gelu"]);
    add("max", Op::Pool(Pool::max(2)), &["crop"]);
    add("mean", Op::GlobalAveragePool, &["max"]);
    add("flat", Op::Flatten, &["mean"]);
    add("fc", Op::Linear(Linear::new(10)), &["flat"]);
    net.finish()
}

/// Weights of which a fraction is kept.
fn kept(graph: &Graph, density: f32, random: &mut Random) -> Weights {
    let mut own = Weights::neutral(graph);
    for parameter in graph.parameters().iter().filter(|own| own.role == Role::Weight) {
        let bound = (3.0 / (parameter.len() / parameter.shape[0]) as f32 / density.max(0.05)).sqrt();
        for value in own.get_mut(&parameter.name).expect("there") {
            *value = if random.signed() < 2.0 * density - 1.0 { bound * random.signed() } else { 0.0 };
        }
    }
    own
}

const DENSITIES: [f32; 4] = [0.0, 0.05, 0.3, 1.0];

#[test]
fn wide_layers_answer_as_the_reference_does() {
    // Even sides are covered by tiles of 2x2 outputs, odd ones are not.
    for (graph, density) in
        [[11, 37], [10, 36]].map(residual).iter().flat_map(|own| DENSITIES.map(|density| (own, density)))
    {
        let mut random = Random((density * 100.0) as u64);
        let weights = kept(graph, density, &mut random);
        let images = images(graph, COUNTS[4], &mut random);
        check(graph, &weights, &images, &format!("density {density}"));
    }
}

/// Convolutions and pooling of many shapes, one behind the other, on images of these sides.
fn windows(sides: [usize; 2]) -> Graph {
    let mut net = Builder::new(&[2, sides[0], sides[1]]).expect("a shape");
    let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
    let window = |size: [usize; 2], stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2]| Window {
        size,
        stride,
        padding,
        dilation,
    };
    let conv = |outputs: usize, groups: usize, window: Window| {
        Op::Conv2d(Conv2d { window, groups, ..Conv2d::new(outputs, 1) })
    };
    let pool = |kind: PoolKind, window: Window| Op::Pool(Pool { kind, window });
    add("wide", conv(12, 1, window([7, 7], [1, 1], [3, 3], [1, 1])), &["input"]);
    add("half", conv(8, 4, window([3, 3], [2, 2], [1, 1], [1, 1])), &["wide"]);
    add("depthwise", conv(8, 8, window([3, 5], [1, 1], [2, 4], [2, 2])), &["half"]);
    add("silu", Op::Activation(Activation::Silu), &["depthwise"]);
    add("both", Op::Concat, &["silu", "half"]);
    add("max", pool(PoolKind::Max, window([3, 3], [2, 1], [1, 1], [1, 1])), &["both"]);
    add("third", conv(6, 2, window([2, 1], [1, 3], [0, 0], [1, 1])), &["max"]);
    add("mean", pool(PoolKind::Average, window([2, 2], [1, 1], [1, 1], [1, 1])), &["third"]);
    add("crop", Op::Crop([2, 3]), &["mean"]);
    add("flat", Op::Flatten, &["crop"]);
    add("image", Op::Reshape(vec![4, 3, 3]), &["flat"]);
    add("again", conv(5, 1, window([3, 3], [1, 1], [1, 1], [1, 1])), &["image"]);
    add("all", Op::GlobalAveragePool, &["again"]);
    add("point", conv(7, 1, window([3, 3], [1, 1], [1, 1], [1, 1])), &["all"]);
    net.finish()
}

#[test]
fn windows_of_every_shape_answer_as_the_reference_does() {
    for (sides, density) in
        [[16, 16], [17, 40], [32, 21], [8, 64]].into_iter().flat_map(|own| [0.2, 1.0].map(|density| (own, density)))
    {
        let graph = windows(sides);
        let mut random = Random(sides[1] as u64);
        let weights = kept(&graph, density, &mut random);
        let images = images(&graph, COUNTS[3], &mut random);
        check(&graph, &weights, &images, &format!("{sides:?}, density {density}"));
    }
}

/// Convolutions whose outputs are pooled by two, with relu before the pool, behind it, or nowhere.
fn pooled(sides: [usize; 2]) -> Graph {
    let mut net = Builder::new(&[9, sides[0], sides[1]]).expect("a shape");
    let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
    let (relu, pool) = (|| Op::Activation(Activation::Relu), || Op::Pool(Pool::max(2)));
    // By tiles of two by two outputs where the sides are even; sixteen filters are more than a tile of rows.
    add("even", Op::Conv2d(Conv2d::new(16, 3).padding(1)), &["input"]);
    add("relu", relu(), &["even"]);
    add("half", pool(), &["relu"]);
    add("wide", Op::Conv2d(Conv2d::new(10, 5).padding(2).groups(2)), &["half"]);
    add("quarter", pool(), &["wide"]);
    add("behind", relu(), &["quarter"]);
    // A stride, dilation, a window that is no square, and a value that somebody else reads.
    let skewed = Window { size: [1, 3], stride: [1, 2], padding: [0, 2], dilation: [1, 2] };
    add("skewed", Op::Conv2d(Conv2d { window: skewed, ..Conv2d::new(7, 1) }), &["half"]);
    add("small", pool(), &["skewed"]);
    add("depthwise", Op::Conv2d(Conv2d::new(16, 3).stride(3).padding(1).groups(16)), &["half"]);
    add("seen", pool(), &["depthwise"]);
    add("gap", Op::GlobalAveragePool, &["depthwise"]);
    for (name, from) in [("a", "behind"), ("b", "small"), ("c", "seen"), ("d", "gap")] {
        add(name, Op::Flatten, &[from]);
    }
    add("all", Op::Concat, &["a", "b", "c", "d"]);
    add("fc", Op::Linear(Linear::new(5)), &["all"]);
    net.finish()
}

#[test]
fn pooled_convolutions_answer_as_the_reference_does() {
    for (sides, density) in
        [[16, 16], [17, 23], [32, 14], [12, 64]].into_iter().flat_map(|own| [0.2, 1.0].map(|density| (own, density)))
    {
        let graph = pooled(sides);
        let mut random = Random(7 + sides[1] as u64);
        let weights = kept(&graph, density, &mut random);
        let images = images(&graph, COUNTS[3], &mut random);
        check(&graph, &weights, &images, &format!("{sides:?}, density {density}"));
    }
}

/// Convolutions without padding, one behind the other, pooled by two with relu before the pool, behind it or nowhere, or not pooled;
/// then fully connected layers.
fn plain(sides: [usize; 2]) -> Graph {
    let window = |size: [usize; 2], dilation: [usize; 2]| Window { size, dilation, ..Window::square(1) };
    let conv = |outputs: usize, window: Window| Op::Conv2d(Conv2d { window, ..Conv2d::new(outputs, 1) });
    let (relu, pool) = (|| Op::Activation(Activation::Relu), || Op::Pool(Pool::max(2)));
    let ops = [
        ("crop", Op::Crop([sides[0] - 1, sides[1] - 2])),
        ("square", conv(7, Window::square(3))),
        ("before", relu()),
        ("half", pool()),
        ("wide", conv(13, window([2, 3], [1, 2]))),
        ("quarter", pool()),
        ("behind", relu()),
        ("point", conv(9, Window::square(1))),
        ("gelu", Op::Activation(Activation::Gelu)),
        ("column", conv(5, window([2, 1], [1, 1]))),
        ("flat", Op::Flatten),
        ("fc1", Op::Linear(Linear::new(37))),
        ("relu", relu()),
        ("fc2", Op::Linear(Linear::new(10))),
    ];
    Graph::sequential(&[3, sides[0], sides[1]], ops).expect("fits")
}

#[test]
fn convolutions_without_padding_answer_as_the_reference_does() {
    for (sides, density) in
        [[28, 28], [13, 45], [14, 18], [23, 131]].into_iter().flat_map(|own| DENSITIES.map(|density| (own, density)))
    {
        let graph = plain(sides);
        let mut random = Random(7 + sides[1] as u64);
        let weights = kept(&graph, density, &mut random);
        let images = images(&graph, COUNTS[3], &mut random);
        check(&graph, &weights, &images, &format!("{sides:?}, density {density}"));
    }
    // What somebody else reads, too, is cut into tiles.
    let mut net = Builder::new(&[2, 9, 11]).expect("a shape");
    let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
    add("conv1", Op::Conv2d(Conv2d::new(5, 3)), &["input"]);
    add("conv2", Op::Conv2d(Conv2d::new(4, 2)), &["conv1"]);
    add("mean", Op::GlobalAveragePool, &["conv1"]);
    add("flat1", Op::Flatten, &["conv2"]);
    add("flat2", Op::Flatten, &["mean"]);
    add("all", Op::Concat, &["flat1", "flat2"]);
    add("fc", Op::Linear(Linear::new(3)), &["all"]);
    let graph = net.finish();
    let mut random = Random(5);
    let weights = kept(&graph, 0.3, &mut random);
    check(&graph, &weights, &images(&graph, COUNTS[3], &mut random), "a convolution that is read twice");
}

/// For the gate, which shows what this says: the kernels' tests go over the instruction sets that the machine has.
#[test]
fn the_instruction_sets_that_are_tested_are_printed() {
    let all = [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512];
    let (tested, lacking): (Vec<_>, Vec<_>) = all.into_iter().partition(|set| set.is_available());
    let names = |sets: &[InstructionSet]| match sets {
        [] => "none".to_owned(),
        sets => sets.iter().map(|set| set.name()).collect::<Vec<_>>().join(", "),
    };
    println!("instruction sets tested: {}; not on this machine: {}", names(&tested), names(&lacking));
    assert_eq!(tested, InstructionSet::available());
}

/// A clock whose readings go up or down by this much.
fn clock(step: f64) -> impl FnMut(&mut dyn FnMut()) -> f64 {
    let mut reading = 0.0;
    move |call| {
        call();
        reading += step;
        reading
    }
}

#[test]
fn a_single_image_is_shared_by_threads_where_the_clock_finds_that_faster() {
    let conv = || Op::Conv2d(Conv2d::new(24, 3).padding(1));
    let ops = [("conv1", conv()), ("relu", Op::Activation(Activation::Relu)), ("conv2", conv())];
    let graph = Graph::sequential(&[3, 24, 24], ops).expect("fits");
    let mut random = Random(5);
    let weights = kept(&graph, 1.0, &mut random);
    let image = images(&graph, 1, &mut random).concat();
    let trained = Trained { graph, weights };
    for instruction_set in InstructionSet::available() {
        let options = Options { threads: 2, instruction_set, ..Options::new(1) };
        // One thread alone is timed first.
        let answers = [1.0, -1.0].map(|step| {
            let mut engine = Engine::timed(&trained, &options, &mut clock(step)).expect("small");
            assert_eq!(engine.shares_images(), step < 0.0);
            engine.logits(&image)
        });
        assert_eq!(answers[0], answers[1], "{}", instruction_set.name());
    }
}

#[test]
fn fully_connected_layers_of_single_images_hold_their_weights_in_any_precision() {
    let ops = [
        ("fc1", Op::Linear(Linear::new(90))),
        ("relu", Op::Activation(Activation::Relu)),
        ("fc2", Op::Linear(Linear::new(7))),
    ];
    let graph = Graph::sequential(&[60], ops).expect("fits");
    for density in DENSITIES {
        let mut random = Random((density * 100.0) as u64);
        let weights = kept(&graph, density, &mut random);
        let image = images(&graph, 1, &mut random).concat();
        for (precision, bytes) in [(Precision::F32, 4), (Precision::F16, 2), (Precision::Int8, 1)] {
            let held = quantized(&graph, &weights, precision).expect("small");
            let [single, many] = [1, 64].map(|batch| Options { threads: 1, precision, ..Options::new(batch) });
            for instruction_set in InstructionSet::available() {
                let mut own = engine(&graph, &weights, &Options { instruction_set, ..single });
                let [most, scale] = difference(&own.logits(&image), &graph.forward(&held, &image));
                assert!(most <= 1e-5 * scale.max(1e-2), "{precision:?}, {density}: {most} of {scale}");
                if density == 1.0 {
                    let biases = 4 * (96 + 16) * 2;
                    assert!(own.weight_bytes() <= bytes * (96 * 60 + 16 * 90) + biases, "{}", own.weight_bytes());
                }
                let mut floats = engine(&graph, &weights, &Options { instruction_set, ..many });
                let [most, scale] = difference(&floats.logits(&image), &graph.forward(&weights, &image));
                assert!(most <= 1e-5 * scale.max(1e-2), "{density}: {most} of {scale}");
            }
        }
    }
}

#[test]
fn what_the_lanes_hold_follows_from_the_batch() {
    let graph = windows([32, 32]);
    let weights = kept(&graph, 0.1, &mut Random(3));
    let lanes = |batch: usize| engine(&graph, &weights, &Options { threads: 1, ..Options::new(batch) }).lanes();
    assert_eq!(
        [1, 2, 16, 128].map(lanes),
        [LanesHold::Places, LanesHold::Places, LanesHold::Images, LanesHold::Images]
    );
    // Features alone would fill one lane of a vector, and do not pay from the second image on.
    let graph = Graph::sequential(&[9], [("fc", Op::Linear(Linear::new(4)))]).expect("fits");
    let weights = kept(&graph, 1.0, &mut Random(4));
    assert_eq!(engine(&graph, &weights, &Options::new(2)).lanes(), LanesHold::Images);
}

#[test]
fn weights_that_are_zero_take_no_memory() {
    let graph = residual([11, 37]);
    let weights = kept(&graph, 0.05, &mut Random(1));
    let all: usize = graph.parameters().iter().filter(|own| own.role == Role::Weight).map(|own| own.len()).sum();
    for instruction_set in InstructionSet::available() {
        let options = Options { threads: 1, instruction_set, ..Options::new(16) };
        let own = engine(&graph, &weights, &options);
        let dense = engine(&graph, &weights, &Options { forms: Forms::Dense, ..options });
        assert!(own.weight_bytes() < all && dense.weight_bytes() >= 4 * all);
        assert_eq!([own.pixels(), own.classes()], [3 * 11 * 37, 10]);
        // Three values of 23 channels of at most 15 x 41, one of 19 of 13 x 39, the images twice, and what is small.
        assert!(own.bytes() < 64 * 16 * 2 * (3 * 23 * 15 * 41 + 19 * 13 * 39 + 2 * 3 * 15 * 41), "{}", own.bytes());
        // Of a single image less than a quarter is held, with all margins.
        let single = engine(&graph, &weights, &Options { batch: 1, ..options });
        assert!(4 * single.bytes() < own.bytes(), "{} {}", single.bytes(), own.bytes());
        // Where sixteen images do not fit, one by one they do.
        let fewer = Options { buffer_bytes: own.bytes() / 2, ..options };
        let lanes = [options, fewer].map(|own| engine(&graph, &weights, &own).lanes());
        assert_eq!(lanes, [LanesHold::Images, LanesHold::Places]);
    }
}

#[test]
fn what_cannot_be_compiled_is_said() {
    let graph = residual([11, 37]);
    let weights = Weights::neutral(&graph);
    let refused = |options: &Options| Engine::new(&graph, &weights, options).expect_err("refused").to_string();
    let small = Options { buffer_bytes: 1000, ..Options::new(16) };
    assert!(refused(&small).contains("bytes, expected at most 1000: use fewer threads"), "{}", refused(&small));
    let many = Options { threads: usize::MAX, ..Options::new(16) };
    assert!(refused(&many).contains("expected at most 1073741824"), "{}", refused(&many));
    // Lists of windows count, too: these have 512 x 512 elements each.
    let huge = Graph::sequential(&[1, 1023, 1023], [("pool", Op::Pool(overlapping(512)))]).expect("fits");
    let error = Engine::new(&huge, &Weights::default(), &Options::new(1)).expect_err("too many");
    assert!(matches!(error, Error::Memory { .. }), "{error}");
}

fn overlapping(size: usize) -> Pool {
    let mut own = Pool::max(size);
    own.window.stride = [1; 2];
    own
}

/// Layers that all compute with whole numbers, or round alike everywhere: convolutions of many shapes, sums, max-pooling.
fn whole_numbers(sides: [usize; 2]) -> Graph {
    let mut net = Builder::new(&[3, sides[0], sides[1]]).expect("a shape");
    let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
    let (relu, relu6) = (|| Op::Activation(Activation::Relu), || Op::Activation(Activation::Relu6));
    let same = |outputs: usize| Conv2d::new(outputs, 3).padding(1);
    let mut half = same(10);
    half.window.stride = [2; 2];
    let mut point = Conv2d::new(10, 1);
    point.window.stride = [2; 2];
    add("conv1", Op::Conv2d(same(6)), &["input"]);
    add("relu1", relu(), &["conv1"]);
    add("conv2", Op::Conv2d(same(6)), &["relu1"]);
    add("sum1", Op::Add, &["relu1", "conv2"]);
    add("relu2", relu(), &["sum1"]);
    add("half", Op::Conv2d(half), &["relu2"]);
    add("projection", Op::Conv2d(point), &["relu2"]);
    add("sum2", Op::Add, &["half", "projection"]);
    add("depthwise", Op::Conv2d(Conv2d { groups: 10, ..same(10) }), &["sum2"]);
    add("relu3", relu6(), &["depthwise"]);
    add("max", Op::Pool(Pool::max(2)), &["relu3"]);
    add("last", Op::Conv2d(same(7)), &["max"]);
    add("flat", Op::Flatten, &["last"]);
    add("fc", Op::Linear(Linear::new(5)), &["flat"]);
    net.finish()
}

#[test]
fn bytes_answer_alike_on_every_instruction_set_and_nearly_as_floats() {
    for (sides, density) in [[8, 8], [12, 20], [16, 16]].into_iter().flat_map(|own| [0.2, 1.0].map(|by| (own, by))) {
        let graph = whole_numbers(sides);
        let mut random = Random(sides[1] as u64);
        let weights = kept(&graph, density, &mut random);
        let images = images(&graph, COUNTS[4], &mut random);
        let expected: Vec<f32> = images.iter().flat_map(|image| graph.forward(&weights, image)).collect();
        let (rows, mut first) = (images.concat(), None);
        for instruction_set in InstructionSet::available() {
            let ranges = Ranges::over(&graph, &weights, &rows, &Options { instruction_set, ..Options::new(1) });
            let ranges = ranges.expect("it is computed");
            // Those of one instruction set, as they differ in their last bits.
            let (ranges, answers) = first.get_or_insert((ranges, None));
            for (forms, batch) in [Forms::Any, Forms::Dense].into_iter().flat_map(|own| [1, 16].map(|by| (own, by))) {
                let options = |threads| Options { threads, instruction_set, forms, ..Options::new(batch) };
                let compiled = |threads| Engine::with_bytes(&graph, &weights, ranges, &options(threads));
                let mut engine = compiled(1).expect("it compiles");
                let about = format!("{sides:?}, {density}, {}, {forms:?}, batch {batch}", instruction_set.name());
                assert_eq!(engine.lanes(), if batch == 1 { LanesHold::Places } else { LanesHold::Images });
                let found = engine.logits(&rows);
                let [most, scale] = difference(&found, &expected);
                assert!(most <= 0.05 * scale, "differs by {most} of {scale}; {about}");
                assert!(most > 0.0, "eight bits are rounded; {about}");
                let same = answers.get_or_insert(found.clone());
                assert!(found == *same, "differs from other sets, forms or batches; {about}");
                let mut three = compiled(3).expect("it compiles");
                assert!(three.logits(&rows) == found, "three threads differ; {about}");
                assert!(three.logits(&rows[..engine.pixels()]) == found[..engine.classes()], "one image; {about}");
            }
        }
    }
}

#[test]
fn bytes_of_any_graph_answer_nearly_as_floats() {
    let (mut checked, mut near) = (0, 0);
    for (seed, graph, weights, images) in random_graphs() {
        let (rows, expected) = (images.concat(), images.iter().flat_map(|image| graph.forward(&weights, image)));
        let expected: Vec<f32> = expected.collect();
        for instruction_set in InstructionSet::available() {
            let options = |batch| Options { instruction_set, threads: 2, ..Options::new(batch) };
            let ranges = Ranges::over(&graph, &weights, &rows, &options(1)).expect("it is computed");
            for batch in [1, 16] {
                let mut engine = Engine::with_bytes(&graph, &weights, &ranges, &options(batch)).expect("it compiles");
                let [most, scale] = difference(&engine.logits(&rows), &expected);
                assert!(most.is_finite(), "seed {seed}: {graph:#?}");
                checked += 1;
                near += usize::from(most <= 0.03 * scale.max(1e-2));
            }
        }
    }
    assert!(checked > 900 && near * 100 >= checked * 95, "{near} of {checked}");
}

#[test]
fn a_nan_comes_through_every_pool_and_activation_and_nowhere_else() {
    let pools = [PoolKind::Max, PoolKind::Average].into_iter().flat_map(|kind| {
        [[2, 2, 0], [3, 1, 1], [3, 2, 1]].map(|[size, stride, padding]| {
            let pair = |own: usize| [own; 2];
            let window = Window { size: pair(size), stride: pair(stride), padding: pair(padding), dilation: pair(1) };
            Op::Pool(Pool { kind, window })
        })
    });
    let ops = pools.chain(Activation::ALL.map(Op::Activation));
    let ops = ops.chain([Op::GlobalAveragePool, Op::BatchNorm(BatchNorm::default())]).map(|op| vec![("own", op)]);
    // Each channel by itself, by all weights and by one; with a pool that is computed in one pass.
    let conv = Op::Conv2d(Conv2d::new(2, 3).padding(1).groups(2).without_bias());
    let convs = [1, 2, 3].map(|last| {
        let all =
            [("conv", conv.clone()), ("relu", Op::Activation(Activation::Relu)), ("pool", Op::Pool(Pool::max(2)))];
        all[..last].to_vec()
    });
    for (ops, sparse) in
        ops.map(|ops| (ops, false)).chain(convs.into_iter().flat_map(|own| [(own.clone(), false), (own, true)]))
    {
        let op = ops.clone();
        let graph = Graph::sequential(&[2, 6, 6], ops).expect("fits");
        let mut weights = Weights::neutral(&graph);
        if let Some(own) = weights.get_mut("conv.weight") {
            own.iter_mut().enumerate().for_each(|(tap, own)| *own = if sparse && tap % 9 != 4 { 0.0 } else { 1.0 });
        }
        let mut image: Vec<f32> = (0..72).map(|place| (place * 7 % 23) as f32 - 11.0).collect();
        image[15] = f32::NAN;
        let reference = graph.forward(&weights, &image);
        // A pixel of the first channel: what is computed from it is none, and all others are numbers.
        let plane = reference.len() / 2;
        assert!(
            reference[..plane].iter().any(|own| own.is_nan()) && !reference[plane..].iter().any(|own| own.is_nan())
        );
        for instruction_set in InstructionSet::available() {
            for batch in [1, 16] {
                let options = Options { threads: 1, instruction_set, ..Options::new(batch) };
                let found = engine(&graph, &weights, &options).logits(&image);
                for (found, expected) in found.iter().zip(&reference) {
                    let near = (found - expected).abs() <= 1e-5 * expected.abs().max(1e-6);
                    let same = near || found.is_nan() && expected.is_nan();
                    assert!(same, "{op:?}, {}, batch {batch}: {found} {expected}", instruction_set.name());
                }
            }
        }
    }
}

/// `input -> conv -> relu -> flat -> fc1 -> relu -> fc2 -> + fc1 -> layer-norm -> gelu -> fc3 -> * gates -> fc4 -> soft-max`, where the
/// gates are made of the features that `fc1` reads, on images of four by five pixels.
fn features() -> Graph {
    let mut net = Builder::new(&[2, 4, 5]).expect("a shape");
    let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
    let relu = || Op::Activation(Activation::Relu);
    let linear = |outputs| Op::Linear(Linear::new(outputs));
    add("conv", Op::Conv2d(Conv2d::new(7, 3)), &["input"]);
    add("relu", relu(), &["conv"]);
    add("flat", Op::Flatten, &["relu"]);
    add("fc1", linear(29), &["flat"]);
    add("relu1", relu(), &["fc1"]);
    add("fc2", linear(29), &["relu1"]);
    add("sum", Op::Add, &["relu1", "fc2"]);
    add("norm", Op::LayerNorm(LayerNorm { axes: vec![0], epsilon: 1e-5 }), &["sum"]);
    add("gelu", Op::Activation(Activation::Gelu), &["norm"]);
    add("fc3", linear(18), &["gelu"]);
    add("gates", linear(18), &["flat"]);
    add("product", Op::Mul, &["fc3", "gates"]);
    add("fc4", linear(1), &["product"]);
    add("all", Op::Concat, &["fc4", "product"]);
    add("share", Op::Softmax(0), &["all"]);
    net.finish()
}

#[test]
fn blocks_of_images_go_through_fully_connected_layers_together() {
    let graph = features();
    for density in DENSITIES {
        let mut random = Random((density * 100.0) as u64);
        let weights = kept(&graph, density, &mut random);
        check(&graph, &weights, &images(&graph, 130, &mut random), &format!("density {density}"));
    }
}

#[test]
fn as_many_blocks_go_together_as_the_memory_allows() {
    let graph = features();
    let weights = kept(&graph, 0.3, &mut Random(3));
    let images = images(&graph, 40, &mut Random(5)).concat();
    let options = |buffer_bytes| Options { threads: 1, buffer_bytes, ..Options::new(128) };
    let mut all = engine(&graph, &weights, &options(1 << 30));
    let least = all.bytes() - all.weight_bytes();
    let mut one = engine(&graph, &weights, &options(least - 1));
    assert!(one.bytes() < all.bytes(), "{} of {}", one.bytes(), all.bytes());
    let [found, expected] = [one.logits(&images), all.logits(&images)];
    let [most, scale] = difference(&found, &expected);
    assert!(most <= 1e-5 * scale, "differs by {most} of {scale}");
}

#[test]
fn bytes_suit_all_but_plain_networks_whose_work_is_in_convolutions_without_padding() {
    let suits = |net: Builder| {
        let graph = net.finish();
        Trained { weights: Weights::neutral(&graph), graph }.suits_bytes()
    };
    let net = |conv: Conv2d, has_sum: bool| {
        let mut net = Builder::new(&[4, 9, 9]).expect("a shape");
        net.add_named("conv", Op::Conv2d(conv), &["input"]).expect("fits");
        if has_sum {
            net.add_named("sum", Op::Add, &["conv", "conv"]).expect("fits");
        }
        net.add_named("flat", Op::Flatten, &[if has_sum { "sum" } else { "conv" }]).expect("fits");
        net.add_named("fc", Op::Linear(Linear::new(1)), &["flat"]).expect("fits");
        net
    };
    let conv = Conv2d::new(8, 3);
    assert!(!suits(net(conv, false)));
    assert!(suits(net(conv.padding(1), false)), "padding");
    assert!(suits(net(conv, true)), "a sum");
    assert!(suits(net(conv.groups(4), false)), "groups");
}
