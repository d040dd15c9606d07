//! The trainer against its slow twin, in every form, on every instruction set, with odd sizes.

mod reference;

use reference::gradients;
use secateur_sparse::train::{Crossovers, Images, LayerState, Options, Tensor, TensorMut, Trainer};
use secateur_sparse::{Conv2d, InstructionSet, Layer, Linear, Network, Optimizer};

const TABLE: [f32; 256] = {
    let mut table = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte as f32 / 255.0 - 0.5;
        byte += 1;
    }
    table
};

/// A network with random weights, of which a share is kept, and a batch for it.
struct Case {
    network: Network,
    kept: Vec<[Vec<u8>; 2]>,
    images: Vec<Vec<u8>>,
    labels: Vec<u8>,
}

/// Weight, bias, and two moments of each, of one layer.
type State = [Vec<f32>; 6];

impl Case {
    fn new(network: Network, density: f64, batch: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut kept = vec![];
        let filled = network.filled(|layer| {
            let mut bits = |values: &mut Vec<f32>| {
                let mut bits = vec![0u8; values.len().div_ceil(8)];
                for (place, value) in values.iter_mut().enumerate() {
                    let keeps = f64::from(random.next()) < density;
                    bits[place / 8] |= u8::from(keeps) << (place % 8);
                    *value = if keeps { random.next() - 0.5 } else { 0.0 };
                }
                bits
            };
            kept.push([bits(layer.weight), bits(layer.bias)]);
            Ok::<(), secateur_sparse::Error>(())
        });
        let network = filled.expect("only values changed");
        let pixels: usize = network.input().iter().product();
        let classes = network.shape(network.layers().len())[0];
        let images = (0..batch).map(|_| (0..pixels).map(|_| (random.next() * 255.0) as u8).collect()).collect();
        let labels = (0..batch).map(|_| (random.next() * classes as f32) as u8).collect();
        Self { network, kept, images, labels }
    }

    fn trainer(&self, optimizer: Optimizer, options: Options) -> Trainer {
        let states: Vec<State> = self
            .network
            .parameters()
            .map(|own| {
                let zeros = |values: &[f32]| vec![0.0; values.len()];
                let (w, b) = (own.weight, own.bias);
                [w.to_vec(), b.to_vec(), zeros(w), zeros(w), zeros(b), zeros(b)]
            })
            .collect();
        self.resumed(&states, optimizer, 0, options)
    }

    fn resumed(&self, states: &[State], optimizer: Optimizer, time: u64, options: Options) -> Trainer {
        let states: Vec<LayerState<'_>> = states
            .iter()
            .zip(&self.kept)
            .map(|([weight, bias, w1, w2, b1, b2], [kept, kept_bias])| LayerState {
                weight: Tensor { values: weight, moments: [w1, w2], kept: Some(kept), inputs_first: false },
                bias: Tensor { values: bias, moments: [b1, b2], kept: Some(kept_bias), inputs_first: false },
            })
            .collect();
        Trainer::new(&self.network, &states, optimizer, time, options).expect("a network that can be trained")
    }

    fn step(&self, trainer: &mut Trainer, lr: f64) -> Vec<f32> {
        let rows: Vec<&[u8]> = self.images.iter().map(Vec::as_slice).collect();
        let logits = trainer.forward(Images { rows: &rows, table: &TABLE });
        trainer.backward(&self.labels, lr);
        logits
    }

    fn export(&self, trainer: &Trainer) -> Vec<State> {
        let mut found = vec![];
        for (place, own) in self.network.parameters().enumerate() {
            let (w, b) = (vec![0.0; own.weight.len()], vec![0.0; own.bias.len()]);
            let [mut weight, mut w1, mut w2] = [w.clone(), w.clone(), w];
            let [mut bias, mut b1, mut b2] = [b.clone(), b.clone(), b];
            trainer.export(
                place,
                TensorMut { values: &mut weight, moments: [&mut w1, &mut w2], inputs_first: false },
                TensorMut { values: &mut bias, moments: [&mut b1, &mut b2], inputs_first: false },
            );
            found.push([weight, bias, w1, w2, b1, b2]);
        }
        found
    }
}

fn conv(name: &str, inputs: usize, outputs: usize, kernel: usize) -> Layer {
    let (weight, bias) = (vec![0.0; outputs * inputs * kernel * kernel], vec![0.0; outputs]);
    Layer::Conv2d(Conv2d { name: name.into(), inputs, outputs, kernel, stride: 1, padding: 0, weight, bias })
}

fn linear(name: &str, inputs: usize, outputs: usize) -> Layer {
    let (weight, bias) = (vec![0.0; outputs * inputs], vec![0.0; outputs]);
    Layer::Linear(Linear { name: name.into(), inputs, outputs, weight, bias })
}

/// Networks with odd sizes: channels that fill no vector, kernels of every size, rows that pooling does not read.
fn networks() -> Vec<Network> {
    let pool = || Layer::MaxPool2d { size: 2 };
    let build = |input, layers| Network::new(input, layers).expect("fits");
    vec![
        build([1, 3, 3], vec![Layer::Flatten, linear("a", 9, 7), Layer::Relu, linear("b", 7, 3)]),
        build(
            [2, 5, 9],
            vec![
                Layer::Flatten,
                linear("a", 90, 37),
                Layer::Relu,
                linear("b", 37, 23),
                Layer::Relu,
                linear("c", 23, 10),
            ],
        ),
        build(
            [1, 12, 14],
            vec![
                conv("a", 1, 7, 3),
                Layer::Relu,
                pool(),
                conv("b", 7, 18, 3),
                pool(),
                Layer::Relu,
                Layer::Flatten,
                linear("c", 36, 5),
            ],
        ),
        build(
            [3, 15, 13],
            vec![
                conv("a", 3, 11, 5),
                pool(),
                conv("b", 11, 19, 1),
                Layer::Relu,
                pool(),
                Layer::Flatten,
                linear("c", 76, 10),
            ],
        ),
        build([5, 9, 8], vec![conv("a", 5, 33, 7), Layer::Relu, pool(), Layer::Flatten, linear("b", 33, 4)]),
        build([17, 6, 6], vec![conv("a", 17, 21, 3), Layer::Relu, pool(), Layer::Flatten, linear("b", 84, 4)]),
        build([40, 8, 8], vec![conv("a", 40, 6, 5), pool(), Layer::Flatten, linear("b", 24, 4)]),
    ]
}

fn every_option() -> Vec<Options> {
    let mut found = vec![];
    for instruction_set in InstructionSet::available() {
        for crossovers in [Crossovers::DENSE, Crossovers::SPARSE] {
            found.push(Options { threads: 2, instruction_set, crossovers });
        }
    }
    found
}

const PLAIN: Optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };

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
                for (layer, (own, (weight, bias))) in case.network.parameters().zip(&wanted.layers).enumerate() {
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
                let moved = case.network.filled(|values| {
                    if own == layer {
                        values.weight[place] += shift;
                    }
                    own += 1;
                    Ok::<(), secateur_sparse::Error>(())
                });
                gradients(&moved.expect("only values changed"), &images, &case.labels).loss
            };
            let slope = (loss(step) - loss(-step)) / f64::from(2.0 * step);
            assert!((slope - weight[place]).abs() < 1e-4, "layer {layer}, {place}: {slope}, {}", weight[place]);
        }
    }
}

#[test]
fn the_same_bytes_for_any_number_of_threads_and_across_an_export() {
    let adam = Optimizer::Adam { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 1e-3, decoupled: false };
    for network in networks() {
        let case = Case::new(network, 0.4, 70, 3);
        for crossovers in [Crossovers::DENSE, Crossovers::SPARSE] {
            let options = |threads| Options { threads, crossovers, ..Options::default() };
            let mut whole = case.trainer(adam, options(1));
            for _ in 0..4 {
                case.step(&mut whole, 1e-2);
            }
            let mut cut = case.trainer(adam, options(3));
            for _ in 0..2 {
                case.step(&mut cut, 1e-2);
            }
            let mut cut = case.resumed(&case.export(&cut), adam, cut.time(), options(2));
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

/// Marsaglia's xorshift, enough for made-up numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1u64 << 24) as f32
    }
}
