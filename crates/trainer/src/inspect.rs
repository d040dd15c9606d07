//! What a report shows of trained models: opens the final models of finished runs and fills the report's views.
//!
//! This is the end of the way, when nothing is left to be chosen: the test split is read here, as `secateur test` reads it.
//! What is not at hand, a data folder or a model, is a note in the views and no error.

mod answers;
mod data;
mod masks;
mod weights;

use crate::folder::RunFolder;
use crate::run::{Place, final_model};
use crate::size::size;
use crate::state::Weights;
use crate::{Error, Experiment, export, folder};
use data::TestImages;
use secateur_pruner::MaskSet;
use secateur_report::RunRecord;
use secateur_report::event::{Score, Size};
use secateur_report::views::{ModelView, Views};
use std::collections::BTreeMap;
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

/// Which models are shown, and on what they are asked.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The folder that the test images are read from, instead of a run's own.
    pub data: Option<&'a Path>,
    /// Where there are too many models, those nearest to this sparsity, in `[0, 1)`, come first.
    pub near: f64,
}

impl Default for Choice<'_> {
    /// 95 %: where methods differ, and most of them still work.
    fn default() -> Self {
        Self { data: None, near: 0.95 }
    }
}

/// Looks into the final models of finished runs: of each experiment the one with the lowest seed, [`MODELS`] of them, and
/// the masks of its seeds. Methods take turns, each with the experiment that is nearest to the chosen sparsity first.
pub fn views(runs: &[Run<'_>], choice: Choice<'_>) -> Views {
    let mut faults = vec![];
    let finished = finished(runs, choice.data, &mut faults);
    let series = in_turn(series(&finished), choice.near);
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
    views.notes = notes(runs, finished.len(), views.models.len(), choice.near);
    let more = faults.len().saturating_sub(NOTES);
    views.notes.extend(faults.into_iter().take(NOTES));
    if more > 0 {
        views.notes.push(format!("There are {more} more notes of this kind."));
    }
    views
}

/// Which runs are shown, where not all of them are.
fn notes(runs: &[Run<'_>], finished: usize, shown: usize, near: f64) -> Vec<String> {
    let ended = runs.iter().filter(|run| run.record.ended.is_some()).count();
    match (ended, shown) {
        (0, _) => vec!["No run has finished, so there is no final model to show.".to_owned()],
        _ if shown < finished => vec![format!(
            "Shown are {shown} of {ended} finished runs: of each experiment the lowest seed, and {MODELS} experiments at most; \
             methods take turns, nearest to {} % first.",
            100.0 * near
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
    let mut found: Vec<Finished<'a>> = vec![];
    let place = Place { data, ..Place::default() };
    // Whether the model is there, and the one that the log names, shows when it is opened.
    for run in runs.iter().filter(|run| run.record.ended.is_some()) {
        let experiment = folder::read_config(run.folder).and_then(|config| {
            let data = folder::read_description(run.folder, &config);
            Experiment::on_data(place.config(config), data)
        });
        match experiment {
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

/// The series in the order in which they are shown: of each name one in turn, the one whose sparsity is nearest to `near`.
fn in_turn<'f, 'a>(mut series: Vec<Vec<&'f Finished<'a>>>, near: f64) -> Vec<Vec<&'f Finished<'a>>> {
    let far = |members: &[&Finished<'_>]| members.first().map_or(0.0, |own| (own.sparsity() - near).abs());
    series.sort_by(|a, b| far(a).total_cmp(&far(b)));
    let mut turns: BTreeMap<&str, usize> = BTreeMap::new();
    series.sort_by_cached_key(|members| {
        let turn = turns.entry(members.first().map_or("", |own| &own.experiment.config().name)).or_default();
        *turn += 1;
        *turn
    });
    series
}

impl Finished<'_> {
    /// Share of zeros among the prunable parameters in the last test.
    fn sparsity(&self) -> f64 {
        let size = self.run.record.tests.last().map(|test| test.tested.size);
        size.map_or(0.0, |size| size.pruned as f64 / size.prunable.max(1) as f64)
    }

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
        final_model(&RunFolder::at(self.run.folder), &self.experiment)
    }

    fn look(&self, images: &mut TestImages, faults: &mut Vec<String>) -> Result<ModelView, Error> {
        let (parameters, masks) = self.trained()?;
        let size = size(&parameters, &masks, &self.experiment);
        let network = export::network(self.experiment.graph(), &parameters, &masks)?;
        drop((parameters, masks));
        let answers = match images.of(self) {
            Ok(split) => Some(answers::answers(&network, split, &self.experiment.data().class_names)?),
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
            warnings: self.unchecked().into_iter().collect(),
        })
    }

    /// Says when an earlier version left the log, without its checksum.
    fn unchecked(&self) -> Option<String> {
        let why =
            "An earlier version wrote the log without a checksum of its own: whether it was changed is not checked.";
        (!self.run.record.checked).then(|| why.to_owned())
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
