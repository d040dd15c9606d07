//! Whole prunings of small networks: exact counts, answers that stay, budgets that are met.

use secateur_graph::{Activation, BatchNorm, Conv2d, Graph, Linear, Op, Pool, Role, Weights};
use secateur_oneshot::{Budget, Calls, Error, Images, Job, Options, Pruned};
use secateur_pruner::{Scope, Selection, Sparsity};
use secateur_sparse::file::{Info, Precision, Scale};
use secateur_sparse::{Ranges, Trained};

/// Numbers without a pattern, from -1 to 1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn some(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// A small network with everything that a pruning meets: bias, batch normalisation, groups, depthwise, pooling.
fn network() -> (Graph, Weights) {
    let graph = Graph::sequential(
        &[3, 8, 8],
        [
            ("conv1", Op::Conv2d(Conv2d::new(8, 3).padding(1).without_bias())),
            ("norm1", Op::BatchNorm(BatchNorm::default())),
            ("relu1", Op::Activation(Activation::Relu)),
            ("depthwise", Op::Conv2d(Conv2d::new(8, 3).padding(1).groups(8))),
            ("relu2", Op::Activation(Activation::Relu)),
            ("conv2", Op::Conv2d(Conv2d::new(12, 3).stride(2).groups(2))),
            ("relu3", Op::Activation(Activation::Relu)),
            ("pool", Op::Pool(Pool::max(3))),
            ("flatten", Op::Flatten),
            ("fc1", Op::Linear(Linear::new(20))),
            ("relu4", Op::Activation(Activation::Relu)),
            ("fc2", Op::Linear(Linear::new(5))),
        ],
    )
    .expect("a network");
    let mut numbers = Numbers(7);
    let values = |own: &secateur_graph::Parameter| {
        let values = match own.role {
            Role::Variance | Role::Scale => numbers.some(own.len()).iter().map(|value| 1.0 + 0.5 * value).collect(),
            _ => numbers.some(own.len()),
        };
        (own.name.clone(), values)
    };
    let weights = graph.parameters().iter().map(values).collect();
    (graph, weights)
}

/// Images whose pixels hang together: each row goes on from the one before.
fn images(count: usize, pixels: usize) -> Vec<f32> {
    let mut numbers = Numbers(3);
    let mut last = 0.0;
    let mut next = || {
        last = 0.8 * last + 0.4 * numbers.next();
        last
    };
    (0..count * pixels).map(|_| next()).collect()
}

/// Images of 192 numbers, to learn from and to judge by.
fn halves(pixels: &[f32]) -> [Images<'_>; 2] {
    Images { pixels, labels: &[] }.divided(192)
}

fn sparsity(fraction: f64) -> Budget {
    Budget::Sparsity(Sparsity::new(fraction).expect("a fraction"))
}

fn pruned(options: &Options, pixels: &[f32], budget: Budget) -> Result<Pruned, Error> {
    let (graph, weights) = network();
    Job::new(&graph, &weights, halves(pixels), options)?.prune(budget, &mut |_| {})
}

#[test]
fn exactly_so_many_weights_go_however_they_are_chosen() {
    let images = images(40, 3 * 64);
    for scope in [None, Some(Scope::Layerwise), Some(Scope::Global), Some(Scope::Erk)] {
        for reconstruct in [false, true] {
            for pixels in [&[][..], &images] {
                for fraction in [0.0, 0.3, 0.5, 0.81, 0.95] {
                    let options = Options { scope, reconstruct, threads: 1, ..Options::default() };
                    let found = pruned(&options, pixels, sparsity(fraction)).expect("pruned");
                    let all: usize = found.layers.iter().map(|own| own.weights).sum();
                    let kept: usize = found.layers.iter().map(|own| own.kept).sum();
                    let expected = all - (fraction * all as f64).round() as usize;
                    let case = format!("{scope:?}, {reconstruct}, {} images, {fraction}", pixels.len() / 192);
                    match scope {
                        // Each layer rounds for itself.
                        Some(Scope::Layerwise) => assert!(kept.abs_diff(expected) <= found.layers.len(), "{case}"),
                        _ => assert_eq!(kept, expected, "{case}"),
                    }
                    assert_eq!(found.score.is_some(), !pixels.is_empty(), "{case}");
                    assert!(found.layers.iter().all(|own| own.kept > 0), "{case}: no layer is emptied");
                }
            }
        }
    }
}

#[test]
fn what_is_left_makes_up_for_what_goes() {
    let pixels = images(400, 3 * 64);
    let (graph, dense) = network();
    let loss = |reconstruct: bool, fraction: f64| {
        let options = Options { scope: Some(Scope::Layerwise), reconstruct, threads: 1, ..Options::default() };
        let found = pruned(&options, &pixels, sparsity(fraction)).expect("pruned");
        let answers = |weights: &Weights| -> Vec<f32> {
            pixels[200 * 192..].chunks_exact(192).flat_map(|image| graph.forward(weights, image)).collect()
        };
        let (before, after) = (answers(&dense), answers(&found.weights));
        before.iter().zip(&after).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
    };
    for fraction in [0.3, 0.5, 0.7] {
        let [by_size, made_up] = [false, true].map(|reconstruct| loss(reconstruct, fraction));
        assert!(made_up < 0.5 * by_size, "{fraction}: {made_up} of {by_size}");
    }
}

/// Inputs that are the same as others need no weights.
#[test]
fn inputs_that_say_the_same_are_not_needed() {
    let graph = Graph::sequential(&[8], [("fc", Op::Linear(Linear::new(3)))]).expect("a layer");
    let mut numbers = Numbers(1);
    let weights: Weights = [("fc.weight", 24), ("fc.bias", 3)]
        .map(|(name, count)| (name.to_owned(), numbers.some(count)))
        .into_iter()
        .collect();
    let half: Vec<f32> = numbers.some(400 * 4);
    let pixels: Vec<f32> = half.chunks_exact(4).flat_map(|own| [own, own].concat()).collect();
    let options = Options { threads: 1, ..Options::default() };
    let images = Images { pixels: &pixels, labels: &[] }.divided(8);
    let job = Job::new(&graph, &weights, images, &options).expect("a network");
    let found = job.prune(sparsity(0.5), &mut |_| {}).expect("pruned");
    for image in pixels.chunks_exact(8) {
        let (before, after) = (graph.forward(&weights, image), graph.forward(&found.weights, image));
        assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 0.05), "{before:?} {after:?}");
    }
    let [_, after] = found.score.expect("there are images");
    assert_eq!((after.images, after.accuracy), (200, None));
    assert!(after.agreement > 0.95, "{after:?}");
}

/// What is pruned already stays so, and counts.
#[test]
fn zeros_stay_zero() {
    let (graph, mut weights) = network();
    for name in ["conv1.weight", "fc1.weight"] {
        weights.get_mut(name).expect("there").iter_mut().step_by(3).for_each(|weight| *weight = 0.0);
    }
    let pixels = images(40, 3 * 64);
    let options = Options { threads: 1, ..Options::default() };
    let job = Job::new(&graph, &weights, halves(&pixels), &options).expect("a network");
    for fraction in [0.4, 0.8] {
        let found = job.prune(sparsity(fraction), &mut |_| {}).expect("pruned");
        for name in ["conv1.weight", "fc1.weight"] {
            assert!(found.weights.get(name).iter().step_by(3).all(|weight| *weight == 0.0), "{name} at {fraction}");
        }
    }
}

#[test]
fn only_selected_weights_go() {
    let selection = Selection { include: vec!["*.weight".into()], exclude: vec!["conv1.*".into(), "fc2.*".into()] };
    let options = Options { selection, threads: 1, ..Options::default() };
    let (_, dense) = network();
    let found = pruned(&options, &images(40, 3 * 64), sparsity(0.9)).expect("pruned");
    assert_eq!(
        found.layers.iter().map(|own| own.name.as_str()).collect::<Vec<_>>(),
        ["depthwise.weight", "conv2.weight", "fc1.weight"]
    );
    for name in ["conv1.weight", "norm1.running_mean", "fc2.weight", "fc2.bias"] {
        assert_eq!(found.weights.get(name), dense.get(name), "{name}");
    }
    let nothing =
        Options { selection: Selection { include: vec!["nothing.*".into()], exclude: vec![] }, ..Options::default() };
    let said = pruned(&nothing, &[], sparsity(0.5)).expect_err("no such weight").to_string();
    assert!(said.contains("`nothing.*` matches no parameter; there are `conv1.weight`"), "{said}");
}

#[test]
fn a_loss_of_accuracy_is_kept_to() {
    let pixels = images(600, 3 * 64);
    let options = Options { threads: 1, ..Options::default() };
    let mut last = usize::MAX;
    for points in [0.0, 3.0, 20.0] {
        let found = pruned(&options, &pixels, Budget::Within(points)).expect("pruned");
        let [_, after] = found.score.expect("there are images");
        assert!(100.0 * (1.0 - after.agreement) <= points, "{points}: {after:?}");
        let kept = found.layers.iter().map(|own| own.kept).sum::<usize>();
        assert!(kept <= last, "{points}: a larger loss leaves no more weights");
        last = kept;
    }
    let total: usize = pruned(&options, &[], sparsity(0.0)).expect("dense").layers.iter().map(|own| own.weights).sum();
    assert!(last < total / 2, "{last} of {total}");
    let said = pruned(&options, &[], Budget::Within(1.0)).expect_err("no images").to_string();
    assert_eq!(said, "a budget of 1 points below the dense network needs images to compare answers on, found none");
}

#[test]
fn a_size_of_the_file_is_kept_to() {
    let info = Info {
        name: String::new(),
        scales: vec![Scale { divisor: 1.0, shift: 0.0 }],
        classes: vec![],
        ranges: Ranges::default(),
    };
    let (graph, dense) = network();
    for precision in [Precision::F32, Precision::Int8] {
        let size = |weights: &Weights| {
            Trained { graph: graph.clone(), weights: weights.clone() }.encode(&info, precision).expect("a file").len()
        };
        let whole = size(&dense);
        for (pixels, scope) in [(vec![], None), (images(40, 192), None), (images(40, 192), Some(Scope::Global))] {
            let options = Options { scope, threads: 1, ..Options::default() };
            let found = pruned(&options, &pixels, Budget::Bytes(whole * 6 / 10, precision)).expect("pruned");
            let own = size(&found.weights);
            assert!((whole / 2..=whole * 6 / 10).contains(&own), "{precision:?}, {scope:?}: {own} of {whole}");
        }
        let said = pruned(&Options::default(), &[], Budget::Bytes(20, precision)).expect_err("too few").to_string();
        assert!(said.starts_with("a file of 20 bytes: the smallest network that pruning finds has "), "{said}");
    }
}

/// A clock that says what the engine costs by the bytes that it touches would be another engine; this one says that every call takes
/// as long, so that no network is fast enough, or each is.
#[test]
fn a_latency_that_nothing_meets_is_an_error() {
    let (graph, weights) = network();
    let options = Options { threads: 1, ..Options::default() };
    let job = Job::new(&graph, &weights, halves(&[]), &options).expect("a network");
    let calls = Calls { batch: 1, threads: 1 };
    let mut clock = |call: &mut dyn FnMut()| {
        call();
        2e-3
    };
    let said = job
        .prune_with_clock(Budget::Milliseconds(1.0, calls), &mut |_| {}, &mut clock)
        .expect_err("too slow")
        .to_string();
    assert!(
        said.contains(
            "1 ms a call of 1 image(s) on 1 thread(s): the smallest network that pruning finds has 2.0000 ms"
        ),
        "{said}"
    );
    let found = job.prune_with_clock(Budget::Milliseconds(3.0, calls), &mut |_| {}, &mut clock).expect("fast enough");
    assert_eq!(found.weights, weights, "what is fast enough stays as it is");
}

#[test]
fn what_is_no_number_is_named() {
    let (graph, mut weights) = network();
    let options = Options::default();
    let job = |weights: &Weights, pixels: &[f32]| {
        Job::new(&graph, weights, halves(pixels), &options).map(|_| ()).expect_err("refused").to_string()
    };
    assert!(job(&weights, &[0.0; 191]).contains("found 191 numbers for images of 192"));
    let mut pixels = images(2, 192);
    pixels[8] = f32::NAN;
    assert!(job(&weights, &pixels).contains("value 8 of image 0 is not a finite number"));
    weights.get_mut("fc1.weight").expect("there")[3] = f32::INFINITY;
    assert!(job(&weights, &[]).contains("value 3 of `fc1.weight` is not a finite number"));
}

#[test]
fn a_single_number_has_no_largest_one_to_compare() {
    let ops = [
        ("fc1", Op::Linear(Linear::new(8))),
        ("relu", Op::Activation(Activation::Relu)),
        ("fc2", Op::Linear(Linear::new(1))),
        ("sigmoid", Op::Activation(Activation::Sigmoid)),
    ];
    let graph = Graph::sequential(&[6], ops).expect("a network");
    let mut numbers = Numbers(9);
    let weights: Weights = graph.parameters().iter().map(|own| (own.name.clone(), numbers.some(own.len()))).collect();
    let pixels = images(100, 6);
    let options = Options { threads: 1, ..Options::default() };
    let prune = |budget| {
        let halves = Images { pixels: &pixels, labels: &[] }.divided(6);
        Job::new(&graph, &weights, halves, &options).expect("a job").prune(budget, &mut |_| {})
    };
    let said = prune(Budget::Within(1.0)).expect_err("nothing to compare").to_string();
    assert!(said.contains("the network gives one number an image; expected another budget"), "{said}");
    let found = prune(sparsity(0.5)).expect("pruned");
    assert_eq!(found.score, None, "whether answers are the same is not told");
    assert_eq!(found.layers.iter().map(|own| own.kept).sum::<usize>(), 28, "half of 56");
}
