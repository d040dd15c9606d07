//! What a convolution reads: values in memory, or values that are worked out again each time.

use crate::InstructionSet;
use crate::lanes::Lanes;
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::graph::layout::Layout;
use crate::train::graph::pointwise::{Pointwise, Read};
use std::ops::Range;

/// What a convolution reads.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::graph) enum Input<'a> {
    /// Values of all blocks.
    Stored(&'a [Lanes]),
    /// The outputs of a pass, worked out from its inputs.
    Computed(&'a Pointwise, Read<'a>),
    /// The gradients of a pass's inputs, worked out from these and from the gradient before its activation, for so many
    /// images.
    Gradient(&'a Pointwise, [Read<'a>; 2], usize),
}

impl Input<'_> {
    /// How many blocks there are; `layout` is that in which they are read.
    pub(super) fn blocks(&self, layout: &Layout) -> usize {
        match self {
            Self::Stored(values) => values.len() / layout.block(),
            Self::Computed(_, x) | Self::Gradient(_, [x, _], _) => x.values.len() / x.layout.block(),
        }
    }

    /// Whether each item has to work the values out.
    pub(super) fn is_computed(&self) -> bool {
        !matches!(self, Self::Stored(_))
    }
}

/// Where the values of a block are worked out.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    layout: Option<Layout>,
    values: Vec<Lanes>,
}

/// A block of what is read, as far as it has been worked out: some rows of all channels at a time, so that they are still in
/// the caches when they are read.
#[derive(Debug)]
pub(super) struct Block<'a, 'b> {
    pub set: InstructionSet,
    input: Input<'a>,
    layout: Layout,
    block: usize,
    rows: usize,
    buffer: &'b mut Buffer,
}

impl<'a, 'b> Block<'a, 'b> {
    /// None of its rows yet.
    pub(super) fn new(
        set: InstructionSet,
        input: Input<'a>,
        layout: &Layout,
        block: usize,
        buffer: &'b mut Buffer,
    ) -> Self {
        if input.is_computed() && buffer.layout != Some(*layout) {
            // The margins are zeros.
            buffer.values.clear();
            buffer.values.resize(layout.block(), Lanes::ZERO);
            buffer.layout = Some(*layout);
        }
        Self { set, input, layout: *layout, block, rows: 0, buffer }
    }

    /// The values from this block on, of which those below an offset in the channels' planes may be read; when they are
    /// worked out, of this block alone.
    pub(super) fn up_to(&mut self, offset: usize) -> &[Lanes] {
        if let Input::Stored(values) = self.input {
            return &values[self.block * self.layout.block()..];
        }
        let rows = offset.div_ceil(self.layout.columns()).saturating_sub(self.layout.margins.top);
        let rows = self.rows..rows.min(self.layout.height);
        if !rows.is_empty() {
            self.rows = rows.end;
            dispatch(self.set, Fill { block: self, rows });
        }
        &self.buffer.values
    }

    /// All of its values.
    pub(super) fn all(&mut self) -> &[Lanes] {
        self.up_to(self.layout.plane())
    }
}

struct Fill<'f, 'a, 'b> {
    block: &'f mut Block<'a, 'b>,
    rows: Range<usize>,
}

impl Kernel for Fill<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Block { input, layout, block, buffer, .. } = self.block;
        let (which, to) = ([0..layout.channels, self.rows], buffer.values.as_mut_slice());
        match *input {
            Input::Stored(_) => {}
            Input::Computed(pass, x) => pass.write_rows::<V>(x, None, layout, *block, which, to),
            Input::Gradient(pass, reads, images) => {
                pass.write_gradients::<V>(images, reads, layout, *block, which, (to, false));
            }
        }
    }
}
