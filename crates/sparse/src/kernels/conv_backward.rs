//! Gradients of a convolution that is followed by relu and a 2x2 max-pool.
//!
//! Such a window lets its gradient through at one position of four at most, and relu stops about half of the rest. So the
//! gradient of an image and a filter is a short list of (position, gradient), and what follows from one entry is a few
//! vectors over the input channels: `dw[tap] += g * x[position + tap]` and `dx[position + tap] += g * w[tap]`. For that
//! the images leave the lanes: an image is `[row][column][channels / 16][16]` here.

use super::conv::{Codes, Shape};
use crate::lanes::{LANES, Lanes, transpose};
use crate::simd::{Vector, load_all};

/// One entry of a list: where the window's largest value stood in the image, and the gradient there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry {
    pub place: u32,
    pub gradient: f32,
}

/// Turns a block `[channel][pixel][16 images]` into sixteen images `[pixel][channels / 16][16]`, one after the other.
#[inline(always)]
pub(crate) fn images_from_block(block: &[Lanes], channels: usize, pixels: usize, images: &mut [Lanes]) {
    let vectors = channels.div_ceil(LANES);
    let mut tile = [Lanes::ZERO; LANES];
    let mut turned = [Lanes::ZERO; LANES];
    for vector in 0..vectors {
        let own = (channels - vector * LANES).min(LANES);
        tile[own..].fill(Lanes::ZERO);
        for pixel in 0..pixels {
            for (channel, tile) in tile[..own].iter_mut().enumerate() {
                *tile = block[(vector * LANES + channel) * pixels + pixel];
            }
            transpose(&tile, &mut turned);
            for (image, turned) in turned.iter().enumerate() {
                images[(image * pixels + pixel) * vectors + vector] = *turned;
            }
        }
    }
}

/// The inverse of [`images_from_block`].
#[inline(always)]
pub(crate) fn block_from_images(images: &[Lanes], channels: usize, pixels: usize, block: &mut [Lanes]) {
    let vectors = channels.div_ceil(LANES);
    let mut tile = [Lanes::ZERO; LANES];
    let mut turned = [Lanes::ZERO; LANES];
    for vector in 0..vectors {
        let own = (channels - vector * LANES).min(LANES);
        for pixel in 0..pixels {
            for (image, tile) in tile.iter_mut().enumerate() {
                *tile = images[(image * pixels + pixel) * vectors + vector];
            }
            transpose(&tile, &mut turned);
            for (channel, turned) in turned[..own].iter().enumerate() {
                block[(vector * LANES + channel) * pixels + pixel] = *turned;
            }
        }
    }
}

/// The lists of one filter, one for each image of a block: `lists[image]` holds `counts[image]` entries.
///
/// `gradient` and `codes` are the filter's, `[position]`.
#[inline(always)]
pub(crate) fn collect(shape: Shape, gradient: &[Lanes], codes: &[Codes], lists: &mut [Vec<Entry>; LANES]) {
    let [height, width] = shape.pooled();
    for list in lists.iter_mut() {
        list.clear();
    }
    for y in 0..height {
        for x in 0..width {
            let place = y * width + x;
            let (gradient, codes) = (&gradient[place], &codes[place]);
            for (window, bits) in codes.iter().enumerate() {
                let place = (2 * y + window / 2) * shape.width + 2 * x + window % 2;
                let mut bits = *bits;
                while bits != 0 {
                    let image = bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    lists[image].push(Entry { place: place as u32, gradient: gradient.0[image] });
                }
            }
        }
    }
}

/// `dw[tap] += g * x[place + tap]` for every entry of an image's list; `sum` is the filter's, `[tap][inputs / 16][16]`.
#[inline(always)]
pub(crate) fn weight_gradient<V: Vector>(shape: Shape, list: &[Entry], image: &[Lanes], sum: &mut [Lanes]) {
    match shape.kernel {
        1 => weight_rows::<V, 1>(shape, list, image, sum),
        3 => weight_rows::<V, 3>(shape, list, image, sum),
        5 => weight_rows::<V, 5>(shape, list, image, sum),
        _ => weight_rows::<V, 7>(shape, list, image, sum),
    }
}

#[inline(always)]
fn weight_rows<V: Vector, const K: usize>(shape: Shape, list: &[Entry], image: &[Lanes], sum: &mut [Lanes]) {
    let vectors = shape.vectors();
    let mut vector = 0;
    while vector < vectors {
        vector += if V::REGISTERS >= 32 && K <= 3 && vectors - vector >= 2 {
            weight_part::<V, K, K, 2>(shape, list, image, sum, vector, 0);
            2
        } else if V::REGISTERS >= 32 && K <= 5 {
            weight_part::<V, K, K, 1>(shape, list, image, sum, vector, 0);
            1
        } else {
            for row in 0..K {
                weight_part::<V, K, 1, 1>(shape, list, image, sum, vector, row);
            }
            1
        };
    }
}

/// `R` rows of taps and `N` vectors of channels: what the registers hold.
#[inline(always)]
fn weight_part<V: Vector, const K: usize, const R: usize, const N: usize>(
    shape: Shape,
    list: &[Entry],
    image: &[Lanes],
    sum: &mut [Lanes],
    vector: usize,
    row: usize,
) {
    let vectors = shape.vectors();
    let tap = |ky: usize, kx: usize| ((row + ky) * K + kx) * vectors + vector;
    let mut sums = [[[V::splat(0.0); N]; K]; R];
    for ky in 0..R {
        for kx in 0..K {
            for i in 0..N {
                sums[ky][kx][i] = V::load(&sum[tap(ky, kx) + i]);
            }
        }
    }
    for entry in list {
        let gradient = V::splat(entry.gradient);
        for ky in 0..R {
            let start = (entry.place as usize + (row + ky) * shape.width) * vectors + vector;
            let line = &image[start..start + (K - 1) * vectors + N];
            for kx in 0..K {
                for i in 0..N {
                    sums[ky][kx][i] = gradient.mul_add(V::load(&line[kx * vectors + i]), sums[ky][kx][i]);
                }
            }
        }
    }
    for ky in 0..R {
        for kx in 0..K {
            for i in 0..N {
                sums[ky][kx][i].store(&mut sum[tap(ky, kx) + i]);
            }
        }
    }
}

/// `dx[place + tap] += g * w[tap]` for every entry of an image's list; `weight` is the filter's.
#[inline(always)]
pub(crate) fn input_gradient<V: Vector>(shape: Shape, list: &[Entry], weight: &[Lanes], image: &mut [Lanes]) {
    match shape.kernel {
        1 => input_rows::<V, 1>(shape, list, weight, image),
        3 => input_rows::<V, 3>(shape, list, weight, image),
        5 => input_rows::<V, 5>(shape, list, weight, image),
        _ => input_rows::<V, 7>(shape, list, weight, image),
    }
}

#[inline(always)]
fn input_rows<V: Vector, const K: usize>(shape: Shape, list: &[Entry], weight: &[Lanes], image: &mut [Lanes]) {
    let vectors = shape.vectors();
    let mut vector = 0;
    while vector < vectors {
        vector += if V::REGISTERS >= 32 && K <= 3 && vectors - vector >= 2 {
            input_part::<V, K, K, 2>(shape, list, weight, image, vector, 0);
            2
        } else if V::REGISTERS >= 32 && K <= 5 {
            input_part::<V, K, K, 1>(shape, list, weight, image, vector, 0);
            1
        } else {
            for row in 0..K {
                input_part::<V, K, 1, 1>(shape, list, weight, image, vector, row);
            }
            1
        };
    }
}

#[inline(always)]
fn input_part<V: Vector, const K: usize, const R: usize, const N: usize>(
    shape: Shape,
    list: &[Entry],
    weight: &[Lanes],
    image: &mut [Lanes],
    vector: usize,
    row: usize,
) {
    let vectors = shape.vectors();
    let mut own = [[[V::splat(0.0); N]; K]; R];
    for ky in 0..R {
        for kx in 0..K {
            for i in 0..N {
                own[ky][kx][i] = V::load(&weight[((row + ky) * K + kx) * vectors + vector + i]);
            }
        }
    }
    for entry in list {
        let gradient = V::splat(entry.gradient);
        for ky in 0..R {
            let start = (entry.place as usize + (row + ky) * shape.width) * vectors + vector;
            let line = &mut image[start..start + (K - 1) * vectors + N];
            for kx in 0..K {
                for i in 0..N {
                    let place = &mut line[kx * vectors + i];
                    gradient.mul_add(own[ky][kx][i], V::load(place)).store(place);
                }
            }
        }
    }
}

/// The weight gradient of a convolution with few input channels, with the images still in the lanes:
/// `sum[tap][channel / 16][channel % 16] += ` for one filter and one block.
#[inline(always)]
pub(crate) fn weight_gradient_in_lanes<V: Vector>(
    shape: Shape,
    gradient: &[Lanes],
    codes: &[Codes],
    block: &[Lanes],
    sum: &mut [Lanes],
) {
    match shape.kernel {
        1 => weight_lanes::<V, 1, 2>(shape, gradient, codes, block, sum),
        3 => weight_lanes::<V, 3, 4>(shape, gradient, codes, block, sum),
        5 => weight_lanes::<V, 5, 6>(shape, gradient, codes, block, sum),
        _ => weight_lanes::<V, 7, 8>(shape, gradient, codes, block, sum),
    }
}

/// `W` is `K + 1`, the width of what a window reads.
#[inline(always)]
fn weight_lanes<V: Vector, const K: usize, const W: usize>(
    shape: Shape,
    gradient: &[Lanes],
    codes: &[Codes],
    block: &[Lanes],
    sum: &mut [Lanes],
) {
    let ([height, width], vectors) = (shape.pooled(), shape.vectors());
    for channel in 0..shape.inputs {
        let image = &block[channel * shape.height * shape.width..][..shape.height * shape.width];
        let mut sums = [[V::splat(0.0); K]; K];
        for y in 0..height {
            for x in 0..width {
                let place = y * width + x;
                let (own, codes) = (V::load(&gradient[place]), &codes[place]);
                let own = [own.keep(codes[0]), own.keep(codes[1]), own.keep(codes[2]), own.keep(codes[3])];
                let corner = 2 * y * shape.width + 2 * x;
                for row in 0..=K {
                    let line = image[corner + row * shape.width..].first_chunk::<W>().expect("within the image");
                    let line: [V; W] = load_all(line);
                    for kx in 0..K {
                        if row < K {
                            sums[row][kx] = own[0].mul_add(line[kx], own[1].mul_add(line[kx + 1], sums[row][kx]));
                        }
                        if row > 0 {
                            sums[row - 1][kx] =
                                own[2].mul_add(line[kx], own[3].mul_add(line[kx + 1], sums[row - 1][kx]));
                        }
                    }
                }
            }
        }
        for ky in 0..K {
            for kx in 0..K {
                sum[(ky * K + kx) * vectors + channel / LANES].0[channel % LANES] += sums[ky][kx].sum();
            }
        }
    }
}
