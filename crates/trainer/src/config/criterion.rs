//! What is important, as a config spells it, and what each word needs to be computed.

use secateur_pruner::{Criterion, GroupScore};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A rule that scores weights; the lowest go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CriterionConfig {
    /// Absolute value.
    L1,
    /// Euclidean norm.
    L2,
    /// A uniform random number.
    Random,
    /// Magnitudes made comparable between layers.
    Lamp,
    /// `|w g|` with the gradient of the loss; on a fresh network this is SNIP.
    Snip,
    /// `(w g)^2`, summed over batches.
    Taylor,
    /// GraSP: what the gradient's flow owes to a weight.
    Grasp,
    /// SynFlow: what the flow of ones through the network owes to a weight; needs no images.
    Synflow,
    /// Wanda: magnitude times the norm of the input.
    Wanda,
    /// Which way training moved a weight.
    Movement,
    /// Scores from the file that `prune.scores` names.
    Scores,
}

impl CriterionConfig {
    /// The criterion that takes nothing but weights; `None` for those that need more.
    pub fn of_weights(self) -> Option<Criterion> {
        match self {
            Self::L1 => Some(Criterion::L1),
            Self::L2 => Some(Criterion::L2),
            Self::Random => Some(Criterion::Random),
            Self::Lamp => Some(Criterion::Lamp),
            Self::Snip | Self::Taylor | Self::Grasp | Self::Synflow | Self::Wanda | Self::Movement | Self::Scores => {
                None
            }
        }
    }

    /// Whether scores may be negative, so that only their order means anything.
    pub(crate) fn has_sign(self) -> bool {
        match self {
            Self::Grasp | Self::Movement => true,
            Self::L1
            | Self::L2
            | Self::Random
            | Self::Lamp
            | Self::Snip
            | Self::Taylor
            | Self::Synflow
            | Self::Wanda
            | Self::Scores => false,
        }
    }

    /// Whether its scores are worked out by burn's operations, also beside the device `cpu`.
    pub(crate) fn takes_burn(self) -> bool {
        match self {
            Self::Grasp | Self::Synflow | Self::Wanda => true,
            Self::L1
            | Self::L2
            | Self::Random
            | Self::Lamp
            | Self::Snip
            | Self::Taylor
            | Self::Movement
            | Self::Scores => false,
        }
    }

    /// How its scores add up to that of a group.
    pub(crate) fn group_score(self) -> GroupScore {
        match self {
            Self::L1 | Self::Lamp | Self::Snip | Self::Taylor | Self::Synflow | Self::Wanda | Self::Scores => {
                GroupScore::L1
            }
            Self::L2 => GroupScore::L2,
            Self::Random => GroupScore::First,
            // Refused for groups, since their scores have a sign.
            Self::Grasp | Self::Movement => GroupScore::L1,
        }
    }

    /// Rounds in which a prune is made if the config does not say: SynFlow's paper takes a hundred, without which layers
    /// are emptied.
    pub(crate) fn rounds(self) -> u32 {
        match self {
            Self::Synflow => 100,
            Self::L1
            | Self::L2
            | Self::Random
            | Self::Lamp
            | Self::Snip
            | Self::Taylor
            | Self::Grasp
            | Self::Wanda
            | Self::Movement
            | Self::Scores => 1,
        }
    }
}

impl fmt::Display for CriterionConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
            Self::Random => "random",
            Self::Lamp => "lamp",
            Self::Snip => "snip",
            Self::Taylor => "taylor",
            Self::Grasp => "grasp",
            Self::Synflow => "synflow",
            Self::Wanda => "wanda",
            Self::Movement => "movement",
            Self::Scores => "scores",
        })
    }
}
