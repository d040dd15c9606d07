//! Sparsity while training: what the schedules asked for, and what the prunes left. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::axis::{Axis, sparsity_position};
use crate::chart::{Chart, Ink, Line, Marker, Panel, Series};
use crate::lines::{legend_label, look};
use crate::record::{Control, RunRecord};
use crate::series::RunSeries;
use crate::target::{Key, Unit};

/// Prunes that are drawn as circles; more of them are drawn as dots.
const MOST_CIRCLES: usize = 60;
/// Letters of names that stand in a legend together: more of them would be cut.
const LETTERS: usize = 28;

/// Steps and targets of the prunes of a run.
type Way = Vec<(u64, Key)>;

/// The chart of a group; `None` where nothing was pruned.
///
/// Series that were asked for the same share a line; what each prune left is a circle of the series' own.
pub(crate) fn steps_chart(subject: &str, all: &[RunSeries<'_>]) -> Option<Chart> {
    let pruned: Vec<_> = all.iter().filter(|series| series.control != Control::Dense).collect();
    let mut asked: BTreeMap<BTreeSet<Way>, Vec<&RunSeries<'_>>> = BTreeMap::new();
    for series in &pruned {
        // A target in another unit is no sparsity of the prunable parameters: what it came to is drawn alone.
        let ways: BTreeSet<Way> = match series.unit {
            Unit::Prunable => series.runs.iter().map(|run| way(&run.record)).filter(|way| !way.is_empty()).collect(),
            Unit::Parameters | Unit::Macs | Unit::Unknown => BTreeSet::new(),
        };
        asked.entry(ways).or_default().push(series);
    }
    let mut series: Vec<Series> = pruned.iter().filter_map(|series| left(series)).collect();
    for (ways, sharing) in asked.iter().filter(|(ways, _)| !ways.is_empty()) {
        series.extend(lines(ways, sharing, sharing.len() == pruned.len()));
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

fn way(record: &RunRecord) -> Way {
    record.prunes.iter().map(|prune| (prune.step, Key::of(prune.target))).collect()
}

/// What the prunes of a series left; `None` where there was none. Seeds that left the same are one circle.
fn left(series: &RunSeries<'_>) -> Option<Series> {
    let prunes = series.runs.iter().flat_map(|run| &run.record.prunes);
    let prunes: BTreeSet<_> = prunes.map(|prune| (prune.step, prune.pruned, prune.prunable)).collect();
    let place = |&(step, pruned, prunable): &(u64, u64, u64)| {
        (step as f64, sparsity_position(pruned as f64 / prunable.max(1) as f64))
    };
    let marker = if prunes.len() > MOST_CIRCLES { Marker::Dot } else { look(series).2.hollow() };
    let (ink, owner, points) = (look(series).0, Some(series.id), prunes.iter().map(place).collect::<Vec<_>>());
    let label = format!("left: {}", legend_label(series, false));
    (!points.is_empty()).then(|| Series { label, ink, marker, owner, points, ..Series::default() })
}

/// A step line for each way that the targets of some series go, or of `all`.
fn lines(ways: &BTreeSet<Way>, sharing: &[&RunSeries<'_>], all: bool) -> Vec<Series> {
    let (ink, line, owner) = match sharing {
        [only] => (look(only).0, look(only).1, Some(only.id)),
        _ => (Ink::Text, Line::Solid, None),
    };
    let mut label = Some(format!("asked of {}", whose(sharing, all)));
    let runs = || sharing.iter().flat_map(|series| &series.runs).map(|run| &run.record);
    let drawn = ways.iter().filter_map(|asked| runs().find(|record| way(record) == *asked)).map(steps);
    let series = |points| Series {
        label: label.take().unwrap_or_default(),
        ink,
        line,
        faint: true,
        owner,
        points,
        ..Series::default()
    };
    drawn.map(series).collect()
}

/// The names of series, as many as a legend has room for.
fn whose(sharing: &[&RunSeries<'_>], all: bool) -> String {
    let names: Vec<&str> = sharing.iter().map(|series| series.label.as_str()).collect();
    match names[..] {
        [only] => return only.to_owned(),
        _ if all => return "all series".to_owned(),
        _ => {}
    }
    let with_rest = |shown: usize| match names.len() - shown {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..shown].join(", ")),
    };
    let fitting = (1..=names.len()).rev().map(with_rest).find(|words| words.chars().count() <= LETTERS);
    fitting.unwrap_or_else(|| format!("{} series", names.len()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::report::ReportInput;
    use crate::series::series;

    fn chart_of(runs: &[ReportInput]) -> Option<Chart> {
        steps_chart("s", &series(&runs.iter().collect::<Vec<_>>(), 0))
    }

    #[test]
    fn one_schedule_is_one_line_and_each_series_has_what_it_left() {
        let events =
            [fixture::l1_events(1), fixture::l1_events(2), fixture::random_events(1), fixture::dense_events(1)];
        let runs = events.map(|events| fixture::input("a", fixture::record(&events)));
        let chart = chart_of(&runs).expect("a chart");
        let looks: Vec<_> = chart.series.iter().map(|s| (s.label.as_str(), s.line, s.owner, s.points.len())).collect();
        let expected = [
            ("left: l1-global, 2 seeds", Line::None, Some(0), 7),
            ("left: random control: random-global", Line::None, Some(1), 7),
            ("asked of all series", Line::Solid, None, 16),
        ];
        assert_eq!(looks, expected);
        // 50 % at step 1720, then 75 % at 3440.
        let corners = &chart.series[2].points;
        assert_eq!(corners[1..4], [(1720.0, 0.0), (1720.0, sparsity_position(0.5)), (3440.0, sparsity_position(0.5))]);
        assert_eq!(chart.series[0].points[0], (1720.0, sparsity_position(0.5)));
        assert_eq!(chart_of(&runs[3..]), None, "nothing was pruned");
    }

    #[test]
    fn every_target_of_a_sweep_has_its_line_and_another_unit_has_none() {
        let to =
            |target| fixture::input("a", fixture::record(&fixture::one_target(fixture::l1_events(1), target, 9800)));
        let mut runs = [to(0.9), to(0.98)];
        let lines = |chart: &Chart| chart.series.iter().filter(|s| s.line != Line::None).count();
        assert_eq!(lines(&chart_of(&runs).expect("a chart")), 2);
        for run in &mut runs {
            run.record.started.method.as_mut().expect("a method").target_of = Some(Unit::Macs);
        }
        let chart = chart_of(&runs).expect("a chart");
        assert_eq!((lines(&chart), chart.series[0].points.len()), (0, 4));
    }

    #[test]
    fn a_legend_names_whom_it_has_room_for() {
        let names = ["global", "layerwise", "mac-aware", "a-name-that-no-legend-has-room-for"];
        let runs = names.map(|name| {
            let mut run = fixture::input(name, fixture::record(&fixture::l1_events(1)));
            run.record.started.name = name.into();
            run
        });
        let all = series(&runs.iter().collect::<Vec<_>>(), 0);
        let whose =
            |places: &[usize], every| super::whose(&places.iter().map(|&place| &all[place]).collect::<Vec<_>>(), every);
        assert_eq!(whose(&[0, 1, 2, 3], true), "all series");
        assert_eq!(whose(&[0], true), "global");
        assert_eq!(whose(&[0, 1, 2], false), "global, layerwise, mac-aware");
        assert_eq!(whose(&[0, 1, 3], false), "global, layerwise and 1 more");
        assert_eq!(whose(&[3, 0], false), "2 series");
        assert_eq!(whose(&[3], false), names[3]);
    }
}
