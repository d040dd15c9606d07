//! From the record of runs to the charts that compare them: which run is a curve, which a baseline, and what each is
//! called. Pure: numbers in, numbers out.

use crate::chart::{Axis, Chart, Ink, Line, Marker, Series, compression_position, panels, sparsity_position};
use crate::number::{grouped, short_percent};
use crate::record::{CLASSES, Control, RunRecord, State};

/// A run as one curve: accuracy against what is left of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The run's name in the legend.
    pub label: String,
    /// What it is compared as.
    pub control: Control,
    /// Whether the run has ended.
    pub state: State,
    /// Steps trained when the last test was made.
    pub steps: u64,
    /// Its cycles; the dense model first.
    pub points: Vec<CurvePoint>,
}

/// A cycle of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Share of zeros among the prunable parameters.
    pub sparsity: f64,
    /// All parameters over those that are not zero; infinite when none is left.
    pub compression_ratio: f64,
    /// Top-1 on test right after the prune, `[0, 1]`.
    pub just_pruned: Option<f64>,
    /// Top-1 on test after training, `[0, 1]`.
    pub trained: Option<f64>,
}

/// What accuracy is drawn against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Sparsity of the prunable parameters.
    Sparsity,
    /// Compression ratio over all parameters.
    Compression,
}

impl Curve {
    /// The curve of a run.
    pub fn of(label: impl Into<String>, record: &RunRecord) -> Self {
        let points = record.points().into_iter().filter_map(|point| {
            let size = point.size()?;
            Some(CurvePoint {
                sparsity: size.sparsity(),
                compression_ratio: size.compression_ratio(),
                just_pruned: point.just_pruned.map(|test| test.score.accuracy()),
                trained: point.trained.map(|test| test.score.accuracy()),
            })
        });
        Self {
            label: label.into(),
            control: record.control(),
            state: record.state(),
            steps: record.tests.last().map_or(0, |test| test.tested.step),
            points: points.collect(),
        }
    }

    fn last_trained(&self) -> Option<f64> {
        self.points.iter().rev().find_map(|point| point.trained)
    }

    /// The retrained line and the faint just-pruned one.
    fn series(&self, measure: Measure, ink: Ink, shape: (Line, Marker, Marker)) -> [Series; 2] {
        let (line, filled, hollow) = shape;
        let kind = if self.control == Control::Random { "random control: " } else { "" };
        let state = if self.state == State::Unfinished { " (unfinished)" } else { "" };
        let place = |point: &CurvePoint, accuracy: Option<f64>| Some((measure.position(point), 100.0 * accuracy?));
        // The just-pruned line starts at the dense model too: its first drop is part of the story.
        let just =
            |point: &CurvePoint| place(point, point.just_pruned.or(point.trained.filter(|_| point.sparsity == 0.0)));
        let series = |label, line, marker, faint, points| Series { label, ink, line, marker, faint, points };
        [
            series(
                format!("{kind}{}{state}", self.label),
                line,
                filled,
                false,
                self.points.iter().filter_map(|point| place(point, point.trained)).collect(),
            ),
            series(String::new(), Line::Solid, hollow, true, self.points.iter().filter_map(just).collect()),
        ]
    }
}

impl Measure {
    fn position(self, point: &CurvePoint) -> f64 {
        match self {
            Self::Sparsity => sparsity_position(point.sparsity),
            Self::Compression => compression_position(point.compression_ratio),
        }
    }
}

/// The chart of runs of one model on one data set, with their baselines. `None` when no run has a test.
///
/// Pruned runs are coloured lines, random controls grey and dashed, dense controls horizontal. Without a dense control
/// the dense test of the pruned runs themselves is the baseline.
pub fn curve_chart(subject: &str, curves: &[Curve], measure: Measure) -> Option<Chart> {
    let of = |control: Control| curves.iter().filter(move |curve| curve.control == control && !curve.points.is_empty());
    let points = curves.iter().flat_map(|curve| &curve.points);
    let right = points.clone().map(|point| measure.position(point)).reduce(f64::max)?;
    let best = points.filter_map(|point| point.trained).reduce(f64::max).map(|best| 100.0 * best);
    let (title, x) = match measure {
        Measure::Sparsity => ("Top-1 accuracy against sparsity", Axis::sparsity(right)),
        Measure::Compression => ("Top-1 accuracy against compression", Axis::compression(right)),
    };

    let mut lines = Vec::new();
    let mut faint = Vec::new();
    for (index, curve) in of(Control::Pruned).enumerate() {
        let marker = if index / 6 % 2 == 0 { Marker::Disc } else { Marker::Square };
        let [line, just] = curve.series(measure, Ink::Colour(index), (Line::Solid, marker, Marker::Ring));
        lines.push(line);
        faint.push(just);
    }
    for curve in of(Control::Random) {
        let shape = (Line::Dashed, Marker::Triangle, Marker::HollowTriangle);
        let [line, just] = curve.series(measure, Ink::Muted, shape);
        lines.push(line);
        faint.push(just);
    }
    for (label, accuracy) in baselines(curves) {
        lines.push(Series::level(&x, label, Ink::Text, Line::Dashed, 100.0 * accuracy));
    }
    let chance = 100.0 / CLASSES as f64;
    lines.push(Series::level(
        &x,
        format!("chance: {chance} %, one of {CLASSES} classes"),
        Ink::Muted,
        Line::Dotted,
        chance,
    ));
    if faint.iter().any(|series| series.points.len() > 1) {
        let label = "hollow, thin: just pruned, before retraining".to_owned();
        let (ink, line, marker) = (Ink::Muted, Line::Solid, Marker::Ring);
        lines.push(Series { label, ink, line, marker, faint: true, points: Vec::new() });
    }
    lines.extend(faint);
    Some(Chart {
        title: title.to_owned(),
        subtitle: subject.to_owned(),
        x,
        y_label: "top-1 accuracy on test".to_owned(),
        panels: panels(best),
        series: lines,
        marks: Vec::new(),
        labels: Vec::new(),
    })
}

/// Label and accuracy of each dense baseline.
fn baselines(curves: &[Curve]) -> Vec<(String, f64)> {
    let percent = |accuracy: f64| format!("{} %", short_percent(accuracy));
    let controls = curves.iter().filter(|curve| curve.control == Control::Dense);
    let controls: Vec<_> = controls.filter_map(|curve| Some((curve, curve.last_trained()?))).collect();
    if !controls.is_empty() {
        let label = |curve: &Curve, accuracy| {
            let state = if curve.state == State::Unfinished { ", unfinished" } else { "" };
            format!("dense control, {} steps{state}: {}", grouped(curve.steps), percent(accuracy))
        };
        return controls.into_iter().map(|(curve, accuracy)| (label(curve, accuracy), accuracy)).collect();
    }
    let mut own: Vec<f64> = Vec::new();
    for curve in curves {
        let dense = curve.points.first().filter(|point| point.sparsity == 0.0).and_then(|point| point.trained);
        own.extend(dense.filter(|accuracy| !own.contains(accuracy)));
    }
    own.into_iter().map(|accuracy| (format!("dense, before pruning: {}", percent(accuracy)), accuracy)).collect()
}

/// Accuracy while training, on validation where the run holds a split out. `None` before the first epoch's end.
pub fn learning_chart(subject: &str, record: &RunRecord) -> Option<Chart> {
    let right = record.step() as f64;
    let series = |label: &str, ink, line, marker, points: Vec<(f64, f64)>| Series {
        label: label.to_owned(),
        ink,
        line,
        marker,
        faint: false,
        points,
    };
    // More than these would touch each other.
    let marker = if record.epochs.len() <= 60 { Marker::Disc } else { Marker::None };
    let place = |step: u64, accuracy: f64| (step as f64, 100.0 * accuracy);
    let validation: Vec<_> =
        record.epochs.iter().filter_map(|e| Some(place(e.step, e.validation?.accuracy()))).collect();
    let train: Vec<_> = record.epochs.iter().map(|e| place(e.step, e.train.accuracy())).collect();
    let best = train.iter().chain(&validation).map(|&(_, accuracy)| accuracy).reduce(f64::max)?;
    let mut lines = Vec::new();
    if !validation.is_empty() {
        lines.push(series("validation, after each epoch", Ink::Colour(0), Line::Solid, marker, validation));
    }
    lines.push(series("training, running over the epoch", Ink::Muted, Line::Dashed, Marker::None, train));
    if !record.prunes.is_empty() {
        lines.push(series("vertical lines: prunes", Ink::Muted, Line::None, Marker::None, Vec::new()));
    }
    Some(Chart {
        title: "Accuracy while training".to_owned(),
        subtitle: subject.to_owned(),
        x: Axis::steps(right),
        y_label: "top-1 accuracy".to_owned(),
        panels: panels(Some(best)),
        series: lines,
        marks: record.prunes.iter().map(|prune| prune.step as f64).collect(),
        labels: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn curves(with_control: bool) -> Vec<Curve> {
        let mut curves = vec![
            Curve::of("l1", &fixture::record(&fixture::l1_events(1))),
            Curve::of("rnd", &fixture::record(&fixture::random_events(1))),
        ];
        if with_control {
            curves.push(Curve::of("dense", &fixture::record(&fixture::dense_events(1))));
        }
        curves
    }

    #[test]
    fn a_point_is_the_log_s_numbers() {
        let curve = &curves(false)[0];
        assert_eq!(curve.points.len(), 8);
        let point = curve.points[1];
        assert_eq!((point.sparsity, point.just_pruned, point.trained), (0.5, Some(0.9884), Some(0.9899)));
        assert!((point.compression_ratio - 60_074.0 / 30_602.0).abs() < 1e-12);
    }

    #[test]
    fn controls_look_unlike_results() {
        let chart = curve_chart("s", &curves(true), Measure::Sparsity).expect("a chart");
        let looks: Vec<_> = chart.series.iter().map(|s| (s.label.as_str(), s.ink, s.line, s.marker)).collect();
        assert_eq!(looks[0], ("l1", Ink::Colour(0), Line::Solid, Marker::Disc));
        assert_eq!(looks[1], ("random control: rnd", Ink::Muted, Line::Dashed, Marker::Triangle));
        assert_eq!(looks[2], ("dense control, 13,760 steps: 99.06 %", Ink::Text, Line::Dashed, Marker::None));
        assert_eq!(looks[3].0, "chance: 10 %, one of 10 classes");
        assert!(!chart.series.iter().any(|s| s.label.contains("before pruning")));
        assert_eq!(chart.series[2].points.iter().map(|p| p.1).collect::<Vec<_>>(), [99.06, 99.06]);
    }

    #[test]
    fn without_a_control_the_run_s_own_dense_test_is_the_baseline_once() {
        let chart = curve_chart("s", &curves(false), Measure::Compression).expect("a chart");
        let labels: Vec<_> = chart.series.iter().filter(|s| s.label.contains("dense, before")).collect();
        assert_eq!(labels.len(), 1);
        assert_eq!(labels[0].label, "dense, before pruning: 98.9 %");
    }

    #[test]
    fn the_collapse_is_on_the_chart() {
        let chart = curve_chart("s", &curves(true), Measure::Sparsity).expect("a chart");
        let (x, y) = *chart.series[0].points.last().expect("a point");
        assert!((x - 2.3).abs() < 0.01 && (y - 11.35).abs() < 1e-9, "{x} {y}");
        assert_eq!((chart.panels[1].y.min, chart.panels[1].y.max), (0.0, 100.0));
    }

    #[test]
    fn unfinished_runs_are_marked_and_empty_ones_make_no_chart() {
        let mut record = fixture::record(&fixture::l1_events(1));
        record.ended = None;
        record.tests.pop();
        let chart = curve_chart("s", &[Curve::of("l1", &record)], Measure::Sparsity).expect("a chart");
        assert_eq!(chart.series[0].label, "l1 (unfinished)");
        assert_eq!(chart.series[0].points.len(), 7, "the open cycle is only on the just-pruned line");
        assert_eq!(chart.series.last().map(|just| just.points.len()), Some(8));
        record.tests.clear();
        assert_eq!(curve_chart("s", &[Curve::of("l1", &record)], Measure::Sparsity), None);
    }

    #[test]
    fn the_learning_chart_marks_every_prune() {
        let record = fixture::record(&fixture::l1_events(1));
        let chart = learning_chart("s", &record).expect("a chart");
        assert_eq!(chart.marks.len(), 7);
        assert_eq!(chart.series[0].points.len(), 32);
        assert_eq!(learning_chart("s", &RunRecord::new(record.started)), None);
    }
}
