//! Outputs from inputs.

use super::input::Block;
use super::{Conv, Input, Scratch, sparse_rows, tile_rows, tiles};
use crate::InstructionSet;
use crate::kernels::moments::{Distances, Moments};
use crate::kernels::pointwise::Plane;
use crate::kernels::tiles::{Outputs, Rows, Start, product};
use crate::simd::{Kernel, Vector};
use crate::train::graph::geometry::Geometry;
use crate::train::graph::pieces::{Piece, images_of};
use std::ops::Range;

pub(super) struct Forward<'a, 'b> {
    pub conv: &'a Conv,
    pub scratch: &'a mut Scratch,
    pub x: Input<'a>,
    pub item: &'a mut Piece<'b>,
    pub set: InstructionSet,
    pub images: Option<usize>,
    /// `[channel][block]`
    pub moments: &'a mut Vec<Moments>,
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
        let group = |filter: usize| filter / filters * inputs * geometry.x.plane();
        let Scratch { weights, tile, bias, input, .. } = scratch;
        let mut x = Block::new(set, x, &geometry.x, item.block, input);
        bias.clear();
        if let Some(own) = &conv.bias {
            own.copy_range(item.channels.clone(), bias);
        }
        let start = |row: usize| if bias.is_empty() { Start::Zero } else { Start::Bias(&bias[row..]) };
        if let Some(lists) = &conv.filters {
            let held = conv.place(item.channels.start)..conv.place(item.channels.end);
            conv.weight.copy_range(held.clone(), weights);
            // Some rows at a time; several blocks have few.
            let blocks = item.values.len();
            let each = if blocks == 1 { sparse_rows(geometry) } else { geometry.y.height * blocks };
            let cuts = lists.rows() / geometry.y.channels;
            let mut distances: Vec<Option<Distances>> = vec![None; item.channels.len() * blocks];
            for (band, positions) in positions.chunks(each * geometry.y.width).enumerate() {
                let last = positions.last().map_or(0, |own| own.input as usize);
                let x = x.up_to(last + conv.forward.extent);
                for (cut, filter) in (0..cuts).flat_map(|cut| item.channels.clone().map(move |own| (cut, own))) {
                    let (own, row) = (lists.of(cut * geometry.y.channels + filter), filter - item.channels.start);
                    if cut == 0 || !own.is_empty() {
                        let first = lists.places.get(own.start).map_or(0, |own| *own as usize - held.start);
                        let weights = if own.is_empty() { &[] } else { &weights[first..][..own.len()] };
                        product::<V>(
                            Rows { offsets: &lists.offsets[own], weights, count: 1, extent },
                            positions,
                            &x[group(filter)..],
                            if cut == 0 { start(row) } else { Start::Output },
                            Outputs { blocks: &mut item.values, plane, row, least: f32::NEG_INFINITY, largest: false },
                        );
                    }
                    if cut + 1 < cuts {
                        continue;
                    }
                    let rows = band * each..((band + 1) * each).min(geometry.y.height);
                    // What is written next.
                    let grid = geometry.y.grid().part(rows.clone());
                    for own in 0..rows.len() {
                        grid.prefetch::<V>(&item.values[0][row * plane..(row + 1) * plane], own);
                    }
                    if images.is_none() {
                        continue;
                    }
                    // While they are in the caches.
                    for (values, found) in item.values.iter().zip(&mut distances[row * blocks..]) {
                        let values = &values[row * plane..(row + 1) * plane];
                        let own = Plane { grid: geometry.y.grid(), values };
                        found.get_or_insert(Distances::from(&values[own.grid.start])).add::<V>(own.part(rows.clone()));
                    }
                }
            }
            if let Some(images) = images {
                moments.extend(distances.iter().flatten().enumerate().map(|(place, own)| {
                    own.moments(geometry.y.pixels(), images_of(item.block + place % blocks, images))
                }));
            }
            return;
        }
        let x = x.all();
        let columns = geometry.columns();
        for (first, count) in tiles(item.channels.clone(), filters, tile_rows(set)) {
            conv.weight.copy_range(first * columns..(first + count) * columns, weights);
            tile.resize(columns * count, 0.0);
            for (m, row) in weights.chunks_exact(columns).enumerate() {
                row.iter().zip(tile[m..].iter_mut().step_by(count)).for_each(|(weight, to)| *to = *weight);
            }
            let row = first - item.channels.start;
            product::<V>(
                Rows { offsets: &conv.offsets, weights: tile, count, extent },
                positions,
                &x[group(first)..],
                start(row),
                Outputs { blocks: &mut item.values, plane, row, least: f32::NEG_INFINITY, largest: false },
            );
            // While the rows are in the caches.
            gather::<V>(geometry, item, row..row + count, images, moments);
        }
    }
}

/// Works out the moments of a piece, if they are wanted.
pub(super) struct Gather<'a, 'b> {
    pub geometry: &'a Geometry,
    pub item: &'a Piece<'b>,
    pub images: Option<usize>,
    /// `[channel][block]`
    pub moments: &'a mut Vec<Moments>,
}

impl Kernel for Gather<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        gather::<V>(self.geometry, self.item, 0..self.item.channels.len(), self.images, self.moments);
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
            let mut distances = Distances::from(&values[grid.start]);
            distances.add::<V>(Plane { grid, values });
            found.push(distances.moments(geometry.y.pixels(), images_of(item.block + block, images)));
        }
    }
}
