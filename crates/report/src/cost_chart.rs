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
    fn of(&self, point: &Point<'_>) -> Option<f64> {
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

    fn title(&self) -> String {
        match self {
            Self::Time(Call { batch: 1, .. }) => "Top-1 accuracy against time, one image alone".to_owned(),
            Self::Time(Call { batch, .. }) => {
                format!("Top-1 accuracy against time, {} images a call", grouped(*batch))
            }
            Self::Bytes(_) => "Top-1 accuracy against bytes on disk".to_owned(),
            Self::Macs => "Top-1 accuracy against MACs".to_owned(),
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
