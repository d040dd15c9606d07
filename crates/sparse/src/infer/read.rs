//! Images into lanes.

use crate::InstructionSet;
use crate::lanes::{LANES, Lanes};
use crate::simd::{Kernel, Vector, dispatch};

/// Turns images `[pixel]` into a block `[pixel][16 images]`; lanes without an image are zero.
pub(super) fn read(set: InstructionSet, images: &[f32], pixels: usize, block: &mut [Lanes]) {
    struct Read<'a>(&'a [f32], usize, &'a mut [Lanes]);
    impl Kernel for Read<'_> {
        type Output = ();

        #[inline(always)]
        fn run<V: Vector>(self) {
            let Self(images, pixels, block) = self;
            let mut from = [Lanes::ZERO; LANES];
            let mut to = [Lanes::ZERO; LANES];
            for first in (0..pixels).step_by(LANES) {
                let width = LANES.min(pixels - first);
                for (lanes, image) in from.iter_mut().zip(images.chunks_exact(pixels)) {
                    lanes.0[..width].copy_from_slice(&image[first..first + width]);
                }
                V::transpose(&from, &mut to);
                block[first..first + width].copy_from_slice(&to[..width]);
            }
        }
    }
    dispatch(set, Read(images, pixels, block));
}
