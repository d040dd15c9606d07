//! Tells what a formula is by what it gives for chosen numbers.

use super::formula::{MOST_ALONG, Term, Unary};
use secateur_graph::Activation;

/// What a formula is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Recognised {
    Activation(Activation),
    /// Layer normalisation along the formula's axes.
    Normalisation {
        scale: Vec<f32>,
        shift: Vec<f32>,
        epsilon: f64,
    },
    Softmax,
}

/// What a formula of so many numbers along its axes is, if it is one of these.
pub(super) fn whole(term: &Term, count: usize) -> Option<Recognised> {
    if term.is_elementwise() {
        return activation(term).map(Recognised::Activation);
    }
    if count > MOST_ALONG {
        return None;
    }
    normalisation(term, count).or_else(|| is_softmax(term, count).then_some(Recognised::Softmax))
}

/// Numbers that a formula is computed for, at least.
pub(super) const LEAST_NUMBERS: usize = 121;

/// Numbers that are the same on every machine, from -1 to 1.
fn probe(count: usize, seed: u64) -> Vec<f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed + 1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 30) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// The activation that a formula is, of numbers that are each computed by themselves. Constants may be rounded to f16.
fn activation(term: &Term) -> Option<Activation> {
    let numbers: Vec<f64> = (-60..=60).map(|place| f64::from(place) * 0.2).collect();
    let found = term.of(&numbers);
    if found.len() != numbers.len() {
        return None;
    }
    let distance = |own: Activation| {
        let one = |(x, found): (&f64, &f64)| {
            let expected = Unary::Activation(own).of(*x);
            let own = (found - expected).abs() / (1e-4 + 5e-4 * expected.abs());
            // What is no number is far away.
            if own.is_nan() { f64::INFINITY } else { own }
        };
        numbers.iter().zip(&found).map(one).fold(0.0, f64::max)
    };
    let all = Activation::ALL.into_iter().map(|own| (distance(own), own));
    let (nearest, own) = all.min_by(|one, other| one.0.total_cmp(&other.0))?;
    (nearest <= 1.0).then_some(own)
}

/// Whether a formula is `exp(x) / sum of exp(x)` of so many numbers.
pub(super) fn is_softmax(term: &Term, count: usize) -> bool {
    if term.is_elementwise() {
        return false;
    }
    (0..3).all(|seed| {
        let numbers: Vec<f64> = probe(count, seed).into_iter().map(|own| 4.0 * own + seed as f64).collect();
        let found = term.of(&numbers);
        let sum: f64 = numbers.iter().map(|own| own.exp()).sum();
        let fits = |(found, own): (&f64, &f64)| (found - own.exp() / sum).abs() <= 1e-9;
        found.len() == count && found.iter().zip(&numbers).all(fits)
    })
}

/// The layer normalisation of so many numbers that a formula is.
fn normalisation(term: &Term, count: usize) -> Option<Recognised> {
    let whole = |numbers: &[f64]| Some(term.of(numbers)).filter(|own| own.len() == count);
    // What is the same everywhere gives the shift.
    let shift = whole(&vec![0.0; count])?;
    let mut scale = vec![0.0; count];
    let mut most = vec![0.0; count];
    for seed in 0..4 {
        // So far apart that epsilon plays no part.
        let numbers: Vec<f64> = probe(count, seed).into_iter().map(|own| 1e5 * own).collect();
        let normalised = normalised(&numbers, 0.0);
        for (place, found) in whole(&numbers)?.into_iter().enumerate() {
            let own = normalised[place];
            if own.abs() > most[place] {
                (most[place], scale[place]) = (own.abs(), (found - shift[place]) / own);
            }
        }
    }
    // So near each other that it does: with variance v the numbers are divided by the root of v + epsilon.
    let numbers: Vec<f64> = probe(count, 5).into_iter().map(|own| 1e-3 * own).collect();
    let (distances, variance) = distances(&numbers);
    let found = whole(&numbers)?;
    let (mut up, mut down) = (0.0, 0.0);
    for place in 0..count {
        let own = scale[place] * distances[place];
        up += (found[place] - shift[place]) * own;
        down += own * own;
    }
    // Where nothing is left of the numbers any will do.
    let epsilon = if down > 0.0 { (down / up) * (down / up) - variance } else { 1e-5 };
    if !epsilon.is_finite() || epsilon < -1e-9 * variance {
        return None;
    }
    let [scale, shift]: [Vec<f32>; 2] = [scale, shift].map(|all| all.into_iter().map(|own| own as f32).collect());
    let epsilon = f64::from(epsilon.max(0.0) as f32);
    let fits = (6..9).all(|seed| {
        let size = [1e-3, 1.0, 100.0][seed as usize - 6];
        let numbers: Vec<f64> = probe(count, seed).into_iter().map(|own| size * (own + 0.5)).collect();
        let normalised = normalised(&numbers, epsilon);
        let Some(found) = whole(&numbers) else { return false };
        let expected = |place: usize| f64::from(scale[place]) * normalised[place] + f64::from(shift[place]);
        let most = (0..count).map(|place| expected(place).abs()).fold(0.0, f64::max);
        (0..count).all(|place| (found[place] - expected(place)).abs() <= 1e-5 * most)
    });
    fits.then_some(Recognised::Normalisation { scale, shift, epsilon })
}

/// The distances from the mean, and the variance.
fn distances(numbers: &[f64]) -> (Vec<f64>, f64) {
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    let distances: Vec<f64> = numbers.iter().map(|own| own - mean).collect();
    let variance = distances.iter().map(|own| own * own).sum::<f64>() / numbers.len() as f64;
    (distances, variance)
}

fn normalised(numbers: &[f64], epsilon: f64) -> Vec<f64> {
    let (distances, variance) = distances(numbers);
    let root = (variance + epsilon).sqrt();
    distances.into_iter().map(|own| own / root).collect()
}
