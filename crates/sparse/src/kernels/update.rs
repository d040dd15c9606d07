//! The optimizer's update, a vector at a time, so that it can stand at the end of a gradient's tile.

use crate::lanes::Lanes;
use crate::simd::Vector;

/// An optimizer with its options; see Kingma & Ba (2015), Loshchilov & Hutter (2019), Sutskever et al. (2013).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Adam.
    Adam {
        /// Decay of the first and the second moment.
        betas: [f32; 2],
        /// Added to the root of the second moment.
        epsilon: f32,
        /// Weight decay.
        weight_decay: f32,
        /// Whether the decay takes from the weight (AdamW) or adds to the gradient (an L2 penalty).
        decoupled: bool,
    },
    /// Stochastic gradient descent.
    Sgd {
        /// Share of the velocity that is kept; 0 for none.
        momentum: f32,
        /// Whether to look ahead along the velocity.
        nesterov: bool,
        /// L2 penalty.
        weight_decay: f32,
    },
}

/// Adam as PyTorch has it.
impl Default for Optimizer {
    fn default() -> Self {
        Self::Adam { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.0, decoupled: false }
    }
}

/// All that a training step does with gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Whether weight decay is for the weights of convolutions and fully connected layers only: biases, and what batch
    /// normalisation learns, are spared.
    pub decays_weights_only: bool,
    /// Fraction of the target that all classes get in equal parts, in `[0, 1)`; Szegedy et al. (2016).
    pub label_smoothing: f32,
    /// How a teacher's answers count, where there are any.
    pub distillation: Distillation,
    /// Length that the gradient of all parameters together is cut to, if it is longer; Pascanu et al. (2013).
    pub max_norm: Option<f32>,
}

/// The optimizer alone.
/// Learning from the answers of another network (Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015): the
/// loss is `(1 - weight)` times that of the labels, and `weight temperature^2` times the cross-entropy between the softmax of both
/// networks' logits, each divided by the temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distillation {
    /// What logits are divided by.
    pub temperature: f32,
    /// The part of the teacher in the loss, from 0 to 1.
    pub weight: f32,
}

impl Default for Distillation {
    fn default() -> Self {
        Self { temperature: 1.0, weight: 1.0 }
    }
}

impl From<Optimizer> for Update {
    fn from(optimizer: Optimizer) -> Self {
        Self {
            optimizer,
            decays_weights_only: false,
            label_smoothing: 0.0,
            distillation: Distillation::default(),
            max_norm: None,
        }
    }
}

impl Update {
    /// What is held for a parameter: the weight of a convolution or a fully connected layer, or another one.
    pub(crate) fn held(&self, is_weight: bool) -> Held {
        Held {
            moments: self.optimizer.moments(),
            decays: is_weight || !self.decays_weights_only,
            gathers: self.max_norm.is_some(),
        }
    }
}

/// What training holds for a parameter beside its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Held {
    /// Numbers that the optimizer remembers for each value.
    pub moments: usize,
    /// Whether weight decay is for it.
    pub decays: bool,
    /// Whether its gradient is gathered first, since all gradients together say how far it goes.
    pub gathers: bool,
}

impl Optimizer {
    /// Numbers that are remembered for each weight.
    pub fn moments(&self) -> usize {
        match self {
            Self::Adam { .. } => 2,
            Self::Sgd { momentum, .. } => usize::from(*momentum > 0.0),
        }
    }

    /// The rule of the step that is the `time`-th, from 1, at this learning rate.
    pub(crate) fn rule(&self, lr: f64, time: u64) -> Rule {
        match *self {
            Self::Adam { betas: [beta_1, beta_2], epsilon, weight_decay, decoupled } => {
                // After two billion steps the corrections are 1 anyway.
                let time = i32::try_from(time).unwrap_or(i32::MAX);
                let root = (1.0 - beta_2.powi(time)).sqrt();
                Rule::Adam {
                    beta_1,
                    beta_2,
                    rate: lr as f32 * (root / (1.0 - beta_1.powi(time))),
                    // Never 0, which an f32 rounds the product of two small numbers to: a weight that is pruned, with
                    // no moments, has to divide its zero by something.
                    epsilon: (epsilon * root).max(f32::MIN_POSITIVE),
                    penalty: if decoupled { 0.0 } else { weight_decay },
                    shrink: if decoupled { (1.0 - lr * f64::from(weight_decay)) as f32 } else { 1.0 },
                }
            }
            Self::Sgd { momentum, nesterov, weight_decay } => {
                Rule::Sgd { lr: lr as f32, momentum, nesterov, penalty: weight_decay, first: time <= 1 }
            }
        }
    }
}

/// An optimizer at one step, its constants worked out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    Adam { beta_1: f32, beta_2: f32, rate: f32, epsilon: f32, penalty: f32, shrink: f32 },
    Sgd { lr: f32, momentum: f32, nesterov: bool, penalty: f32, first: bool },
}

/// Sixteen weights and what the optimizer remembers of them.
pub(crate) struct Slot<'a> {
    pub weight: &'a mut Lanes,
    pub moments: [Option<&'a mut Lanes>; 2],
}

impl Rule {
    /// The same without weight decay.
    pub(crate) fn without_decay(self) -> Self {
        match self {
            Self::Adam { beta_1, beta_2, rate, epsilon, .. } => {
                Self::Adam { beta_1, beta_2, rate, epsilon, penalty: 0.0, shrink: 1.0 }
            }
            Self::Sgd { lr, momentum, nesterov, first, .. } => {
                Self::Sgd { lr, momentum, nesterov, penalty: 0.0, first }
            }
        }
    }

    /// Moves sixteen weights along their gradient. A weight of zero with no gradient and no moments stays `+0.0`.
    #[inline(always)]
    pub(crate) fn apply<V: Vector>(&self, slot: Slot<'_>, gradient: V) {
        let weight = V::load(slot.weight);
        match (*self, slot.moments) {
            (Self::Adam { beta_1, beta_2, rate, epsilon, penalty, shrink }, [Some(first), Some(second)]) => {
                let gradient = weight.mul_add(V::splat(penalty), gradient);
                let m = V::splat(beta_1).mul(V::load(first)).add(V::splat(1.0 - beta_1).mul(gradient));
                let squared = gradient.mul(gradient);
                let v = V::splat(beta_2).mul(V::load(second)).add(V::splat(1.0 - beta_2).mul(squared));
                m.store(first);
                v.store(second);
                let delta = V::splat(rate).mul(m).div(v.sqrt().add(V::splat(epsilon)));
                weight.mul(V::splat(shrink)).sub(delta).store(slot.weight);
            }
            (Self::Sgd { lr, momentum, nesterov, penalty, first }, [velocity, _]) => {
                let gradient = weight.mul_add(V::splat(penalty), gradient);
                let mut way = gradient;
                if let Some(velocity) = velocity {
                    if !first {
                        way = V::splat(momentum).mul_add(V::load(velocity), gradient);
                    }
                    way.store(velocity);
                    if nesterov {
                        way = V::splat(momentum).mul_add(way, gradient);
                    }
                }
                weight.sub(V::splat(lr).mul(way)).store(slot.weight);
            }
            (Self::Adam { .. }, _) => unreachable!("adam remembers two moments"),
        }
    }
}
