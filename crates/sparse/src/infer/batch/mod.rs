//! Sixteen images in the lanes: activations are blocks `[feature][16 images]`, from the first step to the logits.
//!
//! A few blocks go through all steps together on one thread, so that what a step leaves is still in the cache when the
//! next one reads it.
#![expect(clippy::needless_range_loop, reason = "counted loops over register tiles show their shape")]

mod conv;
mod linear;
mod walk;

pub(super) use walk::Batches;

use super::form::{Compiled, Mode, Vectorised};
use super::matrix::{Half, Value};
use super::plan::Form;
use super::shared::Shared;
use super::simple::Simple;
use super::step::{Op, Step};
use crate::InstructionSet;
use crate::file::Precision;
use crate::lanes::{LANES, Lanes};
use crate::simd::{Kernel, Vector, dispatch};

/// Sixteen images in the lanes.
#[derive(Debug)]
pub(super) struct Batch;

/// What a step reads and writes: a part of each block, which stand one behind the other.
pub(super) struct Blocks<'a> {
    pub count: usize,
    pub x: &'a [Lanes],
    pub inputs: Part,
    pub y: &'a mut [Lanes],
    pub outputs: Part,
}

/// Which part of each block.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// From one block to the next.
    pub stride: usize,
    /// Numbers of an image that a step reads or writes of it.
    pub length: usize,
}

impl<'a> Blocks<'a> {
    /// A single block.
    fn one(x: &'a [Lanes], y: &'a mut [Lanes]) -> Self {
        let whole = |length| Part { stride: length, length };
        Self { count: 1, inputs: whole(x.len()), x, outputs: whole(y.len()), y }
    }

    /// What is read of a block.
    #[inline(always)]
    fn x(&self, block: usize) -> &'a [Lanes] {
        &self.x[block * self.inputs.stride..][..self.inputs.length]
    }

    /// What is written of a block.
    #[inline(always)]
    fn y(&mut self, block: usize) -> &mut [Lanes] {
        &mut self.y[block * self.outputs.stride..][..self.outputs.length]
    }
}

impl Mode for Batch {
    type Io<'a> = Blocks<'a>;
}

impl Compiled<Batch> for Simple {
    fn bytes(&self) -> usize {
        match self {
            Self::Affine { scale, shift, .. } => 4 * (scale.len() + shift.len()),
            _ => 0,
        }
    }

    fn run(&self, _: InstructionSet, mut blocks: Blocks<'_>) {
        for block in 0..blocks.count {
            Simple::run(self, blocks.x(block), blocks.y(block));
        }
    }
}

/// N of M that there are, the ones with the fewest weights first.
const PATTERNS: [(usize, usize); 3] = [(1, 4), (2, 4), (4, 8)];

/// The forms that are worth trying for a step.
pub(super) fn forms(step: &Step) -> Vec<Form> {
    let (matrix, is_linear) = match &step.op {
        Op::Conv(conv) => (&conv.weight, false),
        Op::Linear(linear) => (&linear.weight, true),
        Op::Simple(_) => return vec![Form::Simple],
    };
    let mut found = vec![];
    // Four rows together do up to twice as much in the same time.
    let fill = Shared::<f32>::fill(matrix);
    if fill > 1.2 || matrix.values.is_empty() {
        found.push(Form::Sparse);
    }
    if fill < 3.0 {
        found.push(Form::Grouped);
    }
    if is_linear && (0.1..0.7).contains(&matrix.density()) {
        found.extend(
            PATTERNS
                .into_iter()
                .filter(|(n, m)| linear::fits(matrix, *n, *m))
                .take(1)
                .map(|(n, m)| Form::Patterned { n, m }),
        );
    }
    found
}

/// The step in this form; `None` when it has no such form.
pub(super) fn compile(step: &Step, form: Form, precision: Precision) -> Option<Box<dyn Compiled<Batch>>> {
    match precision {
        Precision::F32 => compiled::<f32>(step, form),
        Precision::F16 => compiled::<Half>(step, form),
        Precision::Int8 => compiled::<i8>(step, form),
    }
}

fn compiled<W: Value>(step: &Step, form: Form) -> Option<Box<dyn Compiled<Batch>>> {
    Some(match (&step.op, form) {
        (Op::Conv(own), Form::Sparse) => Box::new(Vectorised(conv::Sparse::<W>::new(own))),
        (Op::Conv(own), Form::Grouped) => Box::new(Vectorised(conv::Grouped::<W>::new(own))),
        (Op::Linear(own), Form::Sparse) => Box::new(Vectorised(linear::Sparse::<W>::new(own))),
        (Op::Linear(own), Form::Grouped) => Box::new(Vectorised(linear::Grouped::<W>::new(own))),
        (Op::Linear(own), Form::Patterned { n, m }) => Box::new(Vectorised(linear::Patterned::<W>::new(own, n, m)?)),
        (Op::Simple(own), Form::Simple) => Box::new(own.clone()),
        _ => return None,
    })
}

/// Turns images `[pixel]` into a block `[pixel][16 images]`; lanes without an image are zero.
pub(super) fn read(set: InstructionSet, images: &[f32], pixels: usize, block: &mut [Lanes]) {
    struct Read<'a>(&'a [f32], usize, &'a mut [Lanes]);
    impl Kernel for Read<'_> {
        type Output = ();

        #[inline(always)]
        fn run<V: Vector>(self) {
            let Self(images, pixels, block) = self;
            let mut from = [Lanes::ZERO; LANES];
            let mut to = [Lanes::ZERO; LANES];
            for first in (0..pixels).step_by(LANES) {
                let width = LANES.min(pixels - first);
                for (lanes, image) in from.iter_mut().zip(images.chunks_exact(pixels)) {
                    lanes.0[..width].copy_from_slice(&image[first..first + width]);
                }
                V::transpose(&from, &mut to);
                block[first..first + width].copy_from_slice(&to[..width]);
            }
        }
    }
    dispatch(set, Read(images, pixels, block));
}

/// Turns a block `[class][16 images]` into logits `[class]`, for as many images as `logits` has room for.
pub(super) fn write(block: &[Lanes], classes: usize, logits: &mut [f32]) {
    for (image, logits) in logits.chunks_exact_mut(classes).enumerate() {
        for (logit, lanes) in logits.iter_mut().zip(block) {
            *logit = lanes.0[image];
        }
    }
}
