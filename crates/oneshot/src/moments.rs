//! What a layer reads of some images, as second moments: how much each weight's loss can be made up for by the others.

use crate::Error;
use crate::layers::Layer;
use nalgebra::DMatrix;
use secateur_graph::{Graph, Op};

/// Columns that are multiplied at once.
const COLUMNS: usize = 2048;
/// Positions of a layer that are looked at, in all images together: so many at least, and more where a filter has more weights.
const POSITIONS: usize = 1 << 14;
const POSITIONS_A_WEIGHT: usize = 8;

/// The second moments of the inputs of each group of a layer; where the layer has a bias, a constant 1 is its last input.
pub(crate) struct Moments {
    /// By group `sum x x'`.
    pub own: Vec<DMatrix<f64>>,
    /// By group `sum x y'`, where `y` is what the layer read before anything was pruned; none where that is the same.
    pub with_dense: Vec<DMatrix<f64>>,
}

/// Adds them up.
pub(crate) struct Gathering<'a> {
    layer: &'a Layer,
    /// Shape of what the layer reads.
    input: Vec<usize>,
    op: &'a Op,
    /// Rows and columns of what it gives.
    sides: [usize; 2],
    /// Every how many positions of an image one is looked at.
    step: usize,
    images: usize,
    /// By group, of the layer's inputs, and of those of the dense network.
    columns: Vec<[Vec<f32>; 2]>,
    moments: Moments,
}

impl<'a> Gathering<'a> {
    /// Of a layer over so many images; whether there are inputs of the dense network, too.
    pub(crate) fn new(graph: &'a Graph, layer: &'a Layer, images: usize, with_dense: bool) -> Self {
        let node = &graph.nodes()[layer.node];
        let sides = match *graph.shape(node.output) {
            [_, rows, columns] => [rows, columns],
            _ => [1, 1],
        };
        let size = layer.fan_in() + usize::from(layer.bias.is_some());
        let zeros = || vec![DMatrix::zeros(size, size); layer.groups];
        let moments = Moments { own: zeros(), with_dense: if with_dense { zeros() } else { vec![] } };
        let enough = POSITIONS.max(POSITIONS_A_WEIGHT * size);
        let step = (images * sides[0] * sides[1]).div_ceil(enough).max(1);
        let columns = vec![[vec![], vec![]]; layer.groups];
        let input = graph.shape(node.inputs[0]).to_vec();
        Self { layer, input, op: &node.op, sides, step, images: 0, columns, moments }
    }

    /// Takes what the layer reads of an image, and what it read in the dense network.
    pub(crate) fn add(&mut self, values: &[f32], dense: Option<&[f32]>) {
        let positions = self.sides[0] * self.sides[1];
        // Another position of each image, so that none is left out in all of them.
        for position in (self.images % self.step..positions).step_by(self.step) {
            for group in 0..self.layer.groups {
                for (values, place) in [Some(values), dense].into_iter().zip(0..) {
                    if let Some(values) = values {
                        let mut columns = std::mem::take(&mut self.columns[group][place]);
                        self.window(values, group, position, &mut columns);
                        self.columns[group][place] = columns;
                    }
                }
            }
        }
        self.images += 1;
        let size = self.moments.own[0].nrows();
        if self.columns[0][0].len() >= COLUMNS * size {
            self.multiply();
        }
    }

    /// The moments of all that was added.
    ///
    /// # Errors
    /// When a value is not finite.
    pub(crate) fn finish(mut self) -> Result<Moments, Error> {
        self.multiply();
        match self.moments.own.iter().all(|own| own.iter().all(|value| value.is_finite())) {
            true => Ok(self.moments),
            false => Err(Error::NotFinite { what: format!("an input of the layer of `{}`", self.layer.weight) }),
        }
    }

    /// What a group of the layer reads at a position, behind what is there.
    fn window(&self, values: &[f32], group: usize, position: usize, to: &mut Vec<f32>) {
        let (y, x) = (position / self.sides[1], position % self.sides[1]);
        match (self.op, self.input.as_slice()) {
            (Op::Conv2d(conv), &[channels, height, width]) => {
                let own = channels / conv.groups;
                let [rows, columns] = conv.window.size;
                for channel in group * own..(group + 1) * own {
                    for row in 0..rows {
                        let above = conv.window.meets(0, y, row, height);
                        to.extend((0..columns).map(|column| match (above, conv.window.meets(1, x, column, width)) {
                            (Some(row), Some(column)) => values[(channel * height + row) * width + column],
                            _ => 0.0,
                        }));
                    }
                }
            }
            // A fully connected layer reads all of it.
            _ => to.extend_from_slice(values),
        }
        if self.layer.bias.is_some() {
            to.push(1.0);
        }
    }

    fn multiply(&mut self) {
        for (group, [own, dense]) in self.columns.iter_mut().enumerate() {
            let size = self.moments.own[group].nrows();
            let own = DMatrix::from_vec(size, own.len() / size, std::mem::take(own));
            self.moments.own[group] += (&own * own.transpose()).map(f64::from);
            if let Some(with_dense) = self.moments.with_dense.get_mut(group) {
                let dense = DMatrix::from_vec(size, dense.len() / size, std::mem::take(dense));
                *with_dense += (&own * dense.transpose()).map(f64::from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::layers;
    use nalgebra::DVector;
    use secateur_graph::{Conv2d, Linear, Weights, Window};
    use secateur_pruner::Selection;

    /// The squares of what a layer answers are those of its weights by the moments.
    #[test]
    fn moments_are_those_of_what_a_layer_reads() {
        let wide = Window { size: [2, 3], stride: [1, 2], padding: [1, 0], dilation: [1, 2] };
        let convs = [
            Conv2d::new(4, 3).padding(1),
            Conv2d::new(2, 3).stride(2).without_bias(),
            Conv2d::new(8, 3).padding(2).groups(4),
            Conv2d { window: wide, ..Conv2d::new(6, 1).groups(2) },
        ];
        let mut cases: Vec<(Vec<usize>, Op)> = convs.map(|own| (vec![4, 6, 7], Op::Conv2d(own))).into();
        cases.push((vec![9], Op::Linear(Linear::new(5))));
        for (input, op) in cases {
            let graph = Graph::sequential(&input, [("n", op.clone())]).expect("a layer");
            let number = |place: usize| (place * 7919 % 101) as f32 / 50.0 - 1.0;
            let weights: Weights =
                graph.parameters().iter().map(|own| (own.name.clone(), (0..own.len()).map(number).collect())).collect();
            let own = &layers(&graph, &Selection::default()).expect("a layer")[0];
            let size: usize = input.iter().product();
            let images: Vec<f32> = (0..3 * size).map(|place| number(place * 31 + 7)).collect();
            let mut found = Gathering::new(&graph, own, 3, true);
            images.chunks_exact(size).for_each(|image| found.add(image, Some(image)));
            let found = found.finish().expect("finite");
            assert_eq!(found.own, found.with_dense, "the same inputs");
            let outputs = own.shape[0];
            let mut squares = vec![0.0; outputs];
            for image in images.chunks_exact(size) {
                let answers = graph.forward(&weights, image);
                for (place, value) in answers.iter().enumerate() {
                    squares[place / (answers.len() / outputs)] += f64::from(*value).powi(2);
                }
            }
            for (output, expected) in squares.into_iter().enumerate() {
                let row = &weights.get("n.weight")[output * own.fan_in()..][..own.fan_in()];
                let bias = own.bias.iter().map(|name| &weights.get(name)[output]);
                let row = row.iter().chain(bias).copied().map(f64::from);
                let row = DVector::from_vec(row.collect());
                let moments = &found.own[output * own.groups / outputs];
                let own = row.dot(&(moments * &row));
                assert!((own - expected).abs() < 1e-4 * expected.max(1.0), "{op:?}, output {output}: {own} {expected}");
            }
        }
    }
}
