//! What only inference computes: products of two values, layer normalisation, softmax and embeddings.
//!
//! Values whose lanes hold images, and tiles as long as each pixel is computed from its own, are computed by vectors. What
//! goes from one tile to another is computed number by number, each at `vector * 16 + lane`.

mod along;
mod rows;

use super::plan::{Plan, Step};
use crate::kernels::along::Norm;
use crate::kernels::pointwise::{Factor, PlaneMut, multiply};
use crate::lanes::{LANES, Lanes};
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::graph::layout::Layout;
use crate::train::graph::pointwise::Read;
use crate::{InstructionSet, Unsupported};
use along::{Along, Pixels, Planes, Sets};
use rows::{Choose, Rows};
use secateur_graph::{Graph, LayerNorm, Op};
use std::mem::size_of_val;
use std::ops::Range;

/// An operation with its parameters.
#[derive(Debug)]
pub(super) enum Other {
    /// With one factor for each channel, or one for each number; in the first lane where the lanes hold tiles.
    Product {
        is_by_channel: bool,
        is_tiled: bool,
    },
    Norm {
        sets: Sets,
        epsilon: f32,
        scale: Vec<f32>,
        shift: Vec<f32>,
    },
    /// Over all pixels of each channel, which stand in tiles.
    PixelNorm {
        pixels: Pixels,
        epsilon: f32,
    },
    Softmax(Sets),
    Rows(Rows),
}

/// Where the numbers of a value stand.
struct Places<'a> {
    layout: &'a Layout,
    tiling: Option<&'a super::tiling::Tiling>,
}

impl Places<'_> {
    /// That of a row-major index: the vector, or the number.
    fn of(&self, index: usize) -> usize {
        match self.tiling {
            None => self.layout.place(index),
            Some(own) => {
                let [vector, lane] = own.place(self.layout, index);
                vector * LANES + lane
            }
        }
    }
}

impl Other {
    /// The operation of a step of a plan; `of` gives its parameters, the first and the second.
    ///
    /// # Errors
    /// When it is one of those that are steps of another kind.
    pub(super) fn new<'a>(
        graph: &Graph,
        plan: &Plan,
        step: &Step,
        of: impl Fn(usize) -> &'a [f32],
    ) -> Result<Self, Unsupported> {
        let node = &graph.nodes()[step.node.expect("it is a node")];
        let (inputs, output, shape) = (step.inputs.as_slice(), step.output, graph.shape(node.inputs[0]));
        let places = |value: usize| Places {
            layout: &plan.layouts[value],
            tiling: plan.tilings.as_ref().map(|own| &own[value]),
        };
        let (x, y, is_tiled) = (places(inputs[0]), places(output), plan.tilings.is_some());
        let count: usize = shape.iter().product();
        Ok(match &node.op {
            Op::Mul => {
                let other = &plan.layouts[inputs[1]];
                let sides = |own: &Layout| match is_tiled {
                    false => [own.height, own.width],
                    true => plan.tilings.as_ref().expect("there are tiles")[inputs[1]].image,
                };
                Self::Product { is_by_channel: sides(other) == [1, 1] && count > other.channels, is_tiled }
            }
            Op::LayerNorm(LayerNorm { axes, epsilon }) => {
                let epsilon = *epsilon as f32;
                match x.tiling.filter(|_| step.is_over_pixels(graph, axes)) {
                    Some(tiling) => {
                        let pixels = Pixels::new(tiling, [x.layout, y.layout], [of(0), of(1)]);
                        Self::PixelNorm { pixels, epsilon }
                    }
                    None => {
                        let (sets, scale, shift) = (Sets::new(shape, axes, &x, &y), of(0).to_vec(), of(1).to_vec());
                        Self::Norm { sets, epsilon, scale, shift }
                    }
                }
            }
            Op::Softmax(axis) => Self::Softmax(Sets::new(shape, &[*axis], &x, &y)),
            Op::Embedding(table) => Self::Rows(Rows::new((graph, node, plan.origins[output]), *table, of(0), &x, &y)),
            other => {
                let why = format!("`{other}` is a step of another kind");
                return Err(Unsupported { node: node.name.clone(), why });
            }
        })
    }

    /// Bytes of the parameters.
    pub(super) fn weight_bytes(&self) -> usize {
        match self {
            Self::Norm { scale, shift, .. } => size_of_val(&**scale) + size_of_val(&**shift),
            Self::PixelNorm { pixels, .. } => size_of_val(&*pixels.scale) + size_of_val(&*pixels.shift),
            Self::Rows(own) => own.weight_bytes(),
            Self::Product { .. } | Self::Softmax(_) => 0,
        }
    }

    /// Bytes of the lists of places.
    pub(super) fn list_bytes(&self) -> usize {
        match self {
            Self::Product { .. } => 0,
            Self::Norm { sets, .. } | Self::Softmax(sets) => size_of_val(&*sets.places),
            Self::PixelNorm { pixels, .. } => size_of_val(&*pixels.places),
            Self::Rows(own) => own.list_bytes(),
        }
    }

    /// Whether some channels can be computed without the others.
    pub(super) fn has_parts(&self) -> bool {
        matches!(self, Self::Product { .. } | Self::PixelNorm { .. })
    }

    /// Writes the output, or some channels of it where it has parts; `y` begins with the first of them.
    pub(super) fn run(
        &self,
        set: InstructionSet,
        x: Read<'_>,
        other: Option<Read<'_>>,
        layout: &Layout,
        channels: Range<usize>,
        y: &mut [Lanes],
    ) {
        match self {
            Self::Product { is_by_channel, is_tiled } => {
                let other = other.expect("a product has two factors");
                let (is_by_channel, is_tiled) = (*is_by_channel, *is_tiled);
                dispatch(set, Product { is_by_channel, is_tiled, x, other, layout, channels, y });
            }
            Self::Norm { sets, epsilon, scale, shift } => {
                let own = Norm { epsilon: *epsilon, scale, shift };
                dispatch(set, Along { sets, x: x.values, y, norm: Some(own) });
            }
            Self::Softmax(sets) => dispatch(set, Along { sets, x: x.values, y, norm: None }),
            Self::PixelNorm { pixels, epsilon } => {
                dispatch(set, Planes { pixels, epsilon: *epsilon, x, layout, channels, y });
            }
            Self::Rows(own) => dispatch(set, Choose { rows: own, x: x.values, y }),
        }
    }
}

/// The product of some channels.
struct Product<'a> {
    is_by_channel: bool,
    is_tiled: bool,
    x: Read<'a>,
    other: Read<'a>,
    layout: &'a Layout,
    channels: Range<usize>,
    y: &'a mut [Lanes],
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { is_by_channel, is_tiled, x, other, layout, channels, y } = self;
        for (channel, y) in channels.zip(y.chunks_exact_mut(layout.plane())) {
            let (x, other) = (x.plane(0, channel), other.plane(0, channel));
            let first = &other.values[other.grid.start];
            let factor = match (is_by_channel, is_tiled) {
                (false, _) => Factor::Pixels(other),
                (true, false) => Factor::Channel(V::load(first)),
                (true, true) => Factor::Channel(V::splat(first.0[0])),
            };
            multiply(x, factor, PlaneMut { grid: layout.grid(), values: y, adds: false });
        }
    }
}
