//! What each layer bears, for a terminal: as tables, and as lines for the next config.

use std::fmt::Write;

use super::{LayerPoint, LayerSensitivity, Sensitivity, in_points};
use crate::event::Score;
use crate::number::{grouped, percent, short_percent};
use crate::table::align;

/// Two aligned tables, a row a layer and a column a sparsity: top-1, and the points that are lost.
pub fn sensitivity_table(found: &Sensitivity) -> String {
    let Sensitivity { run, model, dataset, seed, criterion, granularity, before, .. } = found;
    let state = found.checkpoint.as_deref().unwrap_or("final model");
    let mut out = format!(
        "{run}, {state}: {model} on {dataset}, seed {seed}\n\
         one layer pruned at a time, {criterion} by {granularity}, nothing retrained\n\
         as it was {} ({}/{}) on validation\n",
        percent(before.correct, before.total),
        before.correct,
        before.total
    );
    let accuracy = |score: &Score| format!("{:.2}", 100.0 * score.accuracy());
    block(&mut out, found, "top-1 on validation, in %", accuracy);
    block(&mut out, found, "points lost", |score| format!("{:.2}", found.lost(score)));
    if found.layers.iter().any(|layer| layer.pruned > 0) {
        out.push_str("\n-: less than was pruned before\n");
    }
    if found.layers.iter().any(|layer| !layer.coupled.is_empty()) {
        out.push_str("\nfilters that go together, since their outputs are added or belong to the same channels:\n");
    }
    for layer in found.layers.iter().filter(|layer| !layer.coupled.is_empty()) {
        let _ = writeln!(out, "{} with {}", layer.name, layer.coupled.join(", "));
    }
    out
}

fn block(out: &mut String, found: &Sensitivity, title: &str, show: impl Fn(&Score) -> String) {
    let pruned_before = found.layers.iter().any(|layer| layer.pruned > 0);
    let mut heading = vec![String::new(), "weights".to_owned()];
    heading.extend(pruned_before.then(|| "before".to_owned()));
    heading.extend(found.sparsities.iter().map(|sparsity| share(*sparsity)));
    heading.extend(found.within_points.map(|points| format!("within {points}")));
    let mut lines = vec![heading];
    for layer in &found.layers {
        let mut cells = vec![layer.name.clone(), grouped(layer.weights)];
        cells.extend(pruned_before.then(|| percent(layer.pruned, layer.weights)));
        let cell = |point: Option<&LayerPoint>| point.map_or("-".to_owned(), |point| show(&point.score));
        cells.extend(found.sparsities.iter().map(|sparsity| cell(layer.at(*sparsity))));
        let within = |_| layer.within.as_ref().map_or("-".to_owned(), |edge| share(edge.sparsity));
        cells.extend(found.within_points.map(within));
        lines.push(cells);
    }
    let _ = writeln!(out, "\n{title}");
    align(out, &lines, &[]);
}

fn share(sparsity: f64) -> String {
    format!("{} %", short_percent(sparsity))
}

/// What each layer bears as `layers = [..]`, to be pasted below `[prune]`; `None` where it was not asked, or no layer has
/// a weight left.
pub fn sensitivity_toml(found: &Sensitivity) -> Option<String> {
    let points = found.within_points?;
    let with_edge = |layer: &LayerSensitivity| Some((layer.name.clone(), layer.within?));
    let edges: Vec<(String, LayerPoint)> = found.layers.iter().filter_map(with_edge).collect();
    if edges.is_empty() {
        return None;
    }
    let together = found.together.map_or(String::new(), |own| format!(" and a schedule that ends at {own:?}"));
    let mut out = format!(
        "# To paste below [prune], with scope = \"layerwise\"{together}: pruned alone and not retrained,\n\
         # each loses at most {} on {} validation images. Pruned together they lose more; retraining brings much of it back.\n\
         layers = [\n",
        in_points(points),
        grouped(found.before.total)
    );
    for (name, LayerPoint { sparsity, score, .. }) in edges {
        let open = if found.sparsities.last() == Some(&sparsity) { ", the highest that was tried" } else { "" };
        let lost = found.lost(&score);
        // `{:?}`: a whole number keeps its point, as TOML wants of a float.
        let _ = writeln!(out, "    {{ pattern = \"{name}\", sparsity = {sparsity:?} }}, # loses {lost:.2}{open}");
    }
    out.push_str("]\n");
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    fn words(line: &str) -> String {
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn both_tables_have_a_row_a_layer() {
        let table = sensitivity_table(&example());
        let lines: Vec<String> = table.lines().map(words).collect();
        assert_eq!(lines[0], "example-1a2b3c4d-s1, final model: lenet k=1 on mnist, seed 1");
        assert_eq!(lines[2], "as it was 98.00 % (980/1000) on validation");
        assert_eq!(lines[5], "weights before 0 % 50 % 90 % within 1");
        assert_eq!(lines[6], "conv1.weight 54 0.00 % 98.00 97.50 61.00 62.3 %");
        assert_eq!(lines[7], "fc1.weight 480 50.00 % - 98.00 98.10 90 %");
        assert_eq!(lines[11], "conv1.weight 54 0.00 % 0.00 0.50 37.00 62.3 %");
        assert_eq!(lines[12], "fc1.weight 480 50.00 % - 0.00 -0.10 90 %");
        assert!(table.ends_with("less than was pruned before\n"));
        let mut coupled = example();
        coupled.layers[0].coupled = vec!["a.weight".into(), "b.weight".into()];
        let table = sensitivity_table(&coupled);
        assert!(table.ends_with("same channels:\nconv1.weight with a.weight, b.weight\n"), "{table}");
        let widths: Vec<_> = table.lines().skip(5).take(3).map(str::len).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "aligned:\n{table}");
    }

    #[test]
    fn a_network_that_was_not_pruned_has_no_column_of_it() {
        let mut found = example();
        found.layers.pop();
        let table = sensitivity_table(&found);
        assert!(!table.contains("before"), "{table}");
    }

    #[test]
    fn what_is_within_becomes_lines_of_a_config() {
        let fragment = sensitivity_toml(&example()).expect("asked");
        let lines: Vec<&str> = fragment.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "layers = [",
            "    { pattern = \"conv1.weight\", sparsity = 0.623 }, # loses 0.80",
            "    { pattern = \"fc1.weight\", sparsity = 0.9 }, # loses -0.10, the highest that was tried",
            "]",
        ];
        assert_eq!(lines, expected);
        assert!(fragment.contains("\"layerwise\" and a schedule that ends at 0.87: pruned alone"), "{fragment}");
        let whole = Sensitivity { layers: vec![], ..example() };
        assert_eq!(sensitivity_toml(&whole), None);
        assert_eq!(sensitivity_toml(&Sensitivity { within_points: None, ..example() }), None);
        let mut none = example();
        none.layers[0].within.as_mut().expect("found").sparsity = 0.0;
        assert!(sensitivity_toml(&none).expect("asked").contains("sparsity = 0.0 }"));
    }
}
