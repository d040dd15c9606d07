//! A call of an engine takes no memory: whatever it needs is there from the first call on.
#![expect(unsafe_code, reason = "an allocator that counts")]

mod graphs;
mod networks;

use graphs::{graph, images, weights};
use networks::{lenet, pruned};
use secateur_sparse::infer::{Engine, Options};
use secateur_sparse::{InstructionSet, Ranges, Trained};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, and how often it was asked.
struct Counting;

static ASKED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: it is the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The only test of its program, so that nothing else allocates meanwhile.
#[test]
fn a_call_allocates_nothing() {
    let mut random = networks::Random(5);
    let mut networks = vec![pruned(&lenet(), &[0.9, 0.5, 0.05], &mut random)];
    for seed in 0..12 {
        let mut random = graphs::Random(seed);
        let graph = graph(&mut random);
        let weights = weights(&graph, &mut random);
        assert!(!images(&graph, 1, &mut random).is_empty());
        networks.push(Trained { graph, weights });
    }
    let (mut calls, before) = (0, ASKED.load(Ordering::Relaxed));
    assert!(before > 0, "it counts");
    for network in &networks {
        let pixels = network.input().iter().product::<usize>();
        for (batch, threads) in [(1, 1), (1, 2), (40, 1), (40, 3)] {
            for instruction_set in InstructionSet::available() {
                let options = Options { instruction_set, threads, ..Options::new(batch) };
                let floats = Engine::of(network, &options).expect("small");
                let images = vec![0.25; 40 * pixels];
                let ranges = Ranges::of_network(network, &images[..pixels], &options).expect("small");
                // Of what is no number there is no range.
                let bytes = Engine::over(network, &ranges, &options).ok();
                let mut logits = vec![0.0; 40 * network.classes()];
                for (mut engine, count) in
                    [Some(floats), bytes].into_iter().flatten().flat_map(|own| [(own.clone(), 40), (own, 1)])
                {
                    let (images, logits) = (&images[..count * pixels], &mut logits[..count * network.classes()]);
                    engine.logits_into(images, logits);
                    let before = ASKED.load(Ordering::Relaxed);
                    engine.logits_into(images, logits);
                    let found = ASKED.load(Ordering::Relaxed) - before;
                    assert_eq!(found, 0, "{count} images, batch {batch}, {threads} threads: {network:?}");
                    calls += 1;
                }
            }
        }
    }
    assert!(calls > 150, "{calls} calls");
}
