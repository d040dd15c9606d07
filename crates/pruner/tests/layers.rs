//! The axes of burn's layers, as the layers have them: what one filter or channel of each is.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig, DeformConv2d, DeformConv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};
use secateur_pruner::*;

/// A layer that only its author knows.
#[derive(Module, Debug)]
struct Mixer {
    weight: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
struct Net {
    linear: Linear,
    tokens: Embedding,
    plain: Conv2d,
    grouped: Conv2d,
    bent: DeformConv2d,
    up: ConvTranspose2d,
    split: ConvTranspose2d,
    mixer: Mixer,
}

fn net() -> Net {
    let device = Device::flex();
    Net {
        linear: LinearConfig::new(2, 3).init(&device),
        tokens: EmbeddingConfig::new(2, 3).init(&device),
        plain: Conv2dConfig::new([2, 3], [1, 1]).init(&device),
        grouped: Conv2dConfig::new([4, 6], [1, 1]).with_groups(2).init(&device),
        bent: DeformConv2dConfig::new([4, 6], [1, 1]).with_weight_groups(2).init(&device),
        up: ConvTranspose2dConfig::new([2, 3], [1, 1]).init(&device),
        split: ConvTranspose2dConfig::new([4, 6], [1, 1]).with_groups(2).init(&device),
        mixer: Mixer { weight: Param::from_tensor(Tensor::ones([2, 3], &device)) },
    }
}

/// Prunes one parameter by whole groups: a third or half of it, the group of the smallest values. Returns what is kept.
fn prune_alone(name: &str, granularity: Granularity, scope: Scope, sparsity: f64) -> Result<Vec<usize>, Error> {
    let net = net();
    let mut values = parameters(&net);
    let own = values.iter_mut().find(|own| own.name == name).unwrap();
    own.values = (0..own.values.len()).map(|index| 1.0 + index as f32).collect();
    let net = attach_masks(set_parameters(net, &values)?, &[name])?;
    let rule = Rule { granularity, ..Rule::new(Criterion::L1, scope, Sparsity::new(sparsity)?) };
    let (_, set) = prune(net, rule)?;
    Ok(set.get(name).unwrap().indices().collect())
}

#[test]
fn a_filter_and_a_channel_are_what_the_layer_makes_of_its_axes() {
    let filter = |name| prune_alone(name, Granularity::Filter {}, Scope::Global, 1.0 / 3.0);
    let channel = |name| prune_alone(name, Granularity::Channel {}, Scope::Global, 0.5);
    // [in, out]: the first column goes as a filter, the first row as an input.
    for name in ["linear.weight", "tokens.weight", "up.weight"] {
        assert_eq!(filter(name).unwrap(), [1, 2, 4, 5], "{name}");
        assert_eq!(channel(name).unwrap(), [3, 4, 5], "{name}");
    }
    // [out, in]: the first row, and the first column.
    assert_eq!(filter("plain.weight").unwrap(), [2, 3, 4, 5]);
    assert_eq!(channel("plain.weight").unwrap(), [1, 3, 5]);
    // An axis that counts within groups is not one of whole units, the other one is.
    assert_eq!(filter("grouped.weight").unwrap(), [4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(filter("bent.weight").unwrap(), [4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(channel("split.weight").unwrap(), [6, 7, 8, 9, 10, 11]);
    for (found, name) in [
        (channel("grouped.weight"), "grouped.weight"),
        (channel("bent.weight"), "bent.weight"),
        (filter("split.weight"), "split.weight"),
    ] {
        let error = found.unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}`")) && error.contains("its 2 groups"), "{error}");
    }
}

#[test]
fn a_layer_of_ones_own_is_pruned_by_weights_and_refused_by_axes_that_nobody_knows() {
    assert_eq!(prune_alone("mixer.weight", Granularity::Element {}, Scope::Global, 0.5).unwrap(), [3, 4, 5]);
    let channels = Granularity::Channel {};
    for (granularity, scope) in [(channels, Scope::Global), (Granularity::Element {}, Scope::Output)] {
        let error = prune_alone("mixer.weight", granularity, scope, 0.5).unwrap_err().to_string();
        assert!(error.contains("`mixer.weight`") && error.contains("`Mixer` are not known"), "{error}");
    }
    let known = layouts(&net());
    assert!(known.iter().all(|(name, _)| name != "mixer.weight"));
    assert!(
        known.contains(&("up.weight".into(), Layout::TRANSPOSED)) && known.contains(&("up.bias".into(), Layout::BIAS))
    );
    // Behind a mask a parameter is still its layer's.
    let masked = mask_selected(net(), &Selection::default()).unwrap();
    assert_eq!(layouts(&masked), known);
}

#[test]
fn a_module_without_masks_is_refused_with_what_to_call() {
    let half = Sparsity::new(0.5).unwrap();
    let scores = Saliency::of(&parameters(&net()), |own| own.values.clone()).unwrap().magnitudes();
    let errors = [
        prune(net(), Rule::new(Criterion::L1, Scope::Global, half)).map(drop).unwrap_err(),
        prune_by(net(), &scores, Scope::Global, half).map(drop).unwrap_err(),
        prune_in_rounds(net(), Scope::Global, half, 2, |_| Ok(scores.clone())).map(drop).unwrap_err(),
        focus(&net(), GradientsParams::new(), 1).map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("`mask_selected`"), "{error}");
    }
}

#[test]
fn scores_with_a_sign_are_refused_where_a_scope_calculates_with_them() {
    let net = mask_selected(net(), &Selection { include: vec!["linear.weight".into()], exclude: vec![] }).unwrap();
    let half = Sparsity::new(0.5).unwrap();
    let signed = Saliency::of(&parameters(&net), |own| (0..own.values.len()).map(|at| 2.0 - at as f32).collect());
    let signed = signed.unwrap();
    for scope in [Scope::GlobalNormalised, Scope::MacAware] {
        let error = prune_by(net.clone(), &signed, scope, half).unwrap_err().to_string();
        assert!(
            error.contains("`linear.weight` at flat index 3 is -1") && error.contains(&scope.to_string()),
            "{error}"
        );
        prune_by(net.clone(), &signed.clone().magnitudes(), scope, half).unwrap();
    }
    for scope in [Scope::Layerwise, Scope::Output, Scope::Global, Scope::Erk] {
        prune_by(net.clone(), &signed, scope, half).unwrap();
    }
}

#[test]
fn wanda_reads_the_inputs_of_a_transposed_convolution_first() {
    let device = Device::flex();
    // Two channels of one pixel, of norms 3 and 4; the weight is [2 in, 2 out, 1, 1].
    let input = Tensor::<4>::from_data(TensorData::new(vec![3.0f32, 4.0], [1, 2, 1, 1]), &device);
    let weight = Parameter { name: "up.weight".into(), shape: vec![2, 2, 1, 1], values: vec![1.0; 4] };
    let mut seen = Activations::new();
    seen.transposed_channels("up.weight", &input).unwrap();
    assert_eq!(
        seen.wanda(std::slice::from_ref(&weight)).unwrap().get("up.weight").unwrap().values,
        [3.0, 3.0, 4.0, 4.0]
    );
    assert!(seen.channels("up.weight", &input).is_err(), "one layer is read in one way");
    let mut other = Activations::new();
    other.channels("up.weight", &input).unwrap();
    assert_eq!(other.wanda(&[weight]).unwrap().get("up.weight").unwrap().values, [3.0, 4.0, 3.0, 4.0]);
}

#[test]
fn behind_a_straight_through_mask_movement_goes_on() {
    #[derive(Module, Debug)]
    struct One {
        fc: Linear,
    }
    let device = Device::flex().autodiff();
    let net = One { fc: LinearConfig::new(2, 1).with_bias(false).init(&device) };
    let weights = vec![Parameter { name: "fc.weight".into(), shape: vec![2, 1], values: vec![2.0, -3.0] }];
    let net = attach_straight_through(set_parameters(net, &weights).unwrap(), &["fc.weight"]).unwrap();
    let set = MaskSet::new(vec![("fc.weight".into(), Mask::from_fn(&[2, 1], |index| index == 0))]);
    let mut net = move_masks(net, &set).unwrap();
    let (mut movement, mut optimizer) = (Movement::new(&["fc.weight"]), SgdConfig::new().init());
    // Gradients are the inputs, 1 and 5, so that the second, pruned weight goes from -3 to -5.5: -w g is 15, then 27.5.
    for sum in [[-2.0, 15.0], [-3.5, 42.5]] {
        let input = Tensor::<2>::from_data(TensorData::new(vec![1.0f32, 5.0], [1, 2]), &device);
        let gradients = GradientsParams::from_grads(net.fc.forward(input).sum().backward(), &net);
        movement.step(&net, &gradients).unwrap();
        assert_eq!(movement.saliency().unwrap().get("fc.weight").unwrap().values, sum);
        net = optimizer.step(0.5, net, gradients);
    }
    // What is pruned there and no number any more shows, where an ordinary mask hides it.
    let values = [Parameter { values: vec![1.0, f32::INFINITY], ..weights[0].clone() }];
    let ones = || Tensor::<2>::ones([1, 2], &device);
    let answer = |net: &One| net.fc.forward(ones()).into_data().iter::<f32>().next().unwrap();
    assert!(answer(&set_parameters(net, &values).unwrap()).is_nan());
    let net = One { fc: LinearConfig::new(2, 1).with_bias(false).init(&device) };
    let net = set_masks(attach_masks(net, &["fc.weight"]).unwrap(), &set).unwrap();
    assert_eq!(answer(&set_parameters(net, &values).unwrap()), 1.0);
}
