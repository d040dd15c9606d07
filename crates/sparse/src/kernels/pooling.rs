//! Max- and average-pooling of a channel over listed windows.

use crate::lanes::Lanes;
use crate::simd::Vector;

/// The windows of a channel, each with the elements that lie within the image.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Windows {
    /// The elements of window `n` are `starts[n]..starts[n + 1]`.
    pub starts: Vec<u32>,
    /// Offset of each element in the plane of the input, and in that of its gradient.
    pub elements: Vec<[u32; 2]>,
    /// Offset of each window in the plane of the output, and in that of its gradient.
    pub outputs: Vec<[u32; 2]>,
    /// 1 / the number of elements of a whole window.
    pub share: f32,
}

impl Windows {
    /// Bytes of the lists.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.starts) + size_of_val(&*self.elements) + size_of_val(&*self.outputs)
    }

    #[inline(always)]
    fn of(&self, window: usize) -> &[[u32; 2]] {
        &self.elements[self.starts[window] as usize..self.starts[window + 1] as usize]
    }
}

/// The largest value of each window; NaN where there is one.
#[inline(always)]
pub(crate) fn max<V: Vector>(windows: &Windows, x: &[Lanes], y: &mut [Lanes]) {
    for (window, [output, _]) in windows.outputs.iter().enumerate() {
        let mut top = V::splat(f32::NEG_INFINITY);
        for [element, _] in windows.of(window) {
            top = V::load(&x[*element as usize]).max_or_nan(top);
        }
        top.store(&mut y[*output as usize]);
    }
}

/// Adds the gradient of each window to that of its largest value, of equal ones the first.
#[inline(always)]
pub(crate) fn max_backward<V: Vector>(windows: &Windows, x: &[Lanes], y: &[Lanes], dy: &[Lanes], dx: &mut [Lanes]) {
    for (window, [output, gradient]) in windows.outputs.iter().enumerate() {
        let (top, gradient) = (V::load(&y[*output as usize]), V::load(&dy[*gradient as usize]));
        let mut left = u16::MAX;
        for [element, dx_element] in windows.of(window) {
            let here = !top.greater(V::load(&x[*element as usize])) & left;
            left &= !here;
            let dx = &mut dx[*dx_element as usize];
            V::load(dx).add(gradient.keep(here)).store(dx);
        }
    }
}

/// The mean of each window, the padding counted as zeros.
#[inline(always)]
pub(crate) fn average<V: Vector>(windows: &Windows, x: &[Lanes], y: &mut [Lanes]) {
    let share = V::splat(windows.share);
    for (window, [output, _]) in windows.outputs.iter().enumerate() {
        let mut sum = V::splat(0.0);
        for [element, _] in windows.of(window) {
            sum = sum.add(V::load(&x[*element as usize]));
        }
        sum.mul(share).store(&mut y[*output as usize]);
    }
}

/// Adds each window's part of its gradient to all of its values.
#[inline(always)]
pub(crate) fn average_backward<V: Vector>(windows: &Windows, dy: &[Lanes], dx: &mut [Lanes]) {
    let share = V::splat(windows.share);
    for (window, [_, gradient]) in windows.outputs.iter().enumerate() {
        let gradient = V::load(&dy[*gradient as usize]).mul(share);
        for [_, element] in windows.of(window) {
            let dx = &mut dx[*element as usize];
            V::load(dx).add(gradient).store(dx);
        }
    }
}

/// Windows of an image whose tiles stand in the lanes: an element may lie outside the image in some of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Masked {
    /// The elements of window `n` are `starts[n]..starts[n + 1]`.
    pub starts: Vec<u32>,
    /// Offset of each element in the plane of the input, and the lanes in which it lies in the image.
    pub elements: Vec<(u32, u16)>,
    /// Offset of each window in the plane of the output.
    pub outputs: Vec<u32>,
}

impl Masked {
    /// Bytes of the lists.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.starts) + size_of_val(&*self.elements) + size_of_val(&*self.outputs)
    }

    #[inline(always)]
    pub(crate) fn of(&self, window: usize) -> &[(u32, u16)] {
        &self.elements[self.starts[window] as usize..self.starts[window + 1] as usize]
    }
}

/// The largest value of each window that lies in the image; NaN where there is one.
#[inline(always)]
pub(crate) fn max_masked<V: Vector>(windows: &Masked, x: &[Lanes], y: &mut [Lanes]) {
    for (window, output) in windows.outputs.iter().enumerate() {
        let mut top = V::splat(f32::NEG_INFINITY);
        for (element, mask) in windows.of(window) {
            let mut own = V::load(&x[*element as usize]);
            if *mask != u16::MAX {
                own = own.keep(*mask).add(V::splat(f32::NEG_INFINITY).keep(!*mask));
            }
            top = own.max_or_nan(top);
        }
        top.store(&mut y[*output as usize]);
    }
}

/// The sum of each window, zeros outside the image, times `share`.
#[inline(always)]
pub(crate) fn average_masked<V: Vector>(windows: &Masked, share: f32, x: &[Lanes], y: &mut [Lanes]) {
    for (window, output) in windows.outputs.iter().enumerate() {
        let mut sum = V::splat(0.0);
        for (element, _) in windows.of(window) {
            sum = sum.add(V::load(&x[*element as usize]));
        }
        sum.mul(V::splat(share)).store(&mut y[*output as usize]);
    }
}

/// The largest value of the one window over all lanes, in the first lane; NaN where there is one.
#[inline(always)]
pub(crate) fn largest<V: Vector>(windows: &Masked, x: &[Lanes], y: &mut [Lanes]) {
    let mut top = V::splat(f32::NEG_INFINITY);
    for (element, mask) in windows.of(0) {
        let own = V::load(&x[*element as usize]).keep(*mask).add(V::splat(f32::NEG_INFINITY).keep(!*mask));
        top = own.max_or_nan(top);
    }
    let mut lanes = Lanes::ZERO;
    top.store(&mut lanes);
    let mut found = lanes.0[0];
    for own in &lanes.0[1..] {
        if *own > found || own.is_nan() {
            found = *own;
        }
    }
    y[windows.outputs[0] as usize] = Lanes::ZERO;
    y[windows.outputs[0] as usize].0[0] = found;
}

/// The sum of the one window over all lanes, times `share`, in the first lane.
#[inline(always)]
pub(crate) fn mean<V: Vector>(windows: &Masked, share: f32, x: &[Lanes], y: &mut [Lanes]) {
    let mut sum = V::splat(0.0);
    for (element, mask) in windows.of(0) {
        sum = sum.add(V::load(&x[*element as usize]).keep(*mask));
    }
    y[windows.outputs[0] as usize] = Lanes::ZERO;
    y[windows.outputs[0] as usize].0[0] = sum.sum() * share;
}
