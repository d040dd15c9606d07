//! Gradients of a convolution that is followed by relu and a 2x2 max-pool.
//!
//! Such a window lets its gradient through at one position of four at most, and relu stops about half of the rest. So the
//! gradient of an image and a filter is a short list of (position, gradient), and what follows from one entry is a few
//! vectors over the input channels: `dw[tap] += g * x[position + tap]` and `dx[position + tap] += g * w[tap]`. For that
//! the images leave the lanes: an image is `[channels / 16][row][column][16]` here.

use super::conv::{Codes, Shape};
use crate::lanes::{LANES, Lanes};
use crate::simd::{Vector, load_all};

/// One entry of a list: where the window's largest value stood in the image, and the gradient there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    pub place: u32,
    pub gradient: f32,
}

/// The lists of every filter and image of a block.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// `[filter][image]`, with room for every position.
    entries: Vec<Entry>,
    counts: Vec<[u32; LANES]>,
    positions: usize,
}

impl Lists {
    /// Collects the lists of a block; `gradient` and `codes` are `[filter][position]`.
    #[inline(always)]
    pub(crate) fn collect(&mut self, shape: Shape, gradient: &[Lanes], codes: &[Codes]) {
        let ([height, width], positions) = (shape.pooled(), shape.positions());
        self.positions = positions;
        self.entries.resize(shape.outputs * positions * LANES, Entry::default());
        self.counts.clear();
        let filters = gradient.chunks_exact(positions).zip(codes.chunks_exact(positions));
        for ((gradient, codes), entries) in filters.zip(self.entries.chunks_exact_mut(positions * LANES)) {
            let mut counts = [0u32; LANES];
            // Every second window of every second row comes first: neighbours overlap, and an entry that adds to what the
            // one before has just written would have to wait for it.
            for (first_y, first_x) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                for y in (first_y..height).step_by(2) {
                    for x in (first_x..width).step_by(2) {
                        let (gradient, codes) = (&gradient[y * width + x].0, &codes[y * width + x]);
                        let corner = 2 * y * shape.width + 2 * x;
                        let places = [corner, corner + 1, corner + shape.width, corner + shape.width + 1];
                        let mut active = codes[0] | codes[1] | codes[2] | codes[3];
                        while active != 0 {
                            let image = active.trailing_zeros() as usize % LANES;
                            active &= active - 1;
                            let bit = |code: usize| usize::from(codes[code] >> image & 1);
                            let place = places[(bit(1) + 2 * bit(2) + 3 * bit(3)) % 4] as u32;
                            let next = &mut counts[image];
                            entries[image * positions + *next as usize] = Entry { place, gradient: gradient[image] };
                            *next += 1;
                        }
                    }
                }
            }
            self.counts.push(counts);
        }
    }

    /// The list of a filter and an image.
    #[inline(always)]
    fn of(&self, filter: usize, image: usize) -> &[Entry] {
        let start = (filter * LANES + image) * self.positions;
        &self.entries[start..start + self.counts[filter][image] as usize]
    }
}

/// Turns a block `[channel][pixel][16 images]` into sixteen images, `[image][channels / 16][stride][16]` with the pixels
/// first in each stride.
#[inline(always)]
pub(crate) fn images_from_block<V: Vector>(
    block: &[Lanes],
    channels: usize,
    pixels: usize,
    images: &mut [Lanes],
    stride: usize,
) {
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
            V::transpose(&tile, &mut turned);
            for (image, turned) in turned.iter().enumerate() {
                images[(image * vectors + vector) * stride + pixel] = *turned;
            }
        }
    }
}

/// The inverse of [`images_from_block`], but it reads the pixels that are last in each stride.
#[inline(always)]
pub(crate) fn block_from_images<V: Vector>(
    images: &[Lanes],
    stride: usize,
    channels: usize,
    pixels: usize,
    block: &mut [Lanes],
) {
    let vectors = channels.div_ceil(LANES);
    let mut tile = [Lanes::ZERO; LANES];
    let mut turned = [Lanes::ZERO; LANES];
    for vector in 0..vectors {
        let own = (channels - vector * LANES).min(LANES);
        for pixel in 0..pixels {
            for (image, tile) in tile.iter_mut().enumerate() {
                *tile = images[(image * vectors + vector + 1) * stride - pixels + pixel];
            }
            V::transpose(&tile, &mut turned);
            for (channel, turned) in turned[..own].iter().enumerate() {
                block[(vector * LANES + channel) * pixels + pixel] = *turned;
            }
        }
    }
}

/// The gradients of a block, its images outside of the lanes: adds to `sums`, which is like `weight`, and, where `images`
/// has room for it behind an image's pixels, to the image's gradient. (The two stand side by side, so that a store to one
/// is never taken for a load of the other, as it would be at equal places in two pages.)
#[inline(always)]
pub(crate) fn from_lists<V: Vector>(
    shape: Shape,
    lists: &Lists,
    images: &mut [Lanes],
    stride: usize,
    weight: &[Lanes],
    sums: &mut [Lanes],
) {
    match shape.kernel {
        1 => rows::<V, 1>(shape, lists, images, stride, weight, sums),
        3 => rows::<V, 3>(shape, lists, images, stride, weight, sums),
        5 => rows::<V, 5>(shape, lists, images, stride, weight, sums),
        7 => rows::<V, 7>(shape, lists, images, stride, weight, sums),
        _ => unreachable!("kernel sizes are checked where layers are made"),
    }
}

#[inline(always)]
fn rows<V: Vector, const K: usize>(
    shape: Shape,
    lists: &Lists,
    images: &mut [Lanes],
    stride: usize,
    weight: &[Lanes],
    sums: &mut [Lanes],
) {
    let (vectors, pixels) = (shape.vectors(), shape.height * shape.width);
    for image in 0..LANES {
        for vector in 0..vectors {
            // What of an image and its gradient is at work here fits the first-level cache.
            let own = (image * vectors + vector) * stride;
            let (x, dx) = images[own..own + stride].split_at_mut(pixels);
            for filter in 0..shape.outputs {
                let place = shape.place(vector, filter);
                let (weight, sums) = (&weight[place..][..K * K], &mut sums[place..][..K * K]);
                let list = lists.of(filter, image);
                if V::REGISTERS >= 32 && K <= 3 {
                    part::<V, K, K>(shape, list, x, weight, sums, dx, 0);
                } else {
                    for row in 0..K {
                        part::<V, K, 1>(shape, list, x, weight, sums, dx, row);
                    }
                }
            }
        }
    }
}

/// `R` rows of taps: what the registers hold of a filter's weights and of their gradient.
#[inline(always)]
fn part<V: Vector, const K: usize, const R: usize>(
    shape: Shape,
    list: &[Entry],
    x: &[Lanes],
    weight: &[Lanes],
    sums: &mut [Lanes],
    dx: &mut [Lanes],
    row: usize,
) {
    let mut own = [[V::splat(0.0); K]; R];
    let mut sum = [[V::splat(0.0); K]; R];
    for ky in 0..R {
        for kx in 0..K {
            let tap = (row + ky) * K + kx;
            own[ky][kx] = V::load(&weight[tap]);
            sum[ky][kx] = V::load(&sums[tap]);
        }
    }
    if dx.is_empty() {
        for entry in list {
            let gradient = V::splat(entry.gradient);
            for ky in 0..R {
                let start = entry.place as usize + (row + ky) * shape.width;
                let x = x[start..].first_chunk::<K>().expect("a kernel lies within the image");
                for kx in 0..K {
                    sum[ky][kx] = gradient.mul_add(V::load(&x[kx]), sum[ky][kx]);
                }
            }
        }
    } else {
        for entry in list {
            let gradient = V::splat(entry.gradient);
            for ky in 0..R {
                let start = entry.place as usize + (row + ky) * shape.width;
                let x = x[start..].first_chunk::<K>().expect("a kernel lies within the image");
                let dx = dx[start..].first_chunk_mut::<K>().expect("a kernel lies within the image");
                for kx in 0..K {
                    sum[ky][kx] = gradient.mul_add(V::load(&x[kx]), sum[ky][kx]);
                    gradient.mul_add(own[ky][kx], V::load(&dx[kx])).store(&mut dx[kx]);
                }
            }
        }
    }
    for ky in 0..R {
        for kx in 0..K {
            sum[ky][kx].store(&mut sums[(row + ky) * K + kx]);
        }
    }
}

/// The weight gradient of a convolution with few input channels, with the images still in the lanes: adds to
/// `sum[tap][channel]` for one filter and one block.
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
        7 => weight_lanes::<V, 7, 8>(shape, gradient, codes, block, sum),
        _ => unreachable!("kernel sizes are checked where layers are made"),
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
    let [height, width] = shape.pooled();
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
                sum[ky * K + kx].0[channel] += sums[ky][kx].sum();
            }
        }
    }
}
