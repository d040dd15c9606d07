//! What a graph learns from a batch, in plain loops and f64: the reference implementation that `GraphTrainer` is compared
//! with.

use secateur_graph::{Activation, Graph, Node, Op, Pool, PoolKind, Window};
use secateur_sparse::Optimizer;
use std::collections::BTreeMap;

/// Values by parameter name, pruned ones 0.
pub(crate) type Values = BTreeMap<String, Vec<f64>>;

/// A batch seen by a graph in training.
pub(crate) struct Found {
    pub(crate) loss: f64,
    /// `[image][class]`
    pub(crate) logits: Vec<f64>,
    /// Of every parameter; zeros where the loss does not depend on it.
    pub(crate) gradients: Values,
    /// Mean and variance without bias of each normalisation's input, by the names of its buffers.
    pub(crate) statistics: Values,
}

/// The mean cross-entropy of a batch, and its gradients.
pub(crate) fn gradients(graph: &Graph, own: &Values, images: &[Vec<f64>], labels: &[u16]) -> Found {
    smoothed(graph, own, images, labels, 0.0)
}

/// The same with gradients of the loss on smoothed labels.
pub(crate) fn smoothed(graph: &Graph, own: &Values, images: &[Vec<f64>], labels: &[u16], smoothing: f64) -> Found {
    let mut pass = Pass { graph, own, values: vec![images.to_vec()], statistics: Values::new() };
    for node in graph.nodes() {
        let output = pass.forward(node);
        pass.values.push(output);
    }
    let logits = &pass.values[graph.output().index()];
    let (mut loss, mut dy) = (0.0, vec![]);
    for (logits, label) in logits.iter().zip(labels) {
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|own| (own - top).exp()).sum();
        loss += (sum.ln() + top - logits[usize::from(*label)]) / labels.len() as f64;
        let equal = smoothing / logits.len() as f64;
        let truth = |class: usize| equal + if class == usize::from(*label) { 1.0 - smoothing } else { 0.0 };
        let gradient = |(class, own): (usize, &f64)| ((own - top).exp() / sum - truth(class)) / labels.len() as f64;
        dy.push(logits.iter().enumerate().map(gradient).collect::<Vec<_>>());
    }
    let logits = logits.concat();
    let mut back: Vec<Vec<Vec<f64>>> =
        pass.values.iter().map(|value| value.iter().map(|own| vec![0.0; own.len()]).collect()).collect();
    back[graph.output().index()] = dy;
    let mut gradients: Values = own.iter().map(|(name, own)| (name.clone(), vec![0.0; own.len()])).collect();
    for node in graph.nodes().iter().rev() {
        let dy = std::mem::take(&mut back[node.output.index()]);
        pass.backward(node, &dy, &mut back, &mut gradients);
    }
    Found { loss, logits, gradients, statistics: pass.statistics }
}

struct Pass<'a> {
    graph: &'a Graph,
    own: &'a Values,
    /// `[value][image][feature]`
    values: Vec<Vec<Vec<f64>>>,
    statistics: Values,
}

impl Pass<'_> {
    fn of(&self, node: &Node, field: &str) -> &[f64] {
        self.own.get(&format!("{}.{field}", node.name)).map_or(&[], Vec::as_slice)
    }

    /// Calls `f(output, input, weight)` for every product of a convolution; indices are those of an image, row-major.
    fn products(&self, node: &Node, mut f: impl FnMut(usize, usize, usize)) {
        let (x, y) = (self.graph.shape(node.inputs[0]), self.graph.shape(node.output));
        let (window, groups, x, y) = match &node.op {
            Op::Conv2d(conv) => (conv.window, conv.groups, [x[0], x[1], x[2]], [y[0], y[1], y[2]]),
            _ => (Window::square(1), 1, [x[0], 1, 1], [y[0], 1, 1]),
        };
        let inputs = x[0] / groups;
        for filter in 0..y[0] {
            for channel in 0..inputs {
                let source = filter / (y[0] / groups) * inputs + channel;
                windows(&window, [x[1], x[2]], [y[1], y[2]], |output, input, tap| {
                    let taps = window.size[0] * window.size[1];
                    let weight = (filter * inputs + channel) * taps + tap;
                    f(filter * y[1] * y[2] + output, source * x[1] * x[2] + input, weight);
                });
            }
        }
    }

    fn forward(&mut self, node: &Node) -> Vec<Vec<f64>> {
        let x = &self.values[node.inputs[0].index()];
        let size = self.graph.shape(node.output).iter().product::<usize>();
        let channels = self.graph.shape(node.output)[0];
        let each = size / channels;
        match &node.op {
            Op::Conv2d(_) | Op::Linear(_) => {
                let (weight, bias) = (self.of(node, "weight"), self.of(node, "bias"));
                let start: Vec<f64> = (0..size).map(|place| bias.get(place / each).copied().unwrap_or(0.0)).collect();
                let mut y = vec![start; x.len()];
                self.products(node, |output, input, place| {
                    y.iter_mut().zip(x).for_each(|(y, x)| y[output] += weight[place] * x[input]);
                });
                y
            }
            Op::BatchNorm(norm) => {
                let (scale, shift) = (self.of(node, "weight"), self.of(node, "bias"));
                let mut y = x.clone();
                let (mut means, mut variances) = (vec![], vec![]);
                for channel in 0..channels {
                    let (mean, variance, count) = statistics(x, channel, each);
                    for y in y.iter_mut().flat_map(|y| &mut y[channel * each..(channel + 1) * each]) {
                        *y = scale[channel] * (*y - mean) / (variance + norm.epsilon).sqrt() + shift[channel];
                    }
                    means.push(mean);
                    variances.push(variance * count / (count - 1.0).max(1.0));
                }
                self.statistics.insert(format!("{}.running_mean", node.name), means);
                self.statistics.insert(format!("{}.running_var", node.name), variances);
                y
            }
            Op::Activation(own) => map(x, |x| activated(*own, x).0),
            Op::Pool(pool) => x.iter().map(|x| self.pooled(node, pool, x)).collect(),
            Op::GlobalAveragePool => {
                let pixels = x[0].len() / channels;
                x.iter()
                    .map(|x| x.chunks(pixels).map(|own| own.iter().sum::<f64>() / pixels as f64).collect())
                    .collect()
            }
            Op::Add => {
                let other = &self.values[node.inputs[1].index()];
                x.iter().zip(other).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect()
            }
            Op::Concat => {
                let all = |image: usize| {
                    node.inputs.iter().flat_map(|value| self.values[value.index()][image].clone()).collect()
                };
                (0..x.len()).map(all).collect()
            }
            Op::Flatten | Op::Reshape(_) => x.clone(),
            Op::Mul => {
                let other = &self.values[node.inputs[1].index()];
                let of = |(x, other): (&Vec<f64>, &Vec<f64>)| {
                    x.iter().enumerate().map(|(place, x)| x * other[self.factor(node, place)]).collect()
                };
                x.iter().zip(other).map(of).collect()
            }
            Op::Permute(_) | Op::Crop(_) => {
                let from = self.moved(node);
                x.iter().map(|x| from.iter().map(|from| x[*from]).collect()).collect()
            }
            Op::LayerNorm(norm) => {
                let (scale, shift) = (self.of(node, "weight"), self.of(node, "bias"));
                let of = |x: &Vec<f64>| {
                    let mut y = vec![0.0; x.len()];
                    for set in self.sets(node, &norm.axes) {
                        let (mean, root) = moments(x, &set, norm.epsilon);
                        for (place, index) in set.iter().enumerate() {
                            y[*index] = scale[place] * (x[*index] - mean) / root + shift[place];
                        }
                    }
                    y
                };
                x.iter().map(of).collect()
            }
            Op::Softmax(axis) => {
                let of = |x: &Vec<f64>| {
                    let mut y = vec![0.0; x.len()];
                    for set in self.sets(node, &[*axis]) {
                        let top = set.iter().map(|index| x[*index]).fold(f64::NEG_INFINITY, f64::max);
                        let sum: f64 = set.iter().map(|index| (x[*index] - top).exp()).sum();
                        set.iter().for_each(|index| y[*index] = (x[*index] - top).exp() / sum);
                    }
                    y
                };
                x.iter().map(of).collect()
            }
            Op::Embedding(table) => {
                let rows = self.of(node, "weight");
                let row = |number: &f64| rows[*number as usize * table.columns..][..table.columns].to_vec();
                x.iter().map(|x| x.iter().flat_map(row).collect()).collect()
            }
        }
    }

    /// The factor of a product's number.
    fn factor(&self, node: &Node, place: usize) -> usize {
        let [x, other] = [0, 1].map(|which| self.graph.shape(node.inputs[which]).iter().product::<usize>());
        place / (x / other)
    }

    /// Where each number of what only moves comes from.
    fn moved(&self, node: &Node) -> Vec<usize> {
        let (x, y) = (self.graph.shape(node.inputs[0]), self.graph.shape(node.output));
        let from = |index: usize| match &node.op {
            Op::Permute(order) => {
                let own = places(y, index);
                let axis = |axis: usize| own[order.iter().position(|from| *from == axis).expect("every side")];
                (0..x.len()).fold(0, |at, side| at * x[side] + axis(side))
            }
            _ => x.iter().zip(places(y, index)).fold(0, |at, (side, place)| at * side + place),
        };
        (0..y.iter().product()).map(from).collect()
    }

    /// The indices of the numbers that stand along some sides, set by set.
    fn sets(&self, node: &Node, axes: &[usize]) -> Vec<Vec<usize>> {
        let shape = self.graph.shape(node.inputs[0]);
        let mut found: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        for index in 0..shape.iter().product() {
            let mut own = places(shape, index);
            axes.iter().for_each(|axis| own[*axis] = 0);
            found.entry(own).or_default().push(index);
        }
        found.into_values().collect()
    }

    /// The elements of each window of a channel: `f(channel and output, channel and input)`.
    fn pool_windows(&self, node: &Node, pool: &Pool) -> Vec<Vec<usize>> {
        let (x, y) = (self.graph.shape(node.inputs[0]), self.graph.shape(node.output));
        let mut found = vec![vec![]; y.iter().product()];
        windows(&pool.window, [x[1], x[2]], [y[1], y[2]], |output, input, _| {
            for channel in 0..x[0] {
                found[channel * y[1] * y[2] + output].push(channel * x[1] * x[2] + input);
            }
        });
        found.iter_mut().for_each(|own| own.sort_unstable());
        found
    }

    fn pooled(&self, node: &Node, pool: &Pool, x: &[f64]) -> Vec<f64> {
        let size = (pool.window.size[0] * pool.window.size[1]) as f64;
        let of = |own: Vec<usize>| match pool.kind {
            PoolKind::Max => own.iter().map(|index| x[*index]).fold(f64::NEG_INFINITY, f64::max),
            PoolKind::Average => own.iter().map(|index| x[*index]).sum::<f64>() / size,
        };
        self.pool_windows(node, pool).into_iter().map(of).collect()
    }

    fn backward(&self, node: &Node, dy: &[Vec<f64>], back: &mut [Vec<Vec<f64>>], gradients: &mut Values) {
        let x = &self.values[node.inputs[0].index()];
        let channels = self.graph.shape(node.output)[0];
        let each = dy[0].len() / channels;
        let name = |field: &str| format!("{}.{field}", node.name);
        match &node.op {
            Op::Conv2d(_) | Op::Linear(_) => {
                let weight = self.of(node, "weight");
                let dx = &mut back[node.inputs[0].index()];
                let sums = gradients.get_mut(&name("weight")).expect("there");
                self.products(node, |output, input, place| {
                    for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
                        dx[input] += weight[place] * dy[output];
                        sums[place] += x[input] * dy[output];
                    }
                });
                if let Some(sums) = gradients.get_mut(&name("bias")) {
                    dy.iter().for_each(|dy| dy.iter().enumerate().for_each(|(place, own)| sums[place / each] += own));
                }
            }
            Op::BatchNorm(norm) => {
                let scale = self.of(node, "weight");
                for (channel, scale) in scale.iter().enumerate() {
                    let (mean, variance, count) = statistics(x, channel, each);
                    let root = (variance + norm.epsilon).sqrt();
                    let own = channel * each..(channel + 1) * each;
                    let (mut sum, mut products) = (0.0, 0.0);
                    for (x, dy) in x.iter().zip(dy) {
                        for (x, dy) in x[own.clone()].iter().zip(&dy[own.clone()]) {
                            sum += dy;
                            products += dy * (x - mean) / root;
                        }
                    }
                    gradients.get_mut(&name("bias")).expect("there")[channel] += sum;
                    gradients.get_mut(&name("weight")).expect("there")[channel] += products;
                    let dx = &mut back[node.inputs[0].index()];
                    for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
                        for ((dx, x), dy) in dx[own.clone()].iter_mut().zip(&x[own.clone()]).zip(&dy[own.clone()]) {
                            *dx += scale / root * (dy - sum / count - (x - mean) / root * products / count);
                        }
                    }
                }
            }
            Op::Activation(own) => {
                add(&mut back[node.inputs[0].index()], dy, |image, place| activated(*own, x[image][place]).1);
            }
            Op::Pool(pool) => {
                let windows = self.pool_windows(node, pool);
                let size = (pool.window.size[0] * pool.window.size[1]) as f64;
                for ((dx, x), dy) in back[node.inputs[0].index()].iter_mut().zip(x).zip(dy) {
                    for (window, dy) in windows.iter().zip(dy) {
                        match pool.kind {
                            PoolKind::Max => {
                                let top = window.iter().map(|index| x[*index]).fold(f64::NEG_INFINITY, f64::max);
                                if let Some(first) = window.iter().find(|index| x[**index] == top) {
                                    dx[*first] += dy;
                                }
                            }
                            PoolKind::Average => window.iter().for_each(|index| dx[*index] += dy / size),
                        }
                    }
                }
            }
            Op::GlobalAveragePool => {
                let pixels = x[0].len() / channels;
                for (dx, dy) in back[node.inputs[0].index()].iter_mut().zip(dy) {
                    dx.iter_mut().enumerate().for_each(|(place, dx)| *dx += dy[place / pixels] / pixels as f64);
                }
            }
            Op::Add | Op::Flatten | Op::Reshape(_) => {
                node.inputs.iter().for_each(|value| add(&mut back[value.index()], dy, |_, _| 1.0));
            }
            Op::Concat => {
                let mut first = 0;
                for value in &node.inputs {
                    let len = back[value.index()][0].len();
                    let own: Vec<Vec<f64>> = dy.iter().map(|dy| dy[first..first + len].to_vec()).collect();
                    add(&mut back[value.index()], &own, |_, _| 1.0);
                    first += len;
                }
            }
            Op::Mul => {
                for (which, value) in node.inputs.iter().enumerate() {
                    let other = &self.values[node.inputs[1 - which].index()];
                    for (image, dx) in back[value.index()].iter_mut().enumerate() {
                        for (place, dy) in dy[image].iter().enumerate() {
                            let factor = self.factor(node, place);
                            match which {
                                0 => dx[place] += dy * other[image][factor],
                                _ => dx[factor] += dy * other[image][place],
                            }
                        }
                    }
                }
            }
            Op::Permute(_) | Op::Crop(_) => {
                let from = self.moved(node);
                for (dx, dy) in back[node.inputs[0].index()].iter_mut().zip(dy) {
                    from.iter().zip(dy).for_each(|(from, dy)| dx[*from] += dy);
                }
            }
            Op::LayerNorm(norm) => {
                let scale = self.of(node, "weight");
                for (image, dx) in back[node.inputs[0].index()].iter_mut().enumerate() {
                    let (x, dy) = (&x[image], &dy[image]);
                    for set in self.sets(node, &norm.axes) {
                        let ((mean, root), count) = (moments(x, &set, norm.epsilon), set.len() as f64);
                        let (mut sum, mut products) = (0.0, 0.0);
                        for (place, index) in set.iter().enumerate() {
                            let normal = (x[*index] - mean) / root;
                            gradients.get_mut(&name("weight")).expect("there")[place] += dy[*index] * normal;
                            gradients.get_mut(&name("bias")).expect("there")[place] += dy[*index];
                            sum += dy[*index] * scale[place];
                            products += dy[*index] * scale[place] * normal;
                        }
                        for (place, index) in set.iter().enumerate() {
                            let normal = (x[*index] - mean) / root;
                            dx[*index] += (dy[*index] * scale[place] - sum / count - normal * products / count) / root;
                        }
                    }
                }
            }
            Op::Softmax(axis) => {
                let y = &self.values[node.output.index()];
                for (image, dx) in back[node.inputs[0].index()].iter_mut().enumerate() {
                    let (y, dy) = (&y[image], &dy[image]);
                    for set in self.sets(node, &[*axis]) {
                        let sum: f64 = set.iter().map(|index| y[*index] * dy[*index]).sum();
                        set.iter().for_each(|index| dx[*index] += y[*index] * (dy[*index] - sum));
                    }
                }
            }
            Op::Embedding(table) => {
                let sums = gradients.get_mut(&name("weight")).expect("there");
                for (x, dy) in x.iter().zip(dy) {
                    for (number, dy) in x.iter().zip(dy.chunks(table.columns)) {
                        let row = &mut sums[*number as usize * table.columns..][..table.columns];
                        row.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy);
                    }
                }
            }
        }
    }
}

/// The place of an index along each side.
fn places(shape: &[usize], index: usize) -> Vec<usize> {
    let mut rest = index;
    let mut own: Vec<usize> = shape
        .iter()
        .rev()
        .map(|side| {
            let place = rest % side;
            rest /= side;
            place
        })
        .collect();
    own.reverse();
    own
}

/// Mean, and root of the variance and epsilon, of some numbers.
fn moments(x: &[f64], set: &[usize], epsilon: f64) -> (f64, f64) {
    let count = set.len() as f64;
    let mean = set.iter().map(|index| x[*index]).sum::<f64>() / count;
    let variance = set.iter().map(|index| (x[*index] - mean).powi(2)).sum::<f64>() / count;
    (mean, (variance + epsilon).sqrt())
}

/// Calls `f(output, input, element)` for every element of every window that lies within the image.
fn windows(window: &Window, [height, width]: [usize; 2], outputs: [usize; 2], mut f: impl FnMut(usize, usize, usize)) {
    let meets = |axis: usize, position: usize, element: usize, side: usize| {
        let padded = position * window.stride[axis] + element * window.dilation[axis];
        padded.checked_sub(window.padding[axis]).filter(|index| *index < side)
    };
    for position in 0..outputs[0] * outputs[1] {
        for element in 0..window.size[0] * window.size[1] {
            let (row, column) = (position / outputs[1], position % outputs[1]);
            let Some(y) = meets(0, row, element / window.size[1], height) else { continue };
            let Some(x) = meets(1, column, element % window.size[1], width) else { continue };
            f(position, y * width + x, element);
        }
    }
}

/// Mean, variance and number of a channel's values.
fn statistics(x: &[Vec<f64>], channel: usize, each: usize) -> (f64, f64, f64) {
    let own = || x.iter().flat_map(|x| &x[channel * each..(channel + 1) * each]);
    let count = own().count() as f64;
    let mean = own().sum::<f64>() / count;
    (mean, own().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count, count)
}

/// `dx += dy slope`
fn add(dx: &mut [Vec<f64>], dy: &[Vec<f64>], slope: impl Fn(usize, usize) -> f64) {
    for (image, (dx, dy)) in dx.iter_mut().zip(dy).enumerate() {
        dx.iter_mut().zip(dy).enumerate().for_each(|(place, (dx, dy))| *dx += dy * slope(image, place));
    }
}

fn map(x: &[Vec<f64>], f: impl Fn(f64) -> f64) -> Vec<Vec<f64>> {
    x.iter().map(|x| x.iter().map(|x| f(*x)).collect()).collect()
}

/// An activation and its slope.
fn activated(activation: Activation, x: f64) -> (f64, f64) {
    match activation {
        Activation::Relu => (x.max(0.0), f64::from(u8::from(x > 0.0))),
        Activation::Relu6 => (x.clamp(0.0, 6.0), f64::from(u8::from(x > 0.0 && x < 6.0))),
        Activation::Gelu => {
            let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let cdf = 0.5 + normal_area(x);
            (x * cdf, cdf + x * density)
        }
        Activation::HardSwish => {
            let slope = if x <= -3.0 {
                0.0
            } else if x >= 3.0 {
                1.0
            } else {
                x / 3.0 + 0.5
            };
            (x * (x + 3.0).clamp(0.0, 6.0) / 6.0, slope)
        }
        Activation::Sigmoid => {
            let sigmoid = 1.0 / (1.0 + (-x).exp());
            (sigmoid, sigmoid * (1.0 - sigmoid))
        }
        Activation::Tanh => (x.tanh(), 1.0 - x.tanh() * x.tanh()),
        Activation::HardSigmoid => ((x + 3.0).clamp(0.0, 6.0) / 6.0, if x.abs() < 3.0 { 1.0 / 6.0 } else { 0.0 }),
        Activation::GeluTanh => {
            let root = (2.0 / std::f64::consts::PI).sqrt();
            let tanh = (root * (x + 0.044715 * x * x * x)).tanh();
            let inner = root * (1.0 + 3.0 * 0.044715 * x * x);
            (0.5 * x * (1.0 + tanh), 0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * inner)
        }
        Activation::Silu => {
            let sigmoid = 1.0 / (1.0 + (-x).exp());
            (x * sigmoid, sigmoid * (1.0 + x * (1.0 - sigmoid)))
        }
    }
}

/// The area under the standard normal density between 0 and x, by its power series.
fn normal_area(x: f64) -> f64 {
    if x.abs() > 6.0 {
        // All but a billionth, where the terms of the series are too large for their sum.
        return 0.5f64.copysign(x);
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / (2.0 * f64::from(n));
        sum += term / (2.0 * f64::from(n) + 1.0);
    }
    sum / (2.0 * std::f64::consts::PI).sqrt()
}

/// Moves values along their gradient at the `time`-th step, in place, with their moments.
pub(crate) fn moved(
    optimizer: Optimizer,
    (lr, time): (f64, i32),
    value: f64,
    gradient: f64,
    moments: &mut [f64; 2],
) -> f64 {
    match optimizer {
        Optimizer::Sgd { momentum, nesterov, weight_decay } => {
            let gradient = gradient + f64::from(weight_decay) * value;
            let momentum = f64::from(momentum);
            moments[0] = if time == 1 { gradient } else { momentum * moments[0] + gradient };
            let way = if nesterov { gradient + momentum * moments[0] } else { moments[0] };
            value - lr * way
        }
        Optimizer::Adam { betas, epsilon, weight_decay, decoupled } => {
            let ([beta_1, beta_2], decay) = (betas.map(f64::from), f64::from(weight_decay));
            let (gradient, value) =
                if decoupled { (gradient, value * (1.0 - lr * decay)) } else { (gradient + decay * value, value) };
            moments[0] = beta_1 * moments[0] + (1.0 - beta_1) * gradient;
            moments[1] = beta_2 * moments[1] + (1.0 - beta_2) * gradient * gradient;
            let (m, v) = (moments[0] / (1.0 - beta_1.powi(time)), moments[1] / (1.0 - beta_2.powi(time)));
            value - lr * m / (v.sqrt() + f64::from(epsilon))
        }
    }
}
