//! Draws lines, shapes and words at fractional places, scaled, on a plotters area: the one place that speaks plotters.

use plotters::coord::Shift;
use plotters::element::{Circle, PathElement, Polygon, Text};
use plotters::prelude::{Color, DrawingArea, DrawingBackend, IntoFont};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontTransform, ShapeStyle, TextStyle};

use super::{CENTER, colour};

/// The family under which the compiled-in font is registered; in an SVG, the reader's own font of that kind.
pub(crate) const FONT: &str = "sans-serif";

/// A reader's own font may be this much wider than the compiled-in one.
const FONT_SPREAD: f64 = 1.12;

type Place = (f64, f64);

pub(super) struct Pen<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    scale: f64,
    drop: f64,
}

impl<'a, DB: DrawingBackend> Pen<'a, DB> {
    /// Text is moved down by `drop` times its size: backends disagree on where its middle is.
    pub(super) fn new(area: &'a DrawingArea<DB, Shift>, scale: u32, drop: f64) -> Self {
        Self { area, scale: f64::from(scale), drop }
    }

    pub(super) fn path(&self, points: &[Place], ink: u32, opacity: f64, width: f64) -> Result<(), String> {
        let style = self.stroke(ink, opacity, width);
        self.put(&PathElement::new(self.places(points), style))
    }

    pub(super) fn polygon(&self, points: &[Place], ink: u32) -> Result<(), String> {
        self.put(&Polygon::new(self.places(points), colour(ink).filled()))
    }

    pub(super) fn disc(&self, center: Place, radius: f64, ink: u32) -> Result<(), String> {
        self.put(&Circle::new(self.place(center), self.length(radius), colour(ink).filled()))
    }

    pub(super) fn ring(&self, center: Place, radius: f64, ink: u32, opacity: f64) -> Result<(), String> {
        self.put(&Circle::new(self.place(center), self.length(radius), self.stroke(ink, opacity, 1.0)))
    }

    pub(super) fn text(
        &self,
        text: &str,
        place: Place,
        size: f64,
        ink: u32,
        (h, v): (HPos, VPos),
    ) -> Result<(), String> {
        let place = (place.0, place.1 + self.drop * size);
        let ink = colour(ink);
        let style = TextStyle::from((FONT, size * self.scale).into_font()).color(&ink).pos(Pos::new(h, v));
        self.put(&Text::new(text.to_owned(), self.place(place), style))
    }

    /// Text that reads from below, around `place`.
    pub(super) fn upright(&self, text: &str, place: Place, size: f64, ink: u32) -> Result<(), String> {
        let place = (place.0 + self.drop * size, place.1);
        let font = (FONT, size * self.scale).into_font().transform(FontTransform::Rotate270);
        let ink = colour(ink);
        let style = TextStyle::from(font).color(&ink).pos(Pos::new(CENTER.0, CENTER.1));
        self.put(&Text::new(text.to_owned(), self.place(place), style))
    }

    /// Width of a text at scale 1, in the wider of the fonts that a reader may have.
    pub(super) fn width_of(&self, text: &str, size: f64) -> f64 {
        let width = (FONT, size).into_font().box_size(text).map_or(0, |(width, _)| width);
        f64::from(width) * FONT_SPREAD
    }

    /// The text, its middle left out where it is wider than `room`: the ends of a path tell runs apart.
    pub(super) fn fit(&self, text: &str, size: f64, room: f64) -> String {
        if self.width_of(text, size) <= room {
            return text.to_owned();
        }
        let chars: Vec<char> = text.chars().collect();
        let shorter = (4..chars.len()).rev().map(|kept| {
            let (head, tail) = (kept / 3, kept - kept / 3);
            let tail = &chars[chars.len() - tail..];
            chars[..head].iter().chain(&['.', '.', '.']).chain(tail).collect::<String>()
        });
        let mut fitting = shorter.skip_while(|text| self.width_of(text, size) > room);
        fitting.next().unwrap_or_else(|| "...".to_owned())
    }

    fn put<E>(&self, element: &E) -> Result<(), String>
    where
        for<'b> &'b E: plotters::element::PointCollection<'b, (i32, i32)>,
        E: plotters::element::Drawable<DB>,
    {
        self.area.draw(element).map_err(|error| error.to_string())
    }

    fn stroke(&self, ink: u32, opacity: f64, width: f64) -> ShapeStyle {
        ShapeStyle { color: colour(ink).mix(opacity), filled: false, stroke_width: (width * self.scale).round() as u32 }
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
