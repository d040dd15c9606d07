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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::series::series;

    #[test]
    fn every_layer_has_a_line_of_means_and_one_that_is_gone_a_place() {
        let mut runs = [1, 2].map(|seed| fixture::input("a", fixture::record(&fixture::l1_events(seed))));
        runs[1].record.prunes[0].layers[0].kept = 0;
        for run in &mut runs {
            run.record.prunes[6].layers[2].kept = 0;
        }
        let all = series(&runs.iter().collect::<Vec<_>>(), 0);
        let chart = density_chart(&all[0]).expect("a chart");
        let names: Vec<_> = chart.series.iter().map(|s| (s.label.as_str(), s.points.len())).collect();
        assert_eq!(names[..2], [("conv1.weight", 7), ("conv2.weight", 7)]);
        // At 50 % conv1 keeps 40 of 54 weights, here with one seed none: 20 of 54.
        let (x, y) = chart.series[0].points[0];
        assert!((x - sparsity_position(0.5)).abs() < 1e-12 && (y - (20.0_f64 / 54.0).log10()).abs() < 1e-12, "{x} {y}");
        assert!(chart.series[0].tips[0].contains("20 of 54"), "{}", chart.series[0].tips[0]);
        assert_eq!(chart.series[2].points[6].1, -5.0);
        let dense = fixture::input("d", fixture::record(&fixture::dense_events(1)));
        assert_eq!(density_chart(&series(&[&dense], 0)[0]), None);
    }
}
