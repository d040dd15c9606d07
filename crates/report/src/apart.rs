//! What a report was given and does not show, or does not average, and why: nothing is left out in silence. Pure.

use crate::group::Group;
use crate::number::grouped;
use crate::record::Control;
use crate::report::Refused;
use crate::series::Plan;

/// Runs of a group that are named before the others are only counted.
const NAMES: usize = 3;

/// Something that stands apart from the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Apart {
    pub(crate) label: String,
    pub(crate) what: What,
    pub(crate) why: String,
}

/// How far apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// Not shown at all.
    Refused,
    /// In the table of runs, in no curve and no mean.
    Listed,
    /// In charts of its own.
    Separate,
}

impl What {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Refused => "not shown",
            Self::Listed => "listed, not averaged",
            Self::Separate => "in charts of its own",
        }
    }
}

/// The list, what is not shown first.
pub(crate) fn apart(groups: &[Group<'_>], refused: &[Refused]) -> Vec<Apart> {
    let mut all: Vec<_> = refused
        .iter()
        .map(|Refused { label, why }| Apart { label: label.clone(), what: What::Refused, why: why.clone() })
        .collect();
    for group in groups {
        for series in &group.series {
            let listed = |label: &str, why| Apart { label: label.to_owned(), what: What::Listed, why };
            for run in &series.spare {
                let seed = run.record.started.seed;
                let repeats = format!("repeats seed {seed} of the series {}, which would count twice", series.label);
                // First what is wrong with it: a finished one would be as good as the one that counts.
                let why = match run.record.ended {
                    Some(_) => repeats,
                    None => format!("is unfinished, at step {}; and {repeats}", grouped(run.record.step())),
                };
                all.push(listed(&run.label, why));
            }
            for run in &series.runs {
                let whole = run.record.ended.is_some();
                let pooled = [&series.dense]
                    .into_iter()
                    .chain(&series.pools)
                    .filter(|pool| series.plan == Plan::Curve || pool.target > 0.0)
                    .flat_map(|pool| &pool.samples)
                    .any(|sample| std::ptr::eq(sample.run, *run) && sample.point.trained.is_some());
                if !pooled && series.control != Control::Dense || run.record.tests.is_empty() {
                    let step = grouped(run.record.step());
                    let why = match (run.record.tests.is_empty(), whole) {
                        (true, _) => "has no test yet".to_owned(),
                        (_, false) => format!("is unfinished: it has not reached its target yet, at step {step}"),
                        (_, true) => "has no test of a network that was trained after its last prune".to_owned(),
                    };
                    all.push(listed(&run.label, why));
                }
            }
        }
    }
    // The largest group is the rest; each other one stands apart from it, in a line.
    let rest = groups.iter().enumerate().max_by_key(|(index, group)| (group.runs.len(), groups.len() - index));
    for (index, group) in groups.iter().enumerate() {
        let Some((_, rest)) = rest.filter(|(of_rest, _)| *of_rest != index) else { continue };
        let mut label = group.runs.iter().take(NAMES).map(|run| run.label.clone()).collect::<Vec<_>>().join(", ");
        if group.runs.len() > NAMES {
            label.push_str(&format!(" and {} more", group.runs.len() - NAMES));
        }
        let why = format!("{}; most runs are {}", group.title, rest.title);
        all.push(Apart { label, what: What::Separate, why });
    }
    all.sort_by_key(|apart| apart.what);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::group::groups;
    use crate::report::ReportInput;

    fn said(runs: &[ReportInput], refused: &[Refused]) -> Vec<(String, What)> {
        apart(&groups(runs), refused).into_iter().map(|apart| (apart.label, apart.what)).collect()
    }

    fn input(label: &str, events: &[crate::Event]) -> ReportInput {
        fixture::input(label, fixture::record(events))
    }

    #[test]
    fn what_is_shown_with_the_rest_is_not_named() {
        let runs = [
            input("a", &fixture::l1_events(1)),
            input("b", &fixture::l1_events(2)),
            input("r", &fixture::random_events(1)),
            input("d", &fixture::dense_events(1)),
        ];
        assert_eq!(said(&runs, &[]), []);
    }

    #[test]
    fn everything_else_is_and_says_why() {
        let to = |target, label| input(label, &fixture::one_target(fixture::l1_events(1), target, 9800));
        let mut runs = [
            to(0.9, "first"),
            to(0.95, "on-its-way"),
            to(0.9, "again"),
            input("empty", &fixture::random_events(1)),
            input("fashion", &fixture::l1_events(1)),
        ];
        runs[1].record.ended = None;
        runs[1].record.tests.pop();
        runs[3].record.tests.clear();
        runs[3].record.ended = None;
        runs[4].record.started.dataset = "fashion-mnist".into();
        let refused = [Refused { label: "torn".into(), why: "line 3 is no event".into() }];
        let expected = [
            ("torn", What::Refused),
            ("again", What::Listed),
            ("on-its-way", What::Listed),
            ("empty", What::Listed),
            ("fashion", What::Separate),
        ];
        assert_eq!(said(&runs, &refused), expected.map(|(label, what)| (label.to_owned(), what)));
        let whys: Vec<_> = apart(&groups(&runs), &refused).into_iter().map(|apart| apart.why).collect();
        for (why, wanted) in
            whys.iter().zip(["line 3", "repeats seed 1", "not reached its target", "no test yet", "fashion-mnist"])
        {
            assert!(why.contains(wanted), "{why}");
        }
    }
    #[test]
    fn a_log_that_is_cut_off_is_unfinished_before_it_is_a_repetition() {
        let mut runs = ["cut-off", "finished", "again"].map(|label| input(label, &fixture::l1_events(1)));
        runs[0].record.ended = None;
        runs[0].record.tests.truncate(3);
        runs[0].record.epochs.truncate(8);
        runs[0].record.prunes.truncate(1);
        runs[0].record.compiled = None;
        let whys: Vec<_> = apart(&groups(&runs), &[]).into_iter().map(|apart| (apart.label, apart.why)).collect();
        let repeats = "repeats seed 1 of the series l1-global, which would count twice";
        let expected = [
            ("cut-off".to_owned(), format!("is unfinished, at step 3,440; and {repeats}")),
            ("again".to_owned(), repeats.to_owned()),
        ];
        assert_eq!(whys, expected);
    }
}
