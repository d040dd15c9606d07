//! Runs that may share a chart of what pruning leaves: the same model, the same data, the same test images.

use std::collections::BTreeMap;

use crate::accuracy_chart::{Measure, accuracy_chart, retraining_chart};
use crate::chart::Chart;
use crate::density_chart::density_chart;
use crate::family::kind;
use crate::number::grouped;
use crate::record::Control;
use crate::report::{ReportInput, slug};
use crate::series::{RunSeries, series, shorten};
use crate::steps_chart::steps_chart;

/// Files of layers' densities are written for so many series of a group; the page shows those of all.
const MOST_DENSITIES: usize = 6;

const DENSITY_NOTE: &str = "Share of each parameter tensor that is kept, the mean over the seeds. One that is gone stands at \
                            0.001 %.";

/// Comparable runs, as series, with their charts.
pub(crate) struct Group<'a> {
    pub(crate) title: String,
    pub(crate) runs: Vec<&'a ReportInput>,
    pub(crate) series: Vec<RunSeries<'a>>,
    /// Empty while no run has a test.
    pub(crate) figures: Vec<Figure>,
    /// What each series keeps of its layers.
    pub(crate) densities: Vec<Figure>,
}

/// A chart with what a page says below it.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// File name without its extension; `None` where the page alone has it.
    pub(crate) stem: Option<String>,
    pub(crate) chart: Chart,
    pub(crate) note: &'static str,
}

/// The runs by what they may be compared with, in the order in which each group first appears.
pub(crate) fn groups(runs: &[ReportInput]) -> Vec<Group<'_>> {
    let mut parts: Vec<(_, Vec<&ReportInput>)> = Vec::new();
    for run in runs {
        let started = &run.record.started;
        let key = (&started.dataset, &started.model, started.parameters, started.images.test);
        match parts.iter_mut().find(|(other, _)| *other == key) {
            Some((_, part)) => part.push(run),
            None => parts.push((key, vec![run])),
        }
    }
    let alone = parts.len() == 1;
    let (mut used, mut colours) = (BTreeMap::new(), BTreeMap::new());
    let (mut groups, mut suffixes): (Vec<Group<'_>>, _) = (Vec::new(), Vec::new());
    for ((dataset, model, _, images), runs) in parts {
        let suffix = if alone { String::new() } else { suffix(&mut used, &format!("{dataset} {model}")) };
        let title = format!("{model} on {dataset}, {} test images", grouped(images));
        let first = groups.iter().map(|group| group.series.len()).sum();
        let mut series = series(&runs, first);
        // All sizes of a model share charts of cost: a series has its colour there as here.
        for series in &mut series {
            let control = series.control as usize;
            let next: &mut usize = colours.entry((dataset, kind(model), images, control)).or_default();
            series.colour = *next;
            *next += 1;
        }
        suffixes.push(suffix);
        groups.push(Group { title, runs, series, figures: Vec::new(), densities: Vec::new() });
    }
    shorten(groups.iter_mut().flat_map(|group| &mut group.series));
    for (group, suffix) in groups.iter_mut().zip(suffixes) {
        group.figures = figures(&group.title, &group.series, &suffix);
        group.densities = densities(&group.series, &suffix);
    }
    groups
}

/// What the names of files end with; groups that differ in what a file name cannot say are numbered.
pub(crate) fn suffix(used: &mut BTreeMap<String, usize>, words: &str) -> String {
    let suffix = format!("-{}", slug(words));
    let count = used.entry(suffix.clone()).and_modify(|count| *count += 1).or_insert(1);
    if *count > 1 { format!("{suffix}--{count}") } else { suffix }
}

fn figures(title: &str, series: &[RunSeries<'_>], suffix: &str) -> Vec<Figure> {
    let charts = [
        ("accuracy-vs-sparsity", accuracy_chart(title, series, Measure::Sparsity), ""),
        ("accuracy-vs-compression", accuracy_chart(title, series, Measure::Compression), ""),
        (
            "accuracy-just-pruned",
            retraining_chart(title, series),
            "What the prune alone costs, and what the training after it brings back. Means over the seeds.",
        ),
        (
            "sparsity-over-steps",
            steps_chart(title, series),
            "Lines: what the schedules asked for. Circles: what each prune left, of every seed.",
        ),
    ];
    let figure = |(stem, chart, note): (&str, Option<Chart>, _)| {
        Some(Figure { stem: Some(format!("{stem}{suffix}")), chart: chart?, note })
    };
    charts.into_iter().filter_map(figure).collect()
}

fn densities(series: &[RunSeries<'_>], suffix: &str) -> Vec<Figure> {
    let mut used = BTreeMap::new();
    let pruned = series.iter().filter(|series| series.control != Control::Dense);
    let charts = pruned.filter_map(|series| Some((series, density_chart(series)?)));
    let figure = |(index, (series, chart)): (usize, (&RunSeries<'_>, Chart))| {
        let name = self::suffix(&mut used, &series.name);
        let stem = (index < MOST_DENSITIES).then(|| format!("layers{name}{suffix}"));
        Figure { stem, chart, note: DENSITY_NOTE }
    };
    charts.enumerate().map(figure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn input(label: &str, events: &[crate::Event]) -> ReportInput {
        fixture::input(label, fixture::record(events))
    }

    #[test]
    fn models_data_and_test_images_are_not_mixed() {
        let mut runs = [1, 2, 3].map(|n| input(&format!("run-{n}"), &fixture::l1_events(n)));
        runs[1].record.started.dataset = "fashion-mnist".into();
        runs[2].record.started.images.test = 1000;
        let groups = groups(&runs);
        let titles: Vec<_> = groups.iter().map(|group| (group.title.as_str(), group.runs.len())).collect();
        let expected = [
            ("lenet k=1 on mnist, 10,000 test images", 1),
            ("lenet k=1 on fashion-mnist, 10,000 test images", 1),
            ("lenet k=1 on mnist, 1,000 test images", 1),
        ];
        assert_eq!(titles, expected);
        let ids: Vec<_> = groups.iter().flat_map(|group| &group.series).map(|series| series.id).collect();
        assert_eq!(ids, [0, 1, 2], "one number over the whole page");
    }

    #[test]
    fn sizes_of_a_model_share_its_colours() {
        let mut runs = [1, 2, 3].map(|n| input(&format!("run-{n}"), &fixture::l1_events(n)));
        runs[1].record.started.model = "lenet k=2".into();
        runs[2].record.started.name = "another".into();
        let groups = groups(&runs);
        let colours: Vec<_> =
            groups.iter().flat_map(|group| &group.series).map(|series| (series.id, series.colour)).collect();
        assert_eq!(colours, [(0, 0), (1, 1), (2, 2)]);
    }
}
