//! A fully connected layer that holds only its kept weights.

use super::linear::{Inputs, Outputs, bias_backward};
use super::param::{Chunk, Params};
use super::{Backward, Context, Sizes};
use crate::kernels::sparse_linear::{Pattern, row, weight_gradient};
use crate::kernels::update::Rule;
use crate::lanes::{LANES, Lanes, at};
use crate::simd::{Kernel, Vector, dispatch};
use std::sync::Arc;

/// `y = relu(w x + bias)` over the kept weights.
#[derive(Debug)]
pub(super) struct SparseLinear {
    sizes: Sizes,
    rectified: bool,
    pattern: Arc<Pattern>,
    /// The weight is the kept values in the pattern's order.
    pub params: Params,
}

/// Blocks whose inputs stay in the second-level cache while rows go by.
const BLOCKS: usize = 8;

impl SparseLinear {
    pub(super) fn new(sizes: Sizes, rectified: bool, pattern: Arc<Pattern>, params: Params) -> Self {
        Self { sizes, rectified, pattern, params }
    }

    pub(super) fn forward(&self, context: &Context<'_>, x: &[Lanes], y: &mut [Lanes]) {
        let Sizes { inputs, outputs } = self.sizes;
        let x: Vec<&[Lanes]> = x.chunks_exact(inputs).collect();
        let mut items = pieces(y, outputs, context.pool.threads(), &x);
        context.pool.each(&mut items, |item| {
            struct Forward<'a, 'b>(&'a SparseLinear, &'a mut Piece<'b>);
            impl Kernel for Forward<'_, '_> {
                type Output = ();

                #[inline(always)]
                fn run<V: Vector>(self) {
                    let Self(layer, Piece { first, input, output }) = self;
                    let (pattern, values) = (&layer.pattern, &layer.params.weight.values);
                    let units = *first..*first + output[0].len();
                    let bias = Some(layer.params.bias.values.as_slice());
                    let mut sink = Outputs { first: *first, y: output, bias, rectified: layer.rectified };
                    for unit in units {
                        let range = pattern.starts[unit] as usize..pattern.starts[unit + 1] as usize;
                        let columns = &pattern.columns[range.clone()];
                        let terms =
                            columns.iter().zip(range).map(|(column, place)| (*column as usize, at(values, place)));
                        row::<V>(terms, input, unit, &mut sink);
                    }
                }
            }
            dispatch(context.set, Forward(self, item));
        });
    }

    pub(super) fn backward(&mut self, context: &Context<'_>, step: Backward<'_>) {
        let Sizes { inputs, outputs } = self.sizes;
        let Backward { x, dy, dx, dx_is_rectified, rule } = step;
        let dy: Vec<&[Lanes]> = dy.chunks_exact(outputs).collect();
        if let Some(dx) = dx {
            let mut items = pieces(dx, inputs, context.pool.threads(), &dy);
            let own_x: Vec<&[Lanes]> = x.chunks_exact(inputs).collect();
            let (pattern, values) = (&self.pattern, &self.params.weight.values);
            let blocks: Vec<&[&[Lanes]]> = own_x.chunks(BLOCKS).collect();
            let per_group = items.len() / blocks.len().max(1);
            let mut items: Vec<_> =
                items.drain(..).enumerate().map(|(i, item)| (blocks[i / per_group], item)).collect();
            context.pool.each(&mut items, |(x, item)| {
                let x = dx_is_rectified.then_some(*x);
                dispatch(context.set, InputBackward { pattern, values, x, item });
            });
        }
        let x: Vec<&[Lanes]> = x.chunks_exact(inputs).collect();
        let vectors = self.params.weight.values.len().div_ceil(8 * context.pool.threads()).max(1);
        let pattern = &self.pattern;
        let mut chunks = self.params.weight.chunks(vectors);
        context.pool.each(&mut chunks, |chunk| {
            dispatch(context.set, WeightBackward { pattern, x: &x, dy: &dy, rule, chunk });
        });
        bias_backward(context, &mut self.params.bias, &dy, rule);
    }
}

/// A few rows of a result in a few blocks, with what they are computed from in these blocks.
struct Piece<'a> {
    first: usize,
    input: &'a [&'a [Lanes]],
    output: Vec<&'a mut [Lanes]>,
}

/// Cuts `[block][row]` into pieces, a group of blocks after the other.
fn pieces<'a>(output: &'a mut [Lanes], rows: usize, threads: usize, input: &'a [&'a [Lanes]]) -> Vec<Piece<'a>> {
    let each = rows.div_ceil(4 * threads).max(1);
    let mut found = vec![];
    let mut blocks = output.chunks_exact_mut(rows);
    for input in input.chunks(BLOCKS) {
        let mut group: Vec<Piece<'_>> =
            (0..rows).step_by(each).map(|first| Piece { first, input, output: vec![] }).collect();
        for block in blocks.by_ref().take(input.len()) {
            for (piece, rows) in group.iter_mut().zip(block.chunks_mut(each)) {
                piece.output.push(rows);
            }
        }
        found.extend(group);
    }
    found
}

struct InputBackward<'a, 'b> {
    pattern: &'a Pattern,
    values: &'a [Lanes],
    /// The inputs, where they came out of a relu.
    x: Option<&'a [&'a [Lanes]]>,
    item: &'a mut Piece<'b>,
}

impl Kernel for InputBackward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { pattern, values, x, item: Piece { first, input, output } } = self;
        let units = *first..*first + output[0].len();
        let mut sink = Inputs { start: 0, first: *first, x, dx: output };
        for unit in units {
            let range = pattern.column_starts[unit] as usize..pattern.column_starts[unit + 1] as usize;
            let terms = pattern.places[range].iter().map(|(row, place)| (*row as usize, at(values, *place as usize)));
            row::<V>(terms, input, unit, &mut sink);
        }
    }
}

struct WeightBackward<'a, 'b> {
    pattern: &'a Pattern,
    x: &'a [&'a [Lanes]],
    dy: &'a [&'a [Lanes]],
    rule: &'a Rule,
    chunk: &'a mut Chunk<'b>,
}

impl Kernel for WeightBackward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { pattern, x, dy, rule, chunk } = self;
        let vectors = chunk.range();
        let range = vectors.start * LANES..(vectors.end * LANES).min(pattern.len());
        let mut gradient = Lanes::ZERO;
        weight_gradient::<V>(pattern, range.clone(), dy, x, |place, sum| {
            gradient.0[place % LANES] = sum;
            if place % LANES == LANES - 1 || place + 1 == range.end {
                chunk.update(rule, place / LANES - vectors.start, V::load(&gradient));
                gradient = Lanes::ZERO;
            }
        });
    }
}
