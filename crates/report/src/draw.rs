//! Draws a [`Chart`] on any surface: panels above each other, then the axis they share, then the legend below,
//! where it covers no data.

use crate::axis::Tick;
use crate::chart::{Chart, Ink, Line, Marker, Panel, Series};

mod labels;
mod mark;
mod pen;
mod surface;
mod vector;
mod words;

use mark::{draw_band, draw_line, draw_marker, draw_series};
pub(crate) use pen::Pen;
pub(crate) use surface::Surface;
use surface::{Align, Stroke};
pub(crate) use vector::Vector;
pub(crate) use words::FONT;
use words::{apart, fit, width_of};

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
    /// Size of the ticks' labels, and of the name beside the panels.
    small: f64,
}

/// Between two panels, with the title of the lower one.
const GAP: f64 = 38.0;
/// What a panel beyond the second adds to a picture.
const MORE: f64 = 130.0;
/// Below the panels: tick labels and the axis' name.
const FOOT: f64 = 58.0;
const LEGEND_ROW: f64 = 22.0;
const TEXT_SIZE: f64 = 16.0;

impl Layout {
    fn sizes(self, chart: &Chart) -> Sizes {
        let base = match self {
            Self::Wide => {
                Sizes { width: 960.0, left: 84.0, right: 28.0, head: 88.0, panels: 520.0, columns: 2, small: 16.0 }
            }
            Self::Narrow => {
                Sizes { width: 400.0, left: 70.0, right: 16.0, head: 84.0, panels: 430.0, columns: 1, small: 13.5 }
            }
        };
        // Two panels share the height; each further one brings its own.
        Sizes { panels: base.panels + MORE * chart.panels.len().saturating_sub(2) as f64, ..base }
    }

    /// Width and height of the chart's picture, in CSS pixels.
    pub fn size(self, chart: &Chart) -> (u32, u32) {
        let sizes = self.sizes(chart);
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

    /// The series that the panel shows.
    fn shown(&self) -> &[Series] {
        let all = &self.chart.series;
        self.panel.shows.clone().map_or(all, |range| all.get(range).unwrap_or_default())
    }

    fn y(&self, at: f64) -> f64 {
        let axis = &self.panel.y;
        self.bottom - (at - axis.min) / (axis.max - axis.min) * (self.bottom - self.top)
    }
}

/// Draws `chart`, [`Layout::size`] large.
pub(crate) fn draw(chart: &Chart, layout: Layout, surface: &mut dyn Surface) {
    let sizes = layout.sizes(chart);
    let width = sizes.width - sizes.left - sizes.right;
    let (margin, room) = (sizes.left.min(24.0), sizes.width - 24.0);
    surface.text(&fit(&chart.title, 23.0, room), (margin, 22.0), 23.0, TEXT, Align::Left);
    surface.text(&fit(&chart.subtitle, TEXT_SIZE, room), (margin, 46.0), TEXT_SIZE, MUTED, Align::Left);

    let weights: f64 = chart.panels.iter().map(|panel| panel.weight).sum();
    let share = (sizes.panels - GAP * chart.panels.len().saturating_sub(1) as f64) / weights;
    let mut top = sizes.head;
    for panel in &chart.panels {
        let bottom = top + share * panel.weight;
        let frame = Frame { chart, panel, left: sizes.left, right: sizes.left + width, top, bottom };
        draw_panel(surface, &frame, sizes.small);
        top = bottom + GAP;
    }
    let bottom = sizes.head + sizes.panels;
    if let Some(panel) = chart.panels.last() {
        let frame = Frame { chart, panel, left: sizes.left, right: sizes.left + width, top: bottom, bottom };
        draw_x_axis(surface, &frame, &sizes);
    }
    if !chart.y_label.is_empty() {
        surface.upright(&chart.y_label, (0.9 * sizes.small, sizes.head + sizes.panels / 2.0), sizes.small, TEXT);
    }

    let column = (sizes.width - 2.0 * 20.0) / sizes.columns as f64;
    for (index, series) in legend(chart).enumerate() {
        let (row, place) = (index / sizes.columns, index % sizes.columns);
        let at = (20.0 + column * place as f64, bottom + FOOT + LEGEND_ROW * row as f64 + 12.0);
        draw_legend_entry(surface, series, at, column);
    }
    surface.owned_by(None);
}

const THIN: Stroke = Stroke { ink: MUTED, opacity: 1.0, width: 1.0, dash: None };

fn draw_panel(surface: &mut dyn Surface, frame: &Frame<'_>, small: f64) {
    let Frame { chart, panel, left, right, top, bottom } = frame;
    let grid = Stroke { ink: GRID, ..THIN };
    surface.text(&panel.title, (*left, top - 13.0), 15.0, MUTED, Align::Left);
    let levels: Vec<_> = panel.y.ticks.iter().map(|tick| frame.y(tick.at)).collect();
    let level = levels.iter().map(|&y| [(*left, y), (*right, y)]);
    let upright = |at: f64| [(frame.x(at), *top), (frame.x(at), *bottom)];
    let lines: Vec<_> = level.chain(chart.x.ticks.iter().map(|tick| upright(tick.at))).collect();
    surface.segments(&lines, grid);
    for (tick, y) in panel.y.ticks.iter().zip(levels) {
        surface.text(&tick.label, (left - 8.0, y), small, TEXT, Align::Right);
    }
    let marks: Vec<_> = chart.marks.iter().map(|&mark| upright(mark)).collect();
    surface.segments(&marks, Stroke { opacity: 0.6, ..THIN });
    surface.path(&[(*left, *bottom), (*right, *bottom)], THIN);
    for series in frame.shown() {
        draw_band(surface, frame, series);
    }
    // The most important series comes first and is drawn last, on top.
    for series in frame.shown().iter().rev() {
        draw_series(surface, frame, series);
    }
    surface.owned_by(None);
    labels::draw_labels(surface, frame);
}

fn draw_x_axis(surface: &mut dyn Surface, frame: &Frame<'_>, sizes: &Sizes) {
    let Sizes { width, small, .. } = *sizes;
    let foot = |tick: &Tick| [(frame.x(tick.at), frame.bottom), (frame.x(tick.at), frame.bottom + 5.0)];
    surface.segments(&frame.chart.x.ticks.iter().map(foot).collect::<Vec<_>>(), THIN);
    let middles: Vec<_> = frame.chart.x.ticks.iter().map(|tick| (frame.x(tick.at), tick.label.as_str())).collect();
    for place in apart(&middles, small, width) {
        let (x, label) = middles[place];
        surface.text(label, (x, frame.bottom + 15.0), small, TEXT, Align::Center);
    }
    let label = &frame.chart.x.label;
    let room = width - 16.0;
    let size = TEXT_SIZE * (room / width_of(label, TEXT_SIZE)).min(1.0);
    let middle = ((frame.left + frame.right) / 2.0).min(width - 8.0 - width_of(label, size) / 2.0);
    surface.text(label, (middle, frame.bottom + 38.0), size, TEXT, Align::Center);
}

fn draw_legend_entry(surface: &mut dyn Surface, series: &Series, (x, y): (f64, f64), width: f64) {
    surface.owned_by(series.owner);
    if !series.band.is_empty() {
        surface.polygon(&[(x, y - 7.0), (x + 36.0, y - 7.0), (x + 36.0, y + 7.0), (x, y + 7.0)], ink(series.ink), 0.16);
    }
    draw_line(surface, series, &[(x, y), (x + 36.0, y)]);
    if series.line == Line::None && series.marker == Marker::None && series.band.is_empty() {
        surface
            .path(&[(x + 18.0, y - 8.0), (x + 18.0, y + 8.0)], Stroke { ink: ink(series.ink), opacity: 0.6, ..THIN });
    }
    draw_marker(surface, series, (x + 18.0, y), series.marker);
    surface.text(&fit(&series.label, TEXT_SIZE, width - 56.0), (x + 44.0, y), TEXT_SIZE, TEXT, Align::Left);
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

#[cfg(test)]
#[path = "draw/draw_tests.rs"]
mod tests;
