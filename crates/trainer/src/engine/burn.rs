//! burn's operations, on any of its devices.

use super::descent::Descent;
use super::{Engine, MOVEMENT};
use crate::data::Split;
use crate::evaluate::Tally;
use crate::models::{self, Net};
use crate::state::{State, Weights};
use crate::{Error, Experiment};
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use secateur_pruner::{
    MaskSet, Movement, Parameter, StateTensor, attach_masks, attach_straight_through, focus, move_masks, parameters,
    set_masks, set_parameters, stored,
};
use secateur_report::event::LayerPath;

/// A burn module, masks attached, and its optimizer.
pub(crate) struct Burn {
    /// Without gradients.
    device: Device,
    net: Net,
    descent: Descent,
    masks: MaskSet,
    /// Weights that receive gradients, where not all do.
    active: Option<usize>,
    /// Where the run prunes by it.
    movement: Option<Movement>,
    experiment: Experiment,
}

impl Burn {
    pub(super) fn new(experiment: &Experiment, device: &Device, state: State, masks: &MaskSet) -> Result<Self, Error> {
        let mut net = experiment.net(&device.clone().autodiff())?;
        let masked: Vec<&str> = masks.iter().map(|(name, _)| name).collect();
        if !masked.is_empty() {
            // Masks are attached before anything is stored below them.
            let shadows = experiment.has_shadows();
            net = if shadows { attach_straight_through(net, &masked)? } else { attach_masks(net, &masked)? };
        }
        let descent = Descent::new(experiment);
        let (device, experiment) = (device.clone(), experiment.clone());
        let movement = experiment.watches_movement().then(|| Movement::new(&masked));
        let masks_yet = MaskSet::default();
        let mut own = Self { device, net, descent, masks: masks_yet, active: None, movement, experiment };
        own.set(state, masks)?;
        Ok(own)
    }

    fn loss(&self) -> CrossEntropyLossConfig {
        let smoothing = self.experiment.config().train.label_smoothing;
        CrossEntropyLossConfig::new().with_smoothing((smoothing > 0.0).then_some(smoothing))
    }

    /// The loss with what a teacher's logits, `[image][class]`, teach; none where there are none.
    fn with_teacher(&self, labels: Tensor<1>, logits: Tensor<2>, teacher: &[f32]) -> Tensor<1> {
        let Some(own) = self.experiment.config().train.distillation.as_ref().filter(|_| !teacher.is_empty()) else {
            return labels;
        };
        let (shape, device) = (logits.dims(), logits.device());
        let teacher = Tensor::<2>::from_data(TensorData::new(teacher.to_vec(), shape), &device);
        let soft = |logits: Tensor<2>| log_softmax(logits / f64::from(own.temperature), 1);
        let taught = -(soft(teacher).exp() * soft(logits)).sum() / shape[0] as f64;
        let (weight, square) = (f64::from(own.weight), f64::from(own.temperature).powi(2));
        labels * (1.0 - weight) + taught * (weight * square)
    }

    /// Makes of a step's gradients what the run wants of them.
    fn heed(&mut self, mut gradients: GradientsParams) -> Result<GradientsParams, Error> {
        if let Some(movement) = &mut self.movement {
            movement.step(&self.net, &gradients)?;
        }
        if let Some(active) = self.active {
            gradients = focus(&self.net, gradients, active)?;
        }
        Ok(gradients)
    }
}

impl Engine for Burn {
    fn step(
        &mut self,
        split: &Split,
        indices: &[u32],
        teacher: &[f32],
        lr: f64,
        tally: &mut Tally,
    ) -> Result<f64, Error> {
        let device = self.device.clone().autodiff();
        let (images, labels) = models::tensors(split, indices, &device);
        let (logits, statistics) = self.net.forward_training(images);
        let answers = logits.clone().inner().into_data();
        let loss = tally.add(&answers.iter::<f32>().collect::<Vec<_>>(), &split.labels(indices));
        if loss.is_finite() {
            let cost = self.loss().init(&device).forward(logits.clone(), labels);
            let cost = self.with_teacher(cost, logits, teacher);
            let gradients = self.heed(GradientsParams::from_grads(cost.backward(), &self.net))?;
            self.net = self.descent.step(lr, self.net.clone(), gradients).absorb(statistics, None);
        }
        Ok(loss)
    }

    fn recalibrate(&mut self, split: &Split, batches: &[&[u32]]) {
        for (number, indices) in batches.iter().enumerate() {
            let images = models::images(split.gather(indices).pixels, split.shape(), &self.device.clone().autodiff());
            let (_, statistics) = self.net.forward_training(images);
            self.net = self.net.clone().absorb(statistics, Some(1.0 / (number + 1) as f64));
        }
    }

    fn logits(&mut self, split: &Split, indices: &[u32]) -> Vec<f32> {
        let images = models::images(split.gather(indices).pixels, split.shape(), &self.device);
        self.net.valid().forward(images).into_data().iter::<f32>().collect()
    }

    fn parameters(&self) -> Vec<Weights> {
        parameters(&self.net).into_iter().map(|own| Weights::of(own, &self.masks)).collect()
    }

    fn state(&self) -> Result<State, Error> {
        let mut optimizer = self.descent.state()?;
        let moved = self.movement.as_ref().and_then(Movement::saliency);
        for Parameter { name, shape, values } in moved.into_iter().flat_map(|moved| moved.iter()).cloned() {
            optimizer.tensors.push(StateTensor { parameter: name, field: MOVEMENT.into(), shape, values });
        }
        optimizer.tensors.sort_by(|a, b| (&a.parameter, &a.field).cmp(&(&b.parameter, &b.field)));
        Ok(if self.experiment.has_shadows() {
            State::with_shadows(stored(&self.net), optimizer)
        } else {
            State::of(parameters(&self.net), optimizer, &self.masks)
        })
    }

    fn set(&mut self, state: State, masks: &MaskSet) -> Result<(), Error> {
        let shadows = state.shadows;
        if shadows != self.experiment.has_shadows() {
            return Err(Error::Shadows { found: shadows });
        }
        let (parameters, mut optimizer) = state.whole(masks);
        let moved: Vec<_> = optimizer.tensors.extract_if(.., |tensor| tensor.field == MOVEMENT).collect();
        if let Some(movement) = &mut self.movement {
            let sum =
                moved.into_iter().map(|own| Parameter { name: own.parameter, shape: own.shape, values: own.values });
            movement.set(sum.collect())?;
        }
        let net = set_parameters(self.net.clone(), &parameters)?;
        self.net = if shadows { move_masks(net, masks)? } else { set_masks(net, masks)? };
        self.descent.set(optimizer, &self.net)?;
        self.masks = masks.clone();
        Ok(())
    }

    fn focus(&mut self, active: Option<usize>) {
        self.active = active;
    }

    fn paths(&self) -> Option<(String, Vec<LayerPath>)> {
        None
    }
}
