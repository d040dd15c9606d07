//! The trainer against its reference implementation, in every form, on every instruction set, with odd sizes.

mod case;
mod networks;
mod reference;

use case::{Case, PLAIN, TABLE, every_option, networks};
use networks::{Named, chain, conv, filled, flatten, linear, parameters, pool, relu};
use reference::{gradients, smoothed};
use secateur_sparse::train::{Images, Options};
use secateur_sparse::{Optimizer, Update};

#[test]
fn gradients_are_those_of_the_slow_twin() {
    for (place, network) in networks().into_iter().enumerate() {
        for (density, batch) in [(1.0, 1), (1.0, 33), (0.5, 16), (0.1, 50), (0.0, 5)] {
            let case = Case::new(network.clone(), density, batch, place as u64 + 1);
            let pixels = |image: &Vec<u8>| image.iter().map(|byte| f64::from(TABLE[usize::from(*byte)])).collect();
            let images: Vec<Vec<f64>> = case.images.iter().map(pixels).collect();
            let wanted = gradients(&case.network, &images, &case.labels);
            for options in every_option() {
                let about = format!("network {place}, density {density}, batch {batch}, {options:?}");
                let mut trainer = case.trainer(PLAIN, options);
                let logits = case.step(&mut trainer, 1.0);
                close(&logits, &wanted.logits, &format!("logits, {about}"));
                let found = case.export(&trainer);
                for (layer, (own, (weight, bias))) in parameters(&case.network).zip(&wanted.layers).enumerate() {
                    let moved = |before: &[f32], after: &[f32]| -> Vec<f32> {
                        before.iter().zip(after).map(|(before, after)| before - after).collect()
                    };
                    let kept = |wanted: &[f64], bits: &[u8]| -> Vec<f64> {
                        let keeps = |place: usize| f64::from(bits[place / 8] >> (place % 8) & 1);
                        wanted.iter().enumerate().map(|(place, value)| value * keeps(place)).collect()
                    };
                    let [bits, bias_bits] = &case.kept[layer];
                    let (weight, bias) = (kept(weight, bits), kept(bias, bias_bits));
                    close(&moved(own.weight, &found[layer][0]), &weight, &format!("weight {layer}, {about}"));
                    close(&moved(own.bias, &found[layer][1]), &bias, &format!("bias {layer}, {about}"));
                }
            }
        }
    }
}

/// Within 1e-4 of the largest value.
fn close(found: &[f32], wanted: &[f64], about: &str) {
    assert_eq!(found.len(), wanted.len(), "{about}");
    let scale = wanted.iter().fold(1e-2f64, |most, value| most.max(value.abs()));
    for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((f64::from(*found) - wanted).abs() <= 1e-4 * scale, "{about}, value {place}: {found}, wanted {wanted}");
    }
}

#[test]
fn labels_are_smoothed_gradients_cut_to_a_length_and_biases_spared_weight_decay() {
    let optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.25 };
    for (place, network) in networks().into_iter().enumerate() {
        let case = Case::new(network, 0.6, 21, place as u64 + 1);
        let pixels = |image: &Vec<u8>| image.iter().map(|byte| f64::from(TABLE[usize::from(*byte)])).collect();
        let images: Vec<Vec<f64>> = case.images.iter().map(pixels).collect();
        let found = smoothed(&case.network, &images, &case.labels, 0.3);
        let mut expected = vec![];
        for ((weight, bias), bits) in found.layers.into_iter().zip(&case.kept) {
            expected.push(
                [weight, bias]
                    .into_iter()
                    .zip(bits)
                    .map(|(values, bits)| {
                        let keeps = |place: usize| f64::from(bits[place / 8] >> (place % 8) & 1);
                        values.into_iter().enumerate().map(|(place, value)| value * keeps(place)).collect::<Vec<f64>>()
                    })
                    .collect::<Vec<_>>(),
            );
        }
        let norm = expected.iter().flatten().flatten().map(|own| own * own).sum::<f64>().sqrt();
        for (decays_weights_only, max_norm) in [(true, 0.5 * norm), (false, 0.5 * norm), (true, 2.0 * norm)] {
            let (max_norm, factor) = (Some(max_norm as f32), (max_norm / norm).min(1.0));
            let update = Update { decays_weights_only, label_smoothing: 0.3, max_norm, ..optimizer.into() };
            for options in every_option() {
                let about = format!("network {place}, {update:?}, {options:?}");
                let mut trainer = case.trainer(update, options);
                case.step(&mut trainer, 1.0);
                let states = case.export(&trainer);
                for (layer, own) in parameters(&case.network).enumerate() {
                    for (kind, before) in [own.weight, own.bias].into_iter().enumerate() {
                        let decay = if kind == 0 || !decays_weights_only { 0.25 } else { 0.0 };
                        let gradients = before.iter().zip(&expected[layer][kind]);
                        let way = gradients.map(|(old, own)| factor * own + decay * f64::from(*old));
                        let found: Vec<f32> =
                            before.iter().zip(&states[layer][kind]).map(|(before, after)| before - after).collect();
                        close(&found, &way.collect::<Vec<_>>(), &format!("layer {layer}, tensor {kind}, {about}"));
                    }
                }
            }
        }
    }
}

#[test]
fn the_slow_twin_agrees_with_finite_differences() {
    let (network, labels) = (networks().swap_remove(2), vec![1, 4]);
    let mut case = Case::new(network, 1.0, 2, 9);
    case.labels = labels;
    let images: Vec<Vec<f64>> =
        case.images.iter().map(|image| image.iter().map(|byte| f64::from(*byte) / 255.0 - 0.5).collect()).collect();
    let found = gradients(&case.network, &images, &case.labels);
    let step = 1.0 / 1024.0;
    for (layer, (weight, _)) in found.layers.iter().enumerate() {
        for place in (0..weight.len()).step_by(weight.len() / 7 + 1) {
            let loss = |shift: f32| {
                let mut own = 0;
                let moved = filled(&case.network, |weight, _| {
                    if own == layer {
                        weight[place] += shift;
                    }
                    own += 1;
                });
                gradients(&moved, &images, &case.labels).loss
            };
            let slope = (loss(step) - loss(-step)) / f64::from(2.0 * step);
            assert!((slope - weight[place]).abs() < 1e-4, "layer {layer}, {place}: {slope}, {}", weight[place]);
        }
    }
}

#[test]
fn the_same_bytes_for_any_number_of_threads_and_across_an_export() {
    let adam = Optimizer::Adam { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 1e-3, decoupled: false };
    let cut_to_a_length = Update { max_norm: Some(0.1), label_smoothing: 0.1, ..adam.into() };
    for (network, update) in networks().into_iter().flat_map(|own| [(own.clone(), adam.into()), (own, cut_to_a_length)])
    {
        let case = Case::new(network, 0.4, 70, 3);
        for Options { instruction_set, crossovers, .. } in every_option() {
            let options = |threads| Options { threads, instruction_set, crossovers, ..Options::default() };
            let mut whole = case.trainer(update, options(1));
            for _ in 0..4 {
                case.step(&mut whole, 1e-2);
            }
            let mut cut = case.trainer(update, options(3));
            for _ in 0..2 {
                case.step(&mut cut, 1e-2);
            }
            let (kept, time) = (case.export_kept(&cut), cut.time());
            assert_eq!(kept, case.kept_only(&case.export(&cut)), "{crossovers:?}");
            // Into a trainer that has done something else before.
            let mut cut = case.trainer(update, options(2));
            case.step(&mut cut, 1.0);
            cut.set(case.tensors(&kept, &case.kept()), time);
            for _ in 0..2 {
                case.step(&mut cut, 1e-2);
            }
            assert_eq!(case.export(&whole), case.export(&cut), "{crossovers:?}");
        }
    }
}

#[test]
fn pruned_weights_stay_zero_with_every_optimizer() {
    let optimizers = [
        Optimizer::Adam { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.1, decoupled: false },
        Optimizer::Adam { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.1, decoupled: true },
        Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.1 },
        // Its product with a small number is 0, and so are a pruned weight's moments.
        Optimizer::Adam { betas: [0.9, 0.999], epsilon: 1e-45, weight_decay: 0.1, decoupled: false },
        Optimizer::Adam { betas: [0.9, 0.999], epsilon: 0.0, weight_decay: 0.1, decoupled: true },
    ];
    for optimizer in optimizers {
        for options in every_option() {
            let case = Case::new(networks().swap_remove(2), 0.3, 20, 5);
            let mut trainer = case.trainer(optimizer, options);
            for _ in 0..300 {
                case.step(&mut trainer, 1e-2);
            }
            for ([kept, kept_bias], state) in case.kept.iter().zip(case.export(&trainer)) {
                for (place, values) in state.iter().enumerate() {
                    let bits = if [0, 2, 3].contains(&place) { kept } else { kept_bias };
                    let pruned = values.iter().enumerate().filter(|(i, _)| bits[i / 8] >> (i % 8) & 1 == 0);
                    assert!(pruned.into_iter().all(|(_, value)| value.to_bits() == 0), "{optimizer:?} {options:?}");
                }
            }
        }
    }
}

#[test]
fn a_batch_without_images_changes_nothing() {
    for network in networks() {
        let mut case = Case::new(network, 0.4, 5, 3);
        for options in every_option() {
            let mut trainer = case.trainer(Optimizer::default(), options);
            case.step(&mut trainer, 1e-2);
            let (before, time) = (case.export(&trainer), trainer.time());
            let (images, labels) = (std::mem::take(&mut case.images), std::mem::take(&mut case.labels));
            assert!(case.step(&mut trainer, 1e-2).is_empty());
            (case.images, case.labels) = (images, labels);
            assert_eq!((case.export(&trainer), trainer.time()), (before, time), "{options:?}");
            assert!(trainer.predict(Images::Bytes { rows: &[], tables: &[TABLE] }).is_empty());
            case.step(&mut trainer, 1e-2);
        }
    }
}

/// A network whose weights are 1 and whose biases are 0, with two images.
fn of_ones(input: [usize; 3], layers: Vec<Named>) -> Case {
    let mut case = Case::new(chain(input, layers), 1.0, 2, 1);
    case.network = filled(&case.network, |weight, bias| {
        weight.fill(1.0);
        bias.fill(0.0);
    });
    case
}

/// A step over an image that has one pixel that is no number, before another that has none. All other pixels are -1, so relu
/// lets nothing pass but the NaN.
fn step_over_nan(case: &Case, place: Option<usize>, options: Options) -> (Vec<f32>, Vec<case::State>) {
    let table: [f32; 256] = std::array::from_fn(|byte| if byte == 7 { f32::NAN } else { -1.0 });
    let mut images = [(); 2].map(|()| vec![9u8; case.images[0].len()]);
    place.into_iter().for_each(|place| images[0][place] = 7);
    let mut trainer = case.trainer(PLAIN, options);
    let logits = trainer.forward(Images::Bytes { rows: &images.each_ref().map(Vec::as_slice), tables: &[table] });
    trainer.backward(&[0, 1], &[], 0.1);
    (logits, case.export(&trainer))
}

#[test]
fn a_nan_reaches_the_loss_and_every_weight_that_it_meets() {
    let mut cases = vec![];
    for width in 2..=12 {
        // Behind the convolution two rows of `width`, of which pooling does not read an odd last column.
        for kernel in [1, 3] {
            let layers = vec![conv("a", 2, kernel), relu(), pool(), flatten(), linear("b", 2)];
            let [height, columns] = [2, width].map(|side| side + kernel - 1);
            cases.push((of_ones([1, height, columns], layers), columns, columns - width % 2));
        }
        let layers = vec![flatten(), linear("a", 3), relu(), linear("b", 2)];
        cases.push((of_ones([1, 1, width], layers), width, width));
    }
    for (case, columns, read) in cases {
        for options in every_option() {
            for place in (0..case.images[0].len()).filter(|place| place % columns < read) {
                let about = format!("{:?}, pixel {place}, {options:?}", case.network.input());
                let (logits, states) = step_over_nan(&case, Some(place), options);
                assert!(logits[..2].iter().all(|own| own.is_nan()), "{about}: {logits:?}");
                assert!(logits[2..].iter().all(|own| own.is_finite()), "{about}: {logits:?}");
                for values in states.iter().flat_map(|state| &state[..2]) {
                    assert!(values.iter().all(|own| own.is_nan()), "{about}: {values:?}");
                }
            }
            let (logits, states) = step_over_nan(&case, None, options);
            assert!(logits.iter().chain(states.iter().flatten().flatten()).all(|own| own.is_finite()), "{options:?}");
        }
    }
}

#[test]
fn chains_with_biases_and_pools_are_told_from_other_graphs() {
    use secateur_graph::{Activation, BatchNorm, Conv2d, Graph, Linear, Op, Pool};
    use secateur_sparse::train::ChainTrainer;
    let relu = || Op::Activation(Activation::Relu);
    let graph = |conv: Conv2d, after: Op, linear: Linear| {
        let ops = [("c", Op::Conv2d(conv)), ("a", after), ("r", relu()), ("f", Op::Flatten), ("l", Op::Linear(linear))];
        ChainTrainer::supports(&Graph::sequential(&[1, 8, 8], ops).expect("fits"))
    };
    let (conv, pool) = (Conv2d::new(2, 3), Op::Pool(Pool::max(2)));
    assert!(graph(conv, pool.clone(), Linear::new(2)));
    assert!(!graph(conv.padding(1), pool.clone(), Linear::new(2)), "padding");
    assert!(!graph(conv.without_bias(), pool.clone(), Linear::new(2)), "no bias");
    assert!(!graph(conv, pool, Linear { bias: false, ..Linear::new(2) }), "no bias");
    assert!(!graph(conv, Op::BatchNorm(BatchNorm::default()), Linear::new(2)), "batch normalisation");
    assert!(!graph(conv, relu(), Linear::new(2)), "no pool");
}
