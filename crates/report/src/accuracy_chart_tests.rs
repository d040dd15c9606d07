//! What the charts of accuracy hold.

use super::*;
use crate::fixture;
use crate::report::ReportInput;
use crate::series::series;

fn inputs(seeds: std::ops::RangeInclusive<u64>, with_control: bool) -> Vec<ReportInput> {
    let mut runs = Vec::new();
    for seed in seeds {
        runs.push(fixture::input(&format!("l1-s{seed}"), fixture::record(&fixture::l1_events(seed))));
        runs.push(fixture::input(&format!("random-s{seed}"), fixture::record(&fixture::random_events(seed))));
        if with_control {
            runs.push(fixture::input(&format!("dense-s{seed}"), fixture::record(&fixture::dense_events(seed))));
        }
    }
    runs
}

fn chart_of(runs: &[ReportInput], measure: Measure) -> Chart {
    accuracy_chart("s", &series(&runs.iter().collect::<Vec<_>>(), 0), measure).expect("a chart")
}

#[test]
fn controls_look_unlike_results() {
    let chart = chart_of(&inputs(1..=1, true), Measure::Sparsity);
    let looks: Vec<_> = chart.series.iter().map(|s| (s.label.as_str(), s.ink, s.line, s.marker)).collect();
    assert_eq!(looks[0], ("l1-global", Ink::Colour(0), Line::Solid, Marker::Disc));
    assert_eq!(looks[1], ("random control: random-global", Ink::Muted, Line::Dashed, Marker::Triangle));
    assert_eq!(looks[2], ("dense control, 13,760 steps: 99.06 %", Ink::Text, Line::Dashed, Marker::None));
    assert_eq!(looks[3].0, "chance: 10 %, one of 10 classes");
    assert!(!chart.series.iter().any(|s| s.label.contains("before pruning")));
    assert_eq!(chart.series[2].points.iter().map(|p| p.1).collect::<Vec<_>>(), [99.06, 99.06]);
    assert!(chart.series.iter().all(|s| s.band.is_empty() && s.hollow.is_empty()), "one seed has no interval");
}

#[test]
fn a_mean_has_its_band_its_dots_and_its_numbers() {
    let chart = chart_of(&inputs(1..=3, true), Measure::Sparsity);
    let line = &chart.series[0];
    assert_eq!((line.label.as_str(), line.points.len(), line.owner), ("l1-global, 3 seeds", 8, Some(0)));
    // 9899, 9886, 9873: deviation 0.13, 4.3027 * 0.13 / sqrt 3.
    let (x, low, high) = line.band[0][1];
    assert_eq!(x, line.points[1].0);
    assert!((line.points[1].1 - 98.86).abs() < 1e-9 && (high - 98.86 - 0.322_9).abs() < 1e-3, "{low} {high}");
    let dots = chart.series.iter().find(|s| s.marker == Marker::Dot && s.owner == Some(0)).expect("dots");
    assert_eq!(dots.points.len(), 8 * 3);
    let tip = &line.tips[1];
    for text in [
        "l1-global",
        "target 50 %: top-1 98.86 ± 0.32 % (3 seeds, 98.73 to 98.99)",
        "sparsity 50.00 %, compression 1.96x",
    ] {
        assert!(tip.contains(text), "{tip}");
    }
    let dense = chart.series.iter().find(|s| s.label.starts_with("dense control")).expect("a control");
    assert!(dense.label.contains("3 seeds") && dense.owner.is_some(), "{}", dense.label);
}

#[test]
fn bands_end_where_accuracy_ends_and_tips_say_the_interval() {
    let mut runs = inputs(1..=3, true);
    // 30, 90 and 90 %: a deviation of 34.6 points, 4.3 times of which over the root of three.
    for run in &mut runs {
        let correct = if run.record.started.seed == 1 { 3_000 } else { 9_000 };
        run.record.tests.iter_mut().for_each(|test| test.tested.score.correct = correct);
    }
    let chart = chart_of(&runs, Measure::Sparsity);
    let ends: Vec<_> = chart.series.iter().flat_map(|s| s.band.iter().flatten()).map(|end| (end.1, end.2)).collect();
    assert!(ends.len() > 16 && ends.iter().all(|end| *end == (0.0, 100.0)), "{ends:?}");
    let wide = "70.00 ± 86.05 %";
    assert!(chart.series[0].tips[0].contains(wide), "{}", chart.series[0].tips[0]);
    assert!(chart.series.iter().any(|s| s.label.starts_with("dense control") && s.label.contains(wide)));
    let table = crate::series_table(&runs);
    assert!(table.contains("70.00 ± 86.05"), "{table}");
}

#[test]
fn a_point_of_one_seed_is_hollow_where_others_have_more() {
    let mut runs = inputs(1..=2, false);
    runs.retain(|run| run.label != "random-s2");
    let chart = chart_of(&runs, Measure::Sparsity);
    assert_eq!(chart.series[0].hollow, Vec::<usize>::new());
    assert_eq!(chart.series[1].label, "random control: random-global, one seed");
    assert_eq!(chart.series[1].hollow, (0..8).collect::<Vec<_>>());
}

#[test]
fn without_a_control_the_dense_tests_are_the_baseline_once() {
    let chart = chart_of(&inputs(1..=1, false), Measure::Compression);
    let labels: Vec<_> = chart.series.iter().filter(|s| s.label.contains("dense, before")).collect();
    assert_eq!(labels.len(), 1);
    assert_eq!(labels[0].label, "dense, before pruning: 98.9 %");
}

#[test]
fn the_collapse_is_on_the_chart_and_not_on_the_front() {
    let chart = chart_of(&inputs(1..=1, true), Measure::Sparsity);
    let (x, y) = *chart.series[0].points.last().expect("a point");
    assert!((x - 2.3).abs() < 0.01 && (y - 11.35).abs() < 1e-9, "{x} {y}");
    assert_eq!((chart.panels[1].y.min, chart.panels[1].y.max), (0.0, 100.0));
    let ringed: Vec<_> = chart.series.iter().filter(|s| s.marker == Marker::Halo).flat_map(|s| &s.points).collect();
    // 98.99 at 50 % beats the dense 98.90 at 0 %; from there on every sparser point is on the front, but the collapsed one.
    assert_eq!(ringed.len(), 6, "{ringed:?}");
    assert!(ringed.iter().all(|point| chart.series[0].points.contains(point)), "none of the random control");
}

#[test]
fn unfinished_runs_are_marked_and_empty_ones_make_no_chart() {
    let mut runs = inputs(1..=1, false);
    runs.truncate(1);
    runs[0].record.ended = None;
    runs[0].record.tests.pop();
    let chart = chart_of(&runs, Measure::Sparsity);
    assert_eq!(chart.series[0].label, "l1-global (unfinished)");
    assert_eq!(chart.series[0].points.len(), 7, "the open cycle has no accuracy after training");
    let just = retraining_chart("s", &series(&[&runs[0]], 0)).expect("a chart");
    assert_eq!(just.series.last().map(|thin| thin.points.len()), Some(8), "and is on the just-pruned line");
    runs[0].record.tests.clear();
    let all = series(&[&runs[0]], 0);
    assert_eq!(accuracy_chart("s", &all, Measure::Sparsity), None);
    assert_eq!(retraining_chart("s", &all), None);
}

#[test]
fn retraining_is_drawn_beside_the_prune() {
    let runs = inputs(1..=3, true);
    let chart = retraining_chart("s", &series(&runs.iter().collect::<Vec<_>>(), 0)).expect("a chart");
    let of = |owner: usize, faint: bool| {
        chart.series.iter().find(|s| s.owner == Some(owner) && s.faint == faint).expect("a line").points.clone()
    };
    // Cycle 3, at 90 %: 9310, 9280, 9250 just pruned, 9881, 9868, 9855 retrained.
    assert!((of(0, true)[3].1 - 92.8).abs() < 1e-9 && (of(0, false)[3].1 - 98.68).abs() < 1e-9);
    assert_eq!(of(0, true)[0], of(0, false)[0], "both begin at the dense network");
    assert!(chart.series.iter().all(|s| s.owner != Some(2)), "a dense control prunes nothing");
}
