//! Puts names beside points, where they cover no marker, no other name and as few lines as there is a place for.

use super::mark::reach;
use super::surface::{Align, Place, Stroke, Surface};
use super::words::width_of;
use super::{Frame, TEXT, THIN};
use crate::chart::{Line, Marker, Panel, Series};
use crate::clip::clip;

pub(super) const SIZE: f64 = 14.0;
/// From a point to the middle of a name above or below it, and to the end of one beside it.
const AWAY: f64 = 18.0;
/// What is further away, step by step.
const FURTHER: [f64; 4] = [0.0, 12.0, 24.0, 38.0];

/// A part of the picture: left, top, right, bottom.
type Area = [f64; 4];

pub(super) fn draw_labels(surface: &mut dyn Surface, frame: &Frame<'_>) {
    if frame.chart.labels.is_empty() {
        return;
    }
    let (mut taken, lines) = (markers(frame), lines(frame));
    for label in &frame.chart.labels {
        let shows = |panel: &&Panel| (panel.y.min..=panel.y.max).contains(&label.at.1);
        // Once is enough: in the first panel that has the point, which is the closest look at it.
        if !frame.chart.panels.iter().find(shows).is_some_and(|first| std::ptr::eq(first, frame.panel)) {
            continue;
        }
        let point = (frame.x(label.at.0), frame.y(label.at.1));
        let width = width_of(&label.text, SIZE);
        // Above the highest tick there is a little room; below the lowest there are the axis' labels.
        let inside = |[left, top, right, bottom]: &Area| {
            *left >= frame.left && *right <= frame.right && *top >= frame.top - 4.0 && *bottom <= frame.bottom
        };
        let cost = |area: &Area| {
            let covered = taken.iter().filter(|other| overlap(area, other)).count();
            (covered, lines.iter().filter(|line| crosses(area, line)).count())
        };
        let places = FURTHER.into_iter().flat_map(|further| {
            candidates(point, width, further).into_iter().map(move |(middle, area)| (further, middle, area))
        });
        // Of equals the first, which is the nearest.
        let Some((further, middle, area)) =
            places.filter(|(.., area)| inside(area)).min_by_key(|(.., area)| cost(area))
        else {
            continue;
        };
        if further > 0.0 {
            surface.path(&leader(point, &area), Stroke { opacity: 0.7, ..THIN });
        }
        surface.text(&label.text, middle, SIZE, TEXT, Align::Center);
        taken.push(area);
    }
}

/// Middles of a name around a point, the best first, and what each covers.
fn candidates((x, y): Place, width: f64, further: f64) -> [(Place, Area); 12] {
    let away = AWAY + further;
    let beside = away - 4.0 + width / 2.0;
    let aslant = AWAY - 8.0 + further + width / 2.0;
    let middles = [
        (x, y - away),
        (x, y + away),
        (x + beside, y),
        (x - beside, y),
        (x + beside, y - 0.7 * SIZE),
        (x - beside, y - 0.7 * SIZE),
        (x + beside, y + 0.7 * SIZE),
        (x - beside, y + 0.7 * SIZE),
        (x + aslant, y - away),
        (x - aslant, y - away),
        (x + aslant, y + away),
        (x - aslant, y + away),
    ];
    let half = (width / 2.0, SIZE / 2.0);
    middles.map(|(x, y)| ((x, y), [x - half.0, y - half.1, x + half.0, y + half.1]))
}

/// From the marker of a point to its name that is further away.
fn leader(point: Place, [left, top, right, bottom]: &Area) -> [Place; 2] {
    let end = (point.0.clamp(*left, *right), point.1.clamp(*top, *bottom));
    let (x, y) = (end.0 - point.0, end.1 - point.1);
    let share = (reach(Marker::Halo) / x.hypot(y).max(1.0)).min(1.0);
    [(point.0 + share * x, point.1 + share * y), end]
}

/// What markers cover in this panel.
fn markers(frame: &Frame<'_>) -> Vec<Area> {
    let axis = &frame.panel.y;
    let mut areas = Vec::new();
    for series in frame.shown().iter().filter(|series| series.marker != Marker::None) {
        let reach = reach(series.marker);
        for &(x, y) in &series.points {
            let (place, below) = ((frame.x(x), frame.y(y)), y < axis.min);
            if (axis.min..=axis.max).contains(&y) {
                areas.push([place.0 - reach, place.1 - reach, place.0 + reach, place.1 + reach]);
            } else if below && !series.faint && !matches!(series.marker, Marker::Dot | Marker::Halo) {
                // The arrow at the lower edge.
                areas.push([place.0 - 5.0, frame.bottom - 10.0, place.0 + 5.0, frame.bottom - 2.0]);
            }
        }
    }
    areas
}

/// The lines of this panel, each as its pieces.
fn lines(frame: &Frame<'_>) -> Vec<Vec<Vec<Place>>> {
    let axis = &frame.panel.y;
    let drawn = frame.shown().iter().filter(|series| series.line != Line::None);
    let pieces = drawn.flat_map(Series::lines).map(|line| clip(line, axis.min, axis.max));
    let pixels = |piece: Vec<Place>| piece.into_iter().map(|(x, y)| (frame.x(x), frame.y(y))).collect();
    pieces.map(|pieces| pieces.into_iter().map(pixels).collect()).collect()
}

fn overlap(a: &Area, b: &Area) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

/// Whether a line goes through an area.
fn crosses(area: &Area, line: &[Vec<Place>]) -> bool {
    line.iter().any(|piece| piece.windows(2).any(|pair| passes(area, pair[0], pair[1])))
}

/// Whether the straight way between two places goes through an area.
fn passes([left, top, right, bottom]: &Area, from: Place, to: Place) -> bool {
    // The part of the way that lies between the upright sides, then of that the part between the level ones.
    let part = |(first, last): (f64, f64), from: f64, to: f64, low: f64, high: f64| {
        let length = to - from;
        if length == 0.0 {
            return if (low..=high).contains(&from) { (first, last) } else { (1.0, 0.0) };
        }
        let (a, b) = ((low - from) / length, (high - from) / length);
        (first.max(a.min(b)), last.min(a.max(b)))
    };
    let way = part((0.0, 1.0), from.0, to.0, *left, *right);
    let (first, last) = part(way, from.1, to.1, *top, *bottom);
    first <= last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leaves_its_own_point_free() {
        for further in FURTHER {
            for (_, area) in candidates((100.0, 50.0), 60.0, further) {
                // With the largest marker.
                assert!(!overlap(&area, &[90.0, 40.0, 110.0, 60.0]), "{area:?}");
            }
        }
        assert!(overlap(&[0.0, 0.0, 2.0, 2.0], &[1.0, 1.0, 3.0, 3.0]));
        assert!(!overlap(&[0.0, 0.0, 2.0, 2.0], &[2.0, 0.0, 3.0, 3.0]), "areas that touch");
    }

    #[test]
    fn a_line_that_goes_through_is_seen_without_a_corner_inside() {
        let area = [10.0, 10.0, 20.0, 20.0];
        for (from, to, expected) in [
            ((0.0, 15.0), (30.0, 15.0), true),
            ((15.0, 0.0), (15.0, 30.0), true),
            ((0.0, 0.0), (30.0, 30.0), true),
            ((12.0, 12.0), (13.0, 13.0), true),
            ((0.0, 25.0), (30.0, 25.0), false),
            ((0.0, 15.0), (9.0, 15.0), false),
            ((0.0, 12.0), (12.0, 0.0), false),
        ] {
            assert_eq!(passes(&area, from, to), expected, "{from:?} {to:?}");
        }
        assert!(!crosses(&area, &[vec![(0.0, 15.0)]]) && !crosses(&area, &[]));
    }

    #[test]
    fn a_leader_goes_from_the_marker_to_the_name() {
        assert_eq!(leader((0.0, 0.0), &[-20.0, -40.0, 20.0, -30.0]), [(0.0, -10.0), (0.0, -30.0)]);
        assert_eq!(leader((0.0, 0.0), &[30.0, 40.0, 50.0, 50.0])[1], (30.0, 40.0));
    }
}
