//! How much to prune when: the target of every prune, computed before anything runs.

use crate::{Error, Measure, Measured, Sizes, Sparsity, Target};
use serde::{Deserialize, Serialize};

/// A rule that gives the target of each prune.
///
/// In a config: `schedule = { kind = "cubic", final = 0.99, prunes = 20 }`. Where a target stands, `{ compression = 20.0 }`,
/// `{ kept = 10_000 }` and `{ macs = 0.1 }` may stand, too. A ramp runs from `initial` (nothing pruned, if left out) to
/// `final`; its first prune is one step past `initial`. With `t` the share of the ramp that is done, in `(0, 1]`:
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// One prune.
    OneShot {
        /// What is left after the prune.
        sparsity: Target,
    },
    /// Equal steps: `initial + (final - initial) t`.
    Linear {
        /// Where the ramp starts.
        #[serde(default)]
        initial: Target,
        /// What is left after the last prune.
        #[serde(rename = "final")]
        last: Target,
        /// Number of prunes.
        prunes: u32,
    },
    /// Large steps first: `final + (initial - final) (1 - t)^3`
    /// (Zhu & Gupta, "To prune, or not to prune", 2017).
    Cubic {
        /// Where the ramp starts.
        #[serde(default)]
        initial: Target,
        /// What is left after the last prune.
        #[serde(rename = "final")]
        last: Target,
        /// Number of prunes.
        prunes: u32,
    },
    /// `final + (initial - final) (1 - t)^power`; 1 is linear, 3 cubic.
    Polynomial {
        /// Where the ramp starts.
        #[serde(default)]
        initial: Target,
        /// What is left after the last prune.
        #[serde(rename = "final")]
        last: Target,
        /// The power, above 0.
        power: f64,
        /// Number of prunes.
        prunes: u32,
    },
    /// Every prune leaves the same share of what remains: `1 - (1 - initial) ((1 - final) / (1 - initial))^t`.
    Exponential {
        /// Where the ramp starts.
        #[serde(default)]
        initial: Target,
        /// What is left after the last prune.
        #[serde(rename = "final")]
        last: Target,
        /// Number of prunes.
        prunes: u32,
    },
    /// Small steps at both ends: `final + (initial - final) (1 + cos(pi t)) / 2`.
    Cosine {
        /// Where the ramp starts.
        #[serde(default)]
        initial: Target,
        /// What is left after the last prune.
        #[serde(rename = "final")]
        last: Target,
        /// Number of prunes.
        prunes: u32,
    },
    /// Slow, fast, slow: `initial + (final - initial) (1 + e^(b - a)) / (1 + e^(b - a t))`
    /// (Hubens et al., "One-Cycle Pruning", 2021, whose a is 14 and b is 6).
    OneCycle {
        /// Where the ramp starts.
        #[serde(default)]
        initial: Target,
        /// What is left after the last prune.
        #[serde(rename = "final")]
        last: Target,
        /// Number of prunes.
        prunes: u32,
        /// How steep the middle is.
        #[serde(default = "steepness")]
        a: f64,
        /// How late it comes.
        #[serde(default = "lateness")]
        b: f64,
    },
    /// Every prune removes the same share of what remains: `1 - (1 - share)^i` at prune `i`.
    Geometric {
        /// Share of the remaining weights that a prune removes.
        share: Sparsity,
        /// Number of prunes.
        prunes: u32,
    },
    /// A prune, and after its training all weights again, the pruned ones from 0 on: a regulariser
    /// (Han et al., "DSD: Dense-Sparse-Dense Training", 2017). The one schedule that falls by its nature.
    DenseSparseDense {
        /// What is left in the sparse phase.
        sparsity: Target,
    },
    /// The targets themselves.
    List {
        /// What is left after each prune.
        sparsities: Vec<Target>,
        /// Whether a target may be below the one before.
        #[serde(default, skip_serializing_if = "is_false")]
        falling: bool,
    },
}

/// The target of every prune, all in one measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Targets {
    /// What the shares are of.
    pub measure: Measure,
    /// The share that is gone after each prune.
    pub shares: Vec<Sparsity>,
}

impl Targets {
    /// Targets by any pure function: `rule` gets the share of the prunes that is done, in `(0, 1]`, and gives the sparsity
    /// after that prune. They never fall.
    ///
    /// ```
    /// # use secateur_pruner::Targets;
    /// let root = Targets::by(4, |done| 0.9 * done.sqrt())?;
    /// assert_eq!(root.shares[3].get(), 0.9);
    /// # Ok::<(), secateur_pruner::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is no prune, there are more than 100,000, or a target is no sparsity or below the one before.
    pub fn by(prunes: u32, rule: impl Fn(f64) -> f64) -> Result<Self, Error> {
        Self { measure: Measure::Weights, shares: ramp(prunes, rule)? }.checked(false)
    }

    fn checked(self, falling: bool) -> Result<Self, Error> {
        if self.shares.is_empty() {
            return Err(Error::Schedule("the schedule has no prune, wanted at least 1".into()));
        }
        if let Some(fall) = self.shares.windows(2).position(|pair| pair[1] < pair[0]).filter(|_| !falling) {
            let (before, after) = (self.shares[fall].get(), self.shares[fall + 1].get());
            return Err(Error::Schedule(format!(
                "prune {} goes down to sparsity {after} from {before}; wanted targets that never fall",
                fall + 2
            )));
        }
        Ok(self)
    }
}

/// More prunes than any experiment needs, and few enough to be planned at once.
const MOST_PRUNES: u32 = 100_000;

impl Schedule {
    /// The target of every prune, in order, for a network of these sizes.
    ///
    /// # Errors
    /// When there is no prune, there are more than 100,000, a target is impossible or of another measure than the rest, or
    /// below the one before without the schedule saying so.
    pub fn targets(&self, sizes: Sizes) -> Result<Targets, Error> {
        let measure = self.measure()?;
        let share = |target: &Target| target.share(sizes);
        let mixed = |initial: &Target, last: &Target, prunes: u32, left: &dyn Fn(f64) -> f64| {
            let (initial, last) = (share(initial)?, share(last)?);
            ramp(prunes, |done| mix(initial, last, left(done)))
        };
        let shares = match self {
            Self::OneShot { sparsity } => vec![share(sparsity)?],
            Self::List { sparsities, .. } => sparsities.iter().map(share).collect::<Result<_, _>>()?,
            Self::DenseSparseDense { sparsity } => vec![share(sparsity)?, Sparsity::DENSE],
            Self::Linear { initial, last, prunes } => mixed(initial, last, *prunes, &|done| 1.0 - done)?,
            Self::Cubic { initial, last, prunes } => mixed(initial, last, *prunes, &|done| (1.0 - done).powi(3))?,
            Self::Polynomial { initial, last, power, prunes } => {
                if !(power.is_finite() && *power > 0.0) {
                    return Err(Error::Schedule(format!("power is {power}, wanted a number above 0")));
                }
                mixed(initial, last, *prunes, &|done| (1.0 - done).powf(*power))?
            }
            Self::Cosine { initial, last, prunes } => {
                let left =
                    |done: f64| if done == 1.0 { 0.0 } else { 0.5 * (1.0 + (std::f64::consts::PI * done).cos()) };
                mixed(initial, last, *prunes, &left)?
            }
            Self::OneCycle { initial, last, prunes, a, b } => {
                if !(a.is_finite() && b.is_finite() && *a > 0.0 && a.max(b.abs()) <= 300.0) {
                    return Err(Error::Schedule(format!("a is {a} and b is {b}, wanted a above 0, both at most 300")));
                }
                let left = |done: f64| 1.0 - (1.0 + (b - a).exp()) / (1.0 + (b - a * done).exp());
                mixed(initial, last, *prunes, &left)?
            }
            Self::Exponential { initial, last, prunes } => {
                let (initial, last) = (share(initial)?, share(last)?);
                let (dense, sparse) = (1.0 - initial.get(), 1.0 - last.get());
                let rule = |done: f64| if done == 1.0 { last.get() } else { 1.0 - dense * (sparse / dense).powf(done) };
                ramp(*prunes, rule)?
            }
            Self::Geometric { share, prunes } => {
                let count = f64::from(*prunes);
                ramp(*prunes, |done| 1.0 - (1.0 - share.get()).powf((done * count).round()))?
            }
        };
        Targets { measure, shares }.checked(self.falls())
    }

    /// Whether a target may be below the one before, so that masks have to grow.
    pub fn falls(&self) -> bool {
        matches!(self, Self::DenseSparseDense { .. } | Self::List { falling: true, .. })
    }

    /// What all targets are a share of.
    fn measure(&self) -> Result<Measure, Error> {
        let mut found: Option<(Measure, &Target)> = None;
        for target in self.all() {
            match (target.measure(), found) {
                (Some(own), Some((other, first))) if own != other => {
                    let why = format!("the schedule has targets of {first} and of {target}, wanted one measure");
                    return Err(Error::Schedule(why));
                }
                (Some(own), None) => found = Some((own, target)),
                _ => {}
            }
        }
        Ok(found.map_or(Measure::Weights, |(measure, _)| measure))
    }

    /// Whether its targets are a count or a ratio of all parameters rather than a fraction of those that may be pruned.
    pub fn counts_parameters(&self) -> bool {
        let counts = |target: &&Target| matches!(target, Target::Other(Measured::Compression(_) | Measured::Kept(_)));
        self.all().iter().any(counts)
    }

    /// The targets as they are spelled.
    fn all(&self) -> Vec<&Target> {
        match self {
            Self::OneShot { sparsity } | Self::DenseSparseDense { sparsity } => vec![sparsity],
            Self::List { sparsities, .. } => sparsities.iter().collect(),
            Self::Geometric { .. } => vec![],
            Self::Linear { initial, last, .. }
            | Self::Cubic { initial, last, .. }
            | Self::Polynomial { initial, last, .. }
            | Self::Exponential { initial, last, .. }
            | Self::Cosine { initial, last, .. }
            | Self::OneCycle { initial, last, .. } => vec![initial, last],
        }
    }
}

/// The rule in a few words, for tables and logs.
impl std::fmt::Display for Schedule {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OneShot { sparsity } => write!(out, "one-shot to {sparsity}"),
            Self::Linear { last, prunes, .. } => write!(out, "linear to {last} in {prunes} prunes"),
            Self::Cubic { last, prunes, .. } => write!(out, "cubic to {last} in {prunes} prunes"),
            Self::Polynomial { last, power, prunes, .. } => {
                write!(out, "polynomial of power {power} to {last} in {prunes} prunes")
            }
            Self::Exponential { last, prunes, .. } => write!(out, "exponential to {last} in {prunes} prunes"),
            Self::Cosine { last, prunes, .. } => write!(out, "cosine to {last} in {prunes} prunes"),
            Self::OneCycle { last, prunes, .. } => write!(out, "one-cycle to {last} in {prunes} prunes"),
            Self::Geometric { share, prunes } => write!(out, "{} of what remains, {prunes} times", share.get()),
            Self::DenseSparseDense { sparsity } => write!(out, "dense-sparse-dense by {sparsity}"),
            Self::List { sparsities, .. } => write!(out, "{} listed sparsities", sparsities.len()),
        }
    }
}

fn steepness() -> f64 {
    14.0
}

fn lateness() -> f64 {
    6.0
}

fn is_false(value: &bool) -> bool {
    !value
}

/// `prunes` targets; `rule` gets the share of the ramp that is done, in `(0, 1]`.
fn ramp(prunes: u32, rule: impl Fn(f64) -> f64) -> Result<Vec<Sparsity>, Error> {
    if prunes > MOST_PRUNES {
        return Err(Error::Schedule(format!("the schedule has {prunes} prunes, wanted at most {MOST_PRUNES}")));
    }
    let at = |prune: u32| {
        let share = rule(f64::from(prune) / f64::from(prunes));
        let why = format!("prune {prune} of {prunes} asks for a sparsity of {share}, wanted at least 0 and below 1");
        Sparsity::new(share).map_err(|_| Error::Schedule(why))
    };
    (1..=prunes).map(at).collect()
}

/// `last` with the share `left` of the way back to `initial`; exactly `last` when nothing is left.
fn mix(initial: Sparsity, last: Sparsity, left: f64) -> f64 {
    last.get() + (initial.get() - last.get()) * left
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
