//! The way of a block of images, or of one image in tiles, through all steps.

use super::plan::Plan;
use super::single;
use super::step::Step;
use super::tiling::Tiling;
use crate::InstructionSet;
use crate::kernels::winograd::Workspace;
use crate::lanes::{LANES, Lanes};
use crate::pool::Pool;
use crate::train::graph::layout::Layout;
use crate::train::graph::pointwise::Read;
use std::ops::Range;

/// What a thread works in.
#[derive(Clone, Debug)]
pub(super) struct Scratch {
    /// By buffer of the plan.
    pub buffers: Vec<Vec<Lanes>>,
    pub workspaces: Workspaces,
}

/// What steps work in beside buffers.
#[derive(Clone, Debug)]
pub(super) struct Workspaces {
    pub winograd: Workspace,
    pub single: single::Workspace,
}

impl Scratch {
    /// What these steps need of it, so that no call takes memory.
    pub(super) fn new(plan: &Plan, steps: &Steps) -> Self {
        let filled = |(size, outside): &(usize, u32)| vec![Lanes([f32::from_bits(*outside); LANES]); *size];
        let buffers = plan.sizes.iter().map(filled).collect();
        let needed = steps.iter().filter_map(|(step, _)| step.workspace());
        let most = needed.reduce(|[a, b], [c, d]| [a.max(c), b.max(d)]);
        let winograd = most.map_or_else(Workspace::default, Workspace::with_capacity);
        let widest = steps.iter().map(|(step, _)| step.widest()).max().unwrap_or(0);
        Self { buffers, workspaces: Workspaces { winograd, single: single::Workspace::new(widest) } }
    }
}

/// The buffer that a step writes, and those that it may read.
struct Buffers<'a> {
    plan: &'a Plan,
    blocks: Blocks,
    before: &'a [Vec<Lanes>],
    behind: &'a [Vec<Lanes>],
}

/// Which blocks a step reads and writes of the values that are there for several.
#[derive(Clone, Copy)]
enum Blocks {
    One(usize),
    /// So many, from the first on.
    First(usize),
}

impl Blocks {
    /// What belongs to them in the buffer of a value.
    fn of(self, plan: &Plan, value: usize) -> Range<usize> {
        let size = plan.layouts[value].block();
        match self {
            Self::One(block) if plan.blocks[value] > 1 => block * size..(block + 1) * size,
            Self::One(_) => 0..size,
            Self::First(count) => 0..count * size,
        }
    }
}

impl<'a> Buffers<'a> {
    fn split(plan: &'a Plan, output: usize, blocks: Blocks, buffers: &'a mut [Vec<Lanes>]) -> (Self, &'a mut [Lanes]) {
        let (before, rest) = buffers.split_at_mut(plan.buffers[output]);
        let (y, behind) = rest.split_first_mut().expect("every value has a buffer");
        (Self { plan, blocks, before, behind }, &mut y[blocks.of(plan, output)])
    }

    fn read(&self, value: usize) -> Read<'a> {
        let (place, own) = (self.plan.buffers[value], self.before.len());
        let values = if place < own { &self.before[place] } else { &self.behind[place - own - 1] };
        Read { layout: self.plan.layouts[value], values: &values[self.blocks.of(self.plan, value)] }
    }
}

/// The steps of a plan, with the parts that threads compute of each.
pub(super) type Steps = [(Step, Vec<Range<usize>>)];

/// All steps, on one thread, on an image in tiles in the input's buffer.
pub(super) fn walk(set: InstructionSet, plan: &Plan, steps: &Steps, scratch: &mut Scratch) {
    walk_each(set, plan, steps, scratch, |_, _| {});
}

/// The same, also on a block of images, with a look at each value once it is computed.
pub(super) fn walk_each(
    set: InstructionSet,
    plan: &Plan,
    steps: &Steps,
    scratch: &mut Scratch,
    mut look: impl FnMut(usize, &Scratch),
) {
    for (step, _) in steps {
        compute(set, plan, step, Blocks::One(0), scratch);
        look(step.output, scratch);
    }
}

/// All steps, on one thread, on some blocks of images, each of which `read` puts into its place in turn: first block by block, then all of
/// them step by step.
pub(super) fn walk_blocks(
    set: InstructionSet,
    plan: &Plan,
    steps: &Steps,
    scratch: &mut Scratch,
    count: usize,
    mut read: impl FnMut(&mut [Lanes]),
) {
    let (head, tail) = steps.split_at(plan.tail.first);
    for block in 0..count {
        let place = Blocks::One(block).of(plan, plan.input);
        read(&mut scratch.buffers[plan.buffers[plan.input]][place]);
        head.iter().for_each(|(step, _)| compute(set, plan, step, Blocks::One(block), scratch));
    }
    for (step, _) in tail {
        if step.takes_blocks() {
            // Two at least go by, so that the sums of one are no others than those of many.
            compute(set, plan, step, Blocks::First(count.next_multiple_of(2)), scratch);
        } else {
            (0..count).for_each(|block| compute(set, plan, step, Blocks::One(block), scratch));
        }
    }
}

/// A step on one thread.
fn compute(set: InstructionSet, plan: &Plan, step: &Step, blocks: Blocks, scratch: &mut Scratch) {
    let Scratch { buffers, workspaces } = scratch;
    let (reads, y) = Buffers::split(plan, step.output, blocks, buffers);
    let layout = &plan.layouts[step.output];
    step.run(set, |value| reads.read(value), layout, 0..layout.channels, y, workspaces);
}

/// What a block has of a value.
pub(super) fn of_block<'a>(plan: &Plan, scratch: &'a Scratch, value: usize, block: usize) -> &'a [Lanes] {
    &scratch.buffers[plan.buffers[value]][Blocks::One(block).of(plan, value)]
}

/// All steps on all threads, each step in its parts.
pub(super) fn walk_together(pool: &Pool, set: InstructionSet, plan: &Plan, steps: &Steps, scratch: &mut [Scratch]) {
    let mut own = Lent { buffers: std::mem::take(&mut scratch[0].buffers), scratch };
    let Lent { scratch, buffers } = &mut own;
    for (step, parts) in steps {
        let (reads, y) = Buffers::split(plan, step.output, Blocks::One(0), buffers);
        let layout = &plan.layouts[step.output];
        pool.each_part(scratch, y, parts, layout.plane(), |scratch, channels, y| {
            step.run(set, |value| reads.read(value), layout, channels, y, &mut scratch.workspaces);
        });
    }
}

/// The first thread's buffers, which all threads read for a while, and which it gets back, after a panic, too.
struct Lent<'a> {
    scratch: &'a mut [Scratch],
    buffers: Vec<Vec<Lanes>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.scratch[0].buffers = std::mem::take(&mut self.buffers);
    }
}

/// Cuts an image, `[channel][row][column]`, into tiles.
pub(super) fn cut(image: &[f32], layout: &Layout, tiling: &Tiling, to: &mut [Lanes]) {
    if tiling.is_packed() {
        to.iter_mut().zip(image.chunks(LANES)).for_each(|(to, own)| to.0[..own.len()].copy_from_slice(own));
        return;
    }
    let [height, width] = tiling.image;
    for (image, plane) in image.chunks_exact(height * width).zip(to.chunks_exact_mut(layout.plane())) {
        for (row, line) in image.chunks_exact(width).enumerate() {
            let first = layout.at(row % layout.height, 0);
            let lanes = row / layout.height * tiling.grid[1]..;
            for (lane, own) in lanes.zip(line.chunks(layout.width)) {
                for (to, value) in plane[first..].iter_mut().zip(own) {
                    to.0[lane] = *value;
                }
            }
        }
    }
}
