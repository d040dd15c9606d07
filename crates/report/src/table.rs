//! The curve as a plain table for a terminal.

use std::fmt::Write;

use crate::cost::{CostTable, MEANING, cost_table, how_timed};
use crate::number::grouped;
use crate::record::{RunRecord, State};
use crate::rows::{Cell, HEADINGS, rows};

/// Columns that a terminal is wide enough for: all but the last, which is the page's.
const COLUMNS: usize = HEADINGS.len() - 1;

/// Columns that show their fraction beside the value: the accuracies.
const WITH_FRACTION: [usize; 2] = [7, 8];

/// The curve of a run as an aligned table, one row a cycle, with what its columns mean below it; then, where the log
/// says it, what each cycle's network costs to store and to run.
///
/// A row whose retrained accuracy is at most twice chance is marked `collapsed`.
pub fn curve_table(record: &RunRecord) -> String {
    let rows = rows(record);
    let started = &record.started;
    let mut out = format!("{}: {} on {}, seed {}", started.name, started.model, started.dataset, started.seed);
    if record.state() == State::Unfinished {
        let _ = write!(out, ", unfinished at step {} of {}", grouped(record.step()), grouped(started.planned_steps));
    }
    if rows.is_empty() {
        out.push_str("\nno test yet\n");
        return out;
    }
    let mut lines = vec![HEADINGS[..COLUMNS].iter().map(|&heading| heading.to_owned()).collect::<Vec<_>>()];
    lines.extend(rows.iter().map(|row| {
        let cells = row.cells[..COLUMNS].iter().enumerate();
        let cell = |(column, cell): (usize, &Cell)| match &cell.fraction {
            Some(fraction) if WITH_FRACTION.contains(&column) => {
                format!("{} ({})", cell.value, fraction.replace([' ', ','], ""))
            }
            _ => cell.value.clone(),
        };
        cells.map(cell).collect()
    }));
    let notes: Vec<_> = std::iter::once("").chain(rows.iter().map(|row| row.note)).collect();
    out.push_str("\n\n");
    align(&mut out, &lines, &notes);
    let _ = writeln!(
        out,
        "\nsparsity: zeros among the {} prunable parameters; whole model and compression: over all {} parameters.\n\
         *theoretical: {} dense MACs an image over those left. vs dense: points of top-1 from this run's cycle 0.",
        grouped(started.prunable),
        grouped(started.parameters),
        grouped(started.macs),
    );
    cost(&mut out, record);
    out
}

/// What each cycle's network costs, where the log says it.
fn cost(out: &mut String, record: &RunRecord) {
    let Some(CostTable { headings, rows }) = cost_table(record) else { return };
    let mut lines = vec![headings];
    let notes: Vec<_> = std::iter::once("").chain(rows.iter().map(|(_, note)| *note)).collect();
    lines.extend(rows.into_iter().map(|(cells, _)| cells.into_iter().map(|cell| cell.value).collect()));
    out.push('\n');
    align(out, &lines, &notes);
    let _ = writeln!(out, "\n{}", MEANING.join("\n"));
    if let Some(how) = how_timed(record) {
        let _ = writeln!(out, "{how}");
    }
}

/// Adds lines of cells, each column as wide as its widest cell, and a note behind each line that has one.
pub(crate) fn align(out: &mut String, lines: &[Vec<String>], notes: &[&str]) {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| lines.iter().filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count()).max();
    let width = |column: usize| width(column).unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    for (index, cells) in lines.iter().enumerate() {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
        let line = padded.collect::<Vec<_>>().join("  ");
        let _ = writeln!(out, "{}", format!("{line}  {}", notes.get(index).unwrap_or(&"")).trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn every_cycle_has_its_row() {
        let table = curve_table(&fixture::record(&fixture::l1_events(1)));
        let rows: Vec<&str> = table.lines().skip(2).take(9).collect();
        assert!(rows[0].trim_start().starts_with("cycle"), "{table}");
        let words = |row: &str| row.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(rows[1]), "0 - 0.00 % 0.00 % 1.00x 199,968 1.00x - 98.90 % (9890/10000) +0.00 0");
        assert!(
            words(rows[2]).starts_with("1 50 % 50.00 % 49.06 % 1.96x"),
            "29,472 of 58,944 and of 60,074 (30,602 left): {}",
            rows[2]
        );
        assert!(words(rows[2]).contains("98.84 % (9884/10000) 98.99 % (9899/10000) +0.09 4"), "{}", rows[2]);
        assert!(rows[8].ends_with("collapsed") && rows[8].contains("-87.55"), "{}", rows[8]);
        assert_eq!(table.matches("collapsed").count(), 1);
        let width = rows[0].len();
        assert!(rows[1..8].iter().all(|row| row.len() == width), "aligned:\n{table}");
    }

    #[test]
    fn unfinished_runs_say_so() {
        let mut record = fixture::record(&fixture::l1_events(1));
        record.ended = None;
        record.tests.pop();
        let table = curve_table(&record);
        assert!(table.contains("unfinished at step 13,760 of 14,190"), "{table}");
        assert!(table.contains("not retrained"), "{table}");
        record.tests.clear();
        assert!(curve_table(&record).contains("no test yet"));
    }
}
