//! What an engine or a trainer cannot compute.

/// A node that is not computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}`: {why}")]
pub struct Unsupported {
    /// The node.
    pub node: String,
    /// Why it is not.
    pub why: String,
}
