//! What runs that are alike say together: one curve or several targets, and which of them say the same twice. Pure.

use super::Plan;
use crate::event::Choice;
use crate::record::RunRecord;
use crate::report::ReportInput;

/// Whether runs that are alike go one way, or each to a target of its own.
pub(super) fn plan(runs: &[&ReportInput]) -> Plan {
    let same = runs.iter().all(|run| schedule(&run.record) == schedule(&runs[0].record));
    if same { Plan::Curve } else { Plan::Sweep }
}

fn schedule(record: &RunRecord) -> Option<&Choice> {
    record.started.method.as_ref().map(|method| &method.schedule)
}

/// The runs, and those that say again what another one says. Of two such the finished one counts, then the one with more
/// tests, then the first: an average over one seed twice would look surer than it is.
pub(super) fn repeats<'a>(runs: &[&'a ReportInput]) -> (Vec<&'a ReportInput>, Vec<&'a ReportInput>) {
    let weight = |run: &ReportInput| (run.record.ended.is_some(), run.record.tests.len());
    let (mut kept, mut spare): (Vec<&ReportInput>, Vec<&ReportInput>) = (Vec::new(), Vec::new());
    for &run in runs {
        match kept.iter_mut().find(|other| is_repeat(other, run)) {
            Some(other) if weight(run) > weight(other) => spare.push(std::mem::replace(other, run)),
            Some(_) => spare.push(run),
            None => kept.push(run),
        }
    }
    (kept, spare)
}

/// Same seed and same schedule.
fn is_repeat(a: &ReportInput, b: &ReportInput) -> bool {
    a.record.started.seed == b.record.started.seed && schedule(&a.record) == schedule(&b.record)
}
