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
    // The unpruned network's own interval stands apart, as its point does.
    assert_eq!((line.breaks.as_slice(), line.band[0].len(), line.band[1].len()), (&[1][..], 1, 7));
    let (x, low, high) = line.band[1][0];
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
    let wide = "70.00 % (95 %: 0.00 to 100.00; 3 seeds, 30.00 to 90.00)";
    assert!(chart.series[0].tips[0].contains(wide), "{}", chart.series[0].tips[0]);
    let table = crate::series_table(&runs);
    assert!(table.contains("0.00 to 100.00"), "{table}");
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
fn an_unpruned_network_is_a_point_apart_and_no_baseline() {
    for with_control in [false, true] {
        let chart = chart_of(&inputs(1..=1, with_control), Measure::Compression);
        let levels: Vec<_> = chart.series.iter().filter(|s| s.label.starts_with("dense")).collect();
        assert_eq!(levels.len(), usize::from(with_control), "a run is no baseline of its own");
        let line = &chart.series[0];
        assert_eq!(line.breaks, [1], "no line leads from it, as if pruning had brought the gain");
        assert_eq!(line.lines().iter().map(|line| line.len()).collect::<Vec<_>>(), [1, 7]);
        assert!(line.tips[0].contains("before the first prune: top-1 98.90 %"), "{}", line.tips[0]);
        let frames: Vec<_> = chart.series.iter().filter(|s| s.marker == Marker::Frame).collect();
        assert!(frames[0].label.starts_with("framed: unpruned") && frames[0].points.is_empty());
        assert_eq!((frames.len(), frames[1].points[0], frames[1].owner), (3, line.points[0], Some(0)));
    }
}

#[test]
fn few_seeds_have_no_t_interval_and_the_legend_says_what_they_have() {
    let labels = |chart: &Chart| chart.series.iter().map(|s| s.label.clone()).collect::<Vec<_>>();
    // One seed: a bar of the test images' error, no band.
    let one = chart_of(&inputs(1..=1, true), Measure::Sparsity);
    assert!(one.series.iter().all(|s| s.band.is_empty()));
    assert_eq!(one.series[0].bars.len(), 8);
    let [(x, low), (_, high)] = one.series[0].bars[1];
    // 9,899 of 10,000: 98.774 to 99.168.
    assert!(
        x == one.series[0].points[1].0 && (low - 98.774).abs() < 1e-3 && (high - 99.168).abs() < 1e-3,
        "{low} {high}"
    );
    assert!(labels(&one).contains(&"bar: 95 % interval of the test images".to_owned()));
    // Two: from the lowest to the highest, which at 50 % are 98.86 and 98.99.
    let two = chart_of(&inputs(1..=2, true), Measure::Sparsity);
    let (_, low, high) = two.series[0].band[1][0];
    assert!((low - 98.86).abs() < 1e-9 && (high - 98.99).abs() < 1e-9 && two.series[0].bars.is_empty());
    assert!(labels(&two).contains(&"band of two seeds: lowest to highest".to_owned()));
    let three = labels(&chart_of(&inputs(1..=3, true), Measure::Sparsity));
    assert!(three.contains(&"band: 95 % t-interval of the mean".to_owned()), "{three:?}");
    assert!(!three.iter().any(|label| label.contains("lowest") || label.starts_with("bar")), "{three:?}");
}

#[test]
fn seeds_of_which_some_collapsed_have_no_mean() {
    let mut runs = inputs(1..=5, true);
    // Cycle 6, at 99 %: two of five have collapsed.
    for run in runs.iter_mut().filter(|run| ["l1-s2", "l1-s4"].contains(&run.label.as_str())) {
        let tests = run.record.tests.iter_mut().filter(|test| test.tested.cycle == 6);
        tests.for_each(|test| test.tested.score.correct = 1_135);
    }
    let chart = chart_of(&runs, Measure::Sparsity);
    let line = &chart.series[0];
    assert_eq!((line.points.len(), line.breaks.as_slice()), (7, &[1, 6][..]), "the line ends, and begins anew");
    let apart: Vec<_> = chart
        .series
        .iter()
        .filter(|s| s.owner == Some(0) && s.marker == Marker::Ring && s.line == Line::None)
        .collect();
    assert_eq!((apart.len(), apart[0].points.len()), (1, 5));
    assert_eq!(apart[0].points.iter().filter(|point| (point.1 - 11.35).abs() < 1e-9).count(), 2);
    assert!(apart[0].tips[0].contains("2 of 5 seeds collapsed (11.35 to 93.85 %)"), "{}", apart[0].tips[0]);
    assert!(chart.series.iter().any(|s| s.label == "single seeds, of which some collapsed"));
    let rings = chart.series.iter().filter(|s| s.marker == Marker::Halo).flat_map(|s| &s.points);
    assert!(rings.into_iter().all(|ring| !apart[0].points.contains(ring)), "a single seed of them is on no front");
    let table = crate::series_table(&runs);
    let row = table.lines().find(|line| line.contains("2 of 5 collapsed")).expect("a row");
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(
        (&words[..4], &words[words.len() - 2..]),
        (&["99", "%", "5", "-"][..], &["-", "-"][..]),
        "no mean: {row}"
    );
    let report = crate::Report::of(&runs).expect("a report");
    assert!(report.page().contains("2 of 5<small>seeds collapsed</small>"));
    let csv: Vec<String> = report
        .file("series.csv")
        .map(|bytes| bytes.expect("a table"))
        .map(|bytes| String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
        .expect("no fault");
    assert!(csv.iter().any(|row| row.contains(",min-max,0.1135,")), "{csv:?}");
    assert!(
        csv.iter().any(|row| row.contains(",t-95,"))
            && csv[0].contains(",accuracy_interval,accuracy_low,accuracy_high,")
    );
}

#[test]
fn a_dense_control_of_another_length_is_marked() {
    let mut runs = inputs(1..=1, true);
    let labels = |runs: &[ReportInput]| {
        let chart = chart_of(runs, Measure::Sparsity);
        chart.series.iter().map(|s| s.label.clone()).filter(|label| label.starts_with("dense")).collect::<Vec<_>>()
    };
    assert_eq!(labels(&runs), ["dense control, 13,760 steps: 99.06 %"]);
    runs[2].record.started.planned_steps *= 8;
    runs[2].record.started.planned_steps /= 3;
    assert_eq!(labels(&runs), ["dense, 2.67 times the steps: 99.06 %"]);
}

#[test]
fn a_dense_network_that_is_no_control_is_not_called_one() {
    let mut runs = inputs(1..=1, true);
    let adam = crate::event::Choice::of_kind("adam").with("lr", 0.001);
    runs[..2].iter_mut().for_each(|run| run.record.started.optimizer = adam.clone());
    // The control of SGD beside runs of Adam, then the one of Adam beside both.
    let dense = |runs: &[ReportInput]| {
        let chart = chart_of(runs, Measure::Sparsity);
        chart.series.iter().map(|s| s.label.clone()).filter(|label| label.starts_with("dense")).collect::<Vec<_>>()
    };
    assert_eq!(dense(&runs), ["dense, other training: 99.06 %"]);
    let table = crate::series_table(&runs);
    assert!(table.lines().any(|line| line == "dense, other training"), "{table}");
    let page = crate::Report::of(&runs).expect("a report").page().to_owned();
    assert!(page.contains("dense<small>other training</small>") && !page.contains(">dense control"), "{page}");
    let mut control = runs[2].clone();
    control.record.started.optimizer = adam;
    control.record.started.name = "adam-dense".into();
    runs.push(control);
    assert_eq!(dense(&runs), ["dense, other training: 99.06 %", "dense control, 13,760 steps: 99.06 %"]);
    let table = crate::series_table(&runs);
    assert!(table.lines().any(|line| line == "adam-dense"), "{table}");
}

#[test]
fn a_dense_control_of_which_some_seeds_collapsed_has_no_mean() {
    let mut runs = inputs(1..=3, true);
    runs[2].record.tests.iter_mut().for_each(|test| test.tested.score.correct = 1_135);
    let chart = chart_of(&runs, Measure::Sparsity);
    let dense = chart.series.iter().find(|s| s.label.starts_with("dense")).expect("a control");
    assert_eq!(dense.label, "dense control, 13,760 steps, 3 seeds: 1 of them collapsed");
    assert!(dense.points.is_empty() && (dense.band[0][0].1, dense.band[0][0].2) == (11.35, 99.06), "{:?}", dense.band);
    let table = crate::series_table(&runs);
    let row = table.lines().find(|line| line.trim_start().starts_with("50 %")).expect("a row");
    assert!(row.split_whitespace().rev().nth(1) == Some("-") || row.contains(" - "), "{row}");
}

#[test]
fn chance_is_that_of_so_many_classes() {
    let mut runs = inputs(1..=1, false);
    runs.iter_mut().for_each(|run| run.record.started.classes = 100);
    let chart = chart_of(&runs, Measure::Sparsity);
    let chance = chart.series.iter().find(|s| s.label.starts_with("chance")).expect("a level");
    assert_eq!((chance.label.as_str(), chance.points[0].1), ("chance: 1 %, one of 100 classes", 1.0));
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
    runs[0].state = crate::State::Unfinished;
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
