//! A model that many callers ask at once.

use super::{Engine, Error, Options, threads_of};
use crate::{Ranges, Trained};
use std::sync::{Mutex, PoisonError};

/// Images from which a call is computed as a batch.
const BATCH: usize = 8;
/// Images of the calls that batches are compiled for.
const LARGE: usize = 128;

/// A network with engines that are compiled when they are first needed, one for few images a call and one for many. Any number of
/// threads may ask at once: each call takes an engine that is free, or another copy, which shares the weights.
#[derive(Debug)]
pub struct Predictor {
    network: Trained,
    ranges: Ranges,
    threads: usize,
    /// For few images, and for many: one to copy, and those that are free.
    engines: [Mutex<Engines>; 2],
}

#[derive(Debug, Default)]
struct Engines {
    first: Option<Engine>,
    free: Vec<Engine>,
}

impl Predictor {
    /// Of a network; with ranges of its values it computes with bytes. `threads` is how many answer a call, at most one
    /// for every core; 0 is as many as there are.
    pub fn new(network: Trained, ranges: Ranges, threads: usize) -> Self {
        Self { network, ranges, threads, engines: Default::default() }
    }

    /// The network.
    pub fn network(&self) -> &Trained {
        &self.network
    }

    /// Numbers of an image.
    pub fn pixels(&self) -> usize {
        self.network.input().iter().product()
    }

    /// How the engines are compiled for calls of so many images.
    pub fn options(&self, batch: usize) -> Options {
        Options { threads: threads_of(self.threads), ..Options::new(batch) }
    }

    /// Logits `[image][class]` of images `[image][pixel]`.
    ///
    /// # Errors
    /// When the engine cannot compute the network; only a first call finds that out.
    ///
    /// # Panics
    /// When `images` is no whole number of images.
    pub fn logits(&self, images: &[f32]) -> Result<Vec<f32>, Error> {
        let is_batch = images.len() / self.pixels() >= BATCH;
        let engines = &self.engines[usize::from(is_batch)];
        let mut engine = self.taken(engines, if is_batch { LARGE } else { 1 })?;
        let logits = engine.logits(images);
        // What panicked was not given back.
        engines.lock().unwrap_or_else(PoisonError::into_inner).free.push(engine);
        Ok(logits)
    }

    fn taken(&self, engines: &Mutex<Engines>, batch: usize) -> Result<Engine, Error> {
        let mut engines = engines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(free) = engines.free.pop() {
            return Ok(free);
        }
        let first = match engines.first.take() {
            Some(first) => first,
            None => Engine::over(&self.network, &self.ranges, &self.options(batch))?,
        };
        // Copies share the threads too, which then take turns.
        let copy = first.clone();
        engines.first = Some(first);
        Ok(copy)
    }
}
