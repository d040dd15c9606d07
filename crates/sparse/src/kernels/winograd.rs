//! Convolutions of 3x3 with stride 1 by Winograd's minimal filtering F(2x2, 3x3), as in Lavin and Gray, "Fast Algorithms for
//! Convolutional Neural Networks" (2015): tiles of 2x2 outputs take 16 products for each pair of channels, not 36.
//!
//! `y = A' [(G g G') * (B' d B)] A`, where the products of transformed filters and inputs are summed over the channels:
//! sixteen sums of weights times vectors, as in [`tiles`](super::tiles).

use super::tile_gradients::{self, Pair, Sources};
use super::tiles::{Outputs, Position, Rows, Start, product};
use crate::lanes::Lanes;
use crate::simd::Vector;
use std::ops::Range;

/// Products of a tile.
pub(crate) const PRODUCTS: usize = 16;
/// Tiles that are worked on together.
const STRIP: usize = 4;

/// Where the transformed values of a strip stand.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// `[product][channel][tile]`
    inputs: Vec<Lanes>,
    /// `[product][row][tile]`
    sums: Vec<Lanes>,
    offsets: Vec<u32>,
    /// `[product][row][input]`
    products: Vec<f32>,
}

impl Clone for Workspace {
    /// Another one with as much capacity: what stands in it is of no use to others.
    fn clone(&self) -> Self {
        Self {
            inputs: Vec::with_capacity(self.inputs.capacity()),
            sums: Vec::with_capacity(self.sums.capacity()),
            offsets: Vec::with_capacity(self.offsets.capacity()),
            products: Vec::with_capacity(self.products.capacity()),
        }
    }
}

impl Workspace {
    /// One that takes no more memory for convolutions of at most so many channels in and out.
    pub(crate) fn with_capacity([inputs, outputs]: [usize; 2]) -> Self {
        let lanes = |channels: usize| Vec::with_capacity(PRODUCTS * (STRIP * channels + 1));
        let offsets = Vec::with_capacity(inputs);
        Self { inputs: lanes(inputs), sums: lanes(outputs), offsets, products: vec![] }
    }

    /// Bytes that a convolution of so many channels in and out needs.
    pub(crate) fn needed([inputs, outputs]: [usize; 2]) -> usize {
        PRODUCTS * (STRIP * (inputs + outputs) + 2) * size_of::<Lanes>()
    }
}

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Channels that are read.
    pub inputs: usize,
    /// Vectors of a channel, and of a row, of what is read.
    pub plane: usize,
    pub pitch: usize,
    /// The same of what is written.
    pub output_plane: usize,
    pub output_pitch: usize,
    /// Rows of weights that stand together.
    pub tile_rows: usize,
    /// Whether the largest output of a tile is all that is written.
    pub pools: bool,
}

/// Adds the gradients of some rows of filters over all `tiles` to `to`, `[row][input][9]`. A tile's offsets are those of its
/// window in the input, and of its upper left output in the gradient, where `dy` begins with the first row.
#[inline(always)]
pub(crate) fn gradients<V: Vector>(
    sizes: Sizes,
    rows: usize,
    tiles: &[Pair],
    [x, dy]: [&[Lanes]; 2],
    to: &mut [f32],
    workspace: &mut Workspace,
) {
    let Workspace { inputs: transformed, sums: gradients, offsets, products } = workspace;
    let inputs = sizes.inputs;
    // What is transformed stays in the second-level cache.
    let strip = (1024 / inputs).clamp(16, 32);
    let (stride, gradient_stride) = (inputs * strip + 1, rows * strip + 1);
    offsets.clear();
    offsets.extend((0..inputs).map(|channel| (channel * strip) as u32));
    transformed.resize(PRODUCTS * stride, Lanes::ZERO);
    gradients.resize(PRODUCTS * gradient_stride, Lanes::ZERO);
    products.clear();
    products.resize(PRODUCTS * rows * inputs, 0.0);
    let pairs: [Pair; 32] = std::array::from_fn(|place| Pair { input: place as u32, gradient: place as u32 });
    for tiles in tiles.chunks(strip) {
        for channel in 0..inputs {
            for (place, tile) in tiles.iter().enumerate() {
                let from = &x[channel * sizes.plane + tile.input as usize..];
                transform_input::<V>(from, sizes.pitch, &mut transformed[channel * strip + place..], stride);
            }
        }
        for row in 0..rows {
            for (place, tile) in tiles.iter().enumerate() {
                let from = &dy[row * sizes.output_plane + tile.gradient as usize..];
                let to = &mut gradients[row * strip + place..];
                transform_gradient::<V>(from, sizes.output_pitch, to, gradient_stride);
            }
        }
        for (part, sums) in products.chunks_exact_mut(rows * inputs).enumerate() {
            let (x, dy) = (&transformed[part * stride..], &gradients[part * gradient_stride..]);
            let extents = [tiles.len(); 2];
            let from = Sources { pairs: &pairs[..tiles.len()], x, dy, plane: strip, extents };
            tile_gradients::dense::<V>(from, rows, offsets, sums);
        }
    }
    for (pair, to) in to.as_chunks_mut::<9>().0.iter_mut().enumerate() {
        let mut half = [[0.0f32; 4]; 3];
        for column in 0..4 {
            let part = |line: usize| products[(4 * line + column) * rows * inputs + pair];
            let own = contracted([part(0), part(1), part(2), part(3)]);
            for line in 0..3 {
                half[line][column] = own[line];
            }
        }
        for (line, own) in half.into_iter().enumerate() {
            for (column, value) in contracted(own).into_iter().enumerate() {
                to[3 * line + column] += value;
            }
        }
    }
}

/// `G' m`
#[inline(always)]
fn contracted([a, b, c, d]: [f32; 4]) -> [f32; 3] {
    let (sum, difference) = (0.5 * (b + c), 0.5 * (b - c));
    [a + sum, difference, sum + d]
}

/// `A dy A'`
#[inline(always)]
fn transform_gradient<V: Vector>(from: &[Lanes], pitch: usize, to: &mut [Lanes], stride: usize) {
    let mut half = [[V::splat(0.0); 4]; 2];
    for line in 0..2 {
        let own = from[line * pitch..].first_chunk::<2>().expect("a tile lies within the gradient");
        let (a, b) = (V::load(&own[0]), V::load(&own[1]));
        half[line] = [a, a.add(b), a.sub(b), V::splat(0.0).sub(b)];
    }
    for column in 0..4 {
        let (a, b) = (half[0][column], half[1][column]);
        a.store(&mut to[column * stride]);
        a.add(b).store(&mut to[(4 + column) * stride]);
        a.sub(b).store(&mut to[(8 + column) * stride]);
        V::splat(0.0).sub(b).store(&mut to[(12 + column) * stride]);
    }
}

/// Transforms 3x3 filters of `count` rows, which stand as `[row or input][input or row][9]` with these strides; `to` is
/// `[product][input][row]`.
#[inline(always)]
pub(crate) fn transform_filters(
    inputs: usize,
    count: usize,
    filters: &[f32],
    [row_stride, input_stride]: [usize; 2],
    to: &mut [f32],
) {
    for input in 0..inputs {
        for row in 0..count {
            let place = 9 * (row * row_stride + input * input_stride);
            let g = filters[place..].first_chunk::<9>().expect("a filter for each row and input");
            let mut half = [[0.0f32; 3]; 4];
            for column in 0..3 {
                let own = expanded([g[column], g[3 + column], g[6 + column]]);
                for place in 0..4 {
                    half[place][column] = own[place];
                }
            }
            for (line, own) in half.into_iter().enumerate() {
                for (place, value) in expanded(own).into_iter().enumerate() {
                    to[((line * 4 + place) * inputs + input) * count + row] = value;
                }
            }
        }
    }
}

/// `G g`
#[inline(always)]
fn expanded([a, b, c]: [f32; 3]) -> [f32; 4] {
    let (outer, inner) = (0.5 * (a + c), 0.5 * b);
    [a, outer + inner, outer - inner, c]
}

/// Computes some rows at all `tiles`: positions of their upper left outputs, with the offset of the first element that
/// their windows read. `filters` are transformed, tile of rows by tile of rows.
#[inline(always)]
pub(crate) fn convolve<V: Vector>(
    sizes: Sizes,
    filters: &[f32],
    rows: Range<usize>,
    tiles: &[Position],
    input: &[Lanes],
    start: Start<'_>,
    outputs: Outputs<'_, '_>,
    workspace: &mut Workspace,
) {
    let Sizes { inputs, tile_rows, .. } = sizes;
    let Workspace { inputs: transformed, sums, offsets, .. } = workspace;
    offsets.clear();
    offsets.extend((0..inputs as u32).map(|channel| channel * STRIP as u32));
    // One more than a power of two, so that the products of a tile do not all stand in one set of the cache.
    let (stride, sums_stride) = (inputs * STRIP + 1, rows.len() * STRIP + 1);
    transformed.resize(PRODUCTS * stride, Lanes::ZERO);
    sums.resize(PRODUCTS * sums_stride, Lanes::ZERO);
    let own: [Position; STRIP] =
        std::array::from_fn(|place| Position { block: 0, input: place as u32, output: place as u32 });
    let extent = (inputs - 1) * STRIP + 1;
    for strip in tiles.chunks(STRIP) {
        for channel in 0..inputs {
            for (place, tile) in strip.iter().enumerate() {
                let from = &input[channel * sizes.plane + tile.input as usize..];
                transform_input::<V>(from, sizes.pitch, &mut transformed[channel * STRIP + place..], stride);
            }
        }
        for part in 0..PRODUCTS {
            let input = &transformed[part * stride..(part + 1) * stride];
            let sums = &mut sums[part * sums_stride..(part + 1) * sums_stride];
            for first in rows.clone().step_by(tile_rows) {
                let count = tile_rows.min(rows.end - first);
                let weights = &filters[(first * PRODUCTS + part * count) * inputs..][..count * inputs];
                let row = first - rows.start;
                let rows = Rows { offsets, weights, count, extent };
                let outputs =
                    Outputs { blocks: &mut [&mut *sums], plane: STRIP, row, least: f32::NEG_INFINITY, largest: false };
                product::<V>(rows, &own[..strip.len()], input, Start::Zero, outputs);
            }
        }
        for row in 0..rows.len() {
            for (place, tile) in strip.iter().enumerate() {
                let (block, offset) = (tile.block as usize, (outputs.row + row) * outputs.plane + tile.output as usize);
                let other = if let Start::Added(_, others) = start { &others[block][offset..] } else { &[] };
                let to = &mut outputs.blocks[block][offset..];
                let (from, pitch) = (&sums[row * STRIP + place..], sizes.output_pitch);
                if sizes.pools {
                    let Start::Bias(bias) = start else { unreachable!("nothing is added to what is pooled") };
                    let [[a, b], [c, d]] = inverse::<V>(from, sums_stride);
                    let own = a.max_or_nan(b).max_or_nan(c.max_or_nan(d)).add(V::splat(bias[row]));
                    V::splat(outputs.least).max(own).store(&mut to[0]);
                } else {
                    transform_output::<V>(from, sums_stride, start, row, other, to, pitch, outputs.least);
                }
            }
        }
    }
}

/// `B' d B`
#[inline(always)]
fn transform_input<V: Vector>(from: &[Lanes], pitch: usize, to: &mut [Lanes], stride: usize) {
    let mut half = [[V::splat(0.0); 4]; 4];
    for line in 0..4 {
        let d = from[line * pitch..].first_chunk::<4>().expect("a tile lies within the padded image");
        let [a, b, c, d] = [V::load(&d[0]), V::load(&d[1]), V::load(&d[2]), V::load(&d[3])];
        half[line] = [a.sub(c), b.add(c), c.sub(b), b.sub(d)];
    }
    for column in 0..4 {
        let [a, b, c, d] = [half[0][column], half[1][column], half[2][column], half[3][column]];
        a.sub(c).store(&mut to[column * stride]);
        b.add(c).store(&mut to[(4 + column) * stride]);
        c.sub(b).store(&mut to[(8 + column) * stride]);
        b.sub(d).store(&mut to[(12 + column) * stride]);
    }
}

/// `A' m A`
#[inline(always)]
fn inverse<V: Vector>(from: &[Lanes], stride: usize) -> [[V; 2]; 2] {
    let mut half = [[V::splat(0.0); 4]; 2];
    for column in 0..4 {
        let part = |line: usize| (4 * line + column) * stride;
        let (a, b) = (V::load(&from[part(0)]), V::load(&from[part(1)]));
        let (c, d) = (V::load(&from[part(2)]), V::load(&from[part(3)]));
        half[0][column] = a.add(b.add(c));
        half[1][column] = b.sub(c).sub(d);
    }
    let mut found = [[V::splat(0.0); 2]; 2];
    for line in 0..2 {
        let [a, b, c, d] = half[line];
        found[line] = [a.add(b.add(c)), b.sub(c).sub(d)];
    }
    found
}

/// `A' m A`, added to what the sums start with: a bias of the row, what is in the output, or what is in another value.
#[inline(always)]
fn transform_output<V: Vector>(
    from: &[Lanes],
    stride: usize,
    start: Start<'_>,
    row: usize,
    other: &[Lanes],
    to: &mut [Lanes],
    pitch: usize,
    least: f32,
) {
    let least = V::splat(least);
    let sums = inverse::<V>(from, stride);
    for line in 0..2 {
        let to = to[line * pitch..].first_chunk_mut::<2>().expect("a tile lies within the output");
        let mut own = sums[line];
        for column in 0..2 {
            match start {
                Start::Zero => {}
                Start::Bias(bias) => own[column] = own[column].add(V::splat(bias[row])),
                Start::Output => own[column] = own[column].add(V::load(&to[column])),
                Start::Added(bias, _) => {
                    let other = V::load(&other[line * pitch + column]);
                    own[column] = own[column].add(V::splat(bias[row]).add(other));
                }
            }
            least.max(own[column]).store(&mut to[column]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstructionSet;
    use crate::simd::{Kernel, dispatch};

    /// One channel, one filter, one tile.
    struct One {
        filter: [f32; 9],
        image: Vec<Lanes>,
    }

    impl Kernel for One {
        type Output = Vec<f32>;

        #[inline(always)]
        fn run<V: Vector>(self) -> Vec<f32> {
            let mut filters = [0.0; PRODUCTS];
            transform_filters(1, 1, &self.filter, [1, 1], &mut filters);
            let sizes =
                Sizes { inputs: 1, plane: 16, pitch: 4, output_plane: 4, output_pitch: 2, tile_rows: 1, pools: false };
            let tile = Position { block: 0, input: 0, output: 0 };
            let (mut output, mut workspace) = (vec![Lanes::ZERO; 4], Workspace::default());
            let blocks = &mut [output.as_mut_slice()];
            let outputs =
                Outputs { blocks, plane: sizes.output_plane, row: 0, least: f32::NEG_INFINITY, largest: false };
            let start = Start::Bias(&[0.5]);
            convolve::<V>(sizes, &filters, 0..1, &[tile], &self.image, start, outputs, &mut workspace);
            output.iter().map(|own| own.0[3]).collect()
        }
    }

    #[test]
    fn a_tile_by_hand() {
        // The image counts from 1 to 16, row by row.
        let image: Vec<Lanes> = (1..=16).map(|own| Lanes([own as f32; 16])).collect();
        for set in InstructionSet::available() {
            let found = |filter: [f32; 9]| dispatch(set, One { filter, image: image.clone() });
            assert_eq!(found([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]), [1.5, 2.5, 5.5, 6.5]);
            assert_eq!(found([0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]), [14.5, 16.5, 22.5, 24.5]);
            assert_eq!(found([1.0; 9]), [54.5, 63.5, 90.5, 99.5]);
        }
    }
}
