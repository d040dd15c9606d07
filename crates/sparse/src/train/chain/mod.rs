//! Training of chains of LeNet's kind: convolutions with relu and max-pool behind them, then fully connected layers.
//!
//! A unit that the masks have cut off is not computed at all (`units.rs` says when, and what becomes of what belongs to it).

mod conv;
mod layer;
mod linear;
mod origin;
mod places;
mod sparse_conv;
mod sparse_linear;
mod spec;
mod units;

use super::loss;
use super::param;
use super::{Context, Images, LayerPath, Options, StepTime, Tensor, TensorMut};
use crate::Update;
use crate::kernels::conv_backward::Lists;
use crate::kernels::update::Rule;
use crate::lanes::{LANES, Lanes};
use crate::pool::Pool;
use layer::Layer;
use secateur_graph::{Graph, Role};
use spec::Spec;
use std::time::{Duration, Instant};
use units::Units;

/// The state of one layer: its weight (`[outputs, inputs, kernel, kernel]` or `[outputs, inputs]`) and its bias, `[outputs]`.
#[derive(Clone, Copy, Debug)]
struct LayerState<'a> {
    weight: Tensor<'a>,
    bias: Tensor<'a>,
}

/// Units of a layer that computes, and of what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    inputs: usize,
    outputs: usize,
}

/// What a layer goes back with.
struct Backward<'a> {
    /// Its inputs, `[block][input]`.
    x: &'a [Lanes],
    /// The gradient of its outputs, `[block][output]`.
    dy: &'a [Lanes],
    /// Where the gradient of its inputs goes, if anyone wants it.
    dx: Option<&'a mut [Lanes]>,
    /// Whether the inputs came out of a relu: then no gradient goes back to those that are zero.
    dx_is_rectified: bool,
    rule: &'a Rule,
    /// One for each thread.
    scratch: &'a mut [Scratch],
}

/// Room that a thread works in, kept from step to step.
#[derive(Debug, Default)]
struct Scratch {
    images: Vec<Lanes>,
    lists: Lists,
}

/// A chain in training.
#[derive(Debug)]
pub struct ChainTrainer {
    graph: Graph,
    specs: Vec<Spec>,
    options: Options,
    pool: Pool,
    update: Update,
    /// Updates so far.
    time: u64,
    layers: Vec<Layer>,
    /// Inputs of each layer and the logits, `[block][feature]`.
    activations: Vec<Vec<Lanes>>,
    gradients: [Vec<Lanes>; 2],
    images: usize,
    scratch: Vec<Scratch>,
}

impl ChainTrainer {
    /// Whether a graph is such a chain: convolutions of stride 1 without padding, each with a relu or not and a max-pool of 2x2
    /// behind it, and fully connected layers, all with a bias.
    pub fn supports(graph: &Graph) -> bool {
        Spec::of(graph).is_some()
    }

    /// Vectors that a step keeps for each block of images; `None` when the graph is no such chain.
    pub(super) fn vectors(graph: &Graph) -> Option<usize> {
        let specs = Spec::of(graph)?;
        let outputs = |own: &Spec| own.outputs * own.positions();
        let most = specs.iter().map(outputs).max().unwrap_or(0);
        // The image, what each layer gives, and two gradients.
        Some(graph.shape(graph.input()).iter().product::<usize>() + specs.iter().map(outputs).sum::<usize>() + 2 * most)
    }

    /// A trainer for a graph, as [`Trainer::new`](super::Trainer::new) makes one; `None` when it is no such chain.
    ///
    /// # Panics
    /// When a state's length is not that of the parameter, or the system does not give as many threads.
    pub fn new<'s>(
        graph: &Graph,
        state: impl Fn(&str) -> Tensor<'s>,
        update: impl Into<Update>,
        time: u64,
        options: Options,
    ) -> Option<Self> {
        let specs = Spec::of(graph)?;
        let pool = Pool::new(options.threads).expect("the system gives threads");
        let mut scratch = vec![];
        scratch.resize_with(pool.threads(), Scratch::default);
        let (layers, activations, gradients) = (vec![], vec![], [vec![], vec![]]);
        let (graph, update) = (graph.clone(), update.into());
        let mut own =
            Self { graph, specs, options, pool, update, time, layers, activations, gradients, images: 0, scratch };
        own.set(state, time);
        Some(own)
    }

    /// Takes another state over, as [`Self::new`] does; what it held is given back before anything is built.
    ///
    /// # Panics
    /// When a state's length is not that of the parameter.
    pub fn set<'s>(&mut self, state: impl Fn(&str) -> Tensor<'s>, time: u64) {
        let Self { specs, options, update, .. } = self;
        let states: Vec<LayerState<'_>> = specs
            .iter()
            .map(|own| {
                let tensor = |field: &str, length: usize| {
                    let name = format!("{}.{field}", own.name);
                    let tensor = state(&name);
                    assert!(tensor.has(length), "`{name}` has the network's shape");
                    tensor
                };
                LayerState { weight: tensor("weight", own.weights()), bias: tensor("bias", own.outputs) }
            })
            .collect();
        let units = if options.compact {
            let keeps = |layer: usize, row: usize, column: usize| {
                let weight = &states[layer].weight;
                weight.keeps(specs[layer].index(row, column))
            };
            Units::computed(specs, keeps, |layer, row| states[layer].bias.keeps(row))
        } else {
            specs.iter().map(Units::all).collect()
        };
        self.layers.clear();
        self.activations = vec![vec![]; specs.len() + 1];
        self.gradients = [vec![], vec![]];
        self.scratch.fill_with(Scratch::default);
        (self.time, self.images) = (time, 0);
        for ((spec, units), state) in specs.iter().zip(units).zip(&states) {
            self.layers.push(Layer::new(spec.clone(), units, state, update, *options));
        }
    }

    /// Logits `[image][class]` of a batch; a call of [`Self::backward`] may follow.
    ///
    /// # Panics
    /// When an image has another size than the network's input, or there is not one table for each channel.
    pub fn forward(&mut self, images: Images<'_>) -> Vec<f32> {
        self.walk(images, true, |_| {})
    }

    /// Logits `[image][class]` of images, without a thought of gradients.
    ///
    /// # Panics
    /// When an image has another size than the network's input.
    pub fn predict(&mut self, images: Images<'_>) -> Vec<f32> {
        self.walk(images, false, |_| {})
    }

    /// A step with a clock at each layer, for benchmarks.
    ///
    /// # Panics
    /// As [`Self::forward`] and [`Self::backward`].
    pub fn timed_step(&mut self, images: Images<'_>, labels: &[u16], lr: f64) -> Vec<StepTime> {
        let mut times = vec![[Duration::ZERO; 2]; self.layers.len()];
        let mut began = Instant::now();
        let mut lap = || std::mem::replace(&mut began, Instant::now()).elapsed();
        // What stands before the first layer is its own, and so is the loss the last one's.
        self.walk(images, true, |layer| times[layer][0] = lap());
        self.back(labels, &[], lr, |layer| times[layer][1] = lap());
        self.specs.iter().zip(times).map(|(own, times)| StepTime { node: own.name.clone(), times }).collect()
    }

    /// `done` is told of each layer that is computed.
    fn walk(&mut self, images: Images<'_>, training: bool, mut done: impl FnMut(usize)) -> Vec<f32> {
        self.images = if training { images.count() } else { 0 };
        let blocks = images.count().div_ceil(LANES);
        let at = Context { pool: &self.pool, set: self.options.instruction_set };
        let input = self.layers.first().map_or(0, Layer::inputs);
        self.activations[0].resize(blocks * input, Lanes::ZERO);
        loss::read(&at, images, input, &mut self.activations[0]);
        for (place, layer) in self.layers.iter_mut().enumerate() {
            let (before, after) = self.activations.split_at_mut(place + 1);
            after[0].resize(blocks * layer.outputs(), Lanes::ZERO);
            layer.forward(&at, &before[place], &mut after[0], training);
            done(place);
        }
        let classes = self.layers.last().map_or(0, Layer::outputs);
        loss::logits(self.activations.last().map_or(&[], Vec::as_slice), classes, images.count())
    }

    /// Goes back from the mean cross-entropy, with smoothed labels where it is asked for, of the last [`Self::forward`]'s logits, and updates every weight. After a
    /// batch without images nothing changes, and no update is counted.
    ///
    /// # Panics
    /// When there are not as many labels as there were images, or one names no class.
    pub fn backward(&mut self, labels: &[u16], teacher: &[f32], lr: f64) {
        self.back(labels, teacher, lr, |_| {});
    }

    fn back(&mut self, labels: &[u16], teacher: &[f32], lr: f64, mut done: impl FnMut(usize)) {
        assert_eq!(labels.len(), self.images, "there is one label for each image of the forward pass");
        if labels.is_empty() {
            return;
        }
        self.time += 1;
        let rule = self.update.optimizer.rule(lr, self.time);
        let at = Context { pool: &self.pool, set: self.options.instruction_set };
        let classes = self.layers.last().map_or(0, Layer::outputs);
        let [dy, dx] = &mut self.gradients;
        // Every layer writes the whole of what it hands on, so what stood there before does not matter.
        let most = self.activations.iter().skip(1).map(Vec::len).max().unwrap_or(0);
        for room in [&mut *dy, &mut *dx] {
            room.resize(most.max(room.len()), Lanes::ZERO);
        }
        loss::gradient(
            self.activations.last().map_or(&[], Vec::as_slice),
            classes,
            labels,
            self.update.label_smoothing,
            dy,
        );
        if !teacher.is_empty() {
            let logits = loss::logits(self.activations.last().map_or(&[], Vec::as_slice), classes, labels.len());
            let mut mixed = loss::logits(dy, classes, labels.len());
            loss::mix(self.update.distillation, &logits, teacher, labels.len(), &mut mixed);
            for (image, own) in mixed.chunks_exact(classes).enumerate() {
                let block = &mut dy[image / LANES * classes..][..classes];
                block.iter_mut().zip(own).for_each(|(lanes, own)| lanes.0[image % LANES] = *own);
            }
        }
        for place in (0..self.layers.len()).rev() {
            let (before, own) = self.layers.split_at_mut(place);
            let x = &self.activations[place];
            let wanted = !before.is_empty();
            let dx_is_rectified = before.last().is_some_and(Layer::leaves_rectifying_to_the_next);
            let step = Backward {
                x,
                dy: &dy[..self.activations[place + 1].len()],
                dx: wanted.then(|| &mut dx[..x.len()]),
                dx_is_rectified,
                rule: &rule,
                scratch: &mut self.scratch,
            };
            own[0].backward(&at, step);
            done(place);
            std::mem::swap(dy, dx);
        }
        param::settle(&at, &rule, &self.update, self.layers.iter_mut().flat_map(Layer::params));
    }

    /// Writes the state of the parameter of this name into a tensor of zeros.
    ///
    /// # Panics
    /// When the graph has no such parameter, or the tensor is shorter than what is wanted.
    pub fn export(&self, name: &str, tensor: TensorMut<'_>) {
        let own = self.graph.parameter(name).unwrap_or_else(|| panic!("the network has no `{name}`"));
        let node = &self.graph.nodes()[own.node].name;
        let place = self.specs.iter().position(|own| own.name == *node).expect("every parameter belongs to a layer");
        self.layers[place].export(own.role == Role::Weight, tensor);
    }

    /// Vectors of the values and gradients that it keeps.
    #[cfg(test)]
    pub(super) fn kept_vectors(&self) -> usize {
        self.activations.iter().chain(&self.gradients).map(Vec::len).sum()
    }

    /// Updates so far.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// How each layer computes, input first.
    pub fn paths(&self) -> Vec<LayerPath> {
        self.layers.iter().map(Layer::path).collect()
    }
}
