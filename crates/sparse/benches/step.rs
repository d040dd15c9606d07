//! Times training steps of LeNet k on made-up images: dense and with frozen uniform masks, for each instruction set.
//!
//!   cargo bench -p secateur-sparse --bench step -- [K] [BATCH] [THREADS] [ROUNDS]

mod lenet;

use lenet::Subject;
use secateur_sparse::InstructionSet;
use secateur_sparse::train::{Crossovers, Options};

fn main() {
    let [k, batch, threads, rounds] = lenet::arguments([5, 128, 2, 30]);
    println!("LeNet k={k}, batch {batch}, {threads} threads, medians of {rounds} steps");
    for set in InstructionSet::available().into_iter().rev() {
        for density in [1.0, 0.5, 0.3, 0.1, 0.05, 0.02, 0.01] {
            let crossovers = Crossovers::table(set);
            let options = Options { threads, instruction_set: set, crossovers, compact: true };
            let times = Subject::new(k, batch, density, options).layer_times(rounds);
            let sum = |way: usize| times.iter().map(|layer| layer[way] * 1e3).sum::<f64>();
            let (forward, backward) = (sum(0), sum(1));
            let speed = batch as f64 / (forward + backward) * 1e3;
            println!(
                "{:<9} density {density:<4}: {:7.3} ms = forward {forward:.3} + backward {backward:.3}; {speed:8.0} images/s",
                set.name(),
                forward + backward
            );
        }
    }
}
