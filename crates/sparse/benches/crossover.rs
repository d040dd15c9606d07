//! Measures, for each instruction set, below which share of kept weights a layer is faster with its kept weights only:
//! the numbers that the table in `train/crossover.rs` follows.
//!
//!   cargo bench -p secateur-sparse --bench crossover

use secateur_sparse::InstructionSet;
use secateur_sparse::train::Crossovers;

fn main() {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for set in InstructionSet::available() {
        for threads in [1, threads] {
            let (found, table) = (Crossovers::measure(threads, set), Crossovers::table(set));
            println!(
                "{:<9} {threads} threads: conv {:.2} (table {}), linear {:.2} (table {})",
                set.name(),
                found.conv,
                table.conv,
                found.linear,
                table.linear
            );
        }
    }
}
