//! The way of an image through the network.

use super::{Image, SLACK, Scratch, Single};
use crate::InstructionSet;
use crate::infer::aligned::Aligned;
use crate::infer::form::Compiled;
use crate::infer::step::Step;
use crate::pool::Pool;
use std::mem::size_of;
use std::sync::Arc;

/// A compiled network that takes one image at a time. Copies share the steps, and have buffers of their own.
#[derive(Clone, Debug)]
pub(in crate::infer) struct Images {
    steps: Arc<[Box<dyn Compiled<Single>>]>,
    /// Numbers of the two buffers of a thread.
    sizes: [usize; 2],
    /// For each thread two rooms that an image goes back and forth between.
    rooms: Vec<([Aligned<f32>; 2], Scratch)>,
}

/// Numbers that each of the two buffers holds that an image goes back and forth between.
fn sizes(pixels: usize, steps: &[Step]) -> [usize; 2] {
    let mut sizes = [0; 2];
    let own = [pixels].into_iter().chain(steps.iter().map(|step| step.outputs));
    own.enumerate().for_each(|(turn, own)| sizes[turn % 2] = own.max(sizes[turn % 2]));
    sizes
}

/// Bytes of the buffers of these sizes, and of what lies in between.
fn needed([a, b]: [usize; 2], threads: usize) -> usize {
    // What a filter leaves before pooling is no larger than a channel that it reads; and every input may be active.
    let widest = a.max(b);
    [a, b, widest, widest, 4 * SLACK]
        .into_iter()
        .fold(0usize, usize::saturating_add)
        .saturating_mul(size_of::<f32>())
        .saturating_mul(threads)
}

impl Images {
    pub(in crate::infer) fn new(
        pixels: usize,
        steps: &[Step],
        compiled: Vec<Box<dyn Compiled<Single>>>,
        threads: usize,
    ) -> Self {
        Self { steps: compiled.into(), sizes: sizes(pixels, steps), rooms: vec![] }.on(threads)
    }

    /// The same steps for so many threads.
    pub(in crate::infer) fn on(&self, threads: usize) -> Self {
        let [a, b] = self.sizes;
        let room = |_| (self.sizes.map(|own| Aligned::zeros(own + SLACK)), Scratch::new(a.max(b)));
        Self { steps: Arc::clone(&self.steps), sizes: self.sizes, rooms: (0..threads).map(room).collect() }
    }

    /// Bytes of the buffers that an engine with so many threads holds; the largest `usize` when that is too few.
    pub(in crate::infer) fn buffer_bytes(pixels: usize, steps: &[Step], threads: usize) -> usize {
        needed(sizes(pixels, steps), threads)
    }

    /// The same for these steps on so many threads.
    pub(in crate::infer) fn needed(&self, threads: usize) -> usize {
        needed(self.sizes, threads)
    }

    pub(in crate::infer) fn weight_bytes(&self) -> usize {
        self.steps.iter().map(|own| own.bytes()).sum()
    }

    pub(in crate::infer) fn bytes(&self) -> usize {
        let room = |([a, b], scratch): &([Aligned<f32>; 2], Scratch)| {
            4 * (a.len() + b.len() + scratch.pixels.capacity() + scratch.active.capacity())
        };
        self.weight_bytes() + self.rooms.iter().map(room).sum::<usize>()
    }

    pub(in crate::infer) fn run(
        &mut self,
        pool: &Pool,
        set: InstructionSet,
        images: &[f32],
        logits: &mut [f32],
        [pixels, classes]: [usize; 2],
    ) {
        let steps = &self.steps;
        pool.each_chunk(&mut self.rooms, logits, classes, |([a, b], scratch), image, logits| {
            let (mut from, mut to) = (a, b);
            from[..pixels].copy_from_slice(&images[image * pixels..][..pixels]);
            for step in steps.iter() {
                step.run(set, Image { x: from, y: to, scratch });
                std::mem::swap(&mut from, &mut to);
            }
            logits.copy_from_slice(&from[..classes]);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::form::Mode;
    use crate::infer::simple::Simple;
    use crate::infer::step::Op;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Copies its inputs, and panics when it is told to.
    #[derive(Debug)]
    struct Panics(&'static AtomicBool);

    impl Compiled<Single> for Panics {
        fn bytes(&self) -> usize {
            0
        }

        fn run(&self, _: InstructionSet, Image { x, y, .. }: <Single as Mode>::Io<'_>) {
            assert!(!self.0.load(Ordering::Relaxed), "told to");
            y[..3].copy_from_slice(&x[..3]);
        }
    }

    #[test]
    fn a_panic_that_is_caught_leaves_the_buffers_where_they_are() {
        static TOLD: AtomicBool = AtomicBool::new(false);
        for threads in [1, 2] {
            let steps = [Step { name: "copy".into(), op: Op::Simple(Simple::Relu { shape: [3, 1, 1] }), outputs: 3 }];
            let pool = Pool::new(threads).expect("threads");
            let mut own = Images::new(3, &steps, vec![Box::new(Panics(&TOLD))], threads);
            let images: [f32; 3 * 40] = std::array::from_fn(|place| place as f32);
            let mut logits = [0.0; 3 * 40];
            let mut run = || own.run(&pool, InstructionSet::Portable, &images, &mut logits, [3, 3]);
            TOLD.store(true, Ordering::Relaxed);
            catch_unwind(AssertUnwindSafe(&mut run)).expect_err("it was told to");
            TOLD.store(false, Ordering::Relaxed);
            run();
            assert_eq!(logits, images);
        }
    }
}
