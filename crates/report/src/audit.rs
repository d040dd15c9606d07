//! Which of the field's recommendations for reporting pruning a report meets, found in its data: those of Blalock et al.,
//! "What is the State of Neural Network Pruning?" (2020), section 6 and its checklist, and what the same experience asks of
//! a comparison besides. Pure.

use crate::data::{Data, Value};
use crate::group::Group;
use crate::record::{Control, RunRecord};
use crate::report::ReportInput;
use crate::series::RunSeries;

mod results;
mod runs;

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
        view.length(),
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
