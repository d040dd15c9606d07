//! An accuracy budget, as a config spells it.

use serde::{Deserialize, Serialize};

/// How far a run may prune: as far as validation accuracy stays near a dense control's.
///
/// In a config: `until = { within = 0.5 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UntilConfig {
    /// Points of top-1 accuracy on the validation split that may be lost.
    pub within: f64,
    /// Top-1 accuracy of the dense control on the validation split, in percent, such as that of a run with
    /// `prune.enabled = false`. Left out it is the run's own network before its first prune, which has trained for less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<f64>,
    /// Tries between the last target that held and the first that did not, each halving the rest.
    #[serde(default = "refinements")]
    pub refinements: u64,
}

impl UntilConfig {
    /// What is wrong with the numbers, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        if !(0.0..=100.0).contains(&self.within) {
            return Some(format!("within is {}, wanted points from 0 to 100", self.within));
        }
        if let Some(control) = self.control.filter(|control| !(0.0..=100.0).contains(control)) {
            return Some(format!("control is {control}, wanted an accuracy in percent"));
        }
        (self.refinements > 64).then(|| format!("refinements is {}, wanted at most 64", self.refinements))
    }
}

fn refinements() -> u64 {
    4
}
