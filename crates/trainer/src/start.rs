//! The weights and masks that a run starts from, when its config names a file: a PyTorch state dict of its model, a model file, or
//! the file that its model is.
//!
//! A parameter is either there as it is, or as `torch.nn.utils.prune` leaves it: `<name>_orig` and `<name>_mask`, of which
//! the product counts. The masks' zeros are pruned from the first step on, and stay so.

mod state_dict;

use crate::config::Zeros;
use crate::files::sha256;
use crate::folder::RunFolder;
use crate::models::{ModelConfig, Source};
use crate::plan::Stage;
use crate::state::Weights;
use crate::{Error, Experiment, ExperimentConfig, export};
use secateur_pruner::{Mask, MaskSet};
use state_dict::StateDict;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a run starts from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Start {
    /// Every parameter of the model, in its order.
    pub parameters: Vec<Weights>,
    /// A mask for every prunable parameter; empty when nothing is pruned now or later.
    pub masks: MaskSet,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// Names that an error lists before it only counts them.
const LISTED: usize = 5;

/// Reads what the experiment's run starts from; `None` when that is nothing. With a `wanted` SHA-256 the file has to be that one.
///
/// # Errors
/// When it cannot be read, holds another model, or masks that the experiment's prunes do not fit.
pub(crate) fn read(experiment: &Experiment, wanted: Option<&str>) -> Result<Option<Start>, Error> {
    let (Some(path), Some((all, sha256))) = (path(experiment.config()), content(experiment, wanted)?) else {
        return Ok(None);
    };
    let mut parameters = vec![];
    let mut found = vec![];
    for own in all {
        let zeros = experiment.config().start_zeros == Zeros::Pruned && experiment.prunable().contains(&&*own.name);
        let keeps = |index: usize| {
            own.mask.as_ref().is_none_or(|mask| mask[index] != 0.0) && !(zeros && own.values[index] == 0.0)
        };
        found.push((own.name.clone(), Mask::from_fn(&own.shape, keeps)));
        parameters.push((own.name, own.shape, own.values));
    }
    let masks = masks(experiment, path, found)?;
    check_first_prune(experiment, &masks)?;
    let weights = |(name, shape, values): (String, Vec<usize>, Vec<f32>)| {
        let kept = masks.get(&name).map_or_else(|| values.clone(), |mask| mask.gather(&values));
        Weights { name, shape, kept }
    };
    let parameters = parameters.into_iter().map(weights).collect();
    Ok(Some(Start { parameters, masks, sha256 }))
}

/// The file that a run of this config starts from, if there is one.
pub(crate) fn path(config: &ExperimentConfig) -> Option<&Path> {
    match (&config.start, &config.model) {
        (Some(path), _) | (None, ModelConfig::File { path, .. }) => Some(path),
        (None, _) => None,
    }
}

/// What that file holds, and its SHA-256.
fn content(experiment: &Experiment, wanted: Option<&str>) -> Result<Option<(Vec<Found>, String)>, Error> {
    let shapes = export::shapes(experiment.graph());
    let Some(path) = &experiment.config().start else {
        let Some(source) = experiment.source() else { return Ok(None) };
        return Ok(Some((named(source.parameters()), source.sha256().to_owned())));
    };
    let load = || match path.extension().and_then(|end| end.to_str()) {
        Some("onnx" | "secateur") => matching(path, named(Source::open(path, None)?.parameters()), &shapes),
        _ => load(path, &shapes),
    };
    // A large file that holds no model is refused before all of it is hashed.
    let first = if wanted.is_none() {
        RunFolder::check_model_file(path)?;
        Some(load()?)
    } else {
        None
    };
    let sha256 = sha256(path)?;
    if wanted.is_some_and(|wanted| wanted != sha256) {
        let why =
            format!("the run was started from another file: SHA-256 {}, found {sha256}", wanted.unwrap_or_default());
        return Err(Error::Run { path: path.clone(), why });
    }
    Ok(Some((first.map_or_else(load, Ok)?, sha256)))
}

/// The parameters of a model file.
fn named(parameters: Vec<Weights>) -> Vec<Found> {
    let own = |Weights { name, shape, kept }| Found { name, shape, values: kept, mask: None };
    parameters.into_iter().map(own).collect()
}

/// The parameters that are expected, out of those of a model file, which has to have them and no others.
fn matching(path: &Path, found: Vec<Found>, expected: &[(String, Vec<usize>)]) -> Result<Vec<Found>, Error> {
    let told = |name: &str, shape: &[usize]| format!("`{name}` {shape:?}");
    let refuse = |why: String| Err(Error::Run { path: path.to_owned(), why });
    let mut all: BTreeMap<String, Found> = found.into_iter().map(|own| (own.name.clone(), own)).collect();
    let mut own = vec![];
    for (name, shape) in expected {
        match all.remove(name) {
            Some(found) if found.shape == *shape => own.push(found),
            Some(found) => {
                return refuse(format!("found {}, expected {}", told(name, &found.shape), told(name, shape)));
            }
            None => {
                let names: Vec<&str> = all.keys().map(String::as_str).collect();
                return refuse(format!("found no `{name}`; the file has {}", listed(names.into_iter())));
            }
        }
    }
    match all.into_values().next() {
        Some(more) => {
            refuse(format!("found {}, expected the model's parameters and nothing else", told(&more.name, &more.shape)))
        }
        None => Ok(own),
    }
}

/// A parameter as a file has it.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    name: String,
    shape: Vec<usize>,
    /// Row-major; zero where the mask is.
    values: Vec<f32>,
    /// Zeros and ones, where the file has a mask.
    mask: Option<Vec<f32>>,
}

/// Reads these parameters from a file that has to hold them and nothing else.
fn load(path: &Path, wanted: &[(String, Vec<usize>)]) -> Result<Vec<Found>, Error> {
    let file = StateDict::open(path)?;
    let names: BTreeSet<&str> = file.names().collect();
    // What PyTorch's parallel and compiled modules put before every name.
    let prefix = ["module.", "_orig_mod."].into_iter().find(|own| names.iter().all(|name| name.starts_with(own)));
    let prefix = prefix.unwrap_or_default();
    let (mut used, mut missing, mut found) = (BTreeSet::new(), vec![], vec![]);
    for (own, shape) in wanted {
        let [name, original, masked] = ["", "_orig", "_mask"].map(|end| format!("{prefix}{own}{end}"));
        let (own, shape) = (own.clone(), shape.clone());
        if names.contains(&*original) && names.contains(&*masked) {
            let mut values = file.weights(&original, &shape)?;
            let mask = file.mask(&masked, &shape)?;
            values.iter_mut().zip(&mask).filter(|(_, keeps)| **keeps == 0.0).for_each(|(value, _)| *value = 0.0);
            check_finite(path, &own, &values)?;
            used.extend([original, masked]);
            found.push(Found { name: own, shape, values, mask: Some(mask) });
        } else if names.contains(&*name) {
            let values = file.weights(&name, &shape)?;
            check_finite(path, &name, &values)?;
            check_variance(path, &name, &values)?;
            used.insert(name);
            found.push(Found { name: own, shape, values, mask: None });
        } else {
            missing.push(own);
        }
    }
    let refuse = |why: String| Err(Error::Run { path: path.to_owned(), why });
    if !missing.is_empty() {
        let all = listed(names.iter().copied());
        return refuse(format!("found no {}; the file has {all}", listed(missing.iter().map(String::as_str))));
    }
    // Beside a running mean PyTorch counts the batches that it has seen, which nothing here depends on.
    let counts = |name: &str| {
        name.strip_suffix("num_batches_tracked").is_some_and(|node| used.contains(&format!("{node}running_mean")))
    };
    let extra: Vec<&str> = names.into_iter().filter(|name| !used.contains(*name) && !counts(name)).collect();
    if !extra.is_empty() {
        return refuse(format!("found {}, wanted the model's parameters and nothing else", listed(extra.into_iter())));
    }
    Ok(found)
}

fn check_finite(path: &Path, name: &str, values: &[f32]) -> Result<(), Error> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(place) => {
            let why = format!("`{name}`: value {place} is {}, wanted finite numbers of f32", values[place]);
            Err(Error::Run { path: path.to_owned(), why })
        }
        None => Ok(()),
    }
}

/// Refuses a running variance that is none.
fn check_variance(path: &Path, name: &str, values: &[f32]) -> Result<(), Error> {
    match values.iter().position(|value| *value < 0.0).filter(|_| name.ends_with(".running_var")) {
        Some(place) => {
            let why =
                format!("`{name}`: value {place} is {}, expected a variance, which is not negative", values[place]);
            Err(Error::Run { path: path.to_owned(), why })
        }
        None => Ok(()),
    }
}

/// The first names, and how many more there are.
fn listed<'a>(mut names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let first: Vec<String> = names.by_ref().take(LISTED).map(|name| format!("`{name}`")).collect();
    match (first.is_empty(), more) {
        (true, _) => "no tensors".into(),
        (false, 0) => first.join(", "),
        (false, more) => format!("{} and {more} more", first.join(", ")),
    }
}

/// The masks of a run that starts with these, one for every parameter.
fn masks(experiment: &Experiment, path: &Path, found: Vec<(String, Mask)>) -> Result<MaskSet, Error> {
    let prunable = experiment.prunable();
    let pruned = |mask: &Mask| mask.total() - mask.kept();
    let (own, foreign): (Vec<_>, Vec<_>) = found.into_iter().partition(|(name, _)| prunable.contains(&&**name));
    if let Some((name, mask)) = foreign.iter().find(|(_, mask)| pruned(mask) > 0) {
        let why = format!(
            "`{name}` has a mask that prunes {} of {} weights, but the config may not prune it; \
             name it in prune.include, or apply the mask for good with torch.nn.utils.prune.remove",
            pruned(mask),
            mask.total()
        );
        return Err(Error::Run { path: PathBuf::from(path), why });
    }
    // A control that never prunes has no masks, unless it starts with some.
    let any = experiment.prunes() || own.iter().any(|(_, mask)| pruned(mask) > 0);
    Ok(MaskSet::new(if any { own } else { vec![] }))
}

/// Refuses a plan whose first prune would have to bring weights back.
fn check_first_prune(experiment: &Experiment, masks: &MaskSet) -> Result<(), Error> {
    let mut targets = experiment.plan().stages.iter().filter_map(|planned| match planned.stage {
        Stage::Prune(target) => Some(target),
        _ => None,
    });
    let (Some(target), Some(pruning)) = (targets.next(), experiment.pruning()) else { return Ok(()) };
    // With latent weights masks are chosen anew from all of them.
    if masks.pruned() == 0 || experiment.has_shadows() {
        return Ok(());
    }
    pruning.check_masks(masks, target).map_err(|error| {
        let why = format!(
            "the start's masks go further than the first prune's target of {:.2} %: {error}",
            100.0 * target.get()
        );
        Error::Meaning { key: "prune.schedule", why }
    })
}

#[cfg(test)]
#[path = "start_tests.rs"]
mod tests;
