//! Movement: a weight that training pushes away from zero lives, one that it pushes towards zero goes.
//!
//! It needs the gradients of many steps, so it is an accumulator that a training loop feeds.

use crate::{Error, Gradients, Parameter, Saliency, stored};
use burn::module::Module;
use burn::optim::GradientsParams;
use std::collections::BTreeSet;

/// The sum of `-w g` over the steps of training (Sanh et al., "Movement pruning: adaptive sparsity by fine-tuning", 2020).
///
/// Gradients are those of the masked network. Behind an ordinary mask a pruned weight has none, and its sum stays as it is;
/// behind a straight-through mask ([`crate::attach_straight_through`]) the latent weight goes on moving and so does its sum,
/// as in the paper. There weights compete within their matrix, which is [`crate::Scope::Layerwise`]. Every step copies the
/// weights and the gradients to the host.
#[derive(Clone, Debug)]
pub struct Movement {
    names: BTreeSet<String>,
    sum: Option<Saliency>,
}

impl Movement {
    /// Watches the parameters at these paths.
    pub fn new(names: &[&str]) -> Self {
        Self { names: names.iter().map(|name| (*name).to_owned()).collect(), sum: None }
    }

    /// Adds one step: call it with the module and its gradients before the optimizer moves the weights.
    ///
    /// # Errors
    /// When a watched parameter has no gradient, or a product is not finite.
    pub fn step<M: Module>(&mut self, module: &M, gradients: &GradientsParams) -> Result<(), Error> {
        let mut weights = stored(module);
        weights.retain(|own| self.names.contains(&own.name));
        let gradients = Gradients::read(module, gradients, Some(&self.names))?;
        if let Some(name) = self.names.iter().find(|name| gradients.get(name).is_none()) {
            let known = gradients.iter().map(|own| own.name.clone()).collect();
            return Err(Error::Missing { what: "gradient", name: name.clone(), known });
        }
        self.add(&weights, &gradients)
    }

    /// The same from numbers; weights that have no gradient are left out.
    ///
    /// # Errors
    /// When the parameters are not those of the step before, or a product is not finite.
    pub fn add(&mut self, weights: &[Parameter], gradients: &Gradients) -> Result<(), Error> {
        let step = Saliency::products(weights, gradients, |product| -product)?;
        match &mut self.sum {
            Some(sum) => sum.add(&step),
            None => {
                self.sum = Some(step);
                Ok(())
            }
        }
    }

    /// Goes on from sums that were recorded before; from none it starts afresh.
    ///
    /// # Errors
    /// When a number is not finite.
    pub fn set(&mut self, sum: Vec<Parameter>) -> Result<(), Error> {
        self.sum = if sum.is_empty() { None } else { Some(Saliency::new(sum)?) };
        Ok(())
    }

    /// The scores so far, negative where a weight moved towards zero; `None` before the first step.
    pub fn saliency(&self) -> Option<&Saliency> {
        self.sum.as_ref()
    }
}
