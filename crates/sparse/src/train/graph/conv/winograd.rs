//! 3x3 convolutions by tiles of 2x2 outputs, forward and back.

use super::input::Block;
use super::{Conv, Geometry, Input, Scratch};
use crate::InstructionSet;
use crate::kernels::tile_gradients::Pair;
use crate::kernels::tiles::{Outputs, Position, Start, TILE_ROWS};
use crate::kernels::winograd::{PRODUCTS, Sizes, convolve, transform_filters};
use crate::simd::{Kernel, Vector, dispatch};
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
    pub(super) fn pay(conv: &Geometry) -> bool {
        Self::pay_once_transformed(conv) && conv.y.pixels() >= LEAST_PIXELS
    }

    /// Whether they fit and pay where the filters need not be transformed every time.
    pub(crate) fn pay_once_transformed(conv: &Geometry) -> bool {
        conv.has_tiles() && conv.inputs().min(conv.filters()) >= LEAST_CHANNELS
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
        pools: false,
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
        at.pool.each_with(scratch, &mut items, |Scratch { weights, tile, .. }, (place, to)| {
            let first = *place * TILE_ROWS;
            let count = to.len() / (columns * PRODUCTS);
            if back {
                // The filters of each input channel, turned around.
                weights.clear();
                for filter in 0..filters {
                    let start = (filter * inputs + first) * 9;
                    self.weight.copy_range(start..start + count * 9, tile);
                    weights.extend_from_slice(tile);
                }
                weights.chunks_exact_mut(9).for_each(<[f32]>::reverse);
            } else {
                self.weight.copy_range(first * columns * 9..(first + count) * columns * 9, weights);
            }
            // One filter after the other of a row, or of a column on the way back.
            let strides = if back { [1, count] } else { [columns, 1] };
            dispatch(at.set, Transform { weights, strides, columns, count, to });
        });
    }
}

/// A transformation of the filters of a tile of rows.
struct Transform<'a, 'b> {
    weights: &'a [f32],
    /// Filters from one row to the next, and from one column to the next.
    strides: [usize; 2],
    columns: usize,
    count: usize,
    to: &'a mut &'b mut [f32],
}

impl Kernel for Transform<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        transform_filters(self.columns, self.count, self.weights, self.strides, self.to);
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
    pub set: InstructionSet,
}

impl Kernel for Winograd<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { conv, scratch, input, from, to, filters, tiles, item, start_with, set } = self;
        let Scratch { bias, input: buffer, workspace, .. } = scratch;
        let mut input = Block::new(set, input, from, item.block, buffer);
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
        let outputs =
            Outputs { blocks: &mut item.values, plane: to.plane(), row: 0, least: f32::NEG_INFINITY, largest: false };
        convolve::<V>(sizes, filters, item.channels.clone(), tiles, input.all(), start, outputs, workspace);
    }
}
