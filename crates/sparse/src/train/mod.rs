//! Training without burn: forward, backward and update on the CPU, of a sequential network ([`Trainer`]) or of any graph
//! ([`GraphTrainer`]).
//!
//! A [`Trainer`] holds a network in the form that computes fastest: a layer either has all of its weights, or only the
//! kept ones, and a unit that the masks have cut off is not computed at all (`units.rs` says when, and what becomes of what
//! belongs to it). What it was made from and what it gives back ([`Trainer::export`]) are plain tensors in the original
//! network's coordinates, so nothing outside depends on the form.
//!
//! The sum behind every number has a fixed order, whatever the number of threads.

mod conv;
mod crossover;
pub(crate) mod graph;
mod kept;
mod layer;
mod linear;
mod loss;
mod origin;
mod param;
mod places;
mod sparse_conv;
mod sparse_linear;
mod spec;
mod units;

pub use crossover::Crossovers;
pub use graph::{GraphTrainer, StepTime};
pub use kept::Kept;
pub use layer::{Path, Tensor, TensorMut};
pub use spec::{Unsupported, is_trainable_chain};

use crate::kernels::conv_backward::Lists;
use crate::kernels::update::Rule;
use crate::lanes::{LANES, Lanes};
use crate::pool::Pool;
use crate::{InstructionSet, Network, Update};
use layer::Layer;
use spec::Spec;
use std::time::{Duration, Instant};
use units::Units;

/// How a [`Trainer`] computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Threads, the caller's own included.
    pub threads: usize,
    /// Instructions.
    pub instruction_set: InstructionSet,
    /// Which form a layer takes.
    pub crossovers: Crossovers,
    /// Whether units that the masks have cut off are left out.
    pub compact: bool,
}

impl Default for Options {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let instruction_set = InstructionSet::best();
        Self { threads, instruction_set, crossovers: Crossovers::table(instruction_set), compact: true }
    }
}

/// The state of one layer: its weight (`[outputs, inputs, kernel, kernel]` or `[outputs, inputs]`) and its bias.
#[derive(Clone, Copy, Debug)]
pub struct LayerState<'a> {
    /// The weight.
    pub weight: Tensor<'a>,
    /// The bias, `[outputs]`.
    pub bias: Tensor<'a>,
}

/// Images, one slice each, `[channels, height, width]`.
#[derive(Clone, Copy, Debug)]
pub enum Images<'a> {
    /// As bytes.
    Bytes {
        /// The images.
        rows: &'a [&'a [u8]],
        /// The value of a byte, for each channel.
        tables: &'a [[f32; 256]],
    },
    /// As the network takes them.
    Floats {
        /// The images.
        rows: &'a [&'a [f32]],
    },
}

impl Images<'_> {
    fn count(&self) -> usize {
        match self {
            Self::Bytes { rows, .. } => rows.len(),
            Self::Floats { rows } => rows.len(),
        }
    }
}

/// What the layers need to compute.
struct Context<'a> {
    pool: &'a Pool,
    set: InstructionSet,
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

/// A network in training.
#[derive(Debug)]
pub struct Trainer {
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

impl Trainer {
    /// A trainer for a network of this shape in this state, one entry a layer that has parameters; `time` is the number
    /// of updates that the optimizer has made. The network's own weights are not read.
    ///
    /// # Errors
    /// When the network has a layer, or an order of layers, that this room cannot compute.
    ///
    /// # Panics
    /// When a state's lengths are not those of the network, or the system does not give as many threads.
    pub fn new(
        network: &Network,
        states: &[LayerState<'_>],
        update: impl Into<Update>,
        time: u64,
        options: Options,
    ) -> Result<Self, Unsupported> {
        let pool = Pool::new(options.threads).expect("the system gives threads");
        let mut scratch = vec![];
        scratch.resize_with(pool.threads(), Scratch::default);
        let (layers, activations, gradients) = (vec![], vec![], [vec![], vec![]]);
        let update = update.into();
        let mut own = Self { options, pool, update, time, layers, activations, gradients, images: 0, scratch };
        own.set(network, states, time)?;
        Ok(own)
    }

    /// Takes another state over, as [`Self::new`] does; what it held is given back before anything is built.
    ///
    /// # Errors
    /// As of [`Self::new`]; then nothing has changed.
    ///
    /// # Panics
    /// When a state's lengths are not those of the network.
    pub fn set(&mut self, network: &Network, states: &[LayerState<'_>], time: u64) -> Result<(), Unsupported> {
        let specs = Spec::of(network)?;
        assert_eq!(states.len(), specs.len(), "there is one state for each layer that has parameters");
        for (spec, state) in specs.iter().zip(states) {
            assert!(state.weight.has(spec.weights()), "`{}.weight` has the network's shape", spec.name);
            assert!(state.bias.has(spec.outputs), "`{}.bias` has the network's shape", spec.name);
        }
        let units = if self.options.compact {
            let keeps = |layer: usize, row: usize, column: usize| {
                let weight = &states[layer].weight;
                weight.keeps(specs[layer].index(row, column))
            };
            Units::computed(&specs, keeps, |layer, row| states[layer].bias.keeps(row))
        } else {
            specs.iter().map(Units::all).collect()
        };
        self.layers.clear();
        self.activations = vec![vec![]; specs.len() + 1];
        self.gradients = [vec![], vec![]];
        self.scratch.fill_with(Scratch::default);
        (self.time, self.images) = (time, 0);
        for ((spec, units), state) in specs.into_iter().zip(units).zip(states) {
            self.layers.push(Layer::new(spec, units, state, &self.update, self.options));
        }
        Ok(())
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

    /// A step with a clock at each layer, for benchmarks: the time of forward and of backward, input first.
    ///
    /// # Panics
    /// As [`Self::forward`] and [`Self::backward`].
    pub fn timed_step(&mut self, images: Images<'_>, labels: &[u16], lr: f64) -> Vec<[Duration; 2]> {
        let mut times = vec![[Duration::ZERO; 2]; self.layers.len()];
        let mut began = Instant::now();
        let mut lap = || std::mem::replace(&mut began, Instant::now()).elapsed();
        // What stands before the first layer is its own, and so is the loss the last one's.
        self.walk(images, true, |layer| times[layer][0] = lap());
        self.back(labels, lr, |layer| times[layer][1] = lap());
        times
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
    pub fn backward(&mut self, labels: &[u16], lr: f64) {
        self.back(labels, lr, |_| {});
    }

    fn back(&mut self, labels: &[u16], lr: f64, mut done: impl FnMut(usize)) {
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

    /// Writes the state of the `place`-th layer that has parameters into buffers, which start as zeros.
    ///
    /// # Panics
    /// When there is no such layer, or a buffer is shorter than what is wanted.
    pub fn export(&self, place: usize, weight: TensorMut<'_>, bias: TensorMut<'_>) {
        self.layers[place].export(weight, bias);
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

/// How a layer computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerPath {
    /// Name of the layer.
    pub name: String,
    /// Its form.
    pub path: Path,
    /// Weights that it trains on: all between the units that it computes, or the kept ones of them.
    pub kept: usize,
    /// Weights of the original layer.
    pub total: usize,
    /// Filters or neurons that are computed.
    pub units: usize,
    /// Filters or neurons of the original layer.
    pub all_units: usize,
}
