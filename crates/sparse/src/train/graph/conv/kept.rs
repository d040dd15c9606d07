//! The way back over kept weights: the gradients of the inputs and of the weights in one pass over a block, some rows at a
//! time, so that what both read is in the caches.

use super::gradient::Part;
use super::input::Block;
use super::{Back, Conv, Input, Reduction, SPARSE_POSITIONS, Scratch};
use crate::InstructionSet;
use crate::kernels::tile_gradients::{Sources, extents, row};
use crate::kernels::tiles::{Outputs, Position, Rows, Start, product};
use crate::lanes::Lanes;
use crate::simd::{Kernel, Vector, sum_all};
use crate::train::graph::geometry::Phase;
use crate::train::graph::pieces::Piece;
use crate::train::graph::pointwise::summed;
use std::ops::Range;

/// The gradients of some blocks.
pub(super) struct Kept<'a, 'b> {
    pub conv: &'a Conv,
    pub scratch: &'a mut Scratch,
    pub set: InstructionSet,
    /// Whether those of the inputs are worked out, and those of the weights.
    pub gradients: [bool; 2],
    /// The input, and the gradient of the output.
    pub from: [Input<'a>; 2],
    pub part: &'a mut Part<'b>,
    /// The gradient of the input, of the same blocks.
    pub dx: Option<&'a mut Piece<'b>>,
    pub adds: bool,
    pub reduction: Option<Reduction<'a>>,
    /// What the reduction finds, `[block][channel]`.
    pub sums: &'a mut Vec<[f64; 2]>,
}

/// Some rows of some blocks: one of so many equal parts.
#[derive(Clone, Copy)]
struct Band {
    first_block: usize,
    blocks: usize,
    part: usize,
    parts: usize,
}

impl Band {
    /// Its part of as many as there are in all blocks.
    fn of(&self, total: usize) -> Range<usize> {
        total * self.part / self.parts..total * (self.part + 1) / self.parts
    }

    /// Its positions of a phase for so many blocks.
    fn positions<'a>(&self, phase: &'a Phase, blocks: usize) -> &'a [Position] {
        let rows = self.of(phase.positions.len() / blocks * self.blocks / phase.columns.max(1));
        &phase.positions[rows.start * phase.columns..rows.end * phase.columns]
    }
}

impl Kernel for Kept<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self {
            conv,
            scratch,
            set,
            gradients: [for_inputs, for_parameters],
            from,
            part,
            mut dx,
            adds,
            reduction,
            sums,
        } = self;
        let Scratch { weights, tile, input, gradient, .. } = scratch;
        let geometry = &conv.geometry;
        if for_parameters {
            part.weight.fill(0.0);
            part.bias.fill(0.0);
        }
        if let Some(dx) = &dx
            && for_inputs
        {
            conv.weight.copy_to(tile);
            weights.clear();
            for rows in (0..cuts(conv)).map(|cut| rows_of(conv, cut, &dx.channels)) {
                for lists in conv.backward.iter().map(Back::kept) {
                    let places = &lists.places[lists.of_all(&rows)];
                    weights.extend(places.iter().map(|place| tile[*place as usize]));
                }
            }
        }
        let mut first_block = part.blocks.start;
        while first_block < part.blocks.end {
            let blocks = conv.blocks.min(part.blocks.end - first_block);
            let mut x = Block::new(set, from[0], &geometry.x, first_block, input);
            let mut dy = Block::new(set, from[1], &geometry.dy, first_block, gradient);
            let dx = dx.as_mut().filter(|_| for_inputs);
            let mut to = dx.map(|dx| {
                let own = first_block - part.blocks.start;
                let (channels, values) = (dx.channels.clone(), &mut dx.values[own..own + blocks]);
                let sums = vec![[Lanes::ZERO; 2]; blocks * channels.len()];
                Inputs { channels, values, adds, reduction, sums }
            });
            // Several blocks have few rows.
            let parts = if blocks == 1 { geometry.y.pixels().div_ceil(SPARSE_POSITIONS) } else { 1 };
            for part_of_block in 0..parts {
                let band = Band { first_block, blocks, part: part_of_block, parts };
                if let Some(to) = &mut to {
                    inputs::<V>(conv, weights, &mut dy, to, band);
                }
                if for_parameters {
                    parameters::<V>(conv, &mut x, &mut dy, part, band);
                }
            }
            if let Some(to) = to.filter(|_| reduction.is_some()) {
                sums.extend(to.sums.iter().map(summed));
            }
            if for_parameters && conv.bias.is_some() {
                let plane = geometry.dy.plane();
                for own in dy.all().chunks_exact(geometry.dy.block()).take(blocks) {
                    for (filter, bias) in part.rows.clone().zip(part.bias.iter_mut()) {
                        // The margins are zeros.
                        *bias += sum_all::<V>(&own[filter * plane..(filter + 1) * plane]).sum();
                    }
                }
            }
            first_block += blocks;
        }
    }
}

/// The inputs' gradients of some blocks.
struct Inputs<'a, 'b> {
    channels: Range<usize>,
    values: &'a mut [&'b mut [Lanes]],
    adds: bool,
    reduction: Option<Reduction<'a>>,
    /// What the reduction finds, `[block][channel]`.
    sums: Vec<[Lanes; 2]>,
}

/// How many times the caches are filled while the weights that go back to the inputs go by.
fn cuts(conv: &Conv) -> usize {
    conv.backward.first().map_or(0, |own| own.kept().rows() / conv.geometry.x.channels)
}

/// The rows of some channels in one of the cuts.
fn rows_of(conv: &Conv, cut: usize, channels: &Range<usize>) -> Range<usize> {
    let first = cut * conv.geometry.x.channels;
    first + channels.start..first + channels.end
}

/// Writes a band of the inputs' gradients, and goes on with the reduction behind it.
#[inline(always)]
fn inputs<V: Vector>(conv: &Conv, weights: &[f32], dy: &mut Block<'_, '_>, to: &mut Inputs<'_, '_>, band: Band) {
    let Inputs { channels, values, adds, reduction, sums } = to;
    let adds = *adds;
    let geometry = &conv.geometry;
    let (each, filters, plane) = (geometry.inputs(), geometry.filters(), geometry.dx.plane());
    let mut end = 0;
    for Back { phase, .. } in &conv.backward {
        let last = band.positions(phase, conv.blocks).last();
        end = last.map_or(0, |own| own.input as usize + phase.extent).max(end);
    }
    let dy = dy.up_to(end);
    // The rows of several phases stand between each other.
    let written = if conv.backward.len() == 1 && band.blocks == 1 {
        band.of(geometry.dx.height)
    } else if band.part + 1 == band.parts {
        0..geometry.dx.height
    } else {
        0..0
    };
    let (cuts, mut first_of_cut) = (cuts(conv), 0);
    for (cut, (row, channel)) in (0..cuts).flat_map(|cut| channels.clone().enumerate().map(move |own| (cut, own))) {
        let (rows, adds) = (rows_of(conv, cut, channels), adds || cut > 0);
        let mut first = first_of_cut;
        for own in &conv.backward {
            let (phase, lists) = (&own.phase, own.kept());
            let (all, own) = (lists.of_all(&rows), lists.of(rows.start + row));
            let weights = &weights[first + own.start - all.start..][..own.len()];
            first += all.len();
            if adds && own.is_empty() {
                continue;
            }
            let extent = if phase.taps.is_empty() { 0 } else { (filters - 1) * geometry.dy.plane() + phase.extent };
            product::<V>(
                Rows { offsets: &lists.offsets[own], weights, count: 1, extent },
                band.positions(phase, conv.blocks),
                &dy[channel / each * filters * geometry.dy.plane()..],
                if adds { Start::Output } else { Start::Zero },
                Outputs { blocks: values, plane, row, least: f32::NEG_INFINITY, largest: false },
            );
        }
        if row + 1 == channels.len() {
            first_of_cut = first;
        }
        if cut + 1 < cuts {
            continue;
        }
        // What is written next.
        let grid = geometry.dx.grid().part(written.clone());
        (0..written.len()).for_each(|own| grid.prefetch::<V>(&values[0][row * plane..(row + 1) * plane], own));
        let Some(reduction) = reduction else { continue };
        for (own, values) in values.iter_mut().enumerate() {
            let (values, sums) = (&mut values[row * plane..(row + 1) * plane], &mut sums[own * channels.len() + row]);
            reduction.rows::<V>(&geometry.dx, [band.first_block + own, channel], written.clone(), values, sums);
        }
    }
}

/// Adds a band to the gradients of the weights.
#[inline(always)]
fn parameters<V: Vector>(conv: &Conv, x: &mut Block<'_, '_>, dy: &mut Block<'_, '_>, part: &mut Part<'_>, band: Band) {
    let geometry = &conv.geometry;
    let (inputs, filters, plane) = (geometry.inputs(), geometry.filters(), geometry.dy.plane());
    let rows = band.of(geometry.y.height * band.blocks);
    let pairs = &conv.pairs[rows.start * geometry.y.width..rows.end * geometry.y.width];
    let extents = extents(pairs);
    let x = x.up_to(extents[0] + conv.forward.extent);
    let dy = dy.up_to(extents[1]);
    let from = conv.place(part.rows.start);
    let lists = conv.filters.as_ref().expect("only kept weights are held");
    let rows =
        (0..lists.rows()).step_by(geometry.y.channels).flat_map(|cut| part.rows.clone().map(move |own| (cut, own)));
    for (cut, filter) in rows {
        let own = lists.of(cut + filter);
        let Some(first) = lists.places[own.clone()].first() else { continue };
        let x = &x[filter / filters * inputs * geometry.x.plane()..];
        let sources = Sources { pairs, x, dy: &dy[filter * plane..], plane, extents };
        let first = *first as usize - from;
        row::<V>(sources, &lists.offsets[own.clone()], &mut part.weight[first..][..own.len()]);
    }
}
