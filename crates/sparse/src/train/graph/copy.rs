//! Values that only change their layout: flatten, reshape, crop, other orders of the sides, and each input of a concat.

use super::layout::Layout;
use super::pieces::pieces;
use super::pointwise::{Read, Write};
use crate::lanes::Lanes;
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::Context;
use secateur_graph::{Graph, Node, Op, Value};

/// A copy of values of an input to the output.
#[derive(Debug)]
pub(super) struct Copy {
    forward: Vec<Run>,
    backward: Vec<Run>,
    /// Whether all values of the input are copied.
    is_whole: bool,
}

/// Values that stand side by side in both buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub from: usize,
    pub to: usize,
    pub len: usize,
}

impl Copy {
    /// `x` and `y` are the layouts of the values, `dx` and `dy` those of their gradients. `indices` are those of each value that is
    /// copied, row-major, in the input and in the output.
    pub(super) fn new([x, y]: [&Layout; 2], [dx, dy]: [&Layout; 2], indices: &[[usize; 2]]) -> Self {
        let all = indices.iter();
        Self {
            forward: runs(all.clone().map(|[from, to]| [x.place(*from), y.place(*to)])),
            backward: runs(all.map(|[from, to]| [dy.place(*to), dx.place(*from)])),
            is_whole: indices.len() == x.values(),
        }
    }

    /// Writes its part of the output.
    pub(super) fn forward(&self, at: &Context<'_>, x: Read<'_>, y: Write<'_>) {
        copy(at, &self.forward, x, y);
    }

    /// Writes the gradient of the input, or adds to it.
    pub(super) fn backward(&self, at: &Context<'_>, dy: Read<'_>, dx: Write<'_>) {
        if !self.is_whole && !dx.adds {
            dx.values.fill(Lanes::ZERO);
        }
        copy(at, &self.backward, dy, dx);
    }
}

/// Of each input of a node that only copies, the row-major index of each value in it and in the output.
pub(super) fn indices(graph: &Graph, node: &Node) -> Vec<Vec<[usize; 2]>> {
    let mut first = 0;
    let of = |input: &Value| {
        let from = graph.shape(*input);
        let count: usize = from.iter().product();
        match (&node.op, from) {
            (Op::Permute(order), _) => (0..count).map(|index| [reordered(from, order, index), index]).collect(),
            (Op::Crop([rows, columns]), &[channels, height, width]) => (0..channels * rows * columns)
                .map(|index| {
                    let (channel, row, column) = (index / (rows * columns), index / columns % rows, index % columns);
                    [(channel * height + row) * width + column, index]
                })
                .collect(),
            _ => {
                first += count;
                (0..count).map(|index| [index, first - count + index]).collect()
            }
        }
    };
    node.inputs.iter().map(of).collect()
}

/// The row-major index in a value of this shape of what one with its sides in this order has at an index.
pub(crate) fn reordered(shape: &[usize], order: &[usize], index: usize) -> usize {
    let mut rest = index;
    let mut places = vec![0; shape.len()];
    for axis in order.iter().rev() {
        places[*axis] = rest % shape[*axis];
        rest /= shape[*axis];
    }
    shape.iter().zip(places).fold(0, |at, (side, place)| at * side + place)
}

/// The runs of values that stand side by side; `places` are where each value comes from and where it goes.
pub(crate) fn runs(places: impl Iterator<Item = [usize; 2]>) -> Vec<Run> {
    let mut found: Vec<Run> = vec![];
    for [from, to] in places {
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
