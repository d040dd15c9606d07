//! Runs whose costs may be compared: one kind of model in all its sizes, on the same test images. A pruned network has
//! to beat the small dense one that costs as much, and that one is a run of another size.

use std::collections::BTreeMap;

use crate::chart::Chart;
use crate::compare::{Comparison, against_other_size};
use crate::cost::{instruction_sets, shown};
use crate::cost_chart::{Cost, Times, cost_chart};
use crate::group::{Group, suffix};
use crate::number::grouped;
use crate::record::Control;
use crate::series::{Pool, RunSeries};
use crate::statistics::FEWEST;

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
    /// One for each figure.
    pub(crate) pruned: Vec<Cheaper<'s, 'a>>,
}

/// What pruned networks that cost no more than a dense one reach.
pub(crate) enum Cheaper<'s, 'a> {
    /// Everything costs more, or the log does not say.
    Nothing,
    /// None of those that cost as little was trained as the dense one is; why not.
    NotComparable(String),
    /// The one whose mean is furthest above the dense one.
    Best(Better<'s, 'a>),
}

/// A pruned network, and how far it is from the dense one.
pub(crate) struct Better<'s, 'a> {
    pub(crate) series: &'s RunSeries<'a>,
    pub(crate) pool: &'s Pool<'a>,
    pub(crate) sparsity: f64,
    /// Corrected for all networks that cost no more than the dense one by this cost.
    pub(crate) found: Comparison,
}

impl<'s, 'a> Family<'s, 'a> {
    /// The dense networks beside which a pruned series of another size stands.
    pub(crate) fn rivals(&self) -> Vec<Rival<'s, 'a>> {
        self.series.iter().filter_map(|series| self.rival(series)).collect()
    }

    fn rival(&self, series: &'s RunSeries<'a>) -> Option<Rival<'s, 'a>> {
        let model = |series: &RunSeries<'_>| series.runs[0].record.started.model.clone();
        let others = self.series.iter().copied();
        let others: Vec<_> =
            others.filter(|other| other.control == Control::Pruned && model(other) != model(series)).collect();
        if series.control != Control::Dense || others.is_empty() || series.dense.samples.is_empty() {
            return None;
        }
        let pruned = self.figures.iter().map(|figure| cheaper(series, &others, &figure.cost)).collect();
        Some(Rival { series, pruned })
    }
}

/// The best of the pruned networks that cost no more than the dense one. Those that share three seeds with it come first, then
/// those that share more.
fn cheaper<'s, 'a>(dense: &RunSeries<'_>, others: &[&'s RunSeries<'a>], cost: &Cost) -> Cheaper<'s, 'a> {
    let costs = |pool: &Pool<'_>| Some(pool.spread(|sample| cost.of(sample))?.mean);
    let Some(limit) = costs(&dense.dense) else { return Cheaper::Nothing };
    let pools = others.iter().flat_map(|other| other.trained().map(|pool| (*other, pool)));
    let fitting: Vec<_> = pools.filter(|(_, pool)| costs(pool).is_some_and(|cost| cost <= limit)).collect();
    let all = against_other_size(&fitting.iter().map(|(_, pool)| *pool).collect::<Vec<_>>(), dense);
    let why = all.first().map(|found| found.verdict.reason().to_owned());
    let compared = fitting.into_iter().zip(all).filter_map(|((series, pool), found)| {
        let better = Better { series, pool, sparsity: pool.sparsity()?, found };
        Some((better.found.spread?, better))
    });
    let best = compared.max_by(|(a, _), (b, _)| a.n.min(FEWEST).cmp(&b.n.min(FEWEST)).then(a.mean.total_cmp(&b.mean)));
    match (best, why) {
        (Some((_, best)), _) => Cheaper::Best(best),
        (None, Some(why)) => Cheaper::NotComparable(why),
        (None, None) => Cheaper::Nothing,
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
