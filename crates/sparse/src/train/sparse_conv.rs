//! A convolution with its max-pool that holds only its kept weights.

use super::conv::{Piece, pieces, update_from_partials};
use super::param::Params;
use super::{Backward, Context, groups};
use crate::kernels::conv::{Codes, Shape};
use crate::kernels::sparse_conv::{Tap, forward, input_gradient, unpool, weight_gradient};
use crate::kernels::sparse_linear::Pattern;
use crate::lanes::{LANES, Lanes, at};
use crate::simd::{Kernel, Vector, dispatch, sum_all};
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
    /// The weight is the kept values in the pattern's order.
    pub params: Params,
    /// Gradients of a group of blocks each: `[group][weight, then bias]`.
    partial: Vec<Lanes>,
}

impl SparseConv {
    pub(super) fn new(shape: Shape, rectified: bool, pattern: Arc<Pattern>, params: Params) -> Self {
        let taps = pattern.columns.iter().enumerate();
        let taps = taps.map(|(place, column)| Tap { offset: offset(shape, *column) as u32, place: place as u32 });
        Self { shape, rectified, taps: taps.collect(), params, partial: vec![], pattern }
    }

    pub(super) fn forward(&self, context: &Context<'_>, x: &[Lanes], y: &mut [Lanes], codes: &mut [Codes]) {
        struct Forward<'a, 'b>(&'a SparseConv, &'a mut Piece<'b>);
        impl Kernel for Forward<'_, '_> {
            type Output = ();

            #[inline(always)]
            fn run<V: Vector>(self) {
                let Self(SparseConv { shape, rectified, pattern, taps, params, .. }, item) = self;
                let filters = item.first..item.first + item.output.len() / shape.positions().max(1);
                let filters: Vec<(&[Tap], f32)> = filters
                    .map(|own| {
                        let range = pattern.starts[own] as usize..pattern.starts[own + 1] as usize;
                        (&taps[range], at(&params.bias.values, own))
                    })
                    .collect();
                let value = |place: u32| at(&params.weight.values, place as usize);
                forward::<V>(*shape, &filters, &value, *rectified, item.input, item.output, item.codes);
            }
        }
        let filters = self.shape.outputs.div_ceil(2).max(8).min(self.shape.outputs);
        let mut items = pieces(self.shape, filters, x, y, codes);
        context.pool.each(&mut items, |item| dispatch(context.set, Forward(self, item)));
    }

    pub(super) fn backward(&mut self, context: &Context<'_>, step: Backward<'_>, codes: &[Codes]) {
        let Backward { x, dy, dx, rule, .. } = step;
        let shape = self.shape;
        let (image, unit) = (shape.inputs * shape.height * shape.width, shape.outputs * shape.positions());
        let blocks = x.len() / image;
        let (weights, group) = (self.params.weight.values.len(), groups(blocks));
        let each = weights + self.params.bias.values.len();
        self.partial.resize(blocks.div_ceil(group) * each, Lanes::ZERO);
        let mut dx = dx.map(|dx| dx.chunks_mut(group * image));
        let mut items: Vec<Group<'_>> = vec![];
        for (place, partial) in self.partial.chunks_exact_mut(each).enumerate() {
            let own = place * group..((place + 1) * group).min(blocks);
            items.push(Group {
                x: &x[own.start * image..own.end * image],
                dy: &dy[own.start * unit..own.end * unit],
                codes: &codes[own.start * unit..own.end * unit],
                dx: dx.as_mut().and_then(Iterator::next),
                partial: partial.split_at_mut(weights),
            });
        }
        let (pattern, values) = (&self.pattern, &self.params.weight.values);
        context.pool.each(&mut items, |item| dispatch(context.set, GroupBackward { shape, pattern, values, item }));
        drop(items);
        update_from_partials(context, &self.partial, &mut self.params, rule);
    }
}

/// Where the input of a column (a channel's tap) stands, relative to the output's position.
fn offset(shape: Shape, column: u32) -> usize {
    let taps = shape.kernel * shape.kernel;
    let (channel, tap) = (column as usize / taps, column as usize % taps);
    (channel * shape.height + tap / shape.kernel) * shape.width + tap % shape.kernel
}

/// A few blocks of the backward phase, with a sum of their own.
struct Group<'a> {
    x: &'a [Lanes],
    dy: &'a [Lanes],
    codes: &'a [Codes],
    dx: Option<&'a mut [Lanes]>,
    partial: (&'a mut [Lanes], &'a mut [Lanes]),
}

struct GroupBackward<'a, 'b> {
    shape: Shape,
    pattern: &'a Pattern,
    values: &'a [Lanes],
    item: &'a mut Group<'b>,
}

impl Kernel for GroupBackward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { shape, pattern, values, item } = self;
        let (pixels, positions) = (shape.height * shape.width, shape.positions());
        let (image, unit) = (shape.inputs * pixels, shape.outputs * positions);
        let (sums, biases) = (&mut *item.partial.0, &mut *item.partial.1);
        sums.fill(Lanes::ZERO);
        biases.fill(Lanes::ZERO);
        let mut full = vec![Lanes::ZERO; shape.outputs * 4 * positions];
        for (block, input) in item.x.chunks_exact(image).enumerate() {
            let dy = &item.dy[block * unit..(block + 1) * unit];
            let codes = &item.codes[block * unit..(block + 1) * unit];
            let filters = dy.chunks_exact(positions).zip(codes.chunks_exact(positions));
            for (own, ((dy, codes), full)) in filters.zip(full.chunks_exact_mut(4 * positions)).enumerate() {
                unpool::<V>(shape, dy, codes, full);
                biases[own / LANES].0[own % LANES] += sum_all::<V>(full).sum();
                for place in pattern.starts[own]..pattern.starts[own + 1] {
                    let offset = offset(shape, pattern.columns[place as usize]);
                    sums[place as usize / LANES].0[place as usize % LANES] +=
                        weight_gradient::<V>(shape, full, offset, input);
                }
            }
            let Some(dx) = item.dx.as_mut() else { continue };
            let taps = shape.kernel * shape.kernel;
            for (channel, dx) in dx[block * image..(block + 1) * image].chunks_exact_mut(pixels).enumerate() {
                dx.fill(Lanes::ZERO);
                for column in channel * taps..(channel + 1) * taps {
                    let offset = offset(shape, column as u32) - channel * pixels;
                    let places = pattern.column_starts[column] as usize..pattern.column_starts[column + 1] as usize;
                    for (row, place) in &pattern.places[places] {
                        let full = &full[*row as usize * 4 * positions..][..4 * positions];
                        input_gradient::<V>(shape, full, at(values, *place as usize), offset, dx);
                    }
                }
            }
        }
    }
}
