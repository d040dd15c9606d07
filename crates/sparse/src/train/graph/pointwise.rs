//! Batch normalisation, addition and activation, which are one pass where they follow each other.

use super::layout::Layout;
use super::norm::Norm;
use super::pieces::{Piece, images_of, pieces, ranges};
use crate::kernels::activation::{Function, Gelu, Identity, Relu, Relu6, Silu};
use crate::kernels::pointwise::{self as kernel, Moments, Plane, PlaneMut, Scale, Slopes};
use crate::kernels::update::Rule;
use crate::lanes::{LANES, Lanes};
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::Context;
use secateur_graph::Activation;
use std::ops::Range;

/// `y = activation(norm(x) + other)`, of which each may be missing.
#[derive(Debug)]
pub(super) struct Pointwise {
    pub norm: Option<Norm>,
    pub activation: Option<Activation>,
}

/// Values that are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read<'a> {
    pub layout: Layout,
    pub values: &'a [Lanes],
}

impl<'a> Read<'a> {
    pub(crate) fn plane(&self, block: usize, channel: usize) -> Plane<'a> {
        let start = block * self.layout.block() + channel * self.layout.plane();
        Plane { grid: self.layout.grid(), values: &self.values[start..start + self.layout.plane()] }
    }
}

/// Gradients that are written, or added to.
#[derive(Debug)]
pub(super) struct Write<'a> {
    pub layout: Layout,
    pub values: &'a mut [Lanes],
    pub adds: bool,
}

/// Items of a phase for each thread.
const ITEMS: usize = 8;

/// Calls a function that is generic over the activation.
macro_rules! with {
    ($activation:expr, $f:ident, $($argument:expr),*) => {
        match $activation {
            None => $f::<V, Identity>($($argument),*),
            Some(Activation::Relu) => $f::<V, Relu>($($argument),*),
            Some(Activation::Relu6) => $f::<V, Relu6>($($argument),*),
            Some(Activation::Gelu) => $f::<V, Gelu>($($argument),*),
            Some(Activation::Silu) => $f::<V, Silu>($($argument),*),
        }
    };
}
pub(crate) use with;

impl Pointwise {
    /// The scale of a channel.
    fn scale(&self, channel: usize) -> Scale {
        self.norm.as_ref().map_or(Scale::NONE, |own| own.scales[channel])
    }

    /// Works out the scales; in training with the batch's mean and variance, which follow from the moments of each channel
    /// of each block.
    pub(super) fn prepare(&mut self, moments: Option<&[Moments]>, channels: usize) {
        if let Some(norm) = &mut self.norm {
            if let Some(moments) = moments {
                norm.batch = total(moments, channels, Moments::default(), Moments::merged);
            }
            norm.set_scales(moments.is_some());
        }
    }

    /// Writes the outputs, once it is prepared.
    pub(super) fn forward(&self, at: &Context<'_>, x: Read<'_>, other: Option<Read<'_>>, y: Write<'_>) {
        let layout = y.layout;
        let mut items = cut(at, y.values, &layout);
        at.pool.each(&mut items, |item| dispatch(at.set, Forward { own: self, x, other, layout, item }));
    }

    /// Writes some channels of a block, once it is prepared; `y` is `[channel][plane]`.
    #[inline(always)]
    pub(super) fn write_channels<V: Vector>(
        &self,
        x: Read<'_>,
        other: Option<Read<'_>>,
        layout: &Layout,
        block: usize,
        channels: Range<usize>,
        y: &mut [Lanes],
    ) {
        with!(self.activation, write, self, x, other, layout, block, channels, y);
    }

    /// Moves the scale and the shift along their gradients; gives how the gradient of each channel's input follows.
    pub(super) fn update(&mut self, at: &Context<'_>, rule: &Rule, reads: Reads<'_>) -> Vec<Slopes> {
        let mut slopes = vec![Slopes::NONE; reads.x.layout.channels];
        if self.norm.is_none() {
            return slopes;
        }
        let sums = self.sums(at, reads);
        let norm = self.norm.as_mut().expect("asked just before");
        let (mut scales, mut shifts) = (vec![0.0; norm.scale.padded()], vec![0.0; norm.shift.padded()]);
        for (channel, ([gradient, product], slopes)) in sums.into_iter().zip(&mut slopes).enumerate() {
            let Moments { count, squares, .. } = norm.batch[channel];
            let variance = squares / count + norm.options.epsilon;
            let factor = f64::from(norm.scales[channel].factor);
            shifts[channel] = gradient as f32;
            scales[channel] = (product / variance.sqrt()) as f32;
            *slopes = Slopes {
                factor: factor as f32,
                slope: (-factor * product / (variance * count)) as f32,
                constant: (-factor * gradient / count) as f32,
            };
        }
        norm.scale.update(at, rule, &scales);
        norm.shift.update(at, rule, &shifts);
        slopes
    }

    /// By channel the sums of the gradient before the activation, and of its products with the input less its mean.
    fn sums(&self, at: &Context<'_>, reads: Reads<'_>) -> Vec<[f64; 2]> {
        let channels = reads.x.layout.channels;
        let blocks = reads.x.values.len() / reads.x.layout.block();
        let mut found = vec![[0.0; 2]; blocks * channels];
        let mut items: Vec<_> = found.iter_mut().enumerate().collect();
        let mut items: Vec<_> = items.chunks_mut(channel_step(channels)).collect();
        at.pool.each(&mut items, |item| dispatch(at.set, Sums { own: self, reads, item }));
        total(&found, channels, [0.0; 2], |[a, b], [c, d]| [a + c, b + d])
    }

    /// Writes the gradients of the input and of what is added to it, those that are wanted.
    pub(super) fn backward(
        &self,
        at: &Context<'_>,
        images: usize,
        reads: Reads<'_>,
        slopes: &[Slopes],
        writes: [Option<Write<'_>>; 2],
    ) {
        let how = writes.each_ref().map(|own| own.as_ref().map(|own| (own.layout, own.adds)));
        let [mut dx, mut other] =
            writes.map(|own| own.map_or_else(Vec::new, |own| cut(at, own.values, &own.layout)).into_iter());
        let count = dx.len().max(other.len());
        let mut items: Vec<[Option<Piece<'_>>; 2]> = (0..count).map(|_| [dx.next(), other.next()]).collect();
        at.pool.each(&mut items, |item| {
            dispatch(at.set, Backward { own: self, images, reads, slopes, how, item });
        });
    }
}

/// What the way back reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reads<'a> {
    pub x: Read<'a>,
    pub other: Option<Read<'a>>,
    pub y: Read<'a>,
    pub dy: Read<'a>,
}

impl<'a> Reads<'a> {
    fn planes(&self, block: usize, channel: usize) -> kernel::Back<'a> {
        kernel::Back {
            x: self.x.plane(block, channel),
            other: self.other.map(|own| own.plane(block, channel)),
            y: self.y.plane(block, channel),
            dy: self.dy.plane(block, channel),
        }
    }
}

/// Pieces of one block each.
fn cut<'a>(at: &Context<'_>, values: &'a mut [Lanes], layout: &Layout) -> Vec<Piece<'a>> {
    let blocks = (values.len() / layout.block()).max(1);
    pieces(values, layout, 1, &ranges(layout.channels, 1, (ITEMS * at.pool.threads()).div_ceil(blocks)))
}

/// Channels that an item of a reduction takes.
fn channel_step(channels: usize) -> usize {
    channels.div_ceil(2)
}

/// What was found of each channel of each block, `[block][channel]`, over all blocks.
fn total<T: Copy>(found: &[T], channels: usize, none: T, add: impl Fn(T, T) -> T) -> Vec<T> {
    let of = |channel: usize| found.iter().skip(channel).step_by(channels).fold(none, |sum, own| add(sum, *own));
    (0..channels).map(of).collect()
}

/// The moments of each channel of each block, `[block][channel]`.
pub(super) fn moments(at: &Context<'_>, images: usize, x: Read<'_>) -> Vec<Moments> {
    let channels = x.layout.channels;
    let blocks = x.values.len() / x.layout.block();
    let mut found = vec![Moments::default(); blocks * channels];
    let mut items: Vec<_> = found.iter_mut().enumerate().collect();
    let mut items: Vec<_> = items.chunks_mut(channel_step(channels)).collect();
    at.pool.each(&mut items, |item| dispatch(at.set, Gather { images, x, item }));
    found
}

struct Gather<'a, 'b, 'c> {
    images: usize,
    x: Read<'a>,
    item: &'b mut [(usize, &'c mut Moments)],
}

impl Kernel for Gather<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        for (place, own) in self.item {
            let (block, channel) = (*place / self.x.layout.channels, *place % self.x.layout.channels);
            **own = kernel::moments::<V>(self.x.plane(block, channel), images_of(block, self.images));
        }
    }
}

struct Forward<'a, 'b> {
    own: &'a Pointwise,
    x: Read<'a>,
    other: Option<Read<'a>>,
    layout: Layout,
    item: &'a mut Piece<'b>,
}

impl Kernel for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { own, x, other, layout, item } = self;
        own.write_channels::<V>(x, other, &layout, item.block, item.channels.clone(), item.values[0]);
    }
}

/// Some channels of a block, which `y` is, `[channel][plane]`.
#[inline(always)]
fn write<V: Vector, F: Function>(
    own: &Pointwise,
    x: Read<'_>,
    other: Option<Read<'_>>,
    layout: &Layout,
    block: usize,
    channels: Range<usize>,
    y: &mut [Lanes],
) {
    for (channel, y) in channels.zip(y.chunks_exact_mut(layout.plane())) {
        let other = other.map(|other| other.plane(block, channel));
        kernel::forward::<V, F>(own.scale(channel), x.plane(block, channel), other, layout.grid(), y);
    }
}

struct Sums<'a, 'b, 'c> {
    own: &'a Pointwise,
    reads: Reads<'a>,
    item: &'b mut [(usize, &'c mut [f64; 2])],
}

impl Kernel for Sums<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        with!(self.own.activation, sums, self);
    }
}

#[inline(always)]
fn sums<V: Vector, F: Function>(task: Sums<'_, '_, '_>) {
    let Sums { own, reads, item } = task;
    for (place, sums) in item {
        let (block, channel) = (*place / reads.x.layout.channels, *place % reads.x.layout.channels);
        **sums = kernel::sums::<V, F>(own.scale(channel), reads.planes(block, channel));
    }
}

struct Backward<'a, 'b> {
    own: &'a Pointwise,
    images: usize,
    reads: Reads<'a>,
    slopes: &'a [Slopes],
    /// Layouts of the gradients, and whether they are added to.
    how: [Option<(Layout, bool)>; 2],
    item: &'a mut [Option<Piece<'b>>; 2],
}

impl Kernel for Backward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        with!(self.own.activation, backward, self);
    }
}

#[inline(always)]
fn backward<V: Vector, F: Function>(task: Backward<'_, '_>) {
    let Backward { own, images, reads, slopes, how, item } = task;
    let Some(Piece { block, channels, .. }) = item.iter().flatten().next() else { return };
    let (block, channels) = (*block, channels.clone());
    let bits = u16::MAX.checked_shr((LANES - images_of(block, images)) as u32).unwrap_or(0);
    for (place, channel) in channels.enumerate() {
        let [mut dx, mut other] = [None, None];
        let [first, second] = &mut *item;
        for (piece, how, to) in [(first, how[0], &mut dx), (second, how[1], &mut other)] {
            if let (Some(piece), Some((layout, adds))) = (piece, how) {
                let plane = layout.plane();
                let values = &mut piece.values[0][place * plane..(place + 1) * plane];
                *to = Some(PlaneMut { grid: layout.grid(), values, adds });
            }
        }
        let planes = reads.planes(block, channel);
        kernel::backward::<V, F>(own.scale(channel), slopes[channel], bits, planes, dx, other);
    }
}
