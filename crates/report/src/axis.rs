//! Axes: where numbers stand, and which of them are written there. Pure.

use crate::number::{grouped, short_percent};

/// An axis. Scales other than linear are in the numbers already: an axis maps `min..=max` to pixels evenly.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Name and unit.
    pub label: String,
    /// The lower end.
    pub min: f64,
    /// The upper end, above `min`.
    pub max: f64,
    /// In rising order.
    pub ticks: Vec<Tick>,
}

/// A labelled place on an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where, in the axis' numbers.
    pub at: f64,
    /// What is written there.
    pub label: String,
}

/// Sparsities that the sparsity axis may label, in percent of zeros.
const SPARSITY_TICKS: [f64; 14] =
    [0.0, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999, 0.99999];

impl Axis {
    /// Sparsity with density on a logarithmic scale, so that 90, 99 and 99.9 % stand equally far apart: the number on
    /// the axis is `-log10(1 - sparsity)`.
    pub fn sparsity(max: f64) -> Self {
        let ticks = SPARSITY_TICKS
            .map(|sparsity| Tick { at: sparsity_position(sparsity), label: format!("{} %", short_percent(sparsity)) });
        Self::around(
            "sparsity: zeros among the prunable parameters (density on a log scale)",
            max.max(sparsity_position(0.9)),
            ticks,
        )
    }

    /// Compression ratio on a binary logarithmic scale: the number on the axis is its `log2`.
    pub fn compression(max: f64) -> Self {
        let ticks = (0..=24).map(|power| Tick { at: f64::from(power), label: format!("{}x", 1_u32 << power) });
        Self::around("compression ratio: all parameters / nonzero parameters (log scale)", max.max(2.0), ticks)
    }

    /// Training steps from 0.
    pub fn steps(max: f64) -> Self {
        let max = max.max(1.0);
        let stride = stride(max, 6.0).max(1.0);
        let ticks = (0..=6).map(|n| f64::from(n) * stride);
        let ticks = ticks.map(|at| Tick { at, label: grouped(at as u64) });
        Self::around("training steps", max, ticks)
    }

    /// A cost on a decimal logarithmic scale: the numbers on the axis are its `log10`, from `low` to `high`, and at least
    /// half a decade. `unit` writes a tick's cost.
    pub fn logarithmic(label: String, low: f64, high: f64, unit: fn(f64) -> String) -> Self {
        let wider = (0.5 - (high - low)).max(0.0) / 2.0;
        let air = 0.04 * (high - low + 2.0 * wider);
        let (min, max) = (low - wider - air, high + wider + air);
        // Within few decades there is room for the steps between them.
        let steps: &[f64] = if max - min < 3.2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let powers = min.floor() as i32..=max.ceil() as i32;
        let costs = powers.flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
        let ticks = costs.map(|cost| Tick { at: cost.log10(), label: unit(cost) });
        Self { label, min, max, ticks: ticks.filter(|tick| (min..=max).contains(&tick.at)).collect() }
    }

    /// Percent from `min` to `max`, with a tick every `stride`.
    pub fn percent(min: f64, max: f64, stride: f64) -> Self {
        let count = ((max - min) / stride).round() as u32;
        let ticks = (0..=count).map(|n| min + f64::from(n) * stride);
        let ticks = ticks.map(|at| Tick { at, label: format!("{at} %") }).collect();
        Self { label: String::new(), min, max, ticks }
    }

    /// From 0 to `max`, with about as many round ticks as `most`, and no name.
    pub fn from_zero(max: f64, most: f64) -> Self {
        let max = if max.is_finite() && max > 0.0 { max } else { 1.0 };
        let stride = stride(max, most);
        let count = (max / stride).ceil() as i32;
        // A tick is a whole number of strides, so that no rounding shows.
        let decimals = (-stride.log10().floor()).max(0.0) as usize;
        let ticks = (0..=count).map(|n| f64::from(n) * stride);
        let ticks: Vec<_> = ticks.map(|at| Tick { at, label: format!("{at:.decimals$}") }).collect();
        Self { label: String::new(), min: 0.0, max: f64::from(count) * stride, ticks }
    }

    /// From 0 to `max`, with the ticks that lie on it and some air on both sides.
    fn around(label: &str, max: f64, ticks: impl IntoIterator<Item = Tick>) -> Self {
        let air = 0.03 * max;
        let ticks = ticks.into_iter().filter(|tick| tick.at <= max + air).collect();
        Self { label: label.to_owned(), min: -air, max: max + air, ticks }
    }
}

/// 1, 2 or 5 times a power of ten, of which at most `most` reach `max`.
fn stride(max: f64, most: f64) -> f64 {
    let magnitude = 10_f64.powf((max / most).log10().floor());
    let strides = [1.0, 2.0, 5.0].map(|n| n * magnitude);
    strides.into_iter().find(|stride| max / stride <= most).unwrap_or(10.0 * magnitude)
}

/// Where a sparsity stands on the sparsity axis: `-log10(1 - sparsity)`, and no further than one weight in a million.
pub(crate) fn sparsity_position(sparsity: f64) -> f64 {
    // `0.0 -` keeps the dense end from being -0.
    0.0 - (1.0 - sparsity).clamp(1e-6, 1.0).log10()
}

/// Where a compression ratio stands on the compression axis: its `log2`, and no further than 2^24.
pub(crate) fn compression_position(ratio: f64) -> f64 {
    if ratio.is_nan() { 0.0 } else { ratio.clamp(1.0, 16_777_216.0).log2() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn the_sparse_end_of_the_axis_is_wide() {
        let axis = Axis::sparsity(sparsity_position(0.995));
        assert_eq!(labels(&axis), ["0 %", "50 %", "75 %", "90 %", "95 %", "98 %", "99 %", "99.5 %"]);
        for (sparsity, at) in [(0.0, 0.0), (0.9, 1.0), (0.99, 2.0), (0.999, 3.0), (1.0, 6.0)] {
            assert!((sparsity_position(sparsity) - at).abs() < 1e-9, "{sparsity}");
        }
        assert_eq!(labels(&Axis::sparsity(0.0)), ["0 %", "50 %", "75 %", "90 %"], "a run that never pruned");
    }

    #[test]
    fn compression_doubles_from_tick_to_tick() {
        assert_eq!(labels(&Axis::compression(4.2)), ["1x", "2x", "4x", "8x", "16x"]);
        assert_eq!(compression_position(8.0), 3.0);
        assert_eq!(compression_position(f64::INFINITY), 24.0);
    }

    #[test]
    fn steps_have_round_ticks() {
        assert_eq!(labels(&Axis::steps(13_760.0)), ["0", "5,000", "10,000"]);
        assert_eq!(labels(&Axis::steps(0.0)), ["0", "1"]);
        assert_eq!(labels(&Axis::steps(11.0)), ["0", "2", "4", "6", "8", "10"]);
    }

    #[test]
    fn an_axis_from_zero_ends_at_a_round_tick() {
        let axis = Axis::from_zero(2.3, 4.0);
        assert_eq!((labels(&axis), axis.max), (vec!["0", "1", "2", "3"], 3.0));
        let axis = Axis::from_zero(0.001, 3.0);
        assert_eq!(labels(&axis), ["0.0000", "0.0005", "0.0010"]);
        assert_eq!(labels(&Axis::from_zero(0.0, 2.0)), ["0.0", "0.5", "1.0"], "a learning rate of nothing");
        assert_eq!(Axis::from_zero(f64::NAN, 2.0).max, 1.0);
    }

    #[test]
    fn costs_have_few_ticks_over_many_decades_and_half_a_decade_at_least() {
        let unit = |cost: f64| format!("{}", cost.round());
        assert_eq!(labels(&Axis::logarithmic(String::new(), 1.0, 2.0, unit)), ["10", "20", "50", "100"]);
        assert_eq!(labels(&Axis::logarithmic(String::new(), 0.0, 4.0, unit)), ["1", "10", "100", "1000", "10000"]);
        let alone = Axis::logarithmic(String::new(), 2.0, 2.0, unit);
        assert!(alone.min < 1.76 && alone.max > 2.24, "{alone:?}");
        assert_eq!(labels(&alone), ["100"]);
    }
}
