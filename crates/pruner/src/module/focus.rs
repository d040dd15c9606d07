//! Global sparse momentum: only the weights that matter most receive a gradient, the others fade under weight decay until
//! pruning them changes next to nothing (Ding et al., "Global sparse momentum SGD for pruning very deep neural networks",
//! 2019).

use super::flow::by_scores;
use super::gradients::Gradients;
use super::masked::Path;
use super::prune::attached;
use crate::{Amount, Error, MaskSet, Request, Saliency, Scope, parameters};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Tensor, TensorData};

/// The gradients of a step with those of all but `active` masked weights set to zero: the weights with the highest
/// `|w g|`, all layers together, keep theirs. Parameters without a mask keep theirs, too.
///
/// Call it between the backward pass and the optimizer, which should be SGD with momentum and weight decay. Every step
/// copies weights and gradients of the masked parameters to the host.
///
/// # Errors
/// When the module has no masks, a masked parameter has no gradient, or a number is not finite.
pub fn focus<M: Module>(module: &M, mut gradients: GradientsParams, active: usize) -> Result<GradientsParams, Error> {
    let old = attached(module)?;
    let mut weights = parameters(module);
    weights.retain(|own| old.get(&own.name).is_some());
    let names = weights.iter().map(|own| own.name.clone()).collect();
    let saliency = Saliency::gradient(&weights, &Gradients::read(module, &gradients, Some(&names))?)?;
    let silent = old.total() - active.min(old.kept());
    let request = Request { min_kept: 0, ..Request::new(Scope::Global, Amount::Weights(silent)) };
    let chosen = by_scores(module, &saliency, &old, &request)?;
    module.visit(&mut Silence { gradients: &mut gradients, chosen: &chosen, path: Path::default() });
    Ok(gradients)
}

struct Silence<'a> {
    gradients: &'a mut GradientsParams,
    chosen: &'a MaskSet,
    path: Path,
}

impl ModuleVisitor for Silence<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(mask) = self.chosen.get(&self.path.name()) else { return };
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
        let silent: Vec<bool> = (0..mask.total()).map(|index| !mask.keeps(index)).collect();
        let silent = TensorData::new(silent, [mask.total()]);
        let silent = Tensor::<1, Bool>::from_data(silent, &gradient.device()).reshape(gradient.shape());
        self.gradients.register(param.id, gradient.mask_fill(silent, 0.0));
    }
}
