//! Fully connected layers of one image: sixteen neurons in the lanes, instead of the pixels of tiles.

use super::conv::Activate;
use super::plan::{Plan, Step};
use crate::InstructionSet;
use crate::infer::form::Compiled;
use crate::infer::image::{self, Image, SLACK, Single};
use crate::infer::matrix::Matrix;
use crate::infer::plan::Form;
use crate::infer::step::{self, Op};
use crate::infer::{Options, aligned::Aligned};
use crate::kernels::pointwise::Grid;
use crate::lanes::{LANES, Lanes, at};
use crate::simd::dispatch;
use secateur_graph::Activation;
use std::mem::size_of;

/// Fraction of nonzero weights from which on all of them are held.
const DENSE: f64 = 0.5;

/// `y = activation(weight x + bias)`
#[derive(Debug)]
pub(super) struct Linear {
    compiled: Box<dyn Compiled<Single>>,
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

impl Linear {
    /// A step of a plan; `weight` is `[outputs][inputs]`.
    pub(super) fn new(
        plan: &Plan,
        step: &Step,
        weight: &[f32],
        bias: Option<&[f32]>,
        dense: bool,
        set: InstructionSet,
    ) -> Self {
        let outputs = plan.values(step.output);
        let inputs = weight.len() / outputs;
        let matrix = Matrix::new(weight, [outputs, inputs], dense, crate::file::Precision::F32);
        let form = if matrix.density() > DENSE { Form::Panels } else { Form::Windowed };
        let layer = step::Linear {
            weight: matrix,
            bias: bias.map_or_else(|| vec![0.0; outputs], <[f32]>::to_vec),
            rectified: step.activation == Some(Activation::Relu),
        };
        let own = step::Step { name: String::new(), op: Op::Linear(layer), outputs };
        let options = Options { instruction_set: set, ..Options::new(1) };
        let compiled = image::compile(&own, form, &options).expect("a fully connected layer has both forms");
        let tilings = plan.tilings.as_ref().expect("the lanes hold what belongs to one image");
        let (layout, tiling) = (&plan.layouts[step.inputs[0]], &tilings[step.inputs[0]]);
        let place = |index: usize| {
            let [vector, lane] = tiling.place(layout, index);
            (vector * LANES + lane) as u32
        };
        Self {
            compiled,
            inputs,
            outputs,
            from: (!tiling.is_packed()).then(|| (0..inputs).map(place).collect()),
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
