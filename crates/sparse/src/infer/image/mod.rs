//! One image at a time: pixels or neurons in the lanes. For calls with few images.

mod conv;
mod linear;
mod walk;

pub(super) use walk::Images;

use super::Options;
use super::form::{Compiled, Mode, Vectorised};
use super::matrix::{Half, Value};
use super::plan::Form;
use super::simple::Simple;
use super::step::{Op, Step};
use crate::InstructionSet;
use crate::file::Precision;
use crate::lanes::LANES;
use crate::simd::register_sizes;

/// Numbers that a buffer has room for behind its last one: kernels read and write whole vectors.
pub(super) const SLACK: usize = 2 * LANES;

/// What a step reads and writes, with [`SLACK`] behind each, and room for what lies in between.
pub(super) struct Image<'a> {
    pub x: &'a [f32],
    pub y: &'a mut [f32],
    pub scratch: &'a mut Scratch,
}

/// Room that steps share.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Outputs of a filter before pooling.
    pub pixels: Vec<f32>,
    /// Inputs that are not zero.
    pub active: Vec<u32>,
}

impl Clone for Scratch {
    /// Another one with as much capacity: what stands in it is of no use to others.
    fn clone(&self) -> Self {
        Self { pixels: Vec::with_capacity(self.pixels.capacity()), active: Vec::with_capacity(self.active.capacity()) }
    }
}

impl Scratch {
    /// With capacity for values of so many numbers, so that no call takes memory.
    pub(super) fn new(widest: usize) -> Self {
        Self { pixels: Vec::with_capacity(widest + 2 * SLACK), active: Vec::with_capacity(widest) }
    }
}

/// Pixels or neurons of one image in the lanes.
#[derive(Debug)]
pub(super) struct Single;

impl Mode for Single {
    type Io<'a> = Image<'a>;
}

impl Compiled<Single> for Simple {
    fn bytes(&self) -> usize {
        match self {
            Self::Affine { scale, shift, .. } => 4 * (scale.len() + shift.len()),
            _ => 0,
        }
    }

    fn run(&self, _: InstructionSet, image: Image<'_>) {
        Simple::run(self, image.x, image.y);
    }
}

/// The forms that are worth trying for a step.
pub(super) fn forms(step: &Step) -> Vec<Form> {
    match &step.op {
        Op::Conv(_) => vec![Form::Sparse],
        Op::Linear(own) => match own.weight.density() {
            0.5.. => vec![Form::Panels],
            0.2.. => vec![Form::Panels, Form::Windowed, Form::Columns],
            _ => vec![Form::Windowed, Form::Columns],
        },
        Op::Simple(_) => vec![Form::Simple],
    }
}

/// The step in this form; `None` when it has no such form.
pub(super) fn compile(step: &Step, form: Form, options: &Options) -> Option<Box<dyn Compiled<Single>>> {
    let sizes = register_sizes(options.instruction_set);
    match options.precision {
        Precision::F32 => compiled::<f32>(step, form, sizes),
        Precision::F16 => compiled::<Half>(step, form, sizes),
        Precision::Int8 => compiled::<i8>(step, form, sizes),
    }
}

fn compiled<W: Value>(step: &Step, form: Form, sizes: [usize; 2]) -> Option<Box<dyn Compiled<Single>>> {
    Some(match (&step.op, form) {
        (Op::Conv(own), Form::Sparse) => Box::new(Vectorised(conv::Sparse::<W>::new(own))),
        (Op::Linear(own), Form::Panels) => Box::new(Vectorised(linear::Panels::<W>::new(own))),
        (Op::Linear(own), Form::Windowed) => Box::new(Vectorised(linear::Windowed::<W>::new(own, sizes))),
        (Op::Linear(own), Form::Columns) => Box::new(Vectorised(linear::Columns::<W>::new(own))),
        (Op::Simple(own), Form::Simple) => Box::new(own.clone()),
        _ => return None,
    })
}
