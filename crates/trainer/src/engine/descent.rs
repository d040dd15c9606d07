//! A step of burn's optimizer with what a config asks for beside it: gradients cut to a length, and parameters that are spared
//! weight decay.

use crate::config::{DecayOf, TrainConfig};
use crate::models::{self, Net};
use crate::{Error, Experiment};
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use secateur_graph::Role;
use secateur_pruner::OptimizerState;
use std::collections::BTreeMap;

/// burn's optimizer; two of them where not all parameters decay.
pub(super) struct Descent {
    config: TrainConfig,
    optimizer: ModuleOptimizer,
    /// For the parameters of these ids and names, which do not decay.
    spared: Option<(ModuleOptimizer, BTreeMap<ParamId, String>)>,
}

impl Descent {
    /// An optimizer without any state.
    pub(super) fn new(experiment: &Experiment) -> Self {
        let config = experiment.config().train.clone();
        let spared = match config.weight_decay_of {
            DecayOf::All => None,
            DecayOf::Weights => {
                let parameters = experiment.graph().parameters().iter();
                let others = parameters.filter(|own| own.role != Role::Weight);
                let ids = others.map(|own| (models::id(&own.name), own.name.clone())).collect();
                Some((config.optimizer.without_decay().init(), ids))
            }
        };
        Self { optimizer: config.optimizer.init(), spared, config }
    }

    /// The module, moved along these gradients.
    pub(super) fn step(&mut self, lr: f64, net: Net, mut gradients: GradientsParams) -> Net {
        if let Some(most) = self.config.max_gradient_norm {
            let mut squares = Squares { gradients: &gradients, sum: 0.0 };
            net.visit(&mut squares);
            // As PyTorch's `clip_grad_norm_` has it.
            let factor = f64::from(most) / (squares.sum.sqrt() + 1e-6);
            if factor < 1.0 {
                net.visit(&mut Scaled { gradients: &mut gradients, factor });
            }
        }
        let Some((spared, ids)) = &mut self.spared else { return self.optimizer.step(lr, net, gradients) };
        let mut others = GradientsParams::new();
        net.visit(&mut Taken { from: &mut gradients, ids, others: &mut others });
        let net = self.optimizer.step(lr, net, gradients);
        spared.step(lr, net, others)
    }

    /// What is remembered.
    pub(super) fn state(&self) -> Result<OptimizerState, Error> {
        let mut state = OptimizerState::read(&self.optimizer)?;
        if let Some((spared, _)) = &self.spared {
            let OptimizerState { tensors, counters } = OptimizerState::read(spared)?;
            state.tensors.extend(tensors);
            state.counters.extend(counters);
        }
        Ok(state)
    }

    /// Remembers this instead, for the parameters of `net`.
    pub(super) fn set(&mut self, mut state: OptimizerState, net: &Net) -> Result<(), Error> {
        if let Some((spared, ids)) = &mut self.spared {
            let is_spared = |name: &String| ids.values().any(|own| own == name);
            let tensors = state.tensors.extract_if(.., |own| is_spared(&own.parameter)).collect();
            let counters = state.counters.extract_if(.., |(name, _), _| is_spared(name)).collect();
            let fresh = self.config.optimizer.without_decay().init();
            *spared = OptimizerState { tensors, counters }.write(fresh, net)?;
        }
        self.optimizer = state.write(self.config.optimizer.init(), net)?;
        Ok(())
    }
}

/// Adds up the squares of all gradients.
struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sum += f64::from(gradient.square().sum().into_scalar::<f32>());
        }
    }
}

/// Multiplies all gradients.
struct Scaled<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scaled<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient.mul_scalar(self.factor));
        }
    }
}

/// Takes the gradients of some parameters out.
struct Taken<'a> {
    from: &'a mut GradientsParams,
    ids: &'a BTreeMap<ParamId, String>,
    others: &'a mut GradientsParams,
}

impl ModuleVisitor for Taken<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.ids.contains_key(&param.id)
            && let Some(gradient) = self.from.remove::<D>(param.id)
        {
            self.others.register(param.id, gradient);
        }
    }
}
