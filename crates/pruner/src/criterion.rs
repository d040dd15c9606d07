//! What is important: one score a weight, and the weights with the lowest scores go first.

use crate::{Error, GroupScore, Mask};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// A rule that scores weights; the higher the score, the longer the weight lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// Absolute value.
    L1,
    /// Euclidean norm; of a single element the absolute value, so that `l1` and `l2` agree on elements.
    L2,
    /// A uniform random number: the baseline that every other criterion has to beat.
    Random,
    /// A weight's square over the sum of the squares that would be left in its layer, itself and all larger ones: layers
    /// compete fairly without a share of their own (Lee et al., "Layer-adaptive Sparsity for the Magnitude-based
    /// Pruning", 2021).
    Lamp,
}

impl Criterion {
    /// How its scores add up to that of a group: a norm for a norm, a sum of parts, one number for a random one.
    pub fn group_score(self) -> GroupScore {
        match self {
            Self::L1 | Self::Lamp => GroupScore::L1,
            Self::L2 => GroupScore::L2,
            Self::Random => GroupScore::First,
        }
    }
}

/// Scores the living weights of one layer: `kept` are the values that its mask keeps, in order. All scores are finite and
/// at least 0.
///
/// `layer` (its place in the module) and `seed` name the random numbers of [`Criterion::Random`], one for every weight,
/// alive or not; the other criteria ignore them.
///
/// # Errors
/// When a value is infinite or not a number, whatever the criterion: a diverged layer has no order.
pub fn score(
    criterion: Criterion,
    name: &str,
    kept: &[f32],
    mask: &Mask,
    layer: usize,
    seed: u64,
) -> Result<Vec<f32>, Error> {
    if let Some(place) = kept.iter().position(|value| !value.is_finite()) {
        let index = mask.indices().nth(place).unwrap_or(place);
        return Err(Error::NotFinite { name: name.into(), index, value: kept[place] });
    }
    Ok(match criterion {
        Criterion::L1 | Criterion::L2 => kept.iter().map(|value| value.abs()).collect(),
        Criterion::Random => {
            let mut numbers = ChaCha8Rng::seed_from_u64(seed);
            numbers.set_stream(layer as u64);
            let drawn = (0..mask.total()).map(|index| (index, numbers.next_u32() >> 8));
            let living = drawn.filter(|(index, _)| mask.keeps(*index));
            living.map(|(_, number)| number as f32 / (1 << 24) as f32).collect()
        }
        Criterion::Lamp => lamp(kept),
    })
}

/// The LAMP score of each value. Of equal magnitudes the one that stands first counts as the larger.
fn lamp(values: &[f32]) -> Vec<f32> {
    let mut order: Vec<(u32, u32)> =
        values.iter().zip(0..).map(|(value, index)| (value.abs().to_bits(), !index)).collect();
    order.sort_unstable();
    let mut scores = vec![0.0; values.len()];
    let mut left = 0.0;
    for (magnitude, place) in order.iter().rev() {
        let square = f64::from(f32::from_bits(*magnitude)).powi(2);
        left += square;
        scores[!place as usize] = if square == 0.0 { 0.0 } else { (square / left) as f32 };
    }
    scores
}

impl std::fmt::Display for Criterion {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
            Self::Random => "random",
            Self::Lamp => "lamp",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_ignore_the_sign() {
        for criterion in [Criterion::L1, Criterion::L2] {
            let full = Mask::full(&[3]);
            let scores = score(criterion, "w", &[-2.0, 0.5, -0.0], &full, 0, 1).expect("finite");
            assert_eq!(scores.iter().map(|s| s.to_bits()).collect::<Vec<_>>(), [2.0f32, 0.5, 0.0].map(f32::to_bits));
        }
    }

    #[test]
    fn random_scores_are_named_by_seed_and_layer() {
        let full = Mask::full(&[8]);
        let draw = |layer, seed| score(Criterion::Random, "w", &[1.0; 8], &full, layer, seed).expect("finite");
        assert_eq!(draw(0, 1), draw(0, 1));
        assert_ne!(draw(0, 1), draw(1, 1));
        assert_ne!(draw(0, 1), draw(0, 2));
        // A weight's number does not depend on which others live.
        let half = Mask::from_fn(&[8], |index| index % 2 == 1);
        let of_half = score(Criterion::Random, "w", &[1.0; 4], &half, 0, 1).expect("finite");
        assert_eq!(of_half, half.gather(&draw(0, 1)));
    }

    #[test]
    fn lamp_by_hand() {
        // Squares 1, 4, 9: of the smallest 1/14, then 4/13, then 9/9; zeros have nothing.
        let scores = lamp(&[2.0, -1.0, 3.0, 0.0]);
        assert_eq!(scores, [4.0 / 13.0, 1.0 / 14.0, 1.0, 0.0]);
        // Of equal ones the last goes first.
        assert_eq!(lamp(&[1.0, 1.0]), [1.0, 0.5]);
        assert_eq!(lamp(&[]), [0.0f32; 0]);
    }

    #[test]
    fn diverged_weights_name_their_layer() {
        for value in [f32::NAN, f32::INFINITY] {
            let mask = Mask::from_fn(&[3], |index| index != 1);
            let error = score(Criterion::Random, "fc1.weight", &[0.0, value], &mask, 0, 1).expect_err("not finite");
            assert!(error.to_string().contains("`fc1.weight`") && error.to_string().contains("index 2"), "{error}");
        }
    }
}
