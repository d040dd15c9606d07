//! What a series keeps of each layer, against the sparsity of the whole. Pure.

use crate::axis::{Axis, sparsity_position};
use crate::chart::{Chart, Ink, Line, Marker, Panel, Series};
use crate::lines::legend_label;
use crate::number::{grouped, short_percent};
use crate::series::{Pool, RunSeries};

/// What of a layer is drawn at least: a layer that is gone has no place on a logarithmic scale.
const LEAST: f64 = 1e-5;

/// The chart; `None` for a series that has not pruned.
pub(crate) fn density_chart(series: &RunSeries<'_>) -> Option<Chart> {
    let mut names: Vec<&str> = Vec::new();
    for pool in &series.pools {
        let layers = pool.samples.iter().filter_map(|sample| sample.point.pruned).flat_map(|pruned| &pruned.layers);
        for layer in layers {
            if !names.contains(&layer.name.as_str()) {
                names.push(&layer.name);
            }
        }
    }
    let lines: Vec<_> = names.iter().enumerate().map(|(index, name)| line(series, index, name)).collect();
    let points = || lines.iter().flat_map(|line| &line.points);
    let low = points().map(|point| point.1).reduce(f64::min)?;
    let right = points().map(|point| point.0).fold(0.0, f64::max);
    let y = Axis::logarithmic(String::new(), low, 0.0, |density| format!("{} %", short_percent(density)));
    Some(Chart {
        title: "What is left of each layer".to_owned(),
        subtitle: legend_label(series, true),
        x: Axis::sparsity(right),
        y_label: "share of the parameters kept (log scale)".to_owned(),
        panels: vec![Panel { title: String::new(), y, weight: 1.0, shows: None }],
        series: lines,
        marks: Vec::new(),
        labels: Vec::new(),
    })
}

fn line(series: &RunSeries<'_>, index: usize, name: &str) -> Series {
    // Colours repeat after the sixth.
    let (line, marker) =
        if (index / 6).is_multiple_of(2) { (Line::Solid, Marker::Disc) } else { (Line::Dashed, Marker::Triangle) };
    let mut drawn = Series { label: name.to_owned(), ink: Ink::Colour(index), line, marker, ..Series::default() };
    for pool in &series.pools {
        let Some((sparsity, density, kept, total)) = mean(pool, name) else { continue };
        drawn.points.push((sparsity_position(sparsity), density.max(LEAST).log10()));
        let (kept, total) = (grouped(kept.round() as u64), grouped(total));
        let target = series.unit.words(pool.target);
        drawn.tips.push(format!("{name}\ntarget {target}: {} % kept\n{kept} of {total}", short_percent(density)));
    }
    drawn
}

/// Of one layer at one target: sparsity of the whole, share kept, and how many of how many; means over the seeds.
fn mean(pool: &Pool<'_>, name: &str) -> Option<(f64, f64, f64, u64)> {
    let layer = |sample: &crate::series::Sample<'_>| {
        sample.point.pruned?.layers.iter().find(|layer| layer.name == name && layer.total > 0).cloned()
    };
    let total = pool.samples.iter().find_map(layer)?.total;
    let kept = pool.spread(|sample| Some(layer(sample)?.kept as f64))?.mean;
    Some((pool.sparsity()?, kept / total as f64, kept, total))
}
