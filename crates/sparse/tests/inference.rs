//! Every form of every layer, on every instruction set and in every precision, against plain loops.

#[expect(dead_code, reason = "the tests of the file need more of it")]
mod networks;

use networks::Random;
use secateur_sparse::file::{Precision, quantized};
use secateur_sparse::infer::{AnyEngine, Engine, Error, Form, Forms, LanesHold, Options, Plan};
use secateur_sparse::{Affine, Conv2d, InstructionSet, Layer, Linear, Network, Trained};

impl Random {
    /// Numbers from -1 to 1, of which a share is kept.
    fn values(&mut self, count: usize, density: f32) -> Vec<f32> {
        let mut next = || self.share() as f32;
        (0..count).map(|_| if next() < density { next() * 2.0 - 1.0 } else { 0.0 }).collect()
    }

    fn conv(&mut self, [inputs, outputs, kernel]: [usize; 3], [stride, padding]: [usize; 2], density: f32) -> Layer {
        let weight = self.values(outputs * inputs * kernel * kernel, density);
        let (name, bias) = (format!("conv{outputs}"), self.values(outputs, 0.9));
        Layer::Conv2d(Conv2d { name, inputs, outputs, kernel, stride, padding, weight, bias })
    }

    fn linear(&mut self, [inputs, outputs]: [usize; 2], density: f32) -> Layer {
        let weight = self.values(outputs * inputs, density);
        Layer::Linear(Linear { name: format!("fc{outputs}"), inputs, outputs, weight, bias: self.values(outputs, 0.9) })
    }
}

fn pool(size: usize) -> Layer {
    Layer::MaxPool2d { size }
}

/// Networks with odd sizes and every kind of layer.
fn shapes(density: f32) -> Vec<Network> {
    let random = &mut Random(7 + (density * 100.0) as u64);
    let affine = Affine { name: "bn".into(), scale: random.values(5, 1.0), shift: random.values(5, 1.0) };
    let shapes = vec![
        (
            [1, 28, 28],
            vec![
                random.conv([1, 7, 3], [1, 0], density),
                Layer::Relu,
                pool(2),
                random.conv([7, 13, 3], [1, 0], density),
                pool(2),
                Layer::Relu,
                Layer::Flatten,
                random.linear([13 * 25, 37], density),
                Layer::Relu,
                random.linear([37, 10], density),
            ],
        ),
        // Nothing but matrices, one of a single input, one of a single neuron.
        (
            [67, 1, 1],
            vec![
                random.linear([67, 1], density),
                random.linear([1, 19], density),
                Layer::Relu,
                random.linear([19, 3], density),
            ],
        ),
        // Stride, padding, batch normalisation, every pool, a crop in two places, wide rows.
        (
            [2, 13, 45],
            vec![
                Layer::Crop { height: 12, width: 43 },
                random.conv([2, 5, 4], [1, 0], density),
                Layer::Affine(affine),
                Layer::Relu,
                random.conv([5, 6, 3], [2, 1], density),
                Layer::Crop { height: 4, width: 19 },
                random.conv([6, 4, 1], [1, 0], density),
                Layer::AvgPool2d { size: 2 },
                random.conv([4, 3, 2], [1, 1], density),
                Layer::Relu,
                pool(3),
                Layer::Flatten,
                random.linear([9, 5], density),
            ],
        ),
        // A convolution right before the end, pooled without relu; a network that only pools.
        ([3, 9, 10], vec![random.conv([3, 6, 2], [1, 0], density), pool(2)]),
        ([1, 6, 7], vec![pool(2), Layer::Flatten]),
    ];
    shapes.into_iter().map(|(input, layers)| Network::new(input, layers).expect("fits")).collect()
}

/// The network with its weights as an engine holds them: those of a file, but with the biases as they are.
fn rounded(network: &Network, precision: Precision) -> Network {
    let stored = quantized(network, precision).expect("small weights");
    let mut stored = stored.parameters();
    let fill = |layer: secateur_sparse::ParametersMut<'_>| {
        *layer.weight = stored.next().expect("the same layers").weight.to_vec();
        Ok::<(), secateur_sparse::Error>(())
    };
    network.filled(fill).expect("only values changed")
}

const LANES: [LanesHold; 2] = [LanesHold::Images, LanesHold::Places];

const FORMS: [Form; 9] = [
    Form::Sparse,
    Form::Grouped,
    Form::Patterned { n: 1, m: 4 },
    Form::Patterned { n: 2, m: 4 },
    Form::Patterned { n: 4, m: 8 },
    Form::Panels,
    Form::Windowed,
    Form::Columns,
    Form::Simple,
];

/// Plans that between them use every form that a step has, for one use of the lanes.
fn plans(network: &Network, options: &Options, lanes: LanesHold) -> Vec<Plan> {
    let mut plan = Plan::by_density(network, options, lanes).expect("small weights");
    plan.blocks = 2;
    let compiles = |plan: &Plan| Engine::with_plan(network, options, plan.clone()).is_ok();
    let mut choices: Vec<Vec<Form>> = vec![];
    for place in 0..plan.steps.len() {
        let mut own = vec![];
        for form in FORMS {
            // Only this step is asked about: the others keep what the error names, so an error that names this one says no.
            let mut trial = plan.clone();
            trial.steps[place].form = form;
            let name = trial.steps[place].name.clone();
            trial.steps.iter_mut().skip(place + 1).for_each(|step| step.form = Form::Simple);
            for (before, choices) in trial.steps.iter_mut().zip(&choices) {
                before.form = choices[0];
            }
            match Engine::with_plan(network, options, trial.clone()) {
                Err(Error::Form { name: refused, .. }) if refused == name => {}
                _ => own.push(form),
            }
        }
        assert!(!own.is_empty(), "every step has a form");
        choices.push(own);
    }
    let most = choices.iter().map(Vec::len).max().unwrap_or(1);
    let plans = (0..most).map(|turn| {
        let mut own = plan.clone();
        for (step, choices) in own.steps.iter_mut().zip(&choices) {
            step.form = choices[turn % choices.len()];
        }
        own
    });
    plans.filter(compiles).collect()
}

fn worst(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    let scale = wanted.iter().fold(1.0f32, |most, value| most.max(value.abs()));
    found.iter().zip(wanted).map(|(a, b)| (a - b).abs() / scale).fold(0.0, f32::max)
}

#[test]
fn every_form_answers_as_plain_loops_do() {
    let mut seen = std::collections::BTreeSet::new();
    for density in [0.0, 0.04, 0.3, 1.0] {
        for network in shapes(density) {
            let images = Random(3).values(37 * network.input().iter().product::<usize>(), 0.6);
            for precision in [Precision::F32, Precision::F16, Precision::Int8] {
                let twin = rounded(&network, precision);
                let pixels = network.input().iter().product();
                let wanted: Vec<f32> = images.chunks_exact(pixels).flat_map(|image| twin.forward(image)).collect();
                for instruction_set in InstructionSet::available() {
                    let options = Options { threads: 2, instruction_set, precision, ..Options::new(3) };
                    for lanes in LANES {
                        for plan in plans(&network, &options, lanes) {
                            seen.extend(plan.steps.iter().map(|own| format!("{lanes:?} {}", own.form)));
                            let mut engine = Engine::with_plan(&network, &options, plan.clone()).expect("compiles");
                            // 37 images: a full group, and one with an unfilled block.
                            let found = engine.logits(&images);
                            let off = worst(&found, &wanted);
                            assert!(off < 2e-5, "{off}: {precision:?} {} {plan:#?}", instruction_set.name());
                        }
                    }
                }
            }
        }
    }
    // Sparse, grouped, 1:4, 2:4, 4:8, simple; sparse, panels, windowed, columns, simple.
    assert_eq!(seen.len(), 11, "{seen:?}");
}

#[test]
fn networks_of_every_shape_answer_as_plain_loops_do() {
    for seed in 0..300 {
        let network = networks::network(&mut Random(seed));
        let images = Random(seed + 1).values(18 * network.input().iter().product::<usize>(), 0.6);
        let pixels = network.input().iter().product();
        let wanted: Vec<f32> = images.chunks_exact(pixels).flat_map(|image| network.forward(image)).collect();
        for instruction_set in InstructionSet::available() {
            let options = Options { threads: 1, instruction_set, ..Options::new(18) };
            for plan in LANES.map(|lanes| Plan::by_density(&network, &options, lanes).expect("f32 holds everything")) {
                let found = Engine::with_plan(&network, &options, plan).expect("its own plan").logits(&images);
                assert!(worst(&found, &wanted) < 2e-5, "seed {seed}, {}: {network:?}", instruction_set.name());
            }
        }
    }
}

#[test]
fn one_thread_or_many_and_any_number_of_images_are_the_same_to_the_bit() {
    let network = &shapes(0.3)[0];
    let images = Random(5).values(100 * 784, 0.5);
    for instruction_set in InstructionSet::available() {
        for lanes in LANES {
            let options = Options { threads: 1, instruction_set, ..Options::new(128) };
            let plan = Plan::by_density(network, &options, lanes).expect("f32 holds everything");
            let mut one = Engine::with_plan(network, &options, plan.clone()).expect("its own plan");
            let wanted = one.logits(&images);
            let many = Options { threads: 3, ..options };
            let mut many = Engine::with_plan(network, &many, plan).expect("its own plan");
            assert_eq!(many.logits(&images), wanted);
            for count in [0, 1, 15, 16, 17, 99] {
                assert_eq!(many.logits(&images[..count * 784]), wanted[..count * 10], "{count} images");
            }
        }
    }
}

#[test]
fn dense_forms_hold_the_zeros_and_answer_the_same() {
    let network = &shapes(0.04)[0];
    let images = Random(5).values(20 * 784, 0.5);
    let weights: usize = network.parameters().map(|own| own.weight.len()).sum();
    for instruction_set in InstructionSet::available() {
        for lanes in LANES {
            let engine = |forms| {
                let options = Options { forms, instruction_set, ..Options::new(16) };
                let plan = Plan::by_density(network, &options, lanes).expect("f32 holds everything");
                Engine::with_plan(network, &options, plan).expect("its own plan")
            };
            let (mut any, mut dense) = (engine(Forms::Any), engine(Forms::Dense));
            assert!(worst(&any.logits(&images), &dense.logits(&images)) < 2e-5);
            assert!(dense.weight_bytes() >= 4 * weights && any.weight_bytes() < weights, "4 % of the weights are left");
        }
    }
}

#[test]
fn plans_of_other_networks_are_refused_by_name() {
    let networks = shapes(0.3);
    let options = Options::new(16);
    let plan = Plan::by_density(&networks[0], &options, LanesHold::Images).expect("f32 holds everything");
    let error = Engine::with_plan(&networks[1], &options, plan.clone()).expect_err("another network's");
    assert!(error.to_string().contains("conv7, conv13, fc37, fc10"), "{error}");
    let mut wrong = plan.clone();
    wrong.steps[0].form = Form::Windowed;
    let error = Engine::with_plan(&networks[0], &options, wrong).expect_err("no such form");
    assert_eq!(error.to_string(), "step `conv7` has no form `windowed` when the lanes hold images");
    let none = Plan { blocks: 0, ..plan };
    assert_eq!(Engine::with_plan(&networks[0], &options, none).expect_err("no blocks"), Error::NoBlocks);
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
fn a_chain_that_the_clock_finds_faster_as_a_graph_is_computed_as_one() {
    for network in shapes(0.4) {
        let images = Random(3).values(5 * network.input().iter().product::<usize>(), 1.0);
        let trained = Trained::Chain(network.clone());
        for instruction_set in InstructionSet::available() {
            let options = Options { threads: 1, instruction_set, ..Options::new(5) };
            // Readings that rise: the chain is timed before the graph. Then such as fall.
            let answers = [1.0, -1.0].map(|step| {
                let mut engine = AnyEngine::with_clock(&trained, &options, &mut clock(step)).expect("small");
                assert_eq!(engine.plan().is_some(), step > 0.0);
                engine.logits(&images)
            });
            for (chain, graph) in answers[0].iter().zip(&answers[1]) {
                assert!(
                    (chain - graph).abs() <= 1e-4 * chain.abs().max(1.0),
                    "{}: {network:?}",
                    instruction_set.name()
                );
            }
            // In another precision only the chain holds its weights.
            let options = Options { precision: Precision::F16, ..options };
            let engine = AnyEngine::with_clock(&trained, &options, &mut clock(-1.0)).expect("small");
            assert!(engine.plan().is_some());
        }
    }
}

#[test]
fn a_single_image_is_shared_by_threads_where_the_clock_finds_that_faster() {
    let random = &mut Random(5);
    let layers = vec![random.conv([3, 24, 3], [1, 1], 1.0), Layer::Relu, random.conv([24, 24, 3], [1, 1], 1.0)];
    let network = Network::new([3, 24, 24], [layers, vec![Layer::Flatten]].concat()).expect("fits");
    let (graph, weights) = network.to_graph().expect("small");
    let (trained, image) = (Trained::Graph(graph, weights), Random(3).values(3 * 24 * 24, 1.0));
    for instruction_set in InstructionSet::available() {
        let options = Options { threads: 2, instruction_set, ..Options::new(1) };
        // One thread alone is timed first.
        let answers = [1.0, -1.0].map(|step| {
            let mut engine = AnyEngine::with_clock(&trained, &options, &mut clock(step)).expect("small");
            let AnyEngine::Graph(own) = &engine else { panic!("it is a graph") };
            assert_eq!(own.shares_images(), step < 0.0);
            engine.logits(&image)
        });
        assert_eq!(answers[0], answers[1], "{}", instruction_set.name());
    }
}

#[test]
fn bytes_suit_graphs_and_chains_of_padded_convolutions() {
    let random = &mut Random(1);
    let mut chain = |padding: usize| {
        let layers = vec![random.conv([1, 8, 3], [1, padding], 1.0), Layer::Flatten];
        let network = Network::new([1, 9, 9], layers).expect("fits");
        let [_, height, width] = network.shape(1);
        network.then(random.linear([8 * height * width, 1], 1.0)).expect("fits")
    };
    let [plain, padded] = [chain(0), chain(1)];
    let (graph, weights) = padded.to_graph().expect("small");
    assert!(Trained::Graph(graph, weights).suits_bytes() && Trained::Chain(padded).suits_bytes());
    assert!(!Trained::Chain(plain).suits_bytes());
}
