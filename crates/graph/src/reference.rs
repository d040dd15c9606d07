//! What a graph answers, in plain loops: the reference implementation that everything faster is compared with.

use crate::graph::{Graph, Node};
use crate::op::{Activation, BatchNorm, Conv2d, LayerNorm, Op, Pool, PoolKind, Role};
use crate::weights::Weights;
use std::collections::BTreeMap;

impl Graph {
    /// The answers to one image, row-major, summed in f64 and rounded after every node; batch normalisation takes the running
    /// mean and variance.
    ///
    /// # Panics
    /// When the image has another size than the input, or the weights are not the graph's.
    pub fn forward(&self, weights: &Weights, image: &[f32]) -> Vec<f32> {
        let mut values = self.forward_all(weights, image);
        values.swap_remove(self.output().index())
    }

    /// All values of the graph for one image, by [`Value::index`](crate::Value::index).
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_all(&self, weights: &Weights, image: &[f32]) -> Vec<Vec<f32>> {
        let expected = self.shape(self.input()).iter().product::<usize>();
        assert_eq!(image.len(), expected, "an image has the size of the graph's input");
        let mut values = vec![image.to_vec()];
        for node in self.nodes() {
            let inputs: Vec<&[f32]> = node.inputs.iter().map(|value| values[value.index()].as_slice()).collect();
            values.push(self.computed(node, weights, &inputs));
        }
        values
    }

    fn computed(&self, node: &Node, weights: &Weights, inputs: &[&[f32]]) -> Vec<f32> {
        let (before, after) = (self.shape(node.inputs[0]), self.shape(node.output));
        let of = |role: Role| weights.get(&format!("{}.{}", node.name, role.field()));
        let input = inputs[0];
        match &node.op {
            Op::Conv2d(conv) => {
                let bias = if conv.bias { of(Role::Bias) } else { &[] };
                convolved(conv, (of(Role::Weight), bias), input, [before, after])
            }
            Op::Linear(linear) => {
                let bias = |output: usize| if linear.bias { f64::from(of(Role::Bias)[output]) } else { 0.0 };
                let rows = of(Role::Weight).chunks_exact(input.len());
                let products =
                    |row: &[f32]| row.iter().zip(input).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>();
                rows.enumerate().map(|(output, row)| (bias(output) + products(row)) as f32).collect()
            }
            Op::BatchNorm(norm) => {
                let [scale, shift, mean, variance] = [Role::Scale, Role::Shift, Role::Mean, Role::Variance].map(of);
                let each = |(index, value): (usize, &f32)| {
                    let channel = index / (input.len() / before[0]);
                    let [scale, shift, mean, variance] = [scale, shift, mean, variance].map(|own| own[channel]);
                    norm.of(*value, [scale, shift, mean, variance])
                };
                input.iter().enumerate().map(each).collect()
            }
            Op::Activation(own) => input.iter().map(|value| own.of(*value)).collect(),
            Op::Pool(pool) => pooled(pool, input, [before, after]),
            Op::GlobalAveragePool => {
                let size = before[1] * before[2];
                let mean = |own: &[f32]| (own.iter().copied().map(f64::from).sum::<f64>() / size as f64) as f32;
                input.chunks_exact(size).map(mean).collect()
            }
            Op::Add => input.iter().zip(inputs[1]).map(|(a, b)| a + b).collect(),
            Op::Mul => {
                let each = input.len() / inputs[1].len();
                input.iter().enumerate().map(|(place, own)| own * inputs[1][place / each]).collect()
            }
            Op::Concat => inputs.concat(),
            Op::Flatten | Op::Reshape(_) => input.to_vec(),
            Op::Crop([rows, columns]) => {
                let first = |channel: &[f32]| -> Vec<f32> {
                    channel.chunks_exact(before[2]).take(*rows).flat_map(|row| &row[..*columns]).copied().collect()
                };
                input.chunks_exact(before[1] * before[2]).flat_map(first).collect()
            }
            Op::Permute(order) => {
                let mut found = vec![0.0; input.len()];
                for (place, value) in input.iter().enumerate() {
                    let at = order.iter().fold(0, |at, axis| at * before[*axis] + side(before, *axis, place));
                    found[at] = *value;
                }
                found
            }
            Op::LayerNorm(norm) => {
                let (scale, shift) = (of(Role::Scale), of(Role::Shift));
                along(before, &norm.axes, input, |own| norm.of(own, scale, shift))
            }
            Op::Softmax(axis) => along(before, &[*axis], input, softmax),
            Op::Embedding(own) => {
                let rows = of(Role::Table);
                let row = |number: &f32| match own.row(*number) {
                    Some(row) => rows[row * own.columns..][..own.columns].to_vec(),
                    None => vec![f32::NAN; own.columns],
                };
                input.iter().flat_map(row).collect()
            }
        }
    }
}

impl BatchNorm {
    /// One value normalised, by scale, shift, running mean and running variance of its channel.
    pub fn of(&self, value: f32, channel: [f32; 4]) -> f32 {
        let [scale, shift, mean, variance] = channel.map(f64::from);
        (scale * (f64::from(value) - mean) / (variance + self.epsilon).sqrt() + shift) as f32
    }
}

impl LayerNorm {
    /// The values along its sides normalised.
    pub fn of(&self, values: &[f32], scale: &[f32], shift: &[f32]) -> Vec<f32> {
        let mean_of = |own: &dyn Fn(f64) -> f64| {
            values.iter().map(|value| own(f64::from(*value))).sum::<f64>() / values.len() as f64
        };
        let mean = mean_of(&|own| own);
        let root = (mean_of(&|own| (own - mean) * (own - mean)) + self.epsilon).sqrt();
        let own = |((value, scale), shift): ((&f32, &f32), &f32)| {
            (f64::from(*scale) * (f64::from(*value) - mean) / root + f64::from(*shift)) as f32
        };
        values.iter().zip(scale).zip(shift).map(own).collect()
    }
}

/// `exp(x) / sum of exp(x)`
fn softmax(values: &[f32]) -> Vec<f32> {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = values.iter().map(|own| (f64::from(*own) - f64::from(largest)).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|own| (own / sum) as f32).collect()
}

/// The place along a side of the value at a row-major place.
fn side(shape: &[usize], axis: usize, place: usize) -> usize {
    place / shape[axis + 1..].iter().product::<usize>() % shape[axis]
}

/// What `f` makes of the values along some sides, for each place along the others.
fn along(shape: &[usize], axes: &[usize], values: &[f32], f: impl Fn(&[f32]) -> Vec<f32>) -> Vec<f32> {
    let mut sets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in 0..values.len() {
        let others = (0..shape.len()).filter(|axis| !axes.contains(axis));
        let set = others.fold(0, |set, axis| set * shape[axis] + side(shape, axis, place));
        sets.entry(set).or_default().push(place);
    }
    let mut found = vec![0.0; values.len()];
    for places in sets.into_values() {
        let own: Vec<f32> = places.iter().map(|place| values[*place]).collect();
        places.iter().zip(f(&own)).for_each(|(place, own)| found[*place] = own);
    }
    found
}

impl Activation {
    /// One value activated; NaN stays NaN.
    pub fn of(self, value: f32) -> f32 {
        let x = f64::from(value);
        match self {
            Self::Relu if value < 0.0 => 0.0,
            Self::Relu => value,
            Self::Relu6 if value < 0.0 => 0.0,
            Self::Relu6 if value > 6.0 => 6.0,
            Self::Relu6 => value,
            Self::Gelu => (0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2))) as f32,
            Self::Silu => (x / (1.0 + (-x).exp())) as f32,
            // `clamp` keeps NaN.
            Self::HardSwish => (x * (x + 3.0).clamp(0.0, 6.0) / 6.0) as f32,
            Self::Sigmoid => (1.0 / (1.0 + (-x).exp())) as f32,
            Self::Tanh => x.tanh() as f32,
            Self::HardSigmoid => ((x + 3.0).clamp(0.0, 6.0) / 6.0) as f32,
            Self::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                (0.5 * x * (1.0 + inner.tanh())) as f32
            }
        }
    }
}

/// The error function: its power series near 0, the continued fraction of its complement further out (Abramowitz and
/// Stegun, 7.1.5 and 7.1.14); good to 1e-14.
pub fn erf(x: f64) -> f64 {
    let size = x.abs();
    if x.is_nan() || size > 6.0 {
        return if x.is_nan() { x } else { x.signum() };
    }
    let root = std::f64::consts::PI.sqrt();
    if size < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..80 {
            let n = f64::from(n);
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        return sum * 2.0 / root;
    }
    let tail = (1..80).rev().fold(size, |tail, n| size + f64::from(n) / 2.0 / tail);
    x.signum() * (1.0 - (-x * x).exp() / (root * tail))
}

fn convolved(
    conv: &Conv2d,
    (weight, bias): (&[f32], &[f32]),
    input: &[f32],
    [before, after]: [&[usize]; 2],
) -> Vec<f32> {
    let (&[channels, height, width], &[outputs, rows, columns]) = (before, after) else {
        unreachable!("a convolution is checked to stand between images")
    };
    let [kernel_rows, kernel_columns] = conv.window.size;
    let (own, filters) = (channels / conv.groups, outputs / conv.groups);
    let mut found = Vec::with_capacity(outputs * rows * columns);
    for filter in 0..outputs {
        let mut sums = vec![bias.get(filter).map_or(0.0, |bias| f64::from(*bias)); rows * columns];
        let weights = &weight[filter * own * kernel_rows * kernel_columns..][..own * kernel_rows * kernel_columns];
        for (index, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            let channel = filter / filters * own + index / (kernel_rows * kernel_columns);
            let (ky, kx) = (index / kernel_columns % kernel_rows, index % kernel_columns);
            for y in 0..rows {
                let Some(row) = conv.window.meets(0, y, ky, height) else { continue };
                for x in 0..columns {
                    let Some(column) = conv.window.meets(1, x, kx, width) else { continue };
                    let value = input[(channel * height + row) * width + column];
                    sums[y * columns + x] += f64::from(*weight) * f64::from(value);
                }
            }
        }
        found.extend(sums.into_iter().map(|sum| sum as f32));
    }
    found
}

fn pooled(pool: &Pool, input: &[f32], [before, after]: [&[usize]; 2]) -> Vec<f32> {
    let (&[channels, height, width], &[_, rows, columns]) = (before, after) else {
        unreachable!("pooling is checked to stand between images")
    };
    let [window_rows, window_columns] = pool.window.size;
    let mut found = Vec::with_capacity(channels * rows * columns);
    for place in 0..channels * rows * columns {
        let (channel, y, x) = (place / (rows * columns), place / columns % rows, place % columns);
        let window = (0..window_rows * window_columns).filter_map(|element| {
            let row = pool.window.meets(0, y, element / window_columns, height)?;
            let column = pool.window.meets(1, x, element % window_columns, width)?;
            Some(input[(channel * height + row) * width + column])
        });
        found.push(match pool.kind {
            PoolKind::Max => {
                window.fold(f32::NEG_INFINITY, |top, own| if own <= top || top.is_nan() { top } else { own })
            }
            PoolKind::Average => (window.map(f64::from).sum::<f64>() / (window_rows * window_columns) as f64) as f32,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;
    use crate::op::{Embedding, Linear};
    use crate::window::Window;

    /// The answers of one operation, `fill`ed by name, to an image.
    fn answers(op: Op, input: &[usize], image: &[f32], fill: &[(&str, &[f32])]) -> Vec<f32> {
        let graph = Graph::sequential(input, [("n", op)]).expect("fits");
        let mut weights = Weights::neutral(&graph);
        fill.iter().for_each(|(field, values)| weights.insert(format!("n.{field}"), values.to_vec()));
        weights.check(&graph).expect("all of them");
        graph.forward(&weights, image)
    }

    fn counted(to: usize) -> Vec<f32> {
        (1..=to).map(|value| value as f32).collect()
    }

    #[test]
    fn convolutions_by_hand() {
        let image = counted(9);
        let conv = |conv: Conv2d, weight: &[f32]| {
            answers(Op::Conv2d(conv.without_bias()), &[1, 3, 3], &image, &[("weight", weight)])
        };
        assert_eq!(conv(Conv2d::new(1, 2), &[1.0, 0.0, 0.0, -2.0]), [-9.0, -10.0, -12.0, -13.0]);
        assert_eq!(conv(Conv2d::new(1, 3).padding(1).stride(2), &[1.0; 9]), [12.0, 16.0, 24.0, 28.0]);
        let dilated = Conv2d { window: Window { dilation: [2, 2], ..Window::square(2) }, ..Conv2d::new(1, 2) };
        assert_eq!(conv(dilated, &[1.0, 1.0, 1.0, 1.0]), [1.0 + 3.0 + 7.0 + 9.0]);
        let flat =
            Conv2d { window: Window { size: [1, 3], padding: [0, 1], ..Window::square(1) }, ..Conv2d::new(1, 1) };
        assert_eq!(conv(flat, &[1.0, 0.0, -1.0]), [-2.0, -2.0, 2.0, -5.0, -2.0, 5.0, -8.0, -2.0, 8.0]);
    }

    #[test]
    fn groups_read_their_own_channels() {
        let image = counted(4);
        let depthwise = Op::Conv2d(Conv2d::new(8, 1).groups(4));
        let fill: [(&str, &[f32]); 2] =
            [("weight", &[1.0, 10.0, 1.0, 10.0, 1.0, 10.0, 1.0, 10.0]), ("bias", &[0.5; 8])];
        assert_eq!(answers(depthwise, &[4, 1, 1], &image, &fill), [1.5, 10.5, 2.5, 20.5, 3.5, 30.5, 4.5, 40.5]);
        let two = Op::Conv2d(Conv2d::new(2, 1).groups(2).without_bias());
        assert_eq!(answers(two, &[4, 1, 1], &image, &[("weight", &[1.0, 2.0, 3.0, 4.0])]), [5.0, 25.0]);
    }

    #[test]
    fn the_other_operations_by_hand() {
        let image = counted(9);
        let one = |op: Op| answers(op, &[1, 3, 3], &image, &[]);
        assert_eq!(one(Op::Pool(Pool::max(2))), [5.0]);
        assert_eq!(one(Op::Pool(Pool::average(2))), [3.0]);
        let padded =
            |kind| Op::Pool(Pool { kind, window: Window { padding: [1, 1], stride: [2, 2], ..Window::square(3) } });
        assert_eq!(one(padded(PoolKind::Max)), [5.0, 6.0, 8.0, 9.0]);
        assert_eq!(one(padded(PoolKind::Average)), [12.0 / 9.0, 16.0 / 9.0, 24.0 / 9.0, 28.0 / 9.0]);
        assert_eq!(one(Op::GlobalAveragePool), [5.0]);
        assert_eq!(one(Op::Crop([2, 1])), [1.0, 4.0]);
        assert_eq!(answers(Op::Crop([1, 2]), &[3, 1, 3], &image, &[]), [1.0, 2.0, 4.0, 5.0, 7.0, 8.0]);
        let linear = Op::Linear(Linear::new(2));
        let fill: [(&str, &[f32]); 2] = [("weight", &[1.0, 1.0, -1.0, 0.0]), ("bias", &[0.5, 0.0])];
        assert_eq!(answers(linear, &[2], &[3.0, 4.0], &fill), [7.5, -3.0]);
        let norm = Op::BatchNorm(BatchNorm { epsilon: 1.0, ..BatchNorm::default() });
        let fill: [(&str, &[f32]); 4] = [
            ("weight", &[2.0, 1.0]),
            ("bias", &[0.0, 5.0]),
            ("running_mean", &[1.0, 0.0]),
            ("running_var", &[3.0, 0.0]),
        ];
        assert_eq!(answers(norm, &[2, 1, 2], &[1.0, 2.0, 3.0, -4.0], &fill), [0.0, 1.0, 8.0, 1.0]);
    }

    #[test]
    fn activations_have_their_textbook_values() {
        let all = |own: Activation, x: [f32; 4]| x.map(|x| own.of(x));
        assert_eq!(all(Activation::Relu, [-1.0, 0.0, 3.0, 7.0]), [0.0, 0.0, 3.0, 7.0]);
        assert_eq!(all(Activation::Relu6, [-1.0, 0.0, 3.0, 7.0]), [0.0, 0.0, 3.0, 6.0]);
        let near = |found: [f32; 4], expected: [f32; 4]| found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(all(Activation::Gelu, [-1.0, 0.0, 1.0, 3.0]), [-0.158_655_25, 0.0, 0.841_344_8, 2.995_95]));
        assert!(near(all(Activation::Silu, [-1.0, 0.0, 1.0, 3.0]), [-0.268_941_43, 0.0, 0.731_058_6, 2.857_722_3]));
        assert!(near(all(Activation::HardSwish, [-4.0, -1.0, 1.0, 3.0]), [0.0, -1.0 / 3.0, 2.0 / 3.0, 3.0]));
        assert!(near(all(Activation::Sigmoid, [-1.0, 0.0, 1.0, 3.0]), [0.268_941_43, 0.5, 0.731_058_6, 0.952_574_1]));
        assert!(near(all(Activation::Tanh, [-1.0, 0.0, 1.0, 3.0]), [-0.761_594_2, 0.0, 0.761_594_2, 0.995_054_8]));
        assert!(near(all(Activation::HardSigmoid, [-4.0, -1.0, 0.0, 3.0]), [0.0, 1.0 / 3.0, 0.5, 1.0]));
        assert!(near(all(Activation::GeluTanh, [-1.0, 0.0, 1.0, 3.0]), [-0.158_808, 0.0, 0.841_192, 2.996_363]));
        for own in Activation::ALL {
            let at_zero = if matches!(own, Activation::Sigmoid | Activation::HardSigmoid) { 0.5 } else { 0.0 };
            assert!(own.of(f32::NAN).is_nan() && own.of(0.0) == at_zero);
        }
        // Both ways to the error function meet.
        assert!((erf(2.499_999_999) - erf(2.500_000_001)).abs() < 1e-11);
        assert!(
            (erf(0.5) - 0.520_499_877_813_046_5).abs() < 1e-14 && (erf(-3.0) + 0.999_977_909_503_001_4).abs() < 1e-14
        );
    }

    #[test]
    fn values_are_added_and_put_behind_each_other() {
        let mut net = Builder::new(&[1, 1, 2]).expect("a shape");
        let input = net.input();
        let twice = net.add("twice", Op::Add, &[input, input]).expect("fits");
        let both = net.add("both", Op::Concat, &[twice, input]).expect("fits");
        net.add("flat", Op::Reshape(vec![4]), &[both]).expect("fits");
        let graph = net.finish();
        assert_eq!(graph.forward(&Weights::default(), &[1.0, 2.0]), [2.0, 4.0, 1.0, 2.0]);
        assert_eq!(graph.forward_all(&Weights::default(), &[1.0, 2.0])[twice.index()], [2.0, 4.0]);
    }

    #[test]
    fn sequences_and_factors_by_hand() {
        let image = counted(6);
        assert_eq!(answers(Op::Permute(vec![1, 0]), &[2, 3], &image, &[]), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(answers(Op::Permute(vec![2, 0, 1]), &[1, 2, 3], &image, &[]), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let norm = |axes: Vec<usize>, scale: &[f32], shift: &[f32]| {
            let fill: [(&str, &[f32]); 2] = [("weight", scale), ("bias", shift)];
            answers(Op::LayerNorm(LayerNorm { axes, epsilon: 0.0 }), &[2, 3], &[1.0, 5.0, 3.0, 3.0, 1.0, 3.0], &fill)
        };
        // Without an epsilon what does not vary is divided by 0.
        let found = norm(vec![0], &[2.0, 1.0], &[0.0, 3.0]);
        assert_eq!([found[0], found[1], found[3], found[4]], [-2.0, 2.0, 4.0, 2.0]);
        assert!(found[2].is_nan() && found[5].is_nan());
        assert_eq!(norm(vec![1], &[0.0; 3], &[1.0, 2.0, 3.0]), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
        let soft = answers(Op::Softmax(0), &[2, 2], &[0.0, 1000.0, 3f32.ln(), -1000.0], &[]);
        assert_eq!(soft, [0.25, 1.0, 0.75, 0.0]);
        let table = Op::Embedding(Embedding { rows: 2, columns: 2 });
        let found = answers(table, &[3], &[1.0, 0.0, 2.0], &[("weight", &[1.0, 2.0, 3.0, 4.0])]);
        assert_eq!(found[..4], [3.0, 4.0, 1.0, 2.0]);
        assert!(found[4..].iter().all(|own| own.is_nan()));

        let mut net = Builder::new(&[2, 1, 2]).expect("a shape");
        let input = net.input();
        let mean = net.add("mean", Op::GlobalAveragePool, &[input]).expect("fits");
        let scaled = net.add("scaled", Op::Mul, &[input, mean]).expect("fits");
        net.add("squared", Op::Mul, &[scaled, scaled]).expect("fits");
        let found = net.finish().forward(&Weights::default(), &[1.0, 3.0, -2.0, 0.0]);
        assert_eq!(found, [4.0, 36.0, 4.0, 0.0]);
    }

    #[test]
    fn a_nan_reaches_the_answer() {
        assert!(answers(Op::Pool(Pool::max(2)), &[1, 2, 2], &[1.0, f32::NAN, 0.0, 2.0], &[])[0].is_nan());
    }
}
