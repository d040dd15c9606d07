//! How weights are spread: counts of equal bins around zero.

/// Bins on each side of zero.
const HALF: usize = 20;

/// Weights counted in equal bins from `-bound` to `bound`. Zero is the border of two bins, so that a gap that pruning leaves
/// around it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    bound: f32,
    counts: Vec<u64>,
    outside: u64,
}

impl Histogram {
    /// Counts values; the largest by its size sets the bound. A value that is no finite number is counted apart.
    pub fn of(values: &[f32]) -> Self {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let bound = finite().fold(0.0, |bound: f32, value| bound.max(value.abs()));
        let mut counts = vec![0; 2 * HALF];
        for value in finite() {
            // Of nothing but zeros the bound is 0, and any place in the middle is right.
            let place =
                if bound > 0.0 { (f64::from(value) / f64::from(bound) + 1.0) * HALF as f64 } else { HALF as f64 };
            counts[(place as usize).min(2 * HALF - 1)] += 1;
        }
        let outside = values.len() as u64 - counts.iter().sum::<u64>();
        Self { bound, counts, outside }
    }

    /// The size of the largest value.
    pub fn bound(&self) -> f32 {
        self.bound
    }

    /// Values in each bin, the lowest first.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Values that are no finite number.
    pub fn outside(&self) -> u64 {
        self.outside
    }

    /// Values in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.outside
    }

    /// The lower border of a bin; of the one after the last the upper border of the last.
    pub fn border(&self, bin: usize) -> f64 {
        (bin as f64 / HALF as f64 - 1.0) * f64::from(self.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_bin() {
        let own = Histogram::of(&[-2.0, -0.01, 0.01, 0.05, 0.15, 2.0, 2.0, f32::NAN, f32::INFINITY]);
        assert_eq!((own.bound(), own.outside(), own.total()), (2.0, 2, 9));
        let filled: Vec<_> = own.counts().iter().enumerate().filter(|(_, count)| **count > 0).collect();
        // A bin is 0.1 wide, so 0.05 shares that of 0.01; the largest value is in the last.
        assert_eq!(filled, [(0, &1), (19, &1), (20, &2), (21, &1), (39, &2)]);
        for (bin, border) in [(0, -2.0), (20, 0.0), (21, 0.1), (40, 2.0)] {
            assert!((own.border(bin) - border).abs() < 1e-12, "{bin}");
        }
    }

    #[test]
    fn nothing_and_zeros_alone_are_counted_too() {
        assert_eq!((Histogram::of(&[]).total(), Histogram::of(&[]).bound()), (0, 0.0));
        assert_eq!((Histogram::of(&[0.0, -0.0]).counts()[HALF], Histogram::of(&[0.0; 2]).total()), (2, 2));
        // The smallest and the largest numbers do not leave their bins.
        let own = Histogram::of(&[f32::MAX, f32::MIN, f32::MIN_POSITIVE]);
        assert_eq!((own.counts()[0], own.counts()[20], own.counts()[39]), (1, 1, 1));
    }
}
