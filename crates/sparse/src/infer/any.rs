//! An engine for any trained network: that of chains, or that of all other graphs.

use super::tune::seconds;
use super::{Engine, Error, GraphEngine, Options, Plan, Threads};
use crate::file::Precision;
use crate::{Network, Ranges, Trained};
use secateur_graph::{Graph, Weights};
use std::mem::size_of;

/// A network that is ready to answer. Copies share the weights and the threads, and have buffers of their own: each caller takes
/// one.
#[derive(Clone, Debug)]
pub enum AnyEngine {
    /// A chain of layers, layer by layer.
    Chain(Box<Engine>),
    /// Any graph. Its weights are held as f32, or as bytes with which it computes.
    Graph(Box<GraphEngine>),
}

impl AnyEngine {
    /// Compiles a network. A chain's layers are timed in their forms, and then the whole chain as the graph that it is, too: the
    /// faster of the two is kept. For single images it is timed whether all threads compute one together faster than one of them alone;
    /// the answers are the same.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn new(network: &Trained, options: &Options) -> Result<Self, Error> {
        Self::with_clock(network, options, &mut seconds)
    }

    /// The same with another clock: `clock` makes the call that it is given, as often as it likes, and says how long it takes.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_clock(
        network: &Trained,
        options: &Options,
        clock: &mut dyn FnMut(&mut dyn FnMut()) -> f64,
    ) -> Result<Self, Error> {
        match network {
            Trained::Chain(chain) => Self::faster(Engine::with_clock(chain, options, clock)?, chain, options, clock),
            Trained::Graph(graph, weights) => {
                Ok(Self::of_graph(graph, weights, options)?.shared_or_not(options, clock))
            }
        }
    }

    /// A graph's engine for single images, shared by all threads or not, whichever is faster: on some machines what one thread has
    /// written takes another one longer to read than to compute.
    fn shared_or_not(self, options: &Options, clock: &mut dyn FnMut(&mut dyn FnMut()) -> f64) -> Self {
        let Self::Graph(engine) = self else { return self };
        if options.batch > 1 || !engine.shares_images() {
            return Self::Graph(engine);
        }
        let mut both = [Self::Graph(Box::new(engine.alone())), Self::Graph(engine)];
        let [alone, shared] = [0, 1].map(|which| both[which].call_seconds(1, clock));
        let [one, other] = both;
        if alone < shared { one } else { other }
    }

    /// Compiles a chain by a plan, or as a graph, whichever is found to be faster.
    ///
    /// # Errors
    /// As [`Engine::with_plan`].
    pub fn with_plan(chain: &Network, options: &Options, plan: Plan) -> Result<Self, Error> {
        Self::faster(Engine::with_plan(chain, options, plan)?, chain, options, &mut seconds)
    }

    /// Compiles a chain as the graph that it is.
    ///
    /// # Errors
    /// As [`GraphEngine::new`], and when the chain is more than a graph may be.
    pub fn as_graph(chain: &Network, options: &Options) -> Result<Self, Error> {
        let (graph, weights) = chain.to_graph().map_err(Error::Large)?;
        Self::of_graph(&graph, &weights, options)
    }

    /// The engine of a chain, or one of the same network as a graph where that is faster, fits the memory, and holds the weights
    /// in the precision that is asked for.
    fn faster(
        engine: Engine,
        chain: &Network,
        options: &Options,
        clock: &mut dyn FnMut(&mut dyn FnMut()) -> f64,
    ) -> Result<Self, Error> {
        let fits = options.precision == Precision::F32;
        let Some(graph) = fits.then(|| Self::as_graph(chain, options).ok()).flatten() else {
            return Ok(Self::Chain(Box::new(engine)));
        };
        let mut graph = graph.shared_or_not(options, clock);
        let most = options.buffer_bytes / (size_of::<f32>() * (engine.pixels() + engine.classes()));
        let images = options.batch.clamp(1, most.max(1));
        let mut own = Self::Chain(Box::new(engine));
        let seconds = own.call_seconds(images, clock);
        Ok(if graph.call_seconds(images, clock) < seconds { graph } else { own })
    }

    /// How long a call with so many images takes, by this clock, which makes the call as often as it likes ([`seconds`](super::seconds)
    /// is one).
    pub fn call_seconds(&mut self, images: usize, clock: &mut dyn FnMut(&mut dyn FnMut()) -> f64) -> f64 {
        let images = vec![0.25; images * self.pixels()];
        let mut logits = self.logits(&images);
        clock(&mut || self.logits_into(&images, &mut logits))
    }

    /// Numbers of an image.
    pub fn pixels(&self) -> usize {
        match self {
            Self::Chain(engine) => engine.pixels(),
            Self::Graph(engine) => engine.pixels(),
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

    /// Compiles a network whose convolutions and fully connected layers compute with bytes, a chain as a graph; without a clock.
    ///
    /// # Errors
    /// As [`GraphEngine::with_bytes`], and when a chain is more than a graph may be.
    pub fn with_bytes(network: &Trained, ranges: &Ranges, options: &Options) -> Result<Self, Error> {
        let (graph, weights) = network.to_graph().map_err(Error::Large)?;
        Ok(Self::Graph(Box::new(GraphEngine::with_bytes(&graph, &weights, ranges, options)?)))
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

    /// How a chain's layers are computed; what is computed as a graph has no plan.
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
