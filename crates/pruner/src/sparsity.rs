//! How much to prune: a share of zeros that cannot be out of range.

use crate::Error;
use serde::{Deserialize, Serialize};

/// A share of zeros, in `[0, 1)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Sparsity(f64);

impl Sparsity {
    /// Nothing pruned.
    pub const DENSE: Self = Self(0.0);

    /// Checks the range.
    ///
    /// # Errors
    /// When `share` is below 0, is 1 or above, or is not a number.
    pub fn new(share: f64) -> Result<Self, Error> {
        if (0.0..1.0).contains(&share) { Ok(Self(share)) } else { Err(Error::Sparsity(share)) }
    }

    /// The share of zeros.
    pub fn get(self) -> f64 {
        self.0
    }

    /// How many of `total` elements are zero: `round(sparsity * total)`, halves away from zero.
    pub fn count(self, total: usize) -> usize {
        // Below 2^53 elements the product is exact enough for the rounding to be the mathematical one.
        (self.0 * total as f64).round() as usize
    }
}

impl TryFrom<f64> for Sparsity {
    type Error = Error;
    fn try_from(share: f64) -> Result<Self, Error> {
        Self::new(share)
    }
}

impl From<Sparsity> for f64 {
    fn from(sparsity: Sparsity) -> f64 {
        sparsity.0
    }
}

#[cfg(test)]
mod tests {
    use super::Sparsity;

    #[test]
    fn only_shares_of_zeros_are_accepted() {
        for share in [1.0, 1.2, -0.1, f64::NAN, f64::INFINITY] {
            assert!(Sparsity::new(share).is_err(), "{share}");
        }
    }

    #[test]
    fn counts_are_rounded() {
        let count = |share, total| Sparsity::new(share).expect("in range").count(total);
        assert_eq!([count(0.0, 9), count(0.5, 9), count(0.9, 54), count(0.97, 10), count(0.99, 0)], [0, 5, 49, 10, 0]);
    }
}
