//! Layers of one image whose numbers stand as they come, instead of in tiles: fully connected ones with sixteen neurons in the lanes,
//! and convolutions with sixteen neighbouring pixels.

use super::conv::Activate;
use super::plan::{Plan, Step};
use crate::InstructionSet;
use crate::infer::form::Compiled;
use crate::infer::image::{self, Image, SLACK};
use crate::infer::matrix::Matrix;
use crate::infer::plan::Form;
use crate::infer::step::{self, Op};
use crate::infer::{Options, aligned::Aligned};
use crate::kernels::pointwise::Grid;
use crate::lanes::{LANES, Lanes, at};
use crate::simd::{dispatch, register_sizes};
use secateur_graph::Activation;
use std::mem::size_of;

/// Fraction of nonzero weights from which on all of them are held.
const DENSE: f64 = 0.5;
/// Weights that a register of neurons finds in a window of inputs, below which those of one input after the other are computed
/// instead, as long as there are so many registers of neurons.
const FOUND: f64 = 1.5;
const GROUPS: usize = 10;

/// `y = activation(weight x + bias)`, or of every two by two of these the largest.
#[derive(Debug)]
pub(super) struct Single {
    compiled: Box<dyn Compiled<image::Single>>,
    inputs: usize,
    outputs: usize,
    /// Where each input stands; `None` where they stand side by side.
    from: Option<Vec<u32>>,
    /// Whether the outputs are written side by side, and not each into a vector of its own.
    packs: bool,
    /// Where it is another than relu.
    activation: Option<Activation>,
}

/// What a thread works in.
#[derive(Clone, Debug)]
pub(super) struct Workspace {
    x: Aligned<f32>,
    y: Aligned<f32>,
    scratch: image::Scratch,
}

impl Workspace {
    /// For layers of at most so many inputs and outputs.
    pub(super) fn new(widest: usize) -> Self {
        let numbers = || Aligned::zeros(if widest == 0 { 0 } else { widest + SLACK });
        Self { x: numbers(), y: numbers(), scratch: image::Scratch::new(widest) }
    }

    /// Its bytes for layers of at most so many inputs and outputs.
    pub(super) fn needed(widest: usize) -> usize {
        widest.saturating_add(2 * SLACK).saturating_mul(4 * size_of::<f32>())
    }
}

impl Single {
    /// A step of a plan; `weight` is `[outputs][inputs]`. What a convolution reads and writes are images `[height, width]`.
    pub(super) fn new(
        plan: &Plan,
        step: &Step,
        [x, y]: [&[usize]; 2],
        weight: &[f32],
        bias: Option<&[f32]>,
        dense: bool,
        set: InstructionSet,
    ) -> Self {
        let outputs = plan.values(step.output);
        let rectified = step.activation == Some(Activation::Relu);
        let matrix = |rows: usize| {
            Matrix::new(weight, [rows, weight.len() / rows], dense, crate::file::Precision::F32)
        };
        let bias = |rows: usize| bias.map_or_else(|| vec![0.0; rows], <[f32]>::to_vec);
        let (op, form) = if let (&[channels, height, width], &[filters, rows, columns]) = (x, y) {
            let kernel = (weight.len() / filters / channels).isqrt();
            let (weight, bias) = (matrix(filters), bias(filters));
            let (stride, pooled) = (1, step.pools);
            let own = step::Conv { weight, bias, kernel, stride, height, width, rows, columns, pooled, rectified };
            (Op::Conv(own), Form::Sparse)
        } else {
            let weight = matrix(outputs);
            let [lanes, entries] = register_sizes(set);
            let found = weight.density() * (lanes * entries) as f64;
            let form = match () {
                () if weight.density() > DENSE => Form::Panels,
                () if found < FOUND && outputs >= GROUPS * lanes => Form::Columns,
                () => Form::Windowed,
            };
            (Op::Linear(step::Linear { weight, bias: bias(outputs), rectified }), form)
        };
        let own = step::Step { name: String::new(), op, outputs };
        let options = Options { instruction_set: set, ..Options::new(1) };
        let compiled = image::compile(&own, form, &options).expect("a layer has these forms");
        let tilings = plan.tilings.as_ref().expect("the lanes hold what belongs to one image");
        let (layout, tiling) = (&plan.layouts[step.inputs[0]], &tilings[step.inputs[0]]);
        let place = |index: usize| {
            let [vector, lane] = tiling.place(layout, index);
            (vector * LANES + lane) as u32
        };
        Self {
            compiled,
            inputs: plan.values(step.inputs[0]),
            outputs,
            from: (!tiling.is_packed()).then(|| (0..plan.values(step.inputs[0])).map(place).collect()),
            packs: tilings[step.output].is_packed(),
            activation: step.activation.filter(|own| *own != Activation::Relu),
        }
    }

    /// The larger one of its inputs and outputs.
    pub(super) fn widest(&self) -> usize {
        self.inputs.max(self.outputs)
    }

    pub(super) fn weight_bytes(&self) -> usize {
        self.compiled.bytes()
    }

    pub(super) fn list_bytes(&self) -> usize {
        self.from.as_ref().map_or(0, |own| size_of_val(&**own))
    }

    /// Writes the outputs.
    pub(super) fn run(&self, set: InstructionSet, x: &[Lanes], y: &mut [Lanes], workspace: &mut Workspace) {
        let Workspace { x: numbers, y: found, scratch } = workspace;
        let own = &mut numbers[..self.inputs + SLACK];
        match &self.from {
            Some(places) => own.iter_mut().zip(places).for_each(|(own, place)| *own = at(x, *place as usize)),
            None => own[..self.inputs].chunks_mut(LANES).zip(x).for_each(|(own, x)| {
                own.copy_from_slice(&x.0[..own.len()]);
            }),
        }
        // What stands behind the last input meets weights of zero, and must be a number.
        own[self.inputs..].fill(0.0);
        self.compiled.run(set, Image { x: own, y: found, scratch });
        if self.packs {
            for (y, found) in y.iter_mut().zip(found[..self.outputs].chunks(LANES)) {
                y.0[..found.len()].copy_from_slice(found);
            }
        } else {
            y.iter_mut().zip(&found[..self.outputs]).for_each(|(y, found)| y.0[0] = *found);
        }
        if let Some(activation) = self.activation {
            let plane = y.len();
            let grid = Grid { rows: 1, columns: plane, start: 0, pitch: plane };
            dispatch(set, Activate { activation, grid, plane, y });
        }
    }
}
