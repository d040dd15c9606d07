//! Laws 1 to 3 on a real module: exact counts, zeros that stay zero under every optimizer, monotone masks.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use burn::module::{Module, ParamId};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData, activation::relu};
use secateur_pruner::*;

#[derive(Module, Debug)]
struct Net {
    conv: Conv2d,
    fc: Linear,
}

impl Net {
    /// A net with weights that are a function of the index alone: tests that run side by side share burn's generator.
    fn new(device: &Device) -> Self {
        let net = Self {
            conv: Conv2dConfig::new([1, 3], [3, 3]).init(device),
            fc: LinearConfig::new(3 * 4 * 4, 4).init(device),
        };
        let values = parameters(&net)
            .into_iter()
            .map(|own| Parameter {
                values: (0..own.values.len()).map(|i| ((i * 37 + 11) % 101) as f32 / 101.0 - 0.45).collect(),
                ..own
            })
            .collect::<Vec<_>>();
        set_parameters(net, &values).unwrap()
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.fc.forward(relu(self.conv.forward(images)).flatten(1, 3))
    }
}

fn step(net: Net, optimizer: &mut ModuleOptimizer, device: &Device, step: usize) -> Net {
    let pixels: Vec<f32> = (0..8 * 36).map(|i| ((i * 7 + step * 13) % 17) as f32 / 17.0 - 0.5).collect();
    let labels: Vec<i64> = (0..8).map(|i| ((i + step) % 4) as i64).collect();
    let images = Tensor::<4>::from_data(TensorData::new(pixels, [8, 1, 6, 6]), device);
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [8]), device);
    let loss = CrossEntropyLossConfig::new().init(device).forward(net.forward(images), labels);
    let gradients = GradientsParams::from_grads(loss.backward(), &net);
    optimizer.step(0.01, net, gradients)
}

fn rule(sparsity: f64) -> Rule {
    Rule::new(Criterion::L1, Scope::Global, Sparsity::new(sparsity).unwrap())
}

const WEIGHTS: [&str; 2] = ["conv.weight", "fc.weight"];

fn optimizers() -> Vec<(&'static str, ModuleOptimizer)> {
    let momentum = MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: false };
    let decay = Some(WeightDecayConfig { penalty: 0.01 });
    vec![
        ("sgd", SgdConfig::new().with_momentum(Some(momentum)).with_weight_decay(decay.clone()).init()),
        ("adam", AdamConfig::new().with_epsilon(1e-8).with_weight_decay(decay).init()),
        ("adamw", AdamWConfig::new().with_weight_decay(0.01).init()),
    ]
}

#[test]
fn zeros_stay_zero_for_a_thousand_steps_of_every_optimizer() {
    let device = Device::flex().autodiff();
    let half = Rule { granularity: Granularity::NOfM { n: 2, m: 4 }, ..rule(0.5) };
    let block = Rule { granularity: Granularity::Block { outputs: 2, inputs: 3 }, ..rule(0.6) };
    let filter = Rule { granularity: Granularity::Filter {}, scope: Scope::GlobalNormalised, ..rule(0.4) };
    let channel = Rule { granularity: Granularity::Channel {}, scope: Scope::Erk, ..rule(0.6) };
    for rule in [rule(0.6), half, block, filter, channel] {
        for (name, mut optimizer) in optimizers() {
            let name = format!("{name}, {}", rule.granularity);
            let mut net = attach_masks(Net::new(&device), &WEIGHTS).unwrap();
            for i in 0..20 {
                net = step(net, &mut optimizer, &device, i);
            }
            let (pruned, set) = prune(net, rule).unwrap();
            net = pruned;
            optimizer = forget_pruned(optimizer, &net).unwrap();
            if rule.granularity == (Granularity::Element {}) {
                assert_eq!(set.pruned(), (0.6f64 * (27.0 + 192.0)).round() as usize, "{name}");
            }
            assert!(set.pruned() > 40, "{name}: {set:?}");
            for i in 20..1020 {
                net = step(net, &mut optimizer, &device, i);
            }
            for (parameter, mask) in set.iter() {
                // Read the base through a clone without masks: it must not have moved either.
                let base = base_of(&net, parameter);
                for (index, value) in base.iter().enumerate() {
                    if !mask.keeps(index) {
                        assert_eq!(value.to_bits(), 0, "{name}: `{parameter}` at {index} is {value}");
                    }
                }
                assert!(
                    base.iter().filter(|value| **value != 0.0).count() > mask.kept() / 2,
                    "{name}: the rest trains"
                );
            }
            let state = OptimizerState::read(&optimizer).unwrap();
            assert!(!state.tensors.is_empty(), "{name}");
            for tensor in &state.tensors {
                let Some(mask) = set.get(&tensor.parameter) else { continue };
                let leak = (0..mask.total()).find(|i| !mask.keeps(*i) && tensor.values[*i] != 0.0);
                assert_eq!(leak, None, "{name}: {} of `{}` leaks", tensor.field, tensor.parameter);
            }
        }
    }
}

fn base_of(net: &Net, parameter: &str) -> Vec<f32> {
    let data = match parameter {
        "conv.weight" => net.conv.weight.base().into_data(),
        "fc.weight" => net.fc.weight.base().into_data(),
        other => panic!("no parameter {other}"),
    };
    data.iter::<f32>().collect()
}

#[test]
fn layers_compute_with_the_masked_weight_even_over_infinities() {
    let device = Device::flex();
    let net = attach_masks(Net::new(&device), &WEIGHTS).unwrap();
    let mut values = parameters(&net);
    values[2].values[0] = f32::INFINITY;
    values[2].values[1] = f32::NAN;
    let keep = Mask::from_fn(&[48, 4], |index| index > 1);
    let set = MaskSet::new(vec![("conv.weight".into(), Mask::full(&[3, 1, 3, 3])), ("fc.weight".into(), keep)]);
    let net = set_masks(net, &set).unwrap();
    // Stored after the masks: the base is poisoned, the effective value is not.
    let net = set_parameters(net, &values).unwrap();
    let effective: Vec<f32> = net.fc.weight.val().into_data().iter::<f32>().collect();
    assert_eq!([effective[0].to_bits(), effective[1].to_bits()], [0, 0]);
    assert_eq!(parameters(&net)[2].values[..2], [0.0, 0.0]);
    assert_eq!(masks(&net), set);
    let logits: Vec<f32> = net.forward(Tensor::ones([1, 1, 6, 6], &device)).into_data().iter::<f32>().collect();
    assert!(logits.iter().all(|logit| logit.is_finite()));
    let folded = net.materialize();
    assert_eq!(masks(&folded), MaskSet::default());
    assert_eq!(parameters(&folded)[2].values[..2], [0.0, 0.0]);
}

#[test]
fn repeated_prunes_are_monotone_and_masks_are_attached_once() {
    let device = Device::flex();
    let mut net = attach_masks(Net::new(&device), &WEIGHTS).unwrap();
    assert!(matches!(attach_masks(net.clone(), &WEIGHTS), Err(Error::AlreadyMasked { .. })));
    assert!(matches!(attach_masks(Net::new(&device), &["fc9.weight"]), Err(Error::NoMatch { .. })));
    let mut old = masks(&net);
    assert_eq!((old.kept(), old.total()), (219, 219));
    for target in [0.2, 0.2, 0.5, 0.9, 0.99] {
        let (pruned, new) = prune(net, rule(target)).unwrap();
        assert!(new.is_within(&old));
        assert_eq!(masks(&pruned), new);
        assert_eq!(new.pruned(), Sparsity::new(target).unwrap().count(219));
        (net, old) = (pruned, new);
    }
    assert!(matches!(prune(net, rule(0.5)), Err(Error::Grows { .. })));
}

#[test]
fn masks_and_optimizer_state_round_trip_into_another_module() {
    let device = Device::flex().autodiff();
    let (_, mut optimizer) = optimizers().remove(1);
    let mut net = attach_masks(Net::new(&device), &WEIGHTS).unwrap();
    net = step(net, &mut optimizer, &device, 0);
    (net, _) = prune(net, rule(0.7)).unwrap();
    optimizer = forget_pruned(optimizer, &net).unwrap();
    net = step(net, &mut optimizer, &device, 1);
    let (values, set, state) = (parameters(&net), masks(&net), OptimizerState::read(&optimizer).unwrap());
    assert_eq!(state.counters[&("fc.weight".into(), "momentum.time".into())], 2);

    // Another module: other ids, same names.
    let mut copy = attach_masks(Net::new(&device), &WEIGHTS).unwrap();
    assert_ne!(copy.fc.weight.id, ParamId::from(net.fc.weight.id.val()));
    copy = set_masks(set_parameters(copy, &values).unwrap(), &set).unwrap();
    let mut resumed = state.clone().write(optimizers().remove(1).1, &copy).unwrap();
    assert_eq!(OptimizerState::read(&resumed).unwrap(), state);
    for i in 2..10 {
        net = step(net, &mut optimizer, &device, i);
        copy = step(copy, &mut resumed, &device, i);
    }
    assert_eq!(parameters(&net), parameters(&copy));
}

#[test]
fn foreign_state_is_refused_by_name() {
    let device = Device::flex();
    let net = || attach_masks(Net::new(&device), &WEIGHTS).unwrap();
    let wrong =
        MaskSet::new(vec![("conv.weight".into(), Mask::full(&[27])), ("fc.weight".into(), Mask::full(&[48, 4]))]);
    let error = set_masks(net(), &wrong).unwrap_err().to_string();
    assert_eq!(error, "mask for `conv.weight` has shape [27], the weight has [3, 1, 3, 3]");
    let alien = MaskSet::new(vec![("fc9.weight".into(), Mask::full(&[1]))]);
    assert!(set_masks(net(), &alien).unwrap_err().to_string().contains("`fc9.weight`"));
    assert!(matches!(set_masks(net(), &MaskSet::default()), Err(Error::MissingMask { .. })));
    let mut values = parameters(&net());
    values[0].shape = vec![27];
    assert!(set_parameters(net(), &values).unwrap_err().to_string().contains("`conv.weight`: found shape [27]"));
    values.remove(0);
    assert!(set_parameters(net(), &values).is_err());
    let state = OptimizerState {
        tensors: vec![StateTensor {
            parameter: "fc.bias".into(),
            field: "m".into(),
            shape: vec![3],
            values: vec![0.0; 3],
        }],
        ..Default::default()
    };
    assert!(state.write(AdamConfig::new().init(), &net()).is_err());
}

#[test]
fn a_weight_that_is_no_number_is_an_error_that_names_its_layer() {
    let device = Device::flex();
    for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut values = parameters(&Net::new(&device));
        values[2].values[100] = poison;
        let net = attach_masks(set_parameters(Net::new(&device), &values).unwrap(), &WEIGHTS).unwrap();
        for criterion in [Criterion::L1, Criterion::L2, Criterion::Random, Criterion::Lamp] {
            for granularity in [Granularity::Element {}, Granularity::Filter {}, Granularity::NOfM { n: 2, m: 4 }] {
                for scope in [Scope::Layerwise, Scope::Global, Scope::GlobalNormalised, Scope::Erk] {
                    let rule = Rule { criterion, granularity, scope, ..rule(0.5) };
                    let error = prune(net.clone(), rule).unwrap_err().to_string();
                    assert!(error.contains("`fc.weight`"), "{criterion} {granularity} {scope} {poison}: {error}");
                }
            }
        }
    }
}

#[test]
fn macs_of_a_convolution_are_not_guessed() {
    let net = attach_masks(Net::new(&Device::flex()), &WEIGHTS).unwrap();
    for rule in [Rule { scope: Scope::MacAware, ..rule(0.5) }, Rule { amount: Amount::Macs(50), ..rule(0.0) }] {
        let error = prune(net.clone(), rule).unwrap_err().to_string();
        assert!(error.contains("`conv.weight`") && error.contains("choose_on"), "{error}");
    }
}

/// Scores by every criterion that looks at more than weights, each with its name.
fn saliencies(net: &Net, device: &Device) -> Vec<(&'static str, Saliency)> {
    let images = || {
        let pixels: Vec<f32> = (0..8 * 36).map(|i| (i * 7 % 17) as f32 / 17.0 - 0.5).collect();
        Tensor::<4>::from_data(TensorData::new(pixels, [8, 1, 6, 6]), device)
    };
    let loss = |net: &Net| net.forward(images()).powf_scalar(2.0).mean();
    let (weights, gradients) = (parameters(net), Gradients::of(net, loss).unwrap());
    let masked: Vec<Parameter> = weights.iter().filter(|own| WEIGHTS.contains(&own.name.as_str())).cloned().collect();
    let mut movement = Movement::new(&WEIGHTS);
    movement.add(&masked, &gradients).unwrap();
    let mut seen = Activations::new();
    seen.channels("conv.weight", &images()).unwrap();
    seen.features("fc.weight", &relu(net.conv.forward(images())).flatten::<2>(1, 3)).unwrap();
    vec![
        ("snip", Saliency::gradient(&weights, &gradients).unwrap()),
        ("taylor", Saliency::taylor(&weights, &gradients).unwrap()),
        ("grasp", grasp(net, loss).unwrap()),
        ("synflow", synflow(net, |net: &Net| net.forward(Tensor::ones([1, 1, 6, 6], device))).unwrap()),
        ("movement", movement.saliency().unwrap().clone()),
        ("wanda", seen.wanda(&masked).unwrap()),
        ("own", Saliency::of(&masked, |own| own.values.iter().map(|value| (9.0 * value).sin()).collect()).unwrap()),
    ]
}

#[test]
fn every_criterion_keeps_the_invariants_in_every_structure_and_scope() {
    let device = Device::flex().autodiff();
    let net = attach_masks(Net::new(&device), &WEIGHTS).unwrap();
    let element = Granularity::Element {};
    let structures = [
        element,
        Granularity::NOfM { n: 2, m: 4 },
        Granularity::Block { outputs: 2, inputs: 3 },
        Granularity::Filter {},
        Granularity::Channel {},
    ];
    let terms = |_: &str, shape: &[usize]| {
        let positions = if shape.len() > 2 { 16 } else { 1 };
        Some(Terms { positions, ..Terms::new(Layout::of_burn(shape)) })
    };
    let mut compared = 0;
    for (name, saliency) in saliencies(&net, &device) {
        for granularity in structures {
            for scope in
                [Scope::Layerwise, Scope::Output, Scope::Global, Scope::GlobalNormalised, Scope::Erk, Scope::MacAware]
            {
                let pattern = matches!(granularity, Granularity::NOfM { .. });
                if scope == Scope::Output && granularity != element && !pattern {
                    continue;
                }
                // Scores with a sign have an order only; sums and factors want sizes.
                let single = granularity == element && !matches!(scope, Scope::GlobalNormalised | Scope::MacAware);
                let scores = if single || pattern { saliency.clone() } else { saliency.clone().magnitudes() };
                let choose = |old: &MaskSet, share: f64| {
                    let amount = Amount::Share(Sparsity::new(share).unwrap());
                    let request = Request { granularity, ..Request::new(scope, amount) };
                    let kept = scores.kept(old).unwrap();
                    choose_by(|place, _, _| Ok(kept[place].clone()), old, &request, terms).unwrap()
                };
                let place = format!("{name} {granularity} {scope}");
                let mut old = masks(&net);
                for share in [0.25, 0.5] {
                    let new = choose(&old, share);
                    assert!(new.is_within(&old), "{place}: masks grew");
                    assert_eq!(choose(&new, share), new, "{place}: once is enough");
                    let off = new.pruned().abs_diff(Sparsity::new(share).unwrap().count(219));
                    let most = match granularity {
                        Granularity::Element {} if matches!(scope, Scope::Layerwise | Scope::Output) => 1,
                        Granularity::Element {} => 0,
                        // A group a layer that is not filled.
                        Granularity::NOfM { .. } => 16,
                        _ => 9 + 48,
                    };
                    assert!(off <= most, "{place} {share}: {} of 219", new.pruned());
                    old = new;
                }
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 7 * (2 * 6 + 3 * 5));
}
