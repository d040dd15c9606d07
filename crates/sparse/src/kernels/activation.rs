//! Functions of one value, and their gradients.

use crate::lanes::{LANES, Lanes};
use crate::simd::Vector;

/// A function `y = f(z)`.
pub(crate) trait Function {
    /// Whether its gradient follows from `z`; otherwise it follows from `y`.
    const READS_INPUT: bool;
    /// `f(z)`
    fn value<V: Vector>(z: V) -> V;
    /// `dy f'(z)`; only one of `y` and `z` is read.
    fn back<V: Vector>(dy: V, y: V, z: V) -> V;
}

/// Calls a function that is generic over the activation, which may be missing.
macro_rules! with_activation {
    ($activation:expr, $f:ident, $($argument:expr),*) => {{
        use secateur_graph::Activation;
        use $crate::kernels::activation::{Gelu, HardSwish, Identity, Relu, Relu6, Silu};
        match $activation {
            None => $f::<V, Identity>($($argument),*),
            Some(Activation::Relu) => $f::<V, Relu>($($argument),*),
            Some(Activation::Relu6) => $f::<V, Relu6>($($argument),*),
            Some(Activation::Gelu) => $f::<V, Gelu>($($argument),*),
            Some(Activation::Silu) => $f::<V, Silu>($($argument),*),
            Some(Activation::HardSwish) => $f::<V, HardSwish>($($argument),*),
        }
    }};
}
pub(crate) use with_activation;

/// `z`
pub(crate) struct Identity;

impl Function for Identity {
    const READS_INPUT: bool = false;

    #[inline(always)]
    fn value<V: Vector>(z: V) -> V {
        z
    }

    #[inline(always)]
    fn back<V: Vector>(dy: V, _: V, _: V) -> V {
        dy
    }
}

/// `max(z, 0)`; NaN stays NaN.
pub(crate) struct Relu;

impl Function for Relu {
    const READS_INPUT: bool = false;

    #[inline(always)]
    fn value<V: Vector>(z: V) -> V {
        V::splat(0.0).max(z)
    }

    #[inline(always)]
    fn back<V: Vector>(dy: V, y: V, _: V) -> V {
        dy.keep(y.greater(V::splat(0.0)))
    }
}

/// `min(max(z, 0), 6)`; NaN stays NaN.
pub(crate) struct Relu6;

impl Function for Relu6 {
    const READS_INPUT: bool = false;

    #[inline(always)]
    fn value<V: Vector>(z: V) -> V {
        let z = V::splat(0.0).max(z);
        // The smaller one by what is left of 6; a NaN comes through.
        let over = z.greater(V::splat(6.0));
        z.keep(!over).add(V::splat(6.0).keep(over))
    }

    #[inline(always)]
    fn back<V: Vector>(dy: V, y: V, _: V) -> V {
        dy.keep(y.greater(V::splat(0.0)) & V::splat(6.0).greater(y))
    }
}

/// `z P(Z <= z)` for a standard normal Z.
pub(crate) struct Gelu;

impl Function for Gelu {
    const READS_INPUT: bool = true;

    #[inline(always)]
    fn value<V: Vector>(z: V) -> V {
        each(z, |z| (f64::from(z) * normal_cdf(f64::from(z))) as f32)
    }

    #[inline(always)]
    fn back<V: Vector>(dy: V, _: V, z: V) -> V {
        let slope = |z: f32| {
            let z = f64::from(z);
            let density = (-0.5 * z * z).exp() * (0.5 * std::f64::consts::FRAC_1_PI).sqrt();
            (normal_cdf(z) + z * density) as f32
        };
        each(z, slope).mul(dy)
    }
}

/// `z / (1 + exp(-z))`
pub(crate) struct Silu;

impl Function for Silu {
    const READS_INPUT: bool = true;

    #[inline(always)]
    fn value<V: Vector>(z: V) -> V {
        each(z, |z| z / (1.0 + (-z).exp()))
    }

    #[inline(always)]
    fn back<V: Vector>(dy: V, _: V, z: V) -> V {
        let slope = |z: f32| {
            let sigmoid = 1.0 / (1.0 + (-z).exp());
            sigmoid * (1.0 + z * (1.0 - sigmoid))
        };
        each(z, slope).mul(dy)
    }
}

/// `z min(max(z + 3, 0), 6) / 6`; NaN stays NaN.
pub(crate) struct HardSwish;

impl Function for HardSwish {
    const READS_INPUT: bool = true;

    #[inline(always)]
    fn value<V: Vector>(z: V) -> V {
        z.mul(Relu6::value(z.add(V::splat(3.0)))).mul(V::splat(1.0 / 6.0))
    }

    #[inline(always)]
    fn back<V: Vector>(dy: V, _: V, z: V) -> V {
        // 0 up to -3, 1 from 3 on, and between them a straight line.
        let (above, below) = (z.greater(V::splat(3.0)), V::splat(-3.0).greater(z));
        let slope = z.mul_add(V::splat(1.0 / 3.0), V::splat(0.5)).keep(!(above | below));
        slope.add(V::splat(1.0).keep(above)).mul(dy)
    }
}

/// Lane by lane.
#[inline(always)]
fn each<V: Vector>(values: V, f: impl Fn(f32) -> f32) -> V {
    let mut lanes = Lanes::ZERO;
    values.store(&mut lanes);
    for lane in 0..LANES {
        lanes.0[lane] = f(lanes.0[lane]);
    }
    V::load(&lanes)
}

/// `P(Z <= z)` for a standard normal Z, by a Chebyshev fit of the complementary error function that is good to 1.2e-7 of
/// its value (Press et al., Numerical Recipes, 2nd edition, section 6.2).
fn normal_cdf(z: f64) -> f64 {
    const FIT: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let x = z.abs() * std::f64::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let tail = 0.5 * t * (FIT.iter().rev().fold(0.0, |sum, own| sum * t + own) - x * x).exp();
    if z > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_has_its_textbook_values() {
        for (z, expected) in [(0.0, 0.5), (1.0, 0.841_344_746), (-1.0, 0.158_655_254), (3.0, 0.998_650_102)] {
            assert!((normal_cdf(z) - expected).abs() < 2e-7, "{z}: {}", normal_cdf(z));
        }
        // Far out it is right in proportion.
        assert!((normal_cdf(-6.0) / 9.865_876_45e-10 - 1.0).abs() < 1e-6);
        assert!(normal_cdf(f64::NAN).is_nan());
    }
}
