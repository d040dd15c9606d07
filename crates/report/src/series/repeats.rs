//! What runs that are alike say together: one curve or several targets, and which of them say the same twice. Pure.

use super::Plan;
use crate::record::RunRecord;
use crate::report::ReportInput;
use crate::target::Key;

/// Whether runs that are alike go one way, or each to a target of its own.
pub(super) fn plan(runs: &[&ReportInput]) -> Plan {
    let schedule = |run: &ReportInput| run.record.started.method.as_ref().map(|method| method.schedule.clone());
    if runs.iter().any(|run| schedule(run) != schedule(runs[0])) {
        return Plan::Sweep;
    }
    // An accuracy budget finds its targets on the way.
    if runs.iter().any(|run| !run.record.judged.is_empty()) {
        return Plan::Curve;
    }
    // A list may hold other sparsities under the same words; a run that is still going has a part of it.
    let targets = |run: &ReportInput| run.record.prunes.iter().map(|prune| Key::of(prune.target)).collect::<Vec<_>>();
    let lists: Vec<_> = runs.iter().map(|run| targets(run)).collect();
    let longest = lists.iter().max_by_key(|list| list.len());
    let same = longest.is_none_or(|longest| lists.iter().all(|list| longest.starts_with(list)));
    if same { Plan::Curve } else { Plan::Sweep }
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

/// Same seed, same schedule, and as far as both have come the same targets.
fn is_repeat(a: &ReportInput, b: &ReportInput) -> bool {
    let (a, b) = (&a.record, &b.record);
    let schedule = |record: &RunRecord| record.started.method.as_ref().map(|method| method.schedule.clone());
    let mut targets = a.prunes.iter().zip(&b.prunes).map(|(a, b)| (Key::of(a.target), Key::of(b.target)));
    let found_on_the_way = !a.judged.is_empty() || !b.judged.is_empty();
    a.started.seed == b.started.seed && schedule(a) == schedule(b) && (found_on_the_way || targets.all(|(a, b)| a == b))
}
