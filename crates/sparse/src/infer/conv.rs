//! Convolutions and fully connected layers, with all of their weights or with the nonzero ones only.

use super::plan::TOGETHER;
use crate::InstructionSet;
use crate::kernels::activation::with_activation;
use crate::kernels::patches::{self, Filters, Patch, Steps};
use crate::kernels::pointwise::{Grid, activate};
use crate::kernels::tiles::{Outputs, Position, Rows, Start, TILE_ROWS, product};
use crate::kernels::winograd::{PRODUCTS, Sizes, Workspace, convolve, transform_filters};
use crate::lanes::Lanes;
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::graph::conv::winograd::{Tiles, sizes};
use crate::train::graph::conv::{POSITIONS, SPARSE_POSITIONS, tile_rows, tiles};
use crate::train::graph::geometry::Geometry;
use crate::train::graph::layout::Layout;
use crate::train::graph::lists::Lists;
use secateur_graph::Activation;
use std::mem::size_of;
use std::ops::Range;

/// `y = activation(conv(x) + bias + other)`, of which the last and the first may be missing; or of every two by two of these the
/// largest.
#[derive(Debug)]
pub(super) struct Conv {
    /// Its output is what is computed.
    geometry: Geometry,
    /// The layout of what is written.
    y: Layout,
    blocks: usize,
    /// Of as many blocks as it computes at once. Where it is pooled, first the upper left ones of all that are pooled together, then those beside, below, and beside these.
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
        /// Where the lanes hold tiles of an image, or outputs are pooled.
        patches: Option<Patches>,
    },
}

/// Positions as rectangles.
#[derive(Debug)]
struct Patches {
    steps: Steps,
    all: Vec<Patch>,
    /// Of each filter the offset of the channels that it reads.
    channels: Vec<u32>,
    /// All filters, and those that have nonzero weights.
    filters: [Vec<u32>; 2],
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
    /// The layout of what is written, and whether that is the largest of every two by two outputs.
    pub y: Layout,
    pub pools: bool,
    /// Blocks of sixteen images that it computes at once, at most [`TOGETHER`]; one, where it has pixels.
    pub blocks: usize,
}

impl Conv {
    pub(super) fn new(geometry: Geometry, layer: Layer<'_>, set: InstructionSet) -> Self {
        let mut phase = geometry.forward(layer.blocks);
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
            let has_patches = (layer.is_tiled || layer.pools) && geometry.window.stride[1] <= 2;
            let patches = has_patches.then(|| {
                let (steps, all) = cover(&geometry, &phase.positions, &layer, set);
                let channels = |filter: usize| filter / geometry.filters() * geometry.inputs() * plane;
                let channels = (0..filters).map(|filter| channels(filter) as u32).collect();
                let every: Vec<u32> = (0..filters as u32).collect();
                let varying = every.iter().copied().filter(|filter| !lists.of(*filter as usize).is_empty()).collect();
                Patches { steps, all, channels, filters: [every, varying] }
            });
            Weights::Sparse { lists, values, patches }
        } else if Tiles::pay_once_transformed(&geometry) {
            let mut tiles = geometry.forward_tiles(1);
            if layer.pools {
                (0..).zip(&mut tiles).for_each(|(pixel, tile)| tile.output = output(&layer.y, pixel));
            }
            Weights::Winograd { tiles, filters: transformed(&geometry, layer.weight) }
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
        if layer.pools {
            phase.positions = pooled(&geometry, &phase.positions, &layer.y);
        }
        let needs_positions = matches!(weights, Weights::Dense { .. } | Weights::Sparse { patches: None, .. });
        Self {
            positions: if needs_positions { phase.positions } else { vec![] },
            extent: (geometry.inputs() - 1) * plane + phase.extent,
            bias: layer.bias.map_or_else(|| vec![0.0; filters], <[f32]>::to_vec),
            activation: layer.activation,
            y: layer.y,
            blocks: layer.blocks,
            geometry,
            weights,
        }
    }

    /// Blocks that it computes at once.
    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Whether of every two by two outputs the largest is written.
    fn pools(&self) -> bool {
        self.geometry.y.pixels() > self.y.pixels()
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
            Weights::Sparse { patches: Some(own), .. } => size_of_val(&*own.all) + 3 * size_of_val(&*own.channels),
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
    /// with the first of them. Several blocks stand one behind the other, and are computed with all filters.
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
        let plane = self.y.plane();
        if let Weights::Sparse { lists, values, patches: Some(own) } = &self.weights {
            // What is the same everywhere is not computed position by position.
            let [every, varying] = &own.filters;
            if other.is_none() {
                let constant = |filter: &usize| lists.of(*filter).is_empty();
                let channels = filters.clone().zip(y.chunks_exact_mut(plane));
                for (filter, y) in channels.filter(|(filter, _)| constant(filter)) {
                    dispatch(set, Fill { value: self.bias[filter], least, grid: self.y.grid(), y });
                }
            }
            let all = if other.is_some() { every } else { varying };
            let [from, to] = [filters.start, filters.end].map(|end| all.partition_point(|own| (*own as usize) < end));
            let computed = Filters {
                starts: &lists.starts,
                offsets: &lists.offsets,
                weights: values,
                bias: &self.bias,
                extent: self.extent,
                channels: &own.channels,
            };
            let filters_of = &all[from..to];
            let mut outputs =
                patches::Outputs { filters: filters_of, first: filters.start, values: y, plane, other, least };
            for patches in own.all.chunk_by(|one, other| one.sides == other.sides) {
                patches::compute(set, patches, own.steps, computed, x, &mut outputs);
            }
        } else {
            // Of some filters of one block there is less than a block.
            let size = self.y.block();
            let blocks = y.len().div_ceil(size);
            let mut ys = y.chunks_mut(size);
            let mut y: [&mut [Lanes]; TOGETHER] = std::array::from_fn(|_| ys.next().unwrap_or_default());
            let mut others = other.into_iter().flat_map(|own| own.chunks(size));
            let all: [&[Lanes]; TOGETHER] = std::array::from_fn(|_| others.next().unwrap_or_default());
            let others = if other.is_some() { &all[..] } else { &[] };
            dispatch(set, Products { conv: self, filters, x, others, blocks, y: &mut y, least, workspace });
        }
        match self.activation {
            None | Some(Activation::Relu) => {}
            Some(own) => {
                dispatch(set, Activate { activation: own, grid: self.y.grid(), plane, y });
            }
        }
    }
}

/// Sums position by position.
struct Products<'a, 'b> {
    conv: &'a Conv,
    filters: Range<usize>,
    x: &'a [Lanes],
    /// What is added, by block, if anything is.
    others: &'a [&'a [Lanes]],
    blocks: usize,
    /// By block.
    y: &'a mut [&'b mut [Lanes]],
    least: f32,
    workspace: &'a mut Workspace,
}

impl Kernel for Products<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { conv, filters, x, others, blocks, y, least, workspace } = self;
        let (geometry, extent, plane) = (&conv.geometry, conv.extent, conv.y.plane());
        let (each, all) = (blocks * conv.y.pixels(), conv.blocks * conv.y.pixels());
        let group = |filter: usize| filter / geometry.filters() * geometry.inputs() * geometry.x.plane();
        match &conv.weights {
            Weights::Dense { offsets, tiles, values } => {
                for from in (0..each).step_by(POSITIONS) {
                    for (first, count) in tiles {
                        if !filters.contains(first) {
                            continue;
                        }
                        let weights = &values[first * offsets.len()..][..count * offsets.len()];
                        let rows = Rows { offsets, weights, count: *count, extent };
                        let (row, start) = (first - filters.start, start(&conv.bias[*first..], others));
                        for (place, positions) in conv.positions.chunks(all).enumerate() {
                            let positions = &positions[from..each.min(from + POSITIONS)];
                            let outputs = Outputs { blocks: y, plane, row, least, largest: place > 0 };
                            product::<V>(rows, positions, &x[group(*first)..], start, outputs);
                        }
                    }
                }
            }
            Weights::Winograd { tiles, filters: weights } => {
                let sizes = Sizes { pools: conv.pools(), output_plane: plane, ..sizes(&geometry.x, &conv.y) };
                let outputs = Outputs { blocks: y, plane, row: 0, least, largest: false };
                let start = start(&conv.bias[filters.start..], others);
                convolve::<V>(sizes, weights, filters, tiles, x, start, outputs, workspace);
            }
            Weights::Sparse { lists, values, .. } => {
                for from in (0..each).step_by(SPARSE_POSITIONS) {
                    for (row, filter) in filters.clone().enumerate() {
                        let own = lists.of(filter);
                        let (offsets, weights) = (&lists.offsets[own.clone()], &values[own]);
                        let rows = Rows { offsets, weights, count: 1, extent };
                        let start = start(&conv.bias[filter..], others);
                        for (place, positions) in conv.positions.chunks(all).enumerate() {
                            let positions = &positions[from..each.min(from + SPARSE_POSITIONS)];
                            let outputs = Outputs { blocks: y, plane, row, least, largest: place > 0 };
                            product::<V>(rows, positions, &x[group(filter)..], start, outputs);
                        }
                    }
                }
            }
        }
    }
}

/// A channel that is the same everywhere.
struct Fill<'a> {
    value: f32,
    /// What lower values become. NaN stays NaN.
    least: f32,
    grid: Grid,
    y: &'a mut [Lanes],
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { value, least, grid, y } = self;
        let value = V::splat(least).max(V::splat(value));
        for row in 0..grid.rows {
            grid.row_mut(y, row).iter_mut().for_each(|y| value.store(y));
        }
    }
}

/// Applies a function to all outputs.
pub(super) struct Activate<'a> {
    pub activation: Activation,
    pub grid: Grid,
    pub plane: usize,
    pub y: &'a mut [Lanes],
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
fn cover(geometry: &Geometry, positions: &[Position], layer: &Layer<'_>, set: InstructionSet) -> (Steps, Vec<Patch>) {
    let Geometry { window, x, .. } = geometry;
    let (y, pools, most) = (layer.y, layer.pools, patches::most_positions(set));
    let rows = [window.stride[0] * x.columns(), y.columns()];
    let steps = Steps { rows, column: window.stride[1], pools };
    let sides = [y.height, y.width];
    let cover = if pools { patches::cover_pooled(sides, most) } else { patches::cover(sides, most) };
    let patch = |(sides, [row, column]): ([usize; 2], [usize; 2])| {
        let times = if pools { 2 } else { 1 };
        let Position { input, .. } = positions[times * (row * geometry.y.width + column)];
        Patch { sides: sides.map(|side| side as u8), input, output: y.at(row, column) as u32 }
    };
    (steps, cover.into_iter().map(patch).collect())
}

/// The offset of a pixel of what is written, by its number.
fn output(y: &Layout, pixel: usize) -> u32 {
    y.at(pixel / y.width, pixel % y.width) as u32
}

/// The positions of a convolution that is pooled by two: four times as many as what is written has pixels, see [`Conv::positions`].
fn pooled(geometry: &Geometry, positions: &[Position], y: &Layout) -> Vec<Position> {
    let elements = [[0, 0], [0, 1], [1, 0], [1, 1]];
    let pixels = elements.into_iter().flat_map(|element| (0..y.pixels()).map(move |pixel| (element, pixel)));
    let position = |([below, beside], pixel): ([usize; 2], usize)| {
        let (row, column) = (2 * (pixel / y.width) + below, 2 * (pixel % y.width) + beside);
        Position { output: output(y, pixel), ..positions[row * geometry.y.width + column] }
    };
    pixels.map(position).collect()
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
