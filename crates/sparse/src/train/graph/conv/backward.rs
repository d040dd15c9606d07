//! Inputs' gradients from outputs', with all weights.

use super::input::Block;
use super::{Back, Conv, Input, Scratch, tile_rows, tiles};
use crate::InstructionSet;
use crate::kernels::tiles::{Outputs, Rows, Start, product};
use crate::simd::{Kernel, Vector};
use crate::train::graph::pieces::Piece;

pub(super) struct Backward<'a, 'b> {
    pub conv: &'a Conv,
    pub scratch: &'a mut Scratch,
    pub dy: Input<'a>,
    pub item: &'a mut Piece<'b>,
    pub adds: bool,
    pub set: InstructionSet,
}

impl Kernel for Backward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { conv, scratch, dy, item, adds, set } = self;
        let geometry = &conv.geometry;
        let (inputs, filters, plane) = (geometry.inputs(), geometry.filters(), geometry.dx.plane());
        let start = if adds { Start::Output } else { Start::Zero };
        let group = |channel: usize| channel / inputs * filters * geometry.dy.plane();
        let Scratch { weights, tile, gradient, .. } = scratch;
        let mut dy = Block::new(set, dy, &geometry.dy, item.block, gradient);
        let dy = dy.all();
        for Back { phase, offsets, .. } in &conv.backward {
            if adds && phase.taps.is_empty() {
                continue;
            }
            let each = phase.positions.len() / conv.blocks;
            let positions = &phase.positions[..item.values.len() * each];
            let extent = if phase.taps.is_empty() { 0 } else { (filters - 1) * geometry.dy.plane() + phase.extent };
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
                    Outputs { blocks: &mut item.values, plane, row, least: f32::NEG_INFINITY, largest: false },
                );
            }
        }
    }
}
