//! Folds affine layers into their neighbours: scaling and shifting what a linear layer says, or hears, is a linear layer.

use crate::{Affine, Layer};

/// The layers without the affine ones that a neighbour could take over, and whether there was one.
pub(super) fn folded(layers: Vec<Layer>) -> (Vec<Layer>, bool) {
    let before = layers.len();
    let mut kept: Vec<Layer> = vec![];
    let mut rest = layers.into_iter();
    while let Some(layer) = rest.next() {
        match layer {
            Layer::Affine(own) if is_identity(&own) || into_speaker(&own, &mut kept) => {}
            Layer::Affine(own) if into_hearer(&own, rest.as_mut_slice()) => {}
            layer => kept.push(layer),
        }
    }
    let changed = kept.len() < before;
    (kept, changed)
}

fn is_identity(affine: &Affine) -> bool {
    affine.scale.iter().all(|scale| *scale == 1.0) && affine.shift.iter().all(|shift| *shift == 0.0)
}

/// Whether it makes no difference which of the two comes first.
fn commutes(affine: &Affine, layer: &Layer) -> bool {
    match layer {
        Layer::AvgPool2d { .. } | Layer::Crop { .. } => true,
        // What was largest stays largest.
        Layer::MaxPool2d { .. } => affine.scale.iter().all(|scale| *scale >= 0.0),
        Layer::Conv2d(_) | Layer::Linear(_) | Layer::Affine(_) | Layer::Relu | Layer::Flatten => false,
    }
}

/// Folds it into the last of these layers that says something, if it is linear and in reach.
fn into_speaker(affine: &Affine, before: &mut [Layer]) -> bool {
    let Some(speaker) = before.iter_mut().rev().find(|layer| !commutes(affine, layer)) else { return false };
    let (weight, bias) = match speaker {
        Layer::Conv2d(own) => (&mut own.weight, &mut own.bias),
        Layer::Linear(own) => (&mut own.weight, &mut own.bias),
        Layer::Affine(own) => (&mut own.scale, &mut own.shift),
        _ => return false,
    };
    let columns = weight.len() / bias.len().max(1);
    for (row, (scale, shift)) in affine.scale.iter().zip(&affine.shift).enumerate() {
        weight[row * columns..][..columns].iter_mut().for_each(|weight| *weight *= scale);
        bias[row] = (f64::from(bias[row]) * f64::from(*scale) + f64::from(*shift)) as f32;
    }
    true
}

/// Folds it into the first of these layers that hears it, if it is linear and in reach.
fn into_hearer(affine: &Affine, after: &mut [Layer]) -> bool {
    let passes = |layer: &Layer| commutes(affine, layer) || *layer == Layer::Flatten;
    let (weight, bias) = match after.iter_mut().find(|layer| !passes(layer)) {
        // Padding is zeros that no shift has moved.
        Some(Layer::Conv2d(own)) if own.padding == 0 || affine.shift.iter().all(|shift| *shift == 0.0) => {
            (&mut own.weight, &mut own.bias)
        }
        Some(Layer::Linear(own)) => (&mut own.weight, &mut own.bias),
        _ => return false,
    };
    let columns = weight.len() / bias.len().max(1);
    let spread = (columns / affine.scale.len().max(1)).max(1);
    for (row, bias) in bias.iter_mut().enumerate() {
        let mut sum = f64::from(*bias);
        for (column, weight) in weight[row * columns..][..columns].iter_mut().enumerate() {
            sum += f64::from(*weight) * f64::from(affine.shift[column / spread]);
            *weight *= affine.scale[column / spread];
        }
        *bias = sum as f32;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Conv2d;
    use crate::network::tests::{conv, linear};

    fn affine(scale: &[f32], shift: &[f32]) -> Layer {
        Layer::Affine(Affine { name: "a".into(), scale: scale.to_vec(), shift: shift.to_vec() })
    }

    fn biased(mut layer: Layer, bias: &[f32]) -> Layer {
        *layer.parameters_mut().expect("it has weights").bias = bias.to_vec();
        layer
    }

    fn padded(layer: Layer) -> Layer {
        let Layer::Conv2d(plain) = layer else { panic!("a convolution") };
        Layer::Conv2d(Conv2d { padding: 1, ..plain })
    }

    fn check(layers: Vec<Layer>, wanted: Vec<Layer>) {
        let changes = layers.len() > wanted.len();
        assert_eq!(folded(layers), (wanted, changes));
    }

    #[test]
    fn it_goes_into_the_layer_before() {
        let before = || biased(conv("c", [1, 2, 1], vec![1.0, 2.0]), &[1.0, 1.0]);
        let wanted = || biased(conv("c", [1, 2, 1], vec![2.0, -6.0]), &[2.5, -3.0]);
        let own = || affine(&[2.0, -3.0], &[0.5, 0.0]);
        let (average, most) = (Layer::AvgPool2d { size: 2 }, Layer::MaxPool2d { size: 2 });
        check(vec![before(), own()], vec![wanted()]);
        check(vec![before(), average.clone(), own()], vec![wanted(), average]);
        let unmoved = vec![before(), most.clone(), own()];
        check(unmoved.clone(), unmoved);
        let up = affine(&[2.0, 3.0], &[0.0, 0.0]);
        check(vec![before(), most.clone(), up], vec![biased(conv("c", [1, 2, 1], vec![2.0, 6.0]), &[2.0, 3.0]), most]);
    }

    #[test]
    fn behind_a_relu_it_goes_into_the_layer_after() {
        let own = || affine(&[2.0, 3.0], &[1.0, -1.0]);
        let layers = vec![Layer::Relu, own(), Layer::Flatten, linear("f", [4, 1], vec![1.0, 2.0, 3.0, 4.0])];
        let wanted = biased(linear("f", [4, 1], vec![2.0, 4.0, 9.0, 12.0]), &[-4.0]);
        check(layers, vec![Layer::Relu, Layer::Flatten, wanted]);
        let next = || conv("c", [2, 1, 1], vec![1.0, 5.0]);
        check(
            vec![Layer::Relu, own(), next()],
            vec![Layer::Relu, biased(conv("c", [2, 1, 1], vec![2.0, 15.0]), &[-4.0])],
        );
        let stays = vec![Layer::Relu, own(), padded(next())];
        check(stays.clone(), stays);
        let unshifted = affine(&[2.0, 3.0], &[0.0, 0.0]);
        check(
            vec![Layer::Relu, unshifted, padded(next())],
            vec![Layer::Relu, padded(conv("c", [2, 1, 1], vec![2.0, 15.0]))],
        );
        let between = vec![Layer::Relu, own(), Layer::Relu];
        check(between.clone(), between);
    }

    #[test]
    fn two_become_one_and_the_identity_none() {
        check(
            vec![affine(&[2.0], &[1.0]), affine(&[3.0], &[-4.0]), Layer::Relu],
            vec![affine(&[6.0], &[-1.0]), Layer::Relu],
        );
        check(vec![Layer::Relu, affine(&[1.0], &[0.0])], vec![Layer::Relu]);
    }
}
