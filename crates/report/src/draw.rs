//! Draws a [`Chart`] on any plotters backend: panels above each other, then the axis they share, then the legend below,
//! where it covers no data.

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingBackend, RGBColor};
use plotters::style::text_anchor::{HPos, VPos};

use crate::chart::{Chart, Ink, Line, Marker, Panel, Series};
use crate::clip::{clip, dashes};

mod labels;
mod pen;

pub(crate) use pen::FONT;
use pen::Pen;

/// Colours of six runs that people with any colour vision tell apart (Okabe and Ito).
const COLOURS: [u32; 6] = [0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0xE69F00, 0x56B4E9];
const BACKGROUND: u32 = 0xFFFFFF;
const TEXT: u32 = 0x24292F;
const MUTED: u32 = 0x767E87;
const GRID: u32 = 0xE4E7EB;

/// The shape of a chart's picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// 960 pixels wide, for a page or a slide.
    Wide,
    /// 400 pixels wide, for a phone.
    Narrow,
}

struct Sizes {
    width: f64,
    left: f64,
    right: f64,
    head: f64,
    panels: f64,
    columns: usize,
    /// Size of the tick labels below, and of the name beside the panels.
    small: f64,
}

/// Between two panels, with the title of the lower one.
const GAP: f64 = 38.0;
/// Below the panels: tick labels and the axis' name.
const FOOT: f64 = 58.0;
const LEGEND_ROW: f64 = 22.0;
const TEXT_SIZE: f64 = 16.0;

impl Layout {
    fn sizes(self) -> Sizes {
        match self {
            Self::Wide => {
                Sizes { width: 960.0, left: 84.0, right: 28.0, head: 88.0, panels: 520.0, columns: 2, small: 16.0 }
            }
            Self::Narrow => {
                Sizes { width: 400.0, left: 70.0, right: 16.0, head: 84.0, panels: 430.0, columns: 1, small: 13.5 }
            }
        }
    }

    /// Width and height of the chart's picture, in CSS pixels.
    pub fn size(self, chart: &Chart) -> (u32, u32) {
        let sizes = self.sizes();
        let rows = legend(chart).count().div_ceil(sizes.columns);
        let height = sizes.head + sizes.panels + FOOT + LEGEND_ROW * rows as f64 + 16.0;
        (sizes.width as u32, height as u32)
    }
}

/// The part of the picture that a panel covers, and its axes.
struct Frame<'a> {
    chart: &'a Chart,
    panel: &'a Panel,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Frame<'_> {
    fn x(&self, at: f64) -> f64 {
        let axis = &self.chart.x;
        self.left + (at - axis.min) / (axis.max - axis.min) * (self.right - self.left)
    }

    fn y(&self, at: f64) -> f64 {
        let axis = &self.panel.y;
        self.bottom - (at - axis.min) / (axis.max - axis.min) * (self.bottom - self.top)
    }
}

/// Draws `chart` with every length times `scale`, on an area of [`Layout::size`] times `scale` pixels, and text moved
/// down by `text_drop` times its size.
///
/// # Errors
/// What the backend says.
pub(crate) fn draw<DB: DrawingBackend>(
    chart: &Chart,
    layout: Layout,
    area: &DrawingArea<DB, Shift>,
    scale: u32,
    text_drop: f64,
) -> Result<(), String> {
    let pen = Pen::new(area, scale, text_drop);
    let sizes = layout.sizes();
    area.fill(&colour(BACKGROUND)).map_err(|error| error.to_string())?;
    let width = sizes.width - sizes.left - sizes.right;
    pen.text(&pen.fit(&chart.title, 23.0, sizes.width - 24.0), (sizes.left.min(24.0), 22.0), 23.0, TEXT, LEFT)?;
    pen.text(
        &pen.fit(&chart.subtitle, TEXT_SIZE, sizes.width - 24.0),
        (sizes.left.min(24.0), 46.0),
        TEXT_SIZE,
        MUTED,
        LEFT,
    )?;

    let weights: f64 = chart.panels.iter().map(|panel| panel.weight).sum();
    let share = (sizes.panels - GAP * chart.panels.len().saturating_sub(1) as f64) / weights;
    let mut top = sizes.head;
    for panel in &chart.panels {
        let bottom = top + share * panel.weight;
        let frame = Frame { chart, panel, left: sizes.left, right: sizes.left + width, top, bottom };
        draw_panel(&pen, &frame)?;
        top = bottom + GAP;
    }
    let bottom = sizes.head + sizes.panels;
    if let Some(panel) = chart.panels.last() {
        let frame = Frame { chart, panel, left: sizes.left, right: sizes.left + width, top: bottom, bottom };
        draw_x_axis(&pen, &frame, &sizes)?;
    }
    pen.upright(&chart.y_label, (0.9 * sizes.small, sizes.head + sizes.panels / 2.0), sizes.small, TEXT)?;

    let column = (sizes.width - 2.0 * 20.0) / sizes.columns as f64;
    for (index, series) in legend(chart).enumerate() {
        let (row, place) = (index / sizes.columns, index % sizes.columns);
        let at = (20.0 + column * place as f64, bottom + FOOT + LEGEND_ROW * row as f64 + 12.0);
        draw_legend_entry(&pen, series, at, column)?;
    }
    area.present().map_err(|error| error.to_string())
}

const LEFT: (HPos, VPos) = (HPos::Left, VPos::Center);
const CENTER: (HPos, VPos) = (HPos::Center, VPos::Center);
const RIGHT: (HPos, VPos) = (HPos::Right, VPos::Center);

fn draw_panel<DB: DrawingBackend>(pen: &Pen<'_, DB>, frame: &Frame<'_>) -> Result<(), String> {
    let Frame { chart, panel, left, right, top, bottom } = frame;
    pen.text(&panel.title, (*left, top - 13.0), 15.0, MUTED, LEFT)?;
    for tick in &panel.y.ticks {
        let y = frame.y(tick.at);
        pen.path(&[(*left, y), (*right, y)], GRID, 1.0, 1.0)?;
        pen.text(&tick.label, (left - 8.0, y), TEXT_SIZE, TEXT, RIGHT)?;
    }
    for tick in &chart.x.ticks {
        let x = frame.x(tick.at);
        pen.path(&[(x, *top), (x, *bottom)], GRID, 1.0, 1.0)?;
    }
    for mark in &chart.marks {
        let x = frame.x(*mark);
        pen.path(&[(x, *top), (x, *bottom)], MUTED, 0.6, 1.0)?;
    }
    pen.path(&[(*left, *bottom), (*right, *bottom)], MUTED, 1.0, 1.0)?;
    // The most important series comes first and is drawn last, on top.
    for series in chart.series.iter().rev() {
        draw_series(pen, frame, series)?;
    }
    labels::draw_labels(pen, frame)
}

fn draw_series<DB: DrawingBackend>(pen: &Pen<'_, DB>, frame: &Frame<'_>, series: &Series) -> Result<(), String> {
    let axis = &frame.panel.y;
    for piece in clip(&series.points, axis.min, axis.max) {
        let pixels: Vec<_> = piece.iter().map(|&(x, y)| (frame.x(x), frame.y(y))).collect();
        draw_line(pen, series, &pixels)?;
    }
    for &(x, y) in &series.points {
        if (axis.min..=axis.max).contains(&y) {
            draw_marker(pen, series, (frame.x(x), frame.y(y)))?;
        } else if y < axis.min && !series.faint && series.marker != Marker::None {
            // Below the closer look: an arrow at its edge says that the point is further down.
            let (x, y) = (frame.x(x), frame.bottom - 2.0);
            pen.polygon(&[(x - 5.0, y - 8.0), (x + 5.0, y - 8.0), (x, y)], ink(series.ink))?;
        }
    }
    Ok(())
}

fn draw_line<DB: DrawingBackend>(pen: &Pen<'_, DB>, series: &Series, pixels: &[(f64, f64)]) -> Result<(), String> {
    let (opacity, width) = if series.faint { (0.5, 1.0) } else { (1.0, 2.0) };
    let ink = ink(series.ink);
    match series.line {
        Line::None => Ok(()),
        Line::Solid => pen.path(pixels, ink, opacity, width),
        Line::Dashed => dashes(pixels, 7.0, 5.0).iter().try_for_each(|dash| pen.path(dash, ink, opacity, width)),
        Line::Dotted => dashes(pixels, 2.0, 4.0).iter().try_for_each(|dash| pen.path(dash, ink, opacity, width)),
    }
}

fn draw_marker<DB: DrawingBackend>(pen: &Pen<'_, DB>, series: &Series, (x, y): (f64, f64)) -> Result<(), String> {
    let ink = ink(series.ink);
    let triangle = |r: f64| [(x, y - r), (x + 0.87 * r, y + 0.5 * r), (x - 0.87 * r, y + 0.5 * r)];
    match series.marker {
        Marker::None => Ok(()),
        Marker::Disc => pen.disc((x, y), 5.0, ink),
        Marker::Square => {
            pen.polygon(&[(x - 5.0, y - 5.0), (x + 5.0, y - 5.0), (x + 5.0, y + 5.0), (x - 5.0, y + 5.0)], ink)
        }
        Marker::Triangle => pen.polygon(&triangle(7.0), ink),
        Marker::Ring => pen.disc((x, y), 4.0, BACKGROUND).and_then(|()| pen.ring((x, y), 4.0, ink, 0.7)),
        Marker::HollowTriangle => {
            let [a, b, c] = triangle(6.0);
            pen.polygon(&[a, b, c], BACKGROUND).and_then(|()| pen.path(&[a, b, c, a], ink, 0.7, 1.0))
        }
        Marker::Frame => {
            let (left, right, top, bottom) = (x - 8.5, x + 8.5, y - 8.5, y + 8.5);
            pen.path(&[(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], ink, 1.0, 1.5)
        }
    }
}

fn draw_x_axis<DB: DrawingBackend>(pen: &Pen<'_, DB>, frame: &Frame<'_>, sizes: &Sizes) -> Result<(), String> {
    let Sizes { width, small, .. } = *sizes;
    let mut free = f64::NEG_INFINITY;
    for tick in &frame.chart.x.ticks {
        let (x, half) = (frame.x(tick.at), pen.width_of(&tick.label, small) / 2.0);
        pen.path(&[(x, frame.bottom), (x, frame.bottom + 5.0)], MUTED, 1.0, 1.0)?;
        // A label that would touch the one before it is left out; its tick and grid line stay.
        if x - half > free && x + half < width {
            pen.text(&tick.label, (x, frame.bottom + 15.0), small, TEXT, CENTER)?;
            free = x + half + 2.0;
        }
    }
    let label = &frame.chart.x.label;
    let room = width - 16.0;
    let size = TEXT_SIZE * (room / pen.width_of(label, TEXT_SIZE)).min(1.0);
    let middle = ((frame.left + frame.right) / 2.0).min(width - 8.0 - pen.width_of(label, size) / 2.0);
    pen.text(label, (middle, frame.bottom + 38.0), size, TEXT, CENTER)
}

fn draw_legend_entry<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    series: &Series,
    (x, y): (f64, f64),
    width: f64,
) -> Result<(), String> {
    draw_line(pen, series, &[(x, y), (x + 36.0, y)])?;
    if series.line == Line::None && series.marker == Marker::None {
        pen.path(&[(x + 18.0, y - 8.0), (x + 18.0, y + 8.0)], ink(series.ink), 0.6, 1.0)?;
    }
    draw_marker(pen, series, (x + 18.0, y))?;
    pen.text(&pen.fit(&series.label, TEXT_SIZE, width - 56.0), (x + 44.0, y), TEXT_SIZE, TEXT, LEFT)
}

fn legend(chart: &Chart) -> impl Iterator<Item = &Series> {
    chart.series.iter().filter(|series| !series.label.is_empty())
}

fn ink(ink: Ink) -> u32 {
    match ink {
        Ink::Text => TEXT,
        Ink::Muted => MUTED,
        Ink::Colour(index) => COLOURS[index % COLOURS.len()],
    }
}

fn colour(hex: u32) -> RGBColor {
    let [_, red, green, blue] = hex.to_be_bytes();
    RGBColor(red, green, blue)
}
