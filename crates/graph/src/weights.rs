//! Values by parameter name.

use crate::error::Error;
use crate::graph::Graph;
use crate::op::Role;
use std::collections::BTreeMap;

/// Parameters and buffers by name, each row-major in PyTorch's shape: `[outputs, inputs / groups, rows, columns]` of a
/// convolution, `[outputs, inputs]` of a fully connected layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(BTreeMap<String, Vec<f32>>);

impl Weights {
    /// Of all parameters of a graph: every weight and bias 0, every scale and running variance 1.
    pub fn neutral(graph: &Graph) -> Self {
        let value = |role| match role {
            Role::Scale | Role::Variance => 1.0,
            Role::Weight | Role::Bias | Role::Shift | Role::Mean | Role::Table => 0.0,
        };
        let own = graph.parameters().iter().map(|own| (own.name.clone(), vec![value(own.role); own.len()]));
        Self(own.collect())
    }

    /// The values of a parameter, row-major.
    ///
    /// # Panics
    /// When there are none; [`check`](Self::check) finds that out.
    pub fn get(&self, name: &str) -> &[f32] {
        self.0.get(name).unwrap_or_else(|| panic!("no values for `{name}`"))
    }

    /// The values of a parameter, to be changed; `None` when there are none.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Vec<f32>> {
        self.0.get_mut(name)
    }

    /// Takes the values of a parameter out; `None` when there are none.
    pub fn remove(&mut self, name: &str) -> Option<Vec<f32>> {
        self.0.remove(name)
    }

    /// Gives a parameter its values.
    pub fn insert(&mut self, name: impl Into<String>, values: Vec<f32>) {
        self.0.insert(name.into(), values);
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.0.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// Whether these are the parameters of a graph, none missing and none left over.
    ///
    /// # Errors
    /// The first that is missing, has another length, or belongs to no parameter.
    pub fn check(&self, graph: &Graph) -> Result<(), Error> {
        for own in graph.parameters() {
            let (name, expected, shape) = (own.name.clone(), own.len(), own.shape.clone());
            match self.0.get(&own.name) {
                None => return Err(Error::Missing { name, expected, shape }),
                Some(values) if values.len() != expected => {
                    return Err(Error::Length { name, expected, shape, found: values.len() });
                }
                Some(_) => {}
            }
        }
        if self.0.len() == graph.parameters().len() {
            return Ok(());
        }
        let known: std::collections::HashSet<&str> = graph.parameters().iter().map(|own| own.name.as_str()).collect();
        let foreign = self.0.keys().find(|name| !known.contains(name.as_str()));
        let name = foreign.expect("there are more values than parameters").clone();
        let example = graph.parameters().first().map_or("(it has no parameters)", |own| &own.name).to_owned();
        Err(Error::Foreign { name, example })
    }
}

impl FromIterator<(String, Vec<f32>)> for Weights {
    fn from_iter<T: IntoIterator<Item = (String, Vec<f32>)>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{BatchNorm, Conv2d, Op};

    #[test]
    fn weights_are_checked_against_the_graph() {
        let ops = [("conv", Op::Conv2d(Conv2d::new(2, 3))), ("norm", Op::BatchNorm(BatchNorm::default()))];
        let graph = Graph::sequential(&[1, 4, 4], ops).expect("fits");
        let mut weights = Weights::neutral(&graph);
        assert_eq!(weights.check(&graph), Ok(()));
        assert_eq!((weights.get("norm.running_var"), weights.get("norm.bias")), (&[1.0; 2][..], &[0.0; 2][..]));

        weights.insert("conv.scale", vec![]);
        assert_eq!(
            weights.check(&graph).expect_err("left over").to_string(),
            "values for `conv.scale`, which is no parameter of the network; expected names such as `conv.weight`"
        );
        weights.get_mut("conv.weight").expect("there").pop();
        let said = weights.check(&graph).expect_err("one short").to_string();
        assert_eq!(said, "`conv.weight`: expected 18 values, for the shape [2, 1, 3, 3], found 17");
        let said = Weights::default().check(&graph).expect_err("none").to_string();
        assert_eq!(said, "no values for `conv.weight`; expected 18 of them, of shape [2, 1, 3, 3]");
    }
}
