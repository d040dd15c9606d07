//! A step of the plan with its weights, and the way of a block of sixteen images through all steps.

use super::conv::{Conv, Layer};
use super::plan::{Plan, Step as Planned};
use crate::InstructionSet;
use crate::kernels::activation::{Function, Gelu, Identity, Relu, Relu6, Silu};
use crate::kernels::pointwise::{Scale, forward};
use crate::kernels::winograd::Workspace;
use crate::lanes::Lanes;
use crate::simd::{Kernel, Vector};
use crate::train::Crossovers;
use crate::train::graph::copy::{Run, runs};
use crate::train::graph::layout::{Layout, Margins};
use crate::train::graph::plan::Kind;
use crate::train::graph::pointwise::{Read, with};
use crate::train::graph::pooling::Pooling;
use secateur_graph::{Activation, Graph, Op, Role, Weights};
use std::mem::size_of;

/// A step with its weights.
#[derive(Debug)]
pub(super) struct Step {
    inputs: Vec<usize>,
    output: usize,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Conv(Box<Conv>),
    Pointwise {
        /// Of each channel.
        scales: Vec<Scale>,
        activation: Option<Activation>,
    },
    Pooling(Pooling),
    /// One for each input.
    Copies(Vec<Vec<Run>>),
}

impl Step {
    pub(super) fn new(
        graph: &Graph,
        weights: &Weights,
        plan: &Plan,
        planned: &Planned,
        crossovers: &Crossovers,
        set: InstructionSet,
    ) -> Self {
        let of = |node: usize, role: Role| {
            let name = format!("{}.{}", graph.nodes()[node].name, role.field());
            graph.parameter(&name).map(|own| weights.get(&own.name))
        };
        let [x, y] = [&plan.layouts[planned.inputs[0]], &plan.layouts[planned.output]];
        let op = planned.node.map(|node| &graph.nodes()[node].op);
        let work = match planned.kind {
            Kind::Conv { is_linear, .. } => {
                let node = planned.node.expect("a convolution is a node");
                let geometry = plan.geometry(planned).expect("it is a convolution");
                let weight = of(node, Role::Weight).expect("a convolution has weights");
                let crossover = if is_linear { crossovers.linear } else { crossovers.conv };
                let nonzero = weight.iter().filter(|value| **value != 0.0).count();
                let is_sparse = (nonzero as f64) < crossover * weight.len() as f64;
                let (bias, activation) = (of(node, Role::Bias), planned.activation);
                Work::Conv(Box::new(Conv::new(geometry, Layer { weight, bias, activation, is_sparse }, set)))
            }
            Kind::Pointwise { norm, activation } => {
                let scales = norm.map_or_else(
                    || vec![Scale::NONE; x.channels],
                    |node| {
                        let Op::BatchNorm(norm) = graph.nodes()[node].op else {
                            unreachable!("a normalisation's node is one")
                        };
                        let [scale, shift, mean, variance] = [Role::Scale, Role::Shift, Role::Mean, Role::Variance]
                            .map(|role| of(node, role).expect("a normalisation has all of them"));
                        let of = |channel: usize| {
                            let moments = [mean, variance].map(|own| f64::from(own[channel]));
                            Scale::of(norm, moments, scale[channel], shift[channel])
                        };
                        (0..x.channels).map(of).collect()
                    },
                );
                Work::Pointwise { scales, activation }
            }
            Kind::Pool(pool) => Work::Pooling(Pooling::new(pool, [x, y], [x, y])),
            Kind::GlobalAveragePool => Work::Pooling(Pooling::global([x, y], [x, y])),
            Kind::Copy => {
                let crop = if let Some(Op::Crop(size)) = op { Some(*size) } else { None };
                let mut first = 0;
                let copies = planned.inputs.iter().map(|input| {
                    let x = crop.map_or(plan.layouts[*input], |size| cropped(&plan.layouts[*input], size));
                    let own = runs(x.values(), |index| [x.place(index), y.place(first + index)]);
                    first += x.values();
                    own
                });
                Work::Copies(copies.collect())
            }
        };
        Self { inputs: planned.inputs.clone(), output: planned.output, work }
    }

    /// Bytes of the weights, with all that says where they stand.
    pub(super) fn weight_bytes(&self) -> usize {
        match &self.work {
            Work::Conv(own) => own.weight_bytes(),
            Work::Pointwise { scales, .. } => scales.len() * size_of::<Scale>(),
            Work::Pooling(_) | Work::Copies(_) => 0,
        }
    }

    /// Bytes of the lists of positions, windows and copies.
    pub(super) fn list_bytes(&self) -> usize {
        match &self.work {
            Work::Conv(own) => own.list_bytes(),
            Work::Pointwise { .. } => 0,
            Work::Pooling(own) => own.bytes(),
            Work::Copies(copies) => copies.iter().flatten().count() * size_of::<Run>(),
        }
    }

    /// Bytes of the workspace that it needs.
    pub(super) fn workspace_bytes(&self) -> usize {
        match &self.work {
            Work::Conv(own) => own.workspace_bytes(),
            Work::Pointwise { .. } | Work::Pooling(_) | Work::Copies(_) => 0,
        }
    }

    /// Writes the output of a block.
    #[inline(always)]
    fn run<'a, V: Vector>(
        &self,
        read: impl Fn(usize) -> Read<'a>,
        layout: &Layout,
        y: &mut [Lanes],
        workspace: &mut Workspace,
    ) {
        let x = read(self.inputs[0]);
        let other = if self.inputs.len() > 1 { Some(read(self.inputs[1])) } else { None };
        match &self.work {
            Work::Conv(own) => {
                own.run::<V>(x.values, other.map(|own| own.values), y, workspace);
            }
            Work::Pointwise { scales, activation } => with!(activation, channels, scales, x, other, layout, y),
            Work::Pooling(own) => {
                for (channel, y) in y.chunks_exact_mut(layout.plane()).enumerate() {
                    own.write_channel::<V>(x.plane(0, channel).values, y);
                }
            }
            Work::Copies(copies) => {
                for (input, copy) in self.inputs.iter().zip(copies) {
                    let x = read(*input).values;
                    for Run { from, to, len } in copy {
                        y[*to..*to + *len].copy_from_slice(&x[*from..*from + *len]);
                    }
                }
            }
        }
    }
}

/// Writes `f(scale(x) + other)` of all channels.
#[inline(always)]
fn channels<V: Vector, F: Function>(
    scales: &[Scale],
    x: Read<'_>,
    other: Option<Read<'_>>,
    layout: &Layout,
    y: &mut [Lanes],
) {
    for ((channel, y), scale) in y.chunks_exact_mut(layout.plane()).enumerate().zip(scales) {
        let other = other.map(|own| own.plane(0, channel));
        forward::<V, F>(*scale, x.plane(0, channel), other, layout.grid(), y);
    }
}

/// The first rows and columns of each channel; what is not of them counts as margin.
fn cropped(layout: &Layout, [height, width]: [usize; 2]) -> Layout {
    let margins = Margins {
        bottom: layout.margins.bottom + layout.height - height,
        right: layout.margins.right + layout.width - width,
        ..layout.margins
    };
    Layout { height, width, margins, ..*layout }
}

/// All steps on one block, whose images stand in the input's buffer.
pub(super) struct Walk<'a> {
    pub plan: &'a Plan,
    pub steps: &'a [Step],
    pub room: &'a mut Room,
}

/// What a thread works in.
#[derive(Debug)]
pub(super) struct Room {
    /// By buffer of the plan.
    pub buffers: Vec<Vec<Lanes>>,
    workspace: Workspace,
}

impl Room {
    pub(super) fn new(plan: &Plan) -> Self {
        let buffers = plan.sizes.iter().map(|size| vec![Lanes::ZERO; *size]).collect();
        Self { buffers, workspace: Workspace::default() }
    }
}

impl Kernel for Walk<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { plan, steps, room: Room { buffers, workspace } } = self;
        for step in steps {
            let own = plan.buffers[step.output];
            let (before, rest) = buffers.split_at_mut(own);
            let (y, behind) = rest.split_first_mut().expect("every value has a buffer");
            let read = |value: usize| {
                let place = plan.buffers[value];
                let values = if place < own { &before[place] } else { &behind[place - own - 1] };
                Read { layout: plan.layouts[value], values }
            };
            step.run::<V>(read, &plan.layouts[step.output], y, workspace);
        }
    }
}
