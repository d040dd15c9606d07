//! What is drawn where, read from a surface that remembers.

use super::surface::Place;
use super::*;
use crate::axis::{Axis, compression_position, sparsity_position};
use crate::chart::Label;
use crate::number::grouped;

/// Remembers what was drawn on it.
#[derive(Default)]
struct Memory {
    /// Words, their place, size and alignment.
    texts: Vec<(String, Place, f64, Align)>,
    /// Middles of shapes and how far they reach.
    markers: Vec<(f64, f64, f64)>,
}

impl Surface for Memory {
    fn path(&mut self, points: &[Place], _: Stroke) {
        // A line that comes back to where it began is a frame.
        if points.len() > 3 && points.first() == points.last() {
            self.polygon(points, 0, 1.0);
        }
    }
    fn segments(&mut self, _: &[[Place; 2]], _: Stroke) {}
    fn polygon(&mut self, points: &[Place], _: u32, _: f64) {
        let (low, high) = points.iter().fold((f64::MAX, f64::MIN), |ends, (x, _)| (ends.0.min(*x), ends.1.max(*x)));
        let (top, bottom) = points.iter().fold((f64::MAX, f64::MIN), |ends, (_, y)| (ends.0.min(*y), ends.1.max(*y)));
        self.markers.push(((low + high) / 2.0, (top + bottom) / 2.0, (high - low).min(bottom - top) / 2.0));
    }
    fn disc(&mut self, (x, y): Place, radius: f64, _: u32) {
        self.markers.push((x, y, radius));
    }
    fn ring(&mut self, (x, y): Place, radius: f64, _: Stroke) {
        self.markers.push((x, y, radius));
    }
    fn dots(&mut self, centers: &[Place], stroke: Stroke) {
        self.markers.extend(centers.iter().map(|&(x, y)| (x, y, stroke.width / 2.0)));
    }
    fn text(&mut self, text: &str, place: Place, size: f64, _: u32, align: Align) {
        self.texts.push((text.to_owned(), place, size, align));
    }
    fn upright(&mut self, _: &str, _: Place, _: f64, _: u32) {}
    fn owned_by(&mut self, _: Option<usize>) {}
    fn tip(&mut self, _: Place, _: &str) {}
}

fn drawn(chart: &Chart, layout: Layout) -> Memory {
    crate::render::load_font();
    let mut memory = Memory::default();
    draw(chart, layout, &mut memory);
    memory
}

fn chart(x: Axis) -> Chart {
    let text = || "words".to_owned();
    let panel = Panel { title: text(), y: Axis::percent(0.0, 100.0, 20.0), weight: 1.0, shows: None };
    Chart {
        title: text(),
        subtitle: text(),
        x,
        y_label: text(),
        panels: vec![panel],
        series: Vec::new(),
        marks: Vec::new(),
        labels: Vec::new(),
    }
}

#[test]
fn no_two_labels_of_an_axis_overlap_and_its_ends_are_written() {
    let logarithmic = |low, high| Axis::logarithmic("cost".to_owned(), low, high, |cost| grouped(cost.round() as u64));
    let sparsities =
        [0.0, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9999].map(sparsity_position).map(Axis::sparsity);
    let ratios = [1.0, 8.0, 40.0, 500.0, 1e6, 1e9].map(compression_position).map(Axis::compression);
    let steps = [9.0, 13_760.0, 29_000.0, 1e6, 5e9].map(Axis::steps);
    let costs = [(2.0, 2.0), (3.4, 4.8), (3.0, 6.1), (0.0, 9.0), (2.9, 5.9)].map(|(low, high)| logarithmic(low, high));
    for axis in sparsities.into_iter().chain(ratios).chain(steps).chain(costs) {
        for layout in [Layout::Wide, Layout::Narrow] {
            let chart = chart(axis.clone());
            let sizes = layout.sizes(&chart);
            let row = sizes.head + sizes.panels + 15.0;
            let memory = drawn(&chart, layout);
            let written: Vec<_> = memory.texts.iter().filter(|(_, place, ..)| place.1 == row).collect();
            let names: Vec<_> = written.iter().map(|(text, ..)| text.as_str()).collect();
            let ends = |(text, (x, _), size, _): &(String, Place, f64, Align)| {
                let half = width_of(text, *size) / 2.0;
                (x - half, x + half)
            };
            for pair in written.windows(2) {
                assert!(ends(pair[0]).1 + 0.4 * pair[0].2 < ends(pair[1]).0, "{layout:?}: {names:?}");
            }
            assert!(written.iter().all(|label| ends(label).0 >= 0.0 && ends(label).1 <= sizes.width), "{names:?}");
            // What the picture's edge would cut is not written.
            let fits = |label: &str, at: f64| {
                let x = sizes.left + (at - axis.min) / (axis.max - axis.min) * (sizes.width - sizes.left - sizes.right);
                x + width_of(label, sizes.small) / 2.0 <= sizes.width
            };
            let last = axis.ticks.iter().rfind(|tick| fits(&tick.label, tick.at)).expect("a label fits");
            assert_eq!((names[0], names[names.len() - 1]), (&*axis.ticks[0].label, &*last.label), "{layout:?}");
        }
    }
}

#[test]
fn a_name_covers_no_marker_and_no_other_name() {
    // A line with rings and a crowd of squares beside the named points, on all sides.
    let named = [(0.5, 98.0), (0.56, 98.0), (0.5, 99.9), (0.01, 50.0)];
    let crowd: Vec<_> = (0..40).map(|n| (0.1 + 0.02 * f64::from(n), 97.0 + 0.05 * f64::from(n))).collect();
    let of =
        |line, marker, points: &[(f64, f64)]| Series { line, marker, points: points.to_vec(), ..Series::default() };
    let mut chart = chart(Axis { label: "cost".to_owned(), min: 0.0, max: 1.0, ticks: Vec::new() });
    chart.panels = crate::chart::panels(Some(99.0));
    chart.series = vec![
        of(Line::Solid, Marker::Disc, &crowd),
        of(Line::Dashed, Marker::Triangle, &[(0.0, 98.3), (0.48, 98.2), (0.55, 97.6), (1.0, 97.5)]),
        of(Line::None, Marker::Frame, &named),
        of(Line::None, Marker::Halo, &named),
    ];
    chart.labels = named.iter().map(|&at| Label { at, text: "lenet k=1".to_owned() }).collect();
    for layout in [Layout::Wide, Layout::Narrow] {
        let memory = drawn(&chart, layout);
        let areas: Vec<_> = memory.texts.iter().filter(|(text, ..)| text == "lenet k=1").collect();
        assert_eq!(areas.len(), named.len(), "each once");
        let areas: Vec<_> = areas
            .into_iter()
            .map(|(text, (x, y), size, _)| (*x, *y, width_of(text, *size) / 2.0, size / 2.0))
            .collect();
        for (index, &(x, y, half, high)) in areas.iter().enumerate() {
            let apart = |&(of_x, of_y, reach, of_high): &(f64, f64, f64, f64)| {
                (x - of_x).abs() >= half + reach || (y - of_y).abs() >= high + of_high
            };
            assert!(areas[index + 1..].iter().all(apart), "{layout:?}: names on names {areas:?}");
            assert!(memory.markers.iter().all(|&(x, y, reach)| apart(&(x, y, reach, reach))), "{layout:?}: {x} {y}");
            let sizes = layout.sizes(&chart);
            assert!(x - half >= sizes.left && x + half <= sizes.width - sizes.right, "{layout:?}: inside the panel");
        }
    }
}

#[test]
fn a_name_goes_where_no_line_is() {
    let mut chart = chart(Axis { label: "cost".to_owned(), min: 0.0, max: 1.0, ticks: Vec::new() });
    let points = vec![(0.0, 54.0), (1.0, 54.0)];
    chart.series = vec![Series { line: Line::Solid, points, ..Series::default() }];
    chart.labels = vec![Label { at: (0.5, 50.0), text: "lenet k=1".to_owned() }];
    for layout in [Layout::Wide, Layout::Narrow] {
        let sizes = layout.sizes(&chart);
        let at = |height: f64| sizes.head + sizes.panels * (1.0 - height / 100.0);
        let memory = drawn(&chart, layout);
        let (_, (_, y), size, _) = memory.texts.iter().find(|(text, ..)| text == "lenet k=1").expect("written");
        assert!(y - size / 2.0 > at(54.0), "below the line that is above the point");
    }
}

#[test]
fn a_line_that_doubles_back_stays_where_it_is_in_pixels_too() {
    use crate::render::{PNG_SCALE, pixels};
    let empty = chart(Axis { label: String::new(), min: 0.0, max: 1.0, ticks: Vec::new() });
    // Back on itself exactly, nearly, within a pixel, and at the panel's edges.
    let ways: [&[(f64, f64)]; 4] = [
        &[(0.1, 50.0), (0.9, 50.2), (0.1, 50.4), (0.9, 50.4), (0.2, 50.4)],
        &[(0.6, 97.9), (0.3, 98.4), (0.605, 98.0), (0.2, 96.0), (0.21, 40.0), (0.2, 97.0)],
        &[(0.5, 50.0), (0.5006, 50.0), (0.4994, 50.2), (0.8, 50.0), (0.8001, 50.3), (0.8, 50.0)],
        &[(0.0, 0.0), (1.0, 1.0), (0.0, 1.5), (1.0, 100.0), (0.0, 99.5)],
    ];
    let scale = f64::from(PNG_SCALE);
    for layout in [Layout::Wide, Layout::Narrow] {
        let (sizes, width) = (layout.sizes(&empty), (layout.size(&empty).0 * PNG_SCALE) as usize);
        let frame = Frame {
            chart: &empty,
            panel: &empty.panels[0],
            left: sizes.left,
            right: sizes.width - sizes.right,
            top: sizes.head,
            bottom: sizes.head + sizes.panels,
        };
        let before = pixels(&empty, layout).expect("pixels");
        for (way, line) in ways.iter().flat_map(|way| [(way, Line::Solid), (way, Line::Dashed)]) {
            let series = Series { line, points: way.to_vec(), ..Series::default() };
            let after = pixels(&Chart { series: vec![series], ..empty.clone() }, layout).expect("pixels");
            let changed = after.chunks(3).zip(before.chunks(3)).enumerate().filter(|(_, (a, b))| a != b);
            let changed: Vec<_> =
                changed.map(|(place, _)| ((place % width) as f64 / scale, (place / width) as f64 / scale)).collect();
            let ends = |of: &dyn Fn(&(f64, f64)) -> f64| {
                way.iter().map(of).fold((f64::MAX, f64::MIN), |(low, high), at| (low.min(at), high.max(at)))
            };
            let ((left, right), (top, bottom)) = (ends(&|at| frame.x(at.0)), ends(&|at| frame.y(at.1)));
            // Half of the line's width, and as much for rounding.
            let within = |&&(x, y): &&(f64, f64)| {
                (left - 2.0..=right + 2.0).contains(&x) && (top - 2.0..=bottom + 2.0).contains(&y)
            };
            let stray: Vec<_> = changed.iter().filter(|place| !within(place)).take(5).collect();
            assert!(!changed.is_empty() && stray.is_empty(), "{layout:?} {line:?} {way:?}: {stray:?}");
        }
    }
}
