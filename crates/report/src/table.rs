//! The curve as a plain table for a terminal.

use std::fmt::Write;

use crate::cost::{CostTable, cost_table, how_timed};
use crate::number::grouped;
use crate::record::RunRecord;
use crate::rows::{Row, rows};

/// How wide a terminal is at least.
const WIDTH: usize = 80;

/// What a terminal has room for of a curve's columns, the rest being the page's: the place of each and its name there.
const COLUMNS: [(usize, &str); 8] = [
    (0, "cycle"),
    (1, "target"),
    (2, "sparsity"),
    (4, "ratio"),
    (6, "MACs*"),
    (7, "pruned"),
    (8, "retrained"),
    (9, "change"),
];

/// The same of the columns of what a network costs; the times and all behind them follow.
const COSTS: [(usize, &str); 3] = [(0, "cycle"), (3, ""), (5, "compact*")];
/// From here on a cost table has its times.
const TIMES: usize = 6;

/// The curve of a run as an aligned table, one row a cycle, with what its columns mean below it; then, where the log
/// says it, what each cycle's network costs to store and to run.
///
/// A row whose retrained accuracy is at most twice chance is marked `collapsed`.
pub fn curve_table(record: &RunRecord) -> String {
    let rows = rows(record);
    let started = &record.started;
    let mut out = format!("{}: {} on {}, seed {}", started.name, started.model, started.dataset, started.seed);
    if record.ended.is_none() {
        let _ = write!(out, ", unfinished at step {} of {}", grouped(record.step()), grouped(started.planned_steps));
    }
    out = wrapped(&out);
    if rows.is_empty() {
        out.push_str("\nno test yet\n");
        return out;
    }
    let mut lines = vec![COLUMNS.map(|(_, name)| name.to_owned()).to_vec()];
    lines.extend(rows.iter().map(|row| COLUMNS.map(|(place, _)| row.cells[place].value.clone()).to_vec()));
    let note = |row: &Row| if row.note == "collapsed" { row.note } else { "" };
    let notes: Vec<_> = std::iter::once("").chain(rows.iter().map(note)).collect();
    out.push_str("\n\n");
    align(&mut out, &lines, &notes);
    let images = record.tests.last().map_or(0, |test| test.tested.score.total);
    let notes = format!(
        "sparsity: zeros among the {} prunable parameters. ratio: all {} parameters over those that are not zero. MACs*: {} \
         dense MACs an image over those left, in theory. pruned, retrained: top-1 on {} test images right after the prune and \
         after the training that follows (-: not retrained); change: points of it from this run's cycle 0, which had trained for \
         fewer steps.",
        grouped(started.prunable),
        grouped(started.parameters),
        grouped(started.macs),
        grouped(images),
    );
    let _ = writeln!(out, "\n{}", wrapped(&notes));
    cost(&mut out, record);
    out
}

/// What each cycle's network costs, where the log says it.
fn cost(out: &mut String, record: &RunRecord) {
    let Some(CostTable { headings, rows }) = cost_table(record) else { return };
    let pick = |cells: Vec<String>| -> Vec<String> {
        let first = COSTS.iter().filter_map(|(place, _)| cells.get(*place).cloned());
        first.chain(cells.iter().skip(TIMES).cloned()).collect()
    };
    let mut named = pick(headings);
    for (heading, (_, name)) in named.iter_mut().zip(COSTS).filter(|(_, (_, name))| !name.is_empty()) {
        *heading = name.to_owned();
    }
    let mut lines = vec![named];
    lines.extend(rows.into_iter().map(|(cells, _)| pick(cells.into_iter().map(|cell| cell.value).collect())));
    out.push('\n');
    align(out, &lines, &[]);
    let how = how_timed(record).unwrap_or_default();
    let notes = format!(
        "file: the sparse model file. compact*: dense MACs over those left after compaction, in theory. batch: the median time of \
         one call with so many images; measured: times faster than the run's dense network in our own dense kernels, timed beside \
         it. memory: what the inference engine holds. {how}"
    );
    let _ = writeln!(out, "\n{}", wrapped(notes.trim_end()));
}

/// The words in lines that fit a terminal; a word that is longer is cut into such.
pub(crate) fn wrapped(text: &str) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for part in letters.chunks(WIDTH) {
            let begins = std::ptr::eq(part.as_ptr(), letters.as_ptr());
            let gap = usize::from(column > 0 && begins);
            if column + gap + part.len() > WIDTH {
                out.push('\n');
                column = 0;
            } else if gap > 0 {
                out.push(' ');
                column += 1;
            }
            out.extend(part);
            column += part.len();
        }
    }
    out
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
        assert_eq!(words(rows[1]), "0 - 0.00 % 1.00x 1.00x - 98.90 % +0.00");
        assert!(words(rows[2]).starts_with("1 50 % 50.00 % 1.96x"), "29,472 of 58,944, 30,602 left: {}", rows[2]);
        assert!(words(rows[2]).ends_with("98.84 % 98.99 % +0.09"), "{}", rows[2]);
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
        let row = table.lines().nth(10).expect("a row of cycle 7");
        assert!(row.trim_end().ends_with("10.28 %          -       -"), "it was not retrained: {row}");
        record.tests.clear();
        assert!(curve_table(&record).contains("no test yet"));
    }

    #[test]
    fn words_are_wrapped_and_long_ones_cut() {
        assert_eq!(wrapped("a  b"), "a b");
        let long = "x".repeat(100);
        assert_eq!(wrapped(&format!("a {long} b")), format!("a\n{}\n{} b", &long[..80], &long[..20]));
        assert!(wrapped(&"word ".repeat(50)).lines().all(|line| line.len() <= 80));
    }
}
