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
    /// What is wrong with the numbers, if anything, where guessing has an accuracy of so much percent.
    pub(crate) fn fault(&self, chance: f64) -> Option<String> {
        if !(0.0..100.0 - chance).contains(&self.within) {
            let most = 100.0 - chance;
            return Some(format!(
                "within is {}, expected points from 0 to below {most}, which leave no more than guessing",
                self.within
            ));
        }
        if let Some(control) = self.control {
            if !(control > chance && control <= 100.0) {
                let hint = if control > 0.0 && control <= 1.0 {
                    format!("; as a fraction it would be control = {:.2}", 100.0 * control)
                } else {
                    String::new()
                };
                return Some(format!(
                    "control is {control}, expected an accuracy in percent, above the {chance} % of guessing{hint}"
                ));
            }
            if control - self.within <= chance {
                let floor = control - self.within;
                return Some(format!(
                    "control {control} within {} asks for {floor} %, expected more than the {chance} % of guessing",
                    self.within
                ));
            }
        }
        (self.refinements > 64).then(|| format!("refinements is {}, wanted at most 64", self.refinements))
    }
}

fn refinements() -> u64 {
    4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_that_guessing_reaches_is_refused() {
        let fault = |within, control| UntilConfig { within, control, refinements: 4 }.fault(10.0);
        assert_eq!((fault(0.3, Some(99.2)), fault(0.3, None)), (None, None));
        let fraction = fault(0.3, Some(0.992)).expect("a fraction");
        assert!(fraction.contains("control is 0.992, expected an accuracy in percent"), "{fraction}");
        assert!(fraction.ends_with("as a fraction it would be control = 99.20"), "{fraction}");
        for control in [0.0, 10.0, 100.1, f64::NAN] {
            assert!(fault(0.3, Some(control)).is_some_and(|why| why.contains("of guessing")), "{control}");
        }
        assert!(fault(85.0, Some(95.0)).is_some_and(|why| why.contains("asks for 10 %")));
        for within in [-0.1, 90.0, 100.0, f64::NAN] {
            assert!(
                fault(within, None).is_some_and(|why| why.contains("expected points from 0 to below 90")),
                "{within}"
            );
        }
    }
}
