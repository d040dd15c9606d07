//! How much to prune when: the target of every prune, computed before anything runs.

use crate::{Error, Sparsity};
use serde::{Deserialize, Serialize};

/// A rule that gives the sparsity of each prune.
///
/// In a config: `schedule = { kind = "cubic", final = 0.99, prunes = 20 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// One prune to `sparsity`.
    OneShot {
        /// Sparsity after the prune.
        sparsity: Sparsity,
    },
    /// `prunes` equal steps from `initial` to `final`.
    Linear {
        /// Where the ramp starts; the first prune is one step past it.
        #[serde(default)]
        initial: Sparsity,
        /// Sparsity after the last prune.
        #[serde(rename = "final")]
        last: Sparsity,
        /// Number of prunes.
        prunes: u32,
    },
    /// Large steps first: `final + (initial - final) (1 - i / prunes)^3` at prune `i`
    /// (Zhu & Gupta, "To prune, or not to prune", 2017).
    Cubic {
        /// Where the ramp starts; the first prune is one step past it.
        #[serde(default)]
        initial: Sparsity,
        /// Sparsity after the last prune.
        #[serde(rename = "final")]
        last: Sparsity,
        /// Number of prunes.
        prunes: u32,
    },
    /// Every prune removes the same share of what remains: `1 - (1 - share)^i` at prune `i`.
    Geometric {
        /// Share of the remaining weights that a prune removes.
        share: Sparsity,
        /// Number of prunes.
        prunes: u32,
    },
    /// The targets themselves, never falling.
    List {
        /// Sparsity after each prune.
        sparsities: Vec<Sparsity>,
    },
}

/// More prunes than any experiment needs, and few enough to be planned at once.
const MOST_PRUNES: u32 = 100_000;

impl Schedule {
    /// The target of every prune, in order.
    ///
    /// # Errors
    /// When there is no prune, there are more than 100,000, or a target is below the one before.
    pub fn targets(&self) -> Result<Vec<Sparsity>, Error> {
        let targets = match self {
            Self::OneShot { sparsity } => vec![*sparsity],
            Self::List { sparsities } => sparsities.clone(),
            Self::Linear { initial, last, prunes } => ramp(*prunes, |done| mix(*initial, *last, 1.0 - done))?,
            Self::Cubic { initial, last, prunes } => ramp(*prunes, |done| mix(*initial, *last, (1.0 - done).powi(3)))?,
            Self::Geometric { share, prunes } => {
                let count = f64::from(*prunes);
                ramp(*prunes, |done| 1.0 - (1.0 - share.get()).powf((done * count).round()))?
            }
        };
        if targets.is_empty() {
            return Err(Error::Schedule("the schedule has no prune, wanted at least 1".into()));
        }
        if let Some(fall) = targets.windows(2).position(|pair| pair[1] < pair[0]) {
            let (before, after) = (targets[fall].get(), targets[fall + 1].get());
            return Err(Error::Schedule(format!(
                "prune {} goes down to sparsity {after} from {before}; wanted targets that never fall",
                fall + 2
            )));
        }
        Ok(targets)
    }
}

/// The rule in a few words, for tables and logs.
impl std::fmt::Display for Schedule {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OneShot { sparsity } => write!(out, "one-shot to {}", sparsity.get()),
            Self::Linear { last, prunes, .. } => write!(out, "linear to {} in {prunes} prunes", last.get()),
            Self::Cubic { last, prunes, .. } => write!(out, "cubic to {} in {prunes} prunes", last.get()),
            Self::Geometric { share, prunes } => write!(out, "{} of what remains, {prunes} times", share.get()),
            Self::List { sparsities } => write!(out, "{} listed sparsities", sparsities.len()),
        }
    }
}

/// `prunes` targets; `rule` gets the share of the ramp that is done, in `(0, 1]`.
fn ramp(prunes: u32, rule: impl Fn(f64) -> f64) -> Result<Vec<Sparsity>, Error> {
    if prunes > MOST_PRUNES {
        return Err(Error::Schedule(format!("the schedule has {prunes} prunes, wanted at most {MOST_PRUNES}")));
    }
    (1..=prunes).map(|prune| Sparsity::new(rule(f64::from(prune) / f64::from(prunes)))).collect()
}

/// `last` with the share `left` of the way back to `initial`; exactly `last` when nothing is left.
fn mix(initial: Sparsity, last: Sparsity, left: f64) -> f64 {
    last.get() + (initial.get() - last.get()) * left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(share: f64) -> Sparsity {
        Sparsity::new(share).expect("in range")
    }

    fn check(schedule: Schedule, expected: &[f64]) {
        let found = schedule.targets().expect("a valid schedule");
        assert_eq!(found.len(), expected.len(), "{schedule}");
        for (found, expected) in found.iter().zip(expected) {
            assert!((found.get() - expected).abs() < 1e-12, "{schedule}: {found:?}, wanted {expected}");
        }
    }

    #[test]
    fn targets_can_be_checked_by_hand() {
        check(Schedule::OneShot { sparsity: s(0.9) }, &[0.9]);
        check(Schedule::Linear { initial: s(0.0), last: s(0.8), prunes: 4 }, &[0.2, 0.4, 0.6, 0.8]);
        check(Schedule::Cubic { initial: s(0.0), last: s(0.8), prunes: 2 }, &[0.7, 0.8]);
        check(Schedule::Cubic { initial: s(0.5), last: s(0.9), prunes: 2 }, &[0.85, 0.9]);
        check(Schedule::Geometric { share: s(0.2), prunes: 3 }, &[0.2, 0.36, 0.488]);
        check(Schedule::List { sparsities: vec![s(0.5), s(0.5), s(0.9)] }, &[0.5, 0.5, 0.9]);
    }

    #[test]
    fn the_last_target_is_exact() {
        for prunes in [1, 3, 7, 49] {
            let targets = Schedule::Cubic { initial: s(0.1), last: s(0.99), prunes }.targets().expect("valid");
            assert_eq!(targets.last(), Some(&s(0.99)));
        }
    }

    #[test]
    fn schedules_without_a_prune_or_with_a_fall_are_refused() {
        for schedule in [
            Schedule::List { sparsities: vec![] },
            Schedule::List { sparsities: vec![s(0.5), s(0.4)] },
            Schedule::Linear { initial: s(0.9), last: s(0.5), prunes: 2 },
            Schedule::Cubic { initial: s(0.0), last: s(0.5), prunes: 0 },
            Schedule::Geometric { share: s(0.2), prunes: u32::MAX },
        ] {
            assert!(schedule.targets().is_err(), "{schedule}");
        }
    }
}
