//! Leaves out units (filters and neurons) that are idle: nothing hears them, or they are constants that the next layer's
//! bias takes over.
//!
//! One pass forward finds the constants and moves them into biases, so that nothing hears them any more. One pass backward
//! then drops what nothing hears. Neither makes work for the other: to drop a unit that nothing hears silences nobody.

use crate::{Conv2d, Layer, Network};

/// The layers without their idle units, and whether there was one.
pub(super) fn without_idle(network: Network) -> (Vec<Layer>, bool) {
    let shapes: Vec<[usize; 3]> = (0..=network.layers().len()).map(|place| network.shape(place)).collect();
    let mut layers = network.into_layers();
    fold_constants(&mut layers, &shapes);
    let changed = drop_unheard(&mut layers);
    (layers, changed)
}

/// What a channel (or a flat feature) always says; `None` when that depends on the image.
type Constant = Option<f32>;

/// Moves what constant channels say to the layer that hears them into its biases.
fn fold_constants(layers: &mut [Layer], shapes: &[[usize; 3]]) {
    let mut said: Vec<Constant> = vec![None; shapes[0][0]];
    for (place, layer) in layers.iter_mut().enumerate() {
        let [_, height, width] = shapes[place];
        said = match layer {
            Layer::Conv2d(conv) => {
                let unpadded = never_in_padding(conv, shapes[place], shapes[place + 1]);
                fold_into(&mut conv.weight, &mut conv.bias, &said, &unpadded)
            }
            Layer::Linear(linear) => fold_into(&mut linear.weight, &mut linear.bias, &said, &[true]),
            Layer::Affine(affine) => {
                let each = affine.scale.iter().zip(&affine.shift).zip(&said);
                let applied = |((scale, shift), said): ((&f32, &f32), &Constant)| match said {
                    _ if *scale == 0.0 => Some(*shift),
                    Some(said) => Some((f64::from(*scale) * f64::from(*said) + f64::from(*shift)) as f32),
                    None => None,
                };
                each.map(applied).collect()
            }
            Layer::Relu => said.iter().map(|said| said.map(|said| if said < 0.0 { 0.0 } else { said })).collect(),
            Layer::Flatten => said.iter().flat_map(|said| std::iter::repeat_n(*said, height * width)).collect(),
            Layer::MaxPool2d { .. } | Layer::AvgPool2d { .. } | Layer::Crop { .. } => said,
        };
    }
}

/// Of each tap of the kernel, whether it reads the image at every position.
fn never_in_padding(conv: &Conv2d, [_, height, width]: [usize; 3], [_, rows, columns]: [usize; 3]) -> Vec<bool> {
    let inside = |tap: usize, side: usize, positions: usize| {
        tap >= conv.padding && positions.saturating_sub(1) * conv.stride + tap < side + conv.padding
    };
    let taps = 0..conv.kernel * conv.kernel;
    taps.map(|tap| inside(tap / conv.kernel, height, rows) && inside(tap % conv.kernel, width, columns)).collect()
}

/// What the layer's units say, once the constants among its inputs are in its biases. A constant's weights to a unit are
/// then zero; they stay where one would read padding, which is no part of the constant.
fn fold_into(weight: &mut [f32], bias: &mut [f32], said: &[Constant], unpadded: &[bool]) -> Vec<Constant> {
    let (taps, columns) = (unpadded.len(), weight.len() / bias.len().max(1));
    let mut says = Vec::with_capacity(bias.len());
    for (row, bias) in bias.iter_mut().enumerate() {
        let weights = &mut weight[row * columns..][..columns];
        let (mut sum, mut changed) = (f64::from(*bias), false);
        for (channel, constant) in said.iter().enumerate() {
            let Some(constant) = *constant else { continue };
            let weights = &mut weights[channel * taps..][..taps];
            if weights.iter().zip(unpadded).all(|(weight, unpadded)| *weight == 0.0 || *unpadded || constant == 0.0) {
                changed |= weights.iter().any(|weight| *weight != 0.0);
                sum += weights.iter().map(|weight| f64::from(*weight) * f64::from(constant)).sum::<f64>();
                weights.fill(0.0);
            }
        }
        if changed {
            *bias = sum as f32;
        }
        says.push(weights.iter().all(|weight| *weight == 0.0).then_some(*bias));
    }
    says
}

/// Drops units that nothing hears, from the last layer to the first; whether there was one.
fn drop_unheard(layers: &mut [Layer]) -> bool {
    let places: Vec<usize> = (0..layers.len()).filter(|place| layers[*place].parameters().is_some()).collect();
    let mut changed = false;
    for pair in places.windows(2).rev() {
        let &[speaker, hearer] = pair else { unreachable!("windows of two") };
        let (units, heard) = heard(&layers[speaker], &layers[hearer]);
        let mut kept: Vec<usize> = (0..units).filter(|unit| heard[*unit]).collect();
        if kept.is_empty() && units > 0 {
            // A layer has one unit at least. Nobody hears this one, so it need not hear anybody either.
            silence_first(&mut layers[speaker]);
            kept.push(0);
        }
        if kept.len() < units {
            changed = true;
            keep_outputs(&mut layers[speaker], &kept);
            layers[speaker + 1..=hearer].iter_mut().for_each(|layer| keep_inputs(layer, units, &kept));
        }
    }
    changed
}

/// The number of the speaker's units, and which of them a nonzero weight joins to the hearer.
fn heard(speaker: &Layer, hearer: &Layer) -> (usize, Vec<bool>) {
    let units = speaker.parameters().map_or(0, |own| own.bias.len());
    let mut heard = vec![false; units];
    if let Some(own) = hearer.parameters() {
        let columns = own.weight.len() / own.bias.len().max(1);
        let spread = (columns / units.max(1)).max(1);
        for (index, _) in own.weight.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            heard[index % columns / spread] = true;
        }
    }
    (units, heard)
}

fn silence_first(layer: &mut Layer) {
    if let Some(own) = layer.parameters_mut() {
        let columns = own.weight.len() / own.bias.len().max(1);
        own.weight[..columns].fill(0.0);
        own.bias[0] = 0.0;
    }
}

/// Keeps these units of a layer.
fn keep_outputs(layer: &mut Layer, kept: &[usize]) {
    match layer {
        Layer::Conv2d(own) => own.outputs = kept.len(),
        Layer::Linear(own) => own.outputs = kept.len(),
        Layer::Affine(_)
        | Layer::Relu
        | Layer::MaxPool2d { .. }
        | Layer::AvgPool2d { .. }
        | Layer::Crop { .. }
        | Layer::Flatten => return,
    }
    if let Some(own) = layer.parameters_mut() {
        let columns = own.weight.len() / own.bias.len().max(1);
        *own.weight = gather(own.weight, columns, kept);
        *own.bias = gather(own.bias, 1, kept);
    }
}

/// Keeps what comes from these of `units` units.
fn keep_inputs(layer: &mut Layer, units: usize, kept: &[usize]) {
    let (inputs, weight, rows) = match layer {
        Layer::Conv2d(own) => (&mut own.inputs, &mut own.weight, own.outputs),
        Layer::Linear(own) => (&mut own.inputs, &mut own.weight, own.outputs),
        Layer::Affine(own) => {
            let spread = own.scale.len() / units;
            own.scale = gather(&own.scale, spread, kept);
            own.shift = gather(&own.shift, spread, kept);
            return;
        }
        Layer::Relu | Layer::MaxPool2d { .. } | Layer::AvgPool2d { .. } | Layer::Crop { .. } | Layer::Flatten => return,
    };
    *inputs = *inputs / units * kept.len();
    let columns = weight.len() / rows.max(1);
    let row = |row: usize| gather(&weight[row * columns..][..columns], columns / units, kept);
    *weight = (0..rows).flat_map(row).collect();
}

/// These of the runs of `length` values.
fn gather(values: &[f32], length: usize, kept: &[usize]) -> Vec<f32> {
    kept.iter().flat_map(|place| &values[place * length..][..length]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Affine;
    use crate::network::tests::{conv, linear};

    fn biased(mut layer: Layer, bias: &[f32]) -> Layer {
        *layer.parameters_mut().expect("it has weights").bias = bias.to_vec();
        layer
    }

    fn padded(layer: Layer) -> Layer {
        let Layer::Conv2d(plain) = layer else { panic!("a convolution") };
        Layer::Conv2d(Conv2d { padding: 1, ..plain })
    }

    fn check(input: [usize; 3], layers: Vec<Layer>, wanted: Vec<Layer>) {
        let changes = layers.iter().zip(&wanted).any(|(old, new)| {
            let units = |layer: &Layer| layer.parameters().map(|own| own.bias.len());
            units(old) != units(new)
        });
        let found = without_idle(Network::new(input, layers).expect("fits"));
        assert_eq!(found, (wanted.clone(), changes));
        let again = without_idle(Network::new(input, wanted.clone()).expect("what is left fits"));
        assert_eq!(again, (wanted, false), "once is enough");
    }

    #[test]
    fn a_unit_that_nothing_hears_goes_and_takes_others_along() {
        // c2 does not hear unit 1 of b, so b's unit 1 goes, and with it unit 0 of a, which only that one hears.
        let layers = vec![
            linear("a", [2, 2], vec![1.0, 2.0, 3.0, 4.0]),
            Layer::Relu,
            linear("b", [2, 2], vec![0.0, 5.0, 6.0, 7.0]),
            Layer::Relu,
            linear("c", [2, 1], vec![8.0, 0.0]),
        ];
        let wanted = vec![
            linear("a", [2, 1], vec![3.0, 4.0]),
            Layer::Relu,
            linear("b", [1, 1], vec![5.0]),
            Layer::Relu,
            linear("c", [1, 1], vec![8.0]),
        ];
        check([2, 1, 1], layers, wanted);
    }

    #[test]
    fn a_constant_goes_into_the_next_bias_and_on_from_there() {
        // Unit 0 of a says 3 and unit 1 of a relu(-1) = 0; unit 0 of b hears them alone and says 2 * 3 + 0.5.
        let layers = vec![
            biased(linear("a", [1, 3], vec![0.0, 0.0, 1.0]), &[3.0, -1.0, 0.0]),
            Layer::Relu,
            biased(linear("b", [3, 2], vec![2.0, 9.0, 0.0, 4.0, 9.0, 1.0]), &[0.5, 0.0]),
            Layer::Relu,
            biased(linear("c", [2, 1], vec![10.0, 1.0]), &[0.25]),
        ];
        let wanted = vec![
            linear("a", [1, 1], vec![1.0]),
            Layer::Relu,
            biased(linear("b", [1, 1], vec![1.0]), &[12.0]),
            Layer::Relu,
            biased(linear("c", [1, 1], vec![1.0]), &[65.25]),
        ];
        check([1, 1, 1], layers, wanted);
    }

    #[test]
    fn a_filter_owns_its_pixels_and_its_channel_of_affine_layers() {
        // Filter 0 says 1, halved and shifted to 2.5; behind a flatten it is the first two features.
        let scale = |scale: &[f32], shift: &[f32]| {
            Layer::Affine(Affine { name: "n".into(), scale: scale.to_vec(), shift: shift.to_vec() })
        };
        let layers = vec![
            biased(conv("c", [1, 2, 1], vec![0.0, 1.0]), &[1.0, 0.0]),
            Layer::Relu,
            scale(&[0.5, 4.0], &[2.0, 0.0]),
            Layer::AvgPool2d { size: 2 },
            Layer::MaxPool2d { size: 1 },
            Layer::Flatten,
            linear("f", [4, 1], vec![1.0, 3.0, 5.0, 7.0]),
        ];
        let wanted = vec![
            conv("c", [1, 1, 1], vec![1.0]),
            Layer::Relu,
            scale(&[4.0], &[0.0]),
            Layer::AvgPool2d { size: 2 },
            Layer::MaxPool2d { size: 1 },
            Layer::Flatten,
            biased(linear("f", [2, 1], vec![5.0, 7.0]), &[10.0]),
        ];
        check([1, 2, 4], layers, wanted);
        // A factor of zero makes a constant of a channel that varies.
        let silenced = vec![
            conv("c", [1, 2, 1], vec![1.0, 1.0]),
            Layer::Relu,
            scale(&[0.0, 1.0], &[2.0, 3.0]),
            linear("f", [2, 1], vec![5.0, 7.0]),
        ];
        let wanted = vec![
            conv("c", [1, 1, 1], vec![1.0]),
            Layer::Relu,
            scale(&[1.0], &[3.0]),
            biased(linear("f", [1, 1], vec![7.0]), &[10.0]),
        ];
        check([1, 1, 1], silenced, wanted);
    }

    #[test]
    fn at_a_padded_border_only_zero_is_constant() {
        let ring = [1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0];
        let centre = [0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0];
        let network = |constant: f32, taps: [f32; 9]| {
            vec![
                biased(conv("a", [1, 2, 1], vec![0.0, 1.0]), &[constant, 0.0]),
                Layer::Relu,
                padded(conv("b", [2, 1, 3], [taps, centre].concat())),
            ]
        };
        let without = |bias: f32| {
            let next = biased(padded(conv("b", [1, 1, 3], centre.to_vec())), &[bias]);
            vec![conv("a", [1, 1, 1], vec![1.0]), Layer::Relu, next]
        };
        check([1, 3, 3], network(2.0, ring), network(2.0, ring));
        check([1, 3, 3], network(-2.0, ring), without(0.0));
        check([1, 3, 3], network(2.0, centre), without(10.0));
    }

    #[test]
    fn a_layer_keeps_one_unit_and_the_network_its_ends() {
        let hidden = |units: usize, values: [f32; 2]| {
            vec![
                biased(linear("a", [2, units], vec![values[0]; 2 * units]), &vec![values[1]; units]),
                Layer::Relu,
                biased(linear("b", [units, 2], vec![0.0; 2 * units]), &[1.0, 0.0]),
            ]
        };
        check([2, 1, 1], hidden(3, [4.0, 5.0]), hidden(1, [0.0, 0.0]));
        // Nobody reads input 0, and outputs 0 and 1 say nothing of the image.
        let ends = vec![Layer::Flatten, linear("a", [2, 3], vec![0.0, 0.0, 0.0, 0.0, 0.0, 1.0])];
        check([2, 1, 1], ends.clone(), ends);
    }
}
