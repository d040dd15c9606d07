//! Charts of accuracy against what a network costs: time, bytes, parameters, multiply-accumulates. Unlike sparsity, cost
//! is comparable between sizes of a model, so dense networks stand in these charts beside what was pruned.

use std::collections::BTreeMap;

use crate::axis::Axis;
use crate::chart::{Chart, Ink, Label, Line, Marker, Series, panels_near};
use crate::compare::{But, trains_as_series};
use crate::cost::Call;
use crate::lines::{Across, Drawn, Mean, drawn, halos, has_seeds, legend_label, legend_notes};
use crate::number::{grouped, milliseconds, times};
use crate::record::{Control, RunRecord};
use crate::series::{Pool, RunSeries, Sample};

/// What accuracy is drawn against.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cost {
    /// Time an image, by the speed-up that was measured against the dense network beside it.
    Time(Times),
    /// Bytes of the sparse model file at this precision.
    Bytes(String),
    /// Parameters that are not zero, biases included; counted.
    Parameters,
    /// Multiply-accumulates an image whose weight is not zero; counted.
    Macs,
}

/// What measured times are compared by: a network and the dense one beside it met the same machine in the same minute, two
/// networks of a run did not. So the pairs' ratios are the measurement, and one dense time makes times of them again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Times {
    /// The calls that were timed.
    pub(crate) call: Call,
    /// Of each model the median time of such a call of its dense network, in milliseconds, over all runs and cycles.
    dense_ms: BTreeMap<String, f64>,
}

impl Times {
    /// Of calls like this one in these runs.
    pub(crate) fn of<'r>(call: Call, records: impl Iterator<Item = &'r RunRecord>) -> Self {
        let mut all: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
        for record in records {
            let inferences = record.tests.iter().filter_map(|test| test.measured.as_ref()?.inference.as_ref());
            let times = inferences.filter_map(|inference| Some(call.find(inference)?.dense_ms));
            all.entry(&record.started.model).or_default().extend(times);
        }
        let median = |(model, mut times): (&String, Vec<f64>)| {
            times.sort_by(f64::total_cmp);
            let (low, high) = (times.get(times.len().checked_sub(1)? / 2)?, times.get(times.len() / 2)?);
            Some((model.clone(), f64::midpoint(*low, *high)))
        };
        Self { call, dense_ms: all.into_iter().filter_map(median).collect() }
    }

    fn speedup(&self, sample: &Sample<'_>) -> Option<f64> {
        Some(self.call.find(sample.point.measured?.inference.as_ref()?)?.speedup())
    }

    fn image_ms(&self, sample: &Sample<'_>) -> Option<f64> {
        let dense_ms = self.dense_ms.get(&sample.run.record.started.model)?;
        Some(dense_ms / self.call.batch as f64 / self.speedup(sample)?)
    }
}

impl Cost {
    /// What a network costs, above 0; `None` where the log does not say.
    pub(crate) fn of(&self, sample: &Sample<'_>) -> Option<f64> {
        let point = &sample.point;
        let cost = match self {
            Self::Time(times) => times.image_ms(sample)?,
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
            Self::Time(times) => format!("time, batch {}", grouped(times.call.batch)),
            Self::Bytes(precision) => format!("{precision} file"),
            Self::Parameters => "parameters".to_owned(),
            Self::Macs => "MACs".to_owned(),
        }
    }

    fn title(&self) -> String {
        match self {
            Self::Time(times) => format!("Accuracy against time, batch {}", grouped(times.call.batch)),
            Self::Bytes(_) => "Accuracy against bytes on disk".to_owned(),
            Self::Parameters => "Accuracy against parameters left".to_owned(),
            Self::Macs => "Accuracy against MACs".to_owned(),
        }
    }

    fn axis(&self, low: f64, high: f64) -> Axis {
        let (label, unit): (_, fn(f64) -> String) = match self {
            Self::Time(Times { call, .. }) => {
                (format!("time an image by the measured speed-up: {call} (log scale)"), time_tick)
            }
            Self::Bytes(precision) => (format!("sparse model file, {precision} values (log scale)"), bytes_tick),
            Self::Parameters => ("parameters that are not zero (log scale)".to_owned(), count_tick),
            Self::Macs => ("MACs an image whose weight is not zero (log scale)".to_owned(), count_tick),
        };
        Axis::logarithmic(label, low, high, unit)
    }
}

impl Across for Cost {
    fn x(&self, sample: &Sample<'_>) -> Option<f64> {
        Some(self.of(sample)?.log10())
    }

    fn words(&self, pool: &Pool<'_>) -> String {
        let Some(spread) = pool.spread(|sample| self.of(sample)) else { return String::new() };
        match self {
            Self::Time(by) => {
                let speedup = pool.spread(|sample| by.speedup(sample)).map_or(1.0, |speedup| speedup.mean);
                let faster = format!("{} the dense network beside it", times(speedup));
                format!("{faster}, {} an image ({})", milliseconds(spread.mean), by.call)
            }
            Self::Bytes(precision) => format!("{} bytes, {precision} values", grouped(spread.mean.round() as u64)),
            Self::Parameters => format!("{} parameters left", grouped(spread.mean.round() as u64)),
            // It is said of every network.
            Self::Macs => String::new(),
        }
    }
}

/// The chart of all sizes of a model on one data set. `None` when no pruned run has such a cost.
///
/// Pruned series are coloured lines beside their own unpruned network, which is framed; random controls are grey and
/// broken; dense networks are squares, grey where no pruned series is trained as they are but for its size. Every dense network is
/// named, once.
pub(crate) fn cost_chart(subject: &str, all: &[&RunSeries<'_>], cost: &Cost) -> Option<Chart> {
    let model = |series: &RunSeries<'_>| series.runs[0].record.started.model.clone();
    let several = all.iter().any(|series| model(series) != model(all[0]));
    let seeds = has_seeds(all.iter().copied());
    let (mut lines, mut squares, mut own, mut dots) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let pruned = || all.iter().filter(|series| series.control != Control::Dense);
    let is_rival = |series: &RunSeries<'_>| {
        pruned().next().is_none() || pruned().any(|other| trains_as_series(series, other, But::Size))
    };
    let mut means: Vec<Mean> = Vec::new();
    let mut names: BTreeMap<String, (bool, (f64, f64))> = BTreeMap::new();
    // The results first, then the controls: the most important is drawn last, on top.
    let mut order: Vec<_> = all.to_vec();
    order.sort_by_key(|series| {
        [Control::Pruned, Control::Random, Control::Dense].iter().position(|c| *c == series.control)
    });
    for series in order {
        let is_dense = series.control == Control::Dense;
        let ink = if is_dense && !is_rival(series) { Ink::Muted } else { Ink::Text };
        let size = if several { format!("{}: ", model(series)) } else { String::new() };
        let pools = [&series.dense].into_iter().chain(series.trained());
        let drawn = drawn(series, size + &legend_label(series, seeds), pools, cost, seeds);
        let first = drawn.means.first().filter(|_| is_dense).map(|mean| mean.at).or(drawn.unpruned);
        if let Some(at) = first {
            // A dense network that was trained to its end gives the name its place; the last of several does.
            let named = names.entry(model(series)).or_insert((is_dense, at));
            if is_dense {
                *named = (true, at);
            }
        }
        if !drawn.means.is_empty() {
            own.push((is_dense.then_some(ink), drawn));
        }
    }
    let notes = legend_notes(own.iter().map(|(_, drawn)| drawn), "framed: unpruned, trained for less");
    for (dense, Drawn { mut line, dots: of_seeds, split, means: of, .. }) in own {
        means.extend(of);
        dots.extend([split, of_seeds]);
        if let Some(ink) = dense {
            line.line = Line::None;
            line.label = String::new();
            line.ink = ink;
            squares.push(line);
        } else {
            lines.push(line);
        }
    }
    // One network alone is no comparison.
    let accuracies: Vec<_> = means.iter().map(|mean| mean.at.1).collect();
    if accuracies.len() < 2 {
        return None;
    }
    let bars = lines.iter().chain(&squares).flat_map(|line| &line.bars).flatten().map(|end| end.0);
    let places: Vec<_> = means.iter().map(|mean| mean.at.0).chain(bars).collect();
    let low = places.iter().copied().reduce(f64::min)?;
    let high = places.iter().copied().reduce(f64::max)?;
    let mut series = lines;
    for (ink, label) in [(Ink::Text, "dense, nothing pruned"), (Ink::Muted, "dense, other training")] {
        if squares.iter().any(|square| square.ink == ink) {
            series.push(Series { label: label.to_owned(), ink, marker: Marker::Square, ..Series::default() });
        }
    }
    series.extend(squares);
    series.extend(notes);
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
        let looks: Vec<_> = chart.series.iter().map(|s| (s.label.as_str(), s.marker, s.points.len())).collect();
        let expected = [
            ("lenet k=5: l1-global", Marker::Disc, 8),
            ("lenet k=5: random control: random-global", Marker::Triangle, 8),
            ("dense, nothing pruned", Marker::Square, 0),
            ("", Marker::Square, 1),
            ("bar: 95 % interval of the test images", Marker::None, 0),
            ("framed: unpruned, trained for less", Marker::Frame, 0),
            ("", Marker::Frame, 1),
        ];
        assert_eq!(looks[..7], expected);
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
    fn a_dense_network_that_was_trained_otherwise_is_grey_and_called_so() {
        let lines = [
            measured(fixture::l1_events(1), 5),
            measured(fixture::dense_events_to(1, 9869), 2),
            measured(fixture::dense_events_to(1, 9771), 1),
        ];
        let mut runs = lines.map(|lines| fixture::input("a", fixture::measured::record(&lines)));
        runs[2].record.started.optimizer = crate::event::Choice::of_kind("adam");
        let groups = groups(&runs);
        let all: Vec<_> = groups.iter().flat_map(|group| &group.series).collect();
        let chart = cost_chart("s", &all, &Cost::Macs).expect("a chart");
        let squares = chart.series.iter().filter(|s| s.marker == Marker::Square);
        let squares: Vec<_> = squares.map(|s| (s.label.as_str(), s.ink, s.owner)).collect();
        let expected = [
            ("dense, nothing pruned", Ink::Text, None),
            ("dense, other training", Ink::Muted, None),
            ("", Ink::Text, Some(1)),
            ("", Ink::Muted, Some(2)),
        ];
        assert_eq!(squares, expected);
    }

    #[test]
    fn a_faster_network_never_stands_right_of_its_dense_one() {
        let mut run = fixture::input("a", fixture::measured::record(&measured(fixture::l1_events(1), 5)));
        // The machine was half as fast in every second cycle; each network is 1.37 times as fast as the dense one beside it.
        for (cycle, test) in run.record.tests.iter_mut().filter(|test| test.measured.is_some()).enumerate() {
            let inference = test.measured.as_mut().and_then(|measured| measured.inference.as_mut()).expect("timed");
            for latency in &mut inference.latencies {
                latency.dense_ms = if cycle % 2 == 0 { 0.009 } else { 0.018 };
                latency.sparse_ms = latency.dense_ms / if cycle == 0 { 1.0 } else { 1.37 };
            }
        }
        let groups = groups(std::slice::from_ref(&run));
        let all: Vec<_> = groups.iter().flat_map(|group| &group.series).collect();
        let call = Call { batch: 1, threads: 1 };
        let cost = Cost::Time(Times::of(call, [&run.record].into_iter()));
        let chart = cost_chart("s", &all, &cost).expect("a chart");
        let line = &chart.series[0];
        // The median of four times 9 and four times 18.
        let times: Vec<_> = line.points.iter().map(|point| 10_f64.powf(point.0)).collect();
        assert!((times[0] - 0.0135).abs() < 1e-9, "{times:?}");
        assert!(times[1..].iter().all(|time| (time - 0.0135 / 1.37).abs() < 1e-9), "{times:?}");
        let said = "1.37x the dense network beside it, 0.00985 ms an image (batch 1, 1 thread)";
        assert!(line.tips[1].contains(said), "{}", line.tips[1]);
        // Two seeds that were timed unlike have a bar along the axis.
        let mut other = run.clone();
        other.record.started.seed = 2;
        for test in &mut other.record.tests {
            let inference = test.measured.as_mut().and_then(|measured| measured.inference.as_mut());
            inference.into_iter().flat_map(|inference| &mut inference.latencies).for_each(|read| read.sparse_ms *= 0.5);
        }
        let runs = [run, other];
        let groups = crate::group::groups(&runs);
        let all: Vec<_> = groups.iter().flat_map(|group| &group.series).collect();
        let chart = cost_chart("s", &all, &cost).expect("a chart");
        let [from, to] = chart.series[0].bars[1];
        assert!(from.1 == to.1 && (10_f64.powf(to.0 - from.0) - 2.0).abs() < 1e-9, "{from:?} {to:?}");
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
