//! burn's operations, on any of its devices.

use super::Engine;
use crate::data::{CLASSES, PIXELS, SIDE, Split};
use crate::evaluate::Tally;
use crate::models::Net;
use crate::state::{State, Weights};
use crate::{Error, Experiment};
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use secateur_pruner::{MaskSet, OptimizerState, attach_masks, parameters, set_masks, set_parameters};
use secateur_report::event::LayerPath;

/// A burn module, masks attached, and its optimizer.
pub(crate) struct Burn {
    /// Without gradients.
    device: Device,
    net: Net,
    optimizer: ModuleOptimizer,
    masks: MaskSet,
    experiment: Experiment,
}

impl Burn {
    pub(super) fn new(experiment: &Experiment, device: &Device, state: State, masks: &MaskSet) -> Result<Self, Error> {
        let mut net = Net::raise(experiment.network(), &device.clone().autodiff())?;
        let masked: Vec<&str> = masks.iter().map(|(name, _)| name).collect();
        if !masked.is_empty() {
            // Masks are attached before anything is stored below them.
            net = attach_masks(net, &masked)?;
        }
        let optimizer = experiment.config().train.optimizer.init();
        let (device, experiment) = (device.clone(), experiment.clone());
        let mut own = Self { device, net, optimizer, masks: MaskSet::default(), experiment };
        own.set(state, masks)?;
        Ok(own)
    }
}

impl Engine for Burn {
    fn step(&mut self, split: &Split, indices: &[u32], lr: f64, tally: &mut Tally) -> f64 {
        let device = self.device.clone().autodiff();
        let batch = split.gather(indices);
        let labels: Vec<i64> = batch.labels.iter().copied().map(i64::from).collect();
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [batch.labels.len()]), &device);
        let logits = self.net.forward(images(batch.pixels, &device));
        let answers = logits.clone().inner().into_data();
        let loss = tally.add(&answers.iter::<f32>().collect::<Vec<_>>(), &batch.labels);
        if loss.is_finite() {
            let cost = CrossEntropyLossConfig::new().init(&device).forward(logits, labels);
            let gradients = GradientsParams::from_grads(cost.backward(), &self.net);
            self.net = self.optimizer.step(lr, self.net.clone(), gradients);
        }
        loss
    }

    fn logits(&mut self, split: &Split, indices: &[u32]) -> Vec<f32> {
        let logits = self.net.valid().forward(images(split.gather(indices).pixels, &self.device)).into_data();
        let logits: Vec<f32> = logits.iter::<f32>().collect();
        assert_eq!(logits.len(), indices.len() * CLASSES, "there is a logit for each class");
        logits
    }

    fn parameters(&self) -> Vec<Weights> {
        parameters(&self.net).into_iter().map(|own| Weights::of(own, &self.masks)).collect()
    }

    fn state(&self) -> Result<State, Error> {
        Ok(State::of(parameters(&self.net), OptimizerState::read(&self.optimizer)?, &self.masks))
    }

    fn set(&mut self, state: State, masks: &MaskSet) -> Result<(), Error> {
        let (parameters, optimizer) = state.whole(masks);
        self.net = set_masks(set_parameters(self.net.clone(), &parameters)?, masks)?;
        let fresh = self.experiment.config().train.optimizer.init();
        self.optimizer = optimizer.write(fresh, &self.net)?;
        self.masks = masks.clone();
        Ok(())
    }

    fn paths(&self) -> Option<(String, Vec<LayerPath>)> {
        None
    }
}

/// Pixels as a tensor `[batch, 1, 28, 28]`.
fn images(pixels: Vec<f32>, device: &Device) -> Tensor<4> {
    let count = pixels.len() / PIXELS;
    Tensor::from_data(TensorData::new(pixels, [count, 1, SIDE, SIDE]), device)
}
