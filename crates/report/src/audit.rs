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
    pub(crate) state: State,
    /// What was found.
    pub(crate) found: String,
}

/// What became of a recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Everything that it is about was found, and meets it.
    Met,
    /// Something does not meet it.
    NotMet,
    /// What it is about is not there, or not all of it, and nothing that is there speaks against it.
    NoData,
}

impl State {
    /// The state in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "not met",
            Self::NoData => "no data yet",
        }
    }
}

/// What one run or series says of a recommendation that all have to meet.
enum Finding {
    Meets,
    Lacks(String),
    /// It has nothing yet that could meet it or not.
    NoData(String),
}

impl Finding {
    /// What is lacking, where something is.
    fn of(lacking: Option<String>) -> Self {
        lacking.map_or(Self::Meets, Self::Lacks)
    }
}

/// `10 of 16 recommendations met, 4 without data yet`.
pub(crate) fn counts(items: &[Item]) -> String {
    let of = |state: State| items.iter().filter(|item| item.state == state).count();
    let open = match of(State::NoData) {
        0 => String::new(),
        open => format!(", {open} without data yet"),
    };
    format!("{} of {} recommendations met{open}", of(State::Met), items.len())
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
    let mut data = Data::new(&["id", "asked", "state", "met", "found"]);
    for Item { id, asked, state, found } in items {
        let met = match state {
            State::Met => Value::Flag(true),
            State::NotMet => Value::Flag(false),
            State::NoData => Value::None,
        };
        data.row(vec![(*id).into(), (*asked).into(), state.words().into(), met, found.as_str().into()]);
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

    /// An item that each result has to meet. One of which nothing was trained yet has no data.
    fn each_result(
        &self,
        id: &'static str,
        asked: &'static str,
        all: &str,
        find: impl Fn(&Group<'a>, &RunSeries<'a>) -> Finding,
    ) -> Item {
        let finding = |(group, series): (&Group<'a>, &RunSeries<'a>)| {
            (series.name.clone(), if has_results(series) { find(group, series) } else { nothing_yet() })
        };
        listed(id, asked, all, NO_RESULTS, self.results().map(finding))
    }

    /// An item that each run has to meet.
    fn each_run(
        &self,
        id: &'static str,
        asked: &'static str,
        all: &str,
        find: impl Fn(&ReportInput) -> Finding,
    ) -> Item {
        listed(id, asked, all, "There is no run.", self.runs().map(|run| (run.label.clone(), find(run))))
    }
}

const NO_RESULTS: &str = "There is no series that prunes by a criterion.";

/// Whether any pruned network of the series was trained and tested.
fn has_results(series: &RunSeries<'_>) -> bool {
    series.trained().next().is_some()
}

fn nothing_yet() -> Finding {
    Finding::NoData("no pruned network was trained and tested yet".to_owned())
}

/// Met when all meet it. What some lack weighs more than what others have no data for; the first of them are named. Of
/// `none` at all there is no data.
fn listed(
    id: &'static str,
    asked: &'static str,
    all: &str,
    none: &str,
    findings: impl Iterator<Item = (String, Finding)>,
) -> Item {
    let (mut count, mut lacking, mut open) = (0, Vec::new(), Vec::new());
    for (name, finding) in findings {
        count += 1;
        match finding {
            Finding::Meets => {}
            Finding::Lacks(what) => lacking.push(format!("{name}: {what}")),
            Finding::NoData(what) => open.push(format!("{name}: {what}")),
        }
    }
    let (state, named) = match (lacking.is_empty(), open.is_empty()) {
        (true, true) if count == 0 => return Item { id, asked, state: State::NoData, found: none.to_owned() },
        (true, true) => return Item { id, asked, state: State::Met, found: all.to_owned() },
        (true, false) => (State::NoData, open),
        (false, _) => (State::NotMet, lacking),
    };
    let mut found = named.iter().take(NAMES).cloned().collect::<Vec<_>>().join("; ");
    if named.len() > NAMES {
        found.push_str(&format!("; and {} more", named.len() - NAMES));
    }
    Item { id, asked, state, found: found + "." }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
