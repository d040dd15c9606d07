//! What is asked of every run. Pure.

use std::collections::BTreeSet;

use super::{Finding, Item, State, View};
use crate::event::Stage;
use crate::report::ReportInput;

fn no_test() -> Finding {
    Finding::NoData("no test yet".to_owned())
}

impl<'a> View<'_, 'a> {
    pub(super) fn fractions(&self) -> Item {
        let find = |run: &ReportInput| {
            let sizes = run.record.tests.iter().map(|test| &test.tested.size);
            let bad = sizes.filter(|size| size.parameters == 0 || size.nonzero == 0 || size.prunable == 0).count();
            match bad {
                _ if run.record.tests.is_empty() => no_test(),
                0 => Finding::Meets,
                bad => Finding::Lacks(format!("{bad} tests of a network without parameters")),
            }
        };
        self.each_run(
            "fractions",
            "Compression is given with its numerator and denominator.",
            "Every compression ratio is all parameters over those that are not zero, and every sparsity zeros over prunable \
             parameters; both numbers stand in the tables.",
            find,
        )
    }

    pub(super) fn raw_accuracy(&self) -> Item {
        let find = |run: &ReportInput| match run.record.tests.iter().filter(|test| test.tested.score.total == 0).count()
        {
            _ if run.record.tests.is_empty() => no_test(),
            0 => Finding::Meets,
            empty => Finding::Lacks(format!("{empty} tests of no image")),
        };
        self.each_run(
            "raw-accuracy",
            "Raw accuracy is given, not only its change.",
            "Every test is given as right answers of all images.",
            find,
        )
    }

    pub(super) fn speedup(&self) -> Item {
        let find = |run: &ReportInput| match run.record.started.macs {
            0 => Finding::Lacks("its multiply-accumulates were not counted".to_owned()),
            _ if run.record.tests.is_empty() => no_test(),
            _ => Finding::Meets,
        };
        self.each_run(
            "theoretical-speed-up",
            "Compression ratio and theoretical speed-up are both given.",
            "Multiply-accumulates were counted for every network.",
            find,
        )
    }

    pub(super) fn selection(&self) -> Item {
        let find = |run: &ReportInput| {
            let record = &run.record;
            let blind = record.epochs.iter().filter(|epoch| epoch.validation.is_none()).count();
            match blind {
                _ if record.started.images.validation == 0 => {
                    Finding::Lacks("holds out no validation images".to_owned())
                }
                _ if record.epochs.is_empty() => Finding::NoData("no epoch yet".to_owned()),
                0 => Finding::Meets,
                blind => Finding::Lacks(format!("{blind} epochs without a validation score")),
            }
        };
        self.each_run(
            "selection",
            "The choices within a run are made on validation, never on test.",
            "Within every run they were: the kept epoch, early stops and accuracy budgets read a validation split. No log tells \
             what people chose between runs, such as a rule or a learning rate, nor by which images.",
            find,
        )
    }

    pub(super) fn place(&self) -> Item {
        let find = |run: &ReportInput| {
            let known = &run.origin.surroundings;
            let missing =
                ["secateur", "platform", "processor", "device"].into_iter().filter(|name| !known.contains_key(*name));
            let missing: Vec<_> = missing.collect();
            Finding::of((!missing.is_empty()).then(|| format!("{} not known", missing.join(", "))))
        };
        self.each_run(
            "hardware-and-versions",
            "The hardware and the versions of the libraries are named.",
            "Every run names its program, platform, processor and device.",
            find,
        )
    }

    pub(super) fn one_program(&self) -> Item {
        let asked = "All methods ran with the same program and libraries.";
        let id = "same-program";
        if self.runs().next().is_none() {
            return Item { id, asked, state: State::NoData, found: "There is no run.".to_owned() };
        }
        let unknown = self.runs().filter(|run| !run.origin.surroundings.contains_key("secateur")).count();
        if unknown > 0 {
            return Item { id, asked, state: State::NotMet, found: format!("Of {unknown} runs it is not known.") };
        }
        let program =
            |run: &'a ReportInput| ["secateur", "commit", "burn"].map(|name| run.origin.surroundings.get(name));
        let programs: BTreeSet<_> = self.runs().map(program).collect();
        let (state, found) = match programs.len() {
            1 => (State::Met, "One build made all runs.".to_owned()),
            builds => (State::NotMet, format!("{builds} builds made the runs.")),
        };
        Item { id, asked, state, found }
    }

    pub(super) fn measured(&self) -> Item {
        let find = |run: &ReportInput| {
            let trained = |stage: Stage| stage != Stage::JustPruned;
            let tests = || run.record.tests.iter().filter(|test| trained(test.tested.stage));
            let missing =
                tests().filter(|test| test.measured.as_ref().is_none_or(|found| found.inference.is_none())).count();
            match missing {
                _ if tests().next().is_none() => no_test(),
                0 => Finding::Meets,
                missing => Finding::Lacks(format!("{missing} networks not timed")),
            }
        };
        self.each_run(
            "measured-time",
            "Claims about speed rest on measured time, not on counts alone.",
            "Every network was timed on the machine of its run.",
            find,
        )
    }

    pub(super) fn whole(&self) -> Item {
        let open = self.records().filter(|record| record.ended.is_none()).count();
        let all = self.records().count();
        let (state, found) = match open {
            _ if all == 0 => (State::NoData, "There is no run.".to_owned()),
            0 => (State::Met, "Every run has ended.".to_owned()),
            open => (State::NotMet, format!("{open} of {all} have not ended.")),
        };
        Item { id: "whole-runs", asked: "Every run went to its end.", state, found }
    }
}
