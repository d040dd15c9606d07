//! What computes: a network in training, behind one interface.
//!
//! [`Native`] is Secateur's kernels on the CPU. [`Burn`] runs burn's operations on any of its devices and is the reference
//! implementation that it is compared with. Outside of this room state is a [`State`], so that a checkpoint does not depend on
//! what computed it.

mod burn;
mod descent;
mod gradients;
mod native;

/// Field of a [`State`]'s moments under which movement is accumulated.
pub(crate) const MOVEMENT: &str = "movement.sum";

use self::burn::Burn;
pub(crate) use self::gradients::{BatchGradients, loss};
use self::native::Native;
use crate::data::Split;
use crate::device::Device;
use crate::evaluate::Tally;
use crate::state::{State, Weights};
use crate::{Error, Experiment};
use secateur_pruner::MaskSet;
use secateur_report::event::LayerPath;
use secateur_sparse::Update;
use secateur_sparse::train::Options;

/// A network in training.
pub(crate) trait Engine {
    /// One step over the images of these indices: forward, backward, update. Adds to the tally and returns the batch's mean
    /// loss; when it is not finite, nothing was updated. `teacher` are the logits that are learned from beside the labels, or none.
    ///
    /// # Errors
    /// When gradients are looked at, and one is not finite.
    fn step(
        &mut self,
        split: &Split,
        indices: &[u32],
        teacher: &[f32],
        lr: f64,
        tally: &mut Tally,
    ) -> Result<f64, Error>;

    /// Works the running statistics of batch normalisation out anew: the mean of those of these batches of images.
    fn recalibrate(&mut self, split: &Split, batches: &[&[u32]]);

    /// Logits `[image][class]` of the images of these indices.
    fn logits(&mut self, split: &Split, indices: &[u32]) -> Vec<f32>;

    /// The parameters, as far as the masks keep them.
    fn parameters(&self) -> Vec<Weights>;

    /// The parameters and the optimizer's memory, as far as the masks keep them.
    ///
    /// # Errors
    /// When the memory cannot be read.
    fn state(&self) -> Result<State, Error>;

    /// Takes a state over, with its masks, which hold from now on.
    ///
    /// # Errors
    /// When the state does not fit the model.
    fn set(&mut self, state: State, masks: &MaskSet) -> Result<(), Error>;

    /// From here on only so many of the prunable weights receive gradients, those that matter most; `None` for all.
    fn focus(&mut self, active: Option<usize>);

    /// How each layer is computed, and with which instructions; `None` when that is the device's own business.
    fn paths(&self) -> Option<(String, Vec<LayerPath>)>;
}

/// An engine for the experiment's model in this state, which belongs to these masks, on this device.
///
/// # Errors
/// When the state does not fit the model, or the model cannot be computed on this device.
pub(crate) fn open(
    experiment: &Experiment,
    device: &Device,
    state: State,
    masks: &MaskSet,
) -> Result<Box<dyn Engine>, Error> {
    Ok(match device {
        Device::Own { .. } => native(experiment, experiment.config().train.update(), device, state, masks)?,
        Device::Burn(device) => Box::new(Burn::new(experiment, device, state, masks)?),
    })
}

/// A native engine that updates in this way, on a device that has one.
fn native(
    experiment: &Experiment,
    update: Update,
    device: &Device,
    state: State,
    masks: &MaskSet,
) -> Result<Box<dyn Engine>, Error> {
    let Device::Own { threads, instruction_set, crossovers } = device else {
        unreachable!("burn's devices have an engine of their own")
    };
    let (threads, instruction_set, crossovers) = (*threads, *instruction_set, *crossovers);
    let options = Options { threads, instruction_set, crossovers, compact: true };
    Ok(Box::new(Native::new(experiment, update, options, state, masks)?))
}
