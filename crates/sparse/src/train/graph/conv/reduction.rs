//! What goes on where the last part of a gradient has been written, while it is in the caches: the way back over the
//! activation before the convolution, and the sums that a normalisation needs.

use crate::lanes::Lanes;
use crate::simd::{Kernel, Vector};
use crate::train::graph::layout::Layout;
use crate::train::graph::pieces::Piece;
use crate::train::graph::pointwise::{Pointwise, Reads, summed};
use std::ops::Range;

/// The pass whose output the convolution reads.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::graph) struct Reduction<'a> {
    pub pass: &'a Pointwise,
    pub reads: Reads<'a>,
}

impl Reduction<'_> {
    /// Goes on with some rows of a channel of a block, whose gradient `values` are.
    #[inline(always)]
    pub(super) fn rows<V: Vector>(
        &self,
        layout: &Layout,
        [block, channel]: [usize; 2],
        rows: Range<usize>,
        values: &mut [Lanes],
        sums: &mut [Lanes; 2],
    ) {
        let back = self.reads.planes(block, channel).part(rows.clone());
        self.pass.reduce_rows::<V>(channel, back, layout.grid().part(rows), values, sums);
    }
}

/// Goes on with all of a piece.
pub(super) struct Reduce<'a, 'b> {
    pub reduction: Reduction<'a>,
    pub layout: &'a Layout,
    pub item: &'a mut Piece<'b>,
    /// `[block][channel]`
    pub sums: &'a mut Vec<[f64; 2]>,
}

impl Kernel for Reduce<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { reduction, layout, item, sums } = self;
        for (place, values) in item.values.iter_mut().enumerate() {
            for (channel, values) in item.channels.clone().zip(values.chunks_exact_mut(layout.plane())) {
                let mut found = [Lanes::ZERO; 2];
                reduction.rows::<V>(layout, [item.block + place, channel], 0..layout.height, values, &mut found);
                sums.push(summed(&found));
            }
        }
    }
}

/// What was found of pieces, `[block][channel]` each, of all channels.
pub(super) fn by_block<'a>(
    found: impl IntoIterator<Item = (Piece<'a>, Vec<[f64; 2]>)>,
    channels: usize,
    blocks: usize,
) -> Vec<[f64; 2]> {
    let mut all = vec![[0.0; 2]; blocks * channels];
    for (piece, sums) in found {
        let each = piece.channels.len().max(1);
        for (own, sums) in sums.chunks_exact(each).enumerate() {
            let first = (piece.block + own) * channels + piece.channels.start;
            all[first..first + each].copy_from_slice(sums);
        }
    }
    all
}
