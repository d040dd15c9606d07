//! What several seeds say together: mean, spread, and how far the mean may be off. Pure: numbers in, numbers out.
//!
//! Student's t has a sum of finitely many terms for whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4),
//! so that no crate of special functions is needed for it.

use std::f64::consts::FRAC_2_PI;

/// The confidence of every interval.
const CONFIDENCE: f64 = 0.95;

/// Numbers that a t-interval takes at least: over two it is 12.7 times as wide as their deviation says, and tells nothing.
pub(crate) const FEWEST: usize = 3;

/// A sample of one number a seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// How many numbers there are; at least one.
    pub(crate) n: usize,
    pub(crate) mean: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Sample standard deviation; `None` for a single number, which says nothing about others.
    pub(crate) deviation: Option<f64>,
    /// Half the width of the 95 % t-interval of the mean; `None` below [`FEWEST`] numbers.
    pub(crate) half_width: Option<f64>,
}

impl Spread {
    /// What `values` say; `None` when there is none or one is not finite.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
        Some(Self {
            n,
            mean,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            deviation,
            half_width: deviation
                .filter(|_| n >= FEWEST)
                .map(|deviation| critical(n - 1) * deviation / (n as f64).sqrt()),
        })
    }

    /// The 95 % t-interval of the mean; `None` below [`FEWEST`] numbers.
    pub(crate) fn interval(&self) -> Option<(f64, f64)> {
        self.half_width.map(|half| (self.mean - half, self.mean + half))
    }

    /// Probability of a mean at least so far from 0, in a sample of differences that are 0 on average: Student's t, both sides.
    /// `None` below [`FEWEST`] numbers.
    pub(crate) fn p(&self) -> Option<f64> {
        let deviation = self.deviation.filter(|_| self.n >= FEWEST)?;
        if deviation == 0.0 {
            return Some(if self.mean == 0.0 { 1.0 } else { 0.0 });
        }
        Some((1.0 - within(self.mean.abs() / deviation * (self.n as f64).sqrt(), self.n - 1)).clamp(0.0, 1.0))
    }
}

/// Probabilities of single comparisons, corrected by Holm's step-down method (1979) for being made together: where none is a true
/// difference, any of them is below `p` with a probability of at most `p`.
pub(crate) fn holm(single: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..single.len()).collect();
    order.sort_by(|a, b| single[*a].total_cmp(&single[*b]));
    let (mut corrected, mut highest) = (vec![1.0; single.len()], 0.0_f64);
    for (rank, place) in order.into_iter().enumerate() {
        highest = highest.max((single.len() - rank) as f64 * single[place]).min(1.0);
        corrected[place] = highest;
    }
    corrected
}

/// The least probability that the test images leave to luck where two networks differ by so many right answers: McNemar's exact
/// test, if they answer no other image differently. Logs do not tell how many they do; each would make it larger.
pub(crate) fn sign_test(images: f64) -> f64 {
    (1.0 - images).exp2().min(1.0)
}

/// The 95 % interval of a share of which `part` of `whole` were seen, in `[0, 1]`: Wilson's score interval, which stays
/// between 0 and 1 and is not of width 0 where all or none were seen. `None` where nothing was asked.
pub(crate) fn wilson(part: u64, whole: u64) -> Option<(f64, f64)> {
    const Z: f64 = 1.959_963_984_540_054;
    if whole == 0 || part > whole {
        return None;
    }
    let (n, p) = (whole as f64, part as f64 / whole as f64);
    let (square, scale) = (Z * Z, 1.0 + Z * Z / n);
    let middle = (p + square / (2.0 * n)) / scale;
    let half = Z / scale * (p * (1.0 - p) / n + square / (4.0 * n * n)).sqrt();
    Some(((middle - half).max(0.0), (middle + half).min(1.0)))
}

/// The number that Student's t with `freedom` degrees of freedom, at least one, stays within in 95 of 100 cases, on both
/// sides together.
pub(crate) fn critical(freedom: usize) -> f64 {
    assert!(freedom > 0, "a single number has no interval");
    // One degree of freedom has the widest, 12.7.
    let (mut low, mut high) = (0.0_f64, 13.0_f64);
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if within(middle, freedom) < CONFIDENCE { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The probability of `-t..=t` for Student's t.
fn within(t: f64, freedom: usize) -> f64 {
    // The sum takes half as many terms as there are degrees of freedom; beyond these the fourth digit no longer moves.
    let freedom = freedom.min(20_000);
    let angle = (t / (freedom as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let odd = freedom % 2 == 1;
    // Odd: cos + 2/3 cos^3 + (2 4)/(3 5) cos^5 ...; even: 1 + 1/2 cos^2 + (1 3)/(2 4) cos^4 ...
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = 0.0;
    let mut power = if odd { 1 } else { 0 };
    while power + 2 <= freedom {
        sum += term;
        term *= cosine * cosine * (power + 1) as f64 / (power + 2) as f64;
        power += 2;
    }
    if odd { FRAC_2_PI * (angle + sine * sum) } else { sine * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_values_are_those_of_every_table() {
        for (freedom, expected) in [
            (1, 12.706),
            (2, 4.303),
            (3, 3.182),
            (4, 2.776),
            (5, 2.571),
            (6, 2.447),
            (7, 2.365),
            (8, 2.306),
            (9, 2.262),
            (10, 2.228),
            (15, 2.131),
            (20, 2.086),
            (29, 2.045),
            (30, 2.042),
            (60, 2.000),
            (100, 1.984),
            (120, 1.980),
            (1_000, 1.962),
            (1_000_000, 1.960),
        ] {
            let found = critical(freedom);
            assert!((found - expected).abs() < 0.000_51, "{freedom}: {found}, wanted {expected}");
        }
        // One and two degrees have closed forms.
        assert!((critical(1) - (0.475 * std::f64::consts::PI).tan()).abs() < 1e-9);
        assert!((critical(2) - 0.95 * (2.0 / (1.0 - 0.95_f64.powi(2))).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn intervals_narrow_with_every_seed() {
        assert!((1..200).all(|freedom| critical(freedom) > critical(freedom + 1)));
    }

    #[test]
    fn a_sample_by_hand() {
        // Mean 3, squares 4 + 0 + 4 over 2: deviation 2; 4.303 * 2 / sqrt 3.
        let spread = Spread::of(&[1.0, 3.0, 5.0]).expect("three numbers");
        assert_eq!((spread.n, spread.mean, spread.min, spread.max), (3, 3.0, 1.0, 5.0));
        assert_eq!(spread.deviation, Some(2.0));
        let half = spread.half_width.expect("an interval");
        assert!((half - 4.9683).abs() < 1e-4, "{half}");
        assert_eq!(spread.interval(), Some((3.0 - half, 3.0 + half)));
    }

    #[test]
    fn two_numbers_have_their_ends_and_no_interval() {
        let two = Spread::of(&[98.0, 99.0]).expect("two numbers");
        assert_eq!((two.min, two.max, two.half_width, two.interval()), (98.0, 99.0, None, None));
        assert!(two.deviation.is_some());
        assert!(Spread::of(&[98.0, 99.0, 98.5]).expect("three").interval().is_some());
    }

    #[test]
    fn a_share_of_test_images_has_wilsons_interval() {
        // Newcombe (1998), table I: 81 of 263, and none of 20.
        for (part, whole, low, high) in [(81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611), (20, 20, 0.8389, 1.0)] {
            let found = wilson(part, whole).expect("an interval");
            assert!((found.0 - low).abs() < 5e-5 && (found.1 - high).abs() < 5e-5, "{part} of {whole}: {found:?}");
        }
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn one_number_has_no_interval_and_none_has_nothing() {
        let alone = Spread::of(&[7.0]).expect("a number");
        assert_eq!((alone.mean, alone.deviation, alone.half_width), (7.0, None, None));
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[1.0, f64::NAN]), None);
        assert_eq!(Spread::of(&[1.0, f64::INFINITY]), None);
    }

    #[test]
    fn a_probability_is_that_of_the_table() {
        // Mean 3, deviation 2: t is 3 / (2 / sqrt 3) = 2.598 with two degrees of freedom, of which 1 - t / sqrt(t^2 + 2) is beyond.
        let p = Spread::of(&[1.0, 3.0, 5.0]).and_then(|spread| spread.p()).expect("three numbers");
        let t = 3.0 / (2.0 / 3.0_f64.sqrt());
        assert!((p - (1.0 - t / (t * t + 2.0).sqrt())).abs() < 1e-12, "{p}");
        let p = |values: &[f64]| Spread::of(values).and_then(|spread| spread.p());
        assert_eq!((p(&[0.0; 3]), p(&[1.0; 3]), p(&[1.0, 2.0])), (Some(1.0), Some(0.0), None));
    }

    #[test]
    fn holms_correction_by_hand() {
        // 3 x 0.01, then 2 x 0.02 and 1 x 0.03, which may not fall below what came before.
        assert_eq!(holm(&[0.02, 0.01, 0.03]), [0.04, 0.03, 0.04]);
        assert_eq!((holm(&[0.9, 0.8]), holm(&[])), (vec![1.0, 1.0], vec![]));
    }

    #[test]
    fn few_images_are_luck_whatever_the_seeds_say() {
        // Five heads of five throws: 2 / 32.
        assert_eq!(sign_test(5.0), 1.0 / 16.0);
        assert!(sign_test(5.0) > 0.05 && sign_test(6.0) < 0.05 && sign_test(0.5) == 1.0);
    }
}
