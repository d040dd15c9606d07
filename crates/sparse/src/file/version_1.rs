//! Files of version 1, whose networks are chains of layers: read as the graphs that these are.

use super::bits::Reader;
use super::graph::{Found, check, size};
use super::tensor::{self, Tensor};
use super::{Error, Precision};
use crate::node_names::NodeNames;
use secateur_graph::{Activation, BatchNorm, Builder, Conv2d, Linear, Op, Pool, Value, Weights};

/// Longest name of a layer that is kept whole; what is appended to equal names still fits into a node's name.
const LONGEST: usize = 150;

/// A graph with its weights, of no more than so many parameters, and no more values for one image.
///
/// An affine layer is a batch normalisation of mean 0 and variance 1. A layer that reads flat features stands behind a `flatten`, one
/// that reads an image behind a `reshape`, where its input is of the other kind. Names are made what nodes' names have to be, and
/// numbered where two are equal.
pub(super) fn read(precision: Precision, places: u32, reader: &mut Reader<'_>) -> Result<Found, Error> {
    let input = sides::<3>("the input", reader)?;
    let builder = Builder::new(&input).map_err(|source| Error::Node { place: reader.at(), source })?;
    let last = builder.input();
    let mut chain =
        Chain { builder, last, weights: Weights::default(), names: NodeNames::default(), places: places as usize };
    check(chain.builder.value_count(), chain.places, "the input", "values")?;
    let mut sizes = vec![];
    for place in 0..reader.usize("the number of layers")? {
        let start = reader.at();
        let (name, tensors) = chain.layer(place, precision, reader)?;
        sizes.extend(size(name, &tensors, reader.at() - start));
    }
    Ok((chain.builder.finish(), chain.weights, sizes))
}

/// The graph so far.
struct Chain {
    builder: Builder,
    /// What the next node reads.
    last: Value,
    weights: Weights,
    names: NodeNames,
    places: usize,
}

impl Chain {
    /// Reads a layer; its name, and what was read of its tensors beside their values.
    fn layer(
        &mut self,
        place: usize,
        precision: Precision,
        reader: &mut Reader<'_>,
    ) -> Result<(String, Vec<Tensor>), Error> {
        let at = format!("layer {place}");
        let kind = reader.u32(&format!("the kind of {at}"))?;
        let own = format!("the shape of {at}");
        let side = |reader: &mut Reader<'_>| sides::<1>(&own, reader).map(|[side]| side);
        let text = |reader: &mut Reader<'_>| reader.text(&format!("the name of {at}"));
        let small = precision.of_bias();
        match kind {
            0 => {
                let [inputs, outputs, kernel, stride, padding] = sides(&own, reader)?;
                let name = text(reader)?;
                self.unflatten(&name, reader)?;
                let op = Op::Conv2d(Conv2d::new(outputs, kernel).stride(stride).padding(padding));
                let shapes = [[outputs, inputs * kernel * kernel], [1, outputs]];
                self.expect_inputs(inputs, &at, reader)?;
                self.add_with(&name, op, [("weight", precision), ("bias", small)], shapes, reader)
            }
            1 => {
                let [inputs, outputs] = sides(&own, reader)?;
                let name = text(reader)?;
                if self.builder.shape(self.last).len() > 1 {
                    self.add(&format!("{name}.flatten"), Op::Flatten, reader)?;
                }
                self.expect_inputs(inputs, &at, reader)?;
                let shapes = [[outputs, inputs], [1, outputs]];
                let fields = [("weight", precision), ("bias", small)];
                self.add_with(&name, Op::Linear(Linear::new(outputs)), fields, shapes, reader)
            }
            2 => {
                let channels = side(reader)?;
                let name = text(reader)?;
                self.expect_inputs(channels, &at, reader)?;
                let norm = Op::BatchNorm(BatchNorm { epsilon: 0.0, ..BatchNorm::default() });
                let fields = [("weight", Precision::F32), ("bias", Precision::F32)];
                let found = self.add_with(&name, norm, fields, [[1, channels]; 2], reader)?;
                self.weights.insert(format!("{}.running_mean", found.0), vec![0.0; channels]);
                self.weights.insert(format!("{}.running_var", found.0), vec![1.0; channels]);
                Ok(found)
            }
            3 => self.add("relu", Op::Activation(Activation::Relu), reader),
            4 => self.pixels("max_pool", Op::Pool(Pool::max(side(reader)?)), reader),
            5 => self.pixels("average_pool", Op::Pool(Pool::average(side(reader)?)), reader),
            6 => self.pixels("crop", Op::Crop(sides(&own, reader)?), reader),
            7 => self.add("flatten", Op::Flatten, reader),
            _ => Err(reader.field(&format!("the kind of {at}"), kind, "0 to 7")),
        }
    }

    fn expect_inputs(&self, found: usize, at: &str, reader: &Reader<'_>) -> Result<(), Error> {
        let expected = self.builder.shape(self.last)[0];
        if found == expected {
            return Ok(());
        }
        Err(reader.field(&format!("the inputs of {at}"), found, expected))
    }

    /// Makes an image of flat features.
    fn unflatten(&mut self, name: &str, reader: &Reader<'_>) -> Result<(), Error> {
        if self.builder.shape(self.last).len() == 3 {
            return Ok(());
        }
        let features = self.builder.shape(self.last)[0];
        self.add(&format!("{name}.reshape"), Op::Reshape(vec![features, 1, 1]), reader).map(drop)
    }

    /// Adds a node that reads an image.
    fn pixels(&mut self, name: &str, op: Op, reader: &Reader<'_>) -> Result<(String, Vec<Tensor>), Error> {
        self.unflatten(name, reader)?;
        self.add(name, op, reader)
    }

    /// Adds a node without tensors.
    fn add(&mut self, name: &str, op: Op, reader: &Reader<'_>) -> Result<(String, Vec<Tensor>), Error> {
        let name = self.name(name);
        self.last =
            self.builder.add(&name, op, &[self.last]).map_err(|source| Error::Node { place: reader.at(), source })?;
        check(self.builder.value_count(), self.places, &name, "values for one image")?;
        check(self.builder.parameter_count(), self.places, &name, "parameters")?;
        Ok((name, vec![]))
    }

    /// Adds a node with two tensors, each as a matrix of these sides.
    fn add_with(
        &mut self,
        name: &str,
        op: Op,
        fields: [(&str, Precision); 2],
        shapes: [[usize; 2]; 2],
        reader: &mut Reader<'_>,
    ) -> Result<(String, Vec<Tensor>), Error> {
        let (name, mut tensors) = self.add(name, op, reader)?;
        for ((field, precision), shape) in fields.into_iter().zip(shapes) {
            let mut tensor = tensor::read(shape, precision, &format!("`{name}.{field}`"), reader)?;
            self.weights.insert(format!("{name}.{field}"), std::mem::take(&mut tensor.values));
            tensors.push(tensor);
        }
        Ok((name, tensors))
    }

    /// The name, without characters that are no part of a node's name, and with a number where it is taken.
    fn name(&mut self, own: &str) -> String {
        let fine = |letter: char| if letter.is_ascii_alphanumeric() || "_-.".contains(letter) { letter } else { '_' };
        let own: String = own.chars().take(LONGEST).map(fine).collect();
        let own = if own.is_empty() { "layer".to_owned() } else { own };
        self.names.free(&self.builder, own)
    }
}

/// Sides of a shape.
fn sides<const N: usize>(what: &str, reader: &mut Reader<'_>) -> Result<[usize; N], Error> {
    let mut sides = [0; N];
    for own in &mut sides {
        *own = reader.usize(what)?;
    }
    Ok(sides)
}
