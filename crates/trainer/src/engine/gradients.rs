//! Gradients of batches with respect to all weights, pruned ones included: what criteria and regrowth rank.
//!
//! The native engine fuses gradient and update. But SGD with momentum remembers the gradient of its first step, as it is, and a
//! rate of 0 moves no weight: so a second trainer over all weights takes that step. burn's devices differentiate the loss.

use super::{Engine, native};
use crate::data::Split;
use crate::device::Device;
use crate::evaluate::Tally;
use crate::models::{self, Net};
use crate::state::{State, Weights};
use crate::{Error, Experiment};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::Tensor;
use secateur_pruner::{Gradients, MaskSet, Parameter, set_parameters};
use secateur_sparse::{Optimizer, Update};
use std::collections::BTreeMap;

/// A network whose gradients are looked at. Each is that of the mean cross-entropy over a batch, without label smoothing;
/// batch normalisation takes the statistics of the batch, as in training.
pub(crate) struct BatchGradients<'a> {
    weights: Vec<Parameter>,
    images: &'a Split,
    by: By,
}

enum By {
    Native { engine: Box<dyn Engine>, fresh: State },
    Burn { net: Box<Net>, device: burn::tensor::Device },
}

impl<'a> BatchGradients<'a> {
    /// Of the experiment's network with these weights, every parameter and buffer whole, on these images.
    ///
    /// # Errors
    /// When the weights do not fit the network.
    pub(crate) fn new(
        experiment: &Experiment,
        device: &Device,
        weights: Vec<Parameter>,
        images: &'a Split,
    ) -> Result<Self, Error> {
        let by = match device {
            Device::Own { .. } => {
                let none = MaskSet::default();
                let all = weights.iter().map(|own| Weights::of(own.clone(), &none)).collect();
                let fresh = State::fresh(all, &none, false);
                let update = Update::from(Optimizer::Sgd { momentum: 1.0, nesterov: false, weight_decay: 0.0 });
                By::Native { engine: native(experiment, update, device, fresh.clone(), &none)?, fresh }
            }
            Device::Burn(device) => {
                let device = device.clone().autodiff();
                By::Burn { net: Box::new(set_parameters(experiment.net(&device)?, &weights)?), device }
            }
        };
        Ok(Self { weights, images, by })
    }

    /// Every parameter and buffer.
    pub(crate) fn weights(&self) -> &[Parameter] {
        &self.weights
    }

    /// The gradients for the images of these indices.
    ///
    /// # Errors
    /// When one is not finite.
    pub(crate) fn of(&mut self, indices: &[u32]) -> Result<Gradients, Error> {
        match &mut self.by {
            By::Native { engine, fresh } => {
                engine.set(fresh.clone(), &MaskSet::default())?;
                let loss = engine.step(self.images, indices, &[], 0.0, &mut Tally::default())?;
                if !loss.is_finite() {
                    return Err(Error::NoGradients { loss });
                }
                let shapes: BTreeMap<&str, &[usize]> =
                    self.weights.iter().map(|own| (own.name.as_str(), own.shape.as_slice())).collect();
                let found = engine.state()?.moments.into_iter().map(|own| Parameter {
                    shape: shapes[own.parameter.as_str()].to_vec(),
                    name: own.parameter,
                    values: own.kept,
                });
                Ok(Gradients::new(found.collect())?)
            }
            By::Burn { net, device } => Ok(Gradients::of(&**net, |net| loss(net, self.images, indices, device))?),
        }
    }
}

/// Mean cross-entropy over these images, as in training.
pub(crate) fn loss(net: &Net, images: &Split, indices: &[u32], device: &burn::tensor::Device) -> Tensor<1> {
    let (images, labels) = models::tensors(images, indices, device);
    let (logits, _) = net.forward_training(images);
    CrossEntropyLossConfig::new().init(device).forward(logits, labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::testing::everything;
    use crate::{ExperimentConfig, data, device};
    use secateur_pruner::Mask;
    use secateur_sparse::file::Precision;
    use secateur_sparse::{InstructionSet, Trained};
    use std::fs;

    fn experiment(model: &str, shape: [usize; 3], device: &str) -> Experiment {
        let text = format!(
            "name = \"x\"\nmodel = {model}\n{device}\nthreads = 2\ntrain = {{ length = {{ steps = 1 }} }}\n\
             data = {{ source = \"synthetic\", synthetic_train = 40, synthetic_shape = {shape:?}, validation = 0 }}"
        );
        Experiment::new(ExperimentConfig::parse("x", &text, &[]).expect("valid")).expect("meant")
    }

    /// The initial weights, two of three set to zero, as a prune leaves them.
    fn pruned(experiment: &Experiment) -> Vec<Parameter> {
        let zeroed = |own: Weights| {
            let mut own = own.whole(&MaskSet::default());
            if own.shape.len() > 1 {
                Mask::from_fn(&own.shape, |index| index % 3 == 0).zero_pruned(&mut own.values);
            }
            own
        };
        experiment.initial(5).into_iter().map(zeroed).collect()
    }

    #[test]
    #[cfg(feature = "flex")]
    fn native_gradients_are_those_of_burn_at_pruned_weights_too() {
        // What a file holds may have any operation.
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("every.secateur");
        let graph = everything();
        let network = Trained { weights: models::initial(&graph, 1), graph: graph.clone() };
        fs::write(&path, network.encode(&crate::model::info("every", vec![], vec![]), Precision::F32).expect("small"))
            .expect("written");
        let every = format!("{{ kind = \"file\", path = {:?} }}", path.display().to_string());
        for (model, shape) in [
            ("{ kind = \"lenet\", width = 1 }", [3, 32, 32]),
            ("{ kind = \"resnet\", depth = 8, width = 8 }", [3, 32, 32]),
            ("{ kind = \"mobilenet\", width = 8 }", [3, 32, 32]),
            (&every, [2, 8, 9]),
        ] {
            let mut all = vec![];
            let sets = InstructionSet::available();
            let native = sets.iter().map(|set| format!("device = \"cpu\"\ninstruction_set = \"{}\"", set.name()));
            let devices: Vec<String> = std::iter::once("device = \"flex\"".to_owned()).chain(native).collect();
            for device in &devices {
                let experiment = experiment(model, shape, device);
                let device = device::open(experiment.config(), None).expect("a device");
                let dataset = data::load(&experiment.config().data, 1).expect("synthetic");
                let weights = pruned(&experiment);
                let mut gradients =
                    BatchGradients::new(&experiment, &device, weights, &dataset.train).expect("they fit");
                let batches: [Vec<u32>; 2] = [(0..19).collect(), (19..40).collect()];
                let first = gradients.of(&batches[0]).expect("finite");
                let second = gradients.of(&batches[1]).expect("finite");
                assert_ne!(first, second);
                assert_eq!(gradients.of(&batches[0]).expect("finite"), first, "no batch is in the next one's gradient");
                all.push([first, second]);
            }
            let of_burn = all.remove(0);
            let native =
                devices[1..].iter().zip(&all).flat_map(|(device, all)| all.iter().map(move |own| (device, own)));
            for ((device, native), burn) in native.zip(of_burn.iter().cycle()) {
                assert_eq!(native.iter().count(), burn.iter().count());
                for own in burn.iter() {
                    let found = native.get(&own.name).expect("of the same parameters");
                    assert_eq!(found.shape, own.shape);
                    let scale = own.values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
                    let pruned = || own.values.iter().enumerate().filter(|(index, _)| index % 3 > 0);
                    let have_some = own.shape.len() == 1 || pruned().any(|(_, value)| *value != 0.0);
                    assert!(have_some, "{model}, {}: pruned weights have gradients", own.name);
                    for (index, (found, expected)) in found.values.iter().zip(&own.values).enumerate() {
                        let close = (found - expected).abs() <= 2e-4 * scale + 1e-6;
                        let about = format!("{model}, {device}, {} at {index}", own.name);
                        assert!(close, "{about}: expected {expected}, found {found}");
                    }
                }
            }
        }
    }
}
