//! Gradients of the weights, of which all are held.

use super::input::Block;
use super::winograd::sizes;
use super::{Conv, Input, Scratch, tiles};
use crate::InstructionSet;
use crate::kernels::tile_gradients::{self, Sources, extents};
use crate::kernels::winograd::gradients;
use crate::simd::{Kernel, Vector, sum_all};
use std::ops::Range;

/// Positions whose gradients stay in the first-level cache while all offsets go by.
const DENSE_POSITIONS: usize = 64;

/// Some filters' gradients over some blocks.
pub(super) struct Part<'a> {
    pub blocks: Range<usize>,
    pub rows: Range<usize>,
    pub weight: &'a mut [f32],
    pub bias: &'a mut [f32],
}

pub(super) struct Gradient<'a, 'b> {
    pub conv: &'a Conv,
    pub set: InstructionSet,
    /// The input, and the gradient of the output.
    pub from: [Input<'a>; 2],
    pub scratch: &'a mut Scratch,
    pub item: &'a mut Part<'b>,
}

impl Kernel for Gradient<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { conv, set, from, scratch: Scratch { input, gradient, workspace, .. }, item } = self;
        let geometry = &conv.geometry;
        let (inputs, filters, columns) = (geometry.inputs(), geometry.filters(), geometry.columns());
        let (pixels, plane) = (geometry.y.pixels(), geometry.dy.plane());
        item.weight.fill(0.0);
        item.bias.fill(0.0);
        let mut block = item.blocks.start;
        while block < item.blocks.end {
            let blocks = conv.blocks.min(item.blocks.end - block);
            let mut x = Block::new(set, from[0], &geometry.x, block, input);
            let mut dy = Block::new(set, from[1], &geometry.dy, block, gradient);
            let (x, dy) = (x.all(), dy.all());
            if let Some(tiles) = &conv.tiles {
                let own = &tiles.pairs[..tiles.pairs.len() / conv.blocks * blocks];
                let sizes = sizes(&geometry.x, &geometry.dy);
                let sources = [x, &dy[item.rows.start * plane..]];
                gradients::<V>(sizes, item.rows.len(), own, sources, item.weight, workspace);
            }
            let pairs = if conv.tiles.is_some() { &[][..] } else { &conv.pairs[..blocks * pixels] };
            for pairs in pairs.chunks(DENSE_POSITIONS) {
                let extents = extents(pairs);
                let sources = |filter: usize| {
                    let x = &x[filter / filters * inputs * geometry.x.plane()..];
                    Sources { pairs, x, dy: &dy[filter * plane..], plane, extents }
                };
                for (first, count) in tiles(item.rows.clone(), filters, filters) {
                    let sums = &mut item.weight[(first - item.rows.start) * columns..][..count * columns];
                    tile_gradients::dense::<V>(sources(first), count, &conv.offsets, sums);
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
