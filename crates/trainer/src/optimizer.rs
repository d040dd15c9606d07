//! Which optimizer, in the words of a config, and burn's own that it means.
//!
//! Defaults are PyTorch's, so that runs in both worlds can be compared: burn's Adam has another epsilon, its momentum
//! another dampening.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig};
use secateur_sparse::Optimizer;
use serde::{Deserialize, Serialize};

/// An optimizer. In a config: `optimizer = { kind = "adam", lr = 1e-3 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Adam (Kingma & Ba, 2015); `weight_decay` is added to the gradient.
    Adam {
        /// Learning rate.
        #[serde(default = "adam_lr")]
        lr: f64,
        /// Decay of the first and the second moment.
        #[serde(default = "betas")]
        betas: [f32; 2],
        /// Added to the root of the second moment.
        #[serde(default = "epsilon")]
        epsilon: f32,
        /// L2 penalty.
        #[serde(default)]
        weight_decay: f32,
    },
    /// Adam with decoupled weight decay (Loshchilov & Hutter, 2019).
    Adamw {
        /// Learning rate.
        #[serde(default = "adam_lr")]
        lr: f64,
        /// Decay of the first and the second moment.
        #[serde(default = "betas")]
        betas: [f32; 2],
        /// Added to the root of the second moment.
        #[serde(default = "epsilon")]
        epsilon: f32,
        /// Share of a weight that a step at rate 1 takes away.
        #[serde(default = "adamw_decay")]
        weight_decay: f32,
    },
    /// Stochastic gradient descent with momentum.
    Sgd {
        /// Learning rate.
        #[serde(default = "sgd_lr")]
        lr: f64,
        /// Share of the velocity that is kept; 0 for none.
        #[serde(default)]
        momentum: f64,
        /// Whether to look ahead along the velocity.
        #[serde(default)]
        nesterov: bool,
        /// L2 penalty.
        #[serde(default)]
        weight_decay: f32,
    },
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Adam { lr: adam_lr(), betas: betas(), epsilon: epsilon(), weight_decay: 0.0 }
    }
}

fn adam_lr() -> f64 {
    1e-3
}

fn sgd_lr() -> f64 {
    0.1
}

fn betas() -> [f32; 2] {
    [0.9, 0.999]
}

fn epsilon() -> f32 {
    1e-8
}

fn adamw_decay() -> f32 {
    0.01
}

/// Smallest epsilon that stays above 0 in every step's products.
const LEAST_EPSILON: f32 = 1e-30;

impl OptimizerConfig {
    /// The base learning rate, before any schedule.
    pub fn lr(&self) -> f64 {
        match self {
            Self::Adam { lr, .. } | Self::Adamw { lr, .. } | Self::Sgd { lr, .. } => *lr,
        }
    }

    /// What is wrong with the numbers, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        let share = |name: &str, value: f64| {
            (!(0.0..1.0).contains(&value)).then(|| format!("{name} is {value}, wanted at least 0 and below 1"))
        };
        let (lr, decay, rest) = match *self {
            Self::Adam { lr, betas, epsilon, weight_decay } | Self::Adamw { lr, betas, epsilon, weight_decay } => {
                // The smallest positive numbers become 0 on the way, and a pruned weight's step 0 / 0.
                let epsilon = (!(epsilon >= LEAST_EPSILON && epsilon.is_finite()))
                    .then(|| format!("epsilon is {epsilon:e}, expected at least {LEAST_EPSILON:e}"));
                let betas = betas.iter().find_map(|beta| share("a beta", f64::from(*beta)));
                (lr, weight_decay, betas.or(epsilon))
            }
            Self::Sgd { lr, momentum, nesterov, weight_decay } => {
                let ahead = (nesterov && momentum == 0.0).then(|| "nesterov needs a momentum above 0".to_owned());
                (lr, weight_decay, share("momentum", momentum).or(ahead))
            }
        };
        let decay =
            (!(decay >= 0.0 && decay.is_finite())).then(|| format!("weight_decay is {decay}, wanted at least 0"));
        rate_fault("lr", lr).or(decay).or(rest)
    }

    /// The same optimizer in Secateur's own kernels.
    pub(crate) fn native(&self) -> Optimizer {
        match *self {
            Self::Adam { betas, epsilon, weight_decay, .. } => {
                Optimizer::Adam { betas, epsilon, weight_decay, decoupled: false }
            }
            Self::Adamw { betas, epsilon, weight_decay, .. } => {
                Optimizer::Adam { betas, epsilon, weight_decay, decoupled: true }
            }
            Self::Sgd { momentum, nesterov, weight_decay, .. } => {
                Optimizer::Sgd { momentum: momentum as f32, nesterov, weight_decay }
            }
        }
    }

    /// The same without weight decay.
    pub(crate) fn without_decay(mut self) -> Self {
        match &mut self {
            Self::Adam { weight_decay, .. } | Self::Adamw { weight_decay, .. } | Self::Sgd { weight_decay, .. } => {
                *weight_decay = 0.0;
            }
        }
        self
    }

    /// Burn's optimizer, without any state yet.
    pub fn init(&self) -> ModuleOptimizer {
        let penalty = |decay: f32| (decay > 0.0).then_some(WeightDecayConfig { penalty: decay });
        match *self {
            Self::Adam { betas: [beta_1, beta_2], epsilon, weight_decay, .. } => AdamConfig::new()
                .with_beta_1(beta_1)
                .with_beta_2(beta_2)
                .with_epsilon(epsilon)
                .with_weight_decay(penalty(weight_decay))
                .init(),
            Self::Adamw { betas: [beta_1, beta_2], epsilon, weight_decay, .. } => AdamWConfig::new()
                .with_beta_1(beta_1)
                .with_beta_2(beta_2)
                .with_epsilon(epsilon)
                .with_weight_decay(weight_decay)
                .init(),
            Self::Sgd { momentum, nesterov, weight_decay, .. } => SgdConfig::new()
                .with_momentum((momentum > 0.0).then_some(MomentumConfig { momentum, dampening: 0.0, nesterov }))
                .with_weight_decay(penalty(weight_decay))
                .init(),
        }
    }
}

/// What is wrong with a learning rate, if anything.
pub(crate) fn rate_fault(name: &str, lr: f64) -> Option<String> {
    let (single, most) = (lr as f32, f32::MAX);
    (!(single > 0.0 && single.is_finite()))
        .then(|| format!("{name} is {lr:?}, expected above 0 and within the range of f32, which ends at {most:e}"))
}

/// The optimizer with its options, for tables and logs.
impl std::fmt::Display for OptimizerConfig {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Adam { lr, weight_decay, .. } => write!(out, "adam lr {lr}{}", decayed(*weight_decay)),
            Self::Adamw { lr, weight_decay, .. } => write!(out, "adamw lr {lr}{}", decayed(*weight_decay)),
            Self::Sgd { lr, momentum, weight_decay, .. } => {
                write!(out, "sgd lr {lr} momentum {momentum}{}", decayed(*weight_decay))
            }
        }
    }
}

fn decayed(decay: f32) -> String {
    if decay > 0.0 { format!(" weight decay {decay}") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_named() {
        let adam = |lr, beta, epsilon, weight_decay| {
            OptimizerConfig::Adam { lr, betas: [beta, 0.999], epsilon, weight_decay }.fault()
        };
        assert_eq!(OptimizerConfig::default().fault(), None);
        assert_eq!(
            adam(0.0, 0.9, 1e-8, 0.0).as_deref(),
            Some("lr is 0.0, expected above 0 and within the range of f32, which ends at 3.4028235e38")
        );
        for lr in [f64::NAN, 1e300, 1e40, 1e-60] {
            assert!(
                adam(lr, 0.9, 1e-8, 0.0).is_some_and(|fault| fault.starts_with(&format!("lr is {lr:?}, "))),
                "{lr}"
            );
        }
        assert!(
            adam(1e-3, 0.9, 1e-44, 0.0).is_some_and(|fault| fault.starts_with("epsilon is 1e-44, expected at least"))
        );
        assert!(adam(1e-3, 1.0, 1e-8, 0.0).is_some_and(|fault| fault.contains("beta")));
        assert!(adam(1e-3, 0.9, 0.0, 0.0).is_some_and(|fault| fault.contains("epsilon")));
        assert!(adam(1e-3, 0.9, 1e-8, -1.0).is_some_and(|fault| fault.contains("weight_decay")));
        let sgd = OptimizerConfig::Sgd { lr: 0.1, momentum: 0.0, nesterov: true, weight_decay: 0.0 };
        assert!(sgd.fault().is_some_and(|fault| fault.contains("nesterov")));
    }
}
