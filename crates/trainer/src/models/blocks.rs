//! What networks for colour images are made of: convolutions with batch normalisation, and a chain that others branch off.

use secateur_graph::{Activation, BatchNorm, Builder, Conv2d, Error, Graph, Linear, Op, Value};

/// A graph that is being built, and the value that the next node reads.
pub(super) struct Chain {
    graph: Builder,
    last: Value,
}

impl Chain {
    /// Nothing but images of this shape.
    pub(super) fn new(input: [usize; 3]) -> Result<Self, Error> {
        let graph = Builder::new(&input)?;
        let last = graph.input();
        Ok(Self { graph, last })
    }

    /// The value that the next node reads.
    pub(super) fn last(&self) -> Value {
        self.last
    }

    /// Lets the next node read an earlier value.
    pub(super) fn go_back_to(&mut self, value: Value) {
        self.last = value;
    }

    /// Channels of the last value.
    pub(super) fn channels(&self) -> usize {
        self.graph.shape(self.last)[0]
    }

    /// Appends a node.
    pub(super) fn add(&mut self, name: &str, op: Op) -> Result<&mut Self, Error> {
        self.last = self.graph.add(name, op, &[self.last])?;
        Ok(self)
    }

    /// Appends the sum of the last value and another one.
    pub(super) fn add_to(&mut self, name: &str, other: Value) -> Result<&mut Self, Error> {
        self.last = self.graph.add(name, Op::Add, &[self.last, other])?;
        Ok(self)
    }

    /// Appends a convolution without a bias.
    pub(super) fn conv(&mut self, name: &str, conv: Conv2d) -> Result<&mut Self, Error> {
        self.add(name, Op::Conv2d(conv.without_bias()))
    }

    /// Appends batch normalisation.
    pub(super) fn norm(&mut self, name: &str) -> Result<&mut Self, Error> {
        self.add(name, Op::BatchNorm(BatchNorm::default()))
    }

    /// Appends a relu.
    pub(super) fn relu(&mut self, name: &str) -> Result<&mut Self, Error> {
        self.add(name, Op::Activation(Activation::Relu))
    }

    /// Ends with the mean of each channel and a fully connected layer for the classes.
    pub(super) fn classify(mut self, classes: usize) -> Result<Graph, Error> {
        self.add("avgpool", Op::GlobalAveragePool)?.add("flatten", Op::Flatten)?;
        self.add("fc", Op::Linear(Linear::new(classes)))?;
        Ok(self.finish())
    }

    /// The graph.
    pub(super) fn finish(self) -> Graph {
        self.graph.finish()
    }
}

/// A 3x3 convolution that keeps the sides of an image, or divides them by its stride.
pub(super) fn conv3(outputs: usize, stride: usize) -> Conv2d {
    Conv2d::new(outputs, 3).stride(stride).padding(1)
}

/// A 1x1 convolution.
pub(super) fn conv1(outputs: usize, stride: usize) -> Conv2d {
    Conv2d::new(outputs, 1).stride(stride)
}
