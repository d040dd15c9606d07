//! A convolution with its max-pool that holds only its kept weights.

use super::conv::{Group, Piece, groups, pieces, update_from_partials};
use super::{Backward, Context, Scratch};
use crate::kernels::conv::{Codes, Shape};
use crate::kernels::sparse_conv::{Tap, forward, tap_gradients, unpool};
use crate::kernels::sparse_linear::{Pattern, Term};
use crate::lanes::{LANES, Lanes, at};
use crate::simd::{Kernel, Vector, dispatch, sum_all};
use crate::train::param::Params;
use std::sync::Arc;

/// `y = maxpool(relu(conv(x) + bias))` over the kept weights.
#[derive(Debug)]
pub(super) struct SparseConv {
    shape: Shape,
    rectified: bool,
    /// A row is a filter, a column an input channel's tap.
    pattern: Arc<Pattern>,
    /// The pattern's weights as the forward kernel reads them.
    taps: Vec<Tap>,
    /// The same as the backward kernel reads them: those of channel `c` are `links[starts[c]..starts[c + 1]]`.
    starts: Vec<u32>,
    links: Vec<Link>,
    /// The weight is the kept values, column after column.
    pub params: Params,
    /// Gradients of a group of blocks each: `[group][weight, then bias]`.
    partial: Vec<Lanes>,
}

/// Vectors of a channel that the backward phase works on at a time: with their gradients a third of a first-level cache.
const BAND: usize = 80;

impl SparseConv {
    pub(super) fn new(shape: Shape, rectified: bool, pattern: Arc<Pattern>, params: Params) -> Self {
        let tap = |term: &Term| Tap { offset: offset(shape, term.column as usize) as u32, place: term.place };
        let taps = pattern.terms.iter().map(tap).collect();
        let (each, pixels) = (shape.taps(), shape.pixels());
        let (mut starts, mut links) = (vec![0], vec![]);
        for channel in 0..shape.inputs {
            let first = links.len();
            for column in channel * each..(channel + 1) * each {
                let offset = (offset(shape, column) - channel * pixels) as u32;
                for place in pattern.column(column) {
                    links.push(Link { filter: pattern.rows[place], offset, place: place as u32 });
                }
            }
            // What reads the same filter's gradient comes together.
            links[first..].sort_by_key(|link| (link.filter, link.offset));
            starts.push(links.len() as u32);
        }
        Self { shape, rectified, taps, starts, links, params, partial: vec![], pattern }
    }

    /// The kept weights of a filter.
    fn taps_of(&self, filter: usize) -> &[Tap] {
        &self.taps[self.pattern.row_range(filter)]
    }

    pub(super) fn forward(&self, context: &Context<'_>, x: &[Lanes], y: &mut [Lanes], codes: &mut [Codes]) {
        struct Forward<'a, 'b>(&'a SparseConv, &'a mut Piece<'b>);
        impl Kernel for Forward<'_, '_> {
            type Output = ();

            #[inline(always)]
            fn run<V: Vector>(self) {
                let Self(layer, item) = self;
                let shape = layer.shape;
                let filters = item.first..item.first + item.output.len() / shape.positions().max(1);
                let filters: Vec<(&[Tap], f32)> =
                    filters.map(|own| (layer.taps_of(own), at(&layer.params.bias.values, own))).collect();
                let value = |place: u32| at(&layer.params.weight.values, place as usize);
                forward::<V>(shape, &filters, &value, layer.rectified, item.input, item.output, item.codes);
            }
        }
        let filters = self.shape.outputs.div_ceil(2).max(8).min(self.shape.outputs);
        let mut items = pieces(self.shape, filters, x, y, codes);
        context.pool.each(&mut items, |item| dispatch(context.set, Forward(self, item)));
    }

    pub(super) fn backward(&mut self, context: &Context<'_>, step: Backward<'_>, codes: &[Codes]) {
        let Backward { x, dy, dx, rule, scratch, .. } = step;
        let mut partials = std::mem::take(&mut self.partial);
        let mut items = groups(self.shape, &self.params, &mut partials, (x, dy, codes), dx);
        let layer = &*self;
        context.pool.each_with(scratch, &mut items, |scratch, item| {
            dispatch(context.set, GroupBackward { layer, scratch, item });
        });
        drop(items);
        update_from_partials(context, &partials, &mut self.params, rule);
        self.partial = partials;
    }
}

/// A kept weight as the backward kernel reads it.
#[derive(Clone, Copy, Debug)]
struct Link {
    filter: u32,
    /// Within its channel: `ky * width + kx`.
    offset: u32,
    /// Its place among the values.
    place: u32,
}

/// Where the input of a column (a channel's tap) stands, relative to the output's position.
fn offset(shape: Shape, column: usize) -> usize {
    let taps = shape.taps();
    let (channel, tap) = (column / taps, column % taps);
    (channel * shape.height + tap / shape.kernel) * shape.width + tap % shape.kernel
}

struct GroupBackward<'a, 'b> {
    layer: &'a SparseConv,
    scratch: &'a mut Scratch,
    item: &'a mut Group<'b>,
}

impl Kernel for GroupBackward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { layer, scratch, item } = self;
        let (shape, values) = (layer.shape, layer.params.weight.values.as_slice());
        let [height, _] = shape.pooled();
        let (pixels, positions) = (shape.pixels(), shape.positions());
        let (image, unit) = (shape.image(), shape.pooled_image());
        let (sums, biases) = (&mut *item.partial.0, &mut *item.partial.1);
        sums.fill(Lanes::ZERO);
        biases.fill(Lanes::ZERO);
        let full = &mut scratch.images;
        for (block, input) in item.x.chunks_exact(image).enumerate() {
            let dy = &item.dy[block * unit..(block + 1) * unit];
            let codes = &item.codes[block * unit..(block + 1) * unit];
            let filters = dy.chunks_exact(positions).zip(codes.chunks_exact(positions)).enumerate();
            let Some(dx) = item.dx.as_mut() else {
                // One filter after the other.
                full.resize(4 * positions, Lanes::ZERO);
                for (own, (dy, codes)) in filters {
                    unpool::<V>(shape, dy, codes, full);
                    biases[own / LANES].0[own % LANES] += sum_all::<V>(full).sum();
                    for tap in layer.taps_of(own) {
                        let (place, offset) = (tap.place as usize, tap.offset as usize);
                        sums[place / LANES].0[place % LANES] +=
                            tap_gradients::<V>(shape, full, 0..2 * height, 0.0, offset, input, &mut []);
                    }
                }
                continue;
            };
            full.resize(shape.outputs * 4 * positions, Lanes::ZERO);
            for ((own, (dy, codes)), full) in filters.zip(full.chunks_exact_mut(4 * positions)) {
                unpool::<V>(shape, dy, codes, full);
                biases[own / LANES].0[own % LANES] += sum_all::<V>(full).sum();
            }
            // A band of a channel and of its gradient stay in the first-level cache while all that reads them goes by.
            let band = (BAND / shape.width).next_multiple_of(2).max(2);
            for channel in 0..shape.inputs {
                let own = channel * pixels..(channel + 1) * pixels;
                let dx = &mut dx[block * image + own.start..block * image + own.end];
                dx.fill(Lanes::ZERO);
                let links = &layer.links[layer.starts[channel] as usize..layer.starts[channel + 1] as usize];
                for first in (0..2 * height).step_by(band) {
                    let rows = first..(first + band).min(2 * height);
                    for link in links {
                        let full = &full[link.filter as usize * 4 * positions..][..4 * positions];
                        let (place, offset) = (link.place as usize, link.offset as usize);
                        let (rows, weight, input) = (rows.clone(), at(values, place), &input[own.clone()]);
                        sums[place / LANES].0[place % LANES] +=
                            tap_gradients::<V>(shape, full, rows, weight, offset, input, dx);
                    }
                }
            }
        }
    }
}
