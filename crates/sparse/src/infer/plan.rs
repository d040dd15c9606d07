//! What was chosen for each step, as data: to be printed, stored, and used again.

use super::engine::buffer_bytes;
use super::step::{Op, Step, steps};
use super::{Error, Options};
use crate::Network;
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

impl Plan {
    /// A plan by what is left of each layer, without a clock: the same for the same network, whatever the machine.
    ///
    /// # Errors
    /// When a weight has no room in the precision.
    pub fn by_density(network: &Network, options: &Options, lanes: LanesHold) -> Result<Self, Error> {
        Ok(Self::of(network, &steps(network, options)?, options, lanes))
    }

    /// A plan for these steps of the network.
    pub(super) fn of(network: &Network, steps: &[Step], options: &Options, lanes: LanesHold) -> Self {
        let form = |op: &Op| match (op, lanes) {
            (Op::Conv(own), LanesHold::Images) if own.weight.density() > 0.5 => Form::Grouped,
            (Op::Linear(own), LanesHold::Images) if own.weight.density() > 0.5 => Form::Grouped,
            (Op::Linear(own), LanesHold::Places) if own.weight.density() > 0.5 => Form::Panels,
            (Op::Linear(_), LanesHold::Places) => Form::Windowed,
            (Op::Conv(_) | Op::Linear(_), _) => Form::Sparse,
            (Op::Simple(_), _) => Form::Simple,
        };
        // The number of blocks changes no answer, so it may depend on the memory that is allowed.
        let fits = |blocks: &usize| {
            buffer_bytes(network, steps, options.threads.max(1), lanes, *blocks) <= options.buffer_bytes
        };
        let blocks = [4, 2].into_iter().find(fits).unwrap_or(1);
        let step = |own: &Step| StepPlan { name: own.name.clone(), form: form(&own.op), tried: vec![] };
        Self { batch: options.batch, lanes, blocks, steps: steps.iter().map(step).collect() }
    }
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
