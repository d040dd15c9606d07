//! Convolutions and fully connected layers, with all of their weights or with the kept ones only.

mod backward;
mod forward;
mod gradient;
mod input;
pub(crate) mod winograd;

use super::geometry::{Geometry, Phase};
use super::lists::Lists;
use super::pieces::{Piece, pieces, ranges};
use super::stored::Stored;
use crate::InstructionSet;
use crate::kernels::pointwise::Moments;
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
    /// The kept weights of each filter, where only they are held.
    filters: Option<Lists>,
    /// Gradients of a group of blocks each.
    partial: [Vec<f32>; 2],
}

/// A phase of the way back.
#[derive(Debug)]
struct Back {
    phase: Phase,
    /// Offset of each weight of an input channel in the gradient, `[filter][tap]`.
    offsets: Vec<u32>,
    /// The kept weights of each input channel, where only they are held.
    channels: Option<Lists>,
}

/// What a thread works in.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    weights: Vec<f32>,
    tile: Vec<f32>,
    bias: Vec<f32>,
    input: Buffer,
    workspace: Workspace,
    /// Filters transformed for Winograd's tiles; the first thread's are those that all read.
    transformed: Vec<f32>,
}

/// Positions that an item works on at least, if there are as many: the work that pays for arranging its weights.
pub(crate) const POSITIONS: usize = 64;
/// Positions whose inputs stay in the second-level cache while all kept weights go by.
pub(crate) const SPARSE_POSITIONS: usize = 128;
/// Floats that the gradients of all groups of blocks may take.
const PARTIAL: usize = 1 << 18;

impl Conv {
    pub(super) fn new(geometry: Geometry, weight: Stored, bias: Option<Stored>) -> Self {
        let largest = geometry.x.block().max(geometry.dy.block());
        let blocks = POSITIONS.div_ceil(geometry.y.pixels()).min((u32::MAX as usize / largest).max(1));
        let forward = geometry.forward(blocks);
        let spread = |count: usize, plane: usize, offsets: &[u32]| -> Vec<u32> {
            (0..count).flat_map(|channel| offsets.iter().map(move |own| own + (channel * plane) as u32)).collect()
        };
        let offsets = spread(geometry.inputs(), geometry.x.plane(), &forward.offsets);
        let filters = weight.indices().map(|indices| Lists::forward(&geometry, indices, &offsets));
        let backward = geometry.backward(blocks).into_iter().map(|phase| Back {
            offsets: spread(geometry.filters(), geometry.dy.plane(), &phase.offsets),
            channels: weight.indices().map(|indices| Lists::backward(&geometry, indices, &phase)),
            phase,
        });
        let (backward, pairs) = (backward.collect(), geometry.pairs(blocks));
        let tiles = if filters.is_some() { None } else { Tiles::new(&geometry, blocks) };
        let partial = [vec![], vec![]];
        Self { geometry, weight, bias, blocks, forward, offsets, backward, pairs, tiles, filters, partial }
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
                let task = Winograd { conv: self, scratch, input: x, from, to, filters, tiles, item, start_with };
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

    /// Writes the gradients of the inputs, or adds to them.
    pub(super) fn backward(
        &self,
        at: &Context<'_>,
        scratch: &mut [Scratch],
        dy: &[Lanes],
        dx: &mut [Lanes],
        adds: bool,
    ) {
        let layout = &self.geometry.dx;
        let items = (dx.len() / layout.block()).div_ceil(self.blocks);
        let parts = parts(at, items, self.tiles.is_some());
        let channels = ranges(layout.channels, self.unit(at.set), parts);
        let mut items = pieces(dx, layout, self.blocks, &channels);
        if let Some(tiles) = &self.tiles {
            let mut filters = std::mem::take(&mut scratch[0].transformed);
            self.transform(at, scratch, true, &mut filters);
            let (input, from, to) = (Input::Stored(dy), &self.geometry.dy, layout);
            let start_with = if adds { StartWith::Output } else { StartWith::Zero };
            at.pool.each_with(scratch, &mut items, |scratch, item| {
                let (filters, tiles) = (&filters, &tiles.backward);
                dispatch(at.set, Winograd { conv: self, scratch, input, from, to, filters, tiles, item, start_with });
            });
            scratch[0].transformed = filters;
            return;
        }
        at.pool.each_with(scratch, &mut items, |scratch, item| {
            dispatch(at.set, Backward { conv: self, scratch, dy, item, adds, set: at.set });
        });
    }

    /// Moves the weights and the bias along their gradients.
    pub(super) fn update(
        &mut self,
        at: &Context<'_>,
        scratch: &mut [Scratch],
        rule: &Rule,
        x: Input<'_>,
        dy: &[Lanes],
    ) {
        let [mut weights, mut biases] = std::mem::take(&mut self.partial);
        let (filters, blocks) = (self.geometry.y.channels, dy.len() / self.geometry.dy.block());
        let (each, each_bias) = (self.weight.padded(), filters.next_multiple_of(LANES));
        let groups = (PARTIAL / each.max(1)).clamp(1, blocks);
        let own = blocks.div_ceil(groups);
        let groups = blocks.div_ceil(own);
        weights.resize(groups * each, 0.0);
        biases.resize(groups * each_bias, 0.0);
        let rows = ranges(
            filters,
            tile_gradients::tile_rows(at.set),
            parts(at, groups, x.is_computed() || self.tiles.is_some()),
        );
        let mut items = vec![];
        let mut parts = weights.chunks_exact_mut(each.max(1));
        for (group, mut biases) in biases.chunks_exact_mut(each_bias).enumerate() {
            // Without a kept weight there is a gradient of the bias only.
            let mut weights = parts.next().unwrap_or_default();
            for rows in &rows {
                let (weight, others) = weights.split_at_mut(self.place(rows.end) - self.place(rows.start));
                let (bias, other_biases) = biases.split_at_mut(rows.len());
                let (first, last) = (group * own, ((group + 1) * own).min(blocks));
                items.push(Part { blocks: first..last, rows: rows.clone(), weight, bias });
                (weights, biases) = (others, other_biases);
            }
        }
        let conv = &*self;
        at.pool.each_with(scratch, &mut items, |scratch, item| {
            dispatch(at.set, Gradient { conv, x, scratch, dy, item });
        });
        drop(items);
        self.weight.update(at, rule, &weights);
        if let Some(bias) = &mut self.bias {
            bias.update(at, rule, &biases);
        }
        self.partial = [weights, biases];
    }

    /// Where the weights of a filter begin among those that are held.
    fn place(&self, filter: usize) -> usize {
        match &self.filters {
            Some(lists) => lists.starts[filter] as usize,
            None => filter * self.geometry.columns(),
        }
    }
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
