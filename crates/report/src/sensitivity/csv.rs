//! What each layer bears as CSV, one row a point.

use super::{LayerPoint, Sensitivity};
use crate::csv::{number, text};

const COLUMNS: &str = "run,checkpoint,model,dataset,seed,criterion,granularity,layer,weights,pruned_before,kind,sparsity,\
pruned,correct,total,accuracy,lost_points,loss";

/// One row a layer and sparsity, under a heading. Of the kind `grid` are those that were asked for; a layer's `within` is the
/// highest sparsity that loses no more than was allowed.
pub fn sensitivity_csv(found: &Sensitivity) -> String {
    let mut out = format!("{COLUMNS}\n");
    for layer in &found.layers {
        let grid = layer.points.iter().map(|point| ("grid", point));
        for (kind, LayerPoint { sparsity, pruned, score }) in grid.chain(layer.within.iter().map(|own| ("within", own)))
        {
            let cells = [
                text(&found.run),
                text(found.checkpoint.as_deref().unwrap_or("")),
                text(&found.model),
                text(&found.dataset),
                found.seed.to_string(),
                text(&found.criterion),
                text(&found.granularity),
                text(&layer.name),
                layer.weights.to_string(),
                layer.pruned.to_string(),
                kind.to_owned(),
                number(*sparsity),
                pruned.to_string(),
                score.correct.to_string(),
                score.total.to_string(),
                number(score.accuracy()),
                number(found.lost(score)),
                number(score.loss),
            ];
            out.push_str(&cells.join(","));
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn one_row_a_layer_and_sparsity() {
        let csv = sensitivity_csv(&example());
        let lines: Vec<_> = csv.lines().collect();
        assert_eq!(lines.len(), 1 + 3 + 1 + 2 + 1);
        let run = "example-1a2b3c4d-s1,,lenet k=1,mnist,1,l1,element";
        assert_eq!(lines[2], format!("{run},conv1.weight,54,0,grid,0.5,27,975,1000,0.975,0.5,0.5"));
        assert_eq!(lines[4], format!("{run},conv1.weight,54,0,within,0.623,34,972,1000,0.972,0.8,0.5"));
        assert_eq!(lines[6], format!("{run},fc1.weight,480,240,grid,0.9,432,981,1000,0.981,-0.1,0.5"));
        assert!(lines.iter().all(|line| line.split(',').count() == COLUMNS.split(',').count()));
    }
}
