//! Charts of accuracy against what a network costs: time, bytes, multiply-accumulates. Unlike sparsity, cost is
//! comparable between sizes of a model, so dense networks stand in these charts beside what was pruned.

use std::collections::BTreeMap;

use crate::chart::{Axis, Chart, Ink, Label, Line, Marker, Series, panels};
use crate::cost::Call;
use crate::number::grouped;
use crate::record::{Control, Point, RunRecord, State};
use crate::report::ReportInput;

/// What accuracy is drawn against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    /// Measured time an image, in calls like this one.
    Time(Call),
    /// Bytes of the sparse model file at this precision.
    Bytes(String),
    /// Multiply-accumulates an image whose weight is not zero; counted.
    Macs,
}

impl Cost {
    /// What the network of a cycle costs, above 0; `None` where the log does not say.
    pub(crate) fn of(&self, point: &Point<'_>) -> Option<f64> {
        let cost = match self {
            Self::Time(call) => call.find(point.measured?.inference.as_ref()?)?.image_ms(),
            Self::Bytes(precision) => {
                let files = &point.measured?.measured.files;
                files.iter().find(|file| &file.precision == precision)?.bytes as f64
            }
            Self::Macs => point.size()?.remaining_macs as f64,
        };
        Some(cost.max(1e-9))
    }

    /// Its name in a table.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Time(call) => format!("time, batch {}", grouped(call.batch)),
            Self::Bytes(precision) => format!("{precision} file"),
            Self::Macs => "MACs".to_owned(),
        }
    }

    fn title(&self) -> String {
        match self {
            Self::Time(call) => format!("Accuracy against time, batch {}", grouped(call.batch)),
            Self::Bytes(_) => "Accuracy against bytes on disk".to_owned(),
            Self::Macs => "Accuracy against MACs".to_owned(),
        }
    }

    fn axis(&self, low: f64, high: f64) -> Axis {
        let (label, unit): (_, fn(f64) -> String) = match self {
            Self::Time(call) => (format!("measured time an image: {call} (log scale)"), time_tick),
            Self::Bytes(precision) => (format!("sparse model file, {precision} values (log scale)"), bytes_tick),
            Self::Macs => ("MACs an image whose weight is not zero (log scale)".to_owned(), count_tick),
        };
        Axis::logarithmic(label, low, high, unit)
    }
}

/// The chart of all sizes of a model on one data set. `None` when no pruned run has such a cost.
///
/// Pruned runs are coloured lines that start at their own dense network, which is framed; random controls are grey and
/// dashed; dense controls are squares. Every dense network is named, once.
pub(crate) fn cost_chart(subject: &str, runs: &[&ReportInput], cost: &Cost) -> Option<Chart> {
    let place =
        |point: &Point<'_>| Some((cost.of(point)?.log10(), 100.0 * point.trained?.score.accuracy(), point.cycle == 0));
    let several = runs.iter().any(|run| run.record.started.model != runs[0].record.started.model);
    let mut colours = 0;
    let (mut pruned, mut random, mut controls, mut own) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut names: BTreeMap<&str, (bool, (f64, f64))> = BTreeMap::new();
    for run in runs {
        let record = &run.record;
        let places: Vec<_> = record.points().iter().filter_map(place).collect();
        let points: Vec<_> = places.iter().map(|&(x, y, _)| (x, y)).collect();
        let control = record.control();
        let dense = places.iter().find(|(.., dense)| *dense).map(|&(x, y, _)| (x, y));
        if let Some(at) = dense {
            // A network that was trained as it is gives the name its place; the last of several does.
            let is_control = control == Control::Dense;
            let named = names.entry(&record.started.model).or_insert((is_control, at));
            if is_control {
                *named = (true, at);
            }
        }
        let (ink, line, marker) = match control {
            Control::Dense => {
                controls.extend(points);
                continue;
            }
            Control::Random => (Ink::Muted, Line::Dashed, Marker::Triangle),
            Control::Pruned => {
                // A run keeps its colour in all charts, also where another one lacks the cost.
                colours += 1;
                let marker = if (colours - 1) / 6 % 2 == 0 { Marker::Disc } else { Marker::Square };
                (Ink::Colour(colours - 1), Line::Solid, marker)
            }
        };
        if points.is_empty() {
            continue;
        }
        own.extend(dense);
        let label = label(run, several);
        let to = if control == Control::Random { &mut random } else { &mut pruned };
        to.push(Series { label, ink, line, marker, faint: false, points });
    }
    let marks = |label: &str, marker, points| Series {
        label: label.to_owned(),
        ink: Ink::Text,
        line: Line::None,
        marker,
        faint: false,
        points,
    };
    let mut series: Vec<Series> = pruned.into_iter().chain(random).collect();
    if series.is_empty() && controls.is_empty() {
        return None;
    }
    if !controls.is_empty() {
        series.push(marks("dense control, nothing pruned", Marker::Square, controls));
    }
    if !own.is_empty() {
        series.push(marks("framed: a run's own dense network", Marker::Frame, own));
    }
    let all = || series.iter().flat_map(|series| &series.points);
    let low = all().map(|point| point.0).reduce(f64::min)?;
    let high = all().map(|point| point.0).reduce(f64::max)?;
    let best = all().map(|point| point.1).reduce(f64::max);
    Some(Chart {
        title: cost.title(),
        subtitle: subject.to_owned(),
        x: cost.axis(low, high),
        y_label: "top-1 accuracy on test".to_owned(),
        panels: panels(best),
        series,
        marks: Vec::new(),
        labels: names.into_iter().map(|(model, (_, at))| Label { at, text: model.to_owned() }).collect(),
    })
}

fn label(run: &ReportInput, several: bool) -> String {
    let RunRecord { started, .. } = &run.record;
    let kind = if run.record.control() == Control::Random { "random control: " } else { "" };
    let model = if several { format!("{}: ", started.model) } else { String::new() };
    let state = if run.record.state() == State::Unfinished { " (unfinished)" } else { "" };
    format!("{kind}{model}{}{state}", run.label)
}

/// Milliseconds, as a tick says them.
fn time_tick(time: f64) -> String {
    match time {
        t if t < 0.000_999 => format!("{} ns", plain(1e6 * t)),
        t if t < 0.999 => format!("{} µs", plain(1e3 * t)),
        t if t < 999.0 => format!("{} ms", plain(t)),
        t => format!("{} s", plain(t / 1e3)),
    }
}

fn bytes_tick(bytes: f64) -> String {
    match bytes {
        b if b < 999.0 => format!("{} B", plain(b)),
        b if b < 999e3 => format!("{} KB", plain(b / 1e3)),
        b if b < 999e6 => format!("{} MB", plain(b / 1e6)),
        b => format!("{} GB", plain(b / 1e9)),
    }
}

fn count_tick(count: f64) -> String {
    match count {
        n if n < 999e3 => grouped(n.round() as u64),
        n if n < 999e6 => format!("{} M", plain(n / 1e6)),
        n => format!("{} G", plain(n / 1e9)),
    }
}

/// A tick's number: 1, 2 or 5 times a power of ten, which three decimals hold in any unit that is left.
fn plain(number: f64) -> String {
    format!("{}", (1e3 * number).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, measured::measured};

    fn input(label: &str, lines: &[fixture::measured::Line]) -> ReportInput {
        ReportInput { label: label.into(), record: fixture::measured::record(lines), reproduce: String::new() }
    }

    #[test]
    fn a_run_starts_at_its_own_framed_network_and_dense_ones_are_named_once() {
        let runs = [
            input("l1", &measured(fixture::l1_events(1), 5)),
            input("rnd", &measured(fixture::random_events(1), 5)),
            input("small", &measured(fixture::dense_events_to(1, 9771), 1)),
        ];
        let runs: Vec<_> = runs.iter().collect();
        let chart = cost_chart("s", &runs, &Cost::Bytes("f16".into())).expect("a chart");
        let looks: Vec<_> = chart.series.iter().map(|s| (s.label.as_str(), s.marker, s.points.len())).collect();
        let expected = [
            ("lenet k=5: l1", Marker::Disc, 8),
            ("random control: lenet k=5: rnd", Marker::Triangle, 8),
            ("dense control, nothing pruned", Marker::Square, 1),
            ("framed: a run's own dense network", Marker::Frame, 2),
        ];
        assert_eq!(looks, expected);
        // 60,074 parameters at 2.3 bytes and 320 more, and 25 times as many.
        let at = |bytes: f64| (bytes.log10() * 1e9).round();
        let place = |(x, y): (f64, f64)| ((x * 1e9_f64).round(), y);
        assert_eq!(place(chart.series[2].points[0]), (at(138_490.0), 97.71));
        assert_eq!(place(chart.series[0].points[0]), (at(3_454_575.0), 98.9));
        let names: Vec<_> = chart.labels.iter().map(|label| label.text.as_str()).collect();
        assert_eq!(names, ["lenet k=1", "lenet k=5"]);
        let ticks: Vec<_> = chart.x.ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(ticks, ["100 KB", "200 KB", "500 KB", "1 MB", "2 MB"]);
        assert_eq!(cost_chart("s", &runs, &Cost::Bytes("f64".into())), None, "nobody has such a file");
    }

    #[test]
    fn ticks_are_short_in_any_unit() {
        for (time, text) in [(2e-5, "20 ns"), (0.001, "1 µs"), (0.5, "500 µs"), (1.0, "1 ms"), (2000.0, "2 s")] {
            assert_eq!(time_tick(time), text);
        }
        for (bytes, text) in [(500.0, "500 B"), (1e3, "1 KB"), (5e5, "500 KB"), (1e6, "1 MB"), (2e9, "2 GB")] {
            assert_eq!(bytes_tick(bytes), text);
        }
        for (count, text) in [(2e4, "20,000"), (1e6, "1 M"), (5e9, "5 G")] {
            assert_eq!(count_tick(count), text);
        }
    }
}
