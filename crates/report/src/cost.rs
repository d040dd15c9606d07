//! The table of what each cycle's network costs to store and to run, once for the terminal and the page; and which of
//! the measured times are compared. Nothing is here for a run whose log has no such event.

use std::collections::BTreeSet;

use crate::event::{Inference, Latency};
use crate::number::{fraction, grouped, kilobytes, milliseconds, percent, times};
use crate::record::{Point, RunRecord};
use crate::rows::Cell;

/// How many images a call has, and how many threads share it: only times with the same of both are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    pub(crate) batch: u64,
    pub(crate) threads: u64,
}

impl Call {
    fn of(latency: &Latency) -> Self {
        Self { batch: latency.batch, threads: latency.threads }
    }

    /// The time of such a call, where it was measured.
    pub(crate) fn find(self, inference: &Inference) -> Option<&Latency> {
        inference.latencies.iter().find(|latency| Self::of(latency) == self)
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let threads = if self.threads == 1 { "thread" } else { "threads" };
        write!(out, "batch {}, {} {threads}", grouped(self.batch), grouped(self.threads))
    }
}

/// Every kind of call that a run was timed at.
pub(crate) fn calls(record: &RunRecord) -> BTreeSet<Call> {
    inferences(record).flat_map(|inference| &inference.latencies).map(Call::of).collect()
}

/// The calls that tables and charts show: one image with the fewest threads, and the largest batch with the most. What
/// all runs were timed at is preferred, so that they can be compared.
pub(crate) fn shown<'a>(records: impl IntoIterator<Item = &'a RunRecord>) -> Vec<Call> {
    let each: Vec<_> = records.into_iter().map(calls).filter(|calls| !calls.is_empty()).collect();
    let all: BTreeSet<Call> = each.iter().flatten().copied().collect();
    let common: BTreeSet<Call> = all.iter().copied().filter(|call| each.iter().all(|run| run.contains(call))).collect();
    let from = if common.is_empty() { all } else { common };
    // The calls are in order, by batch and then by threads.
    let single = from.iter().find(|call| call.batch == 1);
    let batched = from.iter().rfind(|call| call.batch > 1);
    single.into_iter().chain(batched).copied().collect()
}

/// The instructions that the timed kernels were chosen for, such as `avx512`; more than one where runs come from
/// several machines.
pub(crate) fn instruction_sets<'a>(records: impl IntoIterator<Item = &'a RunRecord>) -> BTreeSet<&'a str> {
    records.into_iter().flat_map(inferences).map(|inference| inference.instruction_set.as_str()).collect()
}

fn inferences(record: &RunRecord) -> impl Iterator<Item = &Inference> {
    record.tests.iter().filter_map(|test| test.measured.as_ref()?.inference.as_ref())
}

/// A table: headings, and a row a cycle that was measured.
pub(crate) struct CostTable {
    pub(crate) headings: Vec<String>,
    /// The cells, and `collapsed` or nothing.
    pub(crate) rows: Vec<(Vec<Cell>, &'static str)>,
}

/// How the shown times were taken; `None` where there are none.
pub(crate) fn how_timed(record: &RunRecord) -> Option<String> {
    let calls = shown([record]);
    let calls: Vec<_> = calls.iter().map(Call::to_string).collect();
    let sets = instruction_sets([record]).into_iter().collect::<Vec<_>>().join(" and ");
    (!calls.is_empty()).then(|| format!("Timed with {sets}: {}.", calls.join("; ")))
}

/// What each cycle costs; `None` where nothing was measured.
pub(crate) fn cost_table(record: &RunRecord) -> Option<CostTable> {
    let points = record.points();
    let precision = points.iter().find_map(|point| Some(&point.measured?.measured.files.first()?.precision));
    let calls = shown([record]);
    let mut headings: Vec<String> = ["cycle", "sparsity", "top-1"].map(str::to_owned).into();
    headings.push(precision.map_or("file".to_owned(), |precision| format!("{precision} file")));
    headings.extend(["speed-up*", "compacted*"].map(str::to_owned));
    headings.extend(calls.iter().flat_map(|call| [format!("batch {}", grouped(call.batch)), "measured".to_owned()]));
    headings.push("memory".to_owned());
    let rows: Vec<_> = points.iter().filter_map(|point| row(record, point, precision, &calls)).collect();
    (!rows.is_empty()).then_some(CostTable { headings, rows })
}

fn row(
    record: &RunRecord,
    point: &Point<'_>,
    precision: Option<&String>,
    calls: &[Call],
) -> Option<(Vec<Cell>, &'static str)> {
    let (measurement, size) = (point.measured?, point.size()?);
    let (measured, inference) = (&measurement.measured, measurement.inference.as_ref());
    let compacted = &measured.compacted;
    let score = point.trained.or(point.just_pruned).map(|test| test.score);
    let file = measured.files.iter().find(|file| Some(&file.precision) == precision);
    let mut cells = vec![
        Cell::plain(point.cycle.to_string()),
        Cell::plain(percent(size.pruned, size.prunable)),
        score.map_or_else(Cell::none, |score| {
            with(percent(score.correct, score.total), fraction(score.correct, score.total))
        }),
        file.map_or_else(Cell::none, |file| with(kilobytes(file.bytes), format!("{} bytes", grouped(file.bytes)))),
        Cell::plain(times(size.theoretical_speedup())),
        with(
            times(record.started.macs as f64 / compacted.remaining_macs as f64),
            format!("{} MACs", grouped(compacted.remaining_macs)),
        ),
    ];
    for call in calls {
        let latency = inference.and_then(|inference| call.find(inference));
        cells.push(latency.map_or_else(Cell::none, |latency| {
            with(milliseconds(latency.sparse_ms), format!("dense {}", milliseconds(latency.dense_ms)))
        }));
        cells.push(latency.map_or_else(Cell::none, |latency| Cell::plain(times(latency.speedup()))));
    }
    cells.push(inference.map_or_else(Cell::none, |inference| {
        let dense = format!("dense {}", kilobytes(inference.dense_memory_bytes));
        with(kilobytes(inference.sparse_memory_bytes), dense)
    }));
    Some((cells, if point.is_collapsed() { "collapsed" } else { "" }))
}

fn with(value: String, fraction: String) -> Cell {
    Cell { value, fraction: Some(fraction) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, measured::measured};

    fn record(calls: &[(u64, u64)]) -> RunRecord {
        let mut record = fixture::measured::record(&measured(fixture::l1_events(1), 1));
        for test in &mut record.tests {
            let inference = test.measured.as_mut().and_then(|measurement| measurement.inference.as_mut());
            if let Some(inference) = inference {
                let latency = |&(batch, threads)| Latency { batch, threads, dense_ms: 1.0, sparse_ms: 0.5 };
                inference.latencies = calls.iter().map(latency).collect();
            }
        }
        record
    }

    #[test]
    fn one_image_and_the_largest_batch_are_shown_where_all_runs_have_them() {
        let shown = |records: &[RunRecord]| {
            shown(records).into_iter().map(|call| (call.batch, call.threads)).collect::<Vec<_>>()
        };
        let wide = record(&[(128, 1), (1, 2), (1, 1), (128, 2), (256, 2)]);
        assert_eq!(shown(std::slice::from_ref(&wide)), [(1, 1), (256, 2)]);
        let narrow = record(&[(128, 1), (1, 1)]);
        assert_eq!(shown(&[wide.clone(), narrow.clone()]), [(1, 1), (128, 1)]);
        assert_eq!(shown(&[record(&[(8, 1)]), narrow]), [(1, 1), (128, 1)], "nothing in common");
        let untimed = fixture::record(&fixture::l1_events(1));
        assert_eq!(shown(&[untimed.clone(), wide]), [(1, 1), (256, 2)], "a run without times has no say");
        assert_eq!(shown(&[untimed]), []);
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let mut record = record(&[(1, 1)]);
        record.tests[0].measured.as_mut().expect("measured").inference = None;
        let table = cost_table(&record).expect("a table");
        let values: Vec<_> = table.rows[0].0.iter().map(|cell| cell.value.as_str()).collect();
        assert_eq!(&values[6..], ["-", "-", "-"]);
        assert_eq!(table.rows[1].0[7].value, "2.00x");
        assert_eq!((table.rows[6].1, table.rows[7].1), ("", "collapsed"));
        assert!(cost_table(&fixture::record(&fixture::l1_events(1))).is_none());
    }
}
