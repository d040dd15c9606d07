//! Convolutions and fully connected layers, with all of their weights or with the kept ones only.

mod backward;
mod forward;
mod gradient;
mod input;
mod kept;
mod reduction;
pub(crate) mod winograd;

use super::geometry::{Geometry, Phase};
use super::layout::Layout;
use super::lists::Lists;
use super::pieces::{Piece, pieces, ranges};
use super::pointwise::Write;
use super::stored::Stored;
use crate::InstructionSet;
use crate::kernels::moments::Moments;
use crate::kernels::tile_gradients::{self, Pair};
use crate::kernels::tiles::TILE_ROWS;
use crate::kernels::update::Rule;
use crate::kernels::winograd::Workspace;
use crate::lanes::{LANES, Lanes};
use crate::simd::dispatch;
use crate::train::Context;
use backward::Backward;
use forward::{Forward, Gather};
use gradient::{Gradient, Part};
use input::Buffer;
pub(super) use input::Input;
use kept::Kept;
pub(super) use reduction::Reduction;
use reduction::{Reduce, by_block};
use std::ops::Range;
use winograd::{StartWith, Tiles, Winograd};

/// A convolution in training.
#[derive(Debug)]
pub(super) struct Conv {
    geometry: Geometry,
    pub weight: Stored,
    pub bias: Option<Stored>,
    /// Blocks that an item works on: several where an image has few positions.
    blocks: usize,
    forward: Phase,
    /// Offset of each weight of a filter in the input, `[channel][tap]`.
    offsets: Vec<u32>,
    backward: Vec<Back>,
    pairs: Vec<Pair>,
    /// Where they cover everything, and all weights are held.
    tiles: Option<Tiles>,
    /// The kept weights of each filter, where only they are held, some input channels at a time.
    filters: Option<Lists>,
    /// Where the weights of each filter begin among those that are held, and where they end.
    firsts: Vec<usize>,
    /// Gradients of a group of blocks each.
    partial: [Vec<f32>; 2],
}

/// A phase of the way back.
#[derive(Debug)]
struct Back {
    phase: Phase,
    /// Offset of each weight of an input channel in the gradient, `[filter][tap]`.
    offsets: Vec<u32>,
    /// The kept weights of each input channel, where only they are held, some filters at a time.
    channels: Option<Lists>,
}

impl Back {
    /// The kept weights of each input channel.
    fn kept(&self) -> &Lists {
        self.channels.as_ref().expect("only kept weights are held")
    }
}

/// What a thread works in.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    weights: Vec<f32>,
    tile: Vec<f32>,
    bias: Vec<f32>,
    input: Buffer,
    gradient: Buffer,
    workspace: Workspace,
    /// Filters transformed for Winograd's tiles; the first thread's are those that all read.
    transformed: Vec<f32>,
}

/// Positions that an item works on at least, if there are as many: the work that pays for arranging its weights.
pub(crate) const POSITIONS: usize = 64;
/// The same of an image of several pixels where only kept weights are held, which are read as they stand: those of the largest
/// tile.
const LEAST_SPARSE_POSITIONS: usize = 16;
/// Vectors that are read at random while all weights go by: what the second-level cache holds.
pub(crate) const CACHED: usize = 512 * 1024 / size_of::<Lanes>();
/// Positions whose inputs stay in the second-level cache while all kept weights go by.
pub(crate) const SPARSE_POSITIONS: usize = 128;
/// Floats that the gradients of all groups of blocks may take.
const PARTIAL: usize = 1 << 18;

impl Conv {
    pub(super) fn new(geometry: Geometry, weight: Stored, bias: Option<Stored>) -> Self {
        let largest = geometry.x.block().max(geometry.dy.block());
        let pixels = geometry.y.pixels();
        let least = if weight.indices().is_some() && pixels > 1 { LEAST_SPARSE_POSITIONS } else { POSITIONS };
        let blocks = least.div_ceil(pixels).min((u32::MAX as usize / largest).max(1));
        let forward = geometry.forward(blocks);
        let spread = |count: usize, plane: usize, offsets: &[u32]| -> Vec<u32> {
            (0..count).flat_map(|channel| offsets.iter().map(move |own| own + (channel * plane) as u32)).collect()
        };
        let offsets = spread(geometry.inputs(), geometry.x.plane(), &forward.offsets);
        let [inputs_at_a_time, filters_at_a_time] = at_a_time(&geometry, blocks);
        let filters = weight.indices().map(|own| Lists::forward(&geometry, own, &offsets, inputs_at_a_time));
        let first = |filter: usize| match weight.indices() {
            Some(indices) => indices.partition_point(|own| (*own as usize) < filter * geometry.columns()),
            None => filter * geometry.columns(),
        };
        let firsts = (0..=geometry.y.channels).map(first).collect();
        let backward = geometry.backward(blocks).into_iter().map(|phase| Back {
            offsets: spread(geometry.filters(), geometry.dy.plane(), &phase.offsets),
            channels: weight.indices().map(|indices| Lists::backward(&geometry, indices, &phase, filters_at_a_time)),
            phase,
        });
        let (backward, pairs) = (backward.collect(), geometry.pairs(blocks));
        let tiles = if filters.is_some() { None } else { Tiles::new(&geometry, blocks) };
        let partial = [vec![], vec![]];
        Self { geometry, weight, bias, blocks, forward, offsets, backward, pairs, tiles, filters, firsts, partial }
    }

    /// Whether it holds its kept weights only.
    pub(super) fn is_sparse(&self) -> bool {
        self.filters.is_some()
    }

    /// Weights, pruned ones included.
    pub(super) fn weights(&self) -> usize {
        self.geometry.y.channels * self.geometry.columns()
    }

    /// Channels by which an item's ends are: a whole number of tiles.
    fn unit(&self, set: InstructionSet) -> usize {
        if self.is_sparse() {
            1
        } else if self.tiles.is_some() {
            TILE_ROWS
        } else {
            tile_rows(set)
        }
    }

    /// Writes the outputs; `x` and `y` are of whole blocks. For so many images, if they are wanted, gives the moments of
    /// each channel of each block, `[block][channel]`.
    pub(super) fn forward(
        &self,
        at: &Context<'_>,
        scratch: &mut [Scratch],
        x: Input<'_>,
        y: &mut [Lanes],
        images: Option<usize>,
    ) -> Vec<Moments> {
        let blocks = y.len() / self.geometry.y.block();
        let layout = &self.geometry.y;
        let items = blocks.div_ceil(self.blocks);
        let parts = parts(at, items, x.is_computed() || self.tiles.is_some());
        let channels = ranges(layout.channels, self.unit(at.set), parts);
        let pieces = pieces(y, layout, self.blocks, &channels).into_iter();
        let mut items: Vec<(Piece<'_>, Vec<Moments>)> = pieces.map(|piece| (piece, vec![])).collect();
        if let Some(tiles) = &self.tiles {
            let mut filters = std::mem::take(&mut scratch[0].transformed);
            self.transform(at, scratch, false, &mut filters);
            let (from, to) = (&self.geometry.x, layout);
            let start_with = self.bias.as_ref().map_or(StartWith::Zero, StartWith::Bias);
            at.pool.each_with(scratch, &mut items, |scratch, (item, moments)| {
                let (filters, tiles) = (&filters, &tiles.forward);
                let set = at.set;
                let task = Winograd { conv: self, scratch, input: x, from, to, filters, tiles, item, start_with, set };
                dispatch(at.set, task);
                dispatch(at.set, Gather { geometry: &self.geometry, item, images, moments });
            });
            scratch[0].transformed = filters;
        } else {
            at.pool.each_with(scratch, &mut items, |scratch, (item, moments)| {
                dispatch(at.set, Forward { conv: self, scratch, x, item, set: at.set, images, moments });
            });
        }
        if images.is_none() {
            return vec![];
        }
        let mut all = vec![Moments::default(); blocks * layout.channels];
        for (piece, moments) in items {
            let mut moments = moments.into_iter();
            for channel in piece.channels {
                for (block, own) in (piece.block..piece.block + piece.values.len()).zip(&mut moments) {
                    all[block * layout.channels + channel] = own;
                }
            }
        }
        all
    }

    /// Writes the gradient of the input `x`, or adds to it, if it is wanted, and moves the weights and the bias along theirs;
    /// `dy` is the gradient of the output. Gives what the reduction of the input's gradient finds, `[block][channel]`.
    pub(super) fn backward(
        &mut self,
        at: &Context<'_>,
        scratch: &mut [Scratch],
        rule: &Rule,
        [x, dy]: [Input<'_>; 2],
        mut dx: Option<Write<'_>>,
        reduction: Option<Reduction<'_>>,
    ) -> Vec<[f64; 2]> {
        let mut sums = vec![];
        if !self.is_sparse()
            && let Some(dx) = dx.take()
        {
            sums = self.inputs(at, scratch, dy, dx, reduction);
        }
        let [mut weights, mut biases] = std::mem::take(&mut self.partial);
        let (filters, blocks) = (self.geometry.y.channels, dy.blocks(&self.geometry.dy));
        let (each, each_bias) = (self.weight.padded(), filters.next_multiple_of(LANES));
        let groups = (PARTIAL / each.max(1)).clamp(1, blocks);
        let own = blocks.div_ceil(groups);
        let groups = blocks.div_ceil(own);
        weights.resize(groups * each, 0.0);
        biases.resize(groups * each_bias, 0.0);
        let has_overhead = x.is_computed() || dy.is_computed() || self.tiles.is_some();
        let parts = parts(at, groups, has_overhead);
        let unit = if self.is_sparse() { 1 } else { tile_gradients::tile_rows(at.set) };
        let rows = ranges(filters, unit, parts);
        let channels = ranges(self.geometry.x.channels, 1, rows.len());
        let adds = dx.as_ref().is_some_and(|own| own.adds);
        let mut pieces = match dx {
            Some(dx) => pieces(dx.values, &dx.layout, own, &channels).into_iter().map(Some).collect(),
            None => vec![],
        }
        .into_iter();
        let mut items = vec![];
        let mut parts = weights.chunks_exact_mut(each.max(1));
        for (group, mut biases) in biases.chunks_exact_mut(each_bias).enumerate() {
            // Without a kept weight there is a gradient of the bias only.
            let mut weights = parts.next().unwrap_or_default();
            for (place, rows) in rows.iter().enumerate() {
                let (weight, others) = weights.split_at_mut(self.place(rows.end) - self.place(rows.start));
                let (bias, other_biases) = biases.split_at_mut(rows.len());
                let (first, last) = (group * own, ((group + 1) * own).min(blocks));
                let dx = if place < channels.len() { pieces.next().flatten() } else { None };
                items.push((Part { blocks: first..last, rows: rows.clone(), weight, bias }, dx, vec![]));
                (weights, biases) = (others, other_biases);
            }
        }
        let (conv, set, from) = (&*self, at.set, [x, dy]);
        if !conv.is_sparse() {
            at.pool.each_with(scratch, &mut items, |scratch, (part, ..)| {
                dispatch(set, Gradient { conv, set, from, scratch, item: part });
            });
        } else {
            // What several blocks read for both gradients is more than the caches hold.
            let both = conv.blocks == 1;
            let turns: &[[bool; 2]] = if both { &[[true, true]] } else { &[[true, false], [false, true]] };
            for gradients in turns.iter().copied() {
                at.pool.each_with(scratch, &mut items, |scratch, (part, dx, sums)| {
                    let dx = dx.as_mut();
                    dispatch(set, Kept { conv, scratch, set, gradients, from, part, dx, adds, reduction, sums });
                });
            }
        }
        if self.is_sparse() {
            let found = items.into_iter().filter_map(|(_, dx, sums)| Some((dx?, sums)));
            sums = by_block(found, self.geometry.x.channels, blocks);
        } else {
            drop(items);
        }
        self.weight.update(at, rule, &weights);
        if let Some(bias) = &mut self.bias {
            bias.update(at, rule, &biases);
        }
        self.partial = [weights, biases];
        sums
    }

    /// Writes the gradient of the input, or adds to it, with all weights; gives what the reduction finds.
    fn inputs(
        &self,
        at: &Context<'_>,
        scratch: &mut [Scratch],
        dy: Input<'_>,
        dx: Write<'_>,
        reduction: Option<Reduction<'_>>,
    ) -> Vec<[f64; 2]> {
        let (Write { values, adds, .. }, layout, set) = (dx, &self.geometry.dx, at.set);
        let blocks = values.len() / layout.block();
        let parts = parts(at, blocks.div_ceil(self.blocks), dy.is_computed() || self.tiles.is_some());
        let channels = ranges(layout.channels, self.unit(set), parts);
        let pieces = pieces(values, layout, self.blocks, &channels).into_iter();
        let mut items: Vec<(Piece<'_>, Vec<[f64; 2]>)> = pieces.map(|piece| (piece, vec![])).collect();
        let mut filters = std::mem::take(&mut scratch[0].transformed);
        if self.tiles.is_some() {
            self.transform(at, scratch, true, &mut filters);
        }
        at.pool.each_with(scratch, &mut items, |scratch, (item, sums)| {
            if let Some(tiles) = &self.tiles {
                let (from, to, filters, tiles) = (&self.geometry.dy, layout, &filters, &tiles.backward);
                let start_with = if adds { StartWith::Output } else { StartWith::Zero };
                let input = dy;
                dispatch(set, Winograd { conv: self, scratch, input, from, to, filters, tiles, item, start_with, set });
            } else {
                dispatch(set, Backward { conv: self, scratch, dy, item, adds, set });
            }
            if let Some(reduction) = reduction {
                dispatch(set, Reduce { reduction, layout, item, sums });
            }
        });
        scratch[0].transformed = filters;
        by_block(items, layout.channels, blocks)
    }

    /// Where the weights of a filter begin among those that are held.
    fn place(&self, filter: usize) -> usize {
        self.firsts[filter]
    }
}

/// Input channels, and filters, whose values the caches hold while the kept weights that read some of their rows go by; about
/// equally many each time.
fn at_a_time(geometry: &Geometry, blocks: usize) -> [usize; 2] {
    let equal = |all: usize, layout: &Layout, stride: usize| {
        let rows = if blocks == 1 { sparse_rows(geometry) * stride } else { layout.height };
        let plane = ((rows + geometry.window.size[0]) * layout.columns()).min(layout.plane());
        let most = (CACHED / (blocks * plane)).clamp(1, all);
        all.div_ceil(all.div_ceil(most))
    };
    let stride = geometry.window.stride[0];
    [equal(geometry.inputs(), &geometry.x, stride), equal(geometry.filters(), &geometry.dy, 1)]
}

/// Rows of outputs that kept weights go by at a time, of one block.
fn sparse_rows(geometry: &Geometry) -> usize {
    (SPARSE_POSITIONS / geometry.y.width).max(1)
}

/// Parts of the channels that make enough items for all threads, of so many blocks; few, where each item has something to
/// do that is the same for all channels.
fn parts(at: &Context<'_>, blocks: usize, has_overhead: bool) -> usize {
    let each = if has_overhead { 2 } else { 8 };
    (each * at.pool.threads()).div_ceil(blocks.max(1))
}

/// Rows of a tile.
pub(crate) fn tile_rows(set: InstructionSet) -> usize {
    match set {
        InstructionSet::Portable => 2,
        InstructionSet::Avx2 | InstructionSet::Avx512 => TILE_ROWS,
    }
}

/// The first channel and the height of each of the tiles, about equally high, that cover some channels; none reaches over
/// the end of a group of `each`.
pub(crate) fn tiles(channels: Range<usize>, each: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = channels.start;
    std::iter::from_fn(move || {
        let left = ((first / each + 1) * each).min(channels.end) - first.min(channels.end);
        let count = left.div_ceil(left.div_ceil(most).max(1));
        first += count;
        (count > 0).then(|| (first - count, count))
    })
}
