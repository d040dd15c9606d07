//! Convolutions and fully connected layers that compute with bytes, and what turns floats into bytes and back.

use crate::file::{code, row_scale};
use crate::kernels::int8::{Ends, Outputs, Planes, QUAD, Weights, compute, most_positions, to_bytes, to_floats};
use crate::kernels::patches::{Patch, Steps, cover};
use crate::kernels::pointwise::Grid;
use crate::lanes::Lanes;
use crate::simd::dots::{DotSet, fits_pairs};
use crate::train::graph::geometry::{Geometry, Phase};
use crate::train::graph::layout::Layout;
use crate::train::graph::pointwise::Read;
use secateur_graph::Activation;
use std::mem::size_of;
use std::ops::Range;

/// Numbers that are held as bytes: `scale * (byte - zero)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bytes {
    pub scale: f32,
    pub zero: u8,
}

impl Bytes {
    /// The bytes that reach from the lowest of some finite numbers to the largest, and hold 0 exactly.
    pub(super) fn over([low, high]: [f32; 2]) -> Self {
        let (low, high) = (f64::from(low).min(0.0), f64::from(high).max(0.0));
        // Numbers that are all next to nothing have a scale that can be divided by, too.
        let scale = ((high - low) / 255.0).max(1e-30);
        Self { scale: scale as f32, zero: (-low / scale).round() as u8 }
    }

    /// Four times the byte that holds 0, as the bits of a float.
    pub(super) fn outside(self) -> u32 {
        u32::from_le_bytes([self.zero; QUAD])
    }
}

/// `y = activation(conv(x) + bias + other)`, where `x` and `other` are bytes, `y` maybe, and the activation rectifies or is missing.
#[derive(Debug)]
pub(super) struct Conv {
    set: DotSet,
    filters: usize,
    pixels: usize,
    plane: usize,
    steps: Steps,
    patches: Vec<Patch>,
    weights: Weights,
    ends: Ends,
}

/// What a convolution has beside its geometry, which is that of its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer<'a> {
    /// `[filter][channel][tap]`, as they are to be multiplied.
    pub weight: &'a [f32],
    /// The same before each filter was multiplied with a number of its own: what a file holds.
    pub stored: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub activation: Option<Activation>,
    /// What is read, added and written: floats where there is none.
    pub x: Bytes,
    pub other: Option<Bytes>,
    pub y: Option<Bytes>,
    /// Whether zeros are computed, too.
    pub is_dense: bool,
}

/// The weights of a filter as whole numbers, and what they have to be multiplied with. What was rounded to eight bits before
/// keeps its codes.
fn codes(weight: &[f32], stored: &[f32]) -> (Vec<i8>, f64) {
    let largest = (0..stored.len()).max_by(|a, b| stored[*a].abs().total_cmp(&stored[*b].abs()));
    let scale = row_scale(stored);
    let factor = match largest.filter(|own| stored[*own] != 0.0) {
        Some(own) => f64::from(weight[own]) / f64::from(stored[own]),
        None => 1.0,
    };
    (stored.iter().map(|value| code(*value, scale) as i8).collect(), f64::from(scale) * factor)
}

impl Conv {
    /// `None` when a sum of products could leave 32 bits.
    pub(super) fn new(geometry: Geometry, layer: Layer<'_>, set: DotSet) -> Option<Self> {
        let (filters, columns) = (geometry.y.channels, geometry.columns());
        let whole = filters.div_ceil(QUAD) * QUAD;
        let mut all = Vec::with_capacity(filters * columns);
        let mut ends = Ends { other: 0.0, to_bytes: layer.y.is_some(), ..Ends::default() };
        let rectifies = layer.activation.is_some();
        ends.least = if rectifies && layer.y.is_none() { 0.0 } else { f32::NEG_INFINITY };
        // Of what is written: 1 / scale and zero.
        let (over, shift) = layer.y.map_or((1.0, 0.0), |own| (1.0 / f64::from(own.scale), f64::from(own.zero)));
        let [x_scale, x_zero] = [f64::from(layer.x.scale), f64::from(layer.x.zero)];
        let mut added = 0.0;
        if let Some(other) = layer.other {
            ends.other = (f64::from(other.scale) * over) as f32;
            added = f64::from(other.scale) * f64::from(other.zero);
        }
        for filter in 0..filters {
            let own = filter * columns..(filter + 1) * columns;
            let (codes, scale) = codes(&layer.weight[own.clone()], &layer.stored[own]);
            let sum = |f: fn(i64) -> i64| codes.iter().map(|own| f(i64::from(*own))).sum::<i64>();
            if sum(i64::abs) * 255 > i64::from(i32::MAX) {
                return None;
            }
            let bias = layer.bias.map_or(0.0, |bias| f64::from(bias[filter]));
            ends.scale.push((scale * x_scale * over) as f32);
            ends.bias.push(((bias - scale * x_scale * x_zero * sum(|own| own) as f64 - added) * over + shift) as f32);
            all.extend(codes);
        }
        ends.scale.resize(whole, 0.0);
        ends.bias.resize(whole, 0.0);
        let phase = geometry.forward(1);
        let weights = lists(&geometry, &phase, &all, layer.is_dense, set.adds_pairs());
        let (steps, patches) = patches(&geometry, &phase, most_positions(set, weights.is_shared));
        let (pixels, plane) = (geometry.y.pixels(), geometry.y.plane());
        Some(Self { set, filters, pixels, plane, steps, patches, weights, ends })
    }

    /// Bytes of the weights, with all that says where they stand, and of what becomes of the sums.
    pub(super) fn weight_bytes(&self) -> usize {
        let Weights { starts, offsets, quads, .. } = &self.weights;
        (starts.len() + offsets.len() + quads.len() + 2 * self.ends.scale.len()) * size_of::<f32>()
    }

    /// Bytes of the list of positions.
    pub(super) fn list_bytes(&self) -> usize {
        size_of_val(&*self.patches)
    }

    /// The channels of the output from which on a part of them can be computed by itself.
    pub(super) fn borders(&self) -> Vec<usize> {
        let quads = self.filters.div_ceil(QUAD);
        if self.ends.to_bytes { (0..quads).collect() } else { (0..quads).map(|quad| QUAD * quad).collect() }
    }

    /// About how many products of vectors the channels of the output before one take.
    pub(super) fn work(&self, channel: usize) -> usize {
        let quads = if self.ends.to_bytes { channel } else { channel.div_ceil(QUAD) };
        let Weights { is_shared, starts, .. } = &self.weights;
        let terms = if *is_shared { QUAD * starts[quads] as usize } else { starts[QUAD * quads] as usize };
        (terms + 4 * QUAD * quads) * self.pixels
    }

    /// Writes some channels of the output, which begin and end at [borders](Self::borders). `y` begins with the first of
    /// them, and `other`, whose planes are alike, with the first of all.
    pub(super) fn run(&self, channels: Range<usize>, x: &[Lanes], other: Option<&[Lanes]>, y: &mut [Lanes]) {
        let by = if self.ends.to_bytes { 1 } else { QUAD };
        let quads = channels.start / by..channels.end.div_ceil(by);
        let other = other.map(|own| &own[quads.start * self.plane..]);
        let mut outputs = Outputs { quads, filters: self.filters, values: y, plane: self.plane, other };
        // What a rectangle reads stays in the first-level cache while all filters go by.
        for patch in &self.patches {
            compute(self.set, *patch, self.steps, &self.weights, &self.ends, x, &mut outputs);
        }
    }
}

/// Floats into bytes, or bytes into floats.
#[derive(Debug)]
pub(super) struct Convert {
    set: DotSet,
    to_bytes: bool,
    /// What a number is multiplied with and what is added, or what is taken off a byte before.
    numbers: [f32; 2],
    /// Channels of the floats.
    channels: usize,
    /// Where the rows of a channel stand in the input and in the output.
    grids: [Grid; 2],
}

impl Convert {
    /// From the first layout to the second, of which one holds bytes.
    pub(super) fn new(set: DotSet, [x, y]: [&Layout; 2], bytes: [Option<Bytes>; 2]) -> Self {
        let grids = [x.grid(), y.grid()];
        match bytes {
            [_, Some(own)] => {
                let numbers = [(1.0 / f64::from(own.scale)) as f32, f32::from(own.zero)];
                Self { set, to_bytes: true, numbers, channels: x.channels, grids }
            }
            [own, None] => {
                let own = own.expect("one of them has bytes");
                Self { set, to_bytes: false, numbers: [own.scale, f32::from(own.zero)], channels: y.channels, grids }
            }
        }
    }

    /// Writes some channels of the output, of `plane` vectors each; `y` begins with the first of them.
    pub(super) fn run(&self, x: Read<'_>, channels: Range<usize>, plane: usize, y: &mut [Lanes]) {
        let [grid, own] = self.grids;
        let x = Planes { values: x.values, plane: x.layout.plane(), grid };
        if self.to_bytes {
            to_bytes(self.set, self.numbers, (x, self.channels), channels, (own, plane), y);
        } else {
            to_floats(self.set, self.numbers, x, channels, (own, plane), y);
        }
    }
}

/// The positions as rectangles.
fn patches(geometry: &Geometry, phase: &Phase, most: usize) -> (Steps, Vec<Patch>) {
    let Geometry { window, x, y, .. } = geometry;
    let steps = Steps { rows: [window.stride[0] * x.columns(), y.columns()], column: window.stride[1], pools: false };
    // Columns further apart than the kernels know are rectangles of their own.
    let width = if window.stride[1] > 2 { 1 } else { y.width };
    let patch = |(sides, [row, column]): ([usize; 2], [usize; 2])| {
        let own = &phase.positions[row * y.width + column];
        Patch { sides: sides.map(|side| side as u8), input: own.input, output: own.output }
    };
    let found = (0..y.width).step_by(width).flat_map(|first| {
        cover([y.height, width], most).into_iter().map(move |(sides, [row, column])| (sides, [row, first + column]))
    });
    (steps, found.map(patch).collect())
}

/// The weights by vectors of the input. `codes` are `[filter][channel][tap]`.
fn lists(geometry: &Geometry, phase: &Phase, codes: &[i8], is_dense: bool, fits: bool) -> Weights {
    let (taps, plane, filters) = (geometry.taps(), geometry.x.plane(), geometry.y.channels);
    // The four weights of a filter that meet a vector.
    let quad_of = |filter: usize, quad: usize, tap: usize| {
        let first = filter / geometry.filters() * geometry.inputs();
        [0, 1, 2, 3].map(|byte: usize| {
            let channel = (QUAD * quad + byte).wrapping_sub(first);
            let is_read = filter < filters && channel < geometry.inputs();
            if is_read { codes[(filter * geometry.inputs() + channel) * taps + tap] } else { 0 }
        })
    };
    // The vectors that some filters read.
    let read = |own: Range<usize>| {
        let last = own.end.min(filters) - 1;
        let group = |filter: usize| filter / geometry.filters() * geometry.inputs();
        group(own.start) / QUAD..(group(last) + geometry.inputs()).div_ceil(QUAD)
    };
    // One list for so many filters.
    let list = |own: Range<usize>, weights: &mut Weights| {
        for (quad, tap) in read(own.clone()).flat_map(|quad| (0..taps).map(move |tap| (quad, tap))) {
            let found: [[i8; 4]; QUAD] =
                std::array::from_fn(|m| if m < own.len() { quad_of(own.start + m, quad, tap) } else { [0; 4] });
            if !is_dense && found == [[0; 4]; QUAD] {
                continue;
            }
            let is_whole = !fits || found.iter().all(|own| fits_pairs(*own));
            let parts: &[[i8; 4]] = if is_whole { &[[1; 4]] } else { &[[1, 0, 1, 0], [0, 1, 0, 1]] };
            for kept in parts {
                weights.offsets.push(phase.offsets[tap] + (quad * plane) as u32);
                for found in &found[..own.len()] {
                    let own = [0, 1, 2, 3].map(|byte: usize| (found[byte] * kept[byte]) as u8);
                    weights.quads.push(i32::from_le_bytes(own));
                }
            }
        }
        weights.starts.push(weights.offsets.len() as u32);
    };
    let whole = filters.div_ceil(QUAD) * QUAD;
    let extent = phase.extent + (geometry.x.channels.div_ceil(QUAD) - 1) * plane;
    let with = |each: usize| {
        let mut weights = Weights { is_shared: each > 1, starts: vec![0], extent, ..Weights::default() };
        for first in (0..whole).step_by(each) {
            if first < filters {
                list(first..first + each, &mut weights);
            } else {
                weights.starts.push(weights.offsets.len() as u32);
            }
        }
        weights
    };
    let shared = with(QUAD);
    if is_dense {
        return shared;
    }
    let own = with(1);
    // A list of its own reads its inputs for itself: that takes about half as long again.
    if shared.quads.len() * 2 <= own.quads.len() * 3 { shared } else { own }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::LANES;
    use crate::train::graph::geometry::padding;
    use crate::train::graph::layout::Margins;
    use secateur_graph::Window;

    /// Numbers that are the same every time.
    struct Random(u64);

    impl Random {
        fn below(&mut self, count: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % count
        }

        fn signed(&mut self) -> f32 {
            self.below(20_001) as f32 / 10_000.0 - 1.0
        }
    }

    /// Bytes in all vectors of a layout, `outside` in its margins.
    fn filled(layout: &Layout, outside: u8, random: &mut Random) -> Vec<Lanes> {
        let quads = layout.channels.div_ceil(QUAD);
        let mut all = vec![Lanes([f32::from_bits(u32::from_le_bytes([outside; 4])); LANES]); quads * layout.plane()];
        for quad in 0..quads {
            for (row, column) in (0..layout.height).flat_map(|row| (0..layout.width).map(move |column| (row, column))) {
                let bits = |_| f32::from_bits((random.below(1 << 16) << 16 | random.below(1 << 16)) as u32);
                all[quad * layout.plane() + layout.at(row, column)] = Lanes(std::array::from_fn(bits));
            }
        }
        all
    }

    /// A byte of a lane.
    fn byte(values: &[Lanes], layout: &Layout, channel: usize, place: usize, lane: usize) -> f64 {
        let bits = values[channel / QUAD * layout.plane() + place].0[lane].to_bits();
        f64::from(bits.to_le_bytes()[channel % QUAD])
    }

    fn case(random: &mut Random) -> Geometry {
        let groups = [1, 1, 2, 6][random.below(4)];
        let mut pair = |most: usize| [0; 2].map(|_: usize| 1 + random.below(most));
        let window = Window { size: pair(3), stride: pair(3), padding: pair(2).map(|own| own - 1), dilation: pair(2) };
        let sides = [0, 1].map(|axis: usize| (window.size[axis] - 1) * window.dilation[axis] + 1 + random.below(9));
        let x = Layout::of(&[groups * (1 + random.below(9)), sides[0], sides[1]]);
        let outputs = [0, 1].map(|axis: usize| {
            let reach = (window.size[axis] - 1) * window.dilation[axis] + 1;
            (sides[axis] + 2 * window.padding[axis] - reach) / window.stride[axis] + 1
        });
        let y = Layout::of(&[groups * (1 + random.below(7)), outputs[0], outputs[1]]);
        let x = Layout { margins: padding(&window, &x, &y), ..x };
        let margins = Margins { top: random.below(2), left: random.below(2), ..Margins::default() };
        let y = Layout { margins, ..y };
        Geometry { window, groups, x, dx: x, y, dy: y }
    }

    #[test]
    fn sums_of_bytes_are_those_of_their_numbers() {
        let mut met = [0; 2];
        for seed in 0..150 {
            let mut random = Random(seed);
            let geometry = case(&mut random);
            let Geometry { window, x, y, .. } = geometry;
            let (inputs, taps, filters) = (geometry.inputs(), geometry.taps(), y.channels);
            let density = [0.1, 0.5, 1.0][random.below(3)];
            // Codes times a scale, as in a file, and then times a number of each filter.
            let code = |random: &mut Random| {
                let is_kept = random.signed().abs() <= density;
                if is_kept { (127.0 * random.signed()).round() / 128.0 } else { 0.0 }
            };
            let mut stored: Vec<f32> = (0..filters * geometry.columns()).map(|_| code(&mut random)).collect();
            stored.chunks_mut(geometry.columns()).for_each(|row| row[0] = 127.0 / 128.0);
            let factors: Vec<f32> = (0..filters).map(|_| random.signed() + 2.0).collect();
            let weight: Vec<f32> =
                stored.iter().enumerate().map(|(place, own)| own * factors[place / geometry.columns()]).collect();
            let bias: Vec<f32> = (0..filters).map(|_| random.signed()).collect();
            let [x_bytes, other_bytes] =
                [(); 2].map(|()| Bytes { scale: 0.01 + 0.01 * random.signed().abs(), zero: random.below(256) as u8 });
            let other = random.below(2) == 0;
            let activation = [None, Some(Activation::Relu)][random.below(2)];
            let y_bytes = (random.below(3) > 0).then(|| {
                let scale = 0.05 + 0.1 * random.signed().abs();
                Bytes { scale, zero: if activation.is_some() { 0 } else { random.below(256) as u8 } }
            });
            let values = filled(&x, x_bytes.zero, &mut random);
            let added = filled(&y, 0, &mut random);
            let expected = |filter: usize, row: usize, column: usize, lane: usize| {
                let mut sum = f64::from(bias[filter]);
                let first = filter / geometry.filters() * inputs;
                for (channel, tap) in (0..inputs).flat_map(|channel| (0..taps).map(move |tap| (channel, tap))) {
                    let at = |axis: usize, position: usize, element: usize| {
                        position * window.stride[axis] + element * window.dilation[axis]
                    };
                    let element = [tap / window.size[1], tap % window.size[1]];
                    // The layout's margins are the padding.
                    let place = at(0, row, element[0]) * x.columns() + at(1, column, element[1]);
                    let number = byte(&values, &x, first + channel, place, lane) - f64::from(x_bytes.zero);
                    let weight = f64::from(weight[(filter * inputs + channel) * taps + tap]);
                    sum += weight * f64::from(x_bytes.scale) * number;
                }
                if other {
                    let number = byte(&added, &y, filter, y.at(row, column), lane) - f64::from(other_bytes.zero);
                    sum += f64::from(other_bytes.scale) * number;
                }
                if activation.is_some() { sum.max(0.0) } else { sum }
            };
            let channels = y_bytes.map_or(filters, |_| filters.div_ceil(QUAD));
            let mut first: Option<Vec<Lanes>> = None;
            for (set, is_dense) in DotSet::available().into_iter().flat_map(|set| [(set, false), (set, true)]) {
                let layer = Layer {
                    weight: &weight,
                    stored: &stored,
                    bias: Some(&bias),
                    activation,
                    x: x_bytes,
                    other: other.then_some(other_bytes),
                    y: y_bytes,
                    is_dense,
                };
                let conv = Conv::new(geometry, layer, set).expect("few products");
                met[usize::from(conv.weights.is_shared)] += 1;
                let mut found = vec![Lanes::ZERO; channels * y.plane()];
                let mut parts = conv.borders();
                parts.push(channels);
                for part in parts.windows(2) {
                    let own = &mut found[part[0] * y.plane()..part[1] * y.plane()];
                    conv.run(part[0]..part[1], &values, other.then_some(&added), own);
                }
                let all = found.iter().map(|own| own.0.map(f32::to_bits)).collect::<Vec<_>>();
                let same = first.get_or_insert(found.clone());
                assert!(same.iter().map(|own| own.0.map(f32::to_bits)).eq(all), "seed {seed}, {set:?} differs");
                for filter in 0..filters {
                    let (row, column, lane) = (random.below(y.height), random.below(y.width), random.below(LANES));
                    let expected = expected(filter, row, column, lane);
                    let (number, allowed) = match y_bytes {
                        Some(own) => {
                            let scale = f64::from(own.scale);
                            let expected = (expected / scale + f64::from(own.zero)).clamp(0.0, 255.0);
                            (byte(&found, &y, filter, y.at(row, column), lane) - expected, 0.501)
                        }
                        None => {
                            let number = f64::from(found[filter * y.plane() + y.at(row, column)].0[lane]);
                            (number - expected, 1e-4 * expected.abs().max(1.0))
                        }
                    };
                    assert!(number.abs() <= allowed, "seed {seed}, {set:?}, {layer:?}, {geometry:?}: {number}");
                }
            }
        }
        assert!(met.iter().all(|own| *own > 20), "lists of one filter and of four: {met:?}");
    }

    #[test]
    fn a_range_holds_zero_and_its_ends() {
        let zero = |range: [f32; 2]| Bytes::over(range).zero;
        assert_eq!([zero([0.0, 2.0]), zero([0.5, 2.0]), zero([-1.0, 0.0]), zero([-1.0, 1.0])], [0, 0, 255, 128]);
        for range in [[-0.3, 0.7], [0.0, 1e-3], [-5.0, -4.0], [3.0, 1e30]] {
            let own = Bytes::over(range);
            let number = |byte: u8| own.scale * (f32::from(byte) - f32::from(own.zero));
            assert!(
                number(0) <= range[0].min(0.0) + own.scale && number(255) >= range[1].max(0.0) - own.scale,
                "{own:?}"
            );
        }
        for range in [[0.0, 0.0], [0.0, 1e-40], [-f32::MAX, f32::MAX]] {
            let Bytes { scale, .. } = Bytes::over(range);
            assert!(scale.is_normal() && (1.0 / scale).is_finite(), "{range:?}: {scale}");
        }
    }
}
