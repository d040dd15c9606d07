//! One network that is pruned: what is known of it, and the weights for given counts.

use crate::answers::Reference;
use crate::layers::{Layer, layers};
use crate::moments::Gathering;
use crate::normalise::follow;
use crate::reconstruct::{self, Affine};
use crate::values::Source;
use crate::{Error, Images, Score};
use secateur_graph::{Graph, Weights};
use secateur_pruner::{Criterion, Layout, Mask, Request, Scope, Scores, Selection, Terms, score, select};
use secateur_sparse::infer;

/// Images that the loss of a layer is measured on, at most.
pub(crate) const MEASURED: usize = 256;

/// How a network is pruned.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Which weights may go.
    pub selection: Selection,
    /// Who competes with whom by the size of their weights; `None` lets the network's answers decide where there are images, and all
    /// layers compete where there are none.
    pub scope: Option<Scope>,
    /// Whether the weights that are left make up for those that go, where there are images.
    pub reconstruct: bool,
    /// Threads.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        let threads = infer::Options::new(1).threads;
        Self { selection: Selection::default(), scope: None, reconstruct: true, threads }
    }
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress<'a> {
    /// What is being done.
    pub stage: &'static str,
    /// Steps that are done, of so many.
    pub done: usize,
    /// Steps of this stage.
    pub of: usize,
    /// What the next step is about.
    pub what: &'a str,
}

/// Is told how far a job is.
pub(crate) type Tell<'t> = dyn FnMut(&Progress<'_>) + 't;

/// A pruned network.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruned {
    /// Its weights, pruned ones as zeros.
    pub weights: Weights,
    /// Its layers, in the order in which they are computed.
    pub layers: Vec<PrunedLayer>,
    /// Its answers on the images that nothing was learned from, beside those of the dense network; `None` without images, and
    /// where an answer is a single number.
    pub score: Option<[Score; 2]>,
}

/// What is left of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunedLayer {
    /// Name of its weight.
    pub name: String,
    /// Its weights.
    pub weights: usize,
    /// Those that are not zero.
    pub kept: usize,
}

/// A network to prune.
pub struct Job<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) dense: &'a Weights,
    pub(crate) options: &'a Options,
    pub(crate) layers: Vec<Layer>,
    /// To learn from, and to judge by.
    pub(crate) learned: Images<'a>,
    judged: Option<Reference<'a>>,
}

impl<'a> Job<'a> {
    /// Of a graph with its weights, images that the weights are fitted to, and images to judge by ([`Images::divided`] makes both of
    /// one set); either may be none.
    ///
    /// # Errors
    /// When the selection fits nothing, a weight or an image is not finite, or the engine cannot compute the network.
    ///
    /// # Panics
    /// When the weights are not the graph's; [`Weights::check`] finds that out.
    pub fn new(
        graph: &'a Graph,
        dense: &'a Weights,
        [learned, judged]: [Images<'a>; 2],
        options: &'a Options,
    ) -> Result<Self, Error> {
        let layers = layers(graph, &options.selection)?;
        for (name, values) in dense.iter() {
            if let Some(place) = values.iter().position(|value| !value.is_finite()) {
                return Err(Error::NotFinite { what: format!("value {place} of `{name}`") });
            }
        }
        let pixels = graph.shape(graph.input()).iter().product();
        learned.check(pixels)?;
        judged.check(pixels)?;
        let mut own = Self { graph, dense, options, layers, learned, judged: None };
        if !judged.pixels.is_empty() {
            own.judged = Some(Reference::new(graph, dense, judged, &own.engine())?);
        }
        Ok(own)
    }

    /// How the engine computes batches.
    pub(crate) fn engine(&self) -> infer::Options {
        infer::Options { threads: self.options.threads, ..infer::Options::new(128) }
    }

    /// Numbers of an image.
    pub(crate) fn pixels(&self) -> usize {
        self.graph.shape(self.graph.input()).iter().product()
    }

    /// Numbers of an answer.
    pub(crate) fn classes(&self) -> usize {
        self.graph.shape(self.graph.output()).iter().product()
    }

    /// What answers are compared on: images that nothing was learned from. A single number has no largest one to compare.
    fn compared(&self) -> Option<&Reference<'_>> {
        self.judged.as_ref().filter(|_| self.classes() > 1)
    }

    /// How good some weights are there.
    ///
    /// # Errors
    /// When the engine cannot compute them.
    pub(crate) fn score(&self, weights: &Weights) -> Result<Option<Score>, Error> {
        self.compared().map(|own| own.score(self.graph, weights, &self.engine())).transpose()
    }

    /// How good the dense weights are there; they have been asked already.
    pub(crate) fn dense_score(&self) -> Option<Score> {
        self.compared().map(Reference::dense_score)
    }

    /// Weights that may go.
    pub(crate) fn total(&self) -> usize {
        self.layers.iter().map(Layer::len).sum()
    }

    /// A layer as it competes by the size of its weights.
    fn scores<'s>(&'s self, layer: &'s Layer, within: &'s Mask) -> Result<Scores<'s>, Error> {
        let scores = score(Criterion::L1, &layer.weight, self.dense.get(&layer.weight), within, 0, 1)?;
        let terms = Terms { positions: layer.positions as u64, ..Terms::new(Layout::of_pytorch(&layer.shape)) };
        Ok(Scores { name: &layer.weight, shape: &layer.shape, scores, within, terms })
    }

    /// How many weights of each layer are kept where so many are in all, by the size of the weights.
    ///
    /// # Errors
    /// When the scope's terms forbid it.
    pub(crate) fn by_size(&self, scope: Scope, kept: usize) -> Result<Vec<usize>, Error> {
        let full: Vec<Mask> = self.layers.iter().map(|own| Mask::full(&own.shape)).collect();
        let scores = self.layers.iter().zip(&full).map(|(own, within)| self.scores(own, within));
        let scores = scores.collect::<Result<Vec<_>, _>>()?;
        let gone = secateur_pruner::Amount::Weights(self.total() - kept);
        let masks = select(&scores, &Request::new(scope, gone))?;
        Ok(masks.iter().map(|(_, mask)| mask.kept()).collect())
    }

    /// The weights with so many of each layer kept: the largest, or, where there are images to learn from, those whose loss the others
    /// cannot make up for.
    ///
    /// # Errors
    /// When the engine cannot compute the network up to a layer.
    pub(crate) fn weights(&self, kept: &[usize], tell: &mut Tell<'_>) -> Result<Weights, Error> {
        if self.learned.pixels.is_empty() || !self.options.reconstruct {
            let mut weights = self.dense.clone();
            for (layer, kept) in self.layers.iter().zip(kept) {
                weights.insert(&layer.weight, self.largest(layer, *kept)?);
            }
            return Ok(weights);
        }
        self.reconstructed(kept, tell)
    }

    /// The largest weights of a layer, the others 0.
    ///
    /// # Errors
    /// When there are fewer.
    pub(crate) fn largest(&self, layer: &Layer, kept: usize) -> Result<Vec<f32>, Error> {
        let (values, within) = (self.dense.get(&layer.weight), Mask::full(&layer.shape));
        let gone = secateur_pruner::Amount::Weights(layer.len() - kept);
        let masks = select(&[self.scores(layer, &within)?], &Request::new(Scope::Layerwise, gone))?;
        let mut values = values.to_vec();
        masks.iter().for_each(|(_, mask)| mask.zero_pruned(&mut values));
        Ok(values)
    }

    /// A layer's weights and biases.
    pub(crate) fn affine(&self, layer: &Layer) -> Affine {
        let bias = layer.bias.as_ref().map_or(vec![], |name| self.dense.get(name).to_vec());
        Affine { weight: self.dense.get(&layer.weight).to_vec(), bias }
    }

    /// Layer after layer: each answers what it reads now as the dense one answered what it read.
    fn reconstructed(&self, kept: &[usize], tell: &mut Tell<'_>) -> Result<Weights, Error> {
        let mut weights = self.dense.clone();
        for (place, (layer, kept)) in self.layers.iter().zip(kept).enumerate() {
            tell(&Progress { stage: "pruning", done: place, of: self.layers.len(), what: &layer.weight });
            let dense = (place > 0).then_some(self.dense);
            let Some(known) = self.known(layer, &weights, dense)? else {
                // No moments that can be inverted: numbers too large.
                weights.insert(&layer.weight, self.largest(layer, *kept)?);
                continue;
            };
            let Affine { weight, bias } = known.pruned(layer.len() - kept, self.options.threads);
            weights.insert(&layer.weight, weight);
            if let Some(name) = &layer.bias {
                weights.insert(name, bias);
            }
            if let Some(norm) = layer.norm {
                for (name, values) in
                    follow(self.graph, [self.dense, &weights], norm, self.learned.pixels, &self.engine())?
                {
                    weights.insert(name, values);
                }
            }
        }
        Ok(weights)
    }

    /// What a layer of a network with these weights reads, and what it has to answer: what its own weights answer, to what it read in
    /// the dense network if that is given.
    ///
    /// # Errors
    /// When the engine cannot compute it, or a value is not finite.
    pub(crate) fn known(
        &self,
        layer: &Layer,
        weights: &Weights,
        dense: Option<&Weights>,
    ) -> Result<Option<reconstruct::Layer>, Error> {
        let value = self.graph.nodes()[layer.node].inputs[0];
        let source = |weights| Source::new(self.graph, weights, value, &self.engine());
        let (mut source, mut dense) = (source(weights)?, dense.map(source).transpose()?);
        let images = self.learned.pixels.len() / self.pixels();
        let length: usize = self.graph.shape(value).iter().product();
        let mut found = Gathering::new(self.graph, layer, images, dense.is_some());
        for images in self.learned.pixels.chunks(source.images() * self.pixels()) {
            let own = source.values(images);
            let dense = dense.as_mut().map(|source| source.values(images));
            let mut dense = dense.iter().flat_map(|own| own.chunks_exact(length));
            own.chunks_exact(length).for_each(|own| found.add(own, dense.next()));
        }
        Ok(reconstruct::Layer::new(found.finish()?, &self.affine(layer)))
    }

    /// What came out.
    ///
    /// # Errors
    /// When the engine cannot compute the network.
    pub(crate) fn finished(&self, weights: Weights) -> Result<Pruned, Error> {
        let nonzero = |own: &Layer| weights.get(&own.weight).iter().filter(|weight| **weight != 0.0).count();
        let layer = |own: &Layer| PrunedLayer { name: own.weight.clone(), weights: own.len(), kept: nonzero(own) };
        let layers = self.layers.iter().map(layer).collect();
        let score = match (self.dense_score(), self.score(&weights)?) {
            (Some(before), Some(after)) => Some([before, after]),
            _ => None,
        };
        Ok(Pruned { weights, layers, score })
    }
}
