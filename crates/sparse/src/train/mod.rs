//! Training without burn: forward, backward and update of a graph on the CPU.
//!
//! A [`Trainer`] holds a network in the form that computes fastest: chains of LeNet's kind as a [`ChainTrainer`], any other
//! graph as a [`GraphTrainer`]. In both a layer either has all of its weights, or only the kept ones. What it was made from and
//! what it gives back ([`Trainer::export`]) are plain tensors in the original network's coordinates, by name, so nothing outside
//! depends on the form.
//!
//! The sum behind every number has a fixed order, whatever the number of threads.

mod chain;
mod crossover;
pub(crate) mod graph;
mod kept;
mod loss;
mod param;
mod tensor;

pub use chain::ChainTrainer;
pub use crossover::Crossovers;
pub use graph::GraphTrainer;
pub use kept::Kept;
pub use tensor::{Tensor, TensorMut};

use crate::lanes::{LANES, Lanes};
use crate::pool::Pool;
use crate::{InstructionSet, Unsupported, Update};
use secateur_graph::Graph;
use std::time::Duration;

/// A network in training.
#[derive(Debug)]
pub enum Trainer {
    /// A chain of convolutions with their max-pool and of fully connected layers.
    Chain(Box<ChainTrainer>),
    /// Any other graph.
    Graph(Box<GraphTrainer>),
}

impl Trainer {
    /// Checks that a graph can be trained, without any weights.
    ///
    /// # Errors
    /// The first node that cannot, or whose values do not fit the kernels' 32-bit offsets.
    pub fn supports(graph: &Graph) -> Result<(), Unsupported> {
        if ChainTrainer::supports(graph) { Ok(()) } else { GraphTrainer::supports(graph) }
    }

    /// Bytes of the values and gradients that a trainer of this graph keeps for a step over so many images, beside its weights.
    ///
    /// # Errors
    /// As of [`Self::supports`].
    pub fn bytes(graph: &Graph, images: usize) -> Result<u64, Unsupported> {
        let of_block = match ChainTrainer::vectors(graph) {
            Some(vectors) => vectors,
            None => GraphTrainer::vectors(graph)?,
        };
        Ok((images.div_ceil(LANES) as u64).saturating_mul((of_block * size_of::<Lanes>()) as u64))
    }

    /// A trainer for a graph, whose parameters and buffers are in the state that `state` gives for their names; `time` is
    /// the number of updates that the optimizer has made. Which values are kept is read of parameters only.
    ///
    /// # Errors
    /// As of [`Self::supports`].
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
        let update = update.into();
        Ok(match ChainTrainer::new(graph, &state, update, time, options) {
            Some(own) => Self::Chain(Box::new(own)),
            None => Self::Graph(Box::new(GraphTrainer::new(graph, state, update, time, options)?)),
        })
    }

    /// Takes another state over, as [`Self::new`] does; what it held is given back before anything is built.
    ///
    /// # Panics
    /// When a state's length is not that of the parameter.
    pub fn set<'s>(&mut self, state: impl Fn(&str) -> Tensor<'s>, time: u64) {
        match self {
            Self::Chain(own) => own.set(state, time),
            Self::Graph(own) => own.set(state, time),
        }
    }

    /// Logits `[image][class]` of a batch, with its statistics; a call of [`Self::backward`] may follow.
    ///
    /// # Panics
    /// When an image has another size than the network's input, or there is not one table for each channel.
    pub fn forward(&mut self, images: Images<'_>) -> Vec<f32> {
        match self {
            Self::Chain(own) => own.forward(images),
            Self::Graph(own) => own.forward(images),
        }
    }

    /// Logits `[image][class]` of images, with the running statistics.
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn predict(&mut self, images: Images<'_>) -> Vec<f32> {
        match self {
            Self::Chain(own) => own.predict(images),
            Self::Graph(own) => own.predict(images),
        }
    }

    /// Moves the running statistics to the mean of those of some batches, of which this is the `number`-th, from 0, and
    /// nothing else. A chain has none.
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn recalibrate(&mut self, images: Images<'_>, number: usize) {
        match self {
            Self::Chain(_) => {}
            Self::Graph(own) => own.recalibrate(images, number),
        }
    }

    /// Goes back from the mean cross-entropy, with smoothed labels where it is asked for, of the last [`Self::forward`]'s
    /// logits, which is finite; updates every parameter that they depend on, and moves the running statistics. After a batch
    /// without images nothing changes, and no update is counted. `teacher` are the logits of another network for the same images,
    /// which count as [`Update::distillation`] says, or none.
    ///
    /// # Panics
    /// When there are not as many labels as there were images, or one names no class; when there are other than no logits of a teacher
    /// or as many.
    pub fn backward(&mut self, labels: &[u16], teacher: &[f32], lr: f64) {
        match self {
            Self::Chain(own) => own.backward(labels, teacher, lr),
            Self::Graph(own) => {
                own.backward(labels, teacher, lr);
            }
        }
    }

    /// Writes the state of the parameter or the buffer of this name into a tensor of zeros.
    ///
    /// # Panics
    /// When the graph has no such parameter, or the tensor is shorter than what is wanted.
    pub fn export(&self, name: &str, tensor: TensorMut<'_>) {
        match self {
            Self::Chain(own) => own.export(name, tensor),
            Self::Graph(own) => own.export(name, tensor),
        }
    }

    /// Updates so far.
    pub fn time(&self) -> u64 {
        match self {
            Self::Chain(own) => own.time(),
            Self::Graph(own) => own.time(),
        }
    }

    /// How each convolution and each fully connected layer computes, input first.
    pub fn paths(&self) -> Vec<LayerPath> {
        match self {
            Self::Chain(own) => own.paths(),
            Self::Graph(own) => own.paths(),
        }
    }
}

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

/// The time that a step took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTime {
    /// The first node that it computes.
    pub node: String,
    /// Forward and backward.
    pub times: [Duration; 2],
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

/// The form of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// It has all of its weights.
    Dense,
    /// It has the kept ones only.
    Sparse,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Optimizer;
    use secateur_graph::{Activation, BatchNorm, Conv2d, Linear, Op, Pool};

    /// A chain and another graph.
    fn graphs() -> [Graph; 2] {
        let relu = || Op::Activation(Activation::Relu);
        let chain = [
            ("conv", Op::Conv2d(Conv2d::new(5, 3))),
            ("relu", relu()),
            ("pool", Op::Pool(Pool::max(2))),
            ("flat", Op::Flatten),
            ("fc", Op::Linear(Linear::new(3))),
        ];
        let graph = [
            ("conv1", Op::Conv2d(Conv2d::new(5, 3).padding(1))),
            ("norm", Op::BatchNorm(BatchNorm::default())),
            ("relu", relu()),
            ("conv2", Op::Conv2d(Conv2d::new(4, 3).padding(1).stride(2))),
            ("mean", Op::GlobalAveragePool),
            ("flat", Op::Flatten),
            ("fc", Op::Linear(Linear::new(3))),
        ];
        [chain.to_vec(), graph.to_vec()].map(|ops| Graph::sequential(&[2, 12, 14], ops).expect("fits"))
    }

    fn trainer(graph: &Graph, update: impl Into<Update>) -> Trainer {
        let values: Vec<f32> = (0..graph.parameters().iter().map(|own| own.len()).max().unwrap_or(0))
            .map(|place| ((place * 7 % 11) as f32 + 1.0) / 20.0)
            .collect();
        let tensor = |name: &str| {
            let own = graph.parameter(name).expect("a parameter");
            Tensor { values: &values[..own.len()], moments: [&[], &[]], kept: None }
        };
        let options = Options { threads: 1, ..Options::default() };
        Trainer::new(graph, tensor, update, 0, options).expect("small")
    }

    #[test]
    fn a_step_keeps_as_many_bytes_as_is_said() {
        for graph in graphs() {
            let mut trainer = trainer(&graph, Optimizer::default());
            let images = vec![0.5; 37 * 2 * 12 * 14];
            let rows: Vec<&[f32]> = images.chunks(2 * 12 * 14).collect();
            trainer.forward(Images::Floats { rows: &rows });
            trainer.backward(&[1; 37], &[], 0.1);
            let vectors = match &trainer {
                Trainer::Chain(own) => own.kept_vectors(),
                Trainer::Graph(own) => own.kept_vectors(),
            };
            assert_eq!(Trainer::bytes(&graph, 37).expect("small"), (vectors * size_of::<Lanes>()) as u64);
        }
    }

    #[test]
    fn features_that_are_bytes_share_a_table() {
        let norm = Op::LayerNorm(secateur_graph::LayerNorm { axes: vec![0], epsilon: 1e-5 });
        let graph = Graph::sequential(&[7], [("norm", norm), ("fc", Op::Linear(Linear::new(3)))]).expect("fits");
        let mut trainer = trainer(&graph, Optimizer::default());
        assert!(matches!(trainer, Trainer::Graph(_)));
        let bytes: Vec<u8> = (0..19 * 7).map(|place| (place * 13 % 251) as u8).collect();
        let table: [f32; 256] = std::array::from_fn(|byte| byte as f32 / 51.0 - 2.0);
        let floats: Vec<f32> = bytes.iter().map(|byte| table[usize::from(*byte)]).collect();
        let rows: Vec<&[f32]> = floats.chunks(7).collect();
        let expected = trainer.predict(Images::Floats { rows: &rows });
        let rows: Vec<&[u8]> = bytes.chunks(7).collect();
        assert_eq!(trainer.predict(Images::Bytes { rows: &rows, tables: &[table] }), expected);
    }

    #[test]
    fn a_teacher_that_is_sure_teaches_what_labels_do() {
        let plain = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        let images: Vec<f32> = (0..19 * 2 * 12 * 14).map(|place| ((place * 13 % 29) as f32 - 14.0) / 15.0).collect();
        let rows: Vec<&[f32]> = images.chunks(2 * 12 * 14).collect();
        let labels: Vec<u16> = (0..19).map(|image| image % 3).collect();
        let sure: Vec<f32> =
            labels.iter().flat_map(|label| [0, 1, 2].map(|class| if class == *label { 90.0 } else { 0.0 })).collect();
        let unsure = vec![0.0; sure.len()];
        for graph in graphs() {
            let learnt = |weight: f32, labels: &[u16], teacher: &[f32]| -> Vec<f32> {
                let distillation = crate::Distillation { temperature: 1.0, weight };
                let mut trainer = trainer(&graph, Update { distillation, ..plain.into() });
                trainer.forward(Images::Floats { rows: &rows });
                trainer.backward(labels, teacher, 0.1);
                let mut all = vec![];
                for own in graph.parameters() {
                    let mut values = vec![0.0; own.len()];
                    trainer
                        .export(&own.name, TensorMut { values: &mut values, moments: [&mut [], &mut []], kept: None });
                    all.extend(values);
                }
                all
            };
            let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
            let by_labels = learnt(1.0, &labels, &[]);
            assert!(close(&learnt(1.0, &[0; 19], &sure), &by_labels), "the labels do not count");
            assert!(!close(&learnt(1.0, &labels, &unsure), &by_labels));
            assert!(close(&learnt(0.0, &labels, &unsure), &by_labels), "the teacher does not count");
        }
    }
}
