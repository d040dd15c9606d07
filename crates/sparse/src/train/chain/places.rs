//! Where the weights of a layer stand in its [`Param`](super::param::Param): the memory layouts of all forms.

use super::Sizes;
use crate::kernels::conv::Shape;
use crate::kernels::sparse_linear::Pattern;
use crate::lanes::{LANES, panels};
use std::sync::Arc;

/// The memory layout of a weight. A row is a unit, a column an input feature, or an input channel's tap.
#[derive(Clone, Debug)]
pub(super) enum Places {
    /// `[inputs / 16][filter][tap][16]`
    Conv(Shape),
    /// `[inputs / 16][outputs][16]`
    Linear(Sizes),
    /// The kept values, column after column.
    Pattern(Arc<Pattern>),
}

impl Places {
    /// Vectors that the weight takes.
    pub(super) fn vectors(&self) -> usize {
        match self {
            Self::Conv(shape) => shape.place(shape.vectors(), 0),
            Self::Linear(sizes) => panels(sizes.inputs) * sizes.outputs,
            Self::Pattern(pattern) => panels(pattern.len()),
        }
    }

    /// Calls `f(place, row, column)` for every weight.
    pub(super) fn each(&self, mut f: impl FnMut(usize, usize, usize)) {
        match self {
            Self::Conv(shape) => {
                let taps = shape.taps();
                for row in 0..shape.outputs {
                    for column in 0..shape.inputs * taps {
                        let (input, tap) = (column / taps, column % taps);
                        let vector = shape.place(input / LANES, row) + tap;
                        f(vector * LANES + input % LANES, row, column);
                    }
                }
            }
            Self::Linear(Sizes { inputs, outputs }) => {
                for column in 0..*inputs {
                    for row in 0..*outputs {
                        f((column / LANES * outputs + row) * LANES + column % LANES, row, column);
                    }
                }
            }
            Self::Pattern(pattern) => {
                for column in 0..pattern.column_starts.len() - 1 {
                    for place in pattern.column(column) {
                        f(place, pattern.rows[place] as usize, column);
                    }
                }
            }
        }
    }
}
