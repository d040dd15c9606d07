//! Which units (filters and neurons) a layer has to compute, as its masks alone say. Pure: bits in, places out.
//!
//! A unit is left out when
//!
//! - nothing hears it: every weight out of it is pruned, or leads to a unit that is left out itself; or
//! - it is silent: every weight into it is pruned, or comes from a unit that is silent, and so is its bias. It says
//!   exactly zero, with a relu or without.
//!
//! Either way no value of a weight around it changes an answer or a gradient of what is left, whatever the optimizer does.
//! What belongs to such a unit, its bias and the kept weights into and out of it, rests: it stays as it is with its
//! moments, and neither momentum nor weight decay moves it, until a trainer is made with other masks.
//!
//! Values are not asked. A unit without an input, whose bias is at most zero, is silent behind a relu, too, and nothing but
//! momentum and weight decay can wake it. But one whose bias falls below zero while it trains would be computed by the
//! trainer that saw it fall, and not by one that is made from a checkpoint right after: resuming would not be exact.
//! So a unit with a kept bias is a constant that can be trained, as long as it is heard.

use super::spec::Spec;

/// Which units of a layer are joined to which of the layer before, by a weight that is kept: one bit a pair.
struct Connections {
    /// Units of the layer before.
    from: usize,
    /// Units of the layer.
    to: usize,
    /// Weights between one pair of units: a kernel, or the pixels of a channel that was flattened.
    spread: usize,
    joined: Vec<u64>,
}

impl Connections {
    /// None joined yet; each of `to` units has `columns` weights.
    fn new(from: usize, to: usize, columns: usize) -> Self {
        let spread = (columns / from.max(1)).max(1);
        Self { from, to, spread, joined: vec![0; (from * to).div_ceil(64)] }
    }

    /// Joins the units that this weight lies between; `column` is its place in the row of `to`'s weights.
    fn join(&mut self, to: usize, column: usize) {
        let pair = to * self.from + column / self.spread;
        self.joined[pair / 64] |= 1 << (pair % 64);
    }

    fn joined(&self, to: usize, from: usize) -> bool {
        let pair = to * self.from + from;
        self.joined[pair / 64] >> (pair % 64) & 1 == 1
    }
}

/// What a layer computes with, in the original layer's places, rising.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Units {
    /// Filters or neurons.
    pub rows: Vec<usize>,
    /// Input features, or input channels' taps.
    pub columns: Vec<usize>,
}

impl Units {
    /// All of a layer.
    pub(super) fn all(spec: &Spec) -> Self {
        Self { rows: (0..spec.outputs).collect(), columns: (0..spec.columns()).collect() }
    }

    /// The units of each layer that have to be computed; all outputs of the last layer do. `keeps(layer, row, column)` and
    /// `keeps_bias(layer, row)` are the masks.
    ///
    /// Every layer has one unit at least. Where none has to be computed the first one stands in: what it says is zero, or
    /// nobody hears it.
    pub(super) fn computed(
        specs: &[Spec],
        keeps: impl Fn(usize, usize, usize) -> bool,
        keeps_bias: impl Fn(usize, usize) -> bool,
    ) -> Vec<Self> {
        let joins = joins(specs, keeps);
        // Forward: a unit speaks when its bias is kept, or a kept weight joins it to one that does; every input does.
        let mut speak: Vec<Vec<bool>> = vec![];
        for (place, layer) in joins.iter().enumerate() {
            let before = speak.last();
            let hears = |to| (0..layer.from).any(|from| before.is_none_or(|own| own[from]) && layer.joined(to, from));
            speak.push((0..layer.to).map(|to| keeps_bias(place, to) || hears(to)).collect());
        }
        // Backward: of those, a unit is computed when a kept weight joins it to one that is; every output is. One pass each
        // way is enough: a unit that is left out unheard joins none that is computed, so it silences none.
        let mut rows = vec![(0..specs.last().map_or(0, |spec| spec.outputs)).collect::<Vec<usize>>()];
        for (place, next) in joins.iter().enumerate().skip(1).rev() {
            let after = rows.last().expect("starts with the outputs");
            let heard = |from| after.iter().any(|to| next.joined(*to, from));
            rows.push((0..next.from).filter(|own| speak[place - 1][*own] && heard(*own)).collect());
        }
        let mut columns: Vec<usize> = (0..joins.first().map_or(0, |layer| layer.from)).collect();
        let layer = |(layer, mut rows): (&Connections, Vec<usize>)| {
            if rows.is_empty() {
                rows.push(0);
            }
            let units = std::mem::replace(&mut columns, rows.clone());
            let columns = units.iter().flat_map(|from| from * layer.spread..(from + 1) * layer.spread);
            Self { rows, columns: columns.collect() }
        };
        joins.iter().zip(rows.into_iter().rev()).map(layer).collect()
    }
}

/// Which units of each layer a kept weight joins to which of the layer before, or to the inputs of the network.
fn joins(specs: &[Spec], keeps: impl Fn(usize, usize, usize) -> bool) -> Vec<Connections> {
    let mut units = specs.first().map_or(0, |spec| spec.inputs);
    let layer = |(place, spec): (usize, &Spec)| {
        let from = std::mem::replace(&mut units, spec.outputs);
        let mut own = Connections::new(from, spec.outputs, spec.columns());
        for row in 0..spec.outputs {
            for column in (0..spec.columns()).filter(|column| keeps(place, row, *column)) {
                own.join(row, column);
            }
        }
        own
    };
    specs.iter().enumerate().map(layer).collect()
}

#[cfg(test)]
mod tests {
    use super::super::spec::Kind;
    use super::*;
    use crate::kernels::conv::Shape;

    fn linear(inputs: usize, outputs: usize) -> Spec {
        Spec { name: String::new(), kind: Kind::Linear, inputs, outputs, rectified: true }
    }

    fn conv(inputs: usize, outputs: usize, kernel: usize, [height, width]: [usize; 2]) -> Spec {
        let kind = Kind::Conv(Shape { inputs, outputs, kernel, height, width });
        Spec { name: String::new(), kind, inputs, outputs, rectified: true }
    }

    /// Masks of each layer are its rows, written as `"11 01"`; biases alike.
    fn check(specs: &[Spec], weights: &[&str], biases: &[&str], rows: &[&[usize]]) -> Vec<Units> {
        let bits = |text: &&str| text.bytes().filter(|byte| *byte != b' ').map(|byte| byte == b'1').collect();
        let weights: Vec<Vec<bool>> = weights.iter().map(bits).collect();
        let biases: Vec<Vec<bool>> = biases.iter().map(bits).collect();
        for (spec, (weight, bias)) in specs.iter().zip(weights.iter().zip(&biases)) {
            assert_eq!((weight.len(), bias.len()), (spec.outputs * spec.columns(), spec.outputs), "a mask by hand");
        }
        let keeps = |layer: usize, row: usize, column: usize| weights[layer][row * specs[layer].columns() + column];
        let found = Units::computed(specs, keeps, |layer, row| biases[layer][row]);
        let found_rows: Vec<&[usize]> = found.iter().map(|own| own.rows.as_slice()).collect();
        assert_eq!(found_rows, rows, "{weights:?}, {biases:?}");
        found
    }

    #[test]
    fn a_unit_is_left_out_unheard_or_silent() {
        let specs = [linear(2, 3), linear(3, 2)];
        check(&specs, &["11 11 11", "111 111"], &["111", "11"], &[&[0, 1, 2], &[0, 1]]);
        check(&specs, &["11 11 11", "101 100"], &["111", "11"], &[&[0, 2], &[0, 1]]);
        check(&specs, &["11 00 11", "111 111"], &["101", "11"], &[&[0, 2], &[0, 1]]);
        check(&specs, &["11 00 11", "111 111"], &["111", "11"], &[&[0, 1, 2], &[0, 1]]);
        let found = check(&specs, &["11 01 11", "110 010"], &["000", "00"], &[&[0, 1], &[0, 1]]);
        assert_eq!(found[0].columns, [0, 1], "inputs are always computed");
        assert_eq!(found[1].columns, [0, 1]);
    }

    #[test]
    fn what_is_left_out_takes_others_along() {
        let specs = [linear(1, 2), linear(2, 2), linear(2, 2), linear(2, 1)];
        // Unit 0 of every layer hangs on the one before; the chain is cut at its start, and nobody else has a bias.
        let weights = |first, last| [first, "10 01", "10 01", last];
        let rows: [&[usize]; 4] = [&[1], &[1], &[1], &[0]];
        check(&specs, &weights("0 1", "11"), &["00", "00", "00", "0"], &rows);
        // A bias in the middle speaks for itself.
        check(&specs, &weights("0 1", "11"), &["00", "10", "00", "0"], &[&[1], &[0, 1], &[0, 1], &[0]]);
        // Cut at its end, whatever the biases.
        check(&specs, &weights("1 1", "01"), &["11", "11", "11", "1"], &rows);
    }

    #[test]
    fn a_layer_has_one_unit_at_least() {
        let specs = [linear(3, 2), linear(2, 2), linear(2, 2)];
        let rows: [&[usize]; 3] = [&[0], &[0], &[0, 1]];
        let found = check(&specs, &["111 111", "11 11", "00 00"], &["11", "11", "11"], &rows);
        assert_eq!(found[2].columns, [0]);
        check(&specs, &["000 000", "11 11", "11 11"], &["00", "00", "00"], &rows);
        check(&specs, &["111 111", "00 00", "11 11"], &["11", "00", "00"], &rows);
        check(&specs, &["000 000", "00 00", "11 11"], &["00", "01", "00"], &[&[0], &[1], &[0, 1]]);
    }

    #[test]
    fn a_channel_owns_its_taps_and_its_positions() {
        // Three filters 1x1 on 2x4, pooled to 1x2 and flattened.
        let specs = [conv(1, 3, 1, [2, 4]), linear(6, 2)];
        let found = check(&specs, &["1 1 1", "100000 000001"], &["000", "00"], &[&[0, 2], &[0, 1]]);
        assert_eq!(found[1].columns, [0, 1, 4, 5]);
        // Two filters 3x3 on what three filters 1x1 made of 8x8; of the second layer only one tap is kept.
        let specs = [conv(1, 3, 1, [8, 8]), conv(3, 2, 3, [4, 4]), linear(2, 1)];
        let taps = ["000000000", "000000000", "000010000", "000000000", "000000000", "000000000"].concat();
        let found = check(&specs, &["1 1 1", &taps, "11"], &["000", "00", "0"], &[&[2], &[0], &[0]]);
        assert_eq!(found[1].columns, (18..27).collect::<Vec<usize>>());
        assert_eq!(found[2].columns, [0]);
    }
}
