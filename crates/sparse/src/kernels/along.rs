//! Layer normalisation and softmax of sets of vectors, and the way back through them. A set is where each of its numbers
//! stands: in the input and in the output, or in the gradients of both.

use super::activation::exp;
use crate::lanes::Lanes;
use crate::simd::Vector;

/// The parameters of layer normalisation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm<'a> {
    pub epsilon: f32,
    pub scale: &'a [f32],
    pub shift: &'a [f32],
}

/// The mean of a set, and 1 / the root of its variance and epsilon.
#[inline(always)]
fn moments<V: Vector>(epsilon: f32, places: &[[u32; 2]], x: &[Lanes]) -> [V; 2] {
    let share = V::splat(1.0 / places.len() as f32);
    let mut sum = V::splat(0.0);
    for [from, _] in places {
        sum = sum.add(V::load(&x[*from as usize]));
    }
    let mean = sum.mul(share);
    let mut squares = V::splat(0.0);
    for [from, _] in places {
        let distance = V::load(&x[*from as usize]).sub(mean);
        squares = distance.mul_add(distance, squares);
    }
    [mean, V::splat(1.0).div(squares.mul_add(share, V::splat(epsilon)).sqrt())]
}

/// Writes a normalised set.
#[inline(always)]
pub(crate) fn normalise<V: Vector>(norm: Norm<'_>, places: &[[u32; 2]], x: &[Lanes], y: &mut [Lanes]) {
    let [mean, factor] = moments::<V>(norm.epsilon, places, x);
    for (([from, to], scale), shift) in places.iter().zip(norm.scale).zip(norm.shift) {
        let own = V::load(&x[*from as usize]).sub(mean).mul(factor);
        own.mul_add(V::splat(*scale), V::splat(*shift)).store(&mut y[*to as usize]);
    }
}

/// Writes the softmax of a set.
#[inline(always)]
pub(crate) fn softmax<V: Vector>(places: &[[u32; 2]], x: &[Lanes], y: &mut [Lanes]) {
    let mut largest = V::splat(f32::NEG_INFINITY);
    for [from, _] in places {
        largest = V::load(&x[*from as usize]).max_or_nan(largest);
    }
    let mut sum = V::splat(0.0);
    for [from, to] in places {
        let power = exp(V::load(&x[*from as usize]).sub(largest));
        power.store(&mut y[*to as usize]);
        sum = sum.add(power);
    }
    let factor = V::splat(1.0).div(sum);
    for [_, to] in places {
        V::load(&y[*to as usize]).mul(factor).store(&mut y[*to as usize]);
    }
}

/// What the gradient of a set's input is written into, or added to, in the lanes that count.
#[derive(Debug)]
pub(crate) struct Gradient<'a> {
    pub values: &'a mut [Lanes],
    pub adds: bool,
    pub lanes: u16,
}

impl Gradient<'_> {
    #[inline(always)]
    fn put<V: Vector>(&mut self, place: u32, gradient: V) {
        let (own, gradient) = (&mut self.values[place as usize], gradient.keep(self.lanes));
        if self.adds { V::load(own).add(gradient).store(own) } else { gradient.store(own) }
    }
}

/// The way back through [`normalise`]: adds to the gradients of scale and shift, one vector each for a place in the set, and
/// writes that of the input where it is wanted. `gradients` are the places in those of input and output.
#[inline(always)]
pub(crate) fn normalise_backward<V: Vector>(
    norm: Norm<'_>,
    [places, gradients]: [&[[u32; 2]]; 2],
    [x, dy]: [&[Lanes]; 2],
    dx: Option<&mut Gradient<'_>>,
    lanes: u16,
    [scales, shifts]: [&mut [Lanes]; 2],
) {
    let [mean, factor] = moments::<V>(norm.epsilon, places, x);
    let (mut sum, mut products) = (V::splat(0.0), V::splat(0.0));
    for place in 0..places.len() {
        let ([from, _], [_, gradient]) = (places[place], gradients[place]);
        let normal = V::load(&x[from as usize]).sub(mean).mul(factor).keep(lanes);
        let dy = V::load(&dy[gradient as usize]).keep(lanes);
        dy.mul_add(normal, V::load(&scales[place])).store(&mut scales[place]);
        dy.add(V::load(&shifts[place])).store(&mut shifts[place]);
        let own = dy.mul(V::splat(norm.scale[place]));
        sum = sum.add(own);
        products = own.mul_add(normal, products);
    }
    let Some(dx) = dx else { return };
    let share = V::splat(1.0 / places.len() as f32);
    let (sum, products) = (sum.mul(share), products.mul(share));
    for place in 0..places.len() {
        let ([from, _], [to, gradient]) = (places[place], gradients[place]);
        let normal = V::load(&x[from as usize]).sub(mean).mul(factor);
        let own = V::load(&dy[gradient as usize]).mul(V::splat(norm.scale[place])).sub(sum);
        dx.put(to, own.sub(normal.mul(products)).mul(factor));
    }
}

/// The way back through [`softmax`]: writes the gradient of the input.
#[inline(always)]
pub(crate) fn softmax_backward<V: Vector>(
    [places, gradients]: [&[[u32; 2]]; 2],
    [y, dy]: [&[Lanes]; 2],
    dx: &mut Gradient<'_>,
) {
    let mut sum = V::splat(0.0);
    for ([_, own], [_, gradient]) in places.iter().zip(gradients) {
        sum = V::load(&y[*own as usize]).mul_add(V::load(&dy[*gradient as usize]), sum);
    }
    for ([_, own], [to, gradient]) in places.iter().zip(gradients) {
        dx.put(*to, V::load(&dy[*gradient as usize]).sub(sum).mul(V::load(&y[*own as usize])));
    }
}
