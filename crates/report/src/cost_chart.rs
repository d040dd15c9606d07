//! Charts of accuracy against what a network costs: time, bytes, parameters, multiply-accumulates. Unlike sparsity, cost
//! is comparable between sizes of a model, so dense networks stand in these charts beside what was pruned.

use std::collections::BTreeMap;

use crate::axis::Axis;
use crate::chart::{Chart, Label, Line, Marker, Series, panels_near};
use crate::cost::Call;
use crate::lines::{Across, Drawn, Mean, drawn, halos, has_seeds, legend_label};
use crate::number::{grouped, milliseconds};
use crate::record::{Control, Point};
use crate::series::{Pool, RunSeries, Sample};

/// What accuracy is drawn against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    /// Measured time an image, in calls like this one.
    Time(Call),
    /// Bytes of the sparse model file at this precision.
    Bytes(String),
    /// Parameters that are not zero, biases included; counted.
    Parameters,
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
            Self::Parameters => point.size()?.nonzero as f64,
            Self::Macs => point.size()?.remaining_macs as f64,
        };
        Some(cost.max(1e-9))
    }

    /// Its name in a table.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Time(call) => format!("time, batch {}", grouped(call.batch)),
            Self::Bytes(precision) => format!("{precision} file"),
            Self::Parameters => "parameters".to_owned(),
            Self::Macs => "MACs".to_owned(),
        }
    }

    fn title(&self) -> String {
        match self {
            Self::Time(call) => format!("Accuracy against time, batch {}", grouped(call.batch)),
            Self::Bytes(_) => "Accuracy against bytes on disk".to_owned(),
            Self::Parameters => "Accuracy against parameters left".to_owned(),
            Self::Macs => "Accuracy against MACs".to_owned(),
        }
    }

    fn axis(&self, low: f64, high: f64) -> Axis {
        let (label, unit): (_, fn(f64) -> String) = match self {
            Self::Time(call) => (format!("measured time an image: {call} (log scale)"), time_tick),
            Self::Bytes(precision) => (format!("sparse model file, {precision} values (log scale)"), bytes_tick),
            Self::Parameters => ("parameters that are not zero (log scale)".to_owned(), count_tick),
            Self::Macs => ("MACs an image whose weight is not zero (log scale)".to_owned(), count_tick),
        };
        Axis::logarithmic(label, low, high, unit)
    }
}

impl Across for Cost {
    fn x(&self, sample: &Sample<'_>) -> Option<f64> {
        Some(self.of(&sample.point)?.log10())
    }

    fn words(&self, pool: &Pool<'_>) -> String {
        let Some(spread) = pool.spread(|sample| self.of(&sample.point)) else { return String::new() };
        match self {
            Self::Time(call) => format!("{} an image ({call})", milliseconds(spread.mean)),
            Self::Bytes(precision) => format!("{} bytes, {precision} values", grouped(spread.mean.round() as u64)),
            Self::Parameters => format!("{} parameters left", grouped(spread.mean.round() as u64)),
            // It is said of every network.
            Self::Macs => String::new(),
        }
    }
}

/// The chart of all sizes of a model on one data set. `None` when no pruned run has such a cost.
///
/// Pruned series are coloured lines that start at their own dense network, which is framed; random controls are grey and
/// broken; dense controls are squares. Every dense network is named, once.
pub(crate) fn cost_chart(subject: &str, all: &[&RunSeries<'_>], cost: &Cost) -> Option<Chart> {
    let model = |series: &RunSeries<'_>| series.runs[0].record.started.model.clone();
    let several = all.iter().any(|series| model(series) != model(all[0]));
    let seeds = has_seeds(all.iter().copied());
    let (mut lines, mut controls, mut own, mut dots) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut means: Vec<Mean> = Vec::new();
    let mut names: BTreeMap<String, (bool, (f64, f64))> = BTreeMap::new();
    // The results first, then the controls: the most important is drawn last, on top.
    let mut order: Vec<_> = all.to_vec();
    order.sort_by_key(|series| {
        [Control::Pruned, Control::Random, Control::Dense].iter().position(|c| *c == series.control)
    });
    for series in order {
        let is_control = series.control == Control::Dense;
        let size = if several { format!("{}: ", model(series)) } else { String::new() };
        let pools = [&series.dense].into_iter().chain(series.trained());
        let Drawn { mut line, dots: of_seeds, means: of } =
            drawn(series, size + &legend_label(series, seeds), pools, cost, seeds);
        // The dense network comes first where it has the cost.
        let first = series.dense.samples.iter().find_map(|sample| cost.x(sample)).and(of.first());
        if let Some(at) = first.map(|mean| mean.at) {
            // A network that was trained as it is gives the name its place; the last of several does.
            let named = names.entry(model(series)).or_insert((is_control, at));
            if is_control {
                *named = (true, at);
            } else {
                own.push((series.id, at));
            }
        }
        if of.is_empty() {
            continue;
        }
        means.extend(of);
        dots.push(of_seeds);
        if is_control {
            line.line = Line::None;
            line.label = String::new();
            controls.push(line);
        } else {
            lines.push(line);
        }
    }
    // One network alone is no comparison.
    let accuracies: Vec<_> = means.iter().map(|mean| mean.at.1).collect();
    if accuracies.len() < 2 {
        return None;
    }
    let low = means.iter().map(|mean| mean.at.0).reduce(f64::min)?;
    let high = means.iter().map(|mean| mean.at.0).reduce(f64::max)?;
    let mark = |label: &str, marker, owner, points| Series {
        label: label.to_owned(),
        marker,
        owner,
        points,
        ..Series::default()
    };
    let mut series = lines;
    if !controls.is_empty() {
        series.push(mark("dense control, nothing pruned", Marker::Square, None, Vec::new()));
        series.extend(controls);
    }
    if !own.is_empty() {
        series.push(mark("framed: the dense network of a line", Marker::Frame, None, Vec::new()));
        series.extend(own.into_iter().map(|(owner, at)| mark("", Marker::Frame, Some(owner), vec![at])));
    }
    series.extend(halos(&means, true));
    series.extend(dots);
    Some(Chart {
        title: cost.title(),
        subtitle: subject.to_owned(),
        x: cost.axis(low, high),
        y_label: "top-1 accuracy on test".to_owned(),
        panels: panels_near(&accuracies),
        series,
        marks: Vec::new(),
        labels: names.into_iter().map(|(model, (_, at))| Label { at, text: model }).collect(),
    })
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
    use crate::group::groups;

    #[test]
    fn a_line_starts_at_its_own_framed_network_and_dense_ones_are_named_once() {
        let lines = [
            measured(fixture::l1_events(1), 5),
            measured(fixture::random_events(1), 5),
            measured(fixture::dense_events_to(1, 9771), 1),
        ];
        let runs = lines.map(|lines| fixture::input("a", fixture::measured::record(&lines)));
        let groups = groups(&runs);
        let all: Vec<_> = groups.iter().flat_map(|group| &group.series).collect();
        let chart = cost_chart("s", &all, &Cost::Bytes("f16".into())).expect("a chart");
        let looks: Vec<_> = chart.series.iter().map(|s| (s.label.as_str(), s.marker, s.points.len())).take(6).collect();
        let expected = [
            ("lenet k=5: l1-global", Marker::Disc, 8),
            ("lenet k=5: random control: random-global", Marker::Triangle, 8),
            ("dense control, nothing pruned", Marker::Square, 0),
            ("", Marker::Square, 1),
            ("framed: the dense network of a line", Marker::Frame, 0),
            ("", Marker::Frame, 1),
        ];
        assert_eq!(looks, expected);
        // 60,074 parameters at 2.3 bytes and 320 more, and 25 times as many.
        let at = |bytes: f64| (bytes.log10() * 1e9).round();
        let place = |(x, y): (f64, f64)| ((x * 1e9_f64).round(), (y * 1e9).round() / 1e9);
        assert_eq!(place(chart.series[3].points[0]), (at(138_490.0), 97.71));
        assert_eq!(place(chart.series[0].points[0]), (at(3_454_575.0), 98.9));
        assert!(chart.series[0].tips[0].contains("3,454,575 bytes, f16 values"), "{}", chart.series[0].tips[0]);
        let names: Vec<_> = chart.labels.iter().map(|label| label.text.as_str()).collect();
        assert_eq!(names, ["lenet k=1", "lenet k=5"]);
        let ticks: Vec<_> = chart.x.ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(ticks, ["100 KB", "200 KB", "500 KB", "1 MB", "2 MB"]);
        let ringed: Vec<_> = chart.series.iter().filter(|s| s.marker == Marker::Halo).flat_map(|s| &s.points).collect();
        // 97.71 % in 138,490 bytes: the line has 98.42 % in 234,747 and 97.11 % in fewer.
        assert!(ringed.contains(&&chart.series[3].points[0]), "{ringed:?}");
        assert!(chart.series[1].points.iter().all(|point| !ringed.contains(&point)), "none of the random control");
        assert_eq!(cost_chart("s", &all, &Cost::Bytes("f64".into())), None, "nobody has such a file");
    }

    #[test]
    fn parameters_left_are_counted_with_what_cannot_be_pruned() {
        let lines = [measured(fixture::l1_events(1), 5), measured(fixture::dense_events_to(1, 9771), 1)];
        let runs = lines.map(|lines| fixture::input("a", fixture::measured::record(&lines)));
        let groups = groups(&runs);
        let all: Vec<_> = groups.iter().flat_map(|group| &group.series).collect();
        let chart = cost_chart("s", &all, &Cost::Parameters).expect("a chart");
        let counts = |marker, label: &str| {
            let of = chart.series.iter().find(|s| s.marker == marker && s.label == label).expect("drawn");
            of.points.iter().map(|p| 10_f64.powf(p.0).round() as u64).collect::<Vec<_>>()
        };
        // 60,074 parameters of which 58,944 may be pruned: at 50 % 30,602 are left, at 99.5 % 1,425; 25 times of each.
        let pruned = counts(Marker::Disc, "lenet k=5: l1-global");
        assert_eq!((pruned[0], pruned[1], pruned[7]), (1_501_850, 765_050, 35_625));
        assert_eq!(counts(Marker::Square, ""), [60_074]);
        let tips = &chart.series.iter().find(|s| s.marker == Marker::Disc).expect("drawn").tips;
        assert!(tips[1].contains("765,050 parameters left"), "{}", tips[1]);
        let words = [chart.title.as_str(), &Cost::Parameters.name()];
        assert_eq!(words, ["Accuracy against parameters left", "parameters"]);
        assert!(chart.x.label.starts_with("parameters that are not zero"));
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
