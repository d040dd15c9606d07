//! Which sizes share a chart, and what a small dense network meets.

use super::*;
use crate::fixture::{self, measured::measured};
use crate::group::groups;
use crate::report::ReportInput;

fn input(label: &str, lines: &[fixture::measured::Line]) -> ReportInput {
    fixture::input(label, fixture::measured::record(lines))
}

fn runs() -> [ReportInput; 4] {
    [
        input("pruned", &measured(fixture::l1_events(1), 5)),
        input("random", &measured(fixture::random_events(1), 5)),
        input("dense 5", &measured(fixture::dense_events(1), 5)),
        input("dense 2", &measured(fixture::dense_events_to(1, 9869), 2)),
    ]
}

#[test]
fn sizes_share_a_family_and_test_images_divide_it() {
    let mut runs = runs();
    let families = |runs: &[ReportInput]| {
        let groups = groups(runs);
        families(&groups).iter().map(|family| (family.title.clone(), family.series.len())).collect::<Vec<_>>()
    };
    assert_eq!(families(&runs), [("lenet on mnist, 10,000 test images".to_owned(), 4)]);
    runs[3].record.started.images.test = 1000;
    runs[2].record.started.model = "lenet-5".into();
    // The two dense ones are alone now, and no comparison.
    assert_eq!(families(&runs).iter().map(|family| family.1).collect::<Vec<_>>(), [2]);
}

#[test]
fn what_was_not_measured_is_compared_by_counts_alone() {
    let run = fixture::input("a", fixture::record(&fixture::l1_events(1)));
    let groups = groups(std::slice::from_ref(&run));
    let families = families(&groups);
    let stems: Vec<_> = families[0].figures.iter().map(|figure| figure.stem.as_str()).collect();
    assert_eq!(stems, ["accuracy-vs-parameters", "accuracy-vs-macs"]);
}

#[test]
fn a_rival_is_dense_of_another_size_and_meets_what_costs_no_more() {
    let runs = runs();
    let groups = groups(&runs);
    let families = families(&groups);
    let rivals = families[0].rivals();
    assert_eq!(rivals.iter().map(|rival| rival.series.runs[0].label.as_str()).collect::<Vec<_>>(), ["dense 2"]);
    // 25 / 4 times the cost of the dense control of width 2 is dense width 5: at 90 % one has 1,089,500 MACs left, at
    // 95 % 731,350, and the control has 799,872.
    let macs = rivals[0].pruned.last().and_then(|best| *best).expect("a cheaper network");
    let sparsity = (100.0 * macs.sparsity).round();
    assert_eq!((macs.series.name.as_str(), macs.top_1.mean, sparsity), ("l1-global", 98.42, 95.0));
    // The file of the control has 552,996 bytes, that at 90 % 404,200.
    let bytes = rivals[0].pruned[2].expect("a smaller file");
    assert_eq!((families[0].figures[2].cost.name(), bytes.top_1.mean), ("f16 file".to_owned(), 98.81));
}

#[test]
fn a_mean_is_preferred_to_a_lucky_seed() {
    let mut runs: Vec<_> = runs().into();
    runs.push(input("pruned-2", &measured(fixture::l1_events(2), 5)));
    let mut lucky = input("lucky", &measured(fixture::l1_events(1), 5));
    lucky.record.started.name = "lucky".into();
    lucky.record.tests.iter_mut().for_each(|test| test.tested.score.correct = 9999);
    runs.push(lucky);
    let groups = groups(&runs);
    let families = families(&groups);
    let rivals = families[0].rivals();
    let macs = rivals[0].pruned.last().and_then(|best| *best).expect("a cheaper network");
    assert_eq!((macs.series.name.as_str(), macs.top_1.n), ("l1-global", 2));
}
