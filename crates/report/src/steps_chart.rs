//! Sparsity while training: what the schedules asked for, and what the prunes left. Pure.

use std::collections::BTreeSet;

use crate::chart::{Axis, Chart, Marker, Panel, Series, sparsity_position};
use crate::lines::{legend_label, look};
use crate::record::{Control, RunRecord};
use crate::series::RunSeries;
use crate::target::{Key, Unit};

/// The chart of a group; `None` where nothing was pruned.
pub(crate) fn steps_chart(subject: &str, all: &[RunSeries<'_>]) -> Option<Chart> {
    let mut series = Vec::new();
    for one in all.iter().filter(|series| series.control != Control::Dense) {
        series.extend(schedule(one));
    }
    let points = || series.iter().flat_map(|series: &Series| &series.points);
    let high = points().map(|point| point.1).reduce(f64::max)?;
    let right = points().map(|point| point.0).fold(0.0, f64::max);
    let y = Axis { label: String::new(), ..Axis::sparsity(high) };
    Some(Chart {
        title: "Sparsity over training".to_owned(),
        subtitle: subject.to_owned(),
        x: Axis::steps(right),
        y_label: "sparsity of the prunable parameters (density on a log scale)".to_owned(),
        panels: vec![Panel { title: String::new(), y, weight: 1.0, shows: None }],
        series,
        marks: Vec::new(),
        labels: Vec::new(),
    })
}

/// A step line for each way that the targets of a series go, and a dot for each prune of each of its runs.
fn schedule(series: &RunSeries<'_>) -> Vec<Series> {
    let (ink, line, _) = look(series);
    let owner = Some(series.id);
    let mut label = legend_label(series, false);
    // A target in another unit is no sparsity of the prunable parameters: what it came to is drawn alone.
    let drawn = series.unit == Unit::Prunable;
    if !drawn {
        label.push_str(": targets are of another kind, dots only");
    }
    let mut seen = BTreeSet::new();
    let (mut lines, mut dots) = (Vec::new(), BTreeSet::new());
    for run in &series.runs {
        let record = &run.record;
        let ways: Vec<_> = record.prunes.iter().map(|prune| (prune.step, Key::of(prune.target))).collect();
        if ways.is_empty() {
            continue;
        }
        if seen.insert(ways) && drawn {
            lines.push(steps(record));
        }
        // Seeds that left the same are one dot.
        dots.extend(record.prunes.iter().map(|prune| (prune.step, prune.pruned, prune.prunable)));
    }
    let place = |&(step, pruned, prunable): &(u64, u64, u64)| {
        (step as f64, sparsity_position(pruned as f64 / prunable.max(1) as f64))
    };
    let dots: Vec<_> = dots.iter().map(place).collect();
    if dots.is_empty() {
        return Vec::new();
    }
    let mut label = Some(label);
    let mut all = vec![Series { ink, marker: Marker::Dot, owner, points: dots, ..Series::default() }];
    if lines.is_empty() {
        all[0].label = label.take().unwrap_or_default();
    }
    let line =
        |points| Series { label: label.take().unwrap_or_default(), ink, line, owner, points, ..Series::default() };
    all.extend(lines.into_iter().map(line));
    all
}

/// The targets of a run as corners of a step line, up to its last step.
fn steps(record: &RunRecord) -> Vec<(f64, f64)> {
    let mut corners = vec![(0.0, 0.0)];
    for prune in &record.prunes {
        let (step, before) = (prune.step as f64, corners.last().map_or(0.0, |corner| corner.1));
        corners.push((step, before));
        corners.push((step, sparsity_position(prune.target)));
    }
    let last = corners.last().map_or(0.0, |corner| corner.1);
    corners.push((record.step() as f64, last));
    corners
}
