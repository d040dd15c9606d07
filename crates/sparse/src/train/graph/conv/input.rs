//! What a convolution reads: values in memory, or values that are worked out again each time.

use crate::lanes::Lanes;
use crate::simd::Vector;
use crate::train::graph::layout::Layout;
use crate::train::graph::pointwise::{Pointwise, Read};

/// A block of values that are not kept.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    layout: Option<Layout>,
    values: Vec<Lanes>,
}

/// What a convolution reads.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::graph) enum Input<'a> {
    /// Values of all blocks.
    Stored(&'a [Lanes]),
    /// Values that are worked out from others each time that they are read, block by block.
    Computed(&'a Pointwise, Read<'a>),
}

impl Input<'_> {
    /// The values from a block on; when they are worked out, of this block alone.
    #[inline(always)]
    pub(super) fn block<'b, V: Vector>(&'b self, layout: &Layout, block: usize, buffer: &'b mut Buffer) -> &'b [Lanes] {
        match self {
            Self::Stored(values) => &values[block * layout.block()..],
            Self::Computed(pass, x) => {
                if buffer.layout != Some(*layout) {
                    // The margins are zeros.
                    buffer.values.clear();
                    buffer.values.resize(layout.block(), Lanes::ZERO);
                    buffer.layout = Some(*layout);
                }
                pass.write_channels::<V>(*x, None, layout, block, 0..layout.channels, &mut buffer.values);
                &buffer.values
            }
        }
    }

    /// Whether each item has to work the input out.
    pub(super) fn is_computed(&self) -> bool {
        matches!(self, Self::Computed(..))
    }
}
