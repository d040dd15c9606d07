//! Batch normalisation: its parameters, its running statistics, and what follows from them for each channel.

use super::stored::Stored;
use crate::kernels::moments::Moments;
use crate::kernels::pointwise::Scale;
use secateur_graph::BatchNorm;

/// A batch normalisation in training.
#[derive(Debug)]
pub(super) struct Norm {
    pub options: BatchNorm,
    pub scale: Stored,
    pub shift: Stored,
    /// The running mean and variance.
    pub running: [Vec<f32>; 2],
    /// Of each channel of the last batch.
    pub batch: Vec<Moments>,
    pub scales: Vec<Scale>,
}

impl Norm {
    pub(super) fn new(options: BatchNorm, scale: Stored, shift: Stored, running: [Vec<f32>; 2]) -> Self {
        Self { options, scale, shift, running, batch: vec![], scales: vec![] }
    }

    /// Works out the scales: from the mean and the variance of a batch, or the running ones.
    pub(super) fn set_scales(&mut self, batch: bool) {
        let [mut scales, mut shifts] = [vec![], vec![]];
        self.scale.copy_to(&mut scales);
        self.shift.copy_to(&mut shifts);
        let [means, variances] = &self.running;
        let scale = |channel: usize| {
            let running = || (f64::from(means[channel]), f64::from(variances[channel]));
            let of_batch = |own: &Moments| (own.mean, own.squares / own.count);
            let (mean, variance) = if batch { of_batch(&self.batch[channel]) } else { running() };
            Scale::of(self.options, [mean, variance], scales[channel], shifts[channel])
        };
        self.scales = (0..means.len()).map(scale).collect();
    }

    /// Moves the running mean and variance by this fraction towards those of the last batch; the variance without bias, as
    /// in PyTorch.
    pub(super) fn track(&mut self, momentum: f64) {
        let [means, variances] = &mut self.running;
        for ((own, mean), variance) in self.batch.iter().zip(means).zip(variances) {
            let unbiased = own.squares / (own.count - 1.0).max(1.0);
            let moved = |old: f32, new: f64| (f64::from(old) * (1.0 - momentum) + new * momentum) as f32;
            *mean = moved(*mean, own.mean);
            *variance = moved(*variance, unbiased);
        }
    }
}
