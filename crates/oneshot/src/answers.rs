//! What a network answers, beside the dense one.

use crate::Error;
use secateur_graph::{Graph, Weights};
use secateur_sparse::infer::{Engine, Options};

/// Images that weights are fitted to, at most.
const LEARNED: usize = 1024;

/// Images as a network takes them, `[image][channels, rows, columns]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Images<'a> {
    /// Their numbers.
    pub pixels: &'a [f32],
    /// Their classes; empty where nobody knows them.
    pub labels: &'a [u16],
}

impl<'a> Images<'a> {
    /// The first ones, to learn from, and the others, to judge by: half of them, but no more than 1,024, which is enough.
    pub fn divided(self, pixels: usize) -> [Self; 2] {
        let count = self.pixels.len() / pixels.max(1);
        self.split(LEARNED.min(count.div_ceil(2)), pixels)
    }

    /// Whether they are whole images of so many numbers.
    ///
    /// # Errors
    /// When they are not, or one has a number that is none.
    pub(crate) fn check(&self, pixels: usize) -> Result<(), Error> {
        if !self.pixels.len().is_multiple_of(pixels) {
            return Err(Error::Images { found: self.pixels.len(), expected: pixels });
        }
        match self.pixels.iter().position(|value| !value.is_finite()) {
            Some(place) => {
                Err(Error::NotFinite { what: format!("value {} of image {}", place % pixels, place / pixels) })
            }
            None => Ok(()),
        }
    }

    /// The first ones, and the others.
    pub(crate) fn split(self, count: usize, pixels: usize) -> [Self; 2] {
        let (first, rest) = self.pixels.split_at((count * pixels).min(self.pixels.len()));
        let (own, others) = self.labels.split_at(count.min(self.labels.len()));
        [Self { pixels: first, labels: own }, Self { pixels: rest, labels: others }]
    }
}

/// How good answers are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Images.
    pub images: usize,
    /// Fraction of the answers that are those of the dense network.
    pub agreement: f64,
    /// Fraction of the answers that are right, where the classes are known.
    pub accuracy: Option<f64>,
}

/// The dense network's answers to some images.
pub(crate) struct Reference<'a> {
    images: Images<'a>,
    logits: Vec<f32>,
    classes: usize,
}

impl<'a> Reference<'a> {
    /// Of a dense network.
    ///
    /// # Errors
    /// When the engine cannot compute it, or an answer is not finite.
    pub(crate) fn new(graph: &Graph, dense: &Weights, images: Images<'a>, options: &Options) -> Result<Self, Error> {
        let logits = Engine::new(graph, dense, options)?.logits(images.pixels);
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(Error::NotFinite { what: "an answer of the network".into() });
        }
        Ok(Self { images, logits, classes: graph.shape(graph.output()).iter().product() })
    }

    /// What other weights answer.
    ///
    /// # Errors
    /// When the engine cannot compute them.
    pub(crate) fn score(&self, graph: &Graph, weights: &Weights, options: &Options) -> Result<Score, Error> {
        Ok(self.score_of(&Engine::new(graph, weights, options)?.logits(self.images.pixels)))
    }

    /// How good the dense network's own answers are.
    pub(crate) fn dense_score(&self) -> Score {
        self.score_of(&self.logits)
    }

    fn score_of(&self, found: &[f32]) -> Score {
        let answers = |logits: &[f32]| logits.chunks_exact(self.classes).map(answer).collect::<Vec<_>>();
        let (expected, found) = (answers(&self.logits), answers(found));
        let images = found.len();
        let part = |count: usize| count as f64 / images.max(1) as f64;
        let same = expected.iter().zip(&found).filter(|(expected, found)| expected == found).count();
        let right = found.iter().zip(self.images.labels).filter(|(own, label)| **own == usize::from(**label)).count();
        let accuracy = (!self.images.labels.is_empty()).then(|| part(right));
        Score { images, agreement: part(same), accuracy }
    }

    /// How far other weights' answers are from these: the mean divergence of the probabilities (Kullback and Leibler), or the mean
    /// squared difference of a single number over its variance.
    ///
    /// # Errors
    /// When the engine cannot compute them.
    pub(crate) fn divergence(&self, graph: &Graph, weights: &Weights, options: &Options) -> Result<f64, Error> {
        let found = Engine::new(graph, weights, options)?.logits(self.images.pixels);
        let pairs = self.logits.chunks_exact(self.classes).zip(found.chunks_exact(self.classes));
        let count = (self.logits.len() / self.classes).max(1) as f64;
        if self.classes > 1 {
            return Ok(pairs.map(|(expected, found)| divergence(expected, found)).sum::<f64>() / count);
        }
        let mean = self.logits.iter().copied().map(f64::from).sum::<f64>() / count;
        let variance: f64 = self.logits.iter().map(|own| (f64::from(*own) - mean).powi(2)).sum();
        let difference: f64 = pairs.map(|(expected, found)| f64::from(expected[0] - found[0]).powi(2)).sum();
        Ok(difference / variance.max(f64::MIN_POSITIVE))
    }
}

/// The class with the largest logit; of equal ones the first, and of one that is no number the first class.
fn answer(logits: &[f32]) -> usize {
    (1..logits.len()).fold(0, |top, own| if logits[own] > logits[top] { own } else { top })
}

/// The divergence of the probabilities of some logits from those of others; what is not finite diverges more than anything else.
fn divergence(expected: &[f32], found: &[f32]) -> f64 {
    let [expected, found] = [expected, found].map(|logits| {
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|logit| f64::from(logit - top).exp()).sum();
        logits.iter().map(|logit| f64::from(logit - top) - sum.ln()).collect::<Vec<f64>>()
    });
    let sum: f64 = expected.iter().zip(&found).map(|(expected, found)| expected.exp() * (expected - found)).sum();
    if sum.is_nan() { f64::INFINITY } else { sum.max(0.0) }
}
