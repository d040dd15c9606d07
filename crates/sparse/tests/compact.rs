//! Compacted graphs against the originals, whose answers they have to give.

mod graphs;

use graphs::{Random, difference, graph, images, weights};
use secateur_graph::{Activation, BatchNorm, Builder, Conv2d, Graph, Linear, Op, Pool, Weights, Window};
use secateur_sparse::{Compacted, Footprint, compact};

/// Both sides of every number of a footprint.
fn pairs(before: Footprint, after: Footprint) -> [[usize; 2]; 5] {
    let values = |own: Footprint| [own.units, own.weights, own.nonzero, own.macs, own.remaining_macs];
    let (before, after) = (values(before), values(after));
    std::array::from_fn(|place| [before[place], after[place]])
}

#[test]
fn any_graph_answers_the_same_compacted() {
    let (mut smaller, mut fewer_nodes) = ([0; 5], 0);
    for seed in 0..3000 {
        let mut random = Random(seed);
        let graph = graph(&mut random);
        let weights = weights(&graph, &mut random);
        let found = compact(&graph, &weights);
        found.weights.check(&found.graph).expect("none is missing or left over");
        let about = || format!("seed {seed}: {graph:#?}\nbecame {:#?}", found.graph);

        let images = images(&graph, 3, &mut random);
        let [most, scale] = difference((&graph, &weights), (&found.graph, &found.weights), &images);
        assert!(most <= 1e-4 * scale.max(1e-2), "differs by {most} of {scale}; {}", about());

        assert_eq!(found.before, Footprint::of(&graph, &weights));
        assert_eq!(found.after, Footprint::of(&found.graph, &found.weights));
        for (place, [before, after]) in pairs(found.before, found.after).into_iter().enumerate() {
            assert!(after <= before, "number {place} grew; {}", about());
            smaller[place] += usize::from(after < before);
        }
        fewer_nodes += usize::from(found.graph.nodes().len() < graph.nodes().len());
        let ends = |graph: &Graph| [graph.input(), graph.output()].map(|value| graph.shape(value).to_vec());
        assert_eq!(ends(&found.graph), ends(&graph), "{}", about());
        let again = compact(&found.graph, &found.weights);
        assert!(again.graph == found.graph && again.weights == found.weights, "once is enough; {}", about());
    }
    assert!(smaller.iter().chain([&fewer_nodes]).all(|count| *count > 600), "{smaller:?}, {fewer_nodes}");
}

/// A graph with weights that are `fill`ed by name; what is not named is zero, or one of a scale and a variance.
fn compacted(graph: &Graph, fill: &[(&str, &[f32])]) -> Compacted {
    let mut weights = Weights::neutral(graph);
    fill.iter().for_each(|(name, values)| weights.insert(*name, values.to_vec()));
    weights.check(graph).expect("all of them");
    compact(graph, &weights)
}

fn words(graph: &Graph) -> Vec<String> {
    graph.nodes().iter().map(|node| format!("{}: {}", node.name, node.op)).collect()
}

/// `conv1 -> relu -> conv2 -> + input of the block -> mean`, 1x1 kernels of two channels each.
fn block() -> Graph {
    let mut net = Builder::new(&[1, 2, 2]).expect("a shape");
    let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
    add("stem", Op::Conv2d(Conv2d::new(2, 1)), &["input"]);
    add("conv1", Op::Conv2d(Conv2d::new(3, 1)), &["stem"]);
    add("relu", Op::Activation(Activation::Relu), &["conv1"]);
    add("conv2", Op::Conv2d(Conv2d::new(2, 1)), &["relu"]);
    add("sum", Op::Add, &["stem", "conv2"]);
    add("mean", Op::GlobalAveragePool, &["sum"]);
    add("flat", Op::Flatten, &["mean"]);
    add("fc", Op::Linear(Linear::new(1)), &["flat"]);
    net.finish()
}

#[test]
fn a_channel_of_a_residual_stage_goes_when_it_is_gone_in_every_branch() {
    let conv1 = ("conv1.weight", &[1.0, 0.0, 2.0, 0.0, 0.0, 3.0][..]);
    let (bias, fc) = (("conv1.bias", &[0.0f32, 0.0, 4.0][..]), ("fc.weight", &[5.0f32, 7.0][..]));
    // Channel 1 of the stage is 3 in the stem, and 3 + 1 behind the sum; unit 2 of the block is relu(3 * 3 + 4) = 13.
    let stem = [("stem.weight", &[1.0f32, 0.0][..]), ("stem.bias", &[0.0f32, 3.0][..])];
    let conv2 = [("conv2.weight", &[1.0f32, 1.0, 1.0, 0.0, 0.0, 0.0][..]), ("conv2.bias", &[0.0f32, 1.0][..])];
    let found = compacted(&block(), &[&stem[..], &conv2, &[conv1, bias, fc]].concat());
    let outputs = |name: &str| found.graph.parameter(&format!("{name}.weight")).expect("there").shape[0];
    assert_eq!(["stem", "conv1", "conv2"].map(outputs), [1, 2, 1]);
    assert_eq!((found.weights.get("fc.weight"), found.weights.get("fc.bias")), (&[5.0f32][..], &[28.0f32][..]));
    assert_eq!((found.weights.get("conv2.weight"), found.weights.get("conv2.bias")), (&[1.0, 1.0][..], &[13.0][..]));
    // A branch that adds nothing is no branch.
    let found = compacted(&block(), &[stem[0], conv1, bias, fc]);
    assert_eq!(
        words(&found.graph),
        ["stem: conv2d, 1 filters of 1x1", "mean: global average pool", "flat: flatten", "fc: linear, 1 outputs"]
    );
}

#[test]
fn a_depthwise_convolution_loses_channels_and_one_in_groups_none() {
    let graph = |groups: usize| {
        let ops = [
            ("a", Op::Conv2d(Conv2d::new(4, 1).without_bias())),
            ("own", Op::Conv2d(Conv2d::new(8, 3).groups(groups).without_bias())),
            ("norm", Op::BatchNorm(BatchNorm::default())),
            ("flat", Op::Flatten),
            ("fc", Op::Linear(Linear::new(1))),
        ];
        Graph::sequential(&[1, 3, 3], ops).expect("fits")
    };
    let fill: [(&str, &[f32]); 2] = [("a.weight", &[1.0, 0.0, 1.0, 1.0]), ("fc.weight", &[1.0; 8])];
    let found = compacted(&graph(4), &[&fill[..], &[("own.weight", &[1.0; 72])]].concat());
    assert_eq!(
        words(&found.graph)[..2],
        ["a: conv2d, 3 filters of 1x1", "own: conv2d, 6 filters of 3x3, 3 groups"],
        "the norm is folded"
    );
    assert!(found.graph.parameter("own.bias").is_some() && found.graph.nodes().len() == 4);
    let found = compacted(&graph(2), &[&fill[..], &[("own.weight", &[1.0; 144])]].concat());
    assert_eq!(words(&found.graph)[..2], ["a: conv2d, 4 filters of 1x1", "own: conv2d, 8 filters of 3x3, 2 groups"]);
    let weight = found.weights.get("own.weight");
    assert_eq!(weight.iter().filter(|weight| **weight == 0.0).count(), 4 * 9, "channel 1 is zero, of four filters");
}

#[test]
fn behind_a_concat_a_branch_may_go_altogether() {
    let mut net = Builder::new(&[1, 4, 4]).expect("a shape");
    let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
    add("a", Op::Conv2d(Conv2d::new(2, 3).padding(1)), &["input"]);
    add("b", Op::Conv2d(Conv2d::new(3, 3).padding(1)), &["input"]);
    add("both", Op::Concat, &["a", "b"]);
    add("relu", Op::Activation(Activation::Gelu), &["both"]);
    add("pool", Op::Pool(Pool::max(2)), &["relu"]);
    add("conv", Op::Conv2d(Conv2d::new(1, 1)), &["pool"]);
    let graph = net.finish();
    let ones = ("a.weight", &[1.0f32; 18][..]);
    let found = compacted(&graph, &[ones, ("b.weight", &[1.0; 27]), ("conv.weight", &[0.0, 1.0, 0.0, 0.0, 0.0])]);
    assert_eq!(
        words(&found.graph),
        [
            "a: conv2d, 1 filters of 3x3, padding 1",
            "relu: gelu",
            "pool: max-pool 2x2, stride 2",
            "conv: conv2d, 1 filters of 1x1"
        ]
    );
    // Nothing is read: one unit stays, without values.
    let found = compacted(&graph, &[ones, ("b.weight", &[1.0; 27]), ("conv.bias", &[2.0])]);
    assert_eq!(words(&found.graph)[0], "a: conv2d, 1 filters of 3x3, padding 1");
    assert_eq!((found.after.units, found.after.nonzero), (2, 0));
    assert_eq!(found.graph.forward(&found.weights, &[1.0; 16]), [2.0; 4]);
}

#[test]
fn a_constant_stays_where_it_meets_padding() {
    let graph = |window: Window| {
        let ops = [
            ("a", Op::Conv2d(Conv2d::new(2, 1))),
            ("b", Op::Conv2d(Conv2d { outputs: 1, window, groups: 1, bias: false })),
        ];
        Graph::sequential(&[1, 3, 3], ops).expect("fits")
    };
    let fill: [(&str, &[f32]); 3] = [("a.weight", &[0.0, 1.0]), ("a.bias", &[2.0, 0.0]), ("b.weight", &[1.0; 18])];
    let padded = Window { padding: [1, 1], ..Window::square(3) };
    let found = compacted(&graph(padded), &fill);
    assert_eq!((found.after.units, found.graph.parameter("b.bias")), (3, None));
    let found = compacted(&graph(Window::square(3)), &fill);
    assert_eq!((found.after.units, found.weights.get("b.bias")), (2, &[18.0f32][..]));
    // Of two of them one does the work of both: 4 (1 + 1 * 2 / 4) = 2 + 4.
    let ops = [
        ("a", Op::Conv2d(Conv2d::new(3, 1))),
        ("relu", Op::Activation(Activation::Relu)),
        ("b", Op::Conv2d(Conv2d::new(1, 3).padding(1))),
    ];
    let several = Graph::sequential(&[1, 3, 3], ops).expect("fits");
    let found =
        compacted(&several, &[("a.weight", &[0.0, 1.0, 0.0]), ("a.bias", &[2.0, 0.0, 4.0]), ("b.weight", &[1.0; 27])]);
    assert_eq!((found.after.units, found.weights.get("a.bias")), (3, &[0.0, 4.0][..]));
    assert_eq!(found.weights.get("b.weight"), [[1.0; 9], [1.5; 9]].concat());
    // Only elements that never meet the padding have weights.
    let centre = |index: usize| if index % 9 == 4 { 1.0 } else { 0.0 };
    let weight: Vec<f32> = (0..18).map(centre).collect();
    let found = compacted(&graph(padded), &[fill[0], fill[1], ("b.weight", &weight)]);
    assert_eq!((found.after.units, found.weights.get("b.bias")), (2, &[2.0f32][..]));
}
