//! What networks cost to store and to run, on the page: charts over all sizes of a model, and a run's tables.

use super::html::{Table, escape, value};
use super::{figure, files};
use crate::cost::{calls, cost_table, how_timed, shown};
use crate::error::Error;
use crate::family::Family;
use crate::number::{grouped, kilobytes, milliseconds, times};
use crate::record::{Measurement, RunRecord};
use crate::report::ReportInput;

/// The charts of a family, each with a sentence on what it shows.
pub(super) fn section(family: &Family<'_>) -> Result<String, Error> {
    let mut out = format!("<section>\n<h2>What accuracy costs: {}</h2>\n", escape(&family.title));
    out.push_str(
        "<p>Left is cheaper, up is better. Each line is a run, retrained after every prune; it starts at the run's own \
         dense network, which is framed. Black squares are dense networks that were trained as they are: pruning pays \
         where its line passes above or left of them.</p>\n",
    );
    if !family.has_other_sizes() {
        out.push_str(
            "<p class=\"note\">No small dense network stands beside these runs. Report them together with a run of \
             another size and <code>prune.enabled = false</code> to see what one of equal cost reaches.</p>\n",
        );
    }
    for drawn in &family.figures {
        out.push_str(&figure(&drawn.chart)?);
        out.push_str(&format!("<p class=\"note\">{} {}</p>\n", escape(&drawn.note), files(&drawn.stem)));
    }
    out.push_str("</section>\n");
    Ok(out)
}

/// Headings of what [`overview`] adds to the table of runs; none where nothing was measured.
pub(super) fn overview_headings(runs: &[&ReportInput]) -> &'static [&'static str] {
    if runs.iter().any(|run| last(&run.record).is_some()) { &["file", "measured speed-up"] } else { &[] }
}

/// A run's file and measured speed-up at the last cycle that was measured.
pub(super) fn overview(record: &RunRecord) -> [String; 2] {
    let none = || "-".to_owned();
    let Some(Measurement { measured, inference }) = last(record) else { return [none(), none()] };
    let file = measured.files.first().map(|file| value(&kilobytes(file.bytes), Some(&file.precision)));
    let speedups = shown([record]).into_iter().filter_map(|call| {
        let latency = call.find(inference.as_ref()?)?;
        Some(format!("{}<small>batch {}</small>", times(latency.speedup()), grouped(call.batch)))
    });
    let speedups: String = speedups.collect();
    [file.unwrap_or_else(none), if speedups.is_empty() { none() } else { speedups }]
}

fn last(record: &RunRecord) -> Option<&Measurement> {
    record.points().into_iter().rev().find_map(|point| point.measured)
}

/// The tables of a run; nothing where nothing was measured.
pub(super) fn tables(record: &RunRecord) -> String {
    let Some(costs) = cost_table(record) else { return String::new() };
    let headings: Vec<_> = costs.headings.iter().map(String::as_str).collect();
    let mut table = Table::new("", &headings);
    for cells in costs.rows {
        table.row("", cells.iter().map(|cell| value(&cell.value, cell.fraction.as_deref())));
    }
    let timed = how_timed(record).map_or(String::new(), |how| format!(" {}", escape(&how)));
    format!(
        "<h4>What it costs to store and to run</h4>\n{}<p class=\"note\">File: the sparse model file. *Theoretical: \
         dense MACs over those left, as trained, and after compaction. Batch: the median time of one call of the \
         inference engine with so many images, below it the run's dense network in our own dense kernels; measured: how \
         many times faster that is. Memory: what the engine holds, weights and buffers. Units: filters and neurons that \
         compaction leaves, below them nonzero parameters and places for them.{timed}</p>\n{}{}",
        table.html(),
        times_table(record),
        facts_table(record)
    )
}

/// Every call that was timed, where the table above does not show them all.
fn times_table(record: &RunRecord) -> String {
    let calls = calls(record);
    if calls.len() <= shown([record]).len() {
        return String::new();
    }
    let headings: Vec<_> = calls.iter().map(ToString::to_string).collect();
    let mut table =
        Table::new("", &[&["cycle"], &headings.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    for point in record.points() {
        let Some(inference) = point.measured.and_then(|measurement| measurement.inference.as_ref()) else { continue };
        let cells = calls.iter().map(|call| {
            call.find(inference).map_or("-".to_owned(), |latency| {
                let dense = format!("dense {}", milliseconds(latency.dense_ms));
                let speedup = format!("<small>{}</small>", times(latency.speedup()));
                format!("{}{speedup}", value(&milliseconds(latency.sparse_ms), Some(&dense)))
            })
        });
        table.row("", std::iter::once(point.cycle.to_string()).chain(cells));
    }
    super::layers::folded("Every call that was timed", "Median times of one call, and how many times faster.", table)
}

/// Every file, and what compaction changes.
fn facts_table(record: &RunRecord) -> String {
    let measured = || record.points().into_iter().filter_map(|point| Some((point.cycle, &point.measured?.measured)));
    let mut precisions: Vec<&str> = Vec::new();
    for file in measured().flat_map(|(_, measured)| &measured.files) {
        if !precisions.contains(&file.precision.as_str()) {
            precisions.push(&file.precision);
        }
    }
    let names: Vec<_> = precisions.iter().map(|precision| format!("{precision} file, bytes")).collect();
    let mut headings = vec!["cycle"];
    headings.extend(names.iter().map(String::as_str));
    headings.extend(["units", "parameters", "nonzero", "MACs", "MACs left", "largest change of a logit"]);
    let mut table = Table::new("", &headings);
    for (cycle, measured) in measured() {
        let files = precisions.iter().map(|precision| {
            let file = measured.files.iter().find(|file| file.precision == *precision);
            file.map_or("-".to_owned(), |file| grouped(file.bytes))
        });
        let compacted = &measured.compacted;
        let counts =
            [compacted.units, compacted.parameters, compacted.nonzero, compacted.macs, compacted.remaining_macs];
        let delta = if compacted.max_logit_delta.is_nan() {
            "not a number".to_owned()
        } else {
            format!("{:.1e}", compacted.max_logit_delta)
        };
        let cells = std::iter::once(cycle.to_string()).chain(files).chain(counts.map(grouped));
        table.row("", cells.chain([delta]));
    }
    super::layers::folded(
        "The network after compaction",
        "Without units that are dead, or whose answer is always the same and was folded into biases.",
        table,
    )
}
