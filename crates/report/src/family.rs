//! Runs whose costs may be compared: one kind of model in all its sizes, on the same test images. A pruned network has
//! to beat the small dense one that costs as much, and that one is a run of another size.

use std::collections::BTreeMap;

use crate::chart::Chart;
use crate::cost::{instruction_sets, shown};
use crate::cost_chart::{Cost, Times, cost_chart};
use crate::group::{Group, suffix};
use crate::number::grouped;
use crate::record::Control;
use crate::series::{Pool, RunSeries};
use crate::statistics::Spread;

/// All sizes of a model on one data set, with the charts that compare them.
pub(crate) struct Family<'s, 'a> {
    pub(crate) title: String,
    pub(crate) series: Vec<&'s RunSeries<'a>>,
    pub(crate) figures: Vec<CostFigure>,
}

/// A chart of what accuracy costs.
pub(crate) struct CostFigure {
    /// File name without its extension.
    pub(crate) stem: String,
    pub(crate) chart: Chart,
    pub(crate) cost: Cost,
    /// What is shown, and how it was measured; a sentence.
    pub(crate) note: String,
}

/// A dense network, and what pruned networks of another size reach at no more cost.
pub(crate) struct Rival<'s, 'a> {
    pub(crate) series: &'s RunSeries<'a>,
    pub(crate) top_1: Spread,
    /// For each figure the most accurate that costs no more. `None` where everything costs more, or the log does not say.
    pub(crate) pruned: Vec<Option<Better<'s, 'a>>>,
}

/// A pruned network: means over its seeds.
#[derive(Clone, Copy)]
pub(crate) struct Better<'s, 'a> {
    pub(crate) series: &'s RunSeries<'a>,
    pub(crate) top_1: Spread,
    pub(crate) sparsity: f64,
}

impl<'s, 'a> Family<'s, 'a> {
    /// The dense controls beside which a pruned series of another size stands.
    pub(crate) fn rivals(&self) -> Vec<Rival<'s, 'a>> {
        self.series.iter().filter_map(|series| self.rival(series)).collect()
    }

    fn rival(&self, series: &'s RunSeries<'a>) -> Option<Rival<'s, 'a>> {
        let model = |series: &RunSeries<'_>| series.runs[0].record.started.model.clone();
        let others = self.series.iter().copied();
        let others: Vec<_> =
            others.filter(|other| other.control == Control::Pruned && model(other) != model(series)).collect();
        if series.control != Control::Dense || others.is_empty() {
            return None;
        }
        let costs = |cost: &Cost, pool: &Pool<'_>| Some(pool.spread(|sample| cost.of(sample))?.mean);
        let best = |cost: &Cost| {
            let limit = costs(cost, &series.dense)?;
            let pools = others
                .iter()
                .flat_map(|other| [&other.dense].into_iter().chain(other.trained()).map(|pool| (*other, pool)));
            let fitting = pools.filter(|(_, pool)| costs(cost, pool).is_some_and(|cost| cost <= limit));
            let known = fitting
                .filter_map(|(series, pool)| Some(Better { series, top_1: pool.top_1()?, sparsity: pool.sparsity()? }));
            // Single seeds count only where there is nothing else.
            known.max_by(|a, b| (a.top_1.n > 1).cmp(&(b.top_1.n > 1)).then(a.top_1.mean.total_cmp(&b.top_1.mean)))
        };
        let pruned = self.figures.iter().map(|figure| best(&figure.cost)).collect();
        Some(Rival { series, top_1: series.dense.top_1()?, pruned })
    }
}

/// The families with a chart, in the order in which they first appear.
pub(crate) fn families<'s, 'a>(groups: &'s [Group<'a>]) -> Vec<Family<'s, 'a>> {
    let mut parts: Vec<(_, Vec<&RunSeries<'_>>)> = Vec::new();
    for series in groups.iter().flat_map(|group| &group.series) {
        let started = &series.runs[0].record.started;
        let key = (kind(&started.model), &started.dataset, started.images.test);
        match parts.iter_mut().find(|(other, _)| *other == key) {
            Some((_, part)) => part.push(series),
            None => parts.push((key, vec![series])),
        }
    }
    let alone = parts.len() == 1;
    let mut used = BTreeMap::new();
    let family = |((kind, dataset, images), series): ((&str, &String, u64), Vec<&'s RunSeries<'a>>)| {
        let suffix = if alone { String::new() } else { suffix(&mut used, &format!("{dataset} {kind}")) };
        let title = format!("{kind} on {dataset}, {} test images", grouped(images));
        let figures = figures(&title, &series, &suffix);
        Family { title, series, figures }
    };
    parts.into_iter().map(family).filter(|family| !family.figures.is_empty()).collect()
}

/// `lenet k=5` and `lenet k=1` are both `lenet`: a size follows the first space.
pub(crate) fn kind(model: &str) -> &str {
    model.split_once(' ').map_or(model, |(kind, _)| kind)
}

/// What a time on a chart is.
const PAIRED: &str = " A time is the median of the model's dense network over all cycles, divided by how many times faster this \
                      network was than the dense one that was timed beside it. Bars along it: the seeds.";

fn figures(title: &str, series: &[&RunSeries<'_>], suffix: &str) -> Vec<CostFigure> {
    let records = || series.iter().flat_map(|series| &series.runs).map(|run| &run.record);
    let sets = instruction_sets(records()).into_iter().collect::<Vec<_>>();
    let machines = match sets.len() {
        0 | 1 => sets.concat(),
        _ => format!("{}, so on several machines or settings", sets.join(" and ")),
    };
    let measured = || records().flat_map(|record| &record.tests).filter_map(|test| test.measured.as_ref());
    let precision = measured().find_map(|measurement| Some(measurement.measured.files.first()?.precision.clone()));
    let mut figures = Vec::new();
    let mut add = |name: String, cost: Cost, note: String| {
        if let Some(chart) = cost_chart(title, series, &cost) {
            figures.push(CostFigure { stem: format!("accuracy-vs-{name}{suffix}"), chart, cost, note });
        }
    };
    for call in shown(records()) {
        let note = if call.batch == 1 {
            format!("Measured: calls of the inference engine with one image ({call}; {machines}).{PAIRED}")
        } else {
            format!(
                "Measured: calls of the inference engine with {0} images, over {0} ({call}; {machines}).{PAIRED}",
                grouped(call.batch)
            )
        };
        add(format!("time-batch-{}", call.batch), Cost::Time(Times::of(call, records())), note);
    }
    if let Some(precision) = precision {
        let note = format!("The whole sparse model file with {precision} values, headers and checksums included.");
        add("bytes".to_owned(), Cost::Bytes(precision), note);
    }
    let note = "Counted, not measured: parameters that are not zero, biases included.";
    add("parameters".to_owned(), Cost::Parameters, note.to_owned());
    let note = "Counted, not measured: multiply-accumulates an image whose weight is not zero, before compaction.";
    add("macs".to_owned(), Cost::Macs, note.to_owned());
    figures
}

#[cfg(test)]
#[path = "family_tests.rs"]
mod tests;
