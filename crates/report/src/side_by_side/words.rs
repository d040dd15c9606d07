//! Runs beside each other in words: the lines of a table, and the sentences below it.

use super::{Asked, Reached, Row, SideBySide};
use crate::event::Unit;
use crate::number::percent;

/// Sparsities in a row that are further apart than this are told beside the accuracies.
const APART: f64 = 0.000_5;

impl Asked {
    /// `95 %`, or `95 % of the MACs`.
    fn words(&self) -> String {
        self.of.unwrap_or(Unit::Unknown).words(self.target)
    }
}

impl SideBySide {
    /// Lines of cells for a terminal, the heading first: top-1 of each run, and its distance from the first run, from its own
    /// network before pruning, and from the dense control.
    pub fn table(&self, labels: &[String]) -> Vec<Vec<String>> {
        let line = |name: &str, cells: Vec<String>| std::iter::once(name.to_owned()).chain(cells).collect::<Vec<_>>();
        let mut lines = vec![line("target", labels.to_vec())];
        let top_1 = |accuracy: Option<f64>| accuracy.map_or("-".to_owned(), |accuracy| self.top_1(accuracy));
        lines.push(line("unpruned", self.dense.iter().map(|dense| top_1(dense.unpruned)).collect()));
        if self.dense.iter().any(|dense| dense.control.is_some()) {
            lines.push(line("dense control", self.dense.iter().map(|dense| top_1(dense.control_top_1)).collect()));
        }
        for Row { asked, runs } in &self.rows {
            let sparsities = || runs.iter().flatten().map(|reached| reached.sparsity);
            let apart = sparsities().fold(0.0, f64::max) - sparsities().fold(1.0, f64::min) > APART;
            let cells = runs.iter().map(|reached| {
                let Some(reached) = reached else { return "-".to_owned() };
                let mut words = match (reached.retrained, reached.just_pruned) {
                    (Some(retrained), _) => self.top_1(retrained),
                    (None, Some(just_pruned)) => format!("{} just pruned", self.top_1(just_pruned)),
                    (None, None) => "-".to_owned(),
                };
                if let Some(points) = reached.points_from_first {
                    words.push_str(&format!(" ({points:+.2})"));
                }
                if apart {
                    words.push_str(&format!(" at {:.2} %", 100.0 * reached.sparsity));
                }
                words
            });
            lines.push(line(&asked.words(), cells.collect()));
            let dense = |from: fn(&Reached) -> Option<f64>| -> Option<Vec<String>> {
                let points: Vec<_> = runs.iter().map(|reached| reached.as_ref().and_then(from)).collect();
                let words = |points: Option<f64>| points.map_or("-".to_owned(), |points| format!("{points:+.2}"));
                points.iter().any(Option::is_some).then(|| points.into_iter().map(words).collect())
            };
            for (name, cells) in [
                ("  vs unpruned", dense(|reached| reached.points_vs_unpruned)),
                ("  vs dense", dense(|reached| reached.points_vs_dense)),
            ] {
                lines.extend(cells.map(|cells| line(name, cells)));
            }
        }
        lines
    }

    /// What has to be said beside the table, a sentence each: which control was taken, what is not
    /// compared and why, and targets of one run alone.
    pub fn notes(&self, labels: &[String]) -> Vec<String> {
        let mut notes = Vec::new();
        let mut controls: Vec<&String> = self.dense.iter().filter_map(|dense| dense.control.as_ref()).collect();
        controls.sort();
        controls.dedup();
        let quoted = |names: &[&String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if !controls.is_empty() {
            let names = quoted(&controls);
            notes.push(format!("dense control: {names}; vs dense: from it after as many steps, of the same seed"));
        }
        let without = labels.iter().zip(&self.dense).filter(|(_, dense)| dense.control.is_none());
        let without: Vec<&String> = without.map(|(label, _)| label).collect();
        if !without.is_empty() {
            notes.push(format!("no dense control of equal steps: {}", quoted(&without)));
        }
        for (place, label) in labels.iter().enumerate().skip(1) {
            let reached = self.rows.iter().filter_map(|row| row.runs.get(place)?.as_ref());
            let mut whys: Vec<&String> = reached.filter_map(|reached| reached.not_comparable.as_ref()).collect();
            whys.dedup();
            if let Some(why) = whys.first() {
                let more = if whys.len() > 1 { ", and others" } else { "" };
                notes.push(format!("`{label}` is not compared with `{}`: {why}{more}", labels[0]));
            }
        }
        if !self.rows.is_empty() {
            let report = "`secateur report` over three seeds or more gives one";
            notes.push(format!("one run each: no verdict on which difference is significant; {report}"));
        }
        for (label, alone) in labels.iter().zip(&self.alone).filter(|(_, alone)| !alone.is_empty()) {
            let targets = alone.iter().map(Asked::words).collect::<Vec<_>>().join(", ");
            notes.push(format!("only `{label}` was asked for {targets}: not compared, and not interpolated"));
        }
        if self.rows.is_empty() {
            notes.push("no two runs were asked for the same target".to_owned());
        }
        notes
    }

    fn top_1(&self, accuracy: f64) -> String {
        percent((accuracy * self.test_images as f64).round() as u64, self.test_images)
    }
}
