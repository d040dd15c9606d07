//! The way of a batch through the network: first block by block, from the first fully connected layer on a few blocks at a
//! time.

use super::{Batch, Blocks, Part, read, write};
use crate::InstructionSet;
use crate::infer::form::Compiled;
use crate::infer::step::{Op, Step};
use crate::lanes::{LANES, Lanes};
use crate::pool::Pool;
use std::mem::size_of;
use std::sync::Arc;

/// A compiled step, and the numbers that it gives for an image.
type Link = (Box<dyn Compiled<Batch>>, usize);

/// A compiled network with sixteen images in the lanes. Copies share the steps, and have buffers of their own.
#[derive(Clone, Debug)]
pub(in crate::infer) struct Batches {
    way: Arc<Way>,
    /// Blocks that go through the tail together.
    blocks: usize,
    /// The buffers of each thread.
    buffers: Vec<[Vec<Lanes>; 4]>,
}

/// What all threads read.
#[derive(Debug)]
struct Way {
    /// Steps before the first fully connected layer.
    head: Vec<Link>,
    tail: Vec<Link>,
    /// Numbers of an image where the head ends.
    features: usize,
    sizes: [usize; 4],
}

/// Steps before the first fully connected layer.
fn head(steps: &[Step]) -> usize {
    steps.iter().position(|step| matches!(step.op, Op::Linear(_))).unwrap_or(steps.len())
}

/// Numbers of an image that each of four buffers holds: two that the head goes back and forth between, for one block, and
/// two of the tail, for each of its blocks.
fn sizes(pixels: usize, steps: &[Step]) -> [usize; 4] {
    let (head, tail) = steps.split_at(head(steps));
    let mut sizes = [0; 4];
    // What the last step of the head leaves stands where the tail begins.
    let inner = head.iter().rev().skip(1).rev();
    let own = [pixels].into_iter().take(head.len()).chain(inner.map(|step| step.outputs));
    own.enumerate().for_each(|(turn, own)| sizes[turn % 2] = own.max(sizes[turn % 2]));
    let features = head.last().map_or(pixels, |step| step.outputs);
    let own = [features].into_iter().chain(tail.iter().map(|step| step.outputs));
    own.enumerate().for_each(|(turn, own)| sizes[2 + turn % 2] = own.max(sizes[2 + turn % 2]));
    sizes
}

/// Bytes of the buffers of these sizes.
fn needed([a, b, c, d]: [usize; 4], blocks: usize, threads: usize) -> usize {
    let sum = c.saturating_add(d).saturating_mul(blocks).saturating_add(a).saturating_add(b);
    sum.saturating_mul(size_of::<Lanes>()).saturating_mul(threads)
}

impl Batches {
    pub(in crate::infer) fn new(
        pixels: usize,
        steps: &[Step],
        compiled: Vec<Box<dyn Compiled<Batch>>>,
        blocks: usize,
        threads: usize,
    ) -> Self {
        let mut links: Vec<Link> = compiled.into_iter().zip(steps.iter().map(|step| step.outputs)).collect();
        let tail = links.split_off(head(steps));
        let features = links.last().map_or(pixels, |(_, outputs)| *outputs);
        let way = Arc::new(Way { head: links, tail, features, sizes: sizes(pixels, steps) });
        Self { way, blocks: 0, buffers: vec![] }.regrouped(blocks, threads)
    }

    /// Bytes of the buffers that an engine with so many blocks and threads holds; the largest `usize` when that is too few.
    pub(in crate::infer) fn buffer_bytes(pixels: usize, steps: &[Step], blocks: usize, threads: usize) -> usize {
        needed(sizes(pixels, steps), blocks, threads)
    }

    /// The same for these steps on so many threads.
    pub(in crate::infer) fn needed(&self, threads: usize) -> usize {
        needed(self.way.sizes, self.blocks, threads)
    }

    /// The same steps for so many threads, with buffers for so many blocks that go through the tail together.
    pub(in crate::infer) fn regrouped(&self, blocks: usize, threads: usize) -> Self {
        let sizes = self.way.sizes;
        let buffer = |place: usize| vec![Lanes::ZERO; sizes[place] * if place < 2 { 1 } else { blocks }];
        let buffers = (0..threads).map(|_| [0, 1, 2, 3].map(buffer)).collect();
        Self { way: Arc::clone(&self.way), blocks, buffers }
    }

    /// The same steps for so many threads.
    pub(in crate::infer) fn on(&self, threads: usize) -> Self {
        self.regrouped(self.blocks, threads)
    }

    pub(in crate::infer) fn weight_bytes(&self) -> usize {
        self.way.head.iter().chain(&self.way.tail).map(|(own, _)| own.bytes()).sum()
    }

    pub(in crate::infer) fn bytes(&self) -> usize {
        let buffers = self.buffers.iter().flatten().map(|buffer| buffer.len() * size_of::<Lanes>());
        self.weight_bytes() + buffers.sum::<usize>()
    }

    pub(in crate::infer) fn run(
        &mut self,
        pool: &Pool,
        set: InstructionSet,
        images: &[f32],
        logits: &mut [f32],
        [pixels, classes]: [usize; 2],
    ) {
        let Self { way, blocks: most, buffers } = self;
        // As many blocks together as were found best, but no thread without work.
        let blocks = (images.len() / pixels).div_ceil(LANES);
        let together = (*most).min(blocks.div_ceil(pool.threads())).max(1) * LANES;
        pool.each_chunk(buffers, logits, together * classes, |buffers, chunk, logits| {
            let images = &images[chunk * together * pixels..][..logits.len() / classes * pixels];
            way.head(set, buffers, images, pixels);
            way.tail(set, buffers, logits, classes);
        });
    }
}

impl Way {
    /// From the images of a few blocks to the features that the tail begins with.
    fn head(&self, set: InstructionSet, [a, b, features, _]: &mut [Vec<Lanes>; 4], images: &[f32], pixels: usize) {
        for (images, features) in images.chunks(LANES * pixels).zip(features.chunks_exact_mut(self.sizes[2])) {
            let Some((last, inner)) = self.head.split_last() else {
                read(set, images, pixels, &mut features[..pixels]);
                continue;
            };
            read(set, images, pixels, &mut a[..pixels]);
            let (mut from, mut to, mut length) = (&mut *a, &mut *b, pixels);
            for (step, outputs) in inner {
                step.run(set, Blocks::one(&from[..length], &mut to[..*outputs]));
                std::mem::swap(&mut from, &mut to);
                length = *outputs;
            }
            last.0.run(set, Blocks::one(&from[..length], &mut features[..self.features]));
        }
    }

    /// From the features of a few blocks to their logits.
    fn tail(&self, set: InstructionSet, [_, _, a, b]: &mut [Vec<Lanes>; 4], logits: &mut [f32], classes: usize) {
        let count = logits.len().div_ceil(LANES * classes);
        let (mut from, mut to, mut length) = ((a, self.sizes[2]), (b, self.sizes[3]), self.features);
        for (step, outputs) in &self.tail {
            let [inputs, written] =
                [(from.1, length), (to.1, *outputs)].map(|(stride, length)| Part { stride, length });
            step.run(set, Blocks { count, x: from.0, inputs, y: to.0, outputs: written });
            std::mem::swap(&mut from, &mut to);
            length = *outputs;
        }
        for (block, logits) in from.0.chunks_exact(from.1).zip(logits.chunks_mut(LANES * classes)) {
            write(block, classes, logits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::form::Mode;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Copies its inputs, and panics when it is told to.
    #[derive(Debug)]
    struct Panics(&'static AtomicBool);

    impl Compiled<Batch> for Panics {
        fn bytes(&self) -> usize {
            0
        }

        fn run(&self, _: InstructionSet, mut blocks: <Batch as Mode>::Io<'_>) {
            assert!(!self.0.load(Ordering::Relaxed), "told to");
            for block in 0..blocks.count {
                let x = blocks.x(block);
                blocks.y(block).copy_from_slice(x);
            }
        }
    }

    #[test]
    fn a_panic_that_is_caught_leaves_the_buffers_where_they_are() {
        static TOLD: AtomicBool = AtomicBool::new(false);
        for threads in [1, 2] {
            let simple = crate::infer::simple::Simple::Relu { shape: [3, 1, 1] };
            let steps = [Step { name: "copy".into(), op: Op::Simple(simple), outputs: 3 }];
            let pool = Pool::new(threads).expect("threads");
            let mut own = Batches::new(3, &steps, vec![Box::new(Panics(&TOLD))], 2, threads);
            let (images, mut logits) = ([0.5; 3 * 40], [0.0; 3 * 40]);
            let mut run = || own.run(&pool, InstructionSet::Portable, &images, &mut logits, [3, 3]);
            TOLD.store(true, Ordering::Relaxed);
            catch_unwind(AssertUnwindSafe(&mut run)).expect_err("it was told to");
            TOLD.store(false, Ordering::Relaxed);
            run();
            assert_eq!(logits, images);
        }
    }
}
