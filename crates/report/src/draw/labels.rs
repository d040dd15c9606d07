//! Puts names beside points, where they cover no point, no line and no other name as long as there is such a place.

use super::surface::{Align, Surface};
use super::words::width_of;
use super::{Frame, TEXT};
use crate::chart::{Line, Marker, Panel};
use crate::clip::clip;

const SIZE: f64 = 14.0;
/// From a point to the middle of a name above or below it, and to the end of one beside it.
const AWAY: f64 = 18.0;

/// A part of the picture: left, top, right, bottom.
type Area = [f64; 4];

pub(super) fn draw_labels(surface: &mut dyn Surface, frame: &Frame<'_>) {
    if frame.chart.labels.is_empty() {
        return;
    }
    let mut taken = drawn(frame);
    for label in &frame.chart.labels {
        let shows = |panel: &&Panel| (panel.y.min..=panel.y.max).contains(&label.at.1);
        // Once is enough: in the first panel that has the point, which is the closest look at it.
        if !frame.chart.panels.iter().find(shows).is_some_and(|first| std::ptr::eq(first, frame.panel)) {
            continue;
        }
        let (x, y) = (frame.x(label.at.0), frame.y(label.at.1));
        let width = width_of(&label.text, SIZE);
        let places = candidates(x, y, width).into_iter();
        // Above the highest tick there is a little room; below the lowest there are the axis' labels.
        let inside = |[left, top, right, bottom]: &Area| {
            *left >= frame.left && *right <= frame.right && *top >= frame.top - 4.0 && *bottom <= frame.bottom
        };
        let inside: Vec<_> = places.filter(|(_, area)| inside(area)).collect();
        let free = inside.iter().find(|(_, area)| !taken.iter().any(|other| overlap(area, other)));
        let Some(&(middle, area)) = free.or(inside.first()) else { continue };
        surface.text(&label.text, middle, SIZE, TEXT, Align::Center);
        taken.push(area);
    }
}

/// Middles of a name around a point, the best first, and what each covers.
fn candidates(x: f64, y: f64, width: f64) -> [((f64, f64), Area); 8] {
    let beside = AWAY - 4.0 + width / 2.0;
    let aslant = AWAY - 8.0 + width / 2.0;
    let middles = [
        (x, y - AWAY),
        (x, y + AWAY),
        (x + beside, y),
        (x - beside, y),
        (x + aslant, y - AWAY),
        (x - aslant, y - AWAY),
        (x + aslant, y + AWAY),
        (x - aslant, y + AWAY),
    ];
    let half = (width / 2.0, SIZE / 2.0);
    middles.map(|(x, y)| ((x, y), [x - half.0, y - half.1, x + half.0, y + half.1]))
}

/// What markers and lines cover in this panel.
fn drawn(frame: &Frame<'_>) -> Vec<Area> {
    let axis = &frame.panel.y;
    let around = |(x, y): (f64, f64), reach: f64| [x - reach, y - reach, x + reach, y + reach];
    let mut areas = Vec::new();
    for series in frame.shown() {
        if series.marker != Marker::None {
            let shown = series.points.iter().filter(|point| (axis.min..=axis.max).contains(&point.1));
            areas.extend(shown.map(|&(x, y)| around((frame.x(x), frame.y(y)), 7.0)));
        }
        if series.line == Line::None {
            continue;
        }
        for piece in clip(&series.points, axis.min, axis.max) {
            for pair in piece.windows(2) {
                let [from, to] = [pair[0], pair[1]].map(|(x, y)| (frame.x(x), frame.y(y)));
                let steps = ((to.0 - from.0).hypot(to.1 - from.1) / 6.0).ceil().max(1.0) as u32;
                areas.extend((0..=steps).map(|step| {
                    let share = f64::from(step) / f64::from(steps);
                    around((from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1)), 2.0)
                }));
            }
        }
    }
    areas
}

fn overlap(a: &Area, b: &Area) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leaves_its_own_point_free() {
        for (_, area) in candidates(100.0, 50.0, 60.0) {
            assert!(!overlap(&area, &[93.0, 43.0, 107.0, 57.0]), "{area:?}");
        }
        assert!(overlap(&[0.0, 0.0, 2.0, 2.0], &[1.0, 1.0, 3.0, 3.0]));
        assert!(!overlap(&[0.0, 0.0, 2.0, 2.0], &[2.0, 0.0, 3.0, 3.0]), "areas that touch");
    }
}
