//! The exponential moving average of the weights over the steps of a training: what is validated, kept and tested where the
//! config asks for it (Polyak & Juditsky, 1992).
//!
//! It has the parameters of the model, running statistics included, as far as the masks keep them. A training that chooses
//! an epoch begins a new one, and ends with it.

use crate::Error;
use crate::session::Session;
use crate::state::{State, Weights};
use secateur_report::event::Score;
use serde::{Deserialize, Serialize};

/// How weights are averaged: every `every_steps` steps `average = decay * average + (1 - decay) * weights`.
///
/// In a config: `average = { decay = 0.999 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AverageConfig {
    /// Fraction of the average that stays, in (0, 1). The `n`-th time, from 0, it is `(1 + n) / (10 + n)` if that is less,
    /// so that the average does not hang on to where the training began.
    pub decay: f64,
    /// Steps from one time to the next.
    #[serde(default = "each")]
    pub every_steps: u64,
}

fn each() -> u64 {
    1
}

impl AverageConfig {
    /// The fraction that stays the `n`-th time.
    fn decay(&self, n: u64) -> f64 {
        self.decay.min((1.0 + n as f64) / (10.0 + n as f64))
    }

    /// What is wrong with the numbers, as the key within this table and why.
    pub(crate) fn fault(&self) -> Option<(&'static str, String)> {
        if !(self.decay > 0.0 && self.decay < 1.0) {
            return Some(("train.average.decay", format!("found {}, expected above 0 and below 1", self.decay)));
        }
        (self.every_steps == 0).then(|| ("train.average.every_steps", "found 0, expected at least 1".into()))
    }
}

impl Session<'_> {
    /// Takes the weights into the average after the step that is the `stage_step`-th of its training, where it is due.
    pub(crate) fn take_into_average(&mut self) {
        let Some(config) = self.experiment.config().train.average else { return };
        let step = self.cursor.stage_step;
        if !step.is_multiple_of(config.every_steps) {
            return;
        }
        let weights = self.engine.parameters();
        match &mut self.average {
            None => self.average = Some(weights),
            Some(average) => {
                let decay = config.decay(step / config.every_steps - 1);
                mix(average, &weights, decay);
            }
        }
    }

    /// The score on the validation split of what the training would end with now: of the average, if there is one.
    pub(crate) fn validated(&mut self) -> Result<Score, Error> {
        let split = &self.dataset.validation;
        let Some(average) = &self.average else { return Ok(self.score("validation", split)) };
        let own = self.engine.state()?;
        self.set(State { parameters: average.clone(), ..own.clone() })?;
        let score = self.score("validation", split);
        self.set(own)?;
        Ok(score)
    }

    /// The parameters that the training would end with now.
    pub(crate) fn outcome(&self) -> Vec<Weights> {
        self.average.clone().unwrap_or_else(|| self.engine.parameters())
    }
}

/// `average = decay * average + (1 - decay) * weights`, value by value.
fn mix(average: &mut [Weights], weights: &[Weights], decay: f64) {
    for (average, weights) in average.iter_mut().zip(weights) {
        for (own, new) in average.kept.iter_mut().zip(&weights.kept) {
            *own = (decay * f64::from(*own) + (1.0 - decay) * f64::from(*new)) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_times_count_more() {
        let config = AverageConfig { decay: 0.9, every_steps: 1 };
        assert_eq!([0, 1, 8, 90, 1_000_000].map(|n| config.decay(n)), [0.1, 2.0 / 11.0, 0.5, 0.9, 0.9]);
        let of = |kept: &[f32]| vec![Weights { name: "a".into(), shape: vec![2], kept: kept.to_vec() }];
        let mut average = of(&[1.0, 2.0]);
        mix(&mut average, &of(&[3.0, 0.0]), 0.75);
        assert_eq!(average, of(&[1.5, 1.5]));
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let fault = |decay, every_steps| AverageConfig { decay, every_steps }.fault().map(|(key, _)| key);
        assert_eq!(fault(0.999, 1), None);
        for decay in [0.0, 1.0, -0.5, f64::NAN] {
            assert_eq!(fault(decay, 1), Some("train.average.decay"));
        }
        assert_eq!(fault(0.5, 0), Some("train.average.every_steps"));
    }
}
