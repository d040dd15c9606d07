//! Batch normalisation behind a pruned layer: its running mean and variance follow what the layer gives now.

use crate::Error;
use crate::values::Source;
use secateur_graph::{Graph, Op, Role, Value, Weights};
use secateur_sparse::infer::Options;

/// Moves the running means and variances of a normalisation by what pruning did to those of the value before it, over some images.
///
/// # Errors
/// When the engine cannot compute the value.
pub(crate) fn follow(
    graph: &Graph,
    [dense, weights]: [&Weights; 2],
    norm: usize,
    images: &[f32],
    options: &Options,
) -> Result<Vec<(String, Vec<f32>)>, Error> {
    let node = &graph.nodes()[norm];
    let Op::BatchNorm(own) = &node.op else { return Ok(vec![]) };
    let before = statistics(graph, dense, node.inputs[0], images, options)?;
    let after = statistics(graph, weights, node.inputs[0], images, options)?;
    let of = |role: Role| format!("{}.{}", node.name, role.field());
    let (mean, variance) = (of(Role::Mean), of(Role::Variance));
    let pairs = || before.iter().zip(&after);
    let moved =
        |(own, (before, after)): (&f32, (&[f64; 2], &[f64; 2]))| (f64::from(*own) + after[0] - before[0]) as f32;
    let scaled = |(value, (before, after)): (&f32, (&[f64; 2], &[f64; 2]))| {
        let found = (f64::from(*value) * after[1] / before[1]) as f32;
        // A channel that does not vary any more, or never did, stays as it is.
        if before[1] > 0.0 && after[1] > 0.0 && own.takes_variance(found) { found } else { *value }
    };
    let means = dense.get(&mean).iter().zip(pairs()).map(moved).collect();
    let variances = dense.get(&variance).iter().zip(pairs()).map(scaled).collect();
    Ok(vec![(mean, means), (variance, variances)])
}

/// By channel the mean and the variance of a value.
fn statistics(
    graph: &Graph,
    weights: &Weights,
    value: Value,
    images: &[f32],
    options: &Options,
) -> Result<Vec<[f64; 2]>, Error> {
    let channels = graph.shape(value)[0];
    let area: usize = graph.shape(value)[1..].iter().product();
    let pixels: usize = graph.shape(graph.input()).iter().product();
    let mut source = Source::new(graph, weights, value, options)?;
    let mut sums = vec![[0.0; 2]; channels];
    for images in images.chunks(source.images() * pixels) {
        for (place, plane) in source.values(images).chunks_exact(area).enumerate() {
            for value in plane {
                let value = f64::from(*value);
                sums[place % channels][0] += value;
                sums[place % channels][1] += value * value;
            }
        }
    }
    let count = (images.len() / pixels * area).max(1) as f64;
    Ok(sums
        .into_iter()
        .map(|[sum, squares]| [sum / count, (squares / count - (sum / count).powi(2)).max(0.0)])
        .collect())
}
