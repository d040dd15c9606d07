//! The nodes of a graph in the file, one after the other, each with its weights.

use super::bits::{Reader, Writer, to_u32};
use super::budget::Budget;
use super::positions::Coding;
use super::tensor::{self, Tensor};
use super::values::Values;
use super::{Error, PLACES, Precision, ops};
use secateur_graph::{Builder, Graph, Op, Parameter, Role, Weights};

/// What a node with values takes in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSize {
    /// The node's name, such as `fc1`.
    pub name: String,
    /// How the places of its weights, or of batch normalisation's scale, are stored.
    pub coding: Coding,
    /// Values stored, of all of its parameters.
    pub stored: usize,
    /// Bytes that tell where they stand.
    pub position_bytes: usize,
    /// Bytes of the values and their scales.
    pub value_bytes: usize,
    /// Bytes of the whole node, with its kind, name and shape.
    pub bytes: usize,
}

/// What a file holds of a graph.
pub(super) type Found = (Graph, Weights, Vec<LayerSize>);

pub(super) fn write(graph: &Graph, weights: &Weights, precision: Precision, writer: &mut Writer) -> Result<(), Error> {
    weights.check(graph).map_err(Error::Weights)?;
    let mut budget = Budget::new(PLACES);
    ops::write_shape(graph.shape(graph.input()), "the shape of the input", writer)?;
    writer.u32(to_u32(graph.nodes().len(), "the number of nodes")?);
    let mut parameters = graph.parameters().iter().peekable();
    for (place, node) in graph.nodes().iter().enumerate() {
        let inputs = node.inputs.iter().map(|value| value.index());
        writer.u32(ops::kind(&node.op));
        writer.text(&node.name, "the length of a node's name")?;
        writer.u32(to_u32(node.inputs.len(), "the number of inputs")?);
        for input in inputs {
            writer.u32(to_u32(input, "the number of values")?);
        }
        ops::write(node, graph.shape(node.inputs[0]), writer)?;
        while let Some(own) = parameters.next_if(|own| own.node == place) {
            let (shape, what, values) = (matrix(own), what(own), weights.get(&own.name));
            budget.tensor(&shape, &what)?;
            tensor::write(shape, values, precision_of(own, precision), &what, writer)?;
            if let (Role::Variance, Op::BatchNorm(norm)) = (own.role, &node.op)
                && let Some(place) = values.iter().position(|value| !norm.takes_variance(*value))
            {
                return Err(Error::Value { what, place, found: values[place], wanted: VARIANCE });
            }
        }
    }
    Ok(())
}

/// A graph with its weights, of no more than so many parameters, and no more values for one image.
pub(super) fn read(precision: Precision, places: u32, reader: &mut Reader<'_>) -> Result<Found, Error> {
    let places = places as usize;
    let input = ops::read_shape("the shape of the input", reader)?;
    let mut builder = Builder::new(&input).map_err(|source| Error::Node { place: reader.at(), source })?;
    check(builder.value_count(), places, "the input", "values")?;
    let count = reader.usize("the number of nodes")?;
    let (mut weights, mut sizes) = (Weights::default(), vec![]);
    for place in 0..count {
        let start = reader.at();
        let known = builder.parameters().len();
        let name = node(place, &mut builder, reader)?;
        check(builder.value_count(), places, &name, "values for one image")?;
        check(builder.parameter_count(), places, &name, "parameters")?;
        let mut tensors = vec![];
        for own in &builder.parameters()[known..] {
            let mut tensor = tensor::read(matrix(own), precision_of(own, precision), &what(own), reader)?;
            weights.insert(&own.name, std::mem::take(&mut tensor.values));
            tensors.push(tensor);
        }
        check_variances(&builder, &name, &weights, reader)?;
        sizes.extend(size(name, &tensors, reader.at() - start));
    }
    Ok((builder.finish(), weights, sizes))
}

/// Reads one node without its weights, and gives its name.
fn node(place: usize, builder: &mut Builder, reader: &mut Reader<'_>) -> Result<String, Error> {
    let kind = reader.u32(&format!("the kind of node {place}"))?;
    let name = reader.text(&format!("the name of node {place}"))?;
    let what = format!("the number of inputs of `{name}`");
    let mut inputs = vec![];
    for _ in 0..reader.u32(&what)? {
        let input = reader.usize(&format!("an input of `{name}`"))?;
        let value = builder.value(input);
        let missing = || reader.field(&format!("an input of `{name}`"), input, format!("at most {place}"));
        inputs.push(value.ok_or_else(missing)?);
    }
    let Some(first) = inputs.first() else { return Err(reader.field(&what, 0, "at least one")) };
    let shape = builder.shape(*first).to_vec();
    let op = ops::read(kind, &name, &shape, reader)?;
    builder.add(&name, op, &inputs).map_err(|source| Error::Node { place: reader.at(), source })?;
    Ok(name)
}

pub(super) fn check(found: usize, places: usize, name: &str, what: &str) -> Result<(), Error> {
    if found <= places {
        return Ok(());
    }
    Err(Error::Limit { what: format!("the network up to `{name}`, in {what},"), found: found as u64, wanted: places })
}

/// What a node with weights takes in the file.
pub(super) fn size(name: String, tensors: &[Tensor], bytes: usize) -> Option<LayerSize> {
    let sum = |of: fn(&Tensor) -> usize| tensors.iter().map(of).sum();
    Some(LayerSize {
        name,
        coding: tensors.first()?.coding,
        stored: sum(|own| own.stored),
        position_bytes: sum(|own| own.position_bytes),
        value_bytes: sum(|own| own.value_bytes),
        bytes,
    })
}

/// The values that a file of this precision holds.
///
/// # Errors
/// When the weights are not the graph's, or one is not finite, or too large for the precision.
pub fn quantized(graph: &Graph, weights: &Weights, precision: Precision) -> Result<Weights, Error> {
    weights.check(graph).map_err(Error::Weights)?;
    let rounded = |own: &Parameter| {
        let (shape, what) = (matrix(own), what(own));
        let values = Values::new(shape, weights.get(&own.name), precision_of(own, precision), &what)?;
        Ok((own.name.clone(), values.restored(shape[1])))
    };
    graph.parameters().iter().map(rounded).collect()
}

/// The name of a parameter in errors.
fn what(own: &Parameter) -> String {
    format!("`{}`", own.name)
}

/// A parameter as a matrix: one row for each output of a weight, and a single one of anything else.
fn matrix(own: &Parameter) -> [usize; 2] {
    match own.role {
        Role::Weight | Role::Table => [own.shape[0], own.shape[1..].iter().product()],
        Role::Bias | Role::Scale | Role::Shift | Role::Mean | Role::Variance => [1, own.len()],
    }
}

fn precision_of(own: &Parameter, weights: Precision) -> Precision {
    match own.role {
        Role::Weight | Role::Table => weights,
        Role::Bias | Role::Scale | Role::Shift | Role::Mean | Role::Variance => Precision::F32,
    }
}

const VARIANCE: &str = "a variance is at least 0, and more than 0 with epsilon";

/// Whether the variances of the last node, if it has some, can be divided by.
fn check_variances(builder: &Builder, name: &str, weights: &Weights, reader: &Reader<'_>) -> Result<(), Error> {
    let Some(Op::BatchNorm(norm)) = builder.last().map(|node| &node.op) else { return Ok(()) };
    let variance = format!("{name}.{}", Role::Variance.field());
    match weights.get(&variance).iter().find(|own| !norm.takes_variance(**own)) {
        Some(found) => Err(reader.field(&format!("a value of `{variance}`"), found, VARIANCE)),
        None => Ok(()),
    }
}
