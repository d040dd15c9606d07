//! Scores that have a place in an order: finite, and not negative, since they are ordered by their bits.

use super::Scores;
use crate::Error;
use std::borrow::Cow;

/// The scores in a form in which they are ordered like their bits: `-0.0` becomes `0.0`.
///
/// # Errors
/// When a score is negative, infinite or not a number.
pub(super) fn checked<'a, 's>(layers: &'a [Scores<'s>]) -> Result<Cow<'a, [Scores<'s>]>, Error> {
    let mut layers = Cow::Borrowed(layers);
    for place in 0..layers.len() {
        let layer = &layers[place];
        let flat = |kept: usize| layer.within.indices().nth(kept).unwrap_or(kept);
        if check_scores("score", layer.name, &layer.scores, flat)? {
            layers.to_mut()[place].scores.iter_mut().for_each(|score| *score += 0.0);
        }
    }
    Ok(layers)
}

/// Whether there is a `-0.0` among scores, which `flat` gives the flat indices of.
///
/// # Errors
/// When a score is negative, infinite or not a number.
pub(crate) fn check_scores(
    what: &'static str,
    name: &str,
    scores: &[f32],
    flat: impl Fn(usize) -> usize,
) -> Result<bool, Error> {
    // The bits of all that is finite and has no sign are below those of infinity.
    let odd = |score: &f32| score.to_bits() >= f32::INFINITY.to_bits();
    // One pass without a branch.
    if !scores.iter().fold(false, |any, score| any | odd(score)) {
        return Ok(false);
    }
    match scores.iter().position(|score| odd(score) && *score != 0.0) {
        None => Ok(true),
        Some(place) => {
            let (name, index, value) = (name.to_owned(), flat(place), scores[place]);
            Err(if value.is_finite() {
                Error::NegativeScore { what, name, index, value }
            } else {
                Error::NotFiniteScore { what, name, index, value }
            })
        }
    }
}
