//! The reference implementation of the trainer: loops over f64, written as the textbook does.

use crate::networks::parameters;
use secateur_graph::{Activation, Conv2d, Op};
use secateur_sparse::Trained;

/// Gradients of the mean cross-entropy, one pair (weight, bias) a layer that has parameters, with the loss and the logits.
pub(crate) struct Gradients {
    pub(crate) loss: f64,
    pub(crate) logits: Vec<f64>,
    pub(crate) layers: Vec<(Vec<f64>, Vec<f64>)>,
}

/// Forward and backward over a batch of images, each `[channels, height, width]`.
pub(crate) fn gradients(network: &Trained, images: &[Vec<f64>], labels: &[u16]) -> Gradients {
    smoothed(network, images, labels, 0.0)
}

/// The same with gradients of the loss on smoothed labels.
pub(crate) fn smoothed(network: &Trained, images: &[Vec<f64>], labels: &[u16], smoothing: f64) -> Gradients {
    let mut found = Gradients { loss: 0.0, logits: vec![], layers: vec![] };
    for own in parameters(network) {
        found.layers.push((vec![0.0; own.weight.len()], vec![0.0; own.bias.len()]));
    }
    let share = 1.0 / images.len() as f64;
    for (image, label) in images.iter().zip(labels) {
        let mut values = vec![image.clone()];
        for place in 0..network.graph.nodes().len() {
            values.push(forward(network, place, &values[place]));
        }
        let logits = values.last().expect("there is an output");
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - top).exp()).sum();
        found.loss += share * (top + sum.ln() - logits[usize::from(*label)]);
        found.logits.extend(logits);
        let equal = smoothing / logits.len() as f64;
        let truth = |class| equal + if class == usize::from(*label) { 1.0 - smoothing } else { 0.0 };
        let mut gradient: Vec<f64> = logits
            .iter()
            .enumerate()
            .map(|(class, logit)| share * ((logit - top).exp() / sum - truth(class)))
            .collect();
        let mut own = found.layers.len();
        for place in (0..network.graph.nodes().len()).rev() {
            if network.graph.nodes()[place].op.is_layer() {
                own -= 1;
            }
            let sums = own.min(found.layers.len() - 1);
            gradient = backward(network, place, &values[place], &gradient, &mut found.layers[sums]);
        }
    }
    found
}

/// Height and width of a value of the chain.
fn sides(network: &Trained, place: usize) -> [usize; 2] {
    let graph = &network.graph;
    let value = if place == 0 { graph.input() } else { graph.nodes()[place - 1].output };
    match *graph.shape(value) {
        [_, height, width] => [height, width],
        _ => [1, 1],
    }
}

/// A parameter of a node; none where it has none.
fn values<'a>(network: &'a Trained, place: usize, field: &str) -> &'a [f32] {
    let name = format!("{}.{field}", network.graph.nodes()[place].name);
    network.graph.parameter(&name).map_or(&[], |own| network.weights.get(&own.name))
}

/// The side of a square kernel, and the channels that it reads.
fn shape(conv: &Conv2d, x: &[f64], plane: usize) -> [usize; 2] {
    [conv.window.size[0], x.len() / plane]
}

fn forward(network: &Trained, place: usize, x: &[f64]) -> Vec<f64> {
    let ([height, width], [rows, columns]) = (sides(network, place), sides(network, place + 1));
    let [weight, bias] = ["weight", "bias"].map(|field| values(network, place, field));
    match &network.graph.nodes()[place].op {
        Op::Flatten => x.to_vec(),
        Op::Activation(Activation::Relu) => x.iter().map(|x| x.max(0.0)).collect(),
        Op::Pool(own) => windows(x, height, width, rows, columns, own.window.size[0]).map(|place| x[place]).collect(),
        Op::Linear(_) => weight
            .chunks(x.len())
            .zip(bias)
            .map(|(row, bias)| f64::from(*bias) + row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum::<f64>())
            .collect(),
        Op::Conv2d(conv) => {
            let [kernel, inputs] = shape(conv, x, height * width);
            let mut y = vec![];
            for filter in 0..conv.outputs {
                for row in 0..rows {
                    for column in 0..columns {
                        let mut sum = f64::from(bias[filter]);
                        for channel in 0..inputs {
                            for ky in 0..kernel {
                                for kx in 0..kernel {
                                    let weight = weight[((filter * inputs + channel) * kernel + ky) * kernel + kx];
                                    sum += f64::from(weight) * x[(channel * height + row + ky) * width + column + kx];
                                }
                            }
                        }
                        y.push(sum);
                    }
                }
            }
            y
        }
        other => panic!("{other} is not trained"),
    }
}

/// Place of the first largest value of each window.
fn windows<'a>(
    x: &'a [f64],
    height: usize,
    width: usize,
    rows: usize,
    columns: usize,
    size: usize,
) -> impl Iterator<Item = usize> + 'a {
    let channels = x.len() / (height * width);
    (0..channels * rows * columns).map(move |place| {
        let (channel, row, column) = (place / (rows * columns), place / columns % rows, place % columns);
        let mut best = (channel * height + row * size) * width + column * size;
        for y in 0..size {
            for other in 0..size {
                let own = (channel * height + row * size + y) * width + column * size + other;
                if x[own] > x[best] {
                    best = own;
                }
            }
        }
        best
    })
}

fn backward(network: &Trained, place: usize, x: &[f64], dy: &[f64], sums: &mut (Vec<f64>, Vec<f64>)) -> Vec<f64> {
    let ([height, width], [rows, columns]) = (sides(network, place), sides(network, place + 1));
    let weight = values(network, place, "weight");
    let mut dx = vec![0.0; x.len()];
    match &network.graph.nodes()[place].op {
        Op::Flatten => dx.copy_from_slice(dy),
        Op::Activation(Activation::Relu) => {
            for (dx, (x, dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
                *dx = if *x > 0.0 { *dy } else { 0.0 };
            }
        }
        Op::Pool(own) => {
            for (own, dy) in windows(x, height, width, rows, columns, own.window.size[0]).zip(dy) {
                dx[own] += dy;
            }
        }
        Op::Linear(_) => {
            for (unit, dy) in dy.iter().enumerate() {
                sums.1[unit] += dy;
                for input in 0..x.len() {
                    sums.0[unit * x.len() + input] += dy * x[input];
                    dx[input] += dy * f64::from(weight[unit * x.len() + input]);
                }
            }
        }
        Op::Conv2d(conv) => {
            let [kernel, inputs] = shape(conv, x, height * width);
            for (own, dy) in dy.iter().enumerate() {
                let (filter, row, column) = (own / (rows * columns), own / columns % rows, own % columns);
                sums.1[filter] += dy;
                for channel in 0..inputs {
                    for ky in 0..kernel {
                        for kx in 0..kernel {
                            let own = ((filter * inputs + channel) * kernel + ky) * kernel + kx;
                            let input = (channel * height + row + ky) * width + column + kx;
                            sums.0[own] += dy * x[input];
                            dx[input] += dy * f64::from(weight[own]);
                        }
                    }
                }
            }
        }
        other => panic!("{other} is not trained"),
    }
    dx
}
