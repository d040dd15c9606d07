//! What a report shows of trained models: opens the final models of finished runs and fills the report's views.
//!
//! This is the end of the way, when nothing is left to be chosen: the test split is read here, as `secateur test` reads it.
//! What is not at hand, a data folder or a model, is a note in the views and no error.

mod answers;
mod data;
mod masks;
mod weights;

use crate::files::sha256;
use crate::run::Place;
use crate::size::size;
use crate::state::Weights;
use crate::{Error, Experiment, export, folder};
use data::TestImages;
use secateur_pruner::MaskSet;
use secateur_report::event::{Score, Size};
use secateur_report::views::{ModelView, Views};
use secateur_report::{RunRecord, State};
use std::path::Path;

/// Models that are looked into, at most: a page over hundreds of runs stays small.
pub const MODELS: usize = 6;
/// Notes on single runs, at most.
const NOTES: usize = 6;

/// A run that a report is about.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What the report calls it.
    pub label: &'a str,
    /// Its folder.
    pub folder: &'a Path,
    /// What its log says.
    pub record: &'a RunRecord,
}

/// Looks into the final models of finished runs: of each experiment the one with the lowest seed, [`MODELS`] of them, and
/// the masks of its seeds. `data` replaces the folder that the test images are read from.
pub fn views(runs: &[Run<'_>], data: Option<&Path>) -> Views {
    let mut faults = vec![];
    let finished = finished(runs, data, &mut faults);
    let series = series(&finished);
    let mut images = TestImages::default();
    let mut views = Views::default();
    for members in series.iter().take(MODELS) {
        // The next seed stands in for a run whose model cannot be read.
        let found = members.iter().find_map(|member| match member.look(&mut images, &mut faults) {
            Ok(view) => Some(view),
            Err(error) => {
                faults.push(format!("{} is not shown: {error}.", member.run.label));
                None
            }
        });
        views.models.extend(found);
        views.overlaps.extend(masks::overlap(members, &mut faults));
    }
    views.notes = notes(runs, finished.len(), views.models.len());
    let more = faults.len().saturating_sub(NOTES);
    views.notes.extend(faults.into_iter().take(NOTES));
    if more > 0 {
        views.notes.push(format!("There are {more} more notes of this kind."));
    }
    views
}

/// Which runs are shown, where not all of them are.
fn notes(runs: &[Run<'_>], finished: usize, shown: usize) -> Vec<String> {
    let ended = runs.iter().filter(|run| run.record.state() == State::Finished).count();
    match (ended, shown) {
        (0, _) => vec!["No run has finished, so there is no final model to show.".to_owned()],
        _ if shown < finished => vec![format!(
            "Shown are {shown} of {ended} finished runs: of each experiment the lowest seed, and {MODELS} experiments at most."
        )],
        _ => vec![],
    }
}

/// A finished run with its experiment.
struct Finished<'a> {
    run: &'a Run<'a>,
    experiment: Experiment,
}

fn finished<'a>(runs: &'a [Run<'a>], data: Option<&Path>, faults: &mut Vec<String>) -> Vec<Finished<'a>> {
    let mut found = vec![];
    for run in runs.iter().filter(|run| run.record.state() == State::Finished) {
        let place = Place { data, ..Place::default() };
        match folder::read_experiment(run.folder).and_then(|experiment| place.apply(experiment)) {
            Ok(experiment) => found.push(Finished { run, experiment }),
            Err(error) => faults.push(format!("{} is not shown: {error}.", run.label)),
        }
    }
    found
}

/// The runs by experiment, in the order in which each was first named, and by seed; a seed that was named twice counts once.
fn series<'f, 'a>(finished: &'f [Finished<'a>]) -> Vec<Vec<&'f Finished<'a>>> {
    let mut found: Vec<(String, Vec<&Finished<'a>>)> = vec![];
    for own in finished {
        let name = own.series();
        match found.iter_mut().find(|(other, _)| *other == name) {
            Some((_, members)) => members.push(own),
            None => found.push((name, vec![own])),
        }
    }
    let sorted = found.into_iter().map(|(_, mut members)| {
        members.sort_by_key(|own| own.seed());
        members.dedup_by_key(|own| own.seed());
        members
    });
    sorted.collect()
}

impl Finished<'_> {
    fn seed(&self) -> u64 {
        self.experiment.config().seed
    }

    /// The run's name without its seed: what experiments of one series share.
    fn series(&self) -> String {
        let name = self.experiment.run_name();
        name.strip_suffix(&format!("-s{}", self.seed())).unwrap_or(&name).to_owned()
    }

    /// The final model's parameters, and a mask for the zeros of each that may be pruned.
    fn trained(&self) -> Result<(Vec<Weights>, MaskSet), Error> {
        let path = folder::model(self.run.folder);
        if !path.is_file() {
            return Err(Error::Run { path, why: "found no final model, wanted the one that the run left".into() });
        }
        export::read(&path, &self.experiment)
    }

    fn look(&self, images: &mut TestImages, faults: &mut Vec<String>) -> Result<ModelView, Error> {
        let (parameters, masks) = self.trained()?;
        let size = size(&parameters, &masks, &self.experiment);
        let network = export::network(self.experiment.network(), &parameters, &masks)?;
        drop((parameters, masks));
        let answers = match images.of(self) {
            Ok(split) => Some(answers::answers(&network, split)),
            Err(error) => {
                faults.push(format!("The answers of {} are not shown: {error}.", self.run.label));
                None
            }
        };
        let filters = weights::filters(&network);
        Ok(ModelView {
            run: self.run.label.to_owned(),
            model: self.experiment.config().model.to_string(),
            seed: self.seed(),
            logged: logged(self.run.record, &size),
            size,
            layers: weights::layers(self, network, faults)?,
            filters,
            answers,
            warnings: self.altered().into_iter().collect(),
        })
    }

    /// Says when the model file is not the one that the run's log names.
    fn altered(&self) -> Option<String> {
        let wanted = &self.run.record.ended.as_ref()?.model_sha256;
        match sha256(&folder::model(self.run.folder)) {
            Ok(found) if found == *wanted => None,
            Ok(found) => Some(format!("The model file has SHA-256 {found}, the log says {wanted}.")),
            Err(error) => Some(format!("{error}.")),
        }
    }
}

/// What the log says of the network of this size: its last test. A run may go on from another network than it tested last.
fn logged(record: &RunRecord, size: &Size) -> Option<Score> {
    let same = |own: &Size| (own.nonzero, own.remaining_macs) == (size.nonzero, size.remaining_macs);
    record.tests.iter().rfind(|test| same(&test.tested.size)).map(|test| test.tested.score)
}

#[cfg(test)]
#[path = "inspect/tests.rs"]
mod tests;
