//! The graph trainer against its reference implementation, dense and sparse, on every instruction set, with odd sizes.

mod graph_case;
mod graph_reference;

use graph_case::{Case, States, every_option, graphs, spread};
use graph_reference::{gradients, moved, smoothed};
use secateur_graph::{Activation, BatchNorm, Conv2d, Graph, Linear, Op, Parameter, Role};
use secateur_sparse::train::{Crossovers, GraphTrainer, Images, Options};
use secateur_sparse::{Optimizer, Update};

/// After one step its velocities are the gradients.
const PLAIN: Optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 };

const BATCHES: [(f64, usize); 5] = [(1.0, 1), (1.0, 37), (0.5, 16), (0.15, 33), (0.0, 5)];

/// Within `tolerance` of the largest value.
fn close(found: &[f32], expected: &[f64], tolerance: f64, about: &str) {
    close_to_scale(found, expected, tolerance * largest(expected), about);
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(1e-2f64, |most, value| most.max(value.abs()))
}

/// Within `tolerance`.
fn close_to_scale(found: &[f32], expected: &[f64], tolerance: f64, about: &str) {
    assert_eq!(found.len(), expected.len(), "{about}");
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let distance = (f64::from(*found) - expected).abs();
        assert!(distance <= tolerance, "{about}, value {place}: expected {expected}, found {found}");
    }
}

#[test]
fn gradients_are_those_of_the_reference() {
    for (name, graph) in graphs() {
        for (place, (density, batch)) in BATCHES.into_iter().enumerate() {
            let case = Case::new(&graph, density, batch, place as u64 + 1);
            let expected = gradients(&graph, &case.values(), &case.images64(), &case.labels);
            for options in every_option() {
                let about = format!("{name}, density {density}, batch {batch}, {options:?}");
                let mut trainer = case.trainer(PLAIN, options);
                let (logits, loss) = case.step(&mut trainer, 1.0);
                close(&logits, &expected.logits, 1e-4, &format!("logits, {about}"));
                close(&[loss as f32], &[expected.loss], 1e-5, &format!("loss, {about}"));
                for (name, found) in case.export(&trainer) {
                    let about = format!("{name}, {about}");
                    let before = &case.states[&name];
                    if let Some(new) = expected.statistics.get(&name) {
                        let moved = before.values.iter().zip(new).map(|(old, new)| 0.9 * f64::from(*old) + 0.1 * new);
                        close(&found.values, &moved.collect::<Vec<_>>(), 1e-5, &about);
                        continue;
                    }
                    let all: Vec<f32> = spread(&found, &found.moments[0]).into_iter().map(|own| own as f32).collect();
                    let own = expected.gradients[&name].iter().enumerate();
                    let kept = own.map(|(index, own)| if before.kept.place(index).is_some() { *own } else { 0.0 });
                    // In proportion to all gradients of its node: what a normalisation takes out of the bias before it is 0
                    // up to the rounding of what is summed.
                    let (node, _) = name.rsplit_once('.').expect("a field behind the node's name");
                    let same_node = expected.gradients.iter().filter(|(name, _)| name.starts_with(node));
                    let scale = same_node.map(|(_, own)| largest(own)).fold(0.0, f64::max);
                    close_to_scale(&all, &kept.collect::<Vec<_>>(), 1e-4 * scale, &about);
                    for ((old, new), gradient) in before.values.iter().zip(&found.values).zip(&found.moments[0]) {
                        assert!((old - gradient - new).abs() <= 1e-6 * old.abs().max(gradient.abs()), "{about}");
                    }
                }
            }
        }
    }
}

#[test]
fn layers_that_are_larger_than_the_caches_are_those_of_the_reference() {
    let conv = |filters, kernel| Conv2d::new(filters, kernel).padding(kernel / 2).without_bias();
    let graph = Graph::sequential(
        &[3, 16, 16],
        [
            ("mix", Op::Conv2d(conv(5, 1))),
            ("halve", Op::Conv2d(conv(110, 3).stride(2))),
            ("norm", Op::BatchNorm(BatchNorm::default())),
            ("relu", Op::Activation(Activation::Relu)),
            ("wide", Op::Conv2d(conv(90, 3))),
            ("mean", Op::GlobalAveragePool),
            ("flat", Op::Flatten),
            ("fc", Op::Linear(Linear::new(4))),
        ],
    );
    let case = Case::new(&graph.expect("fits"), 0.1, 3, 5);
    let expected = gradients(&case.graph, &case.values(), &case.images64(), &case.labels);
    for options in every_option() {
        let mut trainer = case.trainer(PLAIN, options);
        let (logits, _) = case.step(&mut trainer, 1.0);
        close(&logits, &expected.logits, 1e-4, &format!("logits, {options:?}"));
        for (name, found) in case.export(&trainer) {
            let Some(expected) = expected.gradients.get(&name) else { continue };
            let kept = &case.states[&name].kept;
            let all: Vec<f32> = spread(&found, &found.moments[0]).into_iter().map(|own| own as f32).collect();
            let own = expected.iter().enumerate();
            let expected: Vec<f64> =
                own.map(|(index, own)| if kept.place(index).is_some() { *own } else { 0.0 }).collect();
            close(&all, &expected, 1e-4, &format!("{name}, {options:?}"));
        }
    }
}

#[test]
fn labels_are_smoothed_gradients_cut_to_a_length_and_norms_and_biases_spared_weight_decay() {
    let optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.25 };
    for (name, graph) in graphs() {
        let case = Case::new(&graph, 0.6, 21, 2);
        let before = case.values();
        let mut expected = smoothed(&graph, &before, &case.images64(), &case.labels, 0.3);
        for (name, gradients) in &mut expected.gradients {
            let kept = &case.states[name].kept;
            let pruned = gradients.iter_mut().enumerate().filter(|(index, _)| kept.place(*index).is_none());
            pruned.for_each(|(_, own)| *own = 0.0);
        }
        let norm = expected.gradients.values().flatten().map(|own| own * own).sum::<f64>().sqrt();
        for (decays_weights_only, max_norm) in [(true, 0.5 * norm), (false, 0.5 * norm), (true, 2.0 * norm)] {
            let (max_norm, factor) = (Some(max_norm as f32), (max_norm / norm).min(1.0));
            let update = Update { decays_weights_only, label_smoothing: 0.3, max_norm, ..optimizer.into() };
            for options in every_option() {
                let about = format!("{name}, {update:?}, {options:?}");
                let mut trainer = case.trainer(update, options);
                let (_, loss) = case.step(&mut trainer, 1.0);
                close(&[loss as f32], &[expected.loss], 1e-5, &format!("the loss is that of the labels, {about}"));
                // What the loss does not depend on rests.
                let reached = |name: &str| expected.gradients[name].iter().any(|own| *own != 0.0);
                let learnt = |own: &&Parameter| !own.role.is_buffer() && reached(&own.name);
                for own in graph.parameters().iter().filter(learnt) {
                    let decay = if own.role == Role::Weight || !decays_weights_only { 0.25 } else { 0.0 };
                    let way = before[&own.name].iter().zip(&expected.gradients[&own.name]);
                    let way = way.map(|(old, gradient)| factor * gradient + decay * old).collect::<Vec<_>>();
                    let after = case.export_all(&trainer, &own.name);
                    let found = before[&own.name].iter().zip(&after[0]).map(|(old, new)| (*old as f32) - new);
                    // Rounded where it is taken from the value.
                    let scale = largest(&before[&own.name]).max(largest(&way)).max(norm / 100.0);
                    close_to_scale(&found.collect::<Vec<_>>(), &way, 1e-4 * scale, &format!("{}, {about}", own.name));
                }
            }
        }
    }
}

#[test]
fn the_reference_agrees_with_finite_differences() {
    for (name, graph) in graphs() {
        let case = Case::new(&graph, 1.0, 3, 9);
        let (values, images) = (case.values(), case.images64());
        let found = gradients(&graph, &values, &images, &case.labels);
        for own in graph.parameters().iter().filter(|own| !own.role.is_buffer()) {
            for index in (0..own.len()).step_by(own.len() / 5 + 1) {
                let loss = |shift: f64| {
                    let mut moved = values.clone();
                    moved.get_mut(&own.name).expect("there")[index] += shift;
                    gradients(&graph, &moved, &images, &case.labels).loss
                };
                let (slope, expected) = ((loss(1e-6) - loss(-1e-6)) / 2e-6, found.gradients[&own.name][index]);
                assert!((slope - expected).abs() < 1e-6, "{name}, {}, {index}: {slope}, {expected}", own.name);
            }
        }
    }
}

#[test]
fn predictions_are_those_of_the_graph() {
    for (name, graph) in graphs() {
        let case = Case::new(&graph, 0.5, 19, 4);
        let weights: secateur_graph::Weights = case
            .values()
            .into_iter()
            .map(|(name, values)| (name, values.into_iter().map(|own| own as f32).collect()))
            .collect();
        let expected: Vec<f64> =
            case.images.iter().flat_map(|image| graph.forward(&weights, image)).map(f64::from).collect();
        for options in every_option() {
            let mut trainer = case.trainer(PLAIN, options);
            close(&case.predict(&mut trainer), &expected, 1e-4, &format!("{name}, {options:?}"));
        }
    }
}

#[test]
fn running_statistics_by_hand() {
    let norm = Op::BatchNorm(BatchNorm { epsilon: 1e-5, momentum: 0.25 });
    let graph = Graph::sequential(&[1], [("bn", norm), ("fc", Op::Linear(Linear::new(2)))]).expect("fits");
    let mut case = Case::new(&graph, 1.0, 4, 1);
    case.images = [1.0, 2.0, 3.0, 6.0].map(|value| vec![value]).to_vec();
    case.states.get_mut("bn.running_mean").expect("there").values = vec![1.0];
    case.states.get_mut("bn.running_var").expect("there").values = vec![2.0];
    for options in every_option() {
        let mut trainer = case.trainer(PLAIN, options);
        case.forward(&mut trainer);
        assert_eq!(case.export(&trainer), case.states, "the forward pass changes nothing");
        trainer.backward(&case.labels, &[], 0.1);
        let found = case.export(&trainer);
        // The mean is 3, the squared distances are 4 + 1 + 0 + 9 = 14, a third of which is the variance without bias.
        assert_eq!(found["bn.running_mean"].values, [0.75 * 1.0 + 0.25 * 3.0]);
        close(&found["bn.running_var"].values, &[0.75 * 2.0 + 0.25 * 14.0 / 3.0], 1e-6, "variance");
        // Recalibrated: nothing is left of what was, and batches count alike.
        let mut trainer = case.trainer(PLAIN, options);
        let recalibrate = |trainer: &mut GraphTrainer, batch: &[[f32; 1]], number: usize| {
            let rows: Vec<&[f32]> = batch.iter().map(<[f32; 1]>::as_slice).collect();
            trainer.recalibrate(Images::Floats { rows: &rows }, number);
        };
        recalibrate(&mut trainer, &[[1.0], [2.0], [3.0], [6.0]], 0);
        recalibrate(&mut trainer, &[[4.0], [6.0]], 1);
        recalibrate(&mut trainer, &[], 2);
        let mut expected = case.states.clone();
        expected.get_mut("bn.running_mean").expect("there").values = vec![4.0];
        expected.get_mut("bn.running_var").expect("there").values = vec![f32::midpoint(14.0 / 3.0, 2.0)];
        assert_eq!(case.export(&trainer), expected);
        assert_eq!(trainer.time(), 0);
    }
}

#[test]
fn the_same_bytes_for_any_number_of_threads_and_across_an_export() {
    let adam = Optimizer::Adam { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 1e-3, decoupled: false };
    let cut_to_a_length = Update { max_norm: Some(0.1), label_smoothing: 0.1, ..adam.into() };
    for ((name, graph), update) in
        graphs().into_iter().flat_map(|own| [(own.clone(), adam.into()), (own, cut_to_a_length)])
    {
        let case = Case::new(&graph, 0.4, 70, 3);
        for Options { instruction_set, crossovers, .. } in every_option() {
            let options = |threads| Options { threads, instruction_set, crossovers, ..Options::default() };
            let mut whole = case.trainer(update, options(1));
            (0..4).for_each(|_| drop(case.step(&mut whole, 1e-2)));
            let mut cut = case.trainer(update, options(3));
            (0..2).for_each(|_| drop(case.step(&mut cut, 1e-2)));
            let states = case.export(&cut);
            let mut cut = case.resumed(&states, update, cut.time(), options(2));
            assert_eq!(case.export(&cut), states, "{name}, {crossovers:?}");
            (0..2).for_each(|_| drop(case.step(&mut cut, 1e-2)));
            assert_eq!(case.export(&whole), case.export(&cut), "{name}, {crossovers:?}");
        }
    }
}

#[test]
fn pruned_weights_stay_zero_with_every_optimizer() {
    let optimizers = [
        Optimizer::Adam { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.1, decoupled: false },
        Optimizer::Adam { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.1, decoupled: true },
        Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.1 },
        Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.1 },
    ];
    let (_, graph) = graphs().swap_remove(1);
    let case = Case::new(&graph, 0.3, 20, 5);
    for optimizer in optimizers {
        for options in every_option() {
            let mut trainer = case.trainer(optimizer, options);
            (0..30).for_each(|_| drop(case.step(&mut trainer, 1e-2)));
            for (name, state) in &case.states {
                for values in case.export_all(&trainer, name) {
                    let pruned = values.iter().enumerate().filter(|(index, _)| state.kept.place(*index).is_none());
                    assert!(
                        pruned.into_iter().all(|(_, own)| own.to_bits() == 0),
                        "{name}, {optimizer:?}, {options:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn losses_follow_the_reference_for_many_steps() {
    let optimizers = [
        (Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 1e-3 }, 0.005),
        (Optimizer::Adam { betas: [0.9, 0.99], epsilon: 1e-6, weight_decay: 1e-3, decoupled: true }, 1e-3),
    ];
    let (_, graph) = graphs().swap_remove(1);
    for (optimizer, lr) in optimizers {
        let case = Case::new(&graph, 0.5, 24, 7);
        let (mut values, images) = (case.values(), case.images64());
        let mut moments: std::collections::BTreeMap<String, Vec<[f64; 2]>> =
            values.iter().map(|(name, own)| (name.clone(), vec![[0.0; 2]; own.len()])).collect();
        let mut expected = vec![];
        for time in 1..=100 {
            let found = gradients(&graph, &values, &images, &case.labels);
            expected.push(found.loss);
            for own in graph.parameters().iter().filter(|own| !own.role.is_buffer()) {
                let (all, moments) = (values.get_mut(&own.name).expect("there"), moments.get_mut(&own.name));
                let kept = &case.states[&own.name].kept;
                for (index, moments) in moments.expect("there").iter_mut().enumerate() {
                    if kept.place(index).is_some() {
                        let gradient = found.gradients[&own.name][index];
                        all[index] = moved(optimizer, (lr, time), all[index], gradient, moments);
                    }
                }
            }
        }
        assert!(expected[99] < 0.95 * expected[0], "it learns: {expected:?}");
        for options in every_option() {
            let mut trainer = case.trainer(optimizer, options);
            for (step, expected) in expected.iter().enumerate() {
                let (_, loss) = case.step(&mut trainer, lr);
                let tolerance = if step < 30 { 1e-5 } else { 1e-3 };
                let distance = (loss - expected).abs() / expected;
                assert!(distance < tolerance, "step {step}, {options:?}: expected {expected}, found {loss}");
            }
        }
    }
}

#[test]
fn a_loss_that_is_not_finite_changes_nothing() {
    for (name, graph) in graphs() {
        let mut case = Case::new(&graph, 0.4, 5, 3);
        for options in every_option() {
            let mut trainer = case.trainer(Optimizer::default(), options);
            case.step(&mut trainer, 1e-2);
            let (before, time) = (case.export(&trainer), trainer.time());
            let pixel = std::mem::replace(&mut case.images[2][0], f32::NAN);
            let (_, loss) = case.step(&mut trainer, 1e-2);
            case.images[2][0] = pixel;
            let same = |states: States, trainer: &GraphTrainer| {
                assert_eq!((states, trainer.time()), (before.clone(), time), "{name}, {options:?}");
            };
            // Not every graph reads its first pixel.
            if !loss.is_finite() {
                same(case.export(&trainer), &trainer);
                assert!(trainer.forward(Images::Floats { rows: &[] }).is_empty());
                assert!(trainer.backward(&[], &[], 1e-2).is_nan());
                same(case.export(&trainer), &trainer);
            }
            assert!(case.step(&mut trainer, 1e-2).1.is_finite());
        }
    }
}

#[test]
fn a_batch_may_have_another_size_than_the_one_before() {
    for (name, graph) in graphs() {
        let [large, small] = [40, 7].map(|batch| Case::new(&graph, 0.6, batch, 8));
        for options in every_option() {
            let mut fresh = small.trainer(PLAIN, options);
            let expected = small.forward(&mut fresh);
            let mut used = small.trainer(PLAIN, options);
            large.forward(&mut used);
            assert_eq!(small.forward(&mut used), expected, "{name}, {options:?}");
            used.backward(&small.labels, &[], 0.1);
            fresh.backward(&small.labels, &[], 0.1);
            assert_eq!(small.export(&used), small.export(&fresh), "{name}, {options:?}");
        }
    }
}

#[test]
fn layers_take_the_form_that_the_crossovers_say() {
    let (_, graph) = graphs().swap_remove(0);
    let case = Case::new(&graph, 0.2, 4, 2);
    for (crossovers, sparse) in [(Crossovers::DENSE, false), (Crossovers::SPARSE, true)] {
        let trainer = case.trainer(PLAIN, Options { crossovers, threads: 1, ..Options::default() });
        for path in trainer.paths() {
            let kept = case.states[&format!("{}.weight", path.name)].kept.kept();
            assert_eq!(path.kept, if sparse { kept } else { path.total }, "{}", path.name);
        }
        assert_eq!(trainer.paths().len(), 5);
    }
}
