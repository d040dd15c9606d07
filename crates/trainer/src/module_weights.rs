//! The weights of a person's own burn module, by the names of a graph.

use crate::Error;
use burn::module::Module;
use secateur_graph::{Graph, Role, Weights};
use secateur_pruner::{Layout, Parameter, layouts, parameters};
use std::collections::BTreeMap;

/// The parameters and running statistics of a burn module, its masks applied, for a graph that computes the same and whose nodes are
/// named as the module's layers, such as `blocks.0.conv1`. With them the graph can be compacted, exported and compiled.
///
/// ```
/// use burn::{module::Module, nn::{Linear, LinearConfig, conv::{Conv2d, Conv2dConfig}}};
/// use secateur_graph::{Activation, Graph, Op};
///
/// #[derive(Module, Debug)]
/// struct Mine {
///     conv: Conv2d,
///     fc: Linear,
/// }
///
/// let device = burn::tensor::Device::flex();
/// let conv = Conv2dConfig::new([1, 4], [3, 3]).init(&device);
/// let module = Mine { conv, fc: LinearConfig::new(4 * 6 * 6, 10).init(&device) };
/// let graph = Graph::sequential(&[1, 8, 8], [
///     ("conv", Op::Conv2d(secateur_graph::Conv2d::new(4, 3))),
///     ("relu", Op::Activation(Activation::Relu)),
///     ("flatten", Op::Flatten),
///     ("fc", Op::Linear(secateur_graph::Linear::new(10))),
/// ])?;
/// let weights = secateur_trainer::weights_of(&module, &graph)?;
/// assert_eq!(graph.forward(&weights, &[0.0; 64]).len(), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the module lacks a parameter of the graph, has one of another shape, or one that the graph lacks.
pub fn weights_of<M: Module>(module: &M, graph: &Graph) -> Result<Weights, Error> {
    let mut left: BTreeMap<String, Parameter> =
        parameters(module).into_iter().map(|own| (own.name.clone(), own)).collect();
    let layouts: BTreeMap<String, Layout> = layouts(module).into_iter().collect();
    let mut weights = Weights::default();
    for own in graph.parameters() {
        let name = format!("{}.{}", graph.nodes()[own.node].name, field(own.role));
        let refuse = |found: String| Error::Module { name: name.clone(), expected: format!("{:?}", own.shape), found };
        let found = left.remove(&name).ok_or_else(|| refuse("none".into()))?;
        let found = if layouts.get(&name) == Some(&Layout::LINEAR) { transposed(found) } else { found };
        if found.shape != own.shape {
            return Err(refuse(format!("{:?}", found.shape)));
        }
        weights.insert(own.name.clone(), found.values);
    }
    match left.pop_first() {
        None => Ok(weights),
        Some((name, own)) => {
            Err(Error::Module { name, expected: "none, as the graph".into(), found: format!("{:?}", own.shape) })
        }
    }
}

/// What burn calls it in its layers.
fn field(role: Role) -> &'static str {
    match role {
        Role::Weight | Role::Table => "weight",
        Role::Bias => "bias",
        Role::Scale => "gamma",
        Role::Shift => "beta",
        Role::Mean => "running_mean",
        Role::Variance => "running_var",
    }
}

/// burn keeps linear weights `[in, out]`, a graph `[out, in]`.
fn transposed(own: Parameter) -> Parameter {
    let [rows, columns] = *own.shape else { return own };
    let column = |column: usize| (0..rows).map(move |row| row * columns + column);
    let values = (0..columns).flat_map(column).map(|index| own.values[index]).collect();
    Parameter { shape: vec![columns, rows], values, ..own }
}

#[cfg(all(test, feature = "flex"))]
#[path = "module_weights_tests.rs"]
mod tests;
