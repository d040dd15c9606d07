//! Batch normalisation, addition and activation, which are one pass where they follow each other.

mod backward;

use super::layout::Layout;
use super::norm::Norm;
use super::pieces::{Piece, images_of, pieces, ranges};
use crate::kernels::activation::{Function, with_activation};
use crate::kernels::moments::{Distances, Moments};
use crate::kernels::pointwise::{self as kernel, Plane, Scale, Slopes};
use crate::lanes::Lanes;
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::Context;
pub(super) use backward::{Reads, hand_on, summed};
use secateur_graph::Activation;
use std::ops::Range;

/// `y = activation(norm(x) + other)`, of which each may be missing.
#[derive(Debug)]
pub(super) struct Pointwise {
    pub norm: Option<Norm>,
    pub activation: Option<Activation>,
    /// Of each channel, how the gradient of its input follows from that before the activation.
    slopes: Vec<Slopes>,
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

impl Pointwise {
    pub(super) fn new(norm: Option<Norm>, activation: Option<Activation>) -> Self {
        Self { norm, activation, slopes: vec![] }
    }

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

    /// Writes some rows of some channels of a block, once it is prepared; `y` is `[channel][plane]`.
    #[inline(always)]
    pub(super) fn write_rows<V: Vector>(
        &self,
        x: Read<'_>,
        other: Option<Read<'_>>,
        layout: &Layout,
        block: usize,
        [channels, rows]: [Range<usize>; 2],
        y: &mut [Lanes],
    ) {
        with_activation!(self.activation, write, self, x, other, layout, block, [channels, rows], y);
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
            let x = self.x.plane(block, channel);
            let mut distances = Distances::from(&x.values[x.grid.start]);
            distances.add::<V>(x);
            **own = distances.moments(self.x.layout.pixels(), images_of(block, self.images));
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
        let which = [item.channels.clone(), 0..layout.height];
        own.write_rows::<V>(x, other, &layout, item.block, which, item.values[0]);
    }
}

#[inline(always)]
fn write<V: Vector, F: Function>(
    own: &Pointwise,
    x: Read<'_>,
    other: Option<Read<'_>>,
    layout: &Layout,
    block: usize,
    [channels, rows]: [Range<usize>; 2],
    y: &mut [Lanes],
) {
    for (channel, y) in channels.zip(y.chunks_exact_mut(layout.plane())) {
        let other = other.map(|other| other.plane(block, channel).part(rows.clone()));
        let x = x.plane(block, channel).part(rows.clone());
        kernel::forward::<V, F>(own.scale(channel), x, other, layout.grid().part(rows.clone()), y);
    }
}
