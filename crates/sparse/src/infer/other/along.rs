//! Layer normalisation and softmax.

use super::super::tiling::Tiling;
use super::Places;
use crate::kernels::along::{Norm, normalise, softmax};
use crate::lanes::{LANES, Lanes, at};
use crate::simd::{Kernel, Vector};
use crate::train::graph::copy::reordered;
use crate::train::graph::layout::Layout;
use crate::train::graph::pointwise::Read;
use std::ops::Range;

/// Sets of so many numbers that are computed together: where each stands in the input and in the output.
#[derive(Debug)]
pub(in crate::infer) struct Sets {
    pub places: Vec<[u32; 2]>,
    length: usize,
    /// Whether the places are those of vectors.
    is_by_vector: bool,
}

impl Sets {
    /// Those along some sides of a value of this shape.
    pub(super) fn new(shape: &[usize], axes: &[usize], x: &Places<'_>, y: &Places<'_>) -> Self {
        let length = axes.iter().map(|axis| shape[*axis]).product();
        // Where the lanes hold tiles, channels alone are computed pixel by pixel of a tile.
        let is_by_vector = x.tiling.is_none() || axes == [0];
        let mut places = vec![];
        if is_by_vector && x.tiling.is_some() {
            for pixel in 0..x.layout.pixels() {
                let (row, column) = (pixel / x.layout.width, pixel % x.layout.width);
                let at = |own: &Layout, channel: usize| (channel * own.plane() + own.at(row, column)) as u32;
                places.extend((0..length).map(|channel| [at(x.layout, channel), at(y.layout, channel)]));
            }
        } else {
            // The other sides first, then those along which the numbers of a set stand.
            let mut order: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
            order.extend(axes);
            let pair = |index: usize| {
                let index = reordered(shape, &order, index);
                [x.of(index) as u32, y.of(index) as u32]
            };
            places.extend((0..shape.iter().product()).map(pair));
        }
        Self { places, length, is_by_vector }
    }
}

/// The pixels of a channel whose tiles stand in the lanes, where all of them are normalised together.
#[derive(Debug)]
pub(in crate::infer) struct Pixels {
    /// Offset of each in the plane of the input and in that of the output.
    pub places: Vec<[u32; 2]>,
    /// The lanes in which it lies in the image.
    masks: Vec<u16>,
    pub scale: Vec<Lanes>,
    pub shift: Vec<Lanes>,
    count: usize,
}

impl Pixels {
    /// Of a value that is cut in this way, as what is computed of it is.
    pub(super) fn new(tiling: &Tiling, [x, y]: [&Layout; 2], [scale, shift]: [&[f32]; 2]) -> Self {
        let pixels = (0..x.height).flat_map(|row| (0..x.width).map(move |column| (row, column)));
        let count = scale.len();
        let mut own = Self { places: vec![], masks: vec![], scale: vec![], shift: vec![], count };
        for (row, column) in pixels {
            own.places.push([x.at(row, column) as u32, y.at(row, column) as u32]);
            own.masks.push(tiling.mask(x, row as isize, column as isize) & tiling.lanes());
        }
        own.scale = vec![Lanes::ZERO; own.places.len()];
        own.shift = own.scale.clone();
        for index in 0..count {
            let [_, lane] = tiling.place(x, index);
            let (row, column) = (index / tiling.image[1] % x.height, index % tiling.image[1] % x.width);
            let pixel = row * x.width + column;
            (own.scale[pixel].0[lane], own.shift[pixel].0[lane]) = (scale[index], shift[index]);
        }
        own
    }
}

/// The normalisation of some channels, each over its pixels.
pub(super) struct Planes<'a> {
    pub pixels: &'a Pixels,
    pub epsilon: f32,
    pub x: Read<'a>,
    pub layout: &'a Layout,
    pub channels: Range<usize>,
    pub y: &'a mut [Lanes],
}

impl Kernel for Planes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { pixels, epsilon, x, layout, channels, y } = self;
        let share = 1.0 / pixels.count as f32;
        for (channel, y) in channels.zip(y.chunks_exact_mut(layout.plane())) {
            let x = x.plane(0, channel).values;
            let mut sum = V::splat(0.0);
            for ([from, _], mask) in pixels.places.iter().zip(&pixels.masks) {
                sum = sum.add(V::load(&x[*from as usize]).keep(*mask));
            }
            let mean = V::splat(sum.sum() * share);
            let mut squares = V::splat(0.0);
            for ([from, _], mask) in pixels.places.iter().zip(&pixels.masks) {
                let distance = V::load(&x[*from as usize]).sub(mean).keep(*mask);
                squares = distance.mul_add(distance, squares);
            }
            let factor = V::splat(1.0 / (squares.sum() * share + epsilon).sqrt());
            for (([from, to], scale), shift) in pixels.places.iter().zip(&pixels.scale).zip(&pixels.shift) {
                let own = V::load(&x[*from as usize]).sub(mean).mul(factor);
                own.mul_add(V::load(scale), V::load(shift)).store(&mut y[*to as usize]);
            }
        }
    }
}

/// Layer normalisation, or softmax where there is none.
pub(super) struct Along<'a> {
    pub sets: &'a Sets,
    pub x: &'a [Lanes],
    pub y: &'a mut [Lanes],
    pub norm: Option<Norm<'a>>,
}

impl Kernel for Along<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { sets, x, y, norm } = self;
        for places in sets.places.chunks_exact(sets.length) {
            match (norm, sets.is_by_vector) {
                (Some(own), true) => normalise::<V>(own, places, x, y),
                (None, true) => softmax::<V>(places, x, y),
                (Some(own), false) => normalise_numbers(own, places, x, y),
                (None, false) => softmax_numbers(places, x, y),
            }
        }
    }
}

fn normalise_numbers(norm: Norm<'_>, places: &[[u32; 2]], x: &[Lanes], y: &mut [Lanes]) {
    let share = 1.0 / places.len() as f32;
    let own = |place: &[u32; 2]| at(x, place[0] as usize);
    let mean = places.iter().map(own).sum::<f32>() * share;
    let squares: f32 = places.iter().map(|place| (own(place) - mean) * (own(place) - mean)).sum();
    let factor = 1.0 / (squares * share + norm.epsilon).sqrt();
    for ((place, scale), shift) in places.iter().zip(norm.scale).zip(norm.shift) {
        let to = place[1] as usize;
        y[to / LANES].0[to % LANES] = (own(place) - mean) * factor * scale + shift;
    }
}

fn softmax_numbers(places: &[[u32; 2]], x: &[Lanes], y: &mut [Lanes]) {
    let own = |place: &[u32; 2]| at(x, place[0] as usize);
    let largest = places.iter().map(own).fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for place in places {
        let (power, to) = ((own(place) - largest).exp(), place[1] as usize);
        y[to / LANES].0[to % LANES] = power;
        sum += power;
    }
    for place in places {
        let to = place[1] as usize;
        y[to / LANES].0[to % LANES] /= sum;
    }
}
