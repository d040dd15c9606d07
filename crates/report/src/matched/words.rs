//! Matched runs in words: the lines of a table, and the sentences below it.

use super::{Asked, Matched, Reached, Row, Share};
use crate::number::{percent, short_percent};

/// Sparsities in a row that are further apart than this are told beside the accuracies.
const APART: f64 = 0.000_5;

impl Asked {
    /// `95 %`, or `95 % of the MACs`.
    fn words(&self) -> String {
        let of = if self.of == Share::Macs { " of the MACs" } else { "" };
        format!("{} %{of}", short_percent(self.target))
    }
}

impl Matched {
    /// Lines of cells for a terminal, the heading first: top-1 of each run, and its distance from the first run, from the
    /// dense network that it was, and from the dense control.
    pub fn table(&self, labels: &[String]) -> Vec<Vec<String>> {
        let line = |name: &str, cells: Vec<String>| std::iter::once(name.to_owned()).chain(cells).collect::<Vec<_>>();
        let mut lines = vec![line("target", labels.to_vec())];
        let top_1 = |accuracy: Option<f64>| accuracy.map_or("-".to_owned(), |accuracy| self.top_1(accuracy));
        lines.push(line("dense, before pruning", self.dense.iter().map(|dense| top_1(dense.before_pruning)).collect()));
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
                ("  from before pruning", dense(|reached| reached.points_from_before_pruning)),
                ("  from dense control", dense(|reached| reached.points_from_control)),
            ] {
                lines.extend(cells.map(|cells| line(name, cells)));
            }
        }
        lines
    }

    /// What has to be said beside the table, a sentence each: targets of one run alone, and which control was taken.
    pub fn notes(&self, labels: &[String]) -> Vec<String> {
        let mut notes = Vec::new();
        let mut controls: Vec<&String> = self.dense.iter().filter_map(|dense| dense.control.as_ref()).collect();
        controls.dedup();
        if !controls.is_empty() {
            let names = controls.iter().map(|control| format!("`{control}`")).collect::<Vec<_>>().join(", ");
            notes.push(format!("dense control: {names} at its end, of the same seed where there is one"));
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
