//! `secateur compare`: what differs between runs, and what they reach at the same target. Nothing is measured again.

use super::report::{input, name};
use super::{Done, print};
use crate::args::CompareArgs;
use anyhow::Result;
use secateur_report::ReportInput;
use secateur_report::side_by_side::{SideBySide, side_by_side};
use secateur_trainer::config::{Difference, differences};
use serde::Serialize;
use std::path::PathBuf;

/// Everything, for `--json`.
#[derive(Serialize)]
struct Answer<'a> {
    runs: &'a [String],
    config: Vec<Key<'a>>,
    accuracy: Option<&'a SideBySide>,
    /// Why accuracies are not compared.
    refused: Option<String>,
}

#[derive(Serialize)]
struct Key<'a> {
    key: &'a str,
    values: &'a [Option<String>],
}

/// Prints both comparisons.
pub(crate) fn compare(args: &CompareArgs) -> Result<Done> {
    let labels = labels(&args.runs);
    let config = differences(&args.runs)?;
    let runs =
        args.runs.iter().zip(&labels).map(|(run, label)| input(run, label.clone())).collect::<Result<Vec<_>>>()?;
    let accuracy = side_by_side(&runs);
    if args.json {
        let answer = Answer {
            runs: &labels,
            config: config.iter().map(|Difference { key, values }| Key { key, values }).collect(),
            accuracy: accuracy.as_ref().ok(),
            refused: accuracy.as_ref().err().map(ToString::to_string),
        };
        print(&serde_json::to_string_pretty(&answer)?)?;
        return Ok(Done::Whole);
    }
    let accuracy = match accuracy {
        Ok(found) => accuracies(&found, &labels, &runs),
        Err(error) => format!("not compared: {error}\n"),
    };
    print(&format!("{}\n{accuracy}", configs(&config, &labels)))?;
    Ok(Done::Whole)
}

/// What the runs are called: their folders, or their whole paths where two folders have one name.
fn labels(runs: &[PathBuf]) -> Vec<String> {
    let names: Vec<String> = runs.iter().map(|run| name(run)).collect();
    let unique = names.iter().collect::<std::collections::BTreeSet<_>>().len() == names.len();
    if unique { names } else { runs.iter().map(|run| run.display().to_string()).collect() }
}

fn configs(config: &[Difference], labels: &[String]) -> String {
    if config.is_empty() {
        return "the configs are the same\n".to_owned();
    }
    let mut lines = vec![std::iter::once("key").chain(labels.iter().map(String::as_str)).collect::<Vec<_>>()];
    lines.extend(config.iter().map(|Difference { key, values }| {
        let cells = values.iter().map(|value| value.as_deref().unwrap_or("-"));
        std::iter::once(key.as_str()).chain(cells).collect()
    }));
    format!("what differs in the configs (-: the key is not there)\n\n{}", columns(&lines))
}

fn accuracies(found: &SideBySide, labels: &[String], runs: &[ReportInput]) -> String {
    let started = &runs[0].record.started;
    let mut out = format!(
        "top-1 of {} on {} test images of {}, retrained; in brackets: points from `{}`\n\n",
        started.model, started.images.test, started.dataset, labels[0]
    );
    let lines = found.table(labels);
    out.push_str(&columns(&lines.iter().map(|line| line.iter().map(String::as_str).collect()).collect::<Vec<_>>()));
    out.push('\n');
    for note in found.notes(labels) {
        out.push_str(&note);
        out.push('\n');
    }
    out
}

/// Lines of cells as aligned columns.
fn columns(lines: &[Vec<&str>]) -> String {
    let count = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).filter_map(width).collect();
    let mut out = String::new();
    for line in lines {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        out.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_name_are_told_by_their_paths() {
        let of = |runs: &[&str]| labels(&runs.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(of(&["runs/a", "runs/b/"]), ["a", "b"]);
        assert_eq!(of(&["one/a", "two/a"]), ["one/a", "two/a"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        assert_eq!(columns(&[vec!["a", "bbb", "c"], vec!["aa", "b", ""]]), "a   bbb  c\naa  b\n");
    }
}
