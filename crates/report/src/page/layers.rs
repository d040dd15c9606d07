//! The two tables of a run's layers: what each prune left of them, and which path computed them.

use super::html::{Table, value};
use crate::event::LayerPath;
use crate::number::{fraction, grouped, percent, short_percent};
use crate::record::RunRecord;

/// A row a prune, a column a parameter: the share kept, as a number, a fraction and a bar. Nothing for a run without a
/// prune.
pub(super) fn densities(record: &RunRecord) -> String {
    if record.prunes.is_empty() {
        return String::new();
    }
    let names = distinct(record.prunes.iter().flat_map(|prune| &prune.layers).map(|layer| layer.name.as_str()));
    let mut table = Table::new("", &[&["cycle", "target"], &names[..]].concat());
    for prune in &record.prunes {
        let cells = names.iter().map(|&name| {
            prune.layers.iter().find(|layer| layer.name == name).map_or("-".to_owned(), |layer| {
                let share = if layer.total == 0 { 0.0 } else { 100.0 * layer.kept as f64 / layer.total as f64 };
                let value = value(&percent(layer.kept, layer.total), Some(&fraction(layer.kept, layer.total)));
                format!("{value}<i class=\"bar\" style=\"width:{share:.1}%\"></i>")
            })
        });
        let target = format!("{} %", short_percent(prune.target));
        table.row("", [prune.cycle.to_string(), target].into_iter().chain(cells));
    }
    folded("What each prune left of each layer", "Share of each parameter tensor that is kept.", table)
}

/// A row a cycle, a column a layer: the path that it took, and how much of it was computed. Nothing where the log does
/// not say.
pub(super) fn paths(record: &RunRecord) -> String {
    let points = record.points();
    let compiled: Vec<_> = points.iter().filter_map(|point| Some((point.cycle, point.compiled?))).collect();
    if compiled.is_empty() {
        return String::new();
    }
    let layers = compiled.iter().flat_map(|(_, compiled)| &compiled.layers);
    let names = distinct(layers.map(|layer| layer.name.as_str()));
    let mut table = Table::new("", &[&["cycle", "instructions"], &names[..]].concat());
    for (cycle, compiled) in &compiled {
        let cells = names
            .iter()
            .map(|&name| compiled.layers.iter().find(|layer| layer.name == name).map_or("-".to_owned(), path));
        let instructions = value(&compiled.instruction_set, None);
        table.row("", [cycle.to_string(), instructions].into_iter().chain(cells));
    }
    folded(
        "Which path computed each layer",
        "How each layer was computed at the cycle's last test: its path, and the weights and units that it works on, of \
         those in the original network.",
        table,
    )
}

/// `sparse 5.00 %`, below it the weights, and the units where some are left out.
fn path(layer: &LayerPath) -> String {
    let LayerPath { path, kept, total, units, all_units, .. } = layer;
    let share = if kept == total { path.clone() } else { format!("{path} {}", percent(*kept, *total)) };
    let weights = value(&share, Some(&fraction(*kept, *total)));
    if units == all_units {
        return weights;
    }
    format!("{weights}<small>{} of {} units</small>", grouped(*units), grouped(*all_units))
}

/// Each name once, in the order in which they first appear.
fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A table that a reader opens.
pub(super) fn folded(summary: &str, note: &str, table: Table) -> String {
    format!("<details>\n<summary>{summary}</summary>\n<p class=\"note\">{note}</p>\n{}</details>\n", table.html())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_cycle_has_the_path_the_weights_and_the_units_of_each_layer() {
        let html = paths(&fixture::record(&fixture::l1_events(1)));
        assert_eq!(html.matches("<tr>").count(), 1 + 8, "a heading, and the cycles 0 to 7");
        assert!(html.contains("<th scope=\"row\">0</th><td>avx512</td><td>dense<small>54 / 54</small></td>"), "{html}");
        let pruned = "<td>sparse 5.00 %<small>2,400 / 48,000</small><small>108 of 120 units</small></td>";
        assert_eq!(html.matches(pruned).count(), 1, "fc1 at 95 %, without a tenth of its units: {html}");
    }

    #[test]
    fn what_did_not_happen_has_no_table() {
        let mut record = fixture::record(&fixture::dense_events(1));
        assert_eq!((densities(&record).as_str(), paths(&record).matches("<details>").count()), ("", 1));
        record.tests.iter_mut().for_each(|test| test.compiled = None);
        assert_eq!(paths(&record), "");
    }
}
