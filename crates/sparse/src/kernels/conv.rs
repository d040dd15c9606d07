//! Convolution, bias, relu and 2x2 max-pool in one pass over a block of sixteen images.
//!
//! Weights lie as `[inputs / 16][filter][tap][16]`, activations as `[channel][row][column][16 images]`. A tile is one
//! pooled position of a few filters: four sums a filter that are rectified and pooled before they leave the registers.
//! Outputs that no window reads are never computed.

use crate::lanes::{LANES, Lanes, at};
use crate::simd::{Vector, load_all};

/// Where the gradient of a pooled output goes back to: for each of the window's four positions (row-major), one bit an
/// image. No bit is set where the unit was not active.
pub(crate) type Codes = [u16; 4];

/// Sizes of a convolution with stride 1, without padding, that is pooled 2x2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub inputs: usize,
    pub outputs: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Height and width of the input.
    pub height: usize,
    pub width: usize,
}

impl Shape {
    /// Height and width after pooling.
    pub(crate) fn pooled(&self) -> [usize; 2] {
        [self.height, self.width].map(|side| (side + 1).saturating_sub(self.kernel) / 2)
    }

    /// Pooled positions of a filter.
    pub(crate) fn positions(&self) -> usize {
        let [height, width] = self.pooled();
        height * width
    }

    /// Pixels of a channel.
    pub(crate) fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Numbers of an image.
    pub(crate) fn image(&self) -> usize {
        self.inputs * self.pixels()
    }

    /// Numbers that come out for an image.
    pub(crate) fn pooled_image(&self) -> usize {
        self.outputs * self.positions()
    }

    /// Vectors that the input channels of one tap take.
    pub(crate) fn vectors(&self) -> usize {
        self.inputs.div_ceil(LANES)
    }

    /// Taps of a kernel.
    pub(crate) fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Place of a filter's taps, for one vector of its input channels.
    pub(crate) fn place(&self, vector: usize, filter: usize) -> usize {
        (vector * self.outputs + filter) * self.taps()
    }
}

/// Computes the filters `first..`, as many as `output` has room for.
///
/// `output` is `[filter][position]`, `codes` the same or empty when no gradient is wanted.
#[inline(always)]
pub(crate) fn forward<V: Vector>(
    shape: Shape,
    weight: &[Lanes],
    bias: &[Lanes],
    rectified: bool,
    input: &[Lanes],
    first: usize,
    output: &mut [Lanes],
    codes: &mut [Codes],
) {
    match shape.kernel {
        1 => rows::<V, 1, 2>(shape, weight, bias, rectified, input, first, output, codes),
        3 => rows::<V, 3, 4>(shape, weight, bias, rectified, input, first, output, codes),
        5 => rows::<V, 5, 6>(shape, weight, bias, rectified, input, first, output, codes),
        7 => rows::<V, 7, 8>(shape, weight, bias, rectified, input, first, output, codes),
        _ => unreachable!("kernel sizes are checked where layers are made"),
    }
}

/// `W` is `K + 1`, the width of what a window reads.
#[inline(always)]
fn rows<V: Vector, const K: usize, const W: usize>(
    shape: Shape,
    weight: &[Lanes],
    bias: &[Lanes],
    rectified: bool,
    input: &[Lanes],
    first: usize,
    output: &mut [Lanes],
    codes: &mut [Codes],
) {
    let ([height, width], positions) = (shape.pooled(), shape.positions());
    let filters = output.len() / positions.max(1);
    for y in 0..height {
        for x in 0..width {
            let corner = 2 * y * shape.width + 2 * x;
            let mut filter = 0;
            while filter < filters {
                let left = if V::REGISTERS >= 32 { filters - filter } else { 1 };
                let place = filter * positions + y * width + x;
                macro_rules! tile {
                    ($n:literal) => {{
                        let sums = tile::<V, K, W, $n>(shape, weight, bias, input, first + filter, corner);
                        for (own, sums) in sums.into_iter().enumerate() {
                            let place = place + own * positions;
                            pool(sums, rectified, &mut output[place], codes.get_mut(place));
                        }
                        $n
                    }};
                }
                filter += match left {
                    5.. => tile!(5),
                    4 => tile!(4),
                    3 => tile!(3),
                    2 => tile!(2),
                    _ => tile!(1),
                };
            }
        }
    }
}

#[inline(always)]
fn tile<V: Vector, const K: usize, const W: usize, const N: usize>(
    shape: Shape,
    weight: &[Lanes],
    bias: &[Lanes],
    input: &[Lanes],
    filter: usize,
    corner: usize,
) -> [[V; 4]; N] {
    let mut sums = [[V::splat(0.0); 4]; N];
    for own in 0..N {
        sums[own] = [V::splat(at(bias, filter + own)); 4];
    }
    for channel in 0..shape.inputs {
        let (vector, lane) = (channel / LANES, channel % LANES);
        let filters = &weight[shape.place(vector, filter)..][..N * K * K];
        let top = channel * shape.height * shape.width + corner;
        for ky in 0..K {
            let above = input[top + ky * shape.width..].first_chunk::<W>().expect("a window lies within the image");
            let below =
                input[top + (ky + 1) * shape.width..].first_chunk::<W>().expect("a window lies within the image");
            let above: [V; W] = load_all(above);
            let below: [V; W] = load_all(below);
            for own in 0..N {
                for kx in 0..K {
                    let factor = V::splat(filters[(own * K + ky) * K + kx].0[lane]);
                    let sums = &mut sums[own];
                    sums[0] = factor.mul_add(above[kx], sums[0]);
                    sums[1] = factor.mul_add(above[kx + 1], sums[1]);
                    sums[2] = factor.mul_add(below[kx], sums[2]);
                    sums[3] = factor.mul_add(below[kx + 1], sums[3]);
                }
            }
        }
    }
    sums
}

/// Takes the largest of a window: of equal ones the first, NaN where one is NaN. Rectifies, and writes down where the
/// gradient belongs: that of a NaN to one of the four, and it passes the relu.
#[inline(always)]
pub(crate) fn pool<V: Vector>(window: [V; 4], rectified: bool, output: &mut Lanes, codes: Option<&mut Codes>) {
    let [a, b, c, d] = window;
    let (top, bottom) = (b.max_or_nan(a), d.max_or_nan(c));
    let largest = bottom.max_or_nan(top);
    let value = if rectified { V::splat(0.0).max(largest) } else { largest };
    value.store(output);
    let Some(codes) = codes else { return };
    let (right, lower) = (b.greater(a), d.greater(c));
    let below = bottom.greater(top);
    let active = if rectified { largest.greater_or_nan(V::splat(0.0)) } else { u16::MAX };
    let (above, below) = (!below & active, below & active);
    *codes = [above & !right, above & right, below & !lower, below & lower];
}
