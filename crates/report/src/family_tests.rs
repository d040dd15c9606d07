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

/// The best network by a cost: its series, target, and the pairs with their mean difference.
fn best(cheaper: &Cheaper<'_, '_>) -> (String, f64, usize, f64) {
    let Cheaper::Best(best) = cheaper else { panic!("nothing costs as little, or may be compared") };
    let spread = best.found.spread.expect("a difference");
    (best.series.name.clone(), best.pool.target, spread.n, (100.0 * spread.mean).round() / 100.0)
}

#[test]
fn a_rival_is_dense_of_another_size_and_meets_what_costs_no_more() {
    let runs = runs();
    let groups = groups(&runs);
    let families = families(&groups);
    let rivals = families[0].rivals();
    assert_eq!(rivals.iter().map(|rival| rival.series.runs[0].label.as_str()).collect::<Vec<_>>(), ["dense 2"]);
    // 25 / 4 times the cost of the dense control of width 2 is dense width 5: at 90 % one has 1,089,500 MACs left, at
    // 95 % 731,350, and the control has 799,872. 98.42 % against 98.69 %.
    let macs = rivals[0].pruned.last().expect("a figure");
    assert_eq!(best(macs), ("l1-global".to_owned(), 0.95, 1, -0.27));
    // The file of the control has 552,996 bytes, that at 90 % 404,200: 98.81 %.
    assert_eq!(families[0].figures[2].cost.name(), "f16 file");
    assert_eq!(best(&rivals[0].pruned[2]), ("l1-global".to_owned(), 0.9, 1, 0.12));
}

/// Three seeds of width 5 pruned, of width 2 dense, and what is said of MACs.
fn of_three_seeds(change: impl Fn(&mut ReportInput)) -> (Vec<ReportInput>, impl Fn(&[ReportInput]) -> String) {
    let mut runs = Vec::new();
    for seed in 1..=3 {
        runs.push(input("pruned", &measured(fixture::l1_events(seed), 5)));
        let mut dense = input("dense", &measured(fixture::dense_events_to(seed, 9869), 2));
        change(&mut dense);
        runs.push(dense);
    }
    let said = |runs: &[ReportInput]| {
        let groups = groups(runs);
        let families = families(&groups);
        match families[0].rivals()[0].pruned.last().expect("a figure") {
            Cheaper::Nothing => "nothing".to_owned(),
            Cheaper::NotComparable(why) => why.clone(),
            Cheaper::Best(best) => format!("{}, {}", best.series.name, best.found.verdict.words()),
        }
    };
    (runs, said)
}

#[test]
fn a_rival_is_trained_alike_but_for_its_size_or_is_not_comparable() {
    type Change = fn(&mut ReportInput);
    fn better(run: &mut ReportInput, images: u64) {
        run.record.tests.iter_mut().for_each(|test| test.tested.score.correct = 9_700 + images);
    }
    let changes: [(&str, Change); 7] = [
        // 98.42, 98.29 and 98.16 % against 98.69, 98.29 and 97.7 %.
        ("l1-global, below", |run| better(run, 169)),
        ("l1-global, no significant difference", |run| better(run, 129)),
        ("l1-global, above", |run| better(run, 70)),
        ("other training", |run| run.record.started.optimizer = crate::event::Choice::of_kind("adam")),
        ("other training", |run| run.record.started.planned_steps *= 2),
        ("no seed in common", |run| run.record.started.seed += 10),
        ("the dense one was not tested after as many steps", |run| {
            run.record.tests.iter_mut().for_each(|test| test.tested.step += 1);
        }),
    ];
    for (expected, change) in changes {
        let (runs, said) = of_three_seeds(change);
        assert_eq!(said(&runs), expected);
    }
    let (mut runs, said) = of_three_seeds(|_| ());
    runs[1].record.tests.iter_mut().for_each(|test| test.tested.score.correct = 1_135);
    assert_eq!(said(&runs), "1 of 3 seeds of one of them collapsed");
}

#[test]
fn a_mean_is_preferred_to_a_lucky_seed() {
    let (mut runs, said) = of_three_seeds(|_| ());
    let mut lucky = input("lucky", &measured(fixture::l1_events(1), 5));
    lucky.record.started.name = "lucky".into();
    lucky.record.tests.iter_mut().for_each(|test| test.tested.score.correct = 9999);
    runs.push(lucky);
    assert_eq!(said(&runs), "l1-global, below");
}
