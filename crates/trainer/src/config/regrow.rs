//! Masks that move while the network trains, as a config spells them.

use super::Length;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How masks move in the training that follows a prune.
///
/// In a config: `regrow = { kind = "rigl", every = { steps = 100 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RegrowConfig {
    /// The smallest weights of each layer go, as many come at random (Mocanu et al., 2018).
    Set {
        /// Share of a layer's weights that is exchanged at first; it falls to nothing along a cosine.
        #[serde(default = "share")]
        share: f64,
        /// Training between two exchanges.
        every: Length,
        /// Share of the training in which masks move.
        #[serde(default = "until")]
        until: f64,
    },
    /// The smallest weights of each layer go, as many come where the gradient is largest (Evci et al., 2020).
    Rigl {
        /// Share of a layer's weights that is exchanged at first; it falls to nothing along a cosine.
        #[serde(default = "share")]
        share: f64,
        /// Training between two exchanges.
        every: Length,
        /// Share of the training in which masks move.
        #[serde(default = "until")]
        until: f64,
    },
    /// Pruned weights go on receiving gradients as if they took part, and masks are chosen anew from all weights: dynamic
    /// surgery (Guo et al., "Dynamic network surgery for efficient DNNs", 2016; Lin et al., "Dynamic model pruning with
    /// feedback", 2020).
    Surgery {
        /// Training between two choices.
        every: Length,
        /// Share of the training in which masks move.
        #[serde(default = "until")]
        until: f64,
    },
}

impl RegrowConfig {
    /// Training between two changes of the masks.
    pub fn every(&self) -> Length {
        match self {
            Self::Set { every, .. } | Self::Rigl { every, .. } | Self::Surgery { every, .. } => *every,
        }
    }

    /// Share of the training in which masks move.
    pub(crate) fn until(&self) -> f64 {
        match self {
            Self::Set { until, .. } | Self::Rigl { until, .. } | Self::Surgery { until, .. } => *until,
        }
    }

    /// Share of a layer's weights that is exchanged after `done` of the time in which masks move; `None` where masks are
    /// chosen anew.
    pub(crate) fn share(&self, done: f64) -> Option<f64> {
        match self {
            Self::Set { share, .. } | Self::Rigl { share, .. } => {
                Some(share / 2.0 * (1.0 + (std::f64::consts::PI * done).cos()))
            }
            Self::Surgery { .. } => None,
        }
    }

    /// Whether weights come where the gradient is largest.
    pub(crate) fn by_gradient(&self) -> bool {
        match self {
            Self::Rigl { .. } => true,
            Self::Set { .. } | Self::Surgery { .. } => false,
        }
    }

    /// Whether pruned weights go on receiving gradients.
    pub(crate) fn has_shadows(&self) -> bool {
        match self {
            Self::Surgery { .. } => true,
            Self::Set { .. } | Self::Rigl { .. } => false,
        }
    }

    /// What is wrong with the numbers, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        let (every, until) = (self.every(), self.until());
        if matches!(every, Length::Epochs(0) | Length::Steps(0)) {
            return Some("every is 0, wanted at least one step".into());
        }
        let out = |share: f64| !(share > 0.0 && share <= 1.0);
        if out(until) {
            return Some(format!("until is {until}, wanted above 0 and at most 1"));
        }
        let share = self.share(0.0)?;
        out(share).then(|| format!("share is {share}, wanted above 0 and at most 1"))
    }
}

impl fmt::Display for RegrowConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { share, every, .. } => write!(out, "set {share} every {every}"),
            Self::Rigl { share, every, .. } => write!(out, "rigl {share} every {every}"),
            Self::Surgery { every, .. } => write!(out, "surgery every {every}"),
        }
    }
}

fn share() -> f64 {
    0.3
}

fn until() -> f64 {
    0.75
}
