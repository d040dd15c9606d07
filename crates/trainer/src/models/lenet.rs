//! The three networks that pruning papers train on MNIST: LeNet with a width factor, LeNet-300-100, and Caffe's LeNet-5.

use secateur_graph::{Activation, Conv2d, Error, Graph, Linear, Op, Pool};

fn relu() -> Op {
    Op::Activation(Activation::Relu)
}

fn conv(outputs: usize, kernel: usize) -> Op {
    Op::Conv2d(Conv2d::new(outputs, kernel))
}

fn linear(outputs: usize) -> Op {
    Op::Linear(Linear::new(outputs))
}

fn pool() -> Op {
    Op::Pool(Pool::max(2))
}

/// Conv 6k, conv 16k (3x3, relu, max-pool 2), fc 120k, fc 84k (relu), fc `classes`, with k = `width`.
pub(super) fn lenet(input: [usize; 3], classes: usize, width: usize) -> Result<Graph, Error> {
    let wide = |units: usize| units.saturating_mul(width);
    Graph::sequential(
        &input,
        [
            ("conv1", conv(wide(6), 3)),
            ("relu1", relu()),
            ("pool1", pool()),
            ("conv2", conv(wide(16), 3)),
            ("relu2", relu()),
            ("pool2", pool()),
            ("flatten", Op::Flatten),
            ("fc1", linear(wide(120))),
            ("relu3", relu()),
            ("fc2", linear(wide(84))),
            ("relu4", relu()),
            ("fc3", linear(classes)),
        ],
    )
}

/// Conv 20, conv 50 (5x5, max-pool 2, no relu), fc 500 (relu), fc `classes`.
pub(super) fn lenet5(input: [usize; 3], classes: usize) -> Result<Graph, Error> {
    Graph::sequential(
        &input,
        [
            ("conv1", conv(20, 5)),
            ("pool1", pool()),
            ("conv2", conv(50, 5)),
            ("pool2", pool()),
            ("flatten", Op::Flatten),
            ("fc1", linear(500)),
            ("relu1", relu()),
            ("fc2", linear(classes)),
        ],
    )
}

/// Fully connected layers of these sizes with relu between them, and `classes` outputs: `fc1`, `fc2`, and so on.
pub(super) fn mlp(input: [usize; 3], classes: usize, hidden: &[usize]) -> Result<Graph, Error> {
    let mut ops = vec![("flatten".to_owned(), Op::Flatten)];
    for (place, outputs) in hidden.iter().enumerate() {
        ops.push((format!("fc{}", place + 1), linear(*outputs)));
        ops.push((format!("relu{}", place + 1), relu()));
    }
    ops.push((format!("fc{}", hidden.len() + 1), linear(classes)));
    Graph::sequential(&input, ops.iter().map(|(name, op)| (name.as_str(), op.clone())))
}
