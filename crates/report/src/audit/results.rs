//! What is asked of every series that prunes by a criterion. Pure.

use std::collections::BTreeSet;

use super::{Finding, Item, NO_RESULTS, State, View, has_results, listed, nothing_yet};
use crate::compare::{Contest, contests, is_awaited, vs_dense, vs_random};
use crate::number::grouped;
use crate::record::Control;
use crate::series::{Pool, RunSeries};

/// What is asked for at least.
const SPARSITIES: usize = 5;
const SEEDS: usize = 3;
const PAIRS: usize = 3;

impl View<'_, '_> {
    pub(super) fn sparsities(&self) -> Item {
        self.each_result(
            "sparsities",
            "Each method is shown at five sparsities or more.",
            "Each method was trained at five sparsities or more.",
            |_, series| {
                let found = series.trained().count();
                Finding::of((found < SPARSITIES).then(|| format!("{found}")))
            },
        )
    }

    pub(super) fn collapse(&self) -> Item {
        self.each_result(
            "collapse",
            "Curves go on to where accuracy collapses, and show it.",
            "Each curve goes on to a network that is right at most twice as often as a guess.",
            |_, series| {
                let Some((last, top_1)) = series.trained().last().and_then(|last| Some((last, last.top_1()?))) else {
                    return nothing_yet();
                };
                let collapsed =
                    series.trained().any(|pool| pool.samples.iter().any(|sample| sample.point.is_collapsed()));
                let (target, mean) = (series.unit.words(last.target), top_1.mean);
                Finding::of((!collapsed).then(|| format!("ends at {target} with {mean:.2} %")))
            },
        )
    }

    pub(super) fn seeds(&self) -> Item {
        let asked = "Means over three seeds or more, with their spread.";
        let findings = self.pruned().map(|series| {
            let seeds = |pool: &Pool<'_>| pool.top_1().map_or(0, |spread| spread.n);
            let finding = series.trained().map(seeds).min().map_or_else(nothing_yet, |fewest| {
                Finding::of((fewest < SEEDS).then(|| format!("{fewest} at one sparsity or more")))
            });
            (series.name.clone(), finding)
        });
        listed("seeds", asked, "Every point has three seeds or more.", "Nothing was pruned.", findings)
    }

    pub(super) fn dense(&self) -> Item {
        self.each_result(
            "dense-control",
            "A dense control with the same seeds and as many steps stands beside each method.",
            "Each sparsity of each method has one, trained by the same optimizer at the same rates on the same images.",
            |group, series| {
                let all: Vec<_> = series.trained().map(|pool| (pool, vs_dense(series, pool, &group.series))).collect();
                let without = all.iter().filter(|(_, against)| against.is_err()).count();
                if without > 0 {
                    return match (is_awaited(series, &group.runs), without == all.len()) {
                        (true, _) => Finding::NoData("its control has not ended yet".to_owned()),
                        (_, true) => {
                            Finding::Lacks("none of equal steps, optimizer, learning rates and data".to_owned())
                        }
                        _ => Finding::Lacks(format!("none of equal steps at {without} of {} sparsities", all.len())),
                    };
                }
                let missing = all
                    .iter()
                    .filter_map(|(pool, against)| Some(pool.top_1()?.n.saturating_sub(against.as_ref().ok()?.pairs)));
                let missing = missing.max().unwrap_or(0);
                Finding::of((missing > 0).then(|| format!("{missing} of its seeds have no control")))
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
                let without = series.trained().filter(|pool| vs_random(series, pool, &group.series).is_err()).count();
                Finding::of((without > 0).then(|| format!("none at {without} of {all} sparsities")))
            },
        )
    }

    pub(super) fn magnitude(&self) -> Item {
        let asked = "Magnitude pruning stands beside other criteria.";
        let is_magnitude = |series: &RunSeries<'_>| {
            let method = series.runs[0].record.started.method.as_ref();
            method.is_some_and(|method| matches!(method.criterion.as_str(), "l1" | "l2"))
        };
        let findings = self.groups.iter().filter_map(|group| {
            let results = || group.series.iter().filter(|series| series.control == Control::Pruned);
            results().next()?;
            let magnitude: Vec<_> = results().filter(|series| is_magnitude(series)).collect();
            let finding = match magnitude.iter().any(|series| has_results(series)) {
                _ if magnitude.is_empty() => Finding::Lacks("none".to_owned()),
                true => Finding::Meets,
                false => nothing_yet(),
            };
            Some((group.title.clone(), finding))
        });
        listed("magnitude", asked, "Each group of runs has a series that prunes by magnitude.", NO_RESULTS, findings)
    }

    pub(super) fn length(&self) -> Item {
        let (id, asked) = ("same-length", "Methods that are compared had trained for as long.");
        if !self.results().any(|(_, series)| has_results(series)) {
            return Item { id, asked, state: State::NoData, found: NO_RESULTS.to_owned() };
        }
        let contests = self.groups.iter().flat_map(|group| contests(&group.series));
        let findings = contests.filter(Contest::compares).map(|contest| {
            let steps = |steps: f64| grouped(steps.round() as u64);
            let lacks = contest.steps_apart().map(|(low, high)| format!("{} to {} steps", steps(low), steps(high)));
            (contest.unit.words(contest.target), Finding::of(lacks))
        });
        let (all, none) =
            ("At each sparsity all had trained for as many steps.", "No two series were trained at one sparsity.");
        listed(id, asked, all, none, findings)
    }

    pub(super) fn pairs(&self) -> Item {
        let with_results = self.results().filter(|(_, series)| has_results(series));
        let with_results = with_results.map(|(group, _)| &group.title).collect::<BTreeSet<_>>();
        let (state, found) = match with_results.len() {
            0 => (State::NoData, "No pruned network was trained and tested yet.".to_owned()),
            1 => (State::NotMet, "One: what is said here holds for it alone.".to_owned()),
            pairs if pairs < PAIRS => (State::NotMet, format!("{pairs}.")),
            pairs => (State::Met, format!("{pairs}.")),
        };
        let asked = "Three pairs of model and data set or more.";
        Item { id: "pairs", asked, state, found }
    }
}
