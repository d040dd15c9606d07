//! Times LeNet k with uniformly random masks in the engine, before and after compaction.
//!
//!   cargo bench -p secateur-sparse --bench inference -- [K] [BATCH] [THREADS] [ROUNDS]

mod lenet;

use secateur_sparse::infer::{Engine, Forms, Options};
use secateur_sparse::{InstructionSet, Trained};
use std::time::Instant;

fn main() {
    let [k, batch, threads, rounds] = lenet::arguments([5, 128, 2, 60]);
    for density in [1.0, 0.05, 0.02, 0.01] {
        let network = lenet::masked(k, density);
        let options = Options { threads, ..Options::new(batch) };
        let report = |what: &str, network: &Trained, options: &Options| {
            let began = Instant::now();
            let mut engine = Engine::of(network, options).expect("it fits");
            let compiled = began.elapsed().as_secs_f64();
            // Never the same images twice in a row: a processor would learn which of their numbers are zero.
            let calls: Vec<Vec<f32>> = (0..64).map(|call| images(batch, call)).collect();
            let mut logits = engine.logits(&calls[0]);
            let times = (0..rounds).map(|round| {
                let began = Instant::now();
                engine.logits_into(&calls[round % calls.len()], &mut logits);
                began.elapsed().as_secs_f64()
            });
            let rate = batch as f64 / lenet::median(times.collect());
            println!(
                "density {density:<5} {what:<9} {rate:>10.0} images/s, {:.2} MB, compiled in {compiled:.2} s",
                engine.bytes() as f64 / 1e6
            );
        };
        report("as it is", &network, &options);
        report("compacted", &network.compacted().0, &options);
        report("dense", &network, &Options { forms: Forms::Dense, ..options });
        if InstructionSet::Avx2.is_available() {
            report("avx2", &network, &Options { instruction_set: InstructionSet::Avx2, ..options });
        }
    }
}

/// Made-up images: a bright spot on a dark ground, at another place in each.
fn images(count: usize, seed: usize) -> Vec<f32> {
    let pixel = |place: usize| {
        let (image, row, column) = (place / 784 + 31 * seed, place / 28 % 28, place % 28);
        let (y, x) = (image * 7 % 20 + 4, image * 11 % 18 + 5);
        let distance = row.abs_diff(y) * row.abs_diff(y) / 3 + column.abs_diff(x) * column.abs_diff(x);
        1.0 - (distance as f32 / 20.0).min(1.0) - 0.5
    };
    (0..count * 784).map(pixel).collect()
}
