//! A chain of plain layers as a graph, for whoever walks graphs: the inverse of `from_graph.rs`.

use crate::node_names::NodeNames;
use crate::{Affine, Conv2d, Layer, Linear, Network};
use secateur_graph::{Activation, BatchNorm, Builder, Error, Graph, Op, Pool, Value, Weights};

/// Longest name of a layer that is kept whole; what is appended to equal names still fits into a node's name.
const LONGEST: usize = 150;

impl Network {
    /// The same network as a graph and its weights: it answers the same, to the last bit.
    ///
    /// An affine layer is a batch normalisation of mean 0 and variance 1. A layer that reads flat features stands behind a
    /// `flatten`, one that reads an image behind a `reshape`, where its input is of the other kind. Names are made what
    /// nodes' names have to be, and numbered where two are equal.
    ///
    /// # Errors
    /// When all values of the network together, or all its parameters, are more than a graph may have.
    pub fn to_graph(&self) -> Result<(Graph, Weights), Error> {
        let builder = Builder::new(&self.input())?;
        let last = builder.input();
        let mut chain = Chain { builder, last, weights: Weights::default(), names: NodeNames::default() };
        for (place, layer) in self.layers().iter().enumerate() {
            chain.layer(layer, self.shape(place))?;
        }
        Ok((chain.builder.finish(), chain.weights))
    }
}

/// The graph so far.
struct Chain {
    builder: Builder,
    /// What the next node reads.
    last: Value,
    weights: Weights,
    names: NodeNames,
}

impl Chain {
    fn layer(&mut self, layer: &Layer, input: [usize; 3]) -> Result<(), Error> {
        match layer {
            Layer::Conv2d(Conv2d { name, outputs, kernel, stride, padding, weight, bias, .. }) => {
                self.unflatten(name, input)?;
                let conv = secateur_graph::Conv2d::new(*outputs, *kernel).stride(*stride).padding(*padding);
                self.add(name, Op::Conv2d(conv), &[("weight", weight), ("bias", bias)])
            }
            Layer::Linear(Linear { name, outputs, weight, bias, .. }) => {
                if self.builder.shape(self.last).len() > 1 {
                    self.add(&format!("{name}.flatten"), Op::Flatten, &[])?;
                }
                let linear = secateur_graph::Linear::new(*outputs);
                self.add(name, Op::Linear(linear), &[("weight", weight), ("bias", bias)])
            }
            Layer::Affine(Affine { name, scale, shift }) => {
                let (mean, variance) = (vec![0.0; scale.len()], vec![1.0; scale.len()]);
                let norm = BatchNorm { epsilon: 0.0, ..BatchNorm::default() };
                let values: [(&str, &[f32]); 4] =
                    [("weight", scale), ("bias", shift), ("running_mean", &mean), ("running_var", &variance)];
                self.add(name, Op::BatchNorm(norm), &values)
            }
            Layer::Relu => self.add("relu", Op::Activation(Activation::Relu), &[]),
            Layer::MaxPool2d { size } => {
                self.unflatten("max_pool", input)?;
                self.add("max_pool", Op::Pool(Pool::max(*size)), &[])
            }
            Layer::AvgPool2d { size } => {
                self.unflatten("average_pool", input)?;
                self.add("average_pool", Op::Pool(Pool::average(*size)), &[])
            }
            Layer::Crop { height, width } => {
                self.unflatten("crop", input)?;
                self.add("crop", Op::Crop([*height, *width]), &[])
            }
            Layer::Flatten => self.add("flatten", Op::Flatten, &[]),
        }
    }

    /// Makes an image of flat features.
    fn unflatten(&mut self, name: &str, image: [usize; 3]) -> Result<(), Error> {
        if self.builder.shape(self.last).len() == 3 {
            return Ok(());
        }
        self.add(&format!("{name}.reshape"), Op::Reshape(image.to_vec()), &[])
    }

    fn add(&mut self, name: &str, op: Op, values: &[(&str, &[f32])]) -> Result<(), Error> {
        let name = self.name(name);
        self.last = self.builder.add(&name, op, &[self.last])?;
        values.iter().for_each(|(field, own)| self.weights.insert(format!("{name}.{field}"), own.to_vec()));
        Ok(())
    }

    /// The name, without characters that are no part of a node's name, and with a number where it is taken.
    fn name(&mut self, own: &str) -> String {
        let fine = |letter: char| if letter.is_ascii_alphanumeric() || "_-.".contains(letter) { letter } else { '_' };
        let own: String = own.chars().take(LONGEST).map(fine).collect();
        let own = if own.is_empty() { "layer".to_owned() } else { own };
        self.names.free(&self.builder, own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::tests::{conv, linear};

    #[test]
    fn layers_that_read_another_kind_of_value_stand_behind_a_node_that_makes_it() {
        let affine = Affine { name: "input".into(), scale: vec![2.0, 3.0], shift: vec![0.0, 1.0] };
        let layers = vec![
            linear("f\u{e9}", [2, 2], vec![1.0, 2.0, 3.0, 4.0]),
            Layer::Relu,
            Layer::Affine(affine),
            conv("", [2, 3, 1], vec![1.0; 6]),
            Layer::Relu,
            Layer::Flatten,
        ];
        let network = Network::new([2, 1, 1], layers).expect("fits");
        let (graph, weights) = network.to_graph().expect("small");
        let nodes: Vec<String> = graph.nodes().iter().map(|node| format!("{}: {}", node.name, node.op)).collect();
        let expected = [
            "f_.flatten: flatten",
            "f_: linear, 2 outputs",
            "relu: relu",
            "input_2: batch-norm",
            ".reshape: reshape to [2, 1, 1]",
            "layer: conv2d, 3 filters of 1x1",
            "relu_2: relu",
            "flatten: flatten",
        ];
        assert_eq!(nodes, expected);
        weights.check(&graph).expect("all of them");
        assert_eq!(graph.forward(&weights, &[0.5, -0.25]), network.forward(&[0.5, -0.25]));
        let again = Network::from_graph(&graph, &weights).expect("a chain, with a flatten more");
        assert_eq!(again.layers().len(), network.layers().len() + 1);
        assert_eq!(again.forward(&[0.5, -0.25]), network.forward(&[0.5, -0.25]));
    }

    #[test]
    fn a_chain_with_proper_names_comes_back() {
        let affine = Affine { name: "norm".into(), scale: vec![2.0, 3.0], shift: vec![0.5, 1.0] };
        let layers = vec![
            Layer::Crop { height: 4, width: 3 },
            conv("conv", [1, 2, 1], vec![1.0, 2.0]),
            Layer::Affine(affine),
            Layer::MaxPool2d { size: 2 },
            Layer::AvgPool2d { size: 1 },
            Layer::Flatten,
            linear("fc", [4, 2], vec![0.5; 8]),
        ];
        let network = Network::new([1, 5, 5], layers).expect("fits");
        let (graph, weights) = network.to_graph().expect("small");
        assert_eq!(Network::from_graph(&graph, &weights).expect("a chain"), network);
    }
}
