//! The rows of a curve's table, cell by cell, once for the terminal and the page. Every share carries its fraction.

use crate::number::{fraction, grouped, mebibytes, percent, short_percent, times};
use crate::record::{Point, RunRecord};

/// Column headings, in the order of [`Row::cells`].
pub(crate) const HEADINGS: [&str; 12] = [
    "cycle",
    "target",
    "sparsity",
    "whole model",
    "compression",
    "MACs left",
    "speed-up*",
    "just pruned",
    "retrained",
    "vs unpruned",
    "dead units",
    "peak memory",
];

/// One cycle.
pub(crate) struct Row {
    pub(crate) cells: [Cell; HEADINGS.len()],
    /// `collapsed`, `not retrained`, or nothing.
    pub(crate) note: &'static str,
}

/// A value, and the numerator and denominator that it comes from.
pub(crate) struct Cell {
    pub(crate) value: String,
    pub(crate) fraction: Option<String>,
}

impl Cell {
    pub(crate) fn plain(value: String) -> Self {
        Self { value, fraction: None }
    }

    /// What the log does not say.
    pub(crate) fn none() -> Self {
        Self::plain("-".to_owned())
    }
}

/// One row a point of the curve.
pub(crate) fn rows(record: &RunRecord) -> Vec<Row> {
    record.points().iter().filter_map(|point| row(record, point)).collect()
}

fn row(record: &RunRecord, point: &Point<'_>) -> Option<Row> {
    let size = point.size()?;
    let share = |part: u64, whole: u64| Cell { value: percent(part, whole), fraction: Some(fraction(part, whole)) };
    let plain = Cell::plain;
    let score = |test: Option<&crate::event::Tested>| match test {
        Some(test) => share(test.score.correct, test.score.total),
        None => plain("-".into()),
    };
    let target = point.pruned.map_or("-".into(), |pruned| format!("{} %", short_percent(pruned.target)));
    let change = match (point.trained, record.dense()) {
        (Some(test), Some(dense)) => plain(format!("{:+.2}", 100.0 * (test.score.accuracy() - dense.score.accuracy()))),
        _ => plain("-".into()),
    };
    let cells = [
        plain(point.cycle.to_string()),
        plain(target),
        share(size.pruned, size.prunable),
        share(size.parameters.saturating_sub(size.nonzero), size.parameters),
        Cell { value: times(size.compression_ratio()), fraction: Some(fraction(size.parameters, size.nonzero)) },
        Cell { value: grouped(size.remaining_macs), fraction: Some(format!("of {}", grouped(size.macs))) },
        plain(times(size.theoretical_speedup())),
        score(point.just_pruned),
        score(point.trained),
        change,
        plain(grouped(size.dead_units)),
        plain(point.peak_memory_bytes.map_or("-".into(), mebibytes)),
    ];
    let note = match point {
        point if point.is_collapsed() => "collapsed",
        point if point.is_open() => "not retrained",
        _ => "",
    };
    Some(Row { cells, note })
}
