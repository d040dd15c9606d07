//! A fully connected layer that holds only its kept weights.

use super::linear::{Inputs, Outputs, bias_backward, rows};
use super::{Backward, Context, Sizes};
use crate::kernels::sparse_linear::{Pattern, column_gradients, row};
use crate::kernels::update::Rule;
use crate::lanes::{LANES, Lanes};
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::param::{Chunk, Params};
use std::ops::Range;
use std::sync::Arc;

/// `y = relu(w x + bias)` over the kept weights.
#[derive(Debug)]
pub(super) struct SparseLinear {
    sizes: Sizes,
    rectified: bool,
    pattern: Arc<Pattern>,
    /// The weight is the kept values, column after column.
    pub params: Params,
    /// The gradient of each kept value.
    gradients: Vec<f32>,
}

/// Blocks that are computed together: what they read stays in the second-level cache while rows or columns go by.
const BLOCKS: usize = 8;

impl SparseLinear {
    pub(super) fn new(sizes: Sizes, rectified: bool, pattern: Arc<Pattern>, params: Params) -> Self {
        let gradients = vec![0.0; pattern.len()];
        Self { sizes, rectified, pattern, params, gradients }
    }

    pub(super) fn forward(&self, context: &Context<'_>, x: &[Lanes], y: &mut [Lanes]) {
        let Sizes { inputs, outputs } = self.sizes;
        let x: Vec<&[Lanes]> = x.chunks_exact(inputs).collect();
        let each = outputs.div_ceil(4 * context.pool.threads()).max(1);
        let mut items = vec![];
        let mut blocks = y.chunks_exact_mut(outputs);
        // Each thread starts with the blocks that it has computed in the layer before.
        let group = x.len().div_ceil(context.pool.threads()).clamp(1, BLOCKS);
        for x in x.chunks(group) {
            let rows = rows(&mut blocks, x.len(), outputs, each);
            items.extend(rows.into_iter().map(|(first, y)| Forward { layer: self, x, first, y }));
        }
        context.pool.each(&mut items, |item| dispatch(context.set, Run(item)));
    }

    pub(super) fn backward(&mut self, context: &Context<'_>, step: Backward<'_>) {
        let Sizes { inputs, outputs } = self.sizes;
        let Backward { x, dy, dx, dx_is_rectified, rule, .. } = step;
        let dy: Vec<&[Lanes]> = dy.chunks_exact(outputs).collect();
        let x: Vec<&[Lanes]> = x.chunks_exact(inputs).collect();
        let (pattern, values) = (&*self.pattern, self.params.weight.values.as_slice());
        let each = inputs.div_ceil(8 * context.pool.threads()).max(1);
        let mut blocks = dx.into_iter().flat_map(|dx| dx.chunks_exact_mut(inputs));
        let pieces = rows(&mut blocks, dy.len(), inputs, each);
        let mut rest = self.gradients.as_mut_slice();
        let mut items = vec![];
        for (first, dx) in pieces {
            let columns = first..(first + each).min(inputs);
            let values_end = pattern.column_starts[columns.end] as usize;
            let (gradients, others) = rest.split_at_mut(values_end - pattern.column_starts[first] as usize);
            rest = others;
            items.push(Columns { columns, dx, gradients });
        }
        context.pool.each(&mut items, |item| {
            dispatch(context.set, ColumnsBackward { pattern, values, x: &x, dy: &dy, dx_is_rectified, item });
        });
        let gradients = self.gradients.as_slice();
        let vectors = self.params.weight.values.len().div_ceil(2 * context.pool.threads()).max(64);
        let mut chunks = self.params.weight.chunks(vectors);
        context.pool.each(&mut chunks, |chunk| dispatch(context.set, Update { gradients, chunk, rule }));
        bias_backward(context, &mut self.params.bias, &dy, rule);
    }
}

/// A few rows of the output in a few blocks, with the inputs of these blocks.
struct Forward<'a, 'b> {
    layer: &'a SparseLinear,
    x: &'a [&'a [Lanes]],
    first: usize,
    y: Vec<&'b mut [Lanes]>,
}

struct Run<'a, 'b, 'c>(&'a mut Forward<'b, 'c>);

impl Kernel for Run<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Forward { layer, x, first, y } = self.0;
        let units = *first..*first + y[0].len();
        let bias = Some(layer.params.bias.values.as_slice());
        let mut sink = Outputs { first: *first, y, bias, rectified: layer.rectified };
        for unit in units {
            row::<V>(layer.pattern.row(unit), &layer.params.weight.values, x, unit, &mut sink);
        }
    }
}

/// A few columns: the gradients of their inputs in every block, if wanted, and of their values.
struct Columns<'a> {
    columns: Range<usize>,
    dx: Vec<&'a mut [Lanes]>,
    gradients: &'a mut [f32],
}

struct ColumnsBackward<'a, 'b> {
    pattern: &'a Pattern,
    values: &'a [Lanes],
    x: &'a [&'a [Lanes]],
    dy: &'a [&'a [Lanes]],
    dx_is_rectified: bool,
    item: &'a mut Columns<'b>,
}

impl Kernel for ColumnsBackward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { pattern, values, x, dy, dx_is_rectified, item: Columns { columns, dx, gradients } } = self;
        let first = pattern.column_starts[columns.start] as usize;
        gradients.fill(0.0);
        for (group, (dy, x)) in dy.chunks(BLOCKS).zip(x.chunks(BLOCKS)).enumerate() {
            let dx = match dx.len() {
                0 => &mut [][..],
                all => &mut dx[group * BLOCKS..all.min((group + 1) * BLOCKS)],
            };
            let mut sink = Inputs { start: 0, first: columns.start, x: dx_is_rectified.then_some(x), dx };
            for column in columns.clone() {
                column_gradients::<V>(pattern, values, column, dy, x, first, gradients, &mut sink);
            }
        }
    }
}

struct Update<'a, 'b> {
    gradients: &'a [f32],
    chunk: &'a mut Chunk<'b>,
    rule: &'a Rule,
}

impl Kernel for Update<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { gradients, chunk, rule } = self;
        for (place, vector) in chunk.range().enumerate() {
            let mut own = Lanes::ZERO;
            let from = &gradients[vector * LANES..gradients.len().min((vector + 1) * LANES)];
            own.0[..from.len()].copy_from_slice(from);
            chunk.update(rule, place, V::load(&own));
        }
    }
}
