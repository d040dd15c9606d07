//! How the values of a node lie in memory: `[block][channel][row][column][16 images]`, with a margin of zeros around each
//! channel where a convolution reads padding.

use crate::kernels::pointwise::Grid;

/// Rows and columns of zeros around a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Margins {
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

impl Margins {
    /// What both need.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            top: self.top.max(other.top),
            bottom: self.bottom.max(other.bottom),
            left: self.left.max(other.left),
            right: self.right.max(other.right),
        }
    }
}

/// The memory layout of a value or of its gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Layout {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub margins: Margins,
}

impl Layout {
    /// Of a value of this shape, without margins. What is neither an image nor a list of features is taken as channels of
    /// one row each.
    pub(crate) fn of(shape: &[usize]) -> Self {
        let [channels, height, width] = match *shape {
            [channels, height, width] => [channels, height, width],
            [features] => [features, 1, 1],
            [channels, ref rest @ ..] => [channels, 1, rest.iter().product()],
            [] => unreachable!("a graph has no value without a shape"),
        };
        Self { channels, height, width, margins: Margins::default() }
    }

    /// Rows, margins included.
    pub(crate) fn rows(&self) -> usize {
        self.margins.top + self.height + self.margins.bottom
    }

    /// Columns, margins included.
    pub(crate) fn columns(&self) -> usize {
        self.margins.left + self.width + self.margins.right
    }

    /// Vectors of a channel.
    pub(crate) fn plane(&self) -> usize {
        self.rows() * self.columns()
    }

    /// Vectors of a block.
    pub(crate) fn block(&self) -> usize {
        self.channels * self.plane()
    }

    /// Values of a channel.
    pub(crate) fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Values of an image.
    pub(crate) fn values(&self) -> usize {
        self.channels * self.pixels()
    }

    /// Offset of a pixel in its plane.
    pub(crate) fn at(&self, row: usize, column: usize) -> usize {
        (self.margins.top + row) * self.columns() + self.margins.left + column
    }

    /// Offset of the value that is the `index`-th of an image, row-major, in its block.
    pub(crate) fn place(&self, index: usize) -> usize {
        let (channel, pixel) = (index / self.pixels(), index % self.pixels());
        channel * self.plane() + self.at(pixel / self.width, pixel % self.width)
    }

    /// Where the rows of a channel stand.
    pub(crate) fn grid(&self) -> Grid {
        Grid { rows: self.height, columns: self.width, start: self.at(0, 0), pitch: self.columns() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_stand_around_each_channel() {
        // One channel of 2 x 3 with a row above and two columns on the right:
        //   .....
        //   abc..
        //   def..
        let margins = Margins { top: 1, right: 2, ..Margins::default() };
        let layout = Layout { margins, ..Layout::of(&[2, 2, 3]) };
        assert_eq!((layout.plane(), layout.block(), layout.values()), (15, 30, 12));
        assert_eq!((0..7).map(|index| layout.place(index)).collect::<Vec<_>>(), [5, 6, 7, 10, 11, 12, 20]);
        assert_eq!(Layout::of(&[2, 3, 4, 5]).values(), 120);
    }
}
