//! Which of the field's recommendations for reporting pruning a report meets, found in its data: those of Blalock et al.,
//! "What is the State of Neural Network Pruning?" (2020), section 6 and its checklist, and what the same experience asks of
//! a comparison besides. Pure.

use std::collections::BTreeSet;

use crate::compare::{dense_control, random_control};
use crate::data::{Data, Value};
use crate::event::Stage;
use crate::group::Group;
use crate::record::{Control, RunRecord};
use crate::report::ReportInput;
use crate::series::{Pool, RunSeries};

/// What is asked for at least.
const SPARSITIES: usize = 5;
const SEEDS: usize = 3;
const PAIRS: usize = 3;
/// A control may train for so many times as many steps, or so many times fewer.
const STEPS_APART: f64 = 1.1;
/// Names that a finding lists before it only counts.
const NAMES: usize = 4;

/// One recommendation, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    /// A word for programs.
    pub(crate) id: &'static str,
    pub(crate) asked: &'static str,
    pub(crate) met: bool,
    /// What was found.
    pub(crate) found: String,
}

/// The checklist over everything that the report shows.
pub(crate) fn audit(groups: &[Group<'_>]) -> Vec<Item> {
    let view = View { groups };
    vec![
        view.fractions(),
        view.raw_accuracy(),
        view.speedup(),
        view.sparsities(),
        view.collapse(),
        view.seeds(),
        view.dense(),
        view.random(),
        view.magnitude(),
        view.selection(),
        view.place(),
        view.one_program(),
        view.measured(),
        view.whole(),
        view.pairs(),
    ]
}

/// The checklist as a table.
pub(crate) fn audit_data(items: &[Item]) -> Data {
    let mut data = Data::new(&["id", "asked", "met", "found"]);
    for Item { id, asked, met, found } in items {
        data.row(vec![(*id).into(), (*asked).into(), Value::Flag(*met), found.as_str().into()]);
    }
    data
}

struct View<'v, 'a> {
    groups: &'v [Group<'a>],
}

impl<'a> View<'_, 'a> {
    fn runs(&self) -> impl Iterator<Item = &'a ReportInput> {
        self.groups.iter().flat_map(|group| group.runs.iter().copied())
    }

    fn records(&self) -> impl Iterator<Item = &'a RunRecord> {
        self.runs().map(|run| &run.record)
    }

    /// Series that prune by a criterion: what a report makes claims about.
    fn results(&self) -> impl Iterator<Item = (&Group<'a>, &RunSeries<'a>)> {
        let all = self.groups.iter().flat_map(|group| group.series.iter().map(move |series| (group, series)));
        all.filter(|(_, series)| series.control == Control::Pruned)
    }

    /// Everything that was pruned, the random controls among it.
    fn pruned(&self) -> impl Iterator<Item = &RunSeries<'a>> {
        self.groups.iter().flat_map(|group| &group.series).filter(|series| series.control != Control::Dense)
    }

    /// An item that each result has to meet; `None` from `lacks` is met.
    fn each_result(
        &self,
        id: &'static str,
        asked: &'static str,
        all: &str,
        lacks: impl Fn(&Group<'a>, &RunSeries<'a>) -> Option<String>,
    ) -> Item {
        if self.results().next().is_none() {
            return Item { id, asked, met: false, found: "There is no series that prunes by a criterion.".to_owned() };
        }
        let lacking =
            self.results().filter_map(|(group, series)| Some(format!("{}: {}", series.name, lacks(group, series)?)));
        listed(id, asked, all, lacking.collect())
    }

    /// An item that each run has to meet.
    fn each_run(
        &self,
        id: &'static str,
        asked: &'static str,
        all: &str,
        lacks: impl Fn(&ReportInput) -> Option<String>,
    ) -> Item {
        let lacking = self.runs().filter_map(|run| Some(format!("{}: {}", run.label, lacks(run)?)));
        listed(id, asked, all, lacking.collect())
    }

    fn fractions(&self) -> Item {
        let lacks = |run: &ReportInput| {
            let sizes = run.record.tests.iter().map(|test| &test.tested.size);
            let bad = sizes.filter(|size| size.parameters == 0 || size.nonzero == 0 || size.prunable == 0).count();
            (bad > 0).then(|| format!("{bad} tests of a network without parameters"))
        };
        self.each_run(
            "fractions",
            "Compression is given with its numerator and denominator.",
            "Every compression ratio is all parameters over those that are not zero, and every sparsity zeros over prunable \
             parameters; both numbers stand in the tables.",
            lacks,
        )
    }

    fn raw_accuracy(&self) -> Item {
        let lacks =
            |run: &ReportInput| match run.record.tests.iter().filter(|test| test.tested.score.total == 0).count() {
                _ if run.record.tests.is_empty() => Some("no test".to_owned()),
                0 => None,
                empty => Some(format!("{empty} tests of no image")),
            };
        self.each_run(
            "raw-accuracy",
            "Raw accuracy is given, not only its change.",
            "Every test is given as right answers of all images.",
            lacks,
        )
    }

    fn speedup(&self) -> Item {
        let lacks = |run: &ReportInput| {
            (run.record.started.macs == 0).then(|| "its multiply-accumulates were not counted".to_owned())
        };
        self.each_run(
            "theoretical-speed-up",
            "Compression ratio and theoretical speed-up are both given.",
            "Multiply-accumulates were counted for every network.",
            lacks,
        )
    }

    fn sparsities(&self) -> Item {
        self.each_result(
            "sparsities",
            "Each method is shown at five sparsities or more.",
            "Each method was trained at five sparsities or more.",
            |_, series| {
                let found = series.trained().count();
                (found < SPARSITIES).then(|| format!("{found}"))
            },
        )
    }

    fn collapse(&self) -> Item {
        self.each_result(
            "collapse",
            "Curves go on to where accuracy collapses, and show it.",
            "Each curve goes on to a network that is right at most twice as often as a guess.",
            |_, series| {
                let last = series.trained().last()?;
                let collapsed =
                    series.trained().any(|pool| pool.samples.iter().any(|sample| sample.point.is_collapsed()));
                let top_1 = last.top_1()?.mean;
                (!collapsed).then(|| format!("ends at {} with {top_1:.2} %", series.unit.words(last.target)))
            },
        )
    }

    fn seeds(&self) -> Item {
        let asked = "Means over three seeds or more, with their spread.";
        if self.pruned().next().is_none() {
            return Item { id: "seeds", asked, met: false, found: "Nothing was pruned.".to_owned() };
        }
        let lacking = self.pruned().filter_map(|series| {
            let seeds = |pool: &Pool<'_>| pool.top_1().map_or(0, |spread| spread.n);
            let fewest = series.trained().map(seeds).min().unwrap_or(0);
            (fewest < SEEDS).then(|| format!("{}: {fewest} at one sparsity or more", series.name))
        });
        listed("seeds", asked, "Every point has three seeds or more.", lacking.collect())
    }

    fn dense(&self) -> Item {
        self.each_result(
            "dense-control",
            "A dense control with the same seeds and as many steps stands beside each method.",
            "Each method has one.",
            |group, series| {
                let Some(control) = dense_control(series, &group.series) else { return Some("none".to_owned()) };
                let steps = |series: &RunSeries<'_>| series.runs[0].record.started.planned_steps.max(1) as f64;
                let apart = steps(control) / steps(series);
                if !(1.0 / STEPS_APART..=STEPS_APART).contains(&apart) {
                    return Some(format!("its control trains {apart:.2} times as long"));
                }
                let has: BTreeSet<u64> = control.dense.samples.iter().map(|sample| sample.seed).collect();
                let missing = series.seeds().difference(&has).count();
                (missing > 0).then(|| format!("{missing} of its seeds have no control"))
            },
        )
    }

    fn random(&self) -> Item {
        self.each_result(
            "random-control",
            "Random pruning to the same sparsities stands beside each method.",
            "Each sparsity of each method has a random control with a seed in common.",
            |group, series| {
                let all = series.trained().count();
                let without =
                    series.trained().filter(|pool| random_control(series, pool, &group.series).is_none()).count();
                (without > 0).then(|| format!("none at {without} of {all} sparsities"))
            },
        )
    }

    fn magnitude(&self) -> Item {
        let asked = "Magnitude pruning stands beside other criteria.";
        let is_magnitude = |series: &RunSeries<'_>| {
            let method = series.runs[0].record.started.method.as_ref();
            method.is_some_and(|method| matches!(method.criterion.as_str(), "l1" | "l2"))
        };
        let lacking = self.groups.iter().filter(|group| {
            let mut results = group.series.iter().filter(|series| series.control == Control::Pruned).peekable();
            results.peek().is_some() && !results.any(is_magnitude)
        });
        let lacking: Vec<_> = lacking.map(|group| format!("{}: none", group.title)).collect();
        if self.results().next().is_none() {
            let found = "There is no series that prunes by a criterion.".to_owned();
            return Item { id: "magnitude", asked, met: false, found };
        }
        listed("magnitude", asked, "Each group of runs has a series that prunes by magnitude.", lacking)
    }

    fn selection(&self) -> Item {
        let lacks = |run: &ReportInput| {
            let record = &run.record;
            if record.started.images.validation == 0 {
                return Some("holds out no validation images".to_owned());
            }
            let blind = record.epochs.iter().filter(|epoch| epoch.validation.is_none()).count();
            (blind > 0).then(|| format!("{blind} epochs without a validation score"))
        };
        self.each_run(
            "selection",
            "Choices are made on validation, never on test.",
            "Every run holds out a validation split; the kept epoch, early stops and accuracy budgets read that one.",
            lacks,
        )
    }

    fn place(&self) -> Item {
        let lacks = |run: &ReportInput| {
            let known = &run.origin.surroundings;
            let missing = ["secateur", "platform", "device"].into_iter().filter(|name| !known.contains_key(*name));
            let missing: Vec<_> = missing.collect();
            (!missing.is_empty()).then(|| format!("{} not known", missing.join(", ")))
        };
        self.each_run(
            "hardware-and-versions",
            "The hardware and the versions of the libraries are named.",
            "Every run names its program, platform and device.",
            lacks,
        )
    }

    fn one_program(&self) -> Item {
        let asked = "All methods ran with the same program and libraries.";
        let id = "same-program";
        let unknown = self.runs().filter(|run| !run.origin.surroundings.contains_key("secateur")).count();
        if unknown > 0 {
            return Item { id, asked, met: false, found: format!("Of {unknown} runs it is not known.") };
        }
        let program =
            |run: &'a ReportInput| ["secateur", "commit", "burn"].map(|name| run.origin.surroundings.get(name));
        let programs: BTreeSet<_> = self.runs().map(program).collect();
        let found = match programs.len() {
            1 => "One build made all runs.".to_owned(),
            builds => format!("{builds} builds made the runs."),
        };
        Item { id, asked, met: programs.len() == 1, found }
    }

    fn measured(&self) -> Item {
        let lacks = |run: &ReportInput| {
            let trained = |stage: Stage| stage != Stage::JustPruned;
            let tests = run.record.tests.iter().filter(|test| trained(test.tested.stage));
            let missing =
                tests.filter(|test| test.measured.as_ref().is_none_or(|found| found.inference.is_none())).count();
            (missing > 0).then(|| format!("{missing} networks not timed"))
        };
        self.each_run(
            "measured-time",
            "Claims about speed rest on measured time, not on counts alone.",
            "Every network was timed on the machine of its run.",
            lacks,
        )
    }

    fn whole(&self) -> Item {
        let open = self.records().filter(|record| record.ended.is_none()).count();
        let all = self.records().count();
        let found =
            if open == 0 { "Every run has ended.".to_owned() } else { format!("{open} of {all} have not ended.") };
        Item { id: "whole-runs", asked: "Every run went to its end.", met: open == 0, found }
    }

    fn pairs(&self) -> Item {
        let with_results = self.results().map(|(group, _)| &group.title).collect::<BTreeSet<_>>();
        let found = match with_results.len() {
            1 => "One: what is said here holds for it alone.".to_owned(),
            pairs => format!("{pairs}."),
        };
        let asked = "Three pairs of model and data set or more.";
        Item { id: "pairs", asked, met: with_results.len() >= PAIRS, found }
    }
}

/// Met when nobody lacks it; else the first that do are named.
fn listed(id: &'static str, asked: &'static str, all: &str, lacking: Vec<String>) -> Item {
    if lacking.is_empty() {
        return Item { id, asked, met: true, found: all.to_owned() };
    }
    let mut found = lacking.iter().take(NAMES).cloned().collect::<Vec<_>>().join("; ");
    if lacking.len() > NAMES {
        found.push_str(&format!("; and {} more", lacking.len() - NAMES));
    }
    Item { id, asked, met: false, found: found + "." }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
