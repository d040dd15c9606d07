//! Draws one series: its band, the dots of its single seeds, its line, its markers, and what its points tell.

use super::surface::{Place, Stroke, Surface};
use super::{BACKGROUND, Frame, ink};
use crate::chart::{Line, Marker, Series};
use crate::clip::{clip, clip_area};

/// Of more points than these on a line, markers and tips keep a distance, in pixels: nobody could tell them apart.
const CROWD: usize = 40;
const MARKER_DISTANCE: f64 = 7.0;
const TIP_DISTANCE: f64 = 14.0;

/// The band: behind all lines.
pub(super) fn draw_band(surface: &mut dyn Surface, frame: &Frame<'_>, series: &Series) {
    let axis = &frame.panel.y;
    surface.owned_by(series.owner);
    for piece in &series.band {
        if let [(x, low, high)] = piece[..] {
            // An interval without a neighbour is a line.
            let (low, high) = (low.max(axis.min), high.min(axis.max));
            if low < high {
                let ends = [(frame.x(x), frame.y(low)), (frame.x(x), frame.y(high))];
                surface.path(&ends, Stroke { ink: ink(series.ink), opacity: 0.4, width: 3.0, dash: None });
            }
            continue;
        }
        let upper = piece.iter().map(|&(x, _, high)| (x, high));
        let lower = piece.iter().rev().map(|&(x, low, _)| (x, low));
        let area: Vec<_> = upper.chain(lower).collect();
        let area: Vec<_> =
            clip_area(&area, axis.min, axis.max).iter().map(|&(x, y)| (frame.x(x), frame.y(y))).collect();
        if area.len() > 2 {
            surface.polygon(&area, ink(series.ink), 0.13);
        }
    }
}

/// All but the band.
pub(super) fn draw_series(surface: &mut dyn Surface, frame: &Frame<'_>, series: &Series) {
    let axis = &frame.panel.y;
    surface.owned_by(series.owner);
    let shown = |y: f64| (axis.min..=axis.max).contains(&y);
    let pixels = |piece: &[(f64, f64)]| piece.iter().map(|&(x, y)| (frame.x(x), frame.y(y))).collect::<Vec<_>>();
    for piece in series.lines().into_iter().flat_map(|line| clip(line, axis.min, axis.max)) {
        draw_line(surface, series, &pixels(&piece));
    }
    for piece in series.bars.iter().flat_map(|bar| clip(bar, axis.min, axis.max)) {
        let stroke = Stroke { ink: ink(series.ink), opacity: 0.6, width: 1.5, dash: None };
        surface.path(&pixels(&piece), stroke);
    }
    if series.marker == Marker::Dot {
        let dots = series.points.iter().filter(|point| shown(point.1));
        let dots: Vec<_> = dots.map(|&(x, y)| (frame.x(x), frame.y(y))).collect();
        surface.dots(&dots, Stroke { ink: ink(series.ink), opacity: 0.5, width: 4.0, dash: None });
        return;
    }
    let (mut last_marker, mut last_tip) = (None, None);
    let crowded = series.points.len() > CROWD;
    let far = |last: &mut Option<Place>, place: Place, distance: f64| {
        let far = last.is_none_or(|last| !crowded || (last.0 - place.0).hypot(last.1 - place.1) >= distance);
        if far {
            *last = Some(place);
        }
        far
    };
    let first = frame.chart.panels.first().is_some_and(|panel| std::ptr::eq(panel, frame.panel));
    let axis_of_first = frame.chart.panels.first().map(|panel| &panel.y);
    // Where there are many, one panel tells of a point: the first that shows it, which is the closest look.
    let told = |y: f64| !crowded || first || !axis_of_first.is_some_and(|axis| (axis.min..=axis.max).contains(&y));
    // Discs are many, and together they are one element.
    let mut discs = Vec::new();
    for (index, &(x, y)) in series.points.iter().enumerate() {
        if shown(y) {
            let place = (frame.x(x), frame.y(y));
            if far(&mut last_marker, place, MARKER_DISTANCE) {
                let hollow = series.hollow.contains(&index);
                match if hollow { series.marker.hollow() } else { series.marker } {
                    Marker::Disc => discs.push(place),
                    marker => draw_marker(surface, series, place, marker),
                }
            }
            if let Some(tip) = series.tips.get(index).filter(|tip| !tip.is_empty() && told(y))
                && far(&mut last_tip, place, TIP_DISTANCE)
            {
                surface.tip(place, tip);
            }
        } else if y < axis.min && !series.faint && series.marker != Marker::None && series.marker != Marker::Halo {
            // Below the closer look: an arrow at its edge says that the point is further down.
            let (x, y) = (frame.x(x), frame.bottom - 2.0);
            surface.polygon(&[(x - 5.0, y - 8.0), (x + 5.0, y - 8.0), (x, y)], ink(series.ink), 1.0);
        }
    }
    surface.dots(&discs, Stroke { ink: ink(series.ink), opacity: 1.0, width: 10.0, dash: None });
}

pub(super) fn draw_line(surface: &mut dyn Surface, series: &Series, pixels: &[Place]) {
    let (opacity, width) = if series.faint { (0.5, 1.0) } else { (1.0, 2.0) };
    let dash = match series.line {
        Line::None => return,
        Line::Solid => None,
        Line::Dashed => Some((7.0, 5.0)),
        Line::Dotted => Some((2.0, 4.0)),
    };
    surface.path(pixels, Stroke { ink: ink(series.ink), opacity, width, dash });
}

pub(super) fn draw_marker(surface: &mut dyn Surface, series: &Series, (x, y): Place, marker: Marker) {
    let ink = ink(series.ink);
    let stroke = |opacity, width| Stroke { ink, opacity, width, dash: None };
    let triangle = |r: f64| [(x, y - r), (x + 0.87 * r, y + 0.5 * r), (x - 0.87 * r, y + 0.5 * r)];
    let square = |r: f64| [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)];
    match marker {
        Marker::None => {}
        Marker::Dot => surface.dots(&[(x, y)], stroke(0.5, 4.0)),
        Marker::Disc => surface.disc((x, y), 5.0, ink),
        Marker::Square => surface.polygon(&square(5.0), ink, 1.0),
        Marker::Triangle => surface.polygon(&triangle(7.0), ink, 1.0),
        Marker::Ring => {
            surface.disc((x, y), 4.0, BACKGROUND);
            surface.ring((x, y), 4.0, stroke(0.8, 1.5));
        }
        Marker::HollowSquare => {
            let [a, b, c, d] = square(4.5);
            surface.polygon(&[a, b, c, d], BACKGROUND, 1.0);
            surface.path(&[a, b, c, d, a], stroke(0.8, 1.5));
        }
        Marker::HollowTriangle => {
            let [a, b, c] = triangle(6.0);
            surface.polygon(&[a, b, c], BACKGROUND, 1.0);
            surface.path(&[a, b, c, a], stroke(0.8, 1.5));
        }
        Marker::Frame => {
            let [a, b, c, d] = square(8.5);
            surface.path(&[a, b, c, d, a], stroke(1.0, 1.5));
        }
        Marker::Halo => surface.ring((x, y), 9.0, stroke(0.9, 1.5)),
    }
}

/// How far from its middle a marker covers the picture.
pub(super) fn reach(marker: Marker) -> f64 {
    match marker {
        Marker::None => 0.0,
        Marker::Dot => 2.0,
        Marker::Disc | Marker::Square | Marker::Ring | Marker::HollowSquare => 5.5,
        Marker::Triangle | Marker::HollowTriangle => 7.0,
        Marker::Frame => 9.5,
        Marker::Halo => 10.0,
    }
}
