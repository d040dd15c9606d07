//! Times each layer of LeNet k, forward and backward, and says how far it is from the machine's own peak, which is
//! measured in the same run. The work counted is that of matrix products over the weights that are kept; a convolution's
//! backward pass does less, since pooling and relu stop most of the gradient, and so may come out above the peak.
//!
//!   cargo bench -p secateur-sparse --bench layers -- [K] [BATCH] [THREADS] [ROUNDS]

mod lenet;

use lenet::Subject;
use secateur_sparse::train::{Crossovers, Options};
use secateur_sparse::{InstructionSet, Trained, peak};

fn main() {
    let [k, batch, threads, rounds] = lenet::arguments([5, 128, 2, 30]);
    println!("LeNet k={k}, batch {batch}, {threads} threads, medians of {rounds} steps");
    for set in InstructionSet::available().into_iter().rev() {
        let most = peak(set, threads);
        println!("{}: peak {:.1} G multiply-accumulates/s", set.name(), most / 1e9);
        for (density, crossovers) in [(1.0, Crossovers::DENSE), (0.05, Crossovers::SPARSE)] {
            // Every unit is computed, so that the work is the same at every density.
            let options = Options { threads, instruction_set: set, crossovers, compact: false };
            let mut subject = Subject::new(k, batch, density, options);
            let macs = macs(&lenet::lenet(k), density, batch);
            let times = subject.layer_times(rounds);
            for (place, ((name, macs), [forward, backward])) in macs.into_iter().zip(times).enumerate() {
                let share = |work: f64, seconds: f64| 100.0 * work / seconds / most;
                // The first layer has no gradient to hand on.
                let back = if place == 0 { macs } else { 2.0 * macs };
                println!(
                    "  density {density:<4} {name:<6} forward {:7.3} ms {:5.1} % of peak, backward {:7.3} ms {:5.1} %",
                    forward * 1e3,
                    share(macs, forward),
                    backward * 1e3,
                    share(back, backward)
                );
            }
        }
    }
}

/// Name and multiply-accumulates of each layer's forward pass over a batch; of a convolution only what pooling reads.
fn macs(network: &Trained, density: f64, batch: usize) -> Vec<(String, f64)> {
    let mut found = vec![];
    let graph = &network.graph;
    for own in network.layers() {
        let node = graph.nodes().iter().find(|node| node.name == own.name).expect("it is a node");
        let &[_, rows, columns] = graph.shape(node.output) else {
            found.push((own.name.to_owned(), (own.weight.len() * batch) as f64 * density));
            continue;
        };
        let even = |side: usize| if side > 1 { side / 2 * 2 } else { 1 };
        let macs = own.weight.len() * even(rows) * even(columns) * batch;
        found.push((own.name.to_owned(), macs as f64 * density));
    }
    found
}
