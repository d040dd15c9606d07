//! How a layer's weights stand in the original one, and what rests there because the layer computes without it.

use super::spec::Spec;
use super::units::Units;
use super::{LayerState, Tensor, TensorMut};
use crate::Optimizer;

/// The original of a layer.
#[derive(Debug)]
pub(super) struct Origin {
    pub spec: Spec,
    /// What of it is computed.
    units: Units,
    weight: Vec<Rest>,
    bias: Vec<Rest>,
}

/// A kept value that takes no part; its column is 0 in a bias.
#[derive(Debug)]
struct Rest {
    row: usize,
    column: usize,
    value: f32,
    moments: [f32; 2],
}

impl Origin {
    /// Sets aside what of the state belongs to no unit that is computed.
    pub(super) fn new(spec: Spec, units: Units, state: &LayerState<'_>, optimizer: &Optimizer) -> Self {
        let mut own = Self { spec, units, weight: vec![], bias: vec![] };
        let rows = marks(&own.units.rows, own.spec.outputs);
        let columns = marks(&own.units.columns, own.spec.columns());
        for (row, computed) in rows.iter().enumerate() {
            if !computed {
                own.bias.extend(Rest::of(&state.bias, row, [row, 0], optimizer));
            }
            for column in (0..columns.len()).filter(|column| !(*computed && columns[*column])) {
                let index = own.spec.index(row, column);
                own.weight.extend(Rest::of(&state.weight, index, [row, column], optimizer));
            }
        }
        own
    }

    /// Where a weight of the layer stands in the original's tensor.
    pub(super) fn index(&self, row: usize, column: usize) -> usize {
        self.spec.index(self.units.rows[row], self.units.columns[column])
    }

    /// Where a bias of the layer stands in the original's.
    pub(super) fn bias_index(&self, row: usize) -> usize {
        self.units.rows[row]
    }

    /// Writes what rests of the weight, or of the bias.
    pub(super) fn export(&self, is_weight: bool, tensor: &mut TensorMut<'_>) {
        for rest in if is_weight { &self.weight } else { &self.bias } {
            let index = if is_weight { self.spec.index(rest.row, rest.column) } else { rest.row };
            tensor.write(index, rest.value, rest.moments);
        }
    }
}

impl Rest {
    /// Nothing where the value is pruned, or all bits of it and of what the optimizer remembers are zero.
    fn of(tensor: &Tensor<'_>, index: usize, [row, column]: [usize; 2], optimizer: &Optimizer) -> Option<Self> {
        let (value, mut moments) = tensor.at(index)?;
        moments[optimizer.moments()..].fill(0.0);
        let is_zero = [value, moments[0], moments[1]].iter().all(|own| own.to_bits() == 0);
        (!is_zero).then_some(Self { row, column, value, moments })
    }
}

/// Which of `0..length` are in the list.
fn marks(list: &[usize], length: usize) -> Vec<bool> {
    let mut marks = vec![false; length];
    for place in list {
        marks[*place] = true;
    }
    marks
}
