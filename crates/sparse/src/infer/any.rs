//! An engine for any trained network: that of chains, or that of all other graphs.

use super::{Engine, Error, GraphEngine, Options, Plan, Threads};
use crate::Trained;
use crate::file::Precision;
use secateur_graph::{Graph, Weights};

/// A network that is ready to answer. Copies share the weights and the threads, and have buffers of their own: each caller takes
/// one.
#[derive(Clone, Debug)]
pub enum AnyEngine {
    /// A chain of layers.
    Chain(Box<Engine>),
    /// Any other graph. Its weights are held as f32, whatever the precision is.
    Graph(Box<GraphEngine>),
}

impl AnyEngine {
    /// Compiles a network; a chain's layers are timed in their forms.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn new(network: &Trained, options: &Options) -> Result<Self, Error> {
        match network {
            Trained::Chain(network) => Ok(Self::Chain(Box::new(Engine::new(network, options)?))),
            Trained::Graph(graph, weights) => Self::of_graph(graph, weights, options),
        }
    }

    /// The same without a clock: forms follow from what is left of each layer.
    ///
    /// # Errors
    /// As [`Engine::by_density`].
    pub fn by_density(network: &Trained, options: &Options) -> Result<Self, Error> {
        match network {
            Trained::Chain(network) => Ok(Self::Chain(Box::new(Engine::by_density(network, options)?))),
            Trained::Graph(graph, weights) => Self::of_graph(graph, weights, options),
        }
    }

    /// The weights are held as f32, whatever the precision is.
    fn of_graph(graph: &Graph, weights: &Weights, options: &Options) -> Result<Self, Error> {
        let options = Options { precision: Precision::F32, ..*options };
        Ok(Self::Graph(Box::new(GraphEngine::new(graph, weights, &options)?)))
    }

    /// A copy that computes on these threads.
    ///
    /// # Errors
    /// When the buffers for so many do not fit [`Options::buffer_bytes`].
    pub fn on(&self, threads: &Threads) -> Result<Self, Error> {
        Ok(match self {
            Self::Chain(engine) => Self::Chain(Box::new(engine.on(threads)?)),
            Self::Graph(engine) => Self::Graph(Box::new(engine.on(threads)?)),
        })
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
            Self::Graph(engine) => engine.logits_into(images, logits),
        }
    }

    /// Numbers of an answer.
    pub fn classes(&self) -> usize {
        match self {
            Self::Chain(engine) => engine.classes(),
            Self::Graph(engine) => engine.classes(),
        }
    }

    /// Bytes of its weights in memory.
    pub fn weight_bytes(&self) -> usize {
        match self {
            Self::Chain(engine) => engine.weight_bytes(),
            Self::Graph(engine) => engine.weight_bytes(),
        }
    }

    /// Bytes of its weights and buffers in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Chain(engine) => engine.bytes(),
            Self::Graph(engine) => engine.bytes(),
        }
    }
}
