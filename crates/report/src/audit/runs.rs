//! What is asked of every run. Pure.

use std::collections::BTreeSet;

use super::{Item, View};
use crate::event::Stage;
use crate::report::ReportInput;

impl<'a> View<'_, 'a> {
    pub(super) fn fractions(&self) -> Item {
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

    pub(super) fn raw_accuracy(&self) -> Item {
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

    pub(super) fn speedup(&self) -> Item {
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

    pub(super) fn selection(&self) -> Item {
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

    pub(super) fn place(&self) -> Item {
        let lacks = |run: &ReportInput| {
            let known = &run.origin.surroundings;
            let missing =
                ["secateur", "platform", "processor", "device"].into_iter().filter(|name| !known.contains_key(*name));
            let missing: Vec<_> = missing.collect();
            (!missing.is_empty()).then(|| format!("{} not known", missing.join(", ")))
        };
        self.each_run(
            "hardware-and-versions",
            "The hardware and the versions of the libraries are named.",
            "Every run names its program, platform, processor and device.",
            lacks,
        )
    }

    pub(super) fn one_program(&self) -> Item {
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

    pub(super) fn measured(&self) -> Item {
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

    pub(super) fn whole(&self) -> Item {
        let open = self.records().filter(|record| record.ended.is_none()).count();
        let all = self.records().count();
        let found =
            if open == 0 { "Every run has ended.".to_owned() } else { format!("{open} of {all} have not ended.") };
        Item { id: "whole-runs", asked: "Every run went to its end.", met: open == 0, found }
    }
}
