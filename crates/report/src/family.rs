//! Runs whose costs may be compared: one kind of model in all its sizes, on the same test images. A pruned network has
//! to beat the small dense one that costs as much, and that one is a run of another size.

use std::collections::BTreeMap;

use crate::chart::Chart;
use crate::cost::{instruction_sets, shown};
use crate::cost_chart::{Cost, cost_chart};
use crate::event::{Score, Size};
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
    pub(crate) cost: Cost,
    /// What is shown, and how it was measured; a sentence.
    pub(crate) note: String,
}

/// A dense network, and what pruned networks of another size reach at no more cost.
pub(crate) struct Rival<'a> {
    pub(crate) run: &'a ReportInput,
    pub(crate) score: Score,
    /// For each figure the best that costs no more: its model, score and size. `None` where everything costs more, or the
    /// log does not say.
    pub(crate) pruned: Vec<Option<(&'a str, Score, Size)>>,
}

impl<'a> Family<'a> {
    /// The dense controls beside which a pruned run of another size stands.
    pub(crate) fn rivals(&self) -> Vec<Rival<'a>> {
        self.runs.iter().filter_map(|run| self.rival(run)).collect()
    }

    fn rival(&self, run: &'a ReportInput) -> Option<Rival<'a>> {
        let model = &run.record.started.model;
        let others = self.runs.iter().map(|run| &run.record);
        let others: Vec<_> =
            others.filter(|other| other.control() == Control::Pruned && other.started.model != *model).collect();
        if run.record.control() != Control::Dense || others.is_empty() {
            return None;
        }
        let dense = run.record.points().into_iter().rev().find(|point| point.trained.is_some())?;
        let best = |cost: &Cost| {
            let limit = cost.of(&dense)?;
            let points = others.iter().flat_map(|other| other.points().into_iter().map(|point| (*other, point)));
            let fitting = points.filter(|(_, point)| cost.of(point).is_some_and(|cost| cost <= limit));
            let scored = fitting
                .filter_map(|(other, point)| Some((other.started.model.as_str(), point.trained?.score, point.size()?)));
            scored.max_by(|a, b| a.1.accuracy().total_cmp(&b.1.accuracy()))
        };
        let pruned = self.figures.iter().map(|figure| best(&figure.cost)).collect();
        Some(Rival { run, score: dense.trained?.score, pruned })
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
            figures.push(Figure { stem: format!("accuracy-vs-{name}{suffix}"), chart, cost, note });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, measured::measured};

    fn input(label: &str, lines: &[fixture::measured::Line]) -> ReportInput {
        ReportInput { label: label.into(), record: fixture::measured::record(lines), reproduce: String::new() }
    }

    fn runs() -> [ReportInput; 4] {
        [
            input("pruned", &measured(fixture::l1_events(1), 5)),
            input("random", &measured(fixture::random_events(1), 5)),
            input("dense 5", &measured(fixture::dense_events(1), 5)),
            input("dense 2", &measured(fixture::dense_events_to(1, 9869), 2)),
        ]
    }

    #[test]
    fn sizes_share_a_family_and_test_images_divide_it() {
        let mut runs = runs();
        let families = |runs: &[ReportInput]| {
            families(runs).iter().map(|family| (family.title.clone(), family.runs.len())).collect::<Vec<_>>()
        };
        assert_eq!(families(&runs), [("lenet on mnist, 10,000 test images".to_owned(), 4)]);
        runs[3].record.started.images.test = 1000;
        runs[2].record.started.model = "lenet-5".into();
        assert_eq!(families(&runs).iter().map(|family| family.1).collect::<Vec<_>>(), [2, 1, 1]);
        let unmeasured = fixture::record(&fixture::l1_events(1));
        let run = ReportInput { label: "a".into(), record: unmeasured, reproduce: String::new() };
        assert_eq!(families(&[run]), [], "nothing was measured");
    }

    #[test]
    fn a_rival_is_dense_of_another_size_and_meets_what_costs_no_more() {
        let runs = runs();
        let families = families(&runs);
        let rivals = families[0].rivals();
        assert_eq!(rivals.iter().map(|rival| rival.run.label.as_str()).collect::<Vec<_>>(), ["dense 2"]);
        // 25 / 4 times the cost of the dense control of width 2 is dense width 5: at 90 % one has 1,089,500 MACs left, at
        // 95 % 731,350, and the control has 799,872.
        let macs = rivals[0].pruned.last().and_then(|best| *best).expect("a cheaper network");
        assert_eq!((macs.0, macs.1.correct, macs.2.remaining_macs), ("lenet k=5", 9842, 731_350));
        // The file of the control has 552,996 bytes, that at 90 % 404,200.
        let bytes = rivals[0].pruned[2].expect("a smaller file");
        assert_eq!((families[0].figures[2].cost.name(), bytes.1.correct), ("f16 file".to_owned(), 9881));
    }
}
