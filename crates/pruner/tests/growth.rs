//! Masks that gradients pass straight through, and gradients for the weights that matter most, on a real module.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};
use secateur_pruner::*;

#[derive(Module, Debug)]
struct Net {
    fc: Linear,
}

const WEIGHTS: [f32; 4] = [1.0, -0.5, 0.25, 2.0];

fn net() -> Net {
    let net = Net { fc: LinearConfig::new(4, 1).init(&Device::flex().autodiff()) };
    let mut values = parameters(&net);
    values.iter_mut().find(|own| own.name == "fc.weight").unwrap().values = WEIGHTS.to_vec();
    values.iter_mut().find(|own| own.name == "fc.bias").unwrap().values = vec![0.0];
    set_parameters(net, &values).unwrap()
}

/// The output for inputs 1, 2, 3 and 4, whose gradients are these.
fn output(net: &Net) -> Tensor<2> {
    let input = TensorData::new(vec![1.0f32, 2.0, 3.0, 4.0], [1, 4]);
    net.fc.forward(Tensor::from_data(input, &Device::flex().autodiff()))
}

fn value(output: Tensor<2>) -> f32 {
    output.into_data().iter::<f32>().next().unwrap()
}

fn gradients(net: &Net) -> GradientsParams {
    GradientsParams::from_grads(output(net).sum().backward(), net)
}

fn gradient(net: &Net, gradients: &GradientsParams) -> Vec<f32> {
    Gradients::through_masks(net, gradients).unwrap().get("fc.weight").unwrap().values.clone()
}

fn mask(bits: [bool; 4]) -> MaskSet {
    MaskSet::new(vec![("fc.weight".into(), Mask::from_fn(&[4, 1], |index| bits[index]))])
}

fn weights(of: Vec<Parameter>) -> Vec<f32> {
    of.into_iter().find(|own| own.name == "fc.weight").unwrap().values
}

#[test]
fn behind_a_straight_through_mask_a_weight_counts_as_zero_and_learns() {
    let net = attach_straight_through(net(), &["fc.weight"]).unwrap();
    let net = move_masks(net, &mask([true, false, false, true])).unwrap();
    assert_eq!(value(output(&net)), 1.0 + 8.0, "two weights are out");
    let all = gradients(&net);
    assert_eq!(gradient(&net, &all), [1.0, 2.0, 3.0, 4.0], "and have gradients");
    let net = SgdConfig::new().init().step(0.5, net, all);
    assert_eq!(weights(stored(&net)), [0.5, -1.5, -1.25, 0.0], "shadows move");
    assert_eq!(weights(parameters(&net)), [0.5, 0.0, 0.0, 0.0]);
    // Another choice brings a shadow back as it has become.
    let net = move_masks(net, &mask([false, true, false, true])).unwrap();
    let bias = -0.5;
    assert_eq!(value(output(&net)), -1.5 * 2.0 + bias);
    assert_eq!(masks(&net).get("fc.weight").unwrap().indices().collect::<Vec<_>>(), [1, 3]);
    // At the end it is an ordinary module.
    let folded = fold_masks(net);
    assert_eq!(weights(stored(&folded)), [0.0, -1.5, 0.0, 0.0]);
}

#[test]
fn behind_an_ordinary_mask_it_does_not() {
    let net = attach_masks(net(), &["fc.weight"]).unwrap();
    let net = set_masks(net, &mask([true, false, false, true])).unwrap();
    assert_eq!(gradient(&net, &gradients(&net)), [1.0, 0.0, 0.0, 4.0]);
    assert_eq!(weights(stored(&net)), [1.0, 0.0, 0.0, 2.0]);
}

#[test]
fn the_weights_that_matter_most_keep_their_gradients_and_the_others_fade() {
    // |w g| is 1, 1, 0.75 and 8; of equal ones the first stays.
    let mut net = attach_masks(net(), &["fc.weight"]).unwrap();
    for (active, wanted) in [
        (4, [1.0, 2.0, 3.0, 4.0]),
        (2, [1.0, 0.0, 0.0, 4.0]),
        (1, [0.0, 0.0, 0.0, 4.0]),
        (0, [0.0; 4]),
        (9, [1.0, 2.0, 3.0, 4.0]),
    ] {
        let focused = focus(&net, gradients(&net), active).unwrap();
        assert_eq!(gradient(&net, &focused), wanted, "{active}");
        let all = Gradients::through_masks(&net, &focused).unwrap();
        assert_eq!(all.get("fc.bias").unwrap().values, [1.0], "what has no mask trains on");
    }
    let momentum = MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: false };
    let decay = Some(WeightDecayConfig { penalty: 0.1 });
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).with_weight_decay(decay).init();
    for _ in 0..400 {
        let focused = focus(&net, gradients(&net), 1).unwrap();
        net = optimizer.step(0.01, net, focused);
    }
    let now = weights(parameters(&net));
    assert!(now[..3].iter().zip(&WEIGHTS).all(|(now, before)| now.abs() < before.abs() / 10.0), "{now:?}");
    assert!(now[3].abs() > 1.0, "{now:?}");
}
