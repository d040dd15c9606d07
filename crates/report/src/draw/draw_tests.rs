//! What is drawn where, read from a surface that remembers.

use super::surface::Place;
use super::*;
use crate::axis::{Axis, compression_position, sparsity_position};
use crate::number::grouped;

/// Remembers what was drawn on it.
#[derive(Default)]
pub(super) struct Memory {
    /// Words, their place, size and alignment.
    pub(super) texts: Vec<(String, Place, f64, Align)>,
}

impl Surface for Memory {
    fn path(&mut self, _: &[Place], _: Stroke) {}
    fn segments(&mut self, _: &[[Place; 2]], _: Stroke) {}
    fn polygon(&mut self, _: &[Place], _: u32, _: f64) {}
    fn disc(&mut self, _: Place, _: f64, _: u32) {}
    fn ring(&mut self, _: Place, _: f64, _: Stroke) {}
    fn dots(&mut self, _: &[Place], _: Stroke) {}
    fn text(&mut self, text: &str, place: Place, size: f64, _: u32, align: Align) {
        self.texts.push((text.to_owned(), place, size, align));
    }
    fn upright(&mut self, _: &str, _: Place, _: f64, _: u32) {}
    fn owned_by(&mut self, _: Option<usize>) {}
    fn tip(&mut self, _: Place, _: &str) {}
}

pub(super) fn drawn(chart: &Chart, layout: Layout) -> Memory {
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
