//! Values that only change their layout: flatten, reshape, and each input of a concat.

use super::layout::Layout;
use super::pieces::pieces;
use super::pointwise::{Read, Write};
use crate::lanes::Lanes;
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::Context;

/// A copy of all values of an input to the output, from its `first` value on.
#[derive(Debug)]
pub(super) struct Copy {
    forward: Vec<Run>,
    backward: Vec<Run>,
}

/// Values that stand side by side in both buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub from: usize,
    pub to: usize,
    pub len: usize,
}

impl Copy {
    /// `x` and `y` are the layouts of the values, `dx` and `dy` those of their gradients.
    pub(super) fn new([x, y]: [&Layout; 2], [dx, dy]: [&Layout; 2], first: usize) -> Self {
        let count = x.values();
        Self {
            forward: runs(count, |index| [x.place(index), y.place(first + index)]),
            backward: runs(count, |index| [dy.place(first + index), dx.place(index)]),
        }
    }

    /// Writes its part of the output.
    pub(super) fn forward(&self, at: &Context<'_>, x: Read<'_>, y: Write<'_>) {
        copy(at, &self.forward, x, y);
    }

    /// Writes the gradient of the input, or adds to it.
    pub(super) fn backward(&self, at: &Context<'_>, dy: Read<'_>, dx: Write<'_>) {
        copy(at, &self.backward, dy, dx);
    }
}

/// The runs of values that stand side by side; `places` gives where each value comes from and where it goes.
pub(crate) fn runs(count: usize, places: impl Fn(usize) -> [usize; 2]) -> Vec<Run> {
    let mut found: Vec<Run> = vec![];
    for [from, to] in (0..count).map(places) {
        match found.last_mut() {
            Some(last) if (last.from + last.len, last.to + last.len) == (from, to) => last.len += 1,
            Some(_) | None => found.push(Run { from, to, len: 1 }),
        }
    }
    found
}

fn copy(at: &Context<'_>, runs: &[Run], from: Read<'_>, to: Write<'_>) {
    struct Block<'a> {
        runs: &'a [Run],
        from: &'a [Lanes],
        to: &'a mut [Lanes],
        adds: bool,
    }
    impl Kernel for Block<'_> {
        type Output = ();

        #[inline(always)]
        fn run<V: Vector>(self) {
            for Run { from, to, len } in self.runs {
                let (from, to) = (&self.from[*from..*from + len], &mut self.to[*to..*to + len]);
                if self.adds {
                    for (from, to) in from.iter().zip(to) {
                        V::load(from).add(V::load(to)).store(to);
                    }
                } else {
                    to.copy_from_slice(from);
                }
            }
        }
    }
    let (each, adds) = (from.layout.block(), to.adds);
    let channels = 0..to.layout.channels;
    let mut items = pieces(to.values, &to.layout, 1, std::slice::from_ref(&channels));
    at.pool.each(&mut items, |item| {
        let from = &from.values[item.block * each..(item.block + 1) * each];
        dispatch(at.set, Block { runs, from, to: item.values[0], adds });
    });
}
