//! Inputs' gradients from outputs'.

use super::{Back, Conv, SPARSE_POSITIONS, Scratch, tile_rows, tiles};
use crate::InstructionSet;
use crate::kernels::tiles::{Outputs, Rows, Start, product};
use crate::lanes::Lanes;
use crate::simd::{Kernel, Vector};
use crate::train::graph::pieces::Piece;

pub(super) struct Backward<'a, 'b> {
    pub conv: &'a Conv,
    pub scratch: &'a mut Scratch,
    pub dy: &'a [Lanes],
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
        let group =
            |channel: usize| item.block * geometry.dy.block() + channel / inputs * filters * geometry.dy.plane();
        let Scratch { weights, tile, .. } = scratch;
        for Back { phase, offsets, channels } in &conv.backward {
            if adds && phase.taps.is_empty() {
                continue;
            }
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
                            Outputs { blocks: &mut item.values, plane, row, least: f32::NEG_INFINITY },
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
                    Outputs { blocks: &mut item.values, plane, row, least: f32::NEG_INFINITY },
                );
            }
        }
    }
}
