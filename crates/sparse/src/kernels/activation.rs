//! Functions of one value, and their gradients.

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
        use $crate::kernels::activation::{
            Gelu, GeluTanh, HardSigmoid, HardSwish, Identity, Relu, Relu6, Sigmoid, Silu, Tanh,
        };
        match $activation {
            None => $f::<V, Identity>($($argument),*),
            Some(Activation::Relu) => $f::<V, Relu>($($argument),*),
            Some(Activation::Relu6) => $f::<V, Relu6>($($argument),*),
            Some(Activation::Gelu) => $f::<V, Gelu>($($argument),*),
            Some(Activation::Silu) => $f::<V, Silu>($($argument),*),
            Some(Activation::HardSwish) => $f::<V, HardSwish>($($argument),*),
            Some(Activation::Sigmoid) => $f::<V, Sigmoid>($($argument),*),
            Some(Activation::Tanh) => $f::<V, Tanh>($($argument),*),
            Some(Activation::HardSigmoid) => $f::<V, HardSigmoid>($($argument),*),
            Some(Activation::GeluTanh) => $f::<V, GeluTanh>($($argument),*),
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
        let [below, _] = normal(z);
        z.mul(below)
    }

    #[inline(always)]
    fn back<V: Vector>(dy: V, _: V, z: V) -> V {
        let [below, density] = normal(z);
        z.mul_add(density, below).mul(dy)
    }
}

/// `z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2`, which is z times a sigmoid.
pub(crate) struct GeluTanh;

/// Twice the root of `2 / pi`.
const SLOPE: f32 = 1.595_769;
const CUBED: f32 = 0.044_715;

impl Function for GeluTanh {
    const READS_INPUT: bool = true;

    #[inline(always)]
    fn value<V: Vector>(z: V) -> V {
        let factor = z.mul(z).mul_add(V::splat(SLOPE * CUBED), V::splat(SLOPE));
        z.mul(sigmoid(z.mul(factor)))
    }

    #[inline(always)]
    fn back<V: Vector>(dy: V, _: V, z: V) -> V {
        let square = z.mul(z);
        let share = sigmoid(z.mul(square.mul_add(V::splat(SLOPE * CUBED), V::splat(SLOPE))));
        let inner = square.mul_add(V::splat(3.0 * SLOPE * CUBED), V::splat(SLOPE));
        let slope = share.mul(V::splat(1.0).sub(share)).mul(inner);
        // Far out the slope of the sigmoid is 0, whatever z is.
        z.mul(slope).keep(slope.greater(V::splat(0.0))).add(share).mul(dy)
    }
}

/// `z / (1 + exp(-z))`
pub(crate) struct Silu;

impl Function for Silu {
    const READS_INPUT: bool = true;

    #[inline(always)]
    fn value<V: Vector>(z: V) -> V {
        z.mul(sigmoid(z))
    }

    #[inline(always)]
    fn back<V: Vector>(dy: V, _: V, z: V) -> V {
        let own = sigmoid(z);
        // sigmoid (1 + z (1 - sigmoid))
        let slope = own.mul(V::splat(1.0).sub(own));
        z.mul_add(slope, own).mul(dy)
    }
}

/// `1 / (1 + exp(-z))`
pub(crate) struct Sigmoid;

impl Function for Sigmoid {
    const READS_INPUT: bool = false;

    #[inline(always)]
    fn value<V: Vector>(z: V) -> V {
        sigmoid(z)
    }

    #[inline(always)]
    fn back<V: Vector>(dy: V, y: V, _: V) -> V {
        y.mul(V::splat(1.0).sub(y)).mul(dy)
    }
}

/// `(exp(z) - exp(-z)) / (exp(z) + exp(-z))`
pub(crate) struct Tanh;

impl Function for Tanh {
    const READS_INPUT: bool = false;

    #[inline(always)]
    fn value<V: Vector>(z: V) -> V {
        // Near 0 the difference would lose digits that the first terms of the series have.
        let square = z.mul(z);
        let mut series = V::splat(SERIES[0]);
        for factor in &SERIES[1..] {
            series = series.mul_add(square, V::splat(*factor));
        }
        let far = square.greater_or_nan(V::splat(0.0625));
        let difference = sigmoid(z.add(z)).mul_add(V::splat(2.0), V::splat(-1.0));
        series.mul(z).keep(!far).add(difference.keep(far))
    }

    #[inline(always)]
    fn back<V: Vector>(dy: V, y: V, _: V) -> V {
        V::splat(1.0).sub(y.mul(y)).mul(dy)
    }
}

/// Of tanh(z) / z, by powers of z squared, the highest first.
const SERIES: [f32; 5] = [62.0 / 2835.0, -17.0 / 315.0, 2.0 / 15.0, -1.0 / 3.0, 1.0];

/// `min(max(z + 3, 0), 6) / 6`; NaN stays NaN.
pub(crate) struct HardSigmoid;

impl Function for HardSigmoid {
    const READS_INPUT: bool = false;

    #[inline(always)]
    fn value<V: Vector>(z: V) -> V {
        Relu6::value(z.add(V::splat(3.0))).mul(V::splat(1.0 / 6.0))
    }

    #[inline(always)]
    fn back<V: Vector>(dy: V, y: V, _: V) -> V {
        let inside = y.greater(V::splat(0.0)) & V::splat(1.0).greater(y);
        dy.mul(V::splat(1.0 / 6.0)).keep(inside)
    }
}

/// `z min(max(z + 3, 0), 6) / 6`; NaN stays NaN.
pub(crate) struct HardSwish;

impl Function for HardSwish {
    const READS_INPUT: bool = true;

    #[inline(always)]
    fn value<V: Vector>(z: V) -> V {
        z.mul(HardSigmoid::value(z))
    }

    #[inline(always)]
    fn back<V: Vector>(dy: V, _: V, z: V) -> V {
        // 0 up to -3, 1 from 3 on, and between them a straight line.
        let (above, below) = (z.greater(V::splat(3.0)), V::splat(-3.0).greater(z));
        let slope = z.mul_add(V::splat(1.0 / 3.0), V::splat(0.5)).keep(!(above | below));
        slope.add(V::splat(1.0).keep(above)).mul(dy)
    }
}

/// `1 / (1 + exp(-z))`; 0 where that is less than 1e-37.
#[inline(always)]
fn sigmoid<V: Vector>(z: V) -> V {
    let one = V::splat(1.0);
    one.div(one.add(exp(V::splat(0.0).sub(z)))).keep(z.greater_or_nan(V::splat(-86.0)))
}

/// `exp(z)` for z from -86 to 86, and that of the nearer of both beyond; NaN stays NaN. Good to 2e-7 of its value.
#[inline(always)]
pub(crate) fn exp<V: Vector>(z: V) -> V {
    let negated = V::splat(0.0).sub(V::splat(-86.0).max(z));
    let z = V::splat(0.0).sub(V::splat(-86.0).max(negated));
    // 2^n exp(r) for the nearest whole n: adding 1.5 2^23 rounds. ln 2 in two parts, of which the first has few digits.
    let round = V::splat(12_582_912.0);
    let n = z.mul_add(V::splat(std::f32::consts::LOG2_E), round).sub(round);
    let r = n.mul_add(V::splat(-0.693_359_4), z);
    let r = n.mul_add(V::splat(2.121_944_4e-4), r);
    let mut sum = V::splat(1.0 / 5040.0);
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = sum.mul_add(r, V::splat(factor));
    }
    sum.scaled(n)
}

/// `P(Z <= z)` for a standard normal Z, and its density, by a Chebyshev fit of the complementary error function that is good
/// to 1.2e-7 of its value (Press et al., Numerical Recipes, 2nd edition, section 6.2).
#[inline(always)]
fn normal<V: Vector>(z: V) -> [V; 2] {
    const FIT: [f32; 10] = [
        0.170_872_77,
        -0.822_152_2,
        1.488_515_9,
        -1.135_204,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
        -1.265_512_2,
    ];
    let (zero, one) = (V::splat(0.0), V::splat(1.0));
    let size = zero.sub(z).max_or_nan(z).mul(V::splat(std::f32::consts::FRAC_1_SQRT_2));
    // Further out the tail is 0.
    let x = zero.sub(V::splat(-9.3).max(zero.sub(size)));
    let t = one.div(x.mul_add(V::splat(0.5), one));
    let mut fit = V::splat(FIT[0]);
    for factor in &FIT[1..] {
        fit = fit.mul_add(t, V::splat(*factor));
    }
    // exp(-x^2), where what x^2 is rounded by is made good.
    let square = x.mul(x);
    let rest = x.mul_add(x, zero.sub(square));
    let bell = exp(zero.sub(square)).mul(one.sub(rest));
    let bell = bell.keep(V::splat(86.0).greater_or_nan(square));
    let tail = t.mul(V::splat(0.5)).mul(exp(fit)).mul(bell);
    let above = z.greater_or_nan(zero);
    let below = tail.keep(!above).add(one.sub(tail).keep(above));
    [below, bell.mul(V::splat(0.398_942_3))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstructionSet;
    use crate::lanes::{LANES, Lanes};
    use crate::simd::{Kernel, dispatch};
    use secateur_graph::Activation;

    struct Values(Activation, Vec<f32>);

    impl Kernel for Values {
        /// Of each number its value and its slope.
        type Output = Vec<[f32; 2]>;

        #[inline(always)]
        fn run<V: Vector>(self) -> Self::Output {
            #[inline(always)]
            fn each<V: Vector, F: Function>(numbers: &[f32]) -> Vec<[f32; 2]> {
                let mut found = vec![];
                for own in numbers.as_chunks::<LANES>().0 {
                    let z = V::read(own);
                    let y = F::value(z);
                    let (mut values, mut slopes) = (Lanes::ZERO, Lanes::ZERO);
                    y.store(&mut values);
                    F::back(V::splat(1.0), y, z).store(&mut slopes);
                    found.extend((0..LANES).map(|lane| [values.0[lane], slopes.0[lane]]));
                }
                found
            }
            with_activation!(Some(self.0), each, &self.1)
        }
    }

    /// Over all that matters, and far out.
    fn numbers() -> Vec<f32> {
        let near = (-2400..2400).map(|place| place as f32 / 200.0 + 0.001);
        let far = (0..160).map(|place| 1e-6 * 1.5f32.powi(place)).flat_map(|own| [own, -own]);
        near.chain(far).collect()
    }

    #[test]
    fn values_are_those_of_the_reference() {
        for set in InstructionSet::available() {
            for own in Activation::ALL {
                let found = dispatch(set, Values(own, numbers()));
                for (z, [found, _]) in numbers().into_iter().zip(found) {
                    let expected = own.of(z);
                    let most = 3e-7 * expected.abs() + 2e-7 * z.abs().min(1.0) + 1e-30;
                    assert!((found - expected).abs() <= most, "{} {own:?} {z}: {found} {expected}", set.name());
                }
            }
        }
    }

    #[test]
    fn slopes_are_those_of_the_values() {
        for set in InstructionSet::available() {
            for own in Activation::ALL {
                let found = dispatch(set, Values(own, numbers()));
                for (z, [_, found]) in numbers().into_iter().zip(found).filter(|(z, _)| z.abs() < 12.0) {
                    // What has corners has them at 0, 3 and 6.
                    if [-3.0f32, 0.0, 3.0, 6.0].iter().any(|corner| (z - corner).abs() < 0.02) {
                        continue;
                    }
                    let [low, high] = [-0.01, 0.01].map(|step| f64::from(own.of(z + step)));
                    let expected = (high - low) / 0.02;
                    assert!((f64::from(found) - expected).abs() < 1e-4, "{} {own:?} {z}: {found}", set.name());
                }
            }
        }
    }

    #[test]
    fn nan_stays_nan_and_infinities_have_values() {
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 0.0, -0.0];
        let odd: Vec<f32> = odd.into_iter().cycle().take(LANES).collect();
        for set in InstructionSet::available() {
            for own in Activation::ALL {
                let found = dispatch(set, Values(own, odd.clone()));
                for ([found, _], z) in found.iter().zip(&odd) {
                    let expected = own.of(*z);
                    let same = found.is_nan() && expected.is_nan()
                        || *found == expected
                        || (found - expected).abs() <= 1e-6 * expected.abs();
                    assert!(same, "{} {own:?} {z}: {found} {expected}", set.name());
                }
            }
        }
    }
}
