//! A step of the plan with its parameters.

use super::conv::{Conv, Input, Reduction, Scratch};
use super::copy::{Copy, indices};
use super::norm::Norm;
use super::other::Other;
use super::plan::{Kind, Plan, Slot, Step as Planned, Way};
use super::pointwise::{Pointwise, Read, Reads, Write, hand_on, moments};
use super::pooling::Pooling;
use super::stored::Stored;
use crate::Update;
use crate::kernels::moments::Moments;
use crate::kernels::update::Rule;
use crate::lanes::Lanes;
use crate::train::param::Param;
use crate::train::{Context, Crossovers, LayerPath};
use crate::train::{Path, Tensor};
use secateur_graph::{Graph, Op, Role};

/// How much higher the crossover of a graph's convolution is than that of LeNet's, on which crossovers are measured: a little
/// below what the layers of ResNet-20 show. Its way back over all weights takes two passes, that over the kept ones one.
const CONV_CROSSOVER: f64 = 1.5;

/// A step in training.
#[derive(Debug)]
pub(super) struct Step {
    pub planned: Planned,
    pub work: Work,
}

#[derive(Debug)]
pub(super) enum Work {
    Conv(Box<Conv>),
    Pointwise(Box<Pointwise>),
    Pooling(Pooling),
    /// One for each input.
    Copies(Vec<Copy>),
    Other(Box<Other>),
}

/// What all steps work with in one direction.
pub(super) struct Run<'a> {
    pub at: Context<'a>,
    pub slots: &'a [Slot],
    /// By slot.
    pub values: &'a [Vec<Lanes>],
    pub scratch: &'a mut [Scratch],
    pub images: usize,
    /// By slot the moments of its channels, `[block][channel]`, where its step has gathered them.
    pub moments: &'a mut [Vec<Moments>],
    /// By slot the sums of its gradient before the activation, `[block][channel]`, where a step has gone back so far.
    pub sums: &'a mut [Option<Vec<[f64; 2]>>],
}

impl<'a> Run<'a> {
    fn read(&self, slot: usize) -> Read<'a> {
        Read { layout: self.slots[slot].values, values: &self.values[slot] }
    }
}

impl Step {
    /// The step with its parameters, each in the state that `state` gives for its name.
    pub(super) fn new<'s>(
        graph: &Graph,
        plan: &Plan,
        planned: &Planned,
        state: &impl Fn(&str) -> Tensor<'s>,
        update: &Update,
        crossovers: &Crossovers,
    ) -> Self {
        let tensor = |node: usize, role: Role| {
            let name = format!("{}.{}", graph.nodes()[node].name, role.field());
            let total = graph.parameter(&name).expect("the node has this parameter").len();
            let found = state(&name);
            assert!(found.has(total), "`{name}` has the network's shape");
            (found, total)
        };
        let dense = |node: usize, role: Role| {
            let (tensor, total) = tensor(node, role);
            Stored::dense(&tensor, total, update.held(false))
        };
        let slots = |input: &usize| (&plan.slots[*input], &plan.slots[planned.output]);
        let (x, y) = slots(&planned.inputs[0]);
        let work = match planned.kind {
            Kind::Conv { has_bias, is_linear, .. } => {
                let geometry = plan.geometry(planned).expect("it is a convolution");
                let (weight, total) = tensor(planned.node, Role::Weight);
                let crossover = if is_linear { crossovers.linear } else { CONV_CROSSOVER * crossovers.conv };
                let density = weight.values.len() as f64 / total as f64;
                let weight = if density < crossover {
                    Stored::sparse(&weight, total, update.held(true))
                } else {
                    Stored::dense(&weight, total, update.held(true))
                };
                let bias = has_bias.then(|| dense(planned.node, Role::Bias));
                Work::Conv(Box::new(Conv::new(geometry, weight, bias)))
            }
            Kind::Pointwise { norm, activation } => {
                let norm = norm.map(|node| {
                    let Op::BatchNorm(options) = graph.nodes()[node].op else {
                        unreachable!("a normalisation's node is one")
                    };
                    let buffer = |role: Role| {
                        let (tensor, total) = tensor(node, role);
                        (0..total).map(|index| tensor.at(index).map_or(0.0, |own| own.0)).collect()
                    };
                    let running = [buffer(Role::Mean), buffer(Role::Variance)];
                    Norm::new(options, dense(node, Role::Scale), dense(node, Role::Shift), running)
                });
                Work::Pointwise(Box::new(Pointwise::new(norm, activation)))
            }
            Kind::Pool(pool) => Work::Pooling(Pooling::new(pool, [&x.values, &y.values], [&x.gradient, &y.gradient])),
            Kind::GlobalAveragePool => {
                Work::Pooling(Pooling::global([&x.values, &y.values], [&x.gradient, &y.gradient]))
            }
            Kind::GlobalMaxPool | Kind::Vector => unreachable!("these are passes of inference"),
            Kind::Copy => {
                let indices = indices(graph, &graph.nodes()[planned.node]);
                let copies = planned.inputs.iter().zip(indices).map(|(input, indices)| {
                    let (x, y) = slots(input);
                    Copy::new([&x.values, &y.values], [&x.gradient, &y.gradient], &indices)
                });
                Work::Copies(copies.collect())
            }
            Kind::Other => {
                let inputs: Vec<&Slot> = planned.inputs.iter().map(|input| slots(input).0).collect();
                let stored = |role: Role| dense(planned.node, role);
                Work::Other(Box::new(Other::new(graph, planned.node, &inputs, y, stored)))
            }
        };
        Self { planned: planned.clone(), work }
    }

    /// What a convolution reads; `before` are the steps before it.
    fn input<'a>(planned: &Planned, run: &Run<'a>, before: &'a [Step]) -> Input<'a> {
        let Some(source) = planned.source.map(|place| &before[place]) else {
            return Input::Stored(&run.values[planned.inputs[0]]);
        };
        let Work::Pointwise(own) = &source.work else { unreachable!("only such a pass is worked out again") };
        Input::Computed(own, run.read(source.planned.inputs[0]))
    }

    /// What the gradient of the output before the activation follows from.
    fn reads<'a>(planned: &Planned, run: &Run<'a>) -> Reads<'a> {
        let x = run.read(planned.inputs[0]);
        let other = planned.inputs.get(1).map(|slot| run.read(*slot));
        // Without an addition the way back does not read the output.
        let y = if planned.is_lazy { x } else { run.read(planned.output) };
        Reads { x, other, y }
    }

    /// Writes the output, if it is kept; with the batch's statistics in training. `before` are the steps before it.
    pub(super) fn forward(&mut self, run: &mut Run<'_>, before: &[Step], training: bool, y: &mut [Lanes]) {
        let inputs = &self.planned.inputs;
        let x = run.read(inputs[0]);
        let y = Write { layout: run.slots[self.planned.output].values, values: y, adds: false };
        match &mut self.work {
            Work::Conv(own) => {
                let images = (training && self.planned.gathers).then_some(run.images);
                let output = self.planned.output;
                let input = Self::input(&self.planned, run, before);
                run.moments[output] = own.forward(&run.at, run.scratch, input, y.values, images);
            }
            Work::Pointwise(own) => {
                let other = inputs.get(1).map(|slot| run.read(*slot));
                let gathered = &mut run.moments[inputs[0]];
                if training && own.norm.is_some() && gathered.is_empty() {
                    *gathered = moments(&run.at, run.images, x);
                }
                own.prepare(training.then_some(gathered.as_slice()), x.layout.channels);
                if !self.planned.is_lazy {
                    own.forward(&run.at, x, other, y);
                }
            }
            Work::Pooling(own) => own.forward(&run.at, x, y),
            Work::Copies(copies) => {
                for (copy, input) in copies.iter().zip(inputs) {
                    let y = Write { layout: y.layout, values: &mut *y.values, adds: false };
                    copy.forward(&run.at, run.read(*input), y);
                }
            }
            Work::Other(own) => {
                own.forward(&run.at, run.images, x, inputs.get(1).map(|slot| run.read(*slot)), y);
            }
        }
    }

    /// Writes the gradients of the inputs, and moves the parameters along theirs. `before` are the steps before it, and
    /// `after` those behind it.
    pub(super) fn backward(
        &mut self,
        run: &mut Run<'_>,
        [before, after]: [&[Step]; 2],
        rule: &Rule,
        gradients: &mut Gradients<'_>,
    ) {
        let Planned { inputs, gradients: ways, output, .. } = &self.planned;
        let behind = self.planned.source_back.map(|place| &after[place - before.len() - 1]);
        let from = behind.map_or(*output, |step| step.planned.output);
        let x = run.read(inputs[0]);
        let mut dy_buffer = gradients.take(from);
        let dy = gradients.read(from, &dy_buffer);
        match &mut self.work {
            Work::Conv(own) => {
                let input = Self::input(&self.planned, run, before);
                let dy = match behind.map(|step| &step.work) {
                    Some(Work::Pointwise(pass)) => Input::Gradient(pass, [run.read(*output), dy], run.images),
                    Some(_) | None => Input::Stored(dy.values),
                };
                let reduced = self.planned.reduces.map(|place| &before[place]);
                let reduction = reduced.and_then(|step| match &step.work {
                    Work::Pointwise(pass) => Some(Reduction { pass, reads: Self::reads(&step.planned, run) }),
                    Work::Conv(_) | Work::Pooling(_) | Work::Copies(_) | Work::Other(_) => None,
                });
                let sums = gradients.write(inputs[0], ways[0], |dx| {
                    own.backward(&run.at, run.scratch, rule, [input, dy], dx, reduction)
                });
                if let Some(step) = reduced {
                    run.sums[step.planned.output] = Some(sums);
                }
            }
            Work::Pointwise(own) => {
                if own.reduces() {
                    let (layout, len) = (dy.layout, dy.values.len());
                    let sums = run.sums[*output].take().unwrap_or_else(|| {
                        let dy = Write { layout, values: &mut dy_buffer[..len], adds: false };
                        own.reduce(&run.at, Self::reads(&self.planned, run), dy)
                    });
                    own.update(&run.at, rule, &sums);
                }
                let dy = gradients.read(from, &dy_buffer);
                for (which, (input, way)) in inputs.iter().zip(ways).enumerate().rev() {
                    gradients.write(*input, *way, |dx| match (dx, which) {
                        (Some(dx), 0) => own.backward(&run.at, run.images, [x, dy], dx),
                        (Some(dx), _) => hand_on(&run.at, dy, dx),
                        (None, _) => {}
                    });
                }
            }
            Work::Pooling(own) => gradients.write(inputs[0], ways[0], |dx| {
                if let Some(dx) = dx {
                    own.backward(&run.at, [x, run.read(*output), dy], dx);
                }
            }),
            Work::Other(own) if let [first, second] = inputs[..] => {
                for (which, (input, way)) in inputs.iter().zip(ways).enumerate().rev() {
                    let other = run.read(if which == 0 { second } else { first });
                    gradients.write(*input, *way, |dx| {
                        if let Some(dx) = dx {
                            own.multiply_back(&run.at, which, [dy, other], dx);
                        }
                    });
                }
            }
            Work::Other(own) => {
                let reads = [x, run.read(*output), dy];
                gradients.write(inputs[0], ways[0], |dx| own.backward(&run.at, rule, run.images, reads, dx));
            }
            Work::Copies(copies) => {
                for ((copy, input), way) in copies.iter().zip(inputs).zip(ways).rev() {
                    gradients.write(*input, *way, |dx| {
                        if let Some(dx) = dx {
                            copy.backward(&run.at, dy, dx);
                        }
                    });
                }
            }
        }
        gradients.put(from, dy_buffer);
    }

    /// Its parameters, if it is computed on the way back.
    pub(super) fn params(&mut self) -> impl Iterator<Item = &mut Param> {
        let goes_back = self.planned.goes_back;
        let params = match &mut self.work {
            Work::Conv(own) => [Some(&mut own.weight), own.bias.as_mut()],
            Work::Pointwise(own) => match &mut own.norm {
                Some(norm) => [Some(&mut norm.scale), Some(&mut norm.shift)],
                None => [None, None],
            },
            Work::Other(own) => own.parameters(),
            Work::Pooling(_) | Work::Copies(_) => [None, None],
        };
        params.into_iter().flatten().filter(move |_| goes_back).map(Stored::param)
    }

    /// Its parameter of this role; a buffer as it is.
    pub(super) fn parameter(&self, role: Role) -> Option<Result<&Stored, &[f32]>> {
        match (&self.work, role) {
            (Work::Conv(own), Role::Weight) => Some(Ok(&own.weight)),
            (Work::Conv(own), Role::Bias) => own.bias.as_ref().map(Ok),
            (Work::Pointwise(own), _) => own.norm.as_ref().and_then(|norm| match role {
                Role::Scale => Some(Ok(&norm.scale)),
                Role::Shift => Some(Ok(&norm.shift)),
                Role::Mean => Some(Err(norm.running[0].as_slice())),
                Role::Variance => Some(Err(norm.running[1].as_slice())),
                Role::Weight | Role::Bias | Role::Table => None,
            }),
            (Work::Other(own), _) => own.parameter(role).map(Ok),
            (Work::Conv(_) | Work::Pooling(_) | Work::Copies(_), _) => None,
        }
    }

    /// How it computes, if it is a convolution or a fully connected layer.
    pub(super) fn path(&self, graph: &Graph) -> Option<LayerPath> {
        let Work::Conv(own) = &self.work else { return None };
        let node = &graph.nodes()[self.planned.node];
        let units = graph.shape(node.output)[0];
        Some(LayerPath {
            name: node.name.clone(),
            path: if own.is_sparse() { Path::Sparse } else { Path::Dense },
            kept: own.weight.len(),
            total: own.weights(),
            units,
            all_units: units,
        })
    }
}

/// The buffers of the gradients, of which one is taken out while it is written.
pub(super) struct Gradients<'a> {
    pub slots: &'a [Slot],
    pub buffers: &'a mut [Vec<Lanes>],
    pub blocks: usize,
}

impl Gradients<'_> {
    fn place(&self, slot: usize) -> usize {
        self.slots[slot].buffer.expect("a gradient that is wanted has a buffer")
    }

    fn len(&self, slot: usize) -> usize {
        self.blocks * self.slots[slot].gradient.block()
    }

    /// The buffer of a slot's gradient, long enough.
    pub(super) fn take(&mut self, slot: usize) -> Vec<Lanes> {
        let mut own = std::mem::take(&mut self.buffers[self.place(slot)]);
        own.resize(own.len().max(self.len(slot)), Lanes::ZERO);
        own
    }

    pub(super) fn put(&mut self, slot: usize, buffer: Vec<Lanes>) {
        let place = self.place(slot);
        self.buffers[place] = buffer;
    }

    fn read<'b>(&self, slot: usize, buffer: &'b [Lanes]) -> Read<'b> {
        Read { layout: self.slots[slot].gradient, values: &buffer[..self.len(slot)] }
    }

    /// Has the gradient of a slot written, if it is to be.
    fn write<T>(&mut self, slot: usize, way: Way, f: impl FnOnce(Option<Write<'_>>) -> T) -> T {
        if !matches!(way, Way::Writes | Way::Adds) {
            return f(None);
        }
        let (layout, len) = (self.slots[slot].gradient, self.len(slot));
        let mut buffer = self.take(slot);
        let found = f(Some(Write { layout, values: &mut buffer[..len], adds: way == Way::Adds }));
        self.put(slot, buffer);
        found
    }
}
