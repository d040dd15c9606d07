//! What was chosen for each step, as data: to be printed, stored, and used again.

use serde::{Deserialize, Serialize};

/// How a network is computed at a batch size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Images a call that it was chosen for.
    pub batch: usize,
    /// What lies in the lanes of the vectors.
    pub lanes: LanesHold,
    /// Blocks of sixteen images that go through the network together.
    pub blocks: usize,
    /// The steps, input first.
    pub steps: Vec<StepPlan>,
}

/// What lies side by side in a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LanesHold {
    /// Sixteen images, at the same place of each.
    Images,
    /// Sixteen pixels or neurons of one image.
    Places,
}

/// How one step is computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepPlan {
    /// Name of the layer, such as `conv1`.
    pub name: String,
    /// The form chosen.
    pub form: Form,
    /// The forms that were timed, with the median of their times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
}

/// A form that was timed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// The form.
    pub form: Form,
    /// Microseconds an image.
    pub us: f64,
}

/// How a step's weights lie in memory, and are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Kept weights only, row after row.
    Sparse,
    /// Four rows that share their columns: dense layers, and those pruned in blocks.
    Grouped,
    /// Exactly `n` weights of every `m` inputs.
    Patterned {
        /// Weights kept.
        n: usize,
        /// Inputs of a group.
        m: usize,
    },
    /// All weights, sixteen rows in the lanes.
    Panels,
    /// Kept weights of sixteen rows, each step within 32 neighbouring inputs.
    Windowed,
    /// Kept weights, column after column, those of inputs that are zero left out.
    Columns,
    /// No weights.
    Simple,
}

impl std::fmt::Display for Form {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Sparse => "sparse",
            Self::Grouped => "grouped",
            Self::Patterned { n, m } => return write!(out, "{n}:{m}"),
            Self::Panels => "panels",
            Self::Windowed => "windowed",
            Self::Columns => "columns",
            Self::Simple => "simple",
        })
    }
}
