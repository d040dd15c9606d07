//! The reference implementation of the trainer: loops over f64, written as the textbook does.

use secateur_sparse::{Layer, Network};

/// Gradients of the mean cross-entropy, one pair (weight, bias) a layer that has parameters, with the loss and the logits.
pub(crate) struct Gradients {
    pub(crate) loss: f64,
    pub(crate) logits: Vec<f64>,
    pub(crate) layers: Vec<(Vec<f64>, Vec<f64>)>,
}

/// Forward and backward over a batch of images, each `[channels, height, width]`.
pub(crate) fn gradients(network: &Network, images: &[Vec<f64>], labels: &[u16]) -> Gradients {
    smoothed(network, images, labels, 0.0)
}

/// The same with gradients of the loss on smoothed labels.
pub(crate) fn smoothed(network: &Network, images: &[Vec<f64>], labels: &[u16], smoothing: f64) -> Gradients {
    let mut found = Gradients { loss: 0.0, logits: vec![], layers: vec![] };
    for own in network.parameters() {
        found.layers.push((vec![0.0; own.weight.len()], vec![0.0; own.bias.len()]));
    }
    let share = 1.0 / images.len() as f64;
    for (image, label) in images.iter().zip(labels) {
        let mut values = vec![image.clone()];
        for place in 0..network.layers().len() {
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
        for place in (0..network.layers().len()).rev() {
            if network.layers()[place].parameters().is_some() {
                own -= 1;
            }
            let sums = own.min(found.layers.len() - 1);
            gradient = backward(network, place, &values[place], &gradient, &mut found.layers[sums]);
        }
    }
    found
}

fn forward(network: &Network, place: usize, x: &[f64]) -> Vec<f64> {
    let ([_, height, width], [_, rows, columns]) = (network.shape(place), network.shape(place + 1));
    match &network.layers()[place] {
        Layer::Flatten => x.to_vec(),
        Layer::Relu => x.iter().map(|x| x.max(0.0)).collect(),
        Layer::MaxPool2d { size } => windows(x, height, width, rows, columns, *size).map(|place| x[place]).collect(),
        Layer::Linear(linear) => linear
            .weight
            .chunks(linear.inputs)
            .zip(&linear.bias)
            .map(|(row, bias)| f64::from(*bias) + row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum::<f64>())
            .collect(),
        Layer::Conv2d(conv) => {
            let mut y = vec![];
            for filter in 0..conv.outputs {
                for row in 0..rows {
                    for column in 0..columns {
                        let mut sum = f64::from(conv.bias[filter]);
                        for channel in 0..conv.inputs {
                            for ky in 0..conv.kernel {
                                for kx in 0..conv.kernel {
                                    let weight = conv.weight
                                        [((filter * conv.inputs + channel) * conv.kernel + ky) * conv.kernel + kx];
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
        other => panic!("{} is not trained", other.name()),
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

fn backward(network: &Network, place: usize, x: &[f64], dy: &[f64], sums: &mut (Vec<f64>, Vec<f64>)) -> Vec<f64> {
    let ([_, height, width], [_, rows, columns]) = (network.shape(place), network.shape(place + 1));
    let mut dx = vec![0.0; x.len()];
    match &network.layers()[place] {
        Layer::Flatten => dx.copy_from_slice(dy),
        Layer::Relu => {
            for (dx, (x, dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
                *dx = if *x > 0.0 { *dy } else { 0.0 };
            }
        }
        Layer::MaxPool2d { size } => {
            for (own, dy) in windows(x, height, width, rows, columns, *size).zip(dy) {
                dx[own] += dy;
            }
        }
        Layer::Linear(linear) => {
            for (unit, dy) in dy.iter().enumerate() {
                sums.1[unit] += dy;
                for input in 0..linear.inputs {
                    sums.0[unit * linear.inputs + input] += dy * x[input];
                    dx[input] += dy * f64::from(linear.weight[unit * linear.inputs + input]);
                }
            }
        }
        Layer::Conv2d(conv) => {
            for (own, dy) in dy.iter().enumerate() {
                let (filter, row, column) = (own / (rows * columns), own / columns % rows, own % columns);
                sums.1[filter] += dy;
                for channel in 0..conv.inputs {
                    for ky in 0..conv.kernel {
                        for kx in 0..conv.kernel {
                            let weight = ((filter * conv.inputs + channel) * conv.kernel + ky) * conv.kernel + kx;
                            let input = (channel * height + row + ky) * width + column + kx;
                            sums.0[weight] += dy * x[input];
                            dx[input] += dy * f64::from(conv.weight[weight]);
                        }
                    }
                }
            }
        }
        other => panic!("{} is not trained", other.name()),
    }
    dx
}
