//! Which inputs meet which weights at which outputs of a convolution, as lists of offsets. A fully connected layer is a
//! convolution of a 1x1 image.

use super::layout::{Layout, Margins};
use crate::kernels::tile_gradients::Pair;
use crate::kernels::tiles::Position;
use secateur_graph::Window;

/// A convolution between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub window: Window,
    pub groups: usize,
    /// Layouts of the input and of its gradient.
    pub x: Layout,
    pub dx: Layout,
    /// Layouts of the output and of its gradient.
    pub y: Layout,
    pub dy: Layout,
}

/// Positions of some blocks whose outputs read the same list of offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    /// The elements of the window that meet something here: `row * columns + column`.
    pub taps: Vec<u32>,
    /// Of each of these elements its offset in a plane.
    pub offsets: Vec<u32>,
    /// Position by position, block by block.
    pub positions: Vec<Position>,
    /// Positions side by side.
    pub columns: usize,
    /// More than the largest offset in a plane.
    pub extent: usize,
}

/// The indices in an output, on one axis, that read an index of the padded input, with the element of the window.
fn readers(window: &Window, axis: usize, index: usize) -> impl Iterator<Item = (usize, isize)> {
    let [stride, dilation, padding] =
        [window.stride[axis], window.dilation[axis], window.padding[axis]].map(|own| own as isize);
    (0..window.size[axis]).filter_map(move |element| {
        let distance = index as isize + padding - element as isize * dilation;
        (distance.rem_euclid(stride) == 0).then(|| (element, distance.div_euclid(stride)))
    })
}

/// The margins around the input of a convolution whose padding is read from it.
pub(crate) fn padding(window: &Window, input: &Layout, output: &Layout) -> Margins {
    let behind = |axis: usize, side: usize, positions: usize| {
        let last = (positions - 1) * window.stride[axis] + (window.size[axis] - 1) * window.dilation[axis];
        (last + 1).saturating_sub(window.padding[axis] + side)
    };
    Margins {
        top: window.padding[0],
        left: window.padding[1],
        bottom: behind(0, input.height, output.height),
        right: behind(1, input.width, output.width),
    }
}

/// The margins around the gradient of a convolution's output, so that every element of a window finds one for every input.
pub(crate) fn gradient_margins(window: &Window, input: &Layout, output: &Layout) -> Margins {
    let ends = |axis: usize, inputs: usize, outputs: usize| {
        let read = || (0..inputs).flat_map(move |index| readers(window, axis, index));
        let before = read().map(|(_, index)| (-index).max(0)).max().unwrap_or(0);
        let behind = read().map(|(_, index)| (index + 1 - outputs as isize).max(0)).max().unwrap_or(0);
        (before as usize, behind as usize)
    };
    let (top, bottom) = ends(0, input.height, output.height);
    let (left, right) = ends(1, input.width, output.width);
    Margins { top, bottom, left, right }
}

impl Geometry {
    /// Elements of a window.
    pub(crate) fn taps(&self) -> usize {
        self.window.size[0] * self.window.size[1]
    }

    /// Input channels of a group.
    pub(crate) fn inputs(&self) -> usize {
        self.x.channels / self.groups
    }

    /// Filters of a group.
    pub(crate) fn filters(&self) -> usize {
        self.y.channels / self.groups
    }

    /// Weights of a filter.
    pub(crate) fn columns(&self) -> usize {
        self.inputs() * self.taps()
    }

    /// Where the input has more margin than this convolution's padding.
    fn shift(&self) -> [usize; 2] {
        [self.x.margins.top - self.window.padding[0], self.x.margins.left - self.window.padding[1]]
    }

    /// The offset of an element of the window in a plane of the input, from the window's first.
    fn tap(&self, tap: usize) -> usize {
        let (row, column) = (tap / self.window.size[1], tap % self.window.size[1]);
        row * self.window.dilation[0] * self.x.columns() + column * self.window.dilation[1]
    }

    /// The offset of a window's first element in a plane of the input.
    fn corner(&self, row: usize, column: usize) -> usize {
        let [top, left] = self.shift();
        (top + row * self.window.stride[0]) * self.x.columns() + left + column * self.window.stride[1]
    }

    /// Outputs from inputs.
    pub(crate) fn forward(&self, blocks: usize) -> Phase {
        let taps: Vec<u32> = (0..self.taps() as u32).collect();
        let offsets: Vec<u32> = (0..self.taps()).map(|tap| self.tap(tap) as u32).collect();
        let positions = (0..blocks).flat_map(|block| {
            (0..self.y.pixels()).map(move |pixel| {
                let (row, column) = (pixel / self.y.width, pixel % self.y.width);
                Position {
                    block: block as u32,
                    input: (block * self.x.block() + self.corner(row, column)) as u32,
                    output: self.y.at(row, column) as u32,
                }
            })
        });
        let extent = self.tap(self.taps() - 1) + 1;
        Phase { taps, offsets, positions: positions.collect(), columns: self.y.width, extent }
    }

    /// Inputs' gradients from outputs': with a stride, inputs that stand differently to it meet different elements.
    pub(crate) fn backward(&self, blocks: usize) -> Vec<Phase> {
        let [rows, columns] = self.window.stride;
        let mut found = vec![];
        for first_row in 0..rows.min(self.x.height) {
            for first_column in 0..columns.min(self.x.width) {
                found.push(self.phase(blocks, [first_row, first_column]));
            }
        }
        found
    }

    fn phase(&self, blocks: usize, [first_row, first_column]: [usize; 2]) -> Phase {
        let margins = self.dy.margins;
        let along = |axis: usize, index: usize, margin: usize| {
            let own = readers(&self.window, axis, index);
            // The margin is as wide as the furthest reach.
            own.map(|(element, place)| (element, (place + margin as isize) as usize)).collect::<Vec<_>>()
        };
        let rows = along(0, first_row, margins.top);
        let columns = along(1, first_column, margins.left);
        let least = |own: &[(usize, usize)]| own.iter().map(|own| own.1).min().unwrap_or(0);
        let (top, left) = (least(&rows), least(&columns));
        let (mut taps, mut offsets) = (vec![], vec![]);
        for (ky, row) in &rows {
            for (kx, column) in &columns {
                taps.push((ky * self.window.size[1] + kx) as u32);
                offsets.push(((row - top) * self.dy.columns() + column - left) as u32);
            }
        }
        let extent = offsets.iter().max().map_or(0, |most| *most as usize + 1);
        let mut positions = vec![];
        for block in 0..blocks {
            for (step_y, row) in (first_row..self.x.height).step_by(self.window.stride[0]).enumerate() {
                for (step_x, column) in (first_column..self.x.width).step_by(self.window.stride[1]).enumerate() {
                    let corner = (top + step_y) * self.dy.columns() + left + step_x;
                    positions.push(Position {
                        block: block as u32,
                        input: if taps.is_empty() { 0 } else { (block * self.dy.block() + corner) as u32 },
                        output: self.dx.at(row, column) as u32,
                    });
                }
            }
        }
        let columns = (first_column..self.x.width).step_by(self.window.stride[1]).len();
        Phase { taps, offsets, positions, columns, extent }
    }

    /// Whether tiles of 2x2 outputs cover the outputs of a 3x3 convolution, and the inputs on the way back.
    pub(crate) fn has_tiles(&self) -> bool {
        let plain = Window { padding: self.window.padding, ..Window::square(3) };
        let even = |own: &Layout| own.height.is_multiple_of(2) && own.width.is_multiple_of(2);
        self.window == plain && self.groups == 1 && even(&self.x) && even(&self.y)
    }

    /// The upper left outputs of the tiles of some blocks, with where their windows begin.
    pub(crate) fn forward_tiles(&self, blocks: usize) -> Vec<Position> {
        tiles(blocks, [&self.x, &self.y], |row, column| self.corner(row, column))
    }

    /// The same for the gradients of the inputs, whose filters are turned around.
    pub(crate) fn backward_tiles(&self, blocks: usize) -> Vec<Position> {
        let (margins, [rows, columns]) = (self.dy.margins, self.window.padding);
        let corner = |row: usize, column: usize| {
            (row + rows + margins.top - 2) * self.dy.columns() + column + columns + margins.left - 2
        };
        tiles(blocks, [&self.dy, &self.dx], corner)
    }

    /// The tiles' windows and the upper left of their gradients.
    pub(crate) fn tile_pairs(&self, blocks: usize) -> Vec<Pair> {
        let windows = self.forward_tiles(blocks);
        let gradients = tiles(blocks, [&self.dy, &self.y], |row, column| self.dy.at(row, column));
        windows.iter().zip(gradients).map(|(x, dy)| Pair { input: x.input, gradient: dy.input }).collect()
    }

    /// Inputs and outputs' gradients that meet in a weight's gradient.
    pub(crate) fn pairs(&self, blocks: usize) -> Vec<Pair> {
        let pair = |block: usize, pixel: usize| {
            let (row, column) = (pixel / self.y.width, pixel % self.y.width);
            Pair {
                input: (block * self.x.block() + self.corner(row, column)) as u32,
                gradient: (block * self.dy.block() + self.dy.at(row, column)) as u32,
            }
        };
        (0..blocks).flat_map(|block| (0..self.y.pixels()).map(move |pixel| pair(block, pixel))).collect()
    }
}

/// The upper left of every 2x2 tile of `to`, with the offset in `from` that `corner` gives.
fn tiles(blocks: usize, [from, to]: [&Layout; 2], corner: impl Fn(usize, usize) -> usize) -> Vec<Position> {
    let mut found = vec![];
    for block in 0..blocks {
        for row in (0..to.height).step_by(2) {
            found.extend((0..to.width).step_by(2).map(|column| Position {
                block: block as u32,
                input: (block * from.block() + corner(row, column)) as u32,
                output: to.at(row, column) as u32,
            }));
        }
    }
    found
}
