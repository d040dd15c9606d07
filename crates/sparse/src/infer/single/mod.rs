//! Layers of one image whose numbers stand as they come, instead of in tiles: fully connected ones with sixteen neurons in the lanes,
//! and convolutions with sixteen neighbouring pixels.

mod conv;
mod linear;
mod matrix;

use super::aligned::Aligned;
use super::conv::Activate;
use super::plan::{Plan, Step};
use crate::InstructionSet;
use crate::file::Precision;
use crate::kernels::pointwise::Grid;
use crate::lanes::{LANES, Lanes, at};
use crate::simd::{Kernel, Vector, dispatch, register_sizes};
use conv::Conv;
use linear::{Columns, Linear, Panels, Windowed};
use matrix::{Half, Matrix, Value};
use secateur_graph::{Activation, Window};
use std::fmt::Debug;
use std::mem::size_of;

/// Fraction of nonzero weights from which on all of them are held.
const DENSE: f64 = 0.5;
/// Weights that a register of neurons finds in a window of inputs, below which those of one input after the other are computed
/// instead, as long as there are so many registers of neurons.
const FOUND: f64 = 1.5;
const GROUPS: usize = 10;

/// Layers one behind the other, each `y = activation(weight x + bias)`, or of every two by two of these the largest.
#[derive(Debug)]
pub(super) struct Single {
    /// Each with how many numbers it reads and gives. Relu is part of a layer.
    layers: Vec<(Box<dyn Layer>, [usize; 2])>,
    /// Where each input stands; `None` where they stand side by side.
    from: Option<Vec<u32>>,
    /// Whether the outputs are written side by side, and not each into a vector of its own.
    packs: bool,
    /// That of the last layer, where it is another than relu.
    activation: Option<Activation>,
}

/// What such a step is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    /// `[filter or output][channel or input][tap]`
    pub weight: &'a [f32],
    pub bias: Option<&'a [f32]>,
    /// Of what is read and written.
    pub shapes: [&'a [usize]; 2],
    /// That of a convolution, which has neither padding nor strides.
    pub window: Option<Window>,
    /// Whether zeros are weights like others.
    pub dense: bool,
    /// How weights are held; those of a convolution are f32.
    pub precision: Precision,
}

/// A fully connected layer in the form that suits what is left of it.
fn linear_layer<W: Value>(own: &Linear, set: InstructionSet) -> Box<dyn Layer> {
    let [lanes, entries] = register_sizes(set);
    let density = own.weight.density();
    let found = density * (lanes * entries) as f64;
    if density > DENSE {
        Box::new(Panels::<W>::new(own))
    } else if found < FOUND && own.weight.rows() >= GROUPS * lanes {
        Box::new(Columns::<W>::new(own))
    } else {
        Box::new(Windowed::<W>::new(own, [lanes, entries]))
    }
}

/// A layer in one of its forms.
trait Layer: Debug + Send + Sync {
    /// Memory that its weights take.
    fn bytes(&self) -> usize;
    /// Computes it with these instructions.
    fn run(&self, set: InstructionSet, image: Image<'_>);
}

/// The same, to be compiled for every instruction set.
trait Compute: Debug + Send + Sync {
    fn weight_bytes(&self) -> usize;
    /// Implementations are `#[inline(always)]`.
    fn compute<V: Vector>(&self, image: Image<'_>);
}

impl<C: Compute> Layer for C {
    fn bytes(&self) -> usize {
        self.weight_bytes()
    }

    fn run(&self, set: InstructionSet, image: Image<'_>) {
        struct Run<'a, 'b, C>(&'a C, Image<'b>);
        impl<C: Compute> Kernel for Run<'_, '_, C> {
            type Output = ();

            #[inline(always)]
            fn run<V: Vector>(self) {
                self.0.compute::<V>(self.1);
            }
        }
        dispatch(set, Run(self, image));
    }
}

/// The last thing that happens to a sum.
#[inline(always)]
fn finished<V: Vector>(sum: V, rectified: bool) -> V {
    if rectified { V::splat(0.0).max(sum) } else { sum }
}

/// Numbers that a buffer has room for behind its last one: kernels read and write whole vectors.
const SLACK: usize = 2 * LANES;

/// What a step reads and writes, with [`SLACK`] behind each, and room for what lies in between.
struct Image<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    scratch: &'a mut Scratch,
}

/// Room that steps share.
#[derive(Debug, Default)]
struct Scratch {
    /// Outputs of a filter before pooling.
    pixels: Vec<f32>,
    /// Inputs that are not zero.
    active: Vec<u32>,
}

impl Clone for Scratch {
    /// Another one with as much capacity: what stands in it is of no use to others.
    fn clone(&self) -> Self {
        Self { pixels: Vec::with_capacity(self.pixels.capacity()), active: Vec::with_capacity(self.active.capacity()) }
    }
}

impl Scratch {
    /// With capacity for values of so many numbers, so that no call takes memory.
    fn new(widest: usize) -> Self {
        Self { pixels: Vec::with_capacity(widest + 2 * SLACK), active: Vec::with_capacity(widest) }
    }
}

/// What a thread works in.
#[derive(Clone, Debug)]
pub(super) struct Workspace {
    x: Aligned<f32>,
    y: Aligned<f32>,
    scratch: Scratch,
}

impl Workspace {
    /// For layers of at most so many inputs and outputs.
    pub(super) fn new(widest: usize) -> Self {
        let numbers = || Aligned::zeros(if widest == 0 { 0 } else { widest + SLACK });
        Self { x: numbers(), y: numbers(), scratch: Scratch::new(widest) }
    }

    /// Its bytes for layers of at most so many inputs and outputs.
    pub(super) fn needed(widest: usize) -> usize {
        widest.saturating_add(2 * SLACK).saturating_mul(4 * size_of::<f32>())
    }
}

impl Single {
    /// A step of a plan.
    pub(super) fn new(plan: &Plan, step: &Step, source: &Source<'_>, set: InstructionSet) -> Self {
        let Source { weight, bias, shapes, window, dense, precision } = *source;
        let outputs = plan.values(step.output);
        let rectified = step.activation == Some(Activation::Relu);
        let layer = match (window, shapes) {
            (Some(window), [&[_, height, width], &[filters, rows, columns]]) => {
                let bias = bias.map_or_else(|| vec![0.0; filters], <[f32]>::to_vec);
                let mut weight = Matrix::new(weight, [filters, weight.len() / filters], dense, Precision::F32);
                let [taps, dilation] = [window.size, window.dilation];
                for column in &mut weight.places {
                    let place = *column as usize;
                    let (channel, tap) = (place / (taps[0] * taps[1]), place % (taps[0] * taps[1]));
                    let (row, across) = (tap / taps[1] * dilation[0], tap % taps[1] * dilation[1]);
                    *column = ((channel * height + row) * width + across) as u32;
                }
                Box::new(Conv { weight, bias, width, rows, columns, pooled: step.pools, rectified })
            }
            _ => {
                let bias = bias.map_or_else(|| vec![0.0; outputs], <[f32]>::to_vec);
                let weight = Matrix::new(weight, [outputs, weight.len() / outputs], dense, precision);
                let own = Linear { weight, bias, rectified };
                match precision {
                    Precision::F32 => linear_layer::<f32>(&own, set),
                    Precision::F16 => linear_layer::<Half>(&own, set),
                    Precision::Int8 => linear_layer::<i8>(&own, set),
                }
            }
        };
        let tilings = plan.tilings.as_ref().expect("the lanes hold what belongs to one image");
        let (layout, tiling) = (&plan.layouts[step.inputs[0]], &tilings[step.inputs[0]]);
        let place = |index: usize| {
            let [vector, lane] = tiling.place(layout, index);
            (vector * LANES + lane) as u32
        };
        let inputs = plan.values(step.inputs[0]);
        Self {
            layers: vec![(layer, [inputs, outputs])],
            from: (!tiling.is_packed()).then(|| (0..inputs).map(place).collect()),
            packs: tilings[step.output].is_packed(),
            activation: step.activation.filter(|own| *own != Activation::Relu),
        }
    }

    /// Takes along the layers that read what this one gives, and nobody else does.
    pub(super) fn join(&mut self, next: Self) {
        let Self { layers, packs, activation, .. } = next;
        self.layers.extend(layers);
        (self.packs, self.activation) = (packs, activation);
    }

    /// The most numbers that a layer reads or gives.
    pub(super) fn widest(&self) -> usize {
        self.layers.iter().flat_map(|(_, sides)| *sides).max().unwrap_or(0)
    }

    pub(super) fn weight_bytes(&self) -> usize {
        self.layers.iter().map(|(layer, _)| layer.bytes()).sum()
    }

    pub(super) fn list_bytes(&self) -> usize {
        self.from.as_ref().map_or(0, |own| size_of_val(&**own))
    }

    /// Writes the outputs.
    pub(super) fn run(&self, set: InstructionSet, x: &[Lanes], y: &mut [Lanes], workspace: &mut Workspace) {
        let Workspace { x: numbers, y: found, scratch } = workspace;
        let (mut from, mut to) = (numbers, found);
        match &self.from {
            Some(places) => from.iter_mut().zip(places).for_each(|(own, place)| *own = at(x, *place as usize)),
            None => from.chunks_mut(LANES).zip(x).for_each(|(own, x)| own.copy_from_slice(&x.0[..own.len()])),
        }
        let mut outputs = 0;
        for (layer, sides) in &self.layers {
            // What stands behind the last input meets weights of zero, and must be a number.
            from[sides[0]..][..SLACK].fill(0.0);
            layer.run(set, Image { x: &from[..sides[0] + SLACK], y: to, scratch });
            outputs = sides[1];
            std::mem::swap(&mut from, &mut to);
        }
        if self.packs {
            for (y, found) in y.iter_mut().zip(from[..outputs].chunks(LANES)) {
                y.0[..found.len()].copy_from_slice(found);
            }
        } else {
            y.iter_mut().zip(&from[..outputs]).for_each(|(y, found)| y.0[0] = *found);
        }
        if let Some(activation) = self.activation {
            let plane = y.len();
            let grid = Grid { rows: 1, columns: plane, start: 0, pitch: plane };
            dispatch(set, Activate { activation, grid, plane, y });
        }
    }
}
