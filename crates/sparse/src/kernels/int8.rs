//! Convolutions of bytes: sums of signed weights times unsigned bytes, four input channels at once, and back to bytes.
//!
//! A vector holds four channels of a pixel of sixteen images (or of sixteen tiles), as four bytes a lane. An output vector
//! holds four filters, so four filters are computed one after the other, at a rectangle of positions whose sums stay in
//! registers. The numbers of a value are `scale * (byte - zero)`; what `zero` adds to the sums stands in the bias.

use crate::kernels::patches::{Patch, Steps};
use crate::kernels::pointwise::Grid;
use crate::kernels::pooling::Masked;
use crate::lanes::Lanes;
use crate::simd::Vector;
use crate::simd::dots::{DotKernel, DotSet, Dots, dispatch_dots};
use std::ops::Range;

/// Channels, or filters, of a vector.
pub(crate) const QUAD: usize = 4;

/// The weights of all filters.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Weights {
    /// Whether four filters share a list of offsets, each of which has a weight for each of them; otherwise each filter has
    /// a list of its own.
    pub is_shared: bool,
    /// The terms of list `n` are `starts[n]..starts[n + 1]`.
    pub starts: Vec<u32>,
    /// Of each term the offset of its vector, from a position's own.
    pub offsets: Vec<u32>,
    /// Four weights a number, of the four channels of the vector, the first in the lowest byte: `[term]`, or `[term][filter]`.
    pub quads: Vec<i32>,
    /// More than the largest offset.
    pub extent: usize,
}

/// What becomes of the sums of a filter: `scale * sum + bias`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ends {
    /// By filter, filled up to whole vectors.
    pub scale: Vec<f32>,
    pub bias: Vec<f32>,
    /// What the bytes that are added to it are multiplied with; what their zero adds stands in the bias.
    pub other: f32,
    /// Whether the results are bytes; otherwise they are floats.
    pub to_bytes: bool,
    /// What floats below it become: 0 rectifies them, negative infinity leaves them as they are.
    pub least: f32,
}

/// Where the results of some filters go.
#[derive(Debug)]
pub(crate) struct Outputs<'a> {
    /// The vectors of filters that are computed.
    pub quads: Range<usize>,
    /// Filters there are.
    pub filters: usize,
    /// Their channels of `plane` vectors each; those of bytes hold four filters, those of floats one.
    pub values: &'a mut [Lanes],
    pub plane: usize,
    /// Bytes that are added, in channels of the same plane, from the first of the vectors on.
    pub other: Option<&'a [Lanes]>,
}

/// Positions of a rectangle at most, where four filters are computed together and where each is by itself.
pub(crate) fn most_positions(set: DotSet, is_shared: bool) -> usize {
    match set {
        DotSet::Avx512 | DotSet::Avx512Vnni => 8 - 4 * usize::from(is_shared),
        DotSet::Portable | DotSet::Avx2 | DotSet::AvxVnni => 2 - usize::from(is_shared),
    }
}

/// Computes some filters at a rectangle of positions.
pub(crate) fn compute(
    set: DotSet,
    patch: Patch,
    steps: Steps,
    weights: &Weights,
    ends: &Ends,
    input: &[Lanes],
    outputs: &mut Outputs<'_>,
) {
    macro_rules! sides {
        ($($rows:literal x $columns:literal by $column:literal $shared:literal),*) => {
            match (patch.sides, steps.column.min(usize::from(patch.sides[1])), weights.is_shared) {
                $(
                    ([$rows, $columns], $column, $shared) => dispatch_dots(
                        set,
                        Product::<$rows, $columns, $column, $shared> { patch, steps, weights, ends, input, outputs },
                    ),
                )*
                _ => unreachable!("no such rectangle: {patch:?}, {steps:?}"),
            }
        };
    }
    sides!(
        1 x 8 by 1 false, 2 x 4 by 1 false, 4 x 2 by 1 false, 8 x 1 by 1 false, 1 x 8 by 2 false, 2 x 4 by 2 false, 4 x 2 by 2 false,
        1 x 4 by 1 false, 2 x 2 by 1 false, 4 x 1 by 1 false, 1 x 4 by 2 false, 2 x 2 by 2 false,
        1 x 2 by 1 false, 2 x 1 by 1 false, 1 x 2 by 2 false, 1 x 1 by 1 false,
        1 x 4 by 1 true, 2 x 2 by 1 true, 4 x 1 by 1 true, 1 x 4 by 2 true, 2 x 2 by 2 true,
        1 x 2 by 1 true, 2 x 1 by 1 true, 1 x 2 by 2 true, 1 x 1 by 1 true
    );
}

/// A rectangle of so many rows and columns, whose columns stand so far apart in the input.
struct Product<'a, 'b, const R: usize, const C: usize, const X: usize, const SHARED: bool> {
    patch: Patch,
    steps: Steps,
    weights: &'a Weights,
    ends: &'a Ends,
    input: &'a [Lanes],
    outputs: &'a mut Outputs<'b>,
}

impl<const R: usize, const C: usize, const X: usize, const SHARED: bool> DotKernel
    for Product<'_, '_, R, C, X, SHARED>
{
    #[inline(always)]
    fn run<D: Dots>(self) {
        let Self { patch, steps, weights, ends, input, outputs } = self;
        let mut rows: [&[Lanes]; R] = [&[]; R];
        for r in 0..R {
            rows[r] = &input[patch.input as usize + r * steps.rows[0]..][..weights.extent + (C - 1) * X];
        }
        let list = |own: usize| weights.starts[own] as usize..weights.starts[own + 1] as usize;
        let first = |channel: usize| channel * outputs.plane + patch.output as usize;
        for (place, quad) in outputs.quads.clone().enumerate() {
            let mut bytes = [[D::V::splat(0.0); C]; R];
            let mut others = bytes;
            if let Some(other) = outputs.other {
                for r in 0..R {
                    let own =
                        other[first(place) + r * steps.rows[1]..].first_chunk::<C>().expect("it lies in its channel");
                    for c in 0..C {
                        others[r][c] = D::V::load(&own[c]);
                    }
                }
            }
            let mut sums = [[[D::zero(); C]; R]; QUAD];
            if SHARED {
                let terms = list(quad);
                let (quads, _) = weights.quads[QUAD * terms.start..QUAD * terms.end].as_chunks::<QUAD>();
                for (offset, quads) in weights.offsets[terms].iter().zip(quads) {
                    for r in 0..R {
                        let x = &rows[r][*offset as usize..][..(C - 1) * X + 1];
                        for c in 0..C {
                            let x = D::V::load(&x[c * X]);
                            for m in 0..QUAD {
                                sums[m][r][c] = D::dot(sums[m][r][c], x, quads[m]);
                            }
                        }
                    }
                }
            }
            for m in 0..QUAD {
                let filter = QUAD * quad + m;
                let mut own = sums[m];
                if !SHARED {
                    let terms = list(filter);
                    for (offset, quad) in weights.offsets[terms.clone()].iter().zip(&weights.quads[terms]) {
                        for r in 0..R {
                            let x = &rows[r][*offset as usize..][..(C - 1) * X + 1];
                            for c in 0..C {
                                own[r][c] = D::dot(own[r][c], D::V::load(&x[c * X]), *quad);
                            }
                        }
                    }
                }
                let (scale, bias) = (D::V::splat(ends.scale[filter]), D::V::splat(ends.bias[filter]));
                let (factor, least) = (D::V::splat(ends.other), D::V::splat(ends.least));
                for r in 0..R {
                    for c in 0..C {
                        // Not fused, so that every instruction set rounds alike.
                        let mut value = D::floats(own[r][c]).mul(scale).add(bias);
                        if outputs.other.is_some() {
                            let (other, rest) = D::pop(others[r][c]);
                            others[r][c] = rest;
                            value = value.add(other.mul(factor));
                        }
                        if ends.to_bytes {
                            bytes[r][c] = D::push(bytes[r][c], value);
                        } else if filter < outputs.filters {
                            let channel = QUAD * place + m;
                            let at = channel * outputs.plane + patch.output as usize + r * steps.rows[1] + c;
                            least.max(value).store(&mut outputs.values[at]);
                        }
                    }
                }
            }
            if ends.to_bytes {
                for r in 0..R {
                    let at = place * outputs.plane + patch.output as usize + r * steps.rows[1];
                    let own = outputs.values[at..].first_chunk_mut::<C>().expect("it lies in its channel");
                    for c in 0..C {
                        bytes[r][c].store(&mut own[c]);
                    }
                }
            }
        }
    }
}

/// Channels that are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planes<'a> {
    pub values: &'a [Lanes],
    /// Vectors of a channel.
    pub plane: usize,
    /// Its rows.
    pub grid: Grid,
}

impl<'a> Planes<'a> {
    #[inline(always)]
    fn row(&self, channel: usize, row: usize) -> &'a [Lanes] {
        self.grid.row(&self.values[channel * self.plane..], row)
    }
}

/// Floats of so many channels into bytes, `value * factor + zero`. Of bytes the `quads` are written, in rows of a plane.
pub(crate) fn to_bytes(
    set: DotSet,
    numbers: [f32; 2],
    (x, channels): (Planes<'_>, usize),
    quads: Range<usize>,
    (grid, plane): (Grid, usize),
    y: &mut [Lanes],
) {
    struct ToBytes<'a>([f32; 2], Planes<'a>, usize, Range<usize>, Grid, usize, &'a mut [Lanes]);
    impl DotKernel for ToBytes<'_> {
        #[inline(always)]
        fn run<D: Dots>(self) {
            let Self(numbers, x, channels, quads, grid, plane, y) = self;
            let [factor, zero] = numbers.map(D::V::splat);
            for (quad, y) in quads.zip(y.chunks_exact_mut(plane)) {
                for row in 0..grid.rows {
                    let y = grid.row_mut(y, row);
                    for channel in QUAD * quad..QUAD * (quad + 1) {
                        // Channels beyond the last one have weights of zero: any bytes will do.
                        let x = x.row(channel.min(channels - 1), row);
                        for (x, y) in x.iter().zip(y.iter_mut()) {
                            D::push(D::V::load(y), D::V::load(x).mul(factor).add(zero)).store(y);
                        }
                    }
                }
            }
        }
    }
    dispatch_dots(set, ToBytes(numbers, x, channels, quads, grid, plane, y));
}

/// Bytes into floats, `(byte - zero) * scale`. Of floats the `channels` are written, in rows of a plane.
pub(crate) fn to_floats(
    set: DotSet,
    numbers: [f32; 2],
    x: Planes<'_>,
    channels: Range<usize>,
    (grid, plane): (Grid, usize),
    y: &mut [Lanes],
) {
    struct ToFloats<'a>([f32; 2], Planes<'a>, Range<usize>, Grid, usize, &'a mut [Lanes]);
    impl DotKernel for ToFloats<'_> {
        #[inline(always)]
        fn run<D: Dots>(self) {
            let Self(numbers, x, channels, grid, plane, y) = self;
            let [scale, zero] = numbers.map(D::V::splat);
            for (channel, y) in channels.zip(y.chunks_exact_mut(plane)) {
                for row in 0..grid.rows {
                    for (x, y) in x.row(channel / QUAD, row).iter().zip(grid.row_mut(y, row)) {
                        let (mut value, mut rest) = D::pop(D::V::load(x));
                        for _ in 0..channel % QUAD {
                            (value, rest) = D::pop(rest);
                        }
                        value.sub(zero).mul(scale).store(y);
                    }
                }
            }
        }
    }
    dispatch_dots(set, ToFloats(numbers, x, channels, grid, plane, y));
}

/// The largest byte of each window of a channel.
pub(crate) fn max(set: DotSet, windows: &Masked, x: &[Lanes], y: &mut [Lanes]) {
    struct Max<'a>(&'a Masked, &'a [Lanes], &'a mut [Lanes]);
    impl DotKernel for Max<'_> {
        #[inline(always)]
        fn run<D: Dots>(self) {
            let Self(windows, x, y) = self;
            for (window, output) in windows.outputs.iter().enumerate() {
                // All bits zero: no byte is less.
                let mut top = D::V::splat(0.0);
                for (element, lanes) in windows.of(window) {
                    let value = D::V::load(&x[*element as usize]);
                    top = D::max(top, if *lanes == u16::MAX { value } else { value.keep(*lanes) });
                }
                top.store(&mut y[*output as usize]);
            }
        }
    }
    dispatch_dots(set, Max(windows, x, y));
}
