//! The way back through a pass: first the gradient before its activation, in the place of that behind it, with the sums that
//! a normalisation needs of the whole batch; then the gradient of the input.

use super::{Pointwise, Read, Write, cut, total};
use crate::kernels::activation::{Function, with_activation};
use crate::kernels::moments::Moments;
use crate::kernels::pointwise::{self as kernel, Back, Grid, PlaneMut, Slopes};
use crate::kernels::update::Rule;
use crate::lanes::Lanes;
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::Context;
use crate::train::graph::layout::Layout;
use crate::train::graph::pieces::{Piece, lanes_of, pieces, ranges};
use std::ops::Range;

/// The values that the gradient before an activation follows from.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::graph) struct Reads<'a> {
    pub x: Read<'a>,
    pub other: Option<Read<'a>>,
    pub y: Read<'a>,
}

impl<'a> Reads<'a> {
    #[inline(always)]
    pub(in crate::train::graph) fn planes(&self, block: usize, channel: usize) -> Back<'a> {
        let other = self.other.map(|other| other.plane(block, channel));
        Back { x: self.x.plane(block, channel), other, y: self.y.plane(block, channel) }
    }
}

/// The sums of all images.
pub(in crate::train::graph) fn summed(sums: &[Lanes; 2]) -> [f64; 2] {
    let sum = |own: &Lanes| own.0.iter().fold(0.0, |sum, lane| sum + f64::from(*lane));
    [sum(&sums[0]), sum(&sums[1])]
}

impl Pointwise {
    /// Whether the gradient before its activation is another than that behind it, or it needs sums of it.
    pub(in crate::train::graph) fn reduces(&self) -> bool {
        self.norm.is_some() || self.activation.is_some()
    }

    /// Makes the gradient of some rows of a channel that before the activation, in place, and adds to its sums.
    #[inline(always)]
    pub(in crate::train::graph) fn reduce_rows<V: Vector>(
        &self,
        channel: usize,
        back: Back<'_>,
        grid: Grid,
        gradient: &mut [Lanes],
        sums: &mut [Lanes; 2],
    ) {
        with_activation!(self.activation, reduce_rows, self, channel, back, grid, gradient, sums);
    }

    /// The same for everything; gives the sums, `[block][channel]`.
    pub(in crate::train::graph) fn reduce(
        &self,
        at: &Context<'_>,
        reads: Reads<'_>,
        gradient: Write<'_>,
    ) -> Vec<[f64; 2]> {
        let layout = gradient.layout;
        let parts = ranges(layout.channels, 1, 2);
        let pieces = pieces(gradient.values, &layout, 1, &parts).into_iter();
        let mut items: Vec<(Piece<'_>, Vec<[f64; 2]>)> = pieces.map(|piece| (piece, vec![])).collect();
        at.pool.each(&mut items, |(item, sums)| dispatch(at.set, Reduce { own: self, reads, layout, item, sums }));
        items.into_iter().flat_map(|(_, sums)| sums).collect()
    }

    /// Moves the scale and the shift along their gradients, which follow from the sums, `[block][channel]`. From then on it
    /// is known how the gradient of the input follows.
    pub(in crate::train::graph) fn update(&mut self, at: &Context<'_>, rule: &Rule, sums: &[[f64; 2]]) {
        let Some(norm) = &mut self.norm else { return };
        let sums = total(sums, norm.scales.len(), [0.0; 2], |[a, b], [c, d]| [a + c, b + d]);
        let (mut scales, mut shifts) = (vec![0.0; norm.scale.padded()], vec![0.0; norm.shift.padded()]);
        self.slopes.clear();
        for (channel, [gradient, product]) in sums.into_iter().enumerate() {
            let Moments { count, squares, .. } = norm.batch[channel];
            let variance = squares / count + norm.options.epsilon;
            let factor = f64::from(norm.scales[channel].factor);
            shifts[channel] = gradient as f32;
            scales[channel] = (product / variance.sqrt()) as f32;
            self.slopes.push(Slopes {
                factor: factor as f32,
                slope: (-factor * product / (variance * count)) as f32,
                mean: norm.scales[channel].mean,
                constant: (-factor * gradient / count) as f32,
            });
        }
        norm.scale.update(at, rule, &scales);
        norm.shift.update(at, rule, &shifts);
    }

    /// Writes the gradient of the input, or adds to it; `reads` are the input and the gradient before the activation.
    pub(in crate::train::graph) fn backward(
        &self,
        at: &Context<'_>,
        images: usize,
        reads: [Read<'_>; 2],
        dx: Write<'_>,
    ) {
        if self.norm.is_none() {
            return hand_on(at, reads[1], dx);
        }
        let (layout, adds) = (dx.layout, dx.adds);
        let mut items = cut(at, dx.values, &layout);
        at.pool.each(&mut items, |item| {
            dispatch(at.set, Backward { own: self, images, reads, layout, adds, item });
        });
    }

    /// Writes some rows of some channels of a block of the input's gradient; `reads` as above, `dx` is `[channel][plane]`.
    #[inline(always)]
    pub(in crate::train::graph) fn write_gradients<V: Vector>(
        &self,
        images: usize,
        [x, gradient]: [Read<'_>; 2],
        layout: &Layout,
        block: usize,
        [channels, rows]: [Range<usize>; 2],
        (dx, adds): (&mut [Lanes], bool),
    ) {
        let bits = lanes_of(block, images);
        for (channel, values) in channels.zip(dx.chunks_exact_mut(layout.plane())) {
            let planes =
                [x.plane(block, channel).part(rows.clone()), gradient.plane(block, channel).part(rows.clone())];
            let dx = PlaneMut { grid: layout.grid().part(rows.clone()), values, adds };
            kernel::backward::<V>(self.slopes[channel], bits, planes, dx);
        }
    }
}

/// Writes a gradient as it is, or adds it.
pub(in crate::train::graph) fn hand_on(at: &Context<'_>, gradient: Read<'_>, dx: Write<'_>) {
    struct HandOn<'a, 'b>(Read<'a>, Layout, bool, &'a mut Piece<'b>);
    impl Kernel for HandOn<'_, '_> {
        type Output = ();

        #[inline(always)]
        fn run<V: Vector>(self) {
            let Self(gradient, layout, adds, item) = self;
            let channels = item.values[0].chunks_exact_mut(layout.plane());
            for (channel, values) in item.channels.clone().zip(channels) {
                let dx = PlaneMut { grid: layout.grid(), values, adds };
                kernel::hand_on::<V>(gradient.plane(item.block, channel), dx);
            }
        }
    }
    let (layout, adds) = (dx.layout, dx.adds);
    let mut items = cut(at, dx.values, &layout);
    at.pool.each(&mut items, |item| dispatch(at.set, HandOn(gradient, layout, adds, item)));
}

#[inline(always)]
fn reduce_rows<V: Vector, F: Function>(
    own: &Pointwise,
    channel: usize,
    back: Back<'_>,
    grid: Grid,
    gradient: &mut [Lanes],
    sums: &mut [Lanes; 2],
) {
    kernel::reduce::<V, F>(own.scale(channel), back, grid, gradient, sums);
}

struct Reduce<'a, 'b> {
    own: &'a Pointwise,
    reads: Reads<'a>,
    layout: Layout,
    item: &'a mut Piece<'b>,
    sums: &'a mut Vec<[f64; 2]>,
}

impl Kernel for Reduce<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { own, reads, layout, item, sums } = self;
        let channels = item.values[0].chunks_exact_mut(layout.plane());
        for (channel, gradient) in item.channels.clone().zip(channels) {
            let mut found = [Lanes::ZERO; 2];
            own.reduce_rows::<V>(channel, reads.planes(item.block, channel), layout.grid(), gradient, &mut found);
            sums.push(summed(&found));
        }
    }
}

struct Backward<'a, 'b> {
    own: &'a Pointwise,
    images: usize,
    /// The input, and the gradient before the activation.
    reads: [Read<'a>; 2],
    layout: Layout,
    adds: bool,
    item: &'a mut Piece<'b>,
}

impl Kernel for Backward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { own, images, reads, layout, adds, item } = self;
        let which = [item.channels.clone(), 0..layout.height];
        own.write_gradients::<V>(images, reads, &layout, item.block, which, (&mut *item.values[0], adds));
    }
}
