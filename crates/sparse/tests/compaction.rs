//! A trainer without the units that its masks cut off, against one that computes them all.

mod case;
mod networks;

use case::{Case, PLAIN, Random, State, every_option, networks};
use networks::{chain, filled, flatten, linear, parameters, relu};
use secateur_sparse::train::{ChainTrainer, Crossovers, LayerPath, Options, Path};
use secateur_sparse::{InstructionSet, Optimizer, Trained};

const ADAM: Optimizer = Optimizer::Adam { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 1e-2, decoupled: false };
const ADAM_W: Optimizer = Optimizer::Adam { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 1e-2, decoupled: true };
const NESTEROV: Optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 1e-2 };

/// Whether the masks know the biases, or all of them are kept, as where only weights are pruned.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Biases {
    Masked,
    Kept,
}

fn case(network: Trained, density: f64, biases: Biases, batch: usize) -> Case {
    let mut case = Case::new(network, density, batch, 11);
    if biases == Biases::Kept {
        let mut random = Random(5);
        case.network = filled(&case.network, |_, bias| bias.iter_mut().for_each(|bias| *bias = random.next() - 0.5));
        case.kept.iter_mut().for_each(|[_, bits]| bits.fill(u8::MAX));
    }
    case
}

/// Every network, at densities at which units are cut off, and at which none are.
fn sweep(mut each: impl FnMut(&Case, &str)) {
    for (place, network) in networks().into_iter().enumerate() {
        for (density, batch) in [(1.0, 3), (0.3, 1), (0.12, 33), (0.05, 16), (0.05, 1), (0.01, 20), (0.0, 5)] {
            for biases in [Biases::Masked, Biases::Kept] {
                let about = format!("network {place}, density {density}, batch {batch}, biases {biases:?}");
                each(&case(network.clone(), density, biases, batch), &about);
            }
        }
    }
}

fn bits(states: &[State]) -> Vec<Vec<u32>> {
    states.iter().flatten().map(|values| values.iter().map(|value| value.to_bits()).collect()).collect()
}

fn units(trainer: &ChainTrainer) -> Vec<[usize; 2]> {
    trainer.paths().iter().map(|path| [path.units, path.all_units]).collect()
}

/// Within 1e-5 of the largest value.
fn close(found: &[f32], wanted: &[f32], about: &str) {
    assert_eq!(found.len(), wanted.len(), "{about}");
    let scale = wanted.iter().fold(1e-2f32, |most, value| most.max(value.abs()));
    for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= 1e-5 * scale, "{about}, value {place}: {found}, wanted {wanted}");
    }
}

#[test]
fn it_learns_what_the_whole_network_learns() {
    let mut left_out = 0;
    sweep(|case, about| {
        for options in every_option() {
            let about = format!("{about}, {options:?}");
            let mut found = case.trainer(PLAIN, options);
            let mut wanted = case.trainer(PLAIN, Options { compact: false, ..options });
            left_out += units(&found).iter().map(|[units, all]| all - units).sum::<usize>();
            assert!(units(&wanted).iter().all(|[units, all]| units == all), "{about}");
            for _ in 0..5 {
                close(&case.step(&mut found, 0.1), &case.step(&mut wanted, 0.1), &about);
            }
            // Without momentum and decay nothing moves what belongs to a unit that is cut off.
            for (found, wanted) in case.export(&found).iter().zip(case.export(&wanted)) {
                close(&found[0], &wanted[0], &about);
                close(&found[1], &wanted[1], &about);
            }
        }
    });
    assert!(left_out > 1000, "units were cut off: {left_out}");
}

#[test]
fn its_answers_are_those_of_the_whole_network_whatever_the_optimizer_does() {
    for optimizer in [ADAM, ADAM_W, NESTEROV] {
        sweep(|case, about| {
            for options in every_option() {
                let mut found = case.trainer(optimizer, options);
                let mut wanted = case.trainer(optimizer, Options { compact: false, ..options });
                for _ in 0..8 {
                    let about = format!("{about}, {options:?}, {optimizer:?}");
                    close(&case.step(&mut found, 1e-2), &case.step(&mut wanted, 1e-2), &about);
                }
            }
        });
    }
}

/// A state with made-up values and moments, pruned or not; every seventh value is `-0.0` and has no moments.
fn made_up(case: &Case) -> Vec<State> {
    let mut random = Random(23);
    let mut fill = |length: usize, shift: f32, seventh: f32| -> Vec<f32> {
        (0..length).map(|place| if place % 7 == 6 { seventh } else { random.next() - shift }).collect()
    };
    let mut state = |w: usize, b: usize| {
        let (weight, bias) = (fill(w, 0.5, -0.0), fill(b, 0.5, -0.0));
        [weight, bias, fill(w, 0.5, 0.0), fill(w, 0.0, 0.0), fill(b, 0.5, 0.0), fill(b, 0.0, 0.0)]
    };
    parameters(&case.network).map(|own| state(own.weight.len(), own.bias.len())).collect()
}

/// What is kept of it with this optimizer.
fn kept(case: &Case, state: &[State], optimizer: Optimizer) -> Vec<State> {
    let mut state = state.to_vec();
    for (own, [weights, biases]) in state.iter_mut().zip(&case.kept) {
        for (kind, values) in own.iter_mut().enumerate() {
            let bits = if [0, 2, 3].contains(&kind) { weights } else { biases };
            let remembers = optimizer.moments() > [0, 0, 0, 1, 0, 1][kind];
            for (place, value) in values.iter_mut().enumerate() {
                if bits[place / 8] >> (place % 8) & 1 == 0 || (kind > 1 && !remembers) {
                    *value = 0.0;
                }
            }
        }
    }
    state
}

#[test]
fn a_state_comes_back_byte_for_byte() {
    sweep(|case, about| {
        for optimizer in [ADAM, NESTEROV, PLAIN] {
            let wanted = kept(case, &made_up(case), optimizer);
            for options in every_option() {
                let about = format!("{about}, {options:?}, {optimizer:?}");
                let trainer = case.resumed(&wanted, optimizer, 7, options);
                assert_eq!(bits(&case.export(&trainer)), bits(&wanted), "{about}");
                let trainer = case.resumed(&made_up(case), optimizer, 7, options);
                assert_eq!(bits(&case.export(&trainer)), bits(&wanted), "{about}, without what is pruned");
            }
        }
    });
}

#[test]
fn it_goes_on_from_an_export_byte_for_byte() {
    sweep(|case, about| {
        let state = made_up(case);
        for optimizer in [ADAM, NESTEROV] {
            let tables = InstructionSet::available().into_iter().map(|instruction_set| Options {
                instruction_set,
                crossovers: Crossovers::table(instruction_set),
                ..Options::default()
            });
            for Options { instruction_set, crossovers, .. } in tables.chain(every_option()) {
                let options = |threads| Options { threads, instruction_set, crossovers, ..Options::default() };
                let mut whole = case.resumed(&state, optimizer, 7, options(1));
                let mut cut = case.resumed(&state, optimizer, 7, options(2));
                for _ in 0..6 {
                    case.step(&mut whole, 0.1);
                    case.step(&mut cut, 0.1);
                    let (kept, time) = (case.export_kept(&cut), cut.time());
                    cut.set(case.tensors(&kept, &case.kept()), time);
                }
                assert_eq!(units(&whole), units(&cut), "{about}, {crossovers:?}");
                assert_eq!(bits(&case.export(&whole)), bits(&case.export(&cut)), "{about}, {crossovers:?}");
            }
        }
    });
}

/// 2 inputs, 4 units, 2 outputs, all kept but what leads to unit 1 with its bias, and what leads out of unit 2.
fn by_hand() -> Case {
    let layers = vec![flatten(), linear("a", 4), relu(), linear("b", 2)];
    let mut case = Case::new(chain([1, 1, 2], layers), 1.0, 9, 3);
    case.kept = vec![[vec![0b1111_0011], vec![0b1101]], [vec![0b1011_1011], vec![0b11]]];
    case
}

#[test]
fn what_belongs_to_a_unit_that_is_cut_off_rests() {
    let case = by_hand();
    for options in every_option() {
        for optimizer in [ADAM, ADAM_W] {
            let before = kept(&case, &made_up(&case), optimizer);
            let mut trainer = case.resumed(&before, optimizer, 7, options);
            assert_eq!(units(&trainer), [[2, 4], [2, 2]]);
            case.step(&mut trainer, 1e-2);
            let after = case.export(&trainer);
            // Of unit 2 the weights into it and its bias; of unit 1 the weights out of it; pruned ones are zero anyway.
            let rests = [[vec![2, 3, 4, 5], vec![1, 2]], [vec![1, 2, 5, 6], vec![]]];
            for (layer, [weights, biases]) in rests.iter().enumerate() {
                for (kind, (before, after)) in before[layer].iter().zip(&after[layer]).enumerate() {
                    let rests = if [0, 2, 3].contains(&kind) { weights } else { biases };
                    for (place, (before, after)) in before.iter().zip(after).enumerate() {
                        let about = format!("layer {layer}, kind {kind}, place {place}, {options:?}, {optimizer:?}");
                        assert_eq!(before.to_bits() == after.to_bits(), rests.contains(&place), "{about}");
                    }
                }
            }
            // With other masks it is there again, as it was.
            let mut other = by_hand();
            other.kept.iter_mut().flatten().for_each(|bits| bits.fill(u8::MAX));
            let whole = other.resumed(&after, optimizer, 8, options);
            assert_eq!(units(&whole), [[4, 4], [2, 2]]);
            assert_eq!(bits(&other.export(&whole)), bits(&after));
        }
    }
}

#[test]
fn with_nothing_kept_the_answer_is_the_bias() {
    for network in networks() {
        let case = case(network, 0.0, Biases::Kept, 5);
        for options in every_option() {
            let mut trainer = case.trainer(PLAIN, options);
            let (last, hidden) = units(&trainer).split_last().map(|(last, own)| (*last, own.to_vec())).expect("layers");
            assert_eq!(last[0], last[1], "outputs are always computed");
            assert!(hidden.iter().all(|[units, _]| *units == 1), "{hidden:?}");
            let bias = parameters(&case.network).last().expect("layers").bias;
            assert_eq!(case.step(&mut trainer, 0.0), bias.repeat(5));
        }
    }
}

#[test]
fn a_layer_that_is_small_and_full_again_is_dense_again() {
    let layers = vec![flatten(), linear("a", 20), relu(), linear("b", 4)];
    let mut case = Case::new(chain([1, 2, 5], layers), 1.0, 9, 3);
    // Units 0, 8 and 16 are heard, by all four outputs.
    let heard = |place: usize| place.is_multiple_of(8);
    case.kept[1][0].fill(0);
    for place in (0..80).filter(|place| heard(place % 20)) {
        case.kept[1][0][place / 8] |= 1 << (place % 8);
    }
    for instruction_set in InstructionSet::available() {
        // Between 15 % and all of the weights lies where a layer changes its form.
        let crossovers = Crossovers { conv: 0.5, linear: 0.5 };
        let options = |compact| Options { compact, instruction_set, crossovers, ..Options::default() };
        let path = |compact| case.trainer(PLAIN, options(compact)).paths().swap_remove(1);
        let own = |path, kept| LayerPath { name: "b".into(), path, kept, total: 80, units: 4, all_units: 4 };
        assert_eq!(path(false), own(Path::Sparse, 12));
        assert_eq!(path(true), own(Path::Dense, 12));
        let first = case.trainer(PLAIN, options(true)).paths().swap_remove(0);
        let wanted = LayerPath { name: "a".into(), path: Path::Dense, kept: 30, total: 200, units: 3, all_units: 20 };
        assert_eq!(first, wanted);
    }
}
