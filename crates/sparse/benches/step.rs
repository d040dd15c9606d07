//! Times training steps of LeNet k on made-up images: dense and with frozen uniform masks, for each instruction set.
//!
//!   cargo bench -p secateur-sparse --bench step -- [K] [BATCH] [THREADS] [ROUNDS]

use secateur_sparse::train::{Crossovers, Images, LayerState, Options, Tensor, Trainer};
use secateur_sparse::{Conv2d, InstructionSet, Layer, Linear, Network, Optimizer};
use std::time::Instant;

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let or = |place: usize, default| numbers.get(place).copied().unwrap_or(default);
    let (k, batch, threads, rounds) = (or(0, 5), or(1, 128), or(2, 2), or(3, 30));
    println!("LeNet k={k}, batch {batch}, {threads} threads, median of {rounds} steps");
    for set in InstructionSet::available().into_iter().rev() {
        for (density, crossovers) in [
            (1.0, Crossovers::DENSE),
            (0.5, Crossovers::SPARSE),
            (0.3, Crossovers::SPARSE),
            (0.1, Crossovers::SPARSE),
            (0.05, Crossovers::SPARSE),
            (0.02, Crossovers::SPARSE),
        ] {
            let options = Options { threads, instruction_set: set, crossovers, compact: true };
            let (forward, backward) = time(k, batch, density, options, rounds);
            let form = if density < 1.0 { "sparse" } else { "dense" };
            let total = forward + backward;
            let speed = batch as f64 / total * 1e3;
            println!(
                "{:<9} density {density:<5} {form}: {total:7.3} ms = forward {forward:.3} + backward {backward:.3}; {speed:8.0} images/s",
                set.name()
            );
        }
    }
}

fn time(k: usize, batch: usize, density: f64, options: Options, rounds: usize) -> (f64, f64) {
    let network = lenet(k);
    let mut random = Random(1);
    let states: Vec<(Vec<f32>, Vec<u8>, Vec<f32>)> = network
        .parameters()
        .map(|own| {
            let bound = 1.0 / (own.weight.len() as f32 / own.bias.len() as f32).sqrt();
            let weight = own.weight.iter().map(|_| (random.next() * 2.0 - 1.0) * bound).collect();
            let mut bits = vec![0u8; own.weight.len().div_ceil(8)];
            for place in 0..own.weight.len() {
                if f64::from(random.next()) < density {
                    bits[place / 8] |= 1 << (place % 8);
                }
            }
            (weight, bits, vec![0.0; own.bias.len()])
        })
        .collect();
    let plain = |values| Tensor { values, moments: [&[], &[]], kept: None, inputs_first: false };
    let states: Vec<LayerState<'_>> = states
        .iter()
        .map(|(weight, bits, bias)| LayerState {
            weight: Tensor { kept: (density < 1.0).then_some(bits.as_slice()), ..plain(weight) },
            bias: plain(bias),
        })
        .collect();
    let optimizer = Optimizer::Adam { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.0, decoupled: false };
    let mut trainer = Trainer::new(&network, &states, optimizer, 0, options).expect("a LeNet");
    let pixels: Vec<u8> = (0..batch * 784).map(|_| (random.next() * 255.0) as u8).collect();
    let rows: Vec<&[u8]> = pixels.chunks(784).collect();
    let labels: Vec<u8> = (0..batch).map(|image| (image % 10) as u8).collect();
    let table: [f32; 256] = std::array::from_fn(|byte| byte as f32 / 255.0 - 0.5);
    let (mut forward, mut backward) = (vec![], vec![]);
    for round in 0..rounds + 3 {
        let began = Instant::now();
        std::hint::black_box(trainer.forward(Images { rows: &rows, table: &table }));
        let between = Instant::now();
        trainer.backward(&labels, 1e-3);
        if round >= 3 {
            forward.push(between.duration_since(began).as_secs_f64() * 1e3);
            backward.push(between.elapsed().as_secs_f64() * 1e3);
        }
    }
    (median(forward), median(backward))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn lenet(k: usize) -> Network {
    let conv = |name: &str, inputs: usize, outputs: usize| {
        let (weight, bias) = (vec![0.0; outputs * inputs * 9], vec![0.0; outputs]);
        Layer::Conv2d(Conv2d { name: name.into(), inputs, outputs, kernel: 3, stride: 1, padding: 0, weight, bias })
    };
    let linear = |name: &str, inputs: usize, outputs: usize| {
        let (weight, bias) = (vec![0.0; outputs * inputs], vec![0.0; outputs]);
        Layer::Linear(Linear { name: name.into(), inputs, outputs, weight, bias })
    };
    let pool = || Layer::MaxPool2d { size: 2 };
    let layers = vec![
        conv("conv1", 1, 6 * k),
        Layer::Relu,
        pool(),
        conv("conv2", 6 * k, 16 * k),
        Layer::Relu,
        pool(),
        Layer::Flatten,
        linear("fc1", 400 * k, 120 * k),
        Layer::Relu,
        linear("fc2", 120 * k, 84 * k),
        Layer::Relu,
        linear("fc3", 84 * k, 10),
    ];
    Network::new([1, 28, 28], layers).expect("a LeNet fits together")
}

/// Marsaglia's xorshift, enough for made-up numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }
}
