//! What is important: one score a weight, and the weights with the lowest scores go first.

use crate::lamp::shares;
use crate::mask::ones;
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
    /// Pruning", 2021). Of equal magnitudes the one that stands first counts as the larger.
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
            let mut scores = Vec::with_capacity(mask.kept());
            // The numbers of 64 weights, and of those that live theirs.
            let mut bytes = [0; 64 * 4];
            for word in mask.words() {
                numbers.fill_bytes(&mut bytes);
                let number = |place: usize| {
                    let number = bytes[place * 4..][..4].try_into().expect("four bytes");
                    (u32::from_le_bytes(number) >> 8) as f32 / (1 << 24) as f32
                };
                scores.extend(ones(*word).map(number));
            }
            scores
        }
        Criterion::Lamp => shares(kept),
    })
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
    fn random_numbers_are_those_that_are_drawn_one_by_one() {
        for total in [0, 1, 63, 64, 65, 200] {
            let mut numbers = ChaCha8Rng::seed_from_u64(5);
            numbers.set_stream(2);
            let all: Vec<f32> = (0..total).map(|_| (numbers.next_u32() >> 8) as f32 / (1 << 24) as f32).collect();
            let some = [|_| true, |index| index % 3 == 1, |index| index > 130];
            for mask in some.map(|keeps: fn(usize) -> bool| Mask::from_fn(&[total], keeps)) {
                let scores = score(Criterion::Random, "w", &vec![0.0; mask.kept()], &mask, 2, 5).expect("finite");
                assert_eq!(scores, mask.gather(&all));
            }
        }
    }

    #[test]
    fn lamp_by_hand() {
        let lamp =
            |values: &[f32]| score(Criterion::Lamp, "w", values, &Mask::full(&[values.len()]), 0, 1).expect("finite");
        // Squares 1, 4, 9: of the smallest 1/14, then 4/13, then 9/9; zeros have nothing.
        assert_eq!(lamp(&[2.0, -1.0, 3.0, 0.0]), [4.0 / 13.0, 1.0 / 14.0, 1.0, 0.0]);
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
