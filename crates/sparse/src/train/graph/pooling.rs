//! Max- and average-pooling; global average pooling is one window.

use super::layout::Layout;
use super::pieces::{Piece, pieces, ranges};
use super::pointwise::{Read, Write};
use crate::kernels::pooling::{Masked, Windows, average, average_backward, max, max_backward};
use crate::lanes::Lanes;
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::Context;
use secateur_graph::{Pool, PoolKind, Window};

/// Pooling in training.
#[derive(Debug)]
pub(crate) struct Pooling {
    kind: PoolKind,
    windows: Windows,
}

/// Items of a phase for each thread.
const ITEMS: usize = 4;

impl Pooling {
    /// `x` and `y` are the layouts of the values, `dx` and `dy` those of their gradients.
    pub(crate) fn new(pool: Pool, [x, y]: [&Layout; 2], [dx, dy]: [&Layout; 2]) -> Self {
        let Window { size, stride, padding, dilation } = pool.window;
        let meets = |axis: usize, position: usize, element: usize, side: usize| {
            let padded = position * stride[axis] + element * dilation[axis];
            padded.checked_sub(padding[axis]).filter(|index| *index < side)
        };
        let mut windows = Windows { starts: vec![0], share: 1.0 / (size[0] * size[1]) as f32, ..Windows::default() };
        for pixel in 0..y.pixels() {
            let (row, column) = (pixel / y.width, pixel % y.width);
            windows.outputs.push([y.at(row, column) as u32, dy.at(row, column) as u32]);
            for ky in 0..size[0] {
                let Some(row) = meets(0, row, ky, x.height) else { continue };
                for column in (0..size[1]).filter_map(|kx| meets(1, column, kx, x.width)) {
                    windows.elements.push([x.at(row, column) as u32, dx.at(row, column) as u32]);
                }
            }
            windows.starts.push(windows.elements.len() as u32);
        }
        Self { kind: pool.kind, windows }
    }

    /// The mean of each channel.
    pub(crate) fn global(values: [&Layout; 2], gradients: [&Layout; 2]) -> Self {
        let window = Window { size: [values[0].height, values[0].width], ..Window::square(1) };
        Self::new(Pool { kind: PoolKind::Average, window }, values, gradients)
    }

    /// The windows alone, all lanes of whose elements count.
    pub(crate) fn masked(&self) -> Masked {
        let Windows { starts, elements, outputs, .. } = &self.windows;
        Masked {
            starts: starts.clone(),
            elements: elements.iter().map(|[element, _]| (*element, u16::MAX)).collect(),
            outputs: outputs.iter().map(|[output, _]| *output).collect(),
        }
    }

    /// Bytes of the lists of windows.
    pub(crate) fn bytes(&self) -> usize {
        self.windows.bytes()
    }

    /// Writes the outputs.
    pub(super) fn forward(&self, at: &Context<'_>, x: Read<'_>, y: Write<'_>) {
        let layout = y.layout;
        let mut items = cut(at, y.values, &layout);
        at.pool.each(&mut items, |item| dispatch(at.set, Forward { own: self, x, layout, item }));
    }

    /// Writes a channel of a block; `x` and `y` are its planes.
    #[inline(always)]
    pub(crate) fn write_channel<V: Vector>(&self, x: &[Lanes], y: &mut [Lanes]) {
        match self.kind {
            PoolKind::Max => max::<V>(&self.windows, x, y),
            PoolKind::Average => average::<V>(&self.windows, x, y),
        }
    }

    /// Writes the gradients of the inputs, or adds to them; `x` and `y` are the values.
    pub(super) fn backward(&self, at: &Context<'_>, [x, y, dy]: [Read<'_>; 3], dx: Write<'_>) {
        let (layout, adds) = (dx.layout, dx.adds);
        let mut items = cut(at, dx.values, &layout);
        at.pool.each(&mut items, |item| {
            dispatch(at.set, Backward { own: self, reads: [x, y, dy], layout, adds, item });
        });
    }
}

/// Pieces of one block each.
fn cut<'a>(at: &Context<'_>, values: &'a mut [Lanes], layout: &Layout) -> Vec<Piece<'a>> {
    let blocks = (values.len() / layout.block()).max(1);
    pieces(values, layout, 1, &ranges(layout.channels, 1, (ITEMS * at.pool.threads()).div_ceil(blocks)))
}

struct Forward<'a, 'b> {
    own: &'a Pooling,
    x: Read<'a>,
    layout: Layout,
    item: &'a mut Piece<'b>,
}

impl Kernel for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { own, x, layout, item } = self;
        let channels = item.values[0].chunks_exact_mut(layout.plane());
        for (channel, y) in item.channels.clone().zip(channels) {
            own.write_channel::<V>(x.plane(item.block, channel).values, y);
        }
    }
}

struct Backward<'a, 'b> {
    own: &'a Pooling,
    /// Input, output, and the output's gradient.
    reads: [Read<'a>; 3],
    layout: Layout,
    adds: bool,
    item: &'a mut Piece<'b>,
}

impl Kernel for Backward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { own, reads, layout, adds, item } = self;
        let channels = item.values[0].chunks_exact_mut(layout.plane());
        for (channel, dx) in item.channels.clone().zip(channels) {
            let [x, y, dy] = reads;
            let dy = dy.plane(item.block, channel).values;
            if !adds {
                dx.fill(Lanes::ZERO);
            }
            match own.kind {
                PoolKind::Max => {
                    let (x, y) = (x.plane(item.block, channel).values, y.plane(item.block, channel).values);
                    max_backward::<V>(&own.windows, x, y, dy, dx);
                }
                PoolKind::Average => average_backward::<V>(&own.windows, dy, dx),
            }
        }
    }
}
