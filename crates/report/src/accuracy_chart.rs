//! Accuracy of series of one model on one data set, against what pruning leaves of it. Pure: numbers in, numbers out.

use crate::axis::{Axis, compression_position, sparsity_position};
use crate::chart::{Chart, Ink, Line, Marker, Series, panels};
use crate::compare::no_control;
use crate::interval::{Interval, Kind, split};
use crate::lines::{Across, Drawn, drawn, halos, has_seeds, legend_label, legend_notes, look};
use crate::number::{grouped, short_percent};
use crate::record::Control;
use crate::series::{Pool, RunSeries, Sample};

/// What accuracy is drawn against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Sparsity of the prunable parameters.
    Sparsity,
    /// Compression ratio over all parameters.
    Compression,
}

impl Across for Measure {
    fn x(&self, sample: &Sample<'_>) -> Option<f64> {
        let size = sample.point.size()?;
        Some(match self {
            Self::Sparsity => sparsity_position(size.sparsity()),
            Self::Compression => compression_position(size.compression_ratio()),
        })
    }

    fn words(&self, _pool: &Pool<'_>) -> String {
        String::new()
    }
}

/// Retrained accuracy, with the controls and chance. `None` when no run has a test after training.
///
/// Results are coloured lines, random controls grey and broken, dense controls horizontal. A run's own network before its
/// first prune is a point apart, since it had trained for a shorter time than what follows, and no baseline.
pub(crate) fn accuracy_chart(subject: &str, all: &[RunSeries<'_>], measure: Measure) -> Option<Chart> {
    let seeds = has_seeds(all);
    let line = |series: &RunSeries<'_>| {
        let pools = [&series.dense].into_iter().chain(series.trained());
        drawn(series, legend_label(series, seeds), pools, &measure, seeds)
    };
    let lines: Vec<Drawn> = in_order(all).map(line).filter(|drawn| !drawn.means.is_empty()).collect();
    let means: Vec<_> = lines.iter().flat_map(|drawn| drawn.means.iter().copied()).collect();
    let levels: Vec<_> = baselines(all);
    let heights =
        means.iter().map(|mean| mean.at.1).chain(levels.iter().map(|level| level.mean.unwrap_or(level.interval.high)));
    let best = heights.reduce(f64::max)?;
    let right = means.iter().map(|mean| mean.at.0).fold(0.0, f64::max);
    let (title, x) = match measure {
        Measure::Sparsity => ("Top-1 accuracy against sparsity", Axis::sparsity(right)),
        Measure::Compression => ("Top-1 accuracy against compression", Axis::compression(right)),
    };
    let notes = legend_notes(lines.iter(), "framed: unpruned, trained for less");
    let mut series = Vec::new();
    let mut dots = Vec::new();
    for Drawn { line, dots: seeds, split, .. } in lines {
        series.push(line);
        dots.extend([split, seeds]);
    }
    for Baseline { label, mean, interval, owner } in levels {
        let mut level = Series::level(&x, label, Ink::Text, Line::Dashed, mean.unwrap_or(0.0));
        if mean.is_none() {
            level.points.clear();
        }
        let (mut band, mut bars) = (Vec::new(), Vec::new());
        match interval {
            Interval { kind: Kind::TestImages, low, high } => bars.push([(x.max, low), (x.max, high)]),
            Interval { low, high, .. } => band.push(vec![(x.min, low, high), (x.max, low, high)]),
        }
        series.push(Series { band, bars, owner, ..level });
    }
    series.push(chance(&x, all));
    series.extend(notes);
    series.extend(halos(&means, false));
    series.extend(dots);
    Some(chart(title, subject, x, best, series))
}

/// What retraining brings: the mean just pruned beside the mean retrained. `None` where nothing was tested in between.
pub(crate) fn retraining_chart(subject: &str, all: &[RunSeries<'_>]) -> Option<Chart> {
    let (mut series, mut thin) = (Vec::new(), Vec::new());
    let mut best = None::<f64>;
    let mut right = 0.0_f64;
    for one in in_order(all) {
        let (ink, line, marker) = look(one);
        let mean = |pool: &Pool<'_>, of: fn(&Sample<'_>) -> Option<f64>| {
            Some((sparsity_position(pool.sparsity()?), pool.spread(of)?.mean))
        };
        let (mut retrained, mut breaks) = (Vec::new(), Vec::new());
        for pool in [&one.dense].into_iter().chain(&one.pools) {
            let whole = split(pool).is_none();
            retrained.extend(mean(pool, |s| s.top_1()).filter(|_| whole));
            if !whole || pool.target == 0.0 {
                breaks.push(retrained.len());
            }
        }
        // The first drop, from the dense network, is part of the story.
        let dense = mean(&one.dense, |s| s.top_1());
        let just: Vec<_> =
            dense.into_iter().chain(one.pools.iter().filter_map(|pool| mean(pool, |s| s.just_pruned()))).collect();
        if just.len() == usize::from(dense.is_some()) {
            continue;
        }
        let points = retrained.iter().chain(&just);
        best = points.clone().map(|point| point.1).chain(best).reduce(f64::max);
        right = points.map(|point| point.0).fold(right, f64::max);
        let owner = Some(one.id);
        let label = legend_label(one, false);
        series.push(Series { label, ink, line, marker, points: retrained, breaks, owner, ..Series::default() });
        let marker = marker.hollow();
        thin.push(Series { ink, line: Line::Solid, marker, faint: true, points: just, owner, ..Series::default() });
    }
    let best = best?;
    let x = Axis::sparsity(right);
    series.push(Series {
        label: "hollow, thin: just pruned, before retraining".to_owned(),
        ink: Ink::Muted,
        line: Line::Solid,
        marker: Marker::Ring,
        faint: true,
        ..Series::default()
    });
    series.push(chance(&x, all));
    series.extend(thin);
    Some(chart("Just pruned and retrained", subject, x, best, series))
}

/// The results, then the random controls; dense ones are no lines.
fn in_order<'s, 'a>(all: &'s [RunSeries<'a>]) -> impl Iterator<Item = &'s RunSeries<'a>> {
    let of = move |control: Control| all.iter().filter(move |series| series.control == control);
    of(Control::Pruned).chain(of(Control::Random))
}

fn chart(title: &str, subject: &str, x: Axis, best: f64, series: Vec<Series>) -> Chart {
    Chart {
        title: title.to_owned(),
        subtitle: subject.to_owned(),
        x,
        y_label: "top-1 accuracy on test".to_owned(),
        panels: panels(Some(best)),
        series,
        marks: Vec::new(),
        labels: Vec::new(),
    }
}

/// What a guess gets. Series of one chart are of one data set.
fn chance(x: &Axis, all: &[RunSeries<'_>]) -> Series {
    let classes = all.first().map_or(1, |series| series.runs[0].record.started.classes);
    let chance = 100.0 / classes as f64;
    let label = format!("chance: {} %, one of {classes} classes", short_percent(1.0 / classes as f64));
    Series::level(x, label, Ink::Muted, Line::Dotted, chance)
}

/// A dense network as a level.
struct Baseline {
    label: String,
    /// `None` where some seeds collapsed and others did not: then its interval alone is drawn.
    mean: Option<f64>,
    interval: Interval,
    owner: Option<usize>,
}

/// The dense networks: which of them are controls, and for how long these trained.
fn baselines(all: &[RunSeries<'_>]) -> Vec<Baseline> {
    let dense = all.iter().filter(|series| series.control == Control::Dense);
    let baseline = |series: &RunSeries<'_>| {
        let (spread, interval) = (series.dense.top_1()?, Interval::of(&series.dense)?);
        let steps = series.dense.samples.iter().filter_map(|sample| Some(sample.point.trained?.step)).max();
        let what = no_control(series, all).map_or_else(
            || format!("dense control, {} steps", grouped(steps.unwrap_or(0))),
            |why| format!("dense, {why}"),
        );
        let open = series.runs.iter().any(|run| run.record.ended.is_none());
        let state = if open { ", unfinished" } else { "" };
        let seeds = if spread.n > 1 { format!(", {} seeds", spread.n) } else { String::new() };
        let (accuracy, mean) = match (split(&series.dense), spread.half_width) {
            (Some((collapsed, _)), _) => (format!("{collapsed} of them collapsed"), None),
            (None, Some(half)) => (format!("{:.2} ± {half:.2} %", spread.mean), Some(spread.mean)),
            (None, None) => (format!("{} %", short_percent(spread.mean / 100.0)), Some(spread.mean)),
        };
        let label = format!("{what}{seeds}{state}: {accuracy}");
        Some(Baseline { label, mean, interval, owner: Some(series.id) })
    };
    dense.filter_map(baseline).collect()
}

#[cfg(test)]
#[path = "accuracy_chart_tests.rs"]
mod tests;
