//! The engine's calls under divan: LeNet k=5 with uniformly random masks, at batch 1 on one thread and batch 128 on all.
//!
//!   cargo bench -p secateur-sparse --bench engine

mod lenet;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use secateur_sparse::Trained;
use secateur_sparse::infer::{Engine, Forms, Options};

/// Sparsities in percent.
const SPARSITIES: [u32; 4] = [0, 95, 98, 99];

fn main() {
    divan::main();
}

fn network(sparsity: u32) -> Trained {
    lenet::masked(5, 1.0 - f64::from(sparsity) / 100.0)
}

fn call(bencher: Bencher<'_, '_>, network: &Trained, batch: usize, forms: Forms) {
    let threads = if batch == 1 { 1 } else { Options::new(batch).threads };
    let mut engine = Engine::of(network, &Options { threads, forms, ..Options::new(batch) }).expect("it fits");
    let images: Vec<f32> = (0..batch * 784).map(|place| (place * 7919 % 256) as f32 / 255.0 - 0.5).collect();
    let mut logits = engine.logits(&images);
    bencher.counter(ItemsCount::new(batch)).bench_local(|| {
        engine.logits_into(black_box(&images), &mut logits);
        black_box(logits[0])
    });
}

#[divan::bench(args = SPARSITIES, consts = [1, 128])]
fn dense<const BATCH: usize>(bencher: Bencher<'_, '_>, sparsity: u32) {
    call(bencher, &network(sparsity), BATCH, Forms::Dense);
}

#[divan::bench(args = SPARSITIES, consts = [1, 128])]
fn sparse<const BATCH: usize>(bencher: Bencher<'_, '_>, sparsity: u32) {
    call(bencher, &network(sparsity), BATCH, Forms::Any);
}

#[divan::bench(args = SPARSITIES, consts = [1, 128])]
fn compacted<const BATCH: usize>(bencher: Bencher<'_, '_>, sparsity: u32) {
    call(bencher, &network(sparsity).compacted().0, BATCH, Forms::Any);
}
