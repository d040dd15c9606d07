//! Gradients by parameter name on the host: what criteria that look at the loss need, and what regrowth ranks.
//!
//! Through a mask a pruned weight has no gradient. [`Gradients::of`] takes them on a private copy whose masks are folded
//! in, so that a pruned weight has the gradient of a weight that happens to be zero.

use super::masked::Path;
use crate::{Error, Parameter};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use std::collections::BTreeSet;

/// The gradient of a loss with respect to every parameter that trains; all numbers are finite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradients(Vec<Parameter>);

impl Gradients {
    /// Gradients that somebody else computed, by the names and shapes of parameters.
    ///
    /// # Errors
    /// When one is not finite, or a shape is not filled.
    pub fn new(gradients: Vec<Parameter>) -> Result<Self, Error> {
        for own in &gradients {
            own.check_shape(&own.shape)?;
            own.check_finite("gradient")?;
        }
        Ok(Self(gradients))
    }

    /// The gradients of `loss`, those of pruned weights included. `loss` is given a copy of the module on an autodiff
    /// device and computes from it; its input has to lie on `device.autodiff()`, too.
    ///
    /// The module stays as it is: running statistics that a forward pass moves are the copy's own. Layers such as dropout
    /// behave as in training.
    ///
    /// # Errors
    /// When the loss was not computed from a parameter of the copy that trains, or a gradient is not finite.
    pub fn of<M: Module>(module: &M, loss: impl FnOnce(&M) -> Tensor<1>) -> Result<Self, Error> {
        let copy = own_copy(module).train();
        let loss = loss(&copy);
        if !loss.is_autodiff() {
            return Err(Error::NoGradients);
        }
        let own = Self::read(&copy, &GradientsParams::from_grads(loss.backward(), &copy), None)?;
        if own.0.is_empty() { Err(Error::NoGradients) } else { Ok(own) }
    }

    /// The gradients that a training loop has at hand anyway; those of pruned weights are 0, since the loss was computed
    /// through the masks.
    ///
    /// # Errors
    /// When a gradient is not finite.
    pub fn through_masks<M: Module>(module: &M, gradients: &GradientsParams) -> Result<Self, Error> {
        Self::read(module, gradients, None)
    }

    /// Reads those of these names, or all.
    pub(crate) fn read<M: Module>(
        module: &M,
        gradients: &GradientsParams,
        names: Option<&BTreeSet<String>>,
    ) -> Result<Self, Error> {
        let mut reader = Read { gradients, names, found: vec![], path: Path::default() };
        module.visit(&mut reader);
        let found = reader.found;
        for own in &found {
            own.check_finite("gradient")?;
        }
        Ok(Self(found))
    }

    /// The gradient of the parameter at this path.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.0.iter().find(|own| own.name == name)
    }

    /// All of them, in the module's order.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.0.iter()
    }

    /// Adds the gradients of another batch.
    ///
    /// # Errors
    /// When the two are not of the same parameters, or a sum is not finite.
    pub fn add(&mut self, other: &Self) -> Result<(), Error> {
        add(&mut self.0, &other.0, "gradient")
    }
}

/// A copy that shares nothing with the module, masks folded in and without autodiff. A plain clone would share running
/// statistics.
pub(crate) fn own_copy<M: Module>(module: &M) -> M {
    module.valid().materialize()
}

/// Adds numbers by name.
pub(crate) fn add(sums: &mut [Parameter], more: &[Parameter], what: &'static str) -> Result<(), Error> {
    let known = || sums.iter().map(|own| own.name.clone()).collect::<Vec<_>>();
    if let Some(strange) = more.iter().find(|other| !sums.iter().any(|own| own.name == other.name)) {
        return Err(Error::Missing { what, name: strange.name.clone(), known: known() });
    }
    for own in sums {
        let other = more.iter().find(|other| other.name == own.name).ok_or_else(|| Error::Missing {
            what,
            name: own.name.clone(),
            known: more.iter().map(|other| other.name.clone()).collect(),
        })?;
        other.check_shape(&own.shape)?;
        for (sum, value) in own.values.iter_mut().zip(&other.values) {
            *sum += value;
        }
        own.check_finite(what)?;
    }
    Ok(())
}

impl Parameter {
    /// Refuses a number without a place in an order.
    pub(crate) fn check_finite(&self, what: &'static str) -> Result<(), Error> {
        match self.values.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(index) => {
                Err(Error::NotFiniteScore { what, name: self.name.clone(), index, value: self.values[index] })
            }
        }
    }

    /// Refuses another shape.
    pub(crate) fn check_shape(&self, wanted: &[usize]) -> Result<(), Error> {
        if self.shape == wanted && self.values.len() == wanted.iter().product::<usize>() {
            return Ok(());
        }
        let found = format!("shape {:?} with {} values", self.shape, self.values.len());
        Err(Error::State { name: self.name.clone(), found, wanted: format!("shape {wanted:?}") })
    }
}

struct Read<'a> {
    gradients: &'a GradientsParams,
    names: Option<&'a BTreeSet<String>>,
    found: Vec<Parameter>,
    path: Path,
}

impl ModuleVisitor for Read<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.name();
        if self.names.is_some_and(|names| !names.contains(&name)) {
            return;
        }
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let data = gradient.into_data();
            self.found.push(Parameter { name, shape: data.shape().to_vec(), values: data.iter::<f32>().collect() });
        }
    }
}
