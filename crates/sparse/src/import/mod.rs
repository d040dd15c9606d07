//! Networks that other programs wrote: ONNX models.
//!
//! The messages are those that the export writes, read with prost: a reader of its own would bring a second description of the
//! schema, and what a model means for our graph has to be found out in any case.

mod attributes;
mod count;
mod elementwise;
mod external;
mod formula;
mod functions;
mod layers;
mod recognise;
mod rows;
mod shapes;
mod tensor;
mod walk;

use crate::Trained;
use crate::proto::{Extent, Model, OperatorSet, ValueInfo};
use prost::Message;
use std::collections::{HashMap, HashSet};
use walk::Walk;

/// Versions of ONNX's operators that are read.
pub const VERSIONS: std::ops::RangeInclusive<i64> = 11..=22;

/// A model that is none, or one that cannot become a graph.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The bytes are no ONNX model, or it lacks what every model has.
    #[error("no ONNX model: {0}")]
    Model(String),
    /// A node that is not supported, or whose inputs are not.
    #[error("node `{node}` ({operator}): {why}{}", behind(*.readers))]
    Node {
        /// Its name, or that of what it gives.
        node: String,
        /// Its operator.
        operator: String,
        /// What is expected, and what was found.
        why: String,
        /// Nodes that are computed from it.
        readers: usize,
    },
    /// The graph is more than a graph may be.
    #[error(transparent)]
    Graph(#[from] secateur_graph::Error),
}

fn behind(readers: usize) -> String {
    match readers {
        0 => String::new(),
        1 => "; 1 node is computed from it".into(),
        _ => format!("; {readers} nodes are computed from it"),
    }
}

/// A network out of an ONNX model, and what the model says beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The network.
    pub network: Trained,
    /// What the model's graph is called.
    pub name: String,
    /// Its metadata, by key.
    pub notes: HashMap<String, String>,
    /// What was left out, for people.
    pub remarks: Vec<String>,
}

/// Reads an ONNX model: one input of f32, `[batch, channels, rows, columns]` or `[batch, features]`, and its first output.
///
/// What does not depend on the input, such as the arithmetic of shapes, is worked out; factors and summands of channels become
/// batch normalisation with neutral statistics; what exporters write of activations, layer normalisation and softmax in parts
/// becomes these again, in whatever form it was written. A softmax at the end is left out, so that the network answers with logits.
///
/// # Errors
/// When the bytes are no such model, or name a node that is not supported.
pub fn onnx(bytes: &[u8]) -> Result<Imported, Error> {
    imported(bytes, None, &[])
}

/// The same of a model whose values may stand in other files of its folder.
///
/// # Errors
/// As [`onnx`], and when such a file cannot be read.
pub fn onnx_in(folder: &std::path::Path, bytes: &[u8]) -> Result<Imported, Error> {
    imported(bytes, Some(folder), &[])
}

/// The same of a model that leaves the sides of its input open, for an input of these.
///
/// # Errors
/// As [`onnx_in`], and when the model says other sides.
pub fn onnx_of(folder: &std::path::Path, bytes: &[u8], sides: &[usize]) -> Result<Imported, Error> {
    imported(bytes, Some(folder), sides)
}

/// `wanted` are the sides of an input that leaves some open; none where they are not told.
fn imported(bytes: &[u8], folder: Option<&std::path::Path>, wanted: &[usize]) -> Result<Imported, Error> {
    let refuse = |why: String| Err(Error::Model(why));
    if !count::is_readable(bytes) {
        return refuse("it has millions of fields, more than any network needs".into());
    }
    let mut model = Model::decode(bytes).map_err(|error| Error::Model(error.to_string()))?;
    if let Some(folder) = folder {
        external::taken_in(&mut model, folder)?;
    }
    let Some(graph) = &model.graph else { return refuse("it has no graph".into()) };
    check_version(&model.opset_import)?;
    let constants: HashSet<&str> = graph.initializer.iter().filter_map(|own| own.name.as_deref()).collect();
    let inputs: Vec<&ValueInfo> =
        graph.input.iter().filter(|own| !constants.contains(own.name.as_deref().unwrap_or(""))).collect();
    let &[input] = &inputs[..] else {
        let names: Vec<&str> = inputs.iter().map(|own| own.name.as_deref().unwrap_or("")).collect();
        return refuse(format!("expected one input, found {}: {}", names.len(), names.join(", ")));
    };
    let Some(output) = graph.output.first().and_then(|own| own.name.as_deref()) else {
        return refuse("it has no output".into());
    };
    let (batch, shape, is_whole) = sides(input, wanted)?;
    let name = input.name.as_deref().unwrap_or("");
    let mut walk = Walk::new(graph, (name, batch, &shape, is_whole), output)?;
    walk.all()?;
    if graph.output.len() > 1 {
        walk.remarks.push(format!("of {} outputs the first is read, `{output}`", graph.output.len()));
    }
    let (graph_read, weights, remarks) = walk.finish(output)?;
    let note = |own: &crate::proto::Note| Some((own.key.clone()?, own.value.clone()?));
    Ok(Imported {
        network: Trained { graph: graph_read, weights },
        name: graph.name.clone().unwrap_or_default(),
        notes: model.metadata_props.iter().filter_map(note).collect(),
        remarks,
    })
}

/// Refuses versions of ONNX's own operators that are not read.
fn check_version(sets: &[OperatorSet]) -> Result<(), Error> {
    let own = sets.iter().find(|own| matches!(own.domain.as_deref(), None | Some("" | "ai.onnx")));
    let refuse = |found: String| {
        let (first, last) = (VERSIONS.start(), VERSIONS.end());
        Err(Error::Model(format!("expected ONNX's operators in a version from {first} to {last}, found {found}")))
    };
    match own.and_then(|own| own.version) {
        Some(version) if VERSIONS.contains(&version) => Ok(()),
        Some(version) => refuse(format!("version {version}")),
        None => refuse("none".into()),
    }
}

/// The batch of an input, where it is fixed, the sides of an image, and whether it is of whole numbers.
fn sides(input: &ValueInfo, wanted: &[usize]) -> Result<(Option<usize>, Vec<usize>, bool), Error> {
    let name = input.name.as_deref().unwrap_or("");
    let refuse = |why: &str| Error::Model(format!("the input `{name}`: {why}"));
    let tensor = input.kind.as_ref().and_then(|own| own.tensor.as_ref()).ok_or_else(|| refuse("it is no tensor"))?;
    let kind = tensor.element.unwrap_or(0);
    if kind != crate::proto::FLOAT && !tensor::is_whole(kind) {
        return Err(refuse(&format!("expected f32 or whole numbers, found {}", tensor::type_name(kind))));
    }
    let dims = tensor.shape.as_ref().map_or(&[][..], |own| &own.dim);
    let [batch, sides @ ..] = dims else { return Err(refuse("expected a batch and sides, found no shape")) };
    let known = |own: &crate::proto::Dimension| match &own.value {
        Some(Extent::Known(side)) => usize::try_from(*side).ok().filter(|side| *side > 0),
        Some(Extent::Named(_)) | None => None,
    };
    let told: Vec<Option<usize>> = sides.iter().map(known).collect();
    if !wanted.is_empty() {
        let is_one = |(told, wanted): (&Option<usize>, &usize)| told.is_none_or(|own| own == *wanted) && *wanted > 0;
        if told.len() != wanted.len() || !told.iter().zip(wanted).all(is_one) {
            let side = |own: &Option<usize>| own.map_or("any".into(), |own| own.to_string());
            let told = told.iter().map(side).collect::<Vec<_>>().join(" x ");
            return Err(refuse(&format!("expected sides of {told}, found {wanted:?}")));
        }
        return Ok((known(batch), wanted.to_vec(), tensor::is_whole(kind)));
    }
    let all: Option<Vec<usize>> = told.into_iter().collect();
    match all {
        Some(all) if !all.is_empty() => Ok((known(batch), all, tensor::is_whole(kind))),
        _ => Err(refuse(
            "expected sides behind the batch that are numbers; say them (`secateur import --input 3x224x224`)",
        )),
    }
}

#[cfg(test)]
mod tests;
