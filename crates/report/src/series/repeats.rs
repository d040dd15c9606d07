//! What runs that are alike say together: one curve or several targets, and which of them say the same twice. Pure.

use super::Plan;
use crate::event::Choice;
use crate::report::ReportInput;
use crate::target::{Key, target};

/// Whether runs that are alike go one way, or each to a target of its own.
pub(super) fn plan(runs: &[&ReportInput]) -> Plan {
    if runs.iter().all(|run| same_targets(run, runs[0])) { Plan::Curve } else { Plan::Sweep }
}

/// Whether two runs that are alike prune to the same targets: their schedules are the same, or all their prunes were, since one
/// target can be written in several ways.
fn same_targets(a: &ReportInput, b: &ReportInput) -> bool {
    schedule(a) == schedule(b) || targets(a).is_some_and(|all| Some(all) == targets(b))
}

fn schedule(run: &ReportInput) -> Option<&Choice> {
    run.record.started.method.as_ref().map(|method| &method.schedule)
}

/// What each prune was asked for; `None` where some are still to come.
fn targets(run: &ReportInput) -> Option<Vec<Key>> {
    let (started, prunes) = (&run.record.started, &run.record.prunes);
    let whole = prunes.len() as u64 == started.planned_prunes;
    whole.then(|| prunes.iter().map(|pruned| Key::of(target(started, pruned))).collect())
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

fn is_repeat(a: &ReportInput, b: &ReportInput) -> bool {
    a.record.started.seed == b.record.started.seed && same_targets(a, b)
}
