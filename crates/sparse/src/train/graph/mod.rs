//! Training of any graph: forward, backward and update on the CPU.
//!
//! The graph is planned first (`plan/`): a convolution or a fully connected layer is a step, batch normalisation with the
//! addition and the activation behind it is one, too, and every value lies in memory with the margins of zeros that the
//! convolutions behind it read. Then a step is one or two passes over blocks of sixteen images. All convolutions, whatever
//! their window, stride, dilation and groups, forward and back, dense and sparse, are lists of offsets for two kernels:
//! sums of weights times vectors (`kernels/tiles.rs`), and the gradients of these weights (`kernels/tile_gradients.rs`).
//! Dense 3x3 convolutions with stride 1 take fewer products by Winograd's tiles (`kernels/winograd.rs`), which use the same
//! two. A normalised value that only a convolution reads is not kept, but worked out again where it is read, and so is the
//! gradient between a convolution and its normalisation. The sums that a normalisation needs are taken where the values and
//! the gradients are written.
//!
//! The sum behind every number has a fixed order, whatever the number of threads.

pub(crate) mod conv;
pub(crate) mod copy;
mod ends;
pub(crate) mod geometry;
pub(crate) mod layout;
pub(crate) mod lists;
mod norm;
mod other;
mod pieces;
pub(crate) mod plan;
pub(crate) mod pointwise;
pub(crate) mod pooling;
mod step;
mod stored;

use super::{Context, Images, LayerPath, Options, StepTime, Tensor, TensorMut};
use crate::lanes::{LANES, Lanes};
use crate::pool::Pool;
use crate::train::{loss, param};
use crate::{Unsupported, Update};
use conv::Scratch;
use layout::Layout;
use plan::Plan;
use secateur_graph::Graph;
use std::time::{Duration, Instant};
use step::{Gradients, Run, Step, Work};

/// A graph in training.
///
/// Batch normalisation takes the statistics of the batch in [`forward`](Self::forward), and the running ones in
/// [`predict`](Self::predict).
#[derive(Debug)]
pub struct GraphTrainer {
    graph: Graph,
    plan: Plan,
    options: Options,
    pool: Pool,
    update: Update,
    /// Updates so far.
    time: u64,
    steps: Vec<Step>,
    /// By slot of the plan.
    values: Vec<Vec<Lanes>>,
    /// By buffer of the plan.
    gradients: Vec<Vec<Lanes>>,
    /// Logits of the last forward pass, for the way back.
    logits: Vec<f32>,
    images: usize,
    scratch: Vec<Scratch>,
}

impl GraphTrainer {
    /// Checks that a graph can be trained, without any weights.
    ///
    /// # Errors
    /// The first node that cannot, or whose values do not fit the kernels' 32-bit offsets.
    pub fn supports(graph: &Graph) -> Result<(), Unsupported> {
        Plan::new(graph).map(drop)
    }

    /// Vectors that a step keeps for each block of images.
    ///
    /// # Errors
    /// As of [`Self::supports`].
    pub(super) fn vectors(graph: &Graph) -> Result<usize, Unsupported> {
        let plan = Plan::new(graph)?;
        let kept = plan.steps.iter().filter(|own| !own.is_lazy).map(|own| plan.slots[own.output].values.block());
        let gradients = plan.buffers.iter().map(Layout::block);
        Ok(plan.slots[0].values.block() + kept.sum::<usize>() + gradients.sum::<usize>())
    }

    /// A trainer for a graph, whose parameters and buffers are in the state that `state` gives for their names; `time` is
    /// the number of updates that the optimizer has made. Which values are kept is read of parameters only.
    ///
    /// # Errors
    /// The first node whose values do not fit the kernels' 32-bit offsets.
    ///
    /// # Panics
    /// When a state's length is not that of the parameter, or the system does not give as many threads.
    pub fn new<'s>(
        graph: &Graph,
        state: impl Fn(&str) -> Tensor<'s>,
        update: impl Into<Update>,
        time: u64,
        options: Options,
    ) -> Result<Self, Unsupported> {
        let plan = Plan::new(graph)?;
        let pool = Pool::new(options.threads).expect("the system gives threads");
        let mut scratch = vec![];
        scratch.resize_with(pool.threads(), Scratch::default);
        let values = vec![vec![]; plan.slots.len()];
        let gradients = vec![vec![]; plan.buffers.len()];
        let (graph, steps, logits) = (graph.clone(), vec![], vec![]);
        let update = update.into();
        let mut own =
            Self { graph, plan, options, pool, update, time, steps, values, gradients, logits, images: 0, scratch };
        own.set(state, time);
        Ok(own)
    }

    /// Takes another state over, as [`Self::new`] does.
    ///
    /// # Panics
    /// When a state's length is not that of the parameter.
    pub fn set<'s>(&mut self, state: impl Fn(&str) -> Tensor<'s>, time: u64) {
        // What it held is given back before anything is built.
        self.steps.clear();
        let Self { graph, plan, update, options, .. } = self;
        let step = |own| Step::new(graph, plan, own, &state, update, &options.crossovers);
        self.steps = plan.steps.iter().map(step).collect();
        (self.time, self.images) = (time, 0);
    }

    /// Logits `[image][class]` of a batch, with its statistics; a call of [`Self::backward`] may follow.
    ///
    /// # Panics
    /// When an image has another size than the network's input, or there is not one table for each channel.
    pub fn forward(&mut self, images: Images<'_>) -> Vec<f32> {
        self.images = images.count();
        self.logits = self.walk(images, true, |_| {});
        self.logits.clone()
    }

    /// Logits `[image][class]` of images, with the running statistics.
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn predict(&mut self, images: Images<'_>) -> Vec<f32> {
        self.images = 0;
        self.walk(images, false, |_| {})
    }

    /// `done` is told of each step that is computed.
    fn walk(&mut self, images: Images<'_>, training: bool, mut done: impl FnMut(usize)) -> Vec<f32> {
        let (count, slots) = (images.count(), &self.plan.slots);
        if count == 0 {
            return vec![];
        }
        let blocks = count.div_ceil(LANES);
        let at = || Context { pool: &self.pool, set: self.options.instruction_set };
        self.values[0].resize(blocks * slots[0].values.block(), Lanes::ZERO);
        ends::read(&at(), images, &slots[0].values, &mut self.values[0]);
        let mut moments = vec![vec![]; slots.len()];
        for place in 0..self.steps.len() {
            let (before, rest) = self.steps.split_at_mut(place);
            let step = &mut rest[0];
            let output = step.planned.output;
            let mut y = std::mem::take(&mut self.values[output]);
            if !step.planned.is_lazy {
                y.resize(blocks * slots[output].values.block(), Lanes::ZERO);
            }
            let (values, scratch) = (self.values.as_slice(), self.scratch.as_mut_slice());
            let moments = moments.as_mut_slice();
            let mut run = Run { at: at(), slots, values, scratch, images: count, moments, sums: &mut [] };
            step.forward(&mut run, before, training, &mut y);
            self.values[output] = y;
            done(place);
        }
        ends::logits(&self.values[self.plan.output], &slots[self.plan.output].values, count)
    }

    /// Moves the running statistics to the mean of those of some batches, of which this is the `number`-th, from 0, and
    /// nothing else.
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn recalibrate(&mut self, images: Images<'_>, number: usize) {
        if images.count() == 0 {
            return;
        }
        self.images = 0;
        self.walk(images, true, |_| {});
        for step in &mut self.steps {
            if let Work::Pointwise(own) = &mut step.work {
                own.norm.iter_mut().for_each(|norm| norm.track(1.0 / (number + 1) as f64));
            }
        }
    }

    /// Goes back from the mean cross-entropy of the last [`Self::forward`]'s logits, updates every parameter that they
    /// depend on, and moves the running statistics. Gives the loss, without smoothed labels; when it is not finite, as after a batch without images,
    /// nothing changes and no update is counted.
    ///
    /// # Panics
    /// When there are not as many labels as there were images, or one names no class.
    pub fn backward(&mut self, labels: &[u16], teacher: &[f32], lr: f64) -> f64 {
        self.back(labels, teacher, lr, |_| {})
    }

    fn back(&mut self, labels: &[u16], teacher: &[f32], lr: f64, mut done: impl FnMut(usize)) -> f64 {
        assert_eq!(labels.len(), self.images, "there is one label for each image of the forward pass");
        if labels.is_empty() {
            return f64::NAN;
        }
        let (loss, mut gradient) = ends::loss(&self.logits, labels, self.update.label_smoothing);
        if !loss.is_finite() {
            return loss;
        }
        if !teacher.is_empty() {
            loss::mix(self.update.distillation, &self.logits, teacher, labels.len(), &mut gradient);
        }
        self.time += 1;
        let rule = self.update.optimizer.rule(lr, self.time);
        let (slots, blocks) = (&self.plan.slots, labels.len().div_ceil(LANES));
        let mut gradients = Gradients { slots, buffers: &mut self.gradients, blocks };
        let output = self.plan.output;
        if slots[output].buffer.is_some() {
            let mut own = gradients.take(output);
            ends::write(&gradient, &slots[output].gradient, &mut own);
            gradients.put(output, own);
        }
        let mut sums = vec![None; slots.len()];
        for place in (0..self.steps.len()).rev() {
            let (before, rest) = self.steps.split_at_mut(place);
            let (step, after) = rest.split_first_mut().expect("it is one of the steps");
            if let Work::Pointwise(own) = &mut step.work {
                own.norm.iter_mut().for_each(|norm| norm.track(norm.options.momentum));
            }
            if step.planned.goes_back {
                let at = Context { pool: &self.pool, set: self.options.instruction_set };
                let (values, scratch) = (self.values.as_slice(), self.scratch.as_mut_slice());
                let (moments, sums) = (&mut [], sums.as_mut_slice());
                let mut run = Run { at, slots, values, scratch, images: labels.len(), moments, sums };
                step.backward(&mut run, [before, after], &rule, &mut gradients);
            }
            done(place);
        }
        let at = Context { pool: &self.pool, set: self.options.instruction_set };
        param::settle(&at, &rule, &self.update, self.steps.iter_mut().flat_map(Step::params));
        loss
    }

    /// A step with a clock at each step of the plan, for benchmarks.
    ///
    /// # Panics
    /// As [`Self::forward`] and [`Self::backward`].
    pub fn timed_step(&mut self, images: Images<'_>, labels: &[u16], lr: f64) -> Vec<StepTime> {
        let mut times = vec![[Duration::ZERO; 2]; self.steps.len()];
        let mut began = Instant::now();
        let mut lap = || std::mem::replace(&mut began, Instant::now()).elapsed();
        self.images = images.count();
        // What stands before the first step is its own, and so is the loss the last one's.
        self.logits = self.walk(images, true, |step| times[step][0] = lap());
        self.back(labels, &[], lr, |step| times[step][1] = lap());
        let name = |step: &Step| self.graph.nodes()[step.planned.node].name.clone();
        self.steps.iter().zip(times).map(|(step, times)| StepTime { node: name(step), times }).collect()
    }

    /// Writes the state of the parameter or the buffer of this name into a tensor of zeros.
    ///
    /// # Panics
    /// When the graph has no such parameter, or the tensor is shorter than what is wanted.
    pub fn export(&self, name: &str, mut tensor: TensorMut<'_>) {
        let own = self.graph.parameter(name).unwrap_or_else(|| panic!("the network has no `{name}`"));
        let mut steps = self.steps.iter().filter(|step| step.planned.node == own.node);
        let found = steps.find_map(|step| step.parameter(own.role));
        match found.expect("every parameter belongs to a step") {
            Ok(stored) => stored.export(tensor),
            Err(buffer) => {
                buffer.iter().enumerate().for_each(|(index, value)| tensor.write(index, *value, [0.0; 2]));
            }
        }
    }

    /// Vectors of the values and gradients that it keeps.
    #[cfg(test)]
    pub(super) fn kept_vectors(&self) -> usize {
        self.values.iter().chain(&self.gradients).map(Vec::len).sum()
    }

    /// Updates so far.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// How each convolution and each fully connected layer computes, input first.
    pub fn paths(&self) -> Vec<LayerPath> {
        self.steps.iter().filter_map(|step| step.path(&self.graph)).collect()
    }
}
