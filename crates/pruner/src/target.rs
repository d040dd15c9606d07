//! How much is to be left, in the words in which people say it, and what that means for the weights that compete. Pure.

use crate::{Error, Sparsity};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How much is to be left.
///
/// In a config a bare number is a sparsity; the others are tables: `{ compression = 20.0 }`, `{ kept = 10_000 }`,
/// `{ macs = 0.1 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Spelled", into = "Spelled")]
pub enum Target {
    /// Share of zeros among the weights that may be pruned.
    Sparsity(Sparsity),
    /// Another measure.
    Other(Measured),
}

/// A target as a config spells it; what is wrong with a number is said by [`Sparsity`].
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "wanted a sparsity, or one of { compression = 20.0 }, { kept = 10_000 } and { macs = 0.1 }"
)]
enum Spelled {
    Number(f64),
    Other(Measured),
}

impl TryFrom<Spelled> for Target {
    type Error = Error;
    fn try_from(spelled: Spelled) -> Result<Self, Error> {
        match spelled {
            Spelled::Number(share) => Sparsity::new(share).map(Self::Sparsity),
            Spelled::Other(other) => Ok(Self::Other(other)),
        }
    }
}

impl From<Target> for Spelled {
    fn from(target: Target) -> Self {
        match target {
            Target::Sparsity(share) => Self::Number(share.get()),
            Target::Other(other) => Self::Other(other),
        }
    }
}

/// A target that needs the network's sizes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Measured {
    /// All parameters of the network over those left, at least.
    Compression(f64),
    /// Parameters of the network left, those that may not be pruned included, at most.
    Kept(u64),
    /// Share of the network's multiply-accumulates left, at most.
    Macs(f64),
}

/// What a share of zeros is a share of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measure {
    /// Of the weights that may be pruned.
    #[default]
    Weights,
    /// Of the network's multiply-accumulates (MACs).
    Macs,
}

/// Sizes of a network, which say what a target means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Weights that may be pruned.
    pub prunable: usize,
    /// All parameters, biases included.
    pub parameters: usize,
    /// MACs of the weights that may be pruned.
    pub prunable_macs: u64,
    /// All MACs of an image.
    pub macs: u64,
}

/// How much is to be pruned, as a selection counts it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// This share of the competing weights, rounded to the nearest count; layer by layer where the scope is layerwise.
    Share(Sparsity),
    /// This many of the competing weights.
    Weights(usize),
    /// MACs, at least, and less than one weight's more.
    Macs(u64),
}

impl Target {
    /// All parameters over those left.
    pub const fn compression(ratio: f64) -> Self {
        Self::Other(Measured::Compression(ratio))
    }

    /// Parameters left in all.
    pub const fn kept(parameters: u64) -> Self {
        Self::Other(Measured::Kept(parameters))
    }

    /// Share of MACs left.
    pub const fn macs(share: f64) -> Self {
        Self::Other(Measured::Macs(share))
    }

    /// What it is a share of; `None` for 0, which is all the same.
    pub fn measure(&self) -> Option<Measure> {
        match self {
            Self::Sparsity(share) if share.get() == 0.0 => None,
            Self::Other(Measured::Macs(_)) => Some(Measure::Macs),
            Self::Sparsity(_) | Self::Other(Measured::Compression(_) | Measured::Kept(_)) => Some(Measure::Weights),
        }
    }

    /// The share that goes: of the prunable weights, or, for [`Measured::Macs`], of all MACs.
    ///
    /// # Errors
    /// When the network cannot be pruned so far, even with nothing left that may be pruned.
    pub fn share(&self, sizes: Sizes) -> Result<Sparsity, Error> {
        let refuse = |why: String| Error::Target { target: self.to_string(), why };
        let fixed = sizes.parameters - sizes.prunable;
        let of_kept = |kept: f64| {
            if kept < fixed as f64 || sizes.prunable == 0 {
                return Err(refuse(format!(
                    "{fixed} of {} parameters may not be pruned, wanted more left than those",
                    sizes.parameters
                )));
            }
            let pruned = (sizes.parameters as f64 - kept).max(0.0);
            Sparsity::new(pruned / sizes.prunable as f64)
                .map_err(|_| refuse("it leaves no weight, wanted at least 1 left".into()))
        };
        match *self {
            Self::Sparsity(share) => Ok(share),
            Self::Other(Measured::Kept(kept)) if kept as usize > sizes.parameters => {
                Err(refuse(format!("the network has {} parameters, wanted no more", sizes.parameters)))
            }
            Self::Other(Measured::Kept(kept)) => of_kept(kept as f64),
            Self::Other(Measured::Compression(ratio)) if !(ratio.is_finite() && ratio >= 1.0) => {
                Err(refuse("wanted a ratio of at least 1".into()))
            }
            Self::Other(Measured::Compression(ratio)) => of_kept((sizes.parameters as f64 / ratio).floor()),
            Self::Other(Measured::Macs(share)) if !(share > 0.0 && share <= 1.0) => {
                Err(refuse("wanted a share above 0 and at most 1".into()))
            }
            Self::Other(Measured::Macs(share)) => {
                let fixed = sizes.macs - sizes.prunable_macs;
                if share * (sizes.macs as f64) < fixed as f64 {
                    let why = format!(
                        "layers that may not be pruned take {fixed} of {} MACs, wanted a share of at least {:.4}",
                        sizes.macs,
                        fixed as f64 / sizes.macs as f64
                    );
                    return Err(refuse(why));
                }
                Sparsity::new(1.0 - share)
            }
        }
    }
}

impl Measure {
    /// This share as a selection counts it.
    pub fn amount(self, share: Sparsity, sizes: Sizes) -> Amount {
        match self {
            Self::Weights => Amount::Share(share),
            // What is left is at most the share, so what goes is rounded up, but not for an error of the arithmetic.
            Self::Macs => Amount::Macs((share.get() * sizes.macs as f64 - 1e-6).ceil().max(0.0) as u64),
        }
    }
}

impl From<Sparsity> for Target {
    fn from(share: Sparsity) -> Self {
        Self::Sparsity(share)
    }
}

impl Default for Target {
    /// Nothing pruned.
    fn default() -> Self {
        Self::Sparsity(Sparsity::DENSE)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sparsity(share) => write!(out, "{}", share.get()),
            Self::Other(Measured::Compression(ratio)) => write!(out, "compression {ratio}"),
            Self::Other(Measured::Kept(kept)) => write!(out, "{kept} parameters kept"),
            Self::Other(Measured::Macs(share)) => write!(out, "{share} of the MACs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { prunable: 900, parameters: 1_000, prunable_macs: 3_000, macs: 4_000 };

    #[test]
    fn every_measure_becomes_a_share() {
        for (target, pruned) in [
            (Target::compression(1.0), 0),
            (Target::compression(4.0), 750),
            // 1,000 / 3 is 333.3: 333 are left, for a ratio of at least 3.
            (Target::compression(3.0), 667),
            (Target::kept(1_000), 0),
            (Target::kept(101), 899),
            (Sparsity::new(0.5).expect("in range").into(), 450),
        ] {
            let share = target.share(SIZES).expect("possible");
            assert_eq!(share.count(900), pruned, "{target}");
        }
        let share = Target::macs(0.3).share(SIZES).expect("possible");
        assert_eq!(Measure::Macs.amount(share, SIZES), Amount::Macs(2_800));
    }

    #[test]
    fn the_impossible_is_refused_with_its_reason() {
        for (target, why) in [
            (Target::compression(0.5), "at least 1"),
            (Target::compression(f64::NAN), "at least 1"),
            (Target::compression(20.0), "100 of 1000 parameters may not be pruned"),
            (Target::kept(99), "100 of 1000"),
            (Target::kept(100), "leaves no weight"),
            (Target::kept(1_001), "has 1000 parameters"),
            (Target::macs(0.0), "above 0"),
            (Target::macs(0.2), "1000 of 4000 MACs, wanted a share of at least 0.2500"),
        ] {
            let error = target.share(SIZES).expect_err("impossible").to_string();
            assert!(error.contains(why) && error.contains(&target.to_string()), "{target}: {error}");
        }
    }
}
