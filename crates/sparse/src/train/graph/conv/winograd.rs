//! 3x3 convolutions by tiles of 2x2 outputs, forward and back.

use super::{Conv, Geometry, Input, Scratch};
use crate::kernels::tile_gradients::Pair;
use crate::kernels::tiles::{Outputs, Position, Start, TILE_ROWS};
use crate::kernels::winograd::{PRODUCTS, Sizes, convolve, transform_filters};
use crate::lanes::Lanes;
use crate::simd::{Kernel, Vector};
use crate::train::Context;
use crate::train::graph::layout::Layout;
use crate::train::graph::pieces::Piece;
use crate::train::graph::stored::Stored;

/// The tiles of a convolution.
#[derive(Debug)]
pub(crate) struct Tiles {
    pub forward: Vec<Position>,
    pub backward: Vec<Position>,
    pub pairs: Vec<Pair>,
}

/// Channels from which on transforming them costs less than it saves.
const LEAST_CHANNELS: usize = 8;
/// Outputs of a filter from which on transforming the filters does.
const LEAST_PIXELS: usize = 16;

impl Tiles {
    /// Those of some blocks; `None` where they do not fit or do not pay.
    pub(super) fn new(conv: &Geometry, blocks: usize) -> Option<Self> {
        Self::pay(conv).then(|| Self {
            forward: conv.forward_tiles(blocks),
            backward: conv.backward_tiles(blocks),
            pairs: conv.tile_pairs(blocks),
        })
    }

    /// Whether they fit and pay.
    pub(crate) fn pay(conv: &Geometry) -> bool {
        let channels = conv.inputs().min(conv.filters());
        conv.has_tiles() && channels >= LEAST_CHANNELS && conv.y.pixels() >= LEAST_PIXELS
    }
}

/// The sizes of a way from one layout to another.
pub(crate) fn sizes(from: &Layout, to: &Layout) -> Sizes {
    Sizes {
        inputs: from.channels,
        plane: from.plane(),
        pitch: from.columns(),
        output_plane: to.plane(),
        output_pitch: to.columns(),
        tile_rows: TILE_ROWS,
    }
}

impl Conv {
    /// The transformed filters, `[tile of rows][product][input][row]`, where a row is a filter, or an input channel on the
    /// way back.
    pub(super) fn transform(&self, at: &Context<'_>, scratch: &mut [Scratch], back: bool, to: &mut Vec<f32>) {
        let (inputs, filters) = (self.geometry.inputs(), self.geometry.filters());
        let [rows, columns] = if back { [inputs, filters] } else { [filters, inputs] };
        to.resize(rows * columns * PRODUCTS, 0.0);
        let mut items: Vec<_> = to.chunks_mut(TILE_ROWS * columns * PRODUCTS).enumerate().collect();
        at.pool.each_with(scratch, &mut items, |Scratch { weights, .. }, (place, to)| {
            let (first, count) = (*place * TILE_ROWS, to.len() / (columns * PRODUCTS));
            if !back {
                self.weight.copy_range(first * columns * 9..(first + count) * columns * 9, weights);
                let own = |row: usize, input: usize| {
                    *weights[(row * columns + input) * 9..].first_chunk::<9>().expect("a filter for each pair")
                };
                return transform_filters(columns, count, own, to);
            }
            weights.clear();
            let mut own = vec![];
            for filter in 0..filters {
                let start = (filter * inputs + first) * 9;
                self.weight.copy_range(start..start + count * 9, &mut own);
                weights.extend_from_slice(&own);
            }
            let own = |row: usize, filter: usize| {
                let own = weights[(filter * count + row) * 9..].first_chunk::<9>().expect("a filter for each pair");
                let mut turned = *own;
                turned.reverse();
                turned
            };
            transform_filters(columns, count, own, to);
        });
    }
}

/// What the sums of a product of tiles start with.
#[derive(Clone, Copy, Debug)]
pub(super) enum StartWith<'a> {
    Zero,
    Bias(&'a Stored),
    /// What stands in the output.
    Output,
}

/// A product of tiles.
pub(super) struct Winograd<'a, 'b> {
    pub conv: &'a Conv,
    pub scratch: &'a mut Scratch,
    /// What is read, and its layout.
    pub input: Input<'a>,
    pub from: &'a Layout,
    /// The layout of what is written.
    pub to: &'a Layout,
    pub filters: &'a [f32],
    pub tiles: &'a [Position],
    pub item: &'a mut Piece<'b>,
    pub start_with: StartWith<'a>,
}

impl Kernel for Winograd<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { conv, scratch, input, from, to, filters, tiles, item, start_with } = self;
        let Scratch { bias, room, workspace, .. } = scratch;
        let input: &[Lanes] = input.block::<V>(from, item.block, room);
        bias.clear();
        let start = match start_with {
            StartWith::Zero => Start::Zero,
            StartWith::Output => Start::Output,
            StartWith::Bias(own) => {
                own.copy_range(item.channels.clone(), bias);
                Start::Bias(bias)
            }
        };
        let sizes = sizes(from, to);
        let tiles = &tiles[..tiles.len() / conv.blocks * item.values.len()];
        let outputs = Outputs { blocks: &mut item.values, plane: to.plane(), row: 0, least: f32::NEG_INFINITY };
        convolve::<V>(sizes, filters, item.channels.clone(), tiles, input, start, outputs, workspace);
    }
}
