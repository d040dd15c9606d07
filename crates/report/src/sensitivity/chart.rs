//! One line a layer: top-1 of the whole network against the sparsity of that layer. Pure.

use super::{LayerPoint, LayerSensitivity, Sensitivity, in_points};
use crate::axis::{Axis, sparsity_position};
use crate::chart::{Chart, Ink, Line, Marker, Series, panels};
use crate::number::{grouped, short_percent};

/// The chart. Each line begins at the network as it was; where it was asked how much each layer bears, that point is framed.
pub fn sensitivity_chart(found: &Sensitivity) -> Chart {
    let before = 100.0 * found.before.accuracy();
    let lines: Vec<Series> = found.layers.iter().enumerate().map(|(index, layer)| line(layer, index, before)).collect();
    let points = || lines.iter().flat_map(|line| &line.points);
    let right = points().map(|point| point.0).fold(0.0, f64::max);
    let best = points().map(|point| point.1).fold(before, f64::max);
    let x = Axis {
        label: "sparsity of the one layer that is pruned (density on a log scale)".to_owned(),
        ..Axis::sparsity(right)
    };
    let (classes, chance) = (found.classes, 100.0 / found.classes as f64);
    let mut series = lines.clone();
    if let Some(points) = found.within_points {
        let framed = found.layers.iter().filter_map(|layer| layer.within.as_ref().map(place));
        series.push(Series {
            label: format!("framed: the highest sparsity within {}", in_points(points)),
            ink: Ink::Text,
            line: Line::None,
            marker: Marker::Frame,
            points: framed.collect(),
            ..Series::default()
        });
    }
    series.push(Series::level(&x, format!("as it was: {before:.2} %"), Ink::Text, Line::Dashed, before));
    series.push(Series::level(
        &x,
        format!("chance: {} %, one of {classes} classes", short_percent(1.0 / classes as f64)),
        Ink::Muted,
        Line::Dotted,
        chance,
    ));
    Chart {
        title: "Top-1 accuracy with one layer pruned, nothing retrained".to_owned(),
        subtitle: format!(
            "{} on {}, {} by {}, {} validation images, {}",
            found.model,
            found.dataset,
            found.criterion,
            found.granularity,
            grouped(found.before.total),
            found.run
        ),
        x,
        y_label: "top-1 accuracy on validation".to_owned(),
        panels: panels(Some(best)),
        series,
        marks: Vec::new(),
        labels: Vec::new(),
    }
}

fn line(layer: &LayerSensitivity, index: usize, before: f64) -> Series {
    let mut points: Vec<_> = layer.points.iter().chain(&layer.within).map(place).collect();
    // A layer without a weight has no place on the axis, and nothing was asked of it.
    if layer.pruned < layer.weights {
        points.push((sparsity_position(layer.sparsity()), before));
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points.dedup();
    let already = match layer.pruned {
        0 => String::new(),
        _ => format!(", {} % pruned before", short_percent(layer.sparsity())),
    };
    // Colours repeat after the sixth.
    let (line, marker) =
        if (index / 6).is_multiple_of(2) { (Line::Solid, Marker::Disc) } else { (Line::Dashed, Marker::Triangle) };
    Series {
        label: format!("{} ({} weights{already})", layer.name, grouped(layer.weights)),
        ink: Ink::Colour(index),
        line,
        marker,
        points,
        ..Series::default()
    }
}

fn place(point: &LayerPoint) -> (f64, f64) {
    (sparsity_position(point.sparsity), 100.0 * point.score.accuracy())
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn lines_begin_at_the_network_as_it_was_and_hold_what_was_found() {
        let chart = sensitivity_chart(&example());
        let looks: Vec<_> = chart.series.iter().map(|s| (s.label.as_str(), s.line, s.points.len())).collect();
        let expected = [
            ("conv1.weight (54 weights)", Line::Solid, 4),
            ("fc1.weight (480 weights, 50 % pruned before)", Line::Solid, 2),
            ("framed: the highest sparsity within 1 point", Line::None, 2),
            ("as it was: 98.00 %", Line::Dashed, 2),
            ("chance: 10 %, one of 10 classes", Line::Dotted, 2),
        ];
        assert_eq!(looks, expected);
        let of_conv: Vec<_> = chart.series[0].points.iter().map(|point| point.1).collect();
        assert_eq!(of_conv, [98.0, 97.5, 97.2, 61.0]);
        assert!(chart.series[0].points.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(chart.series[0].points[0].0, 0.0);
        assert!((chart.series[1].points[0].0 - 2f64.log10()).abs() < 1e-12, "half of it was gone before");
        assert!(
            chart.series[2].points.iter().all(|edge| chart.series[..2].iter().any(|line| line.points.contains(edge)))
        );
        assert_eq!((chart.panels[0].y.min, chart.panels[0].y.max), (94.0, 99.0));
    }

    #[test]
    fn an_emptied_layer_has_no_place_on_the_axis() {
        let mut found = example();
        found.layers[1] = LayerSensitivity { pruned: 480, points: vec![], within: None, ..found.layers[1].clone() };
        let chart = sensitivity_chart(&found);
        assert!(chart.series[1].points.is_empty());
        assert!(chart.x.max < 1.1, "{}", chart.x.max);
    }
}
