//! Who watches a run: what a progress bar needs to know, without knowing of any bar.

use crate::plan::Planned;
use secateur_report::event::{Event, Timing};

/// Told what a run does, as it does it. Every method does nothing by default.
pub trait Observer {
    /// A stage begins, or goes on after a resume.
    fn stage(&mut self, _: &StageView<'_>) {}
    /// A training step is done.
    fn step(&mut self, _: &Tick) {}
    /// `seen` of `total` images of this split are scored.
    fn evaluating(&mut self, _split: &str, _seen: usize, _total: usize) {}
    /// A layer is pruned alone, and the network is about to be scored.
    fn probing(&mut self, _: &Probing<'_>) {}
    /// The network of a cycle is stored, compacted and timed.
    fn measuring(&mut self) {}
    /// A fact was written to the log.
    fn event(&mut self, _: &Event, _: Option<Timing>) {}
}

/// Watches nothing.
pub struct Silent;

impl Observer for Silent {}

/// A stage and its place in the run.
#[derive(Clone, Copy, Debug)]
pub struct StageView<'a> {
    /// The stage and its cycle.
    pub planned: &'a Planned,
    /// The last cycle's number.
    pub cycles: u64,
    /// Steps of this stage that are done.
    pub stage_step: u64,
    /// Steps of the run that are done.
    pub step: u64,
    /// Steps of the run in all.
    pub steps: u64,
    /// Sparsity of the prunable parameters, in `[0, 1]`.
    pub sparsity: f64,
}

/// A layer that is pruned alone, and how far all of it is.
#[derive(Clone, Copy, Debug)]
pub struct Probing<'a> {
    /// The parameter; `None` for the network as it is.
    pub layer: Option<&'a str>,
    /// Its sparsity, in `[0, 1)`.
    pub sparsity: f64,
    /// Scores that are done.
    pub done: usize,
    /// Scores in all, at most.
    pub of: usize,
}

/// A training step's figures.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Steps of the stage that are done.
    pub stage_step: u64,
    /// Steps of the stage.
    pub stage_steps: u64,
    /// Steps of the run that are done.
    pub step: u64,
    /// The epoch that is going on, from 1.
    pub epoch: u64,
    /// Mean loss of the batch.
    pub loss: f64,
    /// Running training accuracy of the epoch, in `[0, 1]`.
    pub accuracy: f64,
    /// Training throughput since the last epoch's end.
    pub images_per_s: f64,
}
