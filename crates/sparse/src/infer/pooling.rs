//! Pooling of an image that is cut into tiles: over windows that reach beyond the image in some lanes, and over all of it.

use super::tiling::Tiling;
use crate::kernels::pooling::{Masked, average_masked, largest, max_masked, mean};
use crate::lanes::Lanes;
use crate::simd::Vector;
use crate::train::graph::layout::Layout;
use secateur_graph::{Pool, PoolKind};

/// Pooling of tiles.
#[derive(Debug)]
pub(super) enum Pooling {
    Max(Masked),
    /// With 1 / the number of elements of a window.
    Average(Masked, f32),
    /// The mean of a channel, with 1 / the number of its pixels.
    Mean(Masked, f32),
    /// The largest value of a channel.
    Largest(Masked),
}

impl Pooling {
    /// `x` is the layout of the input, which has the margins that the windows read, and its tiling.
    pub(super) fn new(pool: Pool, (x, tiling): (&Layout, &Tiling), y: &Layout) -> Self {
        let window = pool.window;
        let mut own = Masked { starts: vec![0], ..Masked::default() };
        for (row, column) in (0..y.height).flat_map(|row| (0..y.width).map(move |column| (row, column))) {
            own.outputs.push(y.at(row, column) as u32);
            for (ky, kx) in (0..window.size[0]).flat_map(|ky| (0..window.size[1]).map(move |kx| (ky, kx))) {
                let at = |axis: usize, position: usize, element: usize| {
                    (position * window.stride[axis] + element * window.dilation[axis]) as isize
                        - window.padding[axis] as isize
                };
                let (row, column) = (at(0, row, ky), at(1, column, kx));
                let vector =
                    (x.margins.top.strict_add_signed(row)) * x.columns() + x.margins.left.strict_add_signed(column);
                let mask = tiling.mask(x, row, column);
                // Lanes without a tile are not read.
                own.elements.push((vector as u32, if mask == tiling.lanes() { u16::MAX } else { mask }));
            }
            own.starts.push(own.elements.len() as u32);
        }
        match pool.kind {
            PoolKind::Max => Self::Max(own),
            PoolKind::Average => Self::Average(own, 1.0 / (window.size[0] * window.size[1]) as f32),
        }
    }

    /// The mean of each channel.
    pub(super) fn global((x, tiling): (&Layout, &Tiling), y: &Layout) -> Self {
        Self::Mean(all((x, tiling), y), 1.0 / (tiling.image[0] * tiling.image[1]) as f32)
    }

    /// The largest value of each channel.
    pub(super) fn largest((x, tiling): (&Layout, &Tiling), y: &Layout) -> Self {
        Self::Largest(all((x, tiling), y))
    }

    /// The windows alone.
    pub(super) fn into_windows(self) -> Masked {
        let (Self::Max(own) | Self::Average(own, _) | Self::Mean(own, _) | Self::Largest(own)) = self;
        own
    }

    /// Bytes of the lists of windows.
    pub(super) fn bytes(&self) -> usize {
        let (Self::Max(own) | Self::Average(own, _) | Self::Mean(own, _) | Self::Largest(own)) = self;
        own.bytes()
    }

    /// Writes a channel; `x` and `y` are its planes.
    #[inline(always)]
    pub(super) fn write_channel<V: Vector>(&self, x: &[Lanes], y: &mut [Lanes]) {
        match self {
            Self::Max(own) => max_masked::<V>(own, x, y),
            Self::Average(own, share) => average_masked::<V>(own, *share, x, y),
            Self::Mean(own, share) => mean::<V>(own, *share, x, y),
            Self::Largest(own) => largest::<V>(own, x, y),
        }
    }
}

/// One window of all pixels of a channel.
fn all((x, tiling): (&Layout, &Tiling), y: &Layout) -> Masked {
    let pixels = (0..x.height).flat_map(|row| (0..x.width).map(move |column| (row, column)));
    let element = |(row, column)| (x.at(row, column) as u32, tiling.mask(x, row as isize, column as isize));
    let elements: Vec<_> = pixels.map(element).collect();
    Masked { starts: vec![0, elements.len() as u32], elements, outputs: vec![y.at(0, 0) as u32] }
}
