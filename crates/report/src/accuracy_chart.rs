//! Accuracy of series of one model on one data set, against what pruning leaves of it. Pure: numbers in, numbers out.

use crate::axis::{Axis, compression_position, sparsity_position};
use crate::chart::{Chart, Ink, Line, Marker, Series, panels};
use crate::lines::{Across, Drawn, drawn, halos, has_seeds, legend_label, look, on_scale};
use crate::number::{grouped, short_percent};
use crate::record::Control;
use crate::series::{Pool, RunSeries, Sample};
use crate::statistics::Spread;

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
/// Results are coloured lines, random controls grey and broken, dense controls horizontal. Without a dense control the
/// dense tests of the pruned runs themselves are the baseline.
pub(crate) fn accuracy_chart(subject: &str, all: &[RunSeries<'_>], measure: Measure) -> Option<Chart> {
    let seeds = has_seeds(all);
    let line = |series: &RunSeries<'_>| {
        let pools = [&series.dense].into_iter().chain(series.trained());
        drawn(series, legend_label(series, seeds), pools, &measure, seeds)
    };
    let lines: Vec<Drawn> = in_order(all).map(line).filter(|drawn| !drawn.means.is_empty()).collect();
    let means: Vec<_> = lines.iter().flat_map(|drawn| drawn.means.iter().copied()).collect();
    let levels: Vec<_> = baselines(all);
    let heights = means.iter().map(|mean| mean.at.1).chain(levels.iter().map(|level| level.1.mean));
    let best = heights.reduce(f64::max)?;
    let right = means.iter().map(|mean| mean.at.0).fold(0.0, f64::max);
    let (title, x) = match measure {
        Measure::Sparsity => ("Top-1 accuracy against sparsity", Axis::sparsity(right)),
        Measure::Compression => ("Top-1 accuracy against compression", Axis::compression(right)),
    };
    let mut series = Vec::new();
    let mut dots = Vec::new();
    for Drawn { line, dots: seeds, .. } in lines {
        series.push(line);
        dots.push(seeds);
    }
    for (label, accuracy, owner) in levels {
        let band = accuracy.interval().map(on_scale).map(|(low, high)| vec![(x.min, low, high), (x.max, low, high)]);
        let band = band.into_iter().collect();
        let level = Series::level(&x, label, Ink::Text, Line::Dashed, accuracy.mean);
        series.push(Series { band, owner, ..level });
    }
    series.push(chance(&x, all));
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
        let retrained: Vec<_> =
            [&one.dense].into_iter().chain(&one.pools).filter_map(|pool| mean(pool, |s| s.top_1())).collect();
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
        series.push(Series { label, ink, line, marker, points: retrained, owner, ..Series::default() });
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

/// Label, accuracy in percent and owner of each dense baseline.
fn baselines(all: &[RunSeries<'_>]) -> Vec<(String, Spread, Option<usize>)> {
    let percent = |spread: &Spread| match spread.half_width {
        Some(half) => format!("{:.2} ± {half:.2} %", spread.mean),
        None => format!("{} %", short_percent(spread.mean / 100.0)),
    };
    let controls = all.iter().filter(|series| series.control == Control::Dense);
    let controls: Vec<_> = controls.filter_map(|series| Some((series, series.dense.top_1()?))).collect();
    if !controls.is_empty() {
        let label = |series: &RunSeries<'_>, spread: &Spread| {
            let steps = series.dense.samples.iter().filter_map(|sample| Some(sample.point.trained?.step)).max();
            let open = series.runs.iter().any(|run| run.record.ended.is_none());
            let state = if open { ", unfinished" } else { "" };
            let seeds = if spread.n > 1 { format!(", {} seeds", spread.n) } else { String::new() };
            format!("dense control, {} steps{seeds}{state}: {}", grouped(steps.unwrap_or(0)), percent(spread))
        };
        return controls
            .into_iter()
            .map(|(series, spread)| (label(series, &spread), spread, Some(series.id)))
            .collect();
    }
    let mut own: Vec<Spread> = Vec::new();
    for spread in all.iter().filter_map(|series| series.dense.top_1()) {
        if !own.iter().any(|other| other.mean == spread.mean) {
            own.push(spread);
        }
    }
    // Each line begins at its own; more than two levels would hide the lines.
    let label = |spread: &Spread| format!("dense, before pruning: {}", percent(spread));
    if own.len() > 2 { Vec::new() } else { own.into_iter().map(|spread| (label(&spread), spread, None)).collect() }
}

#[cfg(test)]
#[path = "accuracy_chart_tests.rs"]
mod tests;
