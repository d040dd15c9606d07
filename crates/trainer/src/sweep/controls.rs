//! The runs that a sweep's methods are compared with, and which runs are the same. A control keeps what makes it one,
//! whatever the axes say.

use super::axes::{Changes, decides, is_within, section};
use super::{Family, Maker};
use crate::config::{CriterionConfig, ExperimentConfig, RetrainConfig};
use crate::{Error, Experiment};
use std::collections::BTreeSet;

const CRITERION: &str = "prune.criterion";
const ENABLED: &str = "prune.enabled";

/// The random control: the base pruned at random, over all axes but that of the criterion.
pub(super) fn random(maker: &Maker<'_>, points: &[Changes], notes: &mut Vec<String>) -> Result<Vec<Family>, Error> {
    let fixed = Changes::one(CRITERION, "\"random\"");
    let own = |why: String| maker.refuse(format!("the random control: {why}. `random = false` leaves it out"));
    for (axis, values) in &maker.config.axes {
        if values.as_array().into_iter().flatten().any(|value| decides(axis, value, CRITERION)) {
            notes
                .push(format!("the random control prunes at random, whatever the axis `{axis}` says of `{CRITERION}`"));
        }
    }
    let mut families: Vec<Family> = vec![];
    let mut known = BTreeSet::new();
    for point in points {
        let changes = point.only(|key| !is_within(key, CRITERION)).then(&fixed);
        if !known.insert(changes.clone()) {
            continue;
        }
        let family = maker.family("random", point, changes).map_err(|error| own(error.to_string()))?;
        let criteria = family.experiment.config().prune.as_ref().map(|prune| prune.criteria()).unwrap_or_default();
        if let Some(other) = criteria.into_iter().find(|criterion| *criterion != CriterionConfig::Random) {
            let why = format!("expected nothing but `random` as criterion, found {other} in `prune.layers`");
            return Err(own(why));
        }
        families.push(family);
    }
    Ok(families)
}

/// The dense controls: for each cell that prunes one that has its training settings and trains for as many steps, and
/// prunes nothing; each once.
pub(super) fn dense(maker: &Maker<'_>, families: &[Family]) -> Result<Vec<Family>, Error> {
    let fixed = Changes::one(ENABLED, "false");
    let mut controls: Vec<Family> = vec![];
    let mut known = BTreeSet::new();
    for family in families.iter().filter(|family| family.experiment.prunes()) {
        let mut config = family.experiment.config().clone();
        if let Some(prune) = &mut config.prune {
            prune.enabled = false;
        }
        let own = |error: Error| maker.refuse(format!("the dense control: {error}. `dense = false` leaves it out"));
        let training = training(&Experiment::on_data(config, family.experiment.data().clone()).map_err(own)?);
        if !known.insert(training.clone()) {
            continue;
        }
        // The base with the fewest changes that lead to this training: what is not of training names no other run.
        let trained = family.point.only(|key| !["prune", "retrain"].contains(&section(key)));
        let mut found = None;
        for changes in [trained, family.point.clone(), family.changes.clone()] {
            let changes = changes.only(|key| !is_within(key, ENABLED)).then(&fixed);
            let control = maker.family("dense", &family.point, changes);
            let fits = control.as_ref().is_ok_and(|control| self::training(&control.experiment) == training);
            found = Some(control);
            if fits {
                break;
            }
        }
        controls.extend(found.transpose().map_err(own)?);
    }
    Ok(controls)
}

/// What a dense control has in common with the runs beside it: how they train, and for how long.
fn training(experiment: &Experiment) -> (String, u64) {
    let mut config = apart(experiment.config());
    (config.test, config.checkpoint, config.measure, config.threads) = Default::default();
    (unpruned(config).to_toml(), experiment.plan().steps())
}

/// What a run does, whatever it is called. Of one that prunes nothing it does not matter how it would have pruned.
pub(super) fn identity(experiment: &Experiment) -> String {
    let config = apart(experiment.config());
    if experiment.prunes() {
        return config.to_toml();
    }
    format!("{}{:?}", unpruned(config).to_toml(), experiment.plan().stages)
}

/// A config without what names the run.
fn apart(config: &ExperimentConfig) -> ExperimentConfig {
    ExperimentConfig { name: String::new(), seed: 0, ..config.clone() }
}

fn unpruned(config: ExperimentConfig) -> ExperimentConfig {
    ExperimentConfig { prune: None, retrain: RetrainConfig::default(), ..config }
}
