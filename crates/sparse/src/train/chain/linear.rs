//! A fully connected layer that computes with all of its weights.

use super::{Backward, Context, Scratch, Sizes};
use crate::kernels::product::{Sink, product, transposed_product};
use crate::kernels::update::Rule;
use crate::lanes::{LANES, Lanes, at};
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::param::{Chunk, Param, Params};

/// `y = relu(w x + bias)`; weights in panels `[inputs / 16][outputs][16]`.
#[derive(Debug)]
pub(super) struct Linear {
    sizes: Sizes,
    rectified: bool,
    pub params: Params,
}

/// Depth of a product that is summed in one go: what of the inputs fits the first-level cache.
const DEPTH: usize = 64;
/// Panels of weights that one item of the backward phase owns.
const GROUP: usize = 4;

impl Linear {
    pub(super) fn new(sizes: Sizes, rectified: bool, params: Params) -> Self {
        Self { sizes, rectified, params }
    }

    pub(super) fn forward(&self, at: &Context<'_>, x: &[Lanes], y: &mut [Lanes]) {
        let Sizes { inputs, outputs } = self.sizes;
        let x: Vec<&[Lanes]> = x.chunks_exact(inputs).collect();
        // Rows in multiples of a tile, a few pieces a thread.
        let each = outputs.div_ceil(4 * at.pool.threads()).next_multiple_of(6);
        let mut items = rows(&mut y.chunks_exact_mut(outputs), x.len(), outputs, each);
        at.pool.each(&mut items, |(first, y)| dispatch(at.set, Forward { layer: self, x: &x, first: *first, y }));
    }

    pub(super) fn backward(&mut self, at: &Context<'_>, step: Backward<'_>) {
        let Sizes { inputs, outputs } = self.sizes;
        let Backward { x, dy: gradient, dx, dx_is_rectified, rule, scratch } = step;
        let dy: Vec<&[Lanes]> = gradient.chunks_exact(outputs).collect();
        let x: Vec<&[Lanes]> = x.chunks_exact(inputs).collect();
        let mut blocks = dx.into_iter().flat_map(|dx| dx.chunks_exact_mut(inputs));
        let dx = rows(&mut blocks, x.len(), inputs, GROUP * LANES);
        let chunks = self.params.weight.chunks(GROUP * outputs);
        let mut items: Vec<_> = chunks.into_iter().zip(dx).map(|(weight, (_, dx))| Group { weight, dx }).collect();
        at.pool.each_with(scratch, &mut items, |scratch, item| {
            dispatch(at.set, GroupBackward { outputs, x: &x, gradient, dy: &dy, dx_is_rectified, rule, scratch, item });
        });
        bias_backward(at, &mut self.params.bias, &dy, rule);
    }
}

/// Moves a bias along the sum of its unit's gradients.
pub(super) fn bias_backward(at: &Context<'_>, bias: &mut Param, dy: &[&[Lanes]], rule: &Rule) {
    struct Sums<'a>(&'a mut Param, &'a [&'a [Lanes]], &'a Rule);
    impl Kernel for Sums<'_> {
        type Output = ();

        #[inline(always)]
        fn run<V: Vector>(self) {
            let outputs = self.1.first().map_or(0, |block| block.len());
            let mut bias = self.0.all();
            for (place, first) in (0..outputs).step_by(LANES).enumerate() {
                let mut sums = Lanes::ZERO;
                for (lane, output) in (first..outputs.min(first + LANES)).enumerate() {
                    let mut sum = V::splat(0.0);
                    for block in self.1 {
                        sum = sum.add(V::load(&block[output]));
                    }
                    sums.0[lane] = sum.sum();
                }
                bias.update(self.2, place, V::load(&sums));
            }
        }
    }
    dispatch(at.set, Sums(bias, dy, rule));
}

/// The rows of some blocks `[row]`, cut into pieces of `each` rows: the first row, and these rows of every block.
pub(super) fn rows<'a>(
    blocks: &mut impl Iterator<Item = &'a mut [Lanes]>,
    count: usize,
    rows: usize,
    each: usize,
) -> Vec<(usize, Vec<&'a mut [Lanes]>)> {
    let mut found: Vec<_> = (0..rows).step_by(each).map(|first| (first, vec![])).collect();
    for block in blocks.take(count) {
        for ((_, piece), rows) in found.iter_mut().zip(block.chunks_mut(each)) {
            piece.push(rows);
        }
    }
    found
}

/// A few rows of the output, in every block.
struct Forward<'a, 'b> {
    layer: &'a Linear,
    x: &'a [&'a [Lanes]],
    first: usize,
    y: &'a mut [&'b mut [Lanes]],
}

impl Kernel for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { layer, x, first, y } = self;
        let (inputs, rows) = (layer.sizes.inputs, first..first + y.first().map_or(0, |y| y.len()));
        for from in (0..inputs.max(1)).step_by(DEPTH) {
            let to = (from + DEPTH).min(inputs);
            let mut sink = Outputs {
                first,
                y: &mut *y,
                bias: (from == 0).then_some(&layer.params.bias.values),
                rectified: layer.rectified && to == inputs,
            };
            let (weight, stride) = (&layer.params.weight.values, layer.sizes.outputs);
            product::<V>(weight, stride, rows.clone(), from..to, x, &mut sink);
        }
    }
}

/// Where the outputs go: rows from `first` on, in every block.
pub(super) struct Outputs<'a, 'b> {
    pub first: usize,
    pub y: &'a mut [&'b mut [Lanes]],
    /// At the first depth only: what the sums start with.
    pub bias: Option<&'a [Lanes]>,
    /// At the last depth only.
    pub rectified: bool,
}

impl Sink for Outputs<'_, '_> {
    #[inline(always)]
    fn start<V: Vector>(&self, n: usize, row: usize) -> V {
        match self.bias {
            Some(bias) => V::splat(at(bias, row)),
            None => V::load(&self.y[n][row - self.first]),
        }
    }

    #[inline(always)]
    fn finish<V: Vector>(&mut self, n: usize, row: usize, sum: V) {
        let sum = if self.rectified { V::splat(0.0).max(sum) } else { sum };
        sum.store(&mut self.y[n][row - self.first]);
    }
}

/// A few panels of weights with the inputs that belong to them, in every block.
struct Group<'a> {
    weight: Chunk<'a>,
    /// Empty when no gradient of the input is wanted.
    dx: Vec<&'a mut [Lanes]>,
}

struct GroupBackward<'a, 'b> {
    outputs: usize,
    x: &'a [&'a [Lanes]],
    /// All blocks, which is one matrix in panels, and each block.
    gradient: &'a [Lanes],
    dy: &'a [&'a [Lanes]],
    dx_is_rectified: bool,
    rule: &'a Rule,
    scratch: &'a mut Scratch,
    item: &'a mut Group<'b>,
}

impl Kernel for GroupBackward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { outputs, x, gradient, dy, dx_is_rectified, rule, scratch, item } = self;
        let first = item.weight.start / outputs.max(1) * LANES;
        if !item.dx.is_empty() {
            for (panel, weight) in item.weight.values.chunks_exact(outputs).enumerate() {
                let start = first + panel * LANES;
                let mut sink = Inputs { start, first, x: dx_is_rectified.then_some(x), dx: &mut item.dx };
                transposed_product::<V>(weight, dy, &mut sink);
            }
        }
        // The inputs with the images as rows: [panel][image][16 inputs].
        let (inputs, images) = (x.first().map_or(0, |x| x.len()), x.len() * LANES);
        let count = item.weight.values.len() / outputs.max(1);
        let turned = &mut scratch.images;
        turned.resize(count * images, Lanes::ZERO);
        for (panel, turned) in turned.chunks_exact_mut(images).enumerate() {
            let start = first + panel * LANES;
            let own = (inputs - start).min(LANES);
            for (block, turned) in x.iter().zip(turned.as_chunks_mut::<LANES>().0) {
                let mut tile = [Lanes::ZERO; LANES];
                tile[..own].copy_from_slice(&block[start..start + own]);
                V::transpose(&tile, turned);
            }
        }
        let turned: Vec<&[Lanes]> = turned.chunks_exact(images).collect();
        let mut sink = Weights { outputs, weight: &mut item.weight, rule };
        product::<V>(gradient, outputs, 0..outputs, 0..images, &turned, &mut sink);
    }
}

/// Where the gradients of the inputs go: those from `first` on, in every block.
pub(super) struct Inputs<'a, 'b> {
    /// What row 0 of the product is.
    pub start: usize,
    pub first: usize,
    /// The inputs, where they came out of a relu: no gradient goes back to those that are zero.
    pub x: Option<&'a [&'a [Lanes]]>,
    pub dx: &'a mut [&'b mut [Lanes]],
}

impl Sink for Inputs<'_, '_> {
    #[inline(always)]
    fn start<V: Vector>(&self, _: usize, _: usize) -> V {
        V::splat(0.0)
    }

    #[inline(always)]
    fn finish<V: Vector>(&mut self, n: usize, row: usize, sum: V) {
        let input = self.start + row;
        // The last panel may have fewer inputs than lanes, and maybe nobody wants them.
        let Some(place) = self.dx.get_mut(n).and_then(|dx| dx.get_mut(input - self.first)) else { return };
        let sum = match self.x {
            Some(x) => sum.keep(V::load(&x[n][input]).greater_or_nan(V::splat(0.0))),
            None => sum,
        };
        sum.store(place);
    }
}

struct Weights<'a, 'b> {
    outputs: usize,
    weight: &'a mut Chunk<'b>,
    rule: &'a Rule,
}

impl Sink for Weights<'_, '_> {
    #[inline(always)]
    fn start<V: Vector>(&self, _: usize, _: usize) -> V {
        V::splat(0.0)
    }

    #[inline(always)]
    fn finish<V: Vector>(&mut self, n: usize, row: usize, sum: V) {
        self.weight.update(self.rule, n * self.outputs + row, sum);
    }
}
