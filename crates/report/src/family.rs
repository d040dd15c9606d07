//! Runs whose costs may be compared: one kind of model in all its sizes, on the same test images. A pruned network has
//! to beat the small dense one that costs as much, and that one is a run of another size.

use std::collections::BTreeMap;

use crate::chart::Chart;
use crate::cost::{instruction_sets, shown};
use crate::cost_chart::{Cost, cost_chart};
use crate::number::grouped;
use crate::record::Control;
use crate::report::{ReportInput, slug};

/// All sizes of a model on one data set, with the charts that compare them.
pub(crate) struct Family<'a> {
    pub(crate) title: String,
    pub(crate) runs: Vec<&'a ReportInput>,
    pub(crate) figures: Vec<Figure>,
}

/// A chart of what accuracy costs.
pub(crate) struct Figure {
    /// File name without its extension.
    pub(crate) stem: String,
    pub(crate) chart: Chart,
    /// What is shown, and how it was measured; a sentence.
    pub(crate) note: String,
}

impl Family<'_> {
    /// Whether a dense control of another size stands beside each pruned run.
    pub(crate) fn has_other_sizes(&self) -> bool {
        let of = |control| self.runs.iter().filter(move |run| run.record.control() == control);
        let model = |run: &&&ReportInput| run.record.started.model.clone();
        let dense: Vec<_> = of(Control::Dense).map(|run| model(&run)).collect();
        of(Control::Pruned).map(|run| model(&run)).all(|pruned| dense.iter().any(|dense| *dense != pruned))
    }
}

/// The families with a run that was measured, in the order in which they first appear.
pub(crate) fn families(runs: &[ReportInput]) -> Vec<Family<'_>> {
    let mut families: Vec<(_, Family<'_>)> = Vec::new();
    for run in runs {
        let started = &run.record.started;
        let key = (kind(&started.model), &started.dataset, started.images.test);
        match families.iter_mut().find(|(other, _)| *other == key) {
            Some((_, family)) => family.runs.push(run),
            None => {
                let images = grouped(started.images.test);
                let title = format!("{} on {}, {images} test images", key.0, started.dataset);
                families.push((key, Family { title, runs: vec![run], figures: Vec::new() }));
            }
        }
    }
    families.retain(|(_, family)| {
        family.runs.iter().any(|run| run.record.tests.iter().any(|test| test.measured.is_some()))
    });
    let alone = families.len() == 1;
    let mut used = BTreeMap::new();
    for ((kind, dataset, _), family) in &mut families {
        let mut suffix = if alone { String::new() } else { format!("-{}", slug(&format!("{dataset} {kind}"))) };
        // Families that differ in what a file name cannot say are numbered.
        let count = used.entry(suffix.clone()).and_modify(|count| *count += 1).or_insert(1);
        if *count > 1 {
            suffix.push_str(&format!("--{count}"));
        }
        family.figures = figures(&family.title, &family.runs, &suffix);
    }
    families.into_iter().map(|(_, family)| family).collect()
}

/// `lenet k=5` and `lenet k=1` are both `lenet`: a size follows the first space.
fn kind(model: &str) -> &str {
    model.split_once(' ').map_or(model, |(kind, _)| kind)
}

fn figures(title: &str, runs: &[&ReportInput], suffix: &str) -> Vec<Figure> {
    let records = || runs.iter().map(|run| &run.record);
    let sets = instruction_sets(records()).into_iter().collect::<Vec<_>>();
    let machines = match sets.len() {
        0 | 1 => sets.concat(),
        _ => format!("{}, so on several machines or settings", sets.join(" and ")),
    };
    let measured = || records().flat_map(|record| &record.tests).filter_map(|test| test.measured.as_ref());
    let precision = measured().find_map(|measurement| Some(measurement.measured.files.first()?.precision.clone()));
    let mut figures = Vec::new();
    let mut add = |name: String, cost: Cost, note: String| {
        if let Some(chart) = cost_chart(title, runs, &cost) {
            figures.push(Figure { stem: format!("accuracy-vs-{name}{suffix}"), chart, note });
        }
    };
    for call in shown(records()) {
        let note = if call.batch == 1 {
            format!("Measured: the median time of a call of the inference engine with one image ({call}; {machines}).")
        } else {
            format!(
                "Measured: the median time of a call of the inference engine with {0} images, over {0} ({call}; \
                 {machines}).",
                grouped(call.batch)
            )
        };
        add(format!("time-batch-{}", call.batch), Cost::Time(call), note);
    }
    if let Some(precision) = precision {
        let note = format!("The whole sparse model file with {precision} values, headers and checksums included.");
        add("bytes".to_owned(), Cost::Bytes(precision), note);
    }
    let note = "Counted, not measured: multiply-accumulates an image whose weight is not zero, before compaction.";
    add("macs".to_owned(), Cost::Macs, note.to_owned());
    figures
}
