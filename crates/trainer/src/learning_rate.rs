//! The learning rate as a pure function of the position in training; nothing is carried from step to step.

use crate::config::Length;
use serde::{Deserialize, Serialize};

/// How the learning rate moves. In a config: `lr_schedule = { kind = "cosine", warmup = { steps = 100 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LrSchedule {
    /// Stays.
    Constant {},
    /// Multiplied by `factor` after each `every`.
    Step {
        /// Training between two falls.
        every: Length,
        /// What a fall leaves, in `(0, 1]`.
        factor: f64,
        /// Where the schedule starts again.
        #[serde(default)]
        restart: Restart,
    },
    /// Rises linearly through `warmup`, then falls along half a cosine to `floor` times the rate
    /// (Loshchilov & Hutter, "SGDR", 2017).
    Cosine {
        /// Length of the rise.
        #[serde(default = "no_warmup")]
        warmup: Length,
        /// Share of the rate that is left at the end, in `[0, 1]`.
        #[serde(default)]
        floor: f64,
        /// Where the schedule starts again.
        #[serde(default)]
        restart: Restart,
    },
    /// Rises along half a cosine to the rate, then falls along another one to next to nothing (Smith & Topin,
    /// "Super-convergence", 2018), as PyTorch's `OneCycleLR`.
    OneCycle {
        /// Part of the training in which it rises, in `[0, 1]`.
        #[serde(default = "rise")]
        rise: f64,
        /// Share of the rate at the first step, in `[0, 1]`.
        #[serde(default = "first")]
        first: f64,
        /// Share of the rate at the last step, in `[0, 1]`.
        #[serde(default = "last")]
        last: f64,
        /// Where the schedule starts again.
        #[serde(default)]
        restart: Restart,
    },
}

/// Where a schedule starts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// At the start of every cycle's training.
    #[default]
    Cycle,
    /// Never: one schedule spans the whole run.
    Never,
}

impl Default for LrSchedule {
    fn default() -> Self {
        Self::Constant {}
    }
}

fn no_warmup() -> Length {
    Length::Steps(0)
}

fn rise() -> f64 {
    0.3
}

fn first() -> f64 {
    0.04
}

fn last() -> f64 {
    4e-6
}

/// From `from` to `to` along half a cosine.
fn half_cosine(from: f64, to: f64, done: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * done.clamp(0.0, 1.0)).cos())
}

impl LrSchedule {
    /// Where it starts again.
    pub fn restart(&self) -> Restart {
        match self {
            Self::Constant {} => Restart::Cycle,
            Self::Step { restart, .. } | Self::Cosine { restart, .. } | Self::OneCycle { restart, .. } => *restart,
        }
    }

    /// What is wrong with the numbers, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::Step { factor, .. } if !(*factor > 0.0 && *factor <= 1.0) => {
                Some(format!("factor is {factor}, wanted above 0 and at most 1"))
            }
            Self::Step { every: Length::Epochs(0) | Length::Steps(0), .. } => {
                Some("every is 0, wanted at least 1".into())
            }
            Self::Cosine { floor, .. } if !(0.0..=1.0).contains(floor) => {
                Some(format!("floor is {floor}, wanted from 0 to 1"))
            }
            Self::OneCycle { rise, first, last, .. } => {
                let all = [("rise", rise), ("first", first), ("last", last)];
                let (key, found) = all.into_iter().find(|(_, value)| !(0.0..=1.0).contains(*value))?;
                Some(format!("{key} is {found}, expected from 0 to 1"))
            }
            Self::Constant {} | Self::Step { .. } | Self::Cosine { .. } => None,
        }
    }

    /// The share of the base rate at step `position` of a schedule of `total` steps, with `epoch` steps an epoch.
    pub fn factor(&self, position: u64, total: u64, epoch: u64) -> f64 {
        match self {
            Self::Constant {} => 1.0,
            Self::Step { every, factor, .. } => factor.powf((position / every.steps(epoch).max(1)) as f64),
            Self::Cosine { warmup, floor, .. } => {
                let rise = warmup.steps(epoch).min(total);
                if position < rise {
                    return (position + 1) as f64 / rise as f64;
                }
                let done = (position - rise) as f64 / (total - rise).max(1) as f64;
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
            }
            Self::OneCycle { rise, first, last, .. } => {
                let (at, end) = (position as f64, total as f64 - 1.0);
                let peak = (rise * total as f64 - 1.0).max(0.0);
                match at <= peak && peak > 0.0 {
                    true => half_cosine(*first, 1.0, at / peak),
                    false => half_cosine(1.0, *last, (at - peak) / (end - peak).max(1.0)),
                }
            }
        }
    }
}

/// Where a line through `rates`, one a step, turns: the first, the last, and those between without which straight lines
/// would be off by more than a hundredth of the highest.
pub(crate) fn turns(rates: &[f64]) -> Vec<usize> {
    let Some(last) = rates.len().checked_sub(1) else { return Vec::new() };
    let tolerance = 0.01 * rates.iter().copied().fold(0.0, f64::max);
    let (mut kept, mut open) = (vec![0, last], vec![(0, last)]);
    while let Some((from, to)) = open.pop() {
        let slope = (rates[to] - rates[from]) / (to - from).max(1) as f64;
        let off = |at: usize| (rates[at] - rates[from] - slope * (at - from) as f64).abs();
        let furthest = (from + 1..to).max_by(|a, b| off(*a).total_cmp(&off(*b)));
        if let Some(at) = furthest.filter(|at| off(*at) > tolerance) {
            kept.push(at);
            open.extend([(from, at), (at, to)]);
        }
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}

impl Length {
    /// The length in steps, with `epoch` steps an epoch.
    pub fn steps(self, epoch: u64) -> u64 {
        match self {
            Self::Epochs(epochs) => epochs.saturating_mul(epoch),
            Self::Steps(steps) => steps,
        }
    }
}

impl std::fmt::Display for Length {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (count, unit) = match self {
            Self::Epochs(epochs) => (epochs, "epoch"),
            Self::Steps(steps) => (steps, "step"),
        };
        write!(out, "{count} {unit}{}", if *count == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schedule: LrSchedule, total: u64, expected: &[(u64, f64)]) {
        for &(position, wanted) in expected {
            let found = schedule.factor(position, total, 10);
            assert!((found - wanted).abs() < 1e-12, "{schedule:?} at {position}: {found}, wanted {wanted}");
        }
    }

    #[test]
    fn factors_can_be_checked_by_hand() {
        check(LrSchedule::Constant {}, 100, &[(0, 1.0), (99, 1.0)]);
        let step = LrSchedule::Step { every: Length::Epochs(2), factor: 0.1, restart: Restart::Never };
        check(step, 100, &[(0, 1.0), (19, 1.0), (20, 0.1), (40, 0.01)]);
        let cosine = LrSchedule::Cosine { warmup: Length::Steps(4), floor: 0.0, restart: Restart::Cycle };
        check(cosine, 104, &[(0, 0.25), (3, 1.0), (4, 1.0), (54, 0.5), (104, 0.0)]);
        let floor = LrSchedule::Cosine { warmup: Length::Steps(0), floor: 0.2, restart: Restart::Cycle };
        check(floor, 10, &[(0, 1.0), (5, 0.6), (10, 0.2)]);
        let cycle = LrSchedule::OneCycle { rise: 0.3, first: 0.04, last: 0.0, restart: Restart::Cycle };
        // It rises to the step before 30, and falls to the last one.
        check(cycle, 100, &[(0, 0.04), (29, 1.0), (64, 0.5), (99, 0.0)]);
        let falls = LrSchedule::OneCycle { rise: 0.0, first: 0.04, last: 0.1, restart: Restart::Cycle };
        check(falls, 11, &[(0, 1.0), (5, 0.55), (10, 0.1)]);
        check(falls, 1, &[(0, 1.0)]);
    }

    #[test]
    fn a_line_turns_where_warm_up_ends_and_where_a_rate_falls() {
        let cosine = LrSchedule::Cosine { warmup: Length::Steps(100), floor: 0.0, restart: Restart::Cycle };
        let rates: Vec<f64> = (0..430).map(|step| 0.002 * cosine.factor(step, 1_000, 430)).collect();
        let kept = turns(&rates);
        assert!(kept.len() < 12 && kept.iter().any(|at| at.abs_diff(100) < 5), "{kept:?}");
        for (at, rate) in rates.iter().enumerate() {
            let (from, to) = kept.iter().zip(&kept[1..]).find(|(_, to)| at <= **to).expect("a line over it");
            let share = (at - from) as f64 / (to - from) as f64;
            let drawn = rates[*from] + share * (rates[*to] - rates[*from]);
            assert!((drawn - rate).abs() <= 0.01 * 0.002, "step {at}: {drawn}, {rate}");
        }
        assert_eq!(turns(&[0.5; 9]), [0, 8], "a constant has its ends");
        assert_eq!(turns(&[1.0, 1.0, 1.0, 0.1, 0.1]), [0, 2, 3, 4]);
        assert_eq!((turns(&[0.5]), turns(&[])), (vec![0], vec![]));
    }

    #[test]
    fn a_warmup_longer_than_the_schedule_ends_with_it() {
        let cosine = LrSchedule::Cosine { warmup: Length::Epochs(100), floor: 0.0, restart: Restart::Cycle };
        check(cosine, 5, &[(0, 0.2), (4, 1.0)]);
    }
}
