//! Which training images a model has learned from, so that no run chooses by images that the model it starts from was
//! trained on.

use crate::data::{self, Dataset};
use crate::tensor_file::TensorReader;
use crate::{Error, Experiment, folder, start};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Key of a model's header in safetensors under which its splits are told, as JSON.
pub(crate) const NOTE: &str = "secateur.trained_on";

/// A set of images and the split of it that a model was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TrainedOn {
    /// SHA-256 of the raw file of training images, or of the list of those of several files.
    pub images: String,
    /// What says which images were held out.
    pub split_seed: u64,
    /// Images that were held out.
    pub validation: usize,
}

/// The splits that the run's model will have been trained on, those of its start included.
///
/// # Errors
/// When the start was trained on images that this run would choose by.
pub(crate) fn with_start(experiment: &Experiment, dataset: &Dataset) -> Result<Vec<TrainedOn>, Error> {
    let own = own(experiment, dataset);
    let start = start::path(experiment.config());
    let before = match start {
        Some(path) => of_file(path),
        None => vec![],
    };
    let training = dataset.train.len() + dataset.validation.len();
    if let (Some(own), Some(path)) = (&own, start) {
        if before.is_empty() && own.validation > 0 {
            tracing::warn!(
                "{}: nothing says which images it was trained on; validation images may be among them",
                path.display()
            );
        }
        let key = if experiment.config().start.is_some() { "start" } else { "model.path" };
        check(own, &before, training, (key, path))?;
    }
    Ok(joined(before, own))
}

/// The run's own split; images out of a formula have none, since those for validation are drawn apart.
fn own(experiment: &Experiment, dataset: &Dataset) -> Option<TrainedOn> {
    let data = &experiment.config().data;
    let images = data::training_sha256(data.source, &dataset.files)?;
    Some(TrainedOn { images, split_seed: data.split_seed, validation: data.validation })
}

/// What a run's folder says, or a file itself, or the run's folder in which it lies; nothing where none of them is known.
pub(crate) fn of_file(path: &Path) -> Vec<TrainedOn> {
    if path.is_dir() {
        return of_run(path);
    }
    let noted = || {
        let file = TensorReader::open(path).ok()?;
        serde_json::from_str(file.note(NOTE)?).ok()
    };
    noted().unwrap_or_else(|| path.parent().map(of_run).unwrap_or_default())
}

/// What a run's folder says; nothing where it is none.
pub(crate) fn of_run(run: &Path) -> Vec<TrainedOn> {
    let told = || {
        let (manifest, config) = (folder::read_manifest(run).ok()?, folder::read_config(run).ok()?);
        if !manifest.trained_on.is_empty() {
            return Some(manifest.trained_on);
        }
        let images = manifest.files.into_iter().next()?.sha256;
        Some(vec![TrainedOn { images, split_seed: config.data.split_seed, validation: config.data.validation }])
    };
    told().unwrap_or_default()
}

/// The splits as a model's header tells them under [`NOTE`]; `None` where nothing is known of them.
pub(crate) fn note(splits: &[TrainedOn]) -> Option<String> {
    (!splits.is_empty()).then(|| serde_json::to_string(splits).expect("plain data"))
}

/// Refuses a start that was trained on images which this run would choose by.
fn check(own: &TrainedOn, before: &[TrainedOn], training: usize, (key, start): (&str, &Path)) -> Result<(), Error> {
    for other in before.iter().filter(|other| other.images == own.images) {
        let seen = data::overlap(training, (own.split_seed, own.validation), (other.split_seed, other.validation))?;
        if seen > 0 {
            let why = format!(
                "`{key}` = {} was trained on {seen} of this run's {} validation images, expected none, since the run chooses \
                 by them; set data.split_seed = {} and data.validation to at most {}, as in its training, or data.validation = 0",
                start.display(),
                own.validation,
                other.split_seed,
                other.validation
            );
            return Err(Error::Meaning { key: "data.split_seed", why });
        }
    }
    Ok(())
}

/// All splits, each once.
fn joined(before: Vec<TrainedOn>, own: Option<TrainedOn>) -> Vec<TrainedOn> {
    let mut all: Vec<TrainedOn> = vec![];
    for split in before.into_iter().chain(own) {
        if !all.contains(&split) {
            all.push(split);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(split_seed: u64, validation: usize) -> TrainedOn {
        TrainedOn { images: "aa".into(), split_seed, validation }
    }

    #[test]
    fn a_start_that_was_trained_on_validation_images_is_refused() {
        let check =
            |own: TrainedOn, before: &[TrainedOn]| check(&own, before, 1_000, ("start", Path::new("m.safetensors")));
        check(split(1, 100), &[split(1, 100)]).expect("the same split");
        check(split(1, 50), &[split(1, 100)]).expect("fewer of the same");
        check(split(2, 0), &[split(1, 100)]).expect("nothing is chosen");
        check(split(2, 100), &[TrainedOn { images: "bb".into(), ..split(1, 100) }]).expect("other images");
        check(split(2, 100), &[]).expect("unknown");
        let error = check(split(1, 100), &[split(1, 50)]).expect_err("more held out").to_string();
        assert!(error.contains("trained on 50 of this run's 100 validation images"), "{error}");
        let error = check(split(2, 100), &[split(2, 100), split(1, 100)]).expect_err("its own start").to_string();
        assert!(error.contains("`data.split_seed`") && error.contains("set data.split_seed = 1"), "{error}");
    }

    #[test]
    fn what_a_model_was_trained_on_adds_up() {
        let all = joined(vec![split(1, 100)], Some(split(2, 0)));
        assert_eq!(all, [split(1, 100), split(2, 0)]);
        assert_eq!(joined(all.clone(), Some(split(1, 100))), all);
        assert_eq!(joined(vec![], None), []);
    }
}
