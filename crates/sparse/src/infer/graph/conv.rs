//! Convolutions and fully connected layers, with all of their weights or with the nonzero ones only.

use crate::InstructionSet;
use crate::kernels::activation::with_activation;
use crate::kernels::patches::{self, Filters, Patch, Steps};
use crate::kernels::pointwise::{Grid, activate};
use crate::kernels::tiles::{Outputs, Position, Rows, Start, TILE_ROWS, product};
use crate::kernels::winograd::{PRODUCTS, Workspace, convolve, transform_filters};
use crate::lanes::Lanes;
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::graph::conv::winograd::{Tiles, sizes};
use crate::train::graph::conv::{POSITIONS, SPARSE_POSITIONS, tile_rows, tiles};
use crate::train::graph::geometry::Geometry;
use crate::train::graph::lists::Lists;
use secateur_graph::Activation;
use std::mem::size_of;
use std::ops::Range;

/// `y = activation(conv(x) + bias + other)`, of which the last and the first may be missing.
#[derive(Debug)]
pub(super) struct Conv {
    geometry: Geometry,
    positions: Vec<Position>,
    /// More than the largest offset within a group's channels.
    extent: usize,
    bias: Vec<f32>,
    activation: Option<Activation>,
    weights: Weights,
}

#[derive(Debug)]
enum Weights {
    Dense {
        /// Of each column of the matrix its offset in the input, `[channel][tap]`.
        offsets: Vec<u32>,
        /// The first filter of each tile, and how many it has.
        tiles: Vec<(usize, usize)>,
        /// `[tile][column][filter]`
        values: Vec<f32>,
    },
    /// By tiles of 2x2 outputs of a 3x3 kernel.
    Winograd {
        /// The upper left output of each tile.
        tiles: Vec<Position>,
        /// Transformed, `[tile of rows][product][input][row]`.
        filters: Vec<f32>,
    },
    Sparse {
        /// The inputs of each filter.
        lists: Lists,
        /// The nonzero weights of each filter, one after the other.
        values: Vec<f32>,
        /// The positions as rectangles, where the lanes hold tiles of an image.
        patches: Option<(Steps, Vec<Patch>)>,
    },
}

/// What a convolution has beside its geometry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer<'a> {
    /// `[filter][channel][tap]`
    pub weight: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub activation: Option<Activation>,
    /// Whether it is computed by its nonzero weights.
    pub is_sparse: bool,
    /// Whether the lanes hold tiles of an image, and not sixteen images.
    pub is_tiled: bool,
}

impl Conv {
    pub(super) fn new(geometry: Geometry, layer: Layer<'_>, set: InstructionSet) -> Self {
        let phase = geometry.forward(1);
        let (columns, filters, plane) = (geometry.columns(), geometry.y.channels, geometry.x.plane());
        let spread = |channel: usize| phase.offsets.iter().map(move |own| own + (channel * plane) as u32);
        let offsets: Vec<u32> = (0..geometry.inputs()).flat_map(spread).collect();
        let weights = if layer.is_sparse {
            let nonzero = |index: &u32| layer.weight[*index as usize] != 0.0;
            let indices: Vec<u32> = (0..layer.weight.len() as u32).filter(nonzero).collect();
            let mut lists = Lists::forward(&geometry, &indices, &offsets, geometry.inputs());
            // They are in the order of the filters already.
            lists.places = vec![];
            let values = indices.iter().map(|index| layer.weight[*index as usize]).collect();
            let has_patches = layer.is_tiled && geometry.window.stride[1] <= 2;
            Weights::Sparse { lists, values, patches: has_patches.then(|| cover(&geometry, &phase.positions, set)) }
        } else if Tiles::pay_once_transformed(&geometry) {
            Weights::Winograd { tiles: geometry.forward_tiles(1), filters: transformed(&geometry, layer.weight) }
        } else {
            let tiles: Vec<(usize, usize)> = tiles(0..filters, geometry.filters(), tile_rows(set)).collect();
            let mut values = Vec::with_capacity(layer.weight.len());
            for (first, count) in &tiles {
                for column in 0..columns {
                    values.extend((*first..first + count).map(|filter| layer.weight[filter * columns + column]));
                }
            }
            Weights::Dense { offsets, tiles, values }
        };
        let needs_positions = matches!(weights, Weights::Dense { .. } | Weights::Sparse { patches: None, .. });
        Self {
            positions: if needs_positions { phase.positions } else { vec![] },
            extent: (geometry.inputs() - 1) * plane + phase.extent,
            bias: layer.bias.map_or_else(|| vec![0.0; filters], <[f32]>::to_vec),
            activation: layer.activation,
            geometry,
            weights,
        }
    }

    /// Bytes of the weights, with all that says where they stand, and of the bias.
    pub(super) fn weight_bytes(&self) -> usize {
        let numbers = match &self.weights {
            Weights::Dense { offsets, values, .. } => offsets.len() + values.len(),
            Weights::Winograd { filters, .. } => filters.len(),
            Weights::Sparse { lists, values, .. } => lists.starts.len() + lists.offsets.len() + values.len(),
        };
        (numbers + self.bias.len()) * size_of::<f32>()
    }

    /// Bytes of the lists of positions.
    pub(super) fn list_bytes(&self) -> usize {
        let own = match &self.weights {
            Weights::Winograd { tiles, .. } => size_of_val(&**tiles),
            Weights::Sparse { patches: Some((_, patches)), .. } => size_of_val(&**patches),
            Weights::Dense { .. } | Weights::Sparse { patches: None, .. } => 0,
        };
        own + size_of_val(&*self.positions)
    }

    /// Channels in and out that its workspace is for, where it needs one.
    pub(super) fn workspace(&self) -> Option<[usize; 2]> {
        match &self.weights {
            Weights::Winograd { .. } => Some([self.geometry.x.channels, self.geometry.y.channels]),
            Weights::Dense { .. } | Weights::Sparse { .. } => None,
        }
    }

    /// The filters from which on a part of them can be computed by itself.
    pub(super) fn borders(&self) -> Vec<usize> {
        let filters = self.geometry.y.channels;
        match &self.weights {
            Weights::Dense { tiles, .. } => tiles.iter().map(|tile| tile.0).collect(),
            Weights::Winograd { .. } => (0..filters).step_by(TILE_ROWS).collect(),
            Weights::Sparse { .. } => (0..filters).collect(),
        }
    }

    /// About how many products of vectors the filters before one take.
    pub(super) fn work(&self, filter: usize) -> usize {
        let (pixels, columns) = (self.geometry.y.pixels(), self.geometry.columns());
        match &self.weights {
            Weights::Dense { .. } => filter * columns * pixels,
            Weights::Winograd { .. } => filter * columns * pixels * 4 / 9,
            // What is done for each output beside its products.
            Weights::Sparse { lists, .. } => (lists.starts[filter] as usize + 4 * filter) * pixels,
        }
    }

    /// Writes the outputs of some filters, whose ends are [borders](Self::borders). `y`, and `other` in the same layout, begin
    /// with the first of them.
    pub(super) fn run(
        &self,
        set: InstructionSet,
        filters: Range<usize>,
        x: &[Lanes],
        other: Option<&[Lanes]>,
        y: &mut [Lanes],
        workspace: &mut Workspace,
    ) {
        let least = if self.activation == Some(Activation::Relu) { 0.0 } else { f32::NEG_INFINITY };
        let (geometry, plane) = (&self.geometry, self.geometry.y.plane());
        if let Weights::Sparse { lists, values, patches: Some((steps, patches)) } = &self.weights {
            let group = [geometry.filters(), geometry.inputs() * geometry.x.plane()];
            let own = Filters {
                starts: &lists.starts,
                offsets: &lists.offsets,
                weights: values,
                bias: &self.bias,
                extent: self.extent,
                group,
            };
            let mut outputs = patches::Outputs { filters, values: y, plane, other, least };
            // What a patch reads stays in the first-level cache while all filters go by.
            for patch in patches {
                patches::compute(set, *patch, *steps, own, x, &mut outputs);
            }
        } else {
            dispatch(set, Products { conv: self, filters, x, other, y, least, workspace });
        }
        match self.activation {
            None | Some(Activation::Relu) => {}
            Some(own) => {
                dispatch(set, Activate { activation: own, grid: geometry.y.grid(), plane, y });
            }
        }
    }
}

/// Sums position by position.
struct Products<'a> {
    conv: &'a Conv,
    filters: Range<usize>,
    x: &'a [Lanes],
    other: Option<&'a [Lanes]>,
    y: &'a mut [Lanes],
    least: f32,
    workspace: &'a mut Workspace,
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { conv, filters, x, other, y, least, workspace } = self;
        let (geometry, extent, plane) = (&conv.geometry, conv.extent, conv.geometry.y.plane());
        let group = |filter: usize| filter / geometry.filters() * geometry.inputs() * geometry.x.plane();
        let others = other.as_slice();
        match &conv.weights {
            Weights::Dense { offsets, tiles, values } => {
                for positions in conv.positions.chunks(POSITIONS) {
                    for (first, count) in tiles {
                        if !filters.contains(first) {
                            continue;
                        }
                        let weights = &values[first * offsets.len()..][..count * offsets.len()];
                        let rows = Rows { offsets, weights, count: *count, extent };
                        let outputs = Outputs { blocks: &mut [&mut *y], plane, row: first - filters.start, least };
                        let start = start(&conv.bias[*first..], others);
                        product::<V>(rows, positions, &x[group(*first)..], start, outputs);
                    }
                }
            }
            Weights::Winograd { tiles, filters: weights } => {
                let sizes = sizes(&geometry.x, &geometry.y);
                let outputs = Outputs { blocks: &mut [&mut *y], plane, row: 0, least };
                let start = start(&conv.bias[filters.start..], others);
                convolve::<V>(sizes, weights, filters, tiles, x, start, outputs, workspace);
            }
            Weights::Sparse { lists, values, .. } => {
                for positions in conv.positions.chunks(SPARSE_POSITIONS) {
                    for (row, filter) in filters.clone().enumerate() {
                        let own = lists.of(filter);
                        let (offsets, weights) = (&lists.offsets[own.clone()], &values[own]);
                        let rows = Rows { offsets, weights, count: 1, extent };
                        let outputs = Outputs { blocks: &mut [&mut *y], plane, row, least };
                        let start = start(&conv.bias[filter..], others);
                        product::<V>(rows, positions, &x[group(filter)..], start, outputs);
                    }
                }
            }
        }
    }
}

/// Applies a function to all outputs.
struct Activate<'a> {
    activation: Activation,
    grid: Grid,
    plane: usize,
    y: &'a mut [Lanes],
}

impl Kernel for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        for y in self.y.chunks_exact_mut(self.plane) {
            with_activation!(Some(self.activation), activate, self.grid, y);
        }
    }
}

/// The positions as patches; those that are given are in order.
fn cover(geometry: &Geometry, positions: &[Position], set: InstructionSet) -> (Steps, Vec<Patch>) {
    let Geometry { window, x, y, .. } = geometry;
    let steps = Steps { rows: [window.stride[0] * x.columns(), y.columns()], column: window.stride[1] };
    let patch = |(sides, [row, column]): ([usize; 2], [usize; 2])| {
        let Position { input, output, .. } = positions[row * y.width + column];
        Patch { sides: sides.map(|side| side as u8), input, output }
    };
    let cover = patches::cover([y.height, y.width], patches::most_positions(set));
    (steps, cover.into_iter().map(patch).collect())
}

/// The transformed filters of a 3x3 convolution, `[tile of rows][product][input][row]`.
fn transformed(geometry: &Geometry, weight: &[f32]) -> Vec<f32> {
    let inputs = geometry.inputs();
    let mut found = vec![0.0; geometry.y.channels * inputs * PRODUCTS];
    for (tile, to) in found.chunks_mut(TILE_ROWS * inputs * PRODUCTS).enumerate() {
        let own = &weight[tile * TILE_ROWS * inputs * 9..];
        transform_filters(inputs, to.len() / (inputs * PRODUCTS), own, [inputs, 1], to);
    }
    found
}

/// What the sums of some rows start with.
#[inline(always)]
fn start<'a>(bias: &'a [f32], others: &'a [&'a [Lanes]]) -> Start<'a> {
    if others.is_empty() { Start::Bias(bias) } else { Start::Added(bias, others) }
}
