//! The way of a block of images, or of one image in tiles, through all steps.

use super::linear;
use super::plan::Plan;
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
    pub linear: linear::Workspace,
}

impl Scratch {
    /// What these steps need of it, so that no call takes memory.
    pub(super) fn new(plan: &Plan, steps: &[(Step, Vec<Range<usize>>)]) -> Self {
        let filled = |(size, outside): &(usize, u32)| vec![Lanes([f32::from_bits(*outside); LANES]); *size];
        let buffers = plan.sizes.iter().map(filled).collect();
        let needed = steps.iter().filter_map(|(step, _)| step.workspace());
        let most = needed.reduce(|[a, b], [c, d]| [a.max(c), b.max(d)]);
        let winograd = most.map_or_else(Workspace::default, Workspace::with_capacity);
        let widest = steps.iter().map(|(step, _)| step.widest()).max().unwrap_or(0);
        Self { buffers, workspaces: Workspaces { winograd, linear: linear::Workspace::new(widest) } }
    }
}

/// The buffer that a step writes, and those that it may read.
struct Buffers<'a> {
    plan: &'a Plan,
    before: &'a [Vec<Lanes>],
    behind: &'a [Vec<Lanes>],
}

impl<'a> Buffers<'a> {
    fn split(plan: &'a Plan, output: usize, buffers: &'a mut [Vec<Lanes>]) -> (Self, &'a mut [Lanes]) {
        let (before, rest) = buffers.split_at_mut(plan.buffers[output]);
        let (y, behind) = rest.split_first_mut().expect("every value has a buffer");
        (Self { plan, before, behind }, y)
    }

    fn read(&self, value: usize) -> Read<'a> {
        let (place, own) = (self.plan.buffers[value], self.before.len());
        let values = if place < own { &self.before[place] } else { &self.behind[place - own - 1] };
        Read { layout: self.plan.layouts[value], values }
    }
}

/// All steps, on one thread, on what stands in the input's buffer.
pub(super) fn walk(set: InstructionSet, plan: &Plan, steps: &[(Step, Vec<Range<usize>>)], scratch: &mut Scratch) {
    walk_each(set, plan, steps, scratch, |_, _| {});
}

/// The same, with a look at each value once it is computed.
pub(super) fn walk_each(
    set: InstructionSet,
    plan: &Plan,
    steps: &[(Step, Vec<Range<usize>>)],
    scratch: &mut Scratch,
    mut look: impl FnMut(usize, &Scratch),
) {
    for (step, _) in steps {
        let Scratch { buffers, workspaces } = scratch;
        let (reads, y) = Buffers::split(plan, step.output, buffers);
        let layout = &plan.layouts[step.output];
        step.run(set, |value| reads.read(value), layout, 0..layout.channels, y, workspaces);
        look(step.output, scratch);
    }
}

/// All steps on all threads, each step in its parts.
pub(super) fn walk_together(
    pool: &Pool,
    set: InstructionSet,
    plan: &Plan,
    steps: &[(Step, Vec<Range<usize>>)],
    scratch: &mut [Scratch],
) {
    let mut own = Lent { buffers: std::mem::take(&mut scratch[0].buffers), scratch };
    let Lent { scratch, buffers } = &mut own;
    for (step, parts) in steps {
        let (reads, y) = Buffers::split(plan, step.output, buffers);
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
