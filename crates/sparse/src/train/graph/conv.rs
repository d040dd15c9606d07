//! Convolutions and fully connected layers, with all of their weights or with the kept ones only.

use super::geometry::{Geometry, Phase};
use super::lists::Lists;
use super::pieces::{Piece, images_of, pieces, ranges};
use super::stored::Stored;
use crate::InstructionSet;
use crate::kernels::pointwise::{Moments, Plane, moments};
use crate::kernels::tile_gradients::{self, Pair, Sources};
use crate::kernels::tiles::{Outputs, Rows, Start, TILE_ROWS, product};
use crate::kernels::update::Rule;
use crate::lanes::{LANES, Lanes};
use crate::simd::{Kernel, Vector, dispatch, sum_all};
use crate::train::Context;
use std::ops::Range;

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
}

/// Positions that an item works on at least, if there are as many: the work that pays for arranging its weights.
const POSITIONS: usize = 64;
/// Positions whose inputs stay in the first-level cache while all kept weights go by.
const SPARSE_POSITIONS: usize = 32;
/// Positions whose gradients stay in the first-level cache while all offsets go by.
const GRADIENT_POSITIONS: usize = 64;
/// Items of a phase for each thread.
const ITEMS: usize = 8;
/// Floats that the gradients of all groups of blocks may take, and items that there should be for them.
const PARTIAL: usize = 1 << 18;
const PARTIAL_ITEMS: usize = 16;

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
        Self { geometry, weight, bias, blocks, forward, offsets, backward, pairs, filters, partial: [vec![], vec![]] }
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
        if self.is_sparse() { 1 } else { tile_rows(set) }
    }

    /// Writes the outputs; `x` and `y` are of whole blocks. For so many images, if they are wanted, gives the moments of
    /// each channel of each block, `[block][channel]`.
    pub(super) fn forward(
        &self,
        at: &Context<'_>,
        scratch: &mut [Scratch],
        x: &[Lanes],
        y: &mut [Lanes],
        images: Option<usize>,
    ) -> Vec<Moments> {
        let blocks = y.len() / self.geometry.y.block();
        let layout = &self.geometry.y;
        let items = blocks.div_ceil(self.blocks);
        let channels = ranges(layout.channels, self.unit(at.set), (ITEMS * at.pool.threads()).div_ceil(items.max(1)));
        let pieces = pieces(y, layout, self.blocks, &channels).into_iter();
        let mut items: Vec<(Piece<'_>, Vec<Moments>)> = pieces.map(|piece| (piece, vec![])).collect();
        at.pool.each_with(scratch, &mut items, |scratch, (item, moments)| {
            dispatch(at.set, Forward { conv: self, scratch, x, item, set: at.set, images, moments });
        });
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
        let channels = ranges(layout.channels, self.unit(at.set), (ITEMS * at.pool.threads()).div_ceil(items.max(1)));
        let mut items = pieces(dx, layout, self.blocks, &channels);
        at.pool.each_with(scratch, &mut items, |scratch, item| {
            dispatch(at.set, Backward { conv: self, scratch, dy, item, adds, set: at.set });
        });
    }

    /// Moves the weights and the bias along their gradients.
    pub(super) fn update(&mut self, at: &Context<'_>, rule: &Rule, x: &[Lanes], dy: &[Lanes]) {
        let [mut weights, mut biases] = std::mem::take(&mut self.partial);
        let (filters, blocks) = (self.geometry.y.channels, dy.len() / self.geometry.dy.block());
        let (each, each_bias) = (self.weight.padded(), filters.next_multiple_of(LANES));
        let groups = (PARTIAL / each.max(1)).clamp(1, blocks);
        let own = blocks.div_ceil(groups);
        let groups = blocks.div_ceil(own);
        weights.resize(groups * each, 0.0);
        biases.resize(groups * each_bias, 0.0);
        // So that no other row is cut: the tiles of a gradient are as high as those of a product.
        let rows = ranges(filters, tile_rows(at.set), PARTIAL_ITEMS.div_ceil(groups));
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
        at.pool.each(&mut items, |item| dispatch(at.set, Gradient { conv, x, dy, item }));
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

/// Rows of a tile.
fn tile_rows(set: InstructionSet) -> usize {
    match set {
        InstructionSet::Portable => 2,
        InstructionSet::Avx2 | InstructionSet::Avx512 => TILE_ROWS,
    }
}

/// The first channel and the height of each of the tiles, about equally high, that cover some channels; none reaches over
/// the end of a group of `each`.
fn tiles(channels: Range<usize>, each: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = channels.start;
    std::iter::from_fn(move || {
        let left = ((first / each + 1) * each).min(channels.end) - first.min(channels.end);
        let count = left.div_ceil(left.div_ceil(most).max(1));
        first += count;
        (count > 0).then(|| (first - count, count))
    })
}

struct Forward<'a, 'b> {
    conv: &'a Conv,
    scratch: &'a mut Scratch,
    x: &'a [Lanes],
    item: &'a mut Piece<'b>,
    set: InstructionSet,
    images: Option<usize>,
    /// `[channel][block]`
    moments: &'a mut Vec<Moments>,
}

impl Kernel for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { conv, scratch, x, item, set, images, moments } = self;
        let geometry = &conv.geometry;
        let (inputs, filters, plane) = (geometry.inputs(), geometry.filters(), geometry.y.plane());
        let positions = &conv.forward.positions[..item.values.len() * geometry.y.pixels()];
        let extent = (inputs - 1) * geometry.x.plane() + conv.forward.extent;
        let group = |filter: usize| item.block * geometry.x.block() + filter / filters * inputs * geometry.x.plane();
        let Scratch { weights, tile, bias } = scratch;
        bias.clear();
        if let Some(own) = &conv.bias {
            own.copy_range(item.channels.clone(), bias);
        }
        let start = |filter: usize, bias: &[f32]| -> usize { if bias.is_empty() { 0 } else { filter } };
        if let Some(lists) = &conv.filters {
            let held = conv.place(item.channels.start)..conv.place(item.channels.end);
            conv.weight.copy_range(held.clone(), weights);
            for positions in positions.chunks(SPARSE_POSITIONS) {
                for filter in item.channels.clone() {
                    let (own, row) = (lists.of(filter), filter - item.channels.start);
                    let weights = &weights[own.start - held.start..own.end - held.start];
                    let rows = Rows { offsets: &lists.offsets[own], weights, count: 1, extent };
                    let bias = &bias[start(row, bias)..];
                    let start = if bias.is_empty() { Start::Zero } else { Start::Bias(bias) };
                    product::<V>(
                        rows,
                        positions,
                        &x[group(filter)..],
                        start,
                        Outputs { blocks: &mut item.values, plane, row },
                    );
                }
            }
            gather::<V>(geometry, item, 0..item.channels.len(), images, moments);
            return;
        }
        let columns = geometry.columns();
        for (first, count) in tiles(item.channels.clone(), filters, tile_rows(set)) {
            conv.weight.copy_range(first * columns..(first + count) * columns, weights);
            tile.resize(columns * count, 0.0);
            for (m, row) in weights.chunks_exact(columns).enumerate() {
                row.iter().zip(tile[m..].iter_mut().step_by(count)).for_each(|(weight, to)| *to = *weight);
            }
            let row = first - item.channels.start;
            let rows = Rows { offsets: &conv.offsets, weights: tile, count, extent };
            let bias = &bias[start(row, bias)..];
            let start = if bias.is_empty() { Start::Zero } else { Start::Bias(bias) };
            product::<V>(rows, positions, &x[group(first)..], start, Outputs { blocks: &mut item.values, plane, row });
            // While the rows are in the caches.
            gather::<V>(geometry, item, row..row + count, images, moments);
        }
    }
}

/// Works out the moments of some rows of a piece, if they are wanted.
#[inline(always)]
fn gather<V: Vector>(
    geometry: &Geometry,
    item: &Piece<'_>,
    rows: Range<usize>,
    images: Option<usize>,
    found: &mut Vec<Moments>,
) {
    let Some(images) = images else { return };
    let (plane, grid) = (geometry.y.plane(), geometry.y.grid());
    for row in rows {
        for (block, values) in item.values.iter().enumerate() {
            let values = &values[row * plane..(row + 1) * plane];
            found.push(moments::<V>(Plane { grid, values }, images_of(item.block + block, images)));
        }
    }
}

struct Backward<'a, 'b> {
    conv: &'a Conv,
    scratch: &'a mut Scratch,
    dy: &'a [Lanes],
    item: &'a mut Piece<'b>,
    adds: bool,
    set: InstructionSet,
}

impl Kernel for Backward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { conv, scratch, dy, item, adds, set } = self;
        let geometry = &conv.geometry;
        let (inputs, filters, plane) = (geometry.inputs(), geometry.filters(), geometry.dx.plane());
        let start = if adds { Start::Output } else { Start::Zero };
        let group =
            |channel: usize| item.block * geometry.dy.block() + channel / inputs * filters * geometry.dy.plane();
        let Scratch { weights, tile, .. } = scratch;
        for Back { phase, offsets, channels } in &conv.backward {
            let each = phase.positions.len() / conv.blocks;
            let positions = &phase.positions[..item.values.len() * each];
            let extent = if phase.taps.is_empty() { 0 } else { (filters - 1) * geometry.dy.plane() + phase.extent };
            if let Some(lists) = channels {
                let held = lists.starts[item.channels.start] as usize..lists.starts[item.channels.end] as usize;
                conv.weight.copy_to(tile);
                weights.clear();
                weights.extend(lists.places[held.clone()].iter().map(|place| tile[*place as usize]));
                for positions in positions.chunks(SPARSE_POSITIONS) {
                    for channel in item.channels.clone() {
                        let (own, row) = (lists.of(channel), channel - item.channels.start);
                        let weights = &weights[own.start - held.start..own.end - held.start];
                        let rows = Rows { offsets: &lists.offsets[own], weights, count: 1, extent };
                        product::<V>(
                            rows,
                            positions,
                            &dy[group(channel)..],
                            start,
                            Outputs { blocks: &mut item.values, plane, row },
                        );
                    }
                }
                continue;
            }
            let (columns, all) = (phase.taps.len(), geometry.taps());
            for (first, count) in tiles(item.channels.clone(), inputs, tile_rows(set)) {
                tile.resize(filters * columns * count, 0.0);
                let (block, own) = (first / inputs, first % inputs);
                for filter in 0..filters {
                    let from = ((block * filters + filter) * inputs + own) * all;
                    conv.weight.copy_range(from..from + count * all, weights);
                    let to = &mut tile[filter * columns * count..][..columns * count];
                    for (tap, to) in phase.taps.iter().zip(to.chunks_exact_mut(count)) {
                        let own = weights[*tap as usize..].iter().step_by(all);
                        to.iter_mut().zip(own).for_each(|(to, weight)| *to = *weight);
                    }
                }
                let row = first - item.channels.start;
                let rows = Rows { offsets, weights: tile, count, extent };
                product::<V>(
                    rows,
                    positions,
                    &dy[group(first)..],
                    start,
                    Outputs { blocks: &mut item.values, plane, row },
                );
            }
        }
    }
}

/// Some filters' gradients over some blocks.
struct Part<'a> {
    blocks: Range<usize>,
    rows: Range<usize>,
    weight: &'a mut [f32],
    bias: &'a mut [f32],
}

struct Gradient<'a, 'b> {
    conv: &'a Conv,
    x: &'a [Lanes],
    dy: &'a [Lanes],
    item: &'a mut Part<'b>,
}

impl Kernel for Gradient<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { conv, x, dy, item } = self;
        let geometry = &conv.geometry;
        let (inputs, filters, columns) = (geometry.inputs(), geometry.filters(), geometry.columns());
        let (pixels, plane) = (geometry.y.pixels(), geometry.dy.plane());
        item.weight.fill(0.0);
        item.bias.fill(0.0);
        let mut block = item.blocks.start;
        while block < item.blocks.end {
            let blocks = conv.blocks.min(item.blocks.end - block);
            let (x, dy) = (&x[block * geometry.x.block()..], &dy[block * geometry.dy.block()..]);
            for pairs in conv.pairs[..blocks * pixels].chunks(GRADIENT_POSITIONS) {
                let most = |own: fn(&Pair) -> u32| pairs.iter().map(own).max().map_or(0, |most| most as usize + 1);
                let extents = [most(|own| own.input), most(|own| own.gradient)];
                let sources = |filter: usize| {
                    let x = &x[filter / filters * inputs * geometry.x.plane()..];
                    Sources { pairs, x, dy: &dy[filter * plane..], plane, extents }
                };
                if let Some(lists) = &conv.filters {
                    for filter in item.rows.clone() {
                        let own = lists.of(filter);
                        let from = conv.place(item.rows.start);
                        let sums = &mut item.weight[own.start - from..own.end - from];
                        tile_gradients::row::<V>(sources(filter), &lists.offsets[own], sums);
                    }
                } else {
                    for (first, count) in tiles(item.rows.clone(), filters, filters) {
                        let sums = &mut item.weight[(first - item.rows.start) * columns..][..count * columns];
                        tile_gradients::dense::<V>(sources(first), count, &conv.offsets, sums);
                    }
                }
            }
            if conv.bias.is_some() {
                for own in 0..blocks {
                    let dy = &dy[own * geometry.dy.block()..];
                    for (filter, bias) in item.rows.clone().zip(item.bias.iter_mut()) {
                        // The margins are zeros.
                        *bias += sum_all::<V>(&dy[filter * plane..(filter + 1) * plane]).sum();
                    }
                }
            }
            block += blocks;
        }
    }
}
