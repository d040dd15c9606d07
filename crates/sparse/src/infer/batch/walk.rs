//! The way of a batch through the network: first block by block, from the first fully connected layer on a few blocks at a
//! time.

use super::{Batch, Blocks, read, write};
use crate::InstructionSet;
use crate::infer::form::Compiled;
use crate::infer::step::{Op, Step};
use crate::lanes::{LANES, Lanes};
use crate::pool::Pool;
use std::mem::size_of;

/// A compiled step, and the numbers that it gives for an image.
type Link = (Box<dyn Compiled<Batch>>, usize);

/// A compiled network with sixteen images in the lanes.
#[derive(Debug)]
pub(in crate::infer) struct Batches {
    /// Steps before the first fully connected layer.
    head: Vec<Link>,
    tail: Vec<Link>,
    /// Blocks that go through the tail together.
    blocks: usize,
    /// Numbers of an image where the head ends.
    features: usize,
    /// Numbers of an image that each of four rooms holds: two that the head goes back and forth between, for one block,
    /// and two of the tail, for each of its blocks.
    sizes: [usize; 4],
    /// The rooms of each thread.
    rooms: Vec<[Vec<Lanes>; 4]>,
}

impl Batches {
    pub(in crate::infer) fn new(
        pixels: usize,
        steps: &[Step],
        compiled: Vec<Box<dyn Compiled<Batch>>>,
        blocks: usize,
        threads: usize,
    ) -> Self {
        let first = steps.iter().position(|step| matches!(step.op, Op::Linear(_))).unwrap_or(steps.len());
        let mut head: Vec<Link> = compiled.into_iter().zip(steps.iter().map(|step| step.outputs)).collect();
        let tail = head.split_off(first);
        let features = head.last().map_or(pixels, |(_, outputs)| *outputs);
        let mut sizes = [0; 4];
        // What the last step of the head leaves stands where the tail begins.
        let inner = head.iter().take(first.saturating_sub(1));
        let own = [pixels].into_iter().take(first).chain(inner.map(|(_, outputs)| *outputs));
        own.enumerate().for_each(|(turn, own)| sizes[turn % 2] = own.max(sizes[turn % 2]));
        let own = [features].into_iter().chain(tail.iter().map(|(_, outputs)| *outputs));
        own.enumerate().for_each(|(turn, own)| sizes[2 + turn % 2] = own.max(sizes[2 + turn % 2]));
        let rooms = (0..threads).map(|_| Default::default()).collect();
        let mut own = Self { head, tail, blocks, features, sizes, rooms };
        own.regroup(blocks);
        own
    }

    /// Lets so many blocks go through the tail together, and makes room for them.
    pub(in crate::infer) fn regroup(&mut self, blocks: usize) {
        self.blocks = blocks;
        let room = |place: usize| vec![Lanes::ZERO; self.sizes[place] * if place < 2 { 1 } else { blocks }];
        self.rooms.fill_with(|| [room(0), room(1), room(2), room(3)]);
    }

    pub(in crate::infer) fn weight_bytes(&self) -> usize {
        self.head.iter().chain(&self.tail).map(|(own, _)| own.bytes()).sum()
    }

    pub(in crate::infer) fn bytes(&self) -> usize {
        self.weight_bytes() + self.rooms.iter().flatten().map(|room| room.len() * size_of::<Lanes>()).sum::<usize>()
    }

    pub(in crate::infer) fn run(
        &mut self,
        pool: &Pool,
        set: InstructionSet,
        images: &[f32],
        logits: &mut [f32],
        [pixels, classes]: [usize; 2],
    ) {
        let mut rooms = std::mem::take(&mut self.rooms);
        // As many blocks together as were found best, but no thread without work.
        let blocks = (images.len() / pixels).div_ceil(LANES);
        let together = self.blocks.min(blocks.div_ceil(pool.threads())).max(1) * LANES;
        let mut items: Vec<_> = images.chunks(together * pixels).zip(logits.chunks_mut(together * classes)).collect();
        let own = &*self;
        pool.each_with(&mut rooms, &mut items, |rooms, (images, logits)| {
            own.head(set, rooms, images, pixels);
            own.tail(set, rooms, logits, classes);
        });
        self.rooms = rooms;
    }

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
                step.run(set, Blocks { x: &[&from[..length]], y: &mut [&mut to[..*outputs]] });
                std::mem::swap(&mut from, &mut to);
                length = *outputs;
            }
            last.0.run(set, Blocks { x: &[&from[..length]], y: &mut [&mut features[..self.features]] });
        }
    }

    /// From the features of a few blocks to their logits.
    fn tail(&self, set: InstructionSet, [_, _, a, b]: &mut [Vec<Lanes>; 4], logits: &mut [f32], classes: usize) {
        let count = logits.len().div_ceil(LANES * classes);
        let (mut from, mut to, mut length) = ((a, self.sizes[2]), (b, self.sizes[3]), self.features);
        for (step, outputs) in &self.tail {
            let x: Vec<_> = from.0.chunks_exact(from.1).take(count).map(|own| &own[..length]).collect();
            let mut y: Vec<_> = to.0.chunks_exact_mut(to.1).take(count).map(|own| &mut own[..*outputs]).collect();
            step.run(set, Blocks { x: &x, y: &mut y });
            std::mem::swap(&mut from, &mut to);
            length = *outputs;
        }
        for (block, logits) in from.0.chunks_exact(from.1).zip(logits.chunks_mut(LANES * classes)) {
            write(block, classes, logits);
        }
    }
}
