//! A convolution with its max-pool that computes with all of its weights.

use super::{Backward, Context, Scratch};
use crate::kernels::conv::{Codes, Shape, forward};
use crate::kernels::conv_backward::{block_from_images, from_lists, images_from_block, weight_gradient_in_lanes};
use crate::kernels::update::Rule;
use crate::lanes::{LANES, Lanes};
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::param::{Chunk, Params};

/// `y = maxpool(relu(conv(x) + bias))`; weights are `[inputs / 16][filter][tap][16]`.
#[derive(Debug)]
pub(super) struct Conv {
    shape: Shape,
    rectified: bool,
    pub params: Params,
    /// Gradients of a group of blocks each: `[group][weight, then bias]`.
    partial: Vec<Lanes>,
}

/// Input channels from which a gradient pays with the channels in the lanes instead of the images.
const CHANNELS: usize = 4;

impl Conv {
    pub(super) fn new(shape: Shape, rectified: bool, params: Params) -> Self {
        Self { shape, rectified, params, partial: vec![] }
    }

    pub(super) fn forward(&self, at: &Context<'_>, x: &[Lanes], y: &mut [Lanes], codes: &mut [Codes]) {
        let outputs = self.shape.outputs;
        // Ten filters at least share what they read of the image.
        let filters = (outputs * x.len() / self.shape.image()).div_ceil(8 * at.pool.threads()).max(10);
        let filters = filters.next_multiple_of(5).min(outputs);
        let mut items = pieces(self.shape, filters, x, y, codes);
        at.pool.each(&mut items, |item| dispatch(at.set, Forward { layer: self, item }));
    }

    pub(super) fn backward(&mut self, at: &Context<'_>, step: Backward<'_>, codes: &[Codes]) {
        let Backward { x, dy, dx, rule, scratch, .. } = step;
        let mut items = groups(self.shape, &self.params, &mut self.partial, (x, dy, codes), dx);
        let (shape, values) = (self.shape, &self.params.weight.values);
        at.pool.each_with(scratch, &mut items, |scratch, item| {
            dispatch(at.set, GroupBackward { shape, weight: values, scratch, item });
        });
        drop(items);
        update_from_partials(at, &self.partial, &mut self.params, rule);
    }
}

/// A few blocks of the backward phase, with a sum of their own.
pub(super) struct Group<'a> {
    pub x: &'a [Lanes],
    pub dy: &'a [Lanes],
    pub codes: &'a [Codes],
    pub dx: Option<&'a mut [Lanes]>,
    /// Of the weight and of the bias.
    pub partial: (&'a mut [Lanes], &'a mut [Lanes]),
}

/// Cuts the blocks of a backward phase into groups, each with its sums in `partial`. Their number depends on the batch
/// alone, so that sums keep their order for any number of threads.
pub(super) fn groups<'a>(
    shape: Shape,
    params: &Params,
    partial: &'a mut Vec<Lanes>,
    (x, dy, codes): (&'a [Lanes], &'a [Lanes], &'a [Codes]),
    dx: Option<&'a mut [Lanes]>,
) -> Vec<Group<'a>> {
    let (image, unit) = (shape.image(), shape.pooled_image());
    let blocks = x.len() / image;
    let group = blocks.div_ceil(8);
    let weights = params.weight.values.len();
    let each = weights + params.bias.values.len();
    partial.resize(blocks.div_ceil(group) * each, Lanes::ZERO);
    let mut dx = dx.map(|dx| dx.chunks_mut(group * image));
    let mut found = vec![];
    for (place, partial) in partial.chunks_exact_mut(each).enumerate() {
        let own = place * group..((place + 1) * group).min(blocks);
        found.push(Group {
            x: &x[own.start * image..own.end * image],
            dy: &dy[own.start * unit..own.end * unit],
            codes: &codes[own.start * unit..own.end * unit],
            dx: dx.as_mut().and_then(Iterator::next),
            partial: partial.split_at_mut(weights),
        });
    }
    found
}

/// Moves weight and bias along the sum of the groups' gradients, `[group][weight, then bias]`, in the groups' order.
pub(super) fn update_from_partials(at: &Context<'_>, partial: &[Lanes], params: &mut Params, rule: &Rule) {
    struct Update<'a, 'b>(&'a [&'a [Lanes]], usize, &'a mut Chunk<'b>, &'a Rule);
    impl Kernel for Update<'_, '_> {
        type Output = ();

        #[inline(always)]
        fn run<V: Vector>(self) {
            let Self(partials, shift, chunk, rule) = self;
            for (place, own) in chunk.range().enumerate() {
                let mut sum = V::splat(0.0);
                for partial in partials {
                    sum = sum.add(V::load(&partial[shift + own]));
                }
                chunk.update(rule, place, sum);
            }
        }
    }
    let Params { weight, bias } = params;
    let (weights, biases) = (weight.values.len(), bias.values.len());
    let partials: Vec<&[Lanes]> = partial.chunks_exact(weights + biases).collect();
    let vectors = weights.div_ceil(2 * at.pool.threads()).max(64);
    let mut items: Vec<(usize, Chunk<'_>)> = weight.chunks(vectors).into_iter().map(|chunk| (0, chunk)).collect();
    items.push((weights, bias.all()));
    at.pool.each(&mut items, |(shift, chunk)| dispatch(at.set, Update(&partials, *shift, chunk, rule)));
}

/// A few filters of one block.
pub(super) struct Piece<'a> {
    pub first: usize,
    pub input: &'a [Lanes],
    pub output: &'a mut [Lanes],
    pub codes: &'a mut [Codes],
}

/// Cuts the output `[block][filter][position]` into pieces of `filters` filters; `codes` may be empty.
pub(super) fn pieces<'a>(
    shape: Shape,
    filters: usize,
    x: &'a [Lanes],
    y: &'a mut [Lanes],
    codes: &'a mut [Codes],
) -> Vec<Piece<'a>> {
    let positions = shape.positions();
    let mut codes = codes.chunks_mut(shape.pooled_image().max(1));
    let mut found = vec![];
    let blocks = x.chunks_exact(shape.image());
    for (input, y) in blocks.zip(y.chunks_exact_mut(shape.pooled_image())) {
        let mut codes = codes.next().unwrap_or_default().chunks_mut(filters * positions);
        for (place, output) in y.chunks_mut(filters * positions).enumerate() {
            found.push(Piece { first: place * filters, input, output, codes: codes.next().unwrap_or_default() });
        }
    }
    found
}

struct Forward<'a, 'b> {
    layer: &'a Conv,
    item: &'a mut Piece<'b>,
}

impl Kernel for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { layer: Conv { shape, rectified, params, .. }, item } = self;
        let Piece { first, input, output, codes } = item;
        let (weight, bias) = (&params.weight.values, &params.bias.values);
        forward::<V>(*shape, weight, bias, *rectified, input, *first, output, codes);
    }
}

struct GroupBackward<'a, 'b> {
    shape: Shape,
    weight: &'a [Lanes],
    scratch: &'a mut Scratch,
    item: &'a mut Group<'b>,
}

impl Kernel for GroupBackward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { shape, weight, scratch, item } = self;
        let (pixels, positions) = (shape.pixels(), shape.positions());
        let (image, unit) = (shape.image(), shape.pooled_image());
        let (sums, biases) = (&mut *item.partial.0, &mut *item.partial.1);
        sums.fill(Lanes::ZERO);
        biases.fill(Lanes::ZERO);
        let in_lanes = item.dx.is_none() && shape.inputs < CHANNELS;
        // Each image's pixels, and behind them their gradient.
        let stride = if item.dx.is_some() { 2 * pixels } else { pixels };
        let Scratch { images, lists } = scratch;
        if !in_lanes {
            images.resize(LANES * shape.vectors() * stride, Lanes::ZERO);
        }
        for (block, input) in item.x.chunks_exact(image).enumerate() {
            let dy = &item.dy[block * unit..(block + 1) * unit];
            let codes = &item.codes[block * unit..(block + 1) * unit];
            let filters = || dy.chunks_exact(positions).zip(codes.chunks_exact(positions));
            for (own, (dy, codes)) in filters().enumerate() {
                let mut sum = V::splat(0.0);
                for (dy, codes) in dy.iter().zip(codes) {
                    sum = sum.add(V::load(dy).keep(codes[0] | codes[1] | codes[2] | codes[3]));
                }
                biases[own / LANES].0[own % LANES] += sum.sum();
            }
            if in_lanes {
                for ((dy, codes), sums) in filters().zip(sums.chunks_exact_mut(shape.taps())) {
                    weight_gradient_in_lanes::<V>(shape, dy, codes, input, sums);
                }
                continue;
            }
            lists.collect(shape, dy, codes);
            for own in images.chunks_exact_mut(stride) {
                own[pixels..].fill(Lanes::ZERO);
            }
            images_from_block::<V>(input, shape.inputs, pixels, images, stride);
            from_lists::<V>(shape, lists, images, stride, weight, sums);
            if let Some(dx) = item.dx.as_mut() {
                let dx = &mut dx[block * image..(block + 1) * image];
                block_from_images::<V>(images, stride, shape.inputs, pixels, dx);
            }
        }
    }
}
