//! What can be wrong with a graph, or with weights for it.

/// Nodes that do not fit together, or weights that do not fit the nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A name that cannot be a node's.
    #[error("node `{name}`: {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// An input that no earlier node gives.
    #[error(
        "node `{node}` reads `{input}`, which no node before it gives; expected `input` or the name of an earlier node \
         (a node cannot read what is computed from itself)"
    )]
    UnknownInput {
        /// The node.
        node: String,
        /// What it reads.
        input: String,
    },
    /// Inputs of other shapes than the operation takes.
    #[error("node `{node}` ({op}): expected {expected}, found {found}")]
    Shape {
        /// The node.
        node: String,
        /// Its operation.
        op: String,
        /// What it takes.
        expected: String,
        /// What it gets.
        found: String,
    },
    /// More values or parameters than the budget.
    #[error("node `{node}`: the network up to here has {what}, expected at most {most}")]
    Budget {
        /// The node at which the budget is exceeded.
        node: String,
        /// What was counted, and how many of it.
        what: String,
        /// The budget.
        most: usize,
    },
    /// Weights without a parameter.
    #[error("no values for `{name}`; expected {expected} of them, of shape {shape:?}")]
    Missing {
        /// The parameter.
        name: String,
        /// How many values it has.
        expected: usize,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// Values of another number than the parameter's shape asks for.
    #[error("`{name}`: expected {expected} values, for the shape {shape:?}, found {found}")]
    Length {
        /// The parameter.
        name: String,
        /// How many values it has.
        expected: usize,
        /// Its shape.
        shape: Vec<usize>,
        /// How many were given.
        found: usize,
    },
    /// Values that belong to no parameter.
    #[error("values for `{name}`, which is no parameter of the network; expected names such as `{example}`")]
    Foreign {
        /// The name.
        name: String,
        /// A name that the network has.
        example: String,
    },
}
