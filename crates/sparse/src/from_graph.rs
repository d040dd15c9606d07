//! A graph as a chain of plain layers, for kernels that compute chains.

use crate::{Affine, Conv2d, Layer, Linear, Network};
use secateur_graph::{Activation, Graph, Node, Op, Pool, PoolKind, Role, Weights, Window};

/// A node that no chain of layers has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}`: {why}")]
pub struct Unsupported {
    /// The node.
    pub node: String,
    /// Why it is none.
    pub why: String,
}

impl Network {
    /// The chain of layers that a graph is, with these weights; batch normalisation as its factors and addends.
    ///
    /// # Errors
    /// The first node that the native engine cannot compute.
    ///
    /// # Panics
    /// When the weights are not the graph's; [`Weights::check`] finds that out.
    pub fn from_graph(graph: &Graph, weights: &Weights) -> Result<Self, Unsupported> {
        let (input, layers) = chain(graph, weights)?;
        // Shapes are checked when a graph is made; what is left is that kernels count in 32 bits.
        Self::new(input, layers).map_err(|error| refuse("input", error.to_string()))
    }
}

fn refuse(node: &str, why: String) -> Unsupported {
    Unsupported { node: node.to_owned(), why }
}

/// The input's shape and the layers.
fn chain(graph: &Graph, weights: &Weights) -> Result<([usize; 3], Vec<Layer>), Unsupported> {
    let input = match *graph.shape(graph.input()) {
        [features] => [features, 1, 1],
        [channels, height, width] => [channels, height, width],
        _ => return Err(refuse("input", "expected [channels, height, width] or [features]".into())),
    };
    let mut layers = Vec::with_capacity(graph.nodes().len());
    let mut last = graph.input();
    for node in graph.nodes() {
        if node.inputs != [last] {
            let why = "the native engine computes chains, in which each node reads what the one before gives";
            return Err(refuse(&node.name, why.into()));
        }
        // Features and an image of one pixel are the same to a chain.
        let same =
            matches!((graph.shape(node.inputs[0]), &node.op), ([own], Op::Reshape(to)) if to[..] == [*own, 1, 1]);
        if !same {
            layers.push(layer(graph, node, weights).map_err(|why| refuse(&node.name, why))?);
        }
        last = node.output;
    }
    Ok((input, layers))
}

/// The layer that a node is, or why it is none.
fn layer(graph: &Graph, node: &Node, weights: &Weights) -> Result<Layer, String> {
    let before = graph.shape(node.inputs[0]);
    let of = |role: Role| weights.get(&format!("{}.{}", node.name, role.field())).to_vec();
    let name = node.name.clone();
    let native = |what: &str| Err(format!("{what}, which the native engine does not compute"));
    match &node.op {
        Op::Conv2d(conv) if conv.groups > 1 => native("a convolution in groups"),
        Op::Conv2d(conv) => {
            let ([kernel, stride, padding], inputs) = (square(conv.window)?, before[0]);
            let bias = if conv.bias { of(Role::Bias) } else { vec![0.0; conv.outputs] };
            let weight = of(Role::Weight);
            Ok(Layer::Conv2d(Conv2d { name, inputs, outputs: conv.outputs, kernel, stride, padding, weight, bias }))
        }
        Op::Linear(linear) => {
            let bias = if linear.bias { of(Role::Bias) } else { vec![0.0; linear.outputs] };
            Ok(Layer::Linear(Linear {
                name,
                inputs: before[0],
                outputs: linear.outputs,
                weight: of(Role::Weight),
                bias,
            }))
        }
        Op::BatchNorm(norm) => {
            let factor = |(scale, variance): (&f32, &f32)| {
                (f64::from(*scale) / (f64::from(*variance) + norm.epsilon).sqrt()) as f32
            };
            let scale: Vec<f32> = of(Role::Scale).iter().zip(&of(Role::Variance)).map(factor).collect();
            let means = of(Role::Mean);
            let addend = |(channel, shift): (usize, &f32)| shift - scale[channel] * means[channel];
            let shift = of(Role::Shift).iter().enumerate().map(addend).collect();
            Ok(Layer::Affine(Affine { name, scale, shift }))
        }
        Op::Activation(Activation::Relu) => Ok(Layer::Relu),
        Op::Activation(_) => native("an activation other than relu"),
        Op::Pool(Pool { kind, window }) => {
            let [size, stride, padding] = square(*window)?;
            if (stride, padding) != (size, 0) {
                return native("pooling over windows that overlap, are padded or stand apart");
            }
            Ok(match kind {
                PoolKind::Max => Layer::MaxPool2d { size },
                PoolKind::Average => Layer::AvgPool2d { size },
            })
        }
        Op::GlobalAveragePool if before[1] == before[2] => Ok(Layer::AvgPool2d { size: before[1] }),
        Op::GlobalAveragePool => native("the mean of channels that are not square"),
        Op::Flatten => Ok(Layer::Flatten),
        Op::Crop([height, width]) => Ok(Layer::Crop { height: *height, width: *width }),
        Op::Reshape(to) if to.len() == 1 => Ok(Layer::Flatten),
        other => native(&format!("`{other}`")),
    }
}

/// Size, stride and padding of a window that is square and not dilated.
fn square(window: Window) -> Result<[usize; 3], String> {
    let Window { size: [size, columns], stride: [stride, across], padding: [padding, beside], dilation } = window;
    if size == columns && stride == across && padding == beside && dilation == [1; 2] {
        Ok([size, stride, padding])
    } else {
        Err(format!("a window of {window}, expected a square one without dilation, as the native engine has"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secateur_graph::{BatchNorm, Builder};

    fn convolution() -> secateur_graph::Conv2d {
        secateur_graph::Conv2d::new(3, 3)
    }

    #[test]
    fn a_chain_answers_as_its_graph() {
        let ops = [
            ("conv", Op::Conv2d(convolution().stride(2).padding(1).without_bias())),
            ("norm", Op::BatchNorm(BatchNorm::default())),
            ("relu", Op::Activation(Activation::Relu)),
            ("crop", Op::Crop([4, 4])),
            ("pool", Op::Pool(Pool::max(2))),
            ("mean", Op::GlobalAveragePool),
            ("flat", Op::Flatten),
            ("fc", Op::Linear(secateur_graph::Linear::new(2))),
        ];
        let graph = Graph::sequential(&[2, 8, 8], ops).expect("fits");
        let values = graph.parameters().iter().enumerate().map(|(place, own)| {
            let value = |index: usize| ((index * 7 + place * 3) % 11) as f32 / 10.0 + 0.1;
            (own.name.clone(), (0..own.len()).map(value).collect())
        });
        let weights: Weights = values.collect();
        let image: Vec<f32> = (0..128).map(|place| (place % 13) as f32 / 6.0 - 1.0).collect();
        let network = Network::from_graph(&graph, &weights).expect("a chain");
        for (found, expected) in network.forward(&image).iter().zip(graph.forward(&weights, &image)) {
            assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} {expected}");
        }
    }

    #[test]
    fn what_is_no_chain_is_refused_by_its_node() {
        let mut net = Builder::new(&[3, 8, 8]).expect("a shape");
        let input = net.input();
        let conv = net.add("conv", Op::Conv2d(convolution().padding(1)), &[input]).expect("fits");
        net.add("sum", Op::Add, &[conv, input]).expect("fits");
        let graph = net.finish();
        let refused = Network::from_graph(&graph, &Weights::neutral(&graph)).expect_err("no chain").to_string();
        assert!(refused.starts_with("node `sum`: the native engine computes chains"), "{refused}");
        let odd = Window { size: [3, 1], ..Window::square(3) };
        for (op, why) in [
            (Op::Conv2d(convolution().groups(3)), "a convolution in groups"),
            (Op::Conv2d(secateur_graph::Conv2d { window: odd, ..convolution() }), "a window of 3x1"),
            (Op::Activation(Activation::Gelu), "an activation other than relu"),
            (Op::Pool(Pool { window: Window::square(2), ..Pool::max(2) }), "pooling over windows that overlap"),
            (Op::Reshape(vec![6, 4, 8]), "`reshape to [6, 4, 8]`"),
        ] {
            let graph = Graph::sequential(&[3, 8, 8], [("odd", op)]).expect("fits");
            let refused = Network::from_graph(&graph, &Weights::neutral(&graph)).expect_err("not native").to_string();
            assert!(refused.starts_with(&format!("node `odd`: {why}")), "{refused}");
        }
    }
}
