//! The file of scores that a config's `prune.scores` names.

use crate::config::CriterionConfig;
use crate::files::{self, sha256};
use crate::{Error, Experiment, export};
use secateur_pruner::Saliency;
use std::path::Path;

/// The file that the config names, if any.
pub(crate) fn path(experiment: &Experiment) -> Option<&Path> {
    experiment.config().prune.as_ref()?.scores.as_deref()
}

/// Reads the file that the config names, and its SHA-256; `None` when it names none. With a `wanted` SHA-256 the file has to
/// be that one.
///
/// # Errors
/// When it cannot be read, or has not a finite score for each weight that is pruned by it.
pub(crate) fn read(experiment: &Experiment, wanted: Option<&str>) -> Result<Option<(Saliency, String)>, Error> {
    let (Some(path), Some(pruning)) = (path(experiment), experiment.pruning()) else { return Ok(None) };
    let refuse = |why: String| Error::Run { path: path.to_owned(), why };
    let found = sha256(path)?;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
        return Err(refuse(format!("the run was started with another file: SHA-256 {wanted}, found {found}")));
    }
    let bytes = files::read(path)?;
    let scores = Saliency::from_safetensors(&bytes).map_err(|error| refuse(error.to_string()))?;
    for (name, shape) in export::shapes(experiment.graph()) {
        let found = scores.get(&name).map(|own| &own.shape);
        let needed = pruning.criterion(&name) == Some(CriterionConfig::Scores);
        if needed && found != Some(&shape) {
            let found = found.map_or("nothing".into(), |shape| format!("shape {shape:?}"));
            return Err(refuse(format!("`{name}` has {found}, wanted scores of shape {shape:?}")));
        }
    }
    Ok(Some((scores, found)))
}
