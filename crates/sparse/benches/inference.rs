//! Times LeNet k with uniformly random masks in the engine, before and after compaction, and prints what was chosen.
//!
//!   cargo bench -p secateur-sparse --bench inference -- [K] [BATCH] [THREADS] [ROUNDS]

mod lenet;

use secateur_sparse::infer::{Engine, Forms, Options};
use secateur_sparse::{InstructionSet, Network};
use std::time::Instant;

fn main() {
    let [k, batch, threads, rounds] = lenet::arguments([5, 128, 2, 60]);
    for density in if let Some(own) = std::env::args().find_map(|a| a.strip_prefix("d=").and_then(|d| d.parse().ok())) {
        vec![own]
    } else {
        vec![1.0, 0.05, 0.02, 0.01]
    } {
        let network = lenet::masked(k, density);
        let options = Options { threads, ..Options::new(batch) };
        let report = |what: &str, network: &Network, options: &Options| {
            let began = Instant::now();
            let mut engine = Engine::new(network, options);
            let tuned = began.elapsed().as_secs_f64();
            let images: Vec<f32> = (0..batch * 784).map(|place| (place * 7919 % 256) as f32 / 255.0 - 0.5).collect();
            let mut logits = engine.logits(&images);
            let times = (0..rounds).map(|_| {
                let began = Instant::now();
                engine.logits_into(&images, &mut logits);
                began.elapsed().as_secs_f64()
            });
            let rate = batch as f64 / lenet::median(times.collect());
            let plan = engine.plan();
            let steps: Vec<String> = plan
                .steps
                .iter()
                .map(|step| {
                    let tried: Vec<String> = step.tried.iter().map(|t| format!("{} {:.2}", t.form, t.us)).collect();
                    format!("{}: {} ({})", step.name, step.form, tried.join(", "))
                })
                .collect();
            println!(
                "density {density:<5} {what:<9} {rate:>10.0} images/s, {:.2} MB, tuned in {tuned:.2} s, {:?} x{} {}",
                engine.bytes() as f64 / 1e6,
                plan.lanes,
                plan.blocks,
                steps.join("; ")
            );
        };
        report("sparse", &network, &options);
        if density == 1.0 {
            report("dense", &network, &Options { forms: Forms::Dense, ..options });
        }
        report("avx2", &network, &Options { instruction_set: InstructionSet::Avx2, ..options });
    }
}
