//! What is asked of every series that prunes by a criterion. Pure.

use std::collections::BTreeSet;

use super::{Item, View, listed};
use crate::compare::{contests, dense_control, random_control};
use crate::number::grouped;
use crate::record::Control;
use crate::series::{Pool, RunSeries};

/// What is asked for at least.
const SPARSITIES: usize = 5;
const SEEDS: usize = 3;
const PAIRS: usize = 3;
/// A control may train for so many times as many steps, or so many times fewer.
const STEPS_APART: f64 = 1.1;

impl View<'_, '_> {
    pub(super) fn sparsities(&self) -> Item {
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

    pub(super) fn collapse(&self) -> Item {
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

    pub(super) fn seeds(&self) -> Item {
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

    pub(super) fn dense(&self) -> Item {
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

    pub(super) fn random(&self) -> Item {
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

    pub(super) fn magnitude(&self) -> Item {
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

    pub(super) fn length(&self) -> Item {
        let (id, asked) = ("same-length", "Methods that are compared had trained for as long.");
        if self.results().next().is_none() {
            let found = "There is no series that prunes by a criterion.".to_owned();
            return Item { id, asked, met: false, found };
        }
        let lacking = self.groups.iter().flat_map(|group| contests(&group.series)).filter_map(|contest| {
            let steps = || contest.entries.iter().filter_map(|entry| entry.pool.steps());
            let (low, high) = (steps().reduce(f64::min)?, steps().reduce(f64::max)?);
            let [least, most] = [low, high].map(|steps| grouped(steps.round() as u64));
            (high > STEPS_APART * low)
                .then(|| format!("{}: {least} to {most} steps", contest.unit.words(contest.target)))
        });
        listed(id, asked, "At each sparsity all had trained for as many steps.", lacking.collect())
    }

    pub(super) fn pairs(&self) -> Item {
        let with_results = self.results().map(|(group, _)| &group.title).collect::<BTreeSet<_>>();
        let found = match with_results.len() {
            1 => "One: what is said here holds for it alone.".to_owned(),
            pairs => format!("{pairs}."),
        };
        let asked = "Three pairs of model and data set or more.";
        Item { id: "pairs", asked, met: with_results.len() >= PAIRS, found }
    }
}
