//! Pixels: the one place that speaks plotters' drawing.

use plotters::coord::Shift;
use plotters::element::{Circle, Drawable, PathElement, PointCollection, Polygon, Text};
use plotters::prelude::{Color, DrawingArea, DrawingBackend, IntoFont};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontTransform, RGBColor, ShapeStyle, TextStyle};

use super::BACKGROUND;
use super::surface::{Align, Place, Stroke, Surface};
use super::words::FONT;
use crate::clip::dashes;

/// plotters centres the line of a text on a bitmap, not its letters as an SVG does: so much of its size further down they
/// stand in the middle.
const DROP: f64 = 0.2;

/// The cosine of a turn, below which a line is cut there: a right angle, as of a square's outline, is joined.
const SHARP: f64 = -0.2;

/// Draws on a plotters area, every length times `scale`.
pub(crate) struct Pen<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    scale: f64,
    /// The first thing that the backend refused.
    fault: Option<String>,
}

impl<'a, DB: DrawingBackend> Pen<'a, DB> {
    pub(crate) fn new(area: &'a DrawingArea<DB, Shift>, scale: u32) -> Self {
        let mut pen = Self { area, scale: f64::from(scale), fault: None };
        pen.keep(area.fill(&colour(BACKGROUND)).map_err(|error| error.to_string()));
        pen
    }

    /// Ends the drawing.
    ///
    /// # Errors
    /// What the backend refused first.
    pub(crate) fn finish(mut self) -> Result<(), String> {
        self.keep(self.area.present().map_err(|error| error.to_string()));
        self.fault.map_or(Ok(()), Err)
    }

    fn put<E>(&mut self, element: &E)
    where
        for<'b> &'b E: PointCollection<'b, (i32, i32)>,
        E: Drawable<DB>,
    {
        self.keep(self.area.draw(element).map_err(|error| error.to_string()));
    }

    fn keep(&mut self, result: Result<(), String>) {
        self.fault = self.fault.take().or(result.err());
    }

    fn style(&self, stroke: Stroke) -> ShapeStyle {
        let Stroke { ink, opacity, width, .. } = stroke;
        ShapeStyle { color: colour(ink).mix(opacity), filled: false, stroke_width: (width * self.scale).round() as u32 }
    }

    /// A whole line. plotters joins two pieces where their edges meet, and where a line turns back on itself these meet far
    /// away: there it is cut, and a disc rounds the corner.
    fn line(&mut self, points: &[Place], stroke: Stroke) {
        let style = self.style(stroke);
        let pieces = without_sharp_turns(&self.places(points));
        for piece in &pieces {
            self.put(&PathElement::new(piece.clone(), style));
        }
        // What is translucent would be darker there.
        let radius = (style.stroke_width / 2) as i32;
        if stroke.opacity >= 1.0 && radius > 0 {
            for corner in pieces.iter().skip(1).filter_map(|piece| piece.first()) {
                self.put(&Circle::new(*corner, radius, style.filled()));
            }
        }
    }

    fn length(&self, length: f64) -> i32 {
        (length * self.scale).round() as i32
    }

    fn place(&self, (x, y): Place) -> (i32, i32) {
        (self.length(x), self.length(y))
    }

    fn places(&self, points: &[Place]) -> Vec<(i32, i32)> {
        points.iter().map(|&point| self.place(point)).collect()
    }
}

impl<DB: DrawingBackend> Surface for Pen<'_, DB> {
    fn path(&mut self, points: &[Place], stroke: Stroke) {
        match stroke.dash {
            None => self.line(points, stroke),
            Some((on, off)) => dashes(points, on, off).iter().for_each(|dash| self.line(dash, stroke)),
        }
    }

    fn segments(&mut self, segments: &[[Place; 2]], stroke: Stroke) {
        segments.iter().for_each(|segment| self.path(segment, stroke));
    }

    fn polygon(&mut self, points: &[Place], ink: u32, opacity: f64) {
        self.put(&Polygon::new(self.places(points), colour(ink).mix(opacity).filled()));
    }

    fn disc(&mut self, center: Place, radius: f64, ink: u32) {
        self.put(&Circle::new(self.place(center), self.length(radius), colour(ink).filled()));
    }

    fn ring(&mut self, center: Place, radius: f64, stroke: Stroke) {
        self.put(&Circle::new(self.place(center), self.length(radius), self.style(stroke)));
    }

    fn dots(&mut self, centers: &[Place], Stroke { ink, opacity, width, .. }: Stroke) {
        for &center in centers {
            let style = colour(ink).mix(opacity).filled();
            self.put(&Circle::new(self.place(center), self.length(width / 2.0), style));
        }
    }

    fn text(&mut self, text: &str, place: Place, size: f64, ink: u32, align: Align) {
        let place = (place.0, place.1 + DROP * size);
        let horizontal = match align {
            Align::Left => HPos::Left,
            Align::Center => HPos::Center,
            Align::Right => HPos::Right,
        };
        let ink = colour(ink);
        let style = TextStyle::from((FONT, size * self.scale).into_font()).color(&ink);
        let style = style.pos(Pos::new(horizontal, VPos::Center));
        self.put(&Text::new(text.to_owned(), self.place(place), style));
    }

    fn upright(&mut self, text: &str, place: Place, size: f64, ink: u32) {
        let place = (place.0 + DROP * size, place.1);
        let font = (FONT, size * self.scale).into_font().transform(FontTransform::Rotate270);
        let ink = colour(ink);
        let style = TextStyle::from(font).color(&ink).pos(Pos::new(HPos::Center, VPos::Center));
        self.put(&Text::new(text.to_owned(), self.place(place), style));
    }

    fn owned_by(&mut self, _owner: Option<usize>) {}

    fn tip(&mut self, _place: Place, _text: &str) {}
}

/// The line through `points` in pieces that begin anew where it turns by far more than a right angle.
fn without_sharp_turns(points: &[(i32, i32)]) -> Vec<Vec<(i32, i32)>> {
    let mut points = points.to_vec();
    points.dedup();
    let mut pieces: Vec<Vec<(i32, i32)>> = vec![Vec::new()];
    for (index, &point) in points.iter().enumerate() {
        let last = pieces.len() - 1;
        pieces[last].push(point);
        if let (Some(before), Some(&after)) = (index.checked_sub(1).map(|before| points[before]), points.get(index + 1))
        {
            let way = |from: (i32, i32), to: (i32, i32)| (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
            let ((ax, ay), (bx, by)) = (way(before, point), way(point, after));
            let cosine = (ax * bx + ay * by) / (ax.hypot(ay) * bx.hypot(by));
            if cosine < SHARP {
                pieces.push(vec![point]);
            }
        }
    }
    pieces
}

fn colour(hex: u32) -> RGBColor {
    let [_, red, green, blue] = hex.to_be_bytes();
    RGBColor(red, green, blue)
}
