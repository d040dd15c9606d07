//! An engine for any trained network: that of chains, or that of all other graphs.

use super::{Engine, Error, Forms, Options, Plan};
use crate::train::{Crossovers, GraphTrainer, Images, Kept, Tensor};
use crate::{Optimizer, Trained};
use secateur_graph::{Graph, Role, Weights};

/// A network that is ready to answer.
#[derive(Debug)]
pub enum AnyEngine {
    /// A chain of layers.
    Chain(Box<Engine>),
    /// Any other graph.
    Graph(Box<OfGraph>),
}

impl AnyEngine {
    /// Compiles a network; a chain's layers are timed in their forms.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn new(network: &Trained, options: &Options) -> Result<Self, Error> {
        match network {
            Trained::Chain(network) => Ok(Self::Chain(Box::new(Engine::new(network, options)?))),
            Trained::Graph(graph, weights) => Ok(Self::Graph(Box::new(OfGraph::new(graph, weights, options)?))),
        }
    }

    /// The same without a clock: forms follow from what is left of each layer.
    ///
    /// # Errors
    /// As [`Engine::by_density`].
    pub fn by_density(network: &Trained, options: &Options) -> Result<Self, Error> {
        match network {
            Trained::Chain(network) => Ok(Self::Chain(Box::new(Engine::by_density(network, options)?))),
            Trained::Graph(graph, weights) => Ok(Self::Graph(Box::new(OfGraph::new(graph, weights, options)?))),
        }
    }

    /// How a chain's layers are computed; other graphs have no plan.
    pub fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Chain(engine) => Some(engine.plan()),
            Self::Graph(_) => None,
        }
    }

    /// Logits `[image][class]` of images `[image][pixel]`.
    ///
    /// # Panics
    /// When the pixels are not those of whole images.
    pub fn logits(&mut self, images: &[f32]) -> Vec<f32> {
        match self {
            Self::Chain(engine) => engine.logits(images),
            Self::Graph(engine) => engine.logits(images),
        }
    }

    /// The same into a buffer.
    ///
    /// # Panics
    /// As [`Self::logits`], and when the buffer has another length.
    pub fn logits_into(&mut self, images: &[f32], logits: &mut [f32]) {
        match self {
            Self::Chain(engine) => engine.logits_into(images, logits),
            Self::Graph(engine) => logits.copy_from_slice(&engine.logits(images)),
        }
    }

    /// Numbers of an answer.
    pub fn classes(&self) -> usize {
        match self {
            Self::Chain(engine) => engine.classes(),
            Self::Graph(engine) => engine.classes,
        }
    }

    /// Bytes of its weights in memory.
    pub fn weight_bytes(&self) -> usize {
        match self {
            Self::Chain(engine) => engine.weight_bytes(),
            Self::Graph(engine) => engine.weight_bytes,
        }
    }

    /// Bytes of its weights and buffers in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Chain(engine) => engine.bytes(),
            Self::Graph(engine) => engine.weight_bytes + engine.trainer.value_bytes(),
        }
    }
}

/// The forward pass of a graph in training, with weights that are never trained.
#[derive(Debug)]
pub struct OfGraph {
    trainer: GraphTrainer,
    pixels: usize,
    classes: usize,
    weight_bytes: usize,
}

impl OfGraph {
    fn new(graph: &Graph, weights: &Weights, options: &Options) -> Result<Self, Error> {
        let kept: Vec<Option<Kept>> = graph
            .parameters()
            .iter()
            .map(|own| {
                (own.role == Role::Weight && options.forms == Forms::Any).then(|| nonzero(weights.get(&own.name)))
            })
            .collect();
        let values: Vec<Vec<f32>> = graph
            .parameters()
            .iter()
            .zip(&kept)
            .map(|(own, kept)| match kept {
                Some(_) => weights.get(&own.name).iter().copied().filter(|value| *value != 0.0).collect(),
                None => weights.get(&own.name).to_vec(),
            })
            .collect();
        let place =
            |name: &str| graph.parameters().iter().position(|own| own.name == name).expect("a parameter's name");
        let state = |name: &str| {
            let place = place(name);
            Tensor { values: &values[place], moments: [&[], &[]], kept: kept[place].as_ref() }
        };
        let own = crate::train::Options {
            threads: options.threads,
            instruction_set: options.instruction_set,
            crossovers: match options.forms {
                Forms::Any => Crossovers::table(options.instruction_set),
                Forms::Dense => Crossovers { conv: 0.0, linear: 0.0 },
            },
            compact: false,
        };
        let optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        let trainer = GraphTrainer::new(graph, state, optimizer, 0, own).map_err(Error::Unsupported)?;
        Ok(Self {
            trainer,
            pixels: graph.shape(graph.input()).iter().product(),
            classes: graph.shape(graph.output()).iter().product(),
            weight_bytes: values.iter().map(|own| 4 * own.len()).sum(),
        })
    }

    fn logits(&mut self, images: &[f32]) -> Vec<f32> {
        assert!(images.len().is_multiple_of(self.pixels), "images have the size of the network's input");
        // As many at a time as keep the buffers small.
        let calls = images.chunks((self.pixels * 128).max(1));
        let mut found = Vec::with_capacity(images.len() / self.pixels * self.classes);
        for call in calls {
            let rows: Vec<&[f32]> = call.chunks_exact(self.pixels).collect();
            found.extend(self.trainer.predict(Images::Floats { rows: &rows }));
        }
        found
    }
}

/// Which values are not zero.
fn nonzero(values: &[f32]) -> Kept {
    let mut bits = vec![0u8; values.len().div_ceil(8)];
    for (place, _) in values.iter().enumerate().filter(|(_, value)| **value != 0.0) {
        bits[place / 8] |= 1 << (place % 8);
    }
    Kept::new(values.len(), &bits)
}
