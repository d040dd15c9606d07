//! The layers of a network in the file, one after the other, and what each takes.

use super::bits::{Reader, Writer, to_u32};
use super::positions::Coding;
use super::tensor::{self, Tensor};
use super::{Error, PLACES, Precision};
use crate::{Affine, Conv2d, Layer, Linear, Network};

/// What a layer takes in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSize {
    /// The layer's name, such as `fc1`.
    pub name: String,
    /// How the places of its weights, or of an affine layer's scale, are stored.
    pub coding: Coding,
    /// Values stored: weights and biases.
    pub stored: usize,
    /// Bytes that tell where they stand.
    pub position_bytes: usize,
    /// Bytes of the values and their scales.
    pub value_bytes: usize,
    /// Bytes of the whole layer, with its kind, name and shape.
    pub bytes: usize,
}

/// The name of a tensor in errors.
pub(super) fn what(layer: &str, field: &str) -> String {
    format!("`{layer}.{field}`")
}

pub(super) fn write(network: &Network, precision: Precision, writer: &mut Writer) -> Result<(), Error> {
    let mut budget = Budget::new(PLACES);
    budget.values(network.input(), "the input")?;
    shape(&network.input(), "the input", writer)?;
    writer.u32(to_u32(network.layers().len(), "the number of layers")?);
    for (place, layer) in network.layers().iter().enumerate() {
        let name = layer.name();
        let own = what(name, "shape");
        budget.padded(layer, network.shape(place), name)?;
        budget.values(network.shape(place + 1), &format!("what `{name}` gives"))?;
        let (kind, sides): (u32, &[usize]) = match layer {
            Layer::Conv2d(own) => (0, &[own.inputs, own.outputs, own.kernel, own.stride, own.padding]),
            Layer::Linear(own) => (1, &[own.inputs, own.outputs]),
            Layer::Affine(own) => (2, &[own.scale.len()]),
            Layer::Relu => (3, &[]),
            Layer::MaxPool2d { size } => (4, &[*size]),
            Layer::AvgPool2d { size } => (5, &[*size]),
            Layer::Crop { height, width } => (6, &[*height, *width]),
            Layer::Flatten => (7, &[]),
        };
        writer.u32(kind);
        shape(sides, &own, writer)?;
        let small = precision.of_bias();
        match layer {
            Layer::Conv2d(Conv2d { weight, bias, .. }) | Layer::Linear(Linear { weight, bias, .. }) => {
                writer.text(name, &own)?;
                let rows = bias.len();
                let columns = layer.parameters().map_or(0, |own| own.shape[1..].iter().product());
                for (field, shape, values, precision) in
                    [("weight", [rows, columns], weight, precision), ("bias", [1, rows], bias, small)]
                {
                    budget.tensor(&shape, &what(name, field))?;
                    tensor::write(shape, values, precision, &what(name, field), writer)?;
                }
            }
            Layer::Affine(Affine { scale, shift, .. }) => {
                writer.text(name, &own)?;
                for (field, values) in [("scale", scale), ("shift", shift)] {
                    budget.tensor(&[1, values.len()], &what(name, field))?;
                    tensor::write([1, values.len()], values, Precision::F32, &what(name, field), writer)?;
                }
            }
            Layer::Relu | Layer::MaxPool2d { .. } | Layer::AvgPool2d { .. } | Layer::Crop { .. } | Layer::Flatten => {}
        }
    }
    Ok(())
}

fn shape(sides: &[usize], what: &str, writer: &mut Writer) -> Result<(), Error> {
    for side in sides {
        Budget::new(PLACES).tensor(&[1, *side], what)?;
        writer.u32(*side as u32);
    }
    Ok(())
}

/// A network, and for each layer that has values its size.
pub(super) fn read(
    precision: Precision,
    places: u32,
    reader: &mut Reader<'_>,
) -> Result<(Network, Vec<LayerSize>), Error> {
    let mut budget = Budget::new(places);
    let input = sides("the input", reader)?;
    budget.values(input, "the input")?;
    let count = reader.usize("the number of layers")?;
    let (mut layers, mut sizes) = (vec![], vec![]);
    let mut shape = input;
    for place in 0..count {
        let start = reader.at();
        let (layer, tensors) = layer(place, precision, &mut budget, reader)?;
        budget.padded(&layer, shape, layer.name())?;
        shape = layer.output(place, shape)?;
        budget.values(shape, &format!("what layer {place} (`{}`) gives", layer.name()))?;
        if let Some([first, second]) = tensors {
            sizes.push(LayerSize {
                name: layer.name().to_owned(),
                coding: first.coding,
                stored: first.stored + second.stored,
                position_bytes: first.position_bytes + second.position_bytes,
                value_bytes: first.value_bytes + second.value_bytes,
                bytes: reader.at() - start,
            });
        }
        layers.push(layer);
    }
    Ok((Network::new(input, layers)?, sizes))
}

/// One layer, and what was read of its tensors beside their values.
fn layer(
    place: usize,
    precision: Precision,
    budget: &mut Budget,
    reader: &mut Reader<'_>,
) -> Result<(Layer, Option<[Tensor; 2]>), Error> {
    let at = format!("layer {place}");
    let kind = reader.u32(&format!("the kind of {at}"))?;
    let own = format!("the shape of {at}");
    let mut pair = |name: &str, reader: &mut Reader<'_>, fields: [(&str, &[usize], Precision); 2]| {
        let mut read = |(field, shape, precision): (&str, &[usize], Precision)| {
            let what = what(name, field);
            let columns = budget.tensor(shape, &what)?;
            tensor::read([shape[0], columns], precision, &what, reader)
        };
        Ok::<_, Error>([read(fields[0])?, read(fields[1])?])
    };
    let small = precision.of_bias();
    let simple = |layer: Layer| Ok((layer, None));
    // Each tensor as read, and its values.
    let taken = |tensors: [Tensor; 2]| {
        let mut tensors = tensors;
        let values = tensors.each_mut().map(|tensor| std::mem::take(&mut tensor.values));
        (values, Some(tensors))
    };
    match kind {
        0 => {
            let [inputs, outputs, kernel, stride, padding] = sides(&own, reader)?;
            let name = reader.text(&format!("the name of {at}"))?;
            let weight: &[usize] = &[outputs, inputs, kernel, kernel];
            let tensors = pair(&name, reader, [("weight", weight, precision), ("bias", &[1, outputs], small)])?;
            let ([weight, bias], tensors) = taken(tensors);
            Ok((Layer::Conv2d(Conv2d { name, inputs, outputs, kernel, stride, padding, weight, bias }), tensors))
        }
        1 => {
            let [inputs, outputs] = sides(&own, reader)?;
            let name = reader.text(&format!("the name of {at}"))?;
            let weight: &[usize] = &[outputs, inputs];
            let tensors = pair(&name, reader, [("weight", weight, precision), ("bias", &[1, outputs], small)])?;
            let ([weight, bias], tensors) = taken(tensors);
            Ok((Layer::Linear(Linear { name, inputs, outputs, weight, bias }), tensors))
        }
        2 => {
            let channels = side(&own, reader)?;
            let name = reader.text(&format!("the name of {at}"))?;
            let shape: &[usize] = &[1, channels];
            let tensors = pair(&name, reader, [("scale", shape, Precision::F32), ("shift", shape, Precision::F32)])?;
            let ([scale, shift], tensors) = taken(tensors);
            Ok((Layer::Affine(Affine { name, scale, shift }), tensors))
        }
        3 => simple(Layer::Relu),
        4 => simple(Layer::MaxPool2d { size: side(&own, reader)? }),
        5 => simple(Layer::AvgPool2d { size: side(&own, reader)? }),
        6 => simple(Layer::Crop { height: side(&own, reader)?, width: side(&own, reader)? }),
        7 => simple(Layer::Flatten),
        _ => Err(reader.field(&format!("the kind of {at}"), kind, "0 to 7")),
    }
}

fn side(what: &str, reader: &mut Reader<'_>) -> Result<usize, Error> {
    let side = reader.usize(what)?;
    Budget::new(PLACES).tensor(&[1, side], what)?;
    Ok(side)
}

fn sides<const N: usize>(what: &str, reader: &mut Reader<'_>) -> Result<[usize; N], Error> {
    let mut sides = [0; N];
    for own in &mut sides {
        *own = side(what, reader)?;
    }
    Ok(sides)
}

/// The places that a network may still have.
#[derive(Debug)]
pub(super) struct Budget {
    all: usize,
    left: usize,
}

impl Budget {
    pub(super) fn new(places: u32) -> Self {
        Self { all: places as usize, left: places as usize }
    }

    /// Takes the places of a tensor, rows first; gives the columns of a row.
    pub(super) fn tensor(&mut self, shape: &[usize], what: &str) -> Result<usize, Error> {
        let columns = product(&shape[1..]);
        let places = columns.and_then(|columns| columns.checked_mul(shape[0]));
        let left = places.and_then(|places| self.left.checked_sub(places));
        match (columns.filter(|columns| *columns <= self.all), left) {
            (Some(columns), Some(left)) => {
                self.left = left;
                Ok(columns)
            }
            // Without a row, the columns alone can be too many.
            (columns, _) => {
                let places = if shape[0] == 0 { columns } else { places };
                Err(Error::Limit { what: what.to_owned(), found: found(places), wanted: self.left })
            }
        }
    }

    /// Whether an image with the zeros that a convolution adds around it is not larger either.
    fn padded(&self, layer: &Layer, input: [usize; 3], name: &str) -> Result<(), Error> {
        match layer {
            Layer::Conv2d(conv) => self.values(conv.padded(input), &format!("the padded input of `{name}`")),
            _ => Ok(()),
        }
    }

    /// Whether the values between two layers are no more than a network's places.
    fn values(&self, shape: [usize; 3], what: &str) -> Result<(), Error> {
        match product(&shape) {
            Some(values) if values <= self.all => Ok(()),
            values => Err(Error::Limit { what: what.to_owned(), found: found(values), wanted: self.all }),
        }
    }
}

fn product(sides: &[usize]) -> Option<usize> {
    sides.iter().try_fold(1usize, |product, side| product.checked_mul(*side))
}

fn found(places: Option<usize>) -> u64 {
    places.map_or(u64::MAX, |places| places as u64)
}
