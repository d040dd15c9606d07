//! A chart before it is drawn: axes with their ticks, panels, series of numbers. Pure, so that what a picture shows can
//! be tested without looking at pixels.

use std::ops::Range;

use crate::axis::Axis;

/// A chart: panels above each other that share one horizontal axis and show the same series.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What is drawn.
    pub title: String,
    /// Of what.
    pub subtitle: String,
    /// The shared horizontal axis.
    pub x: Axis,
    /// Name and unit of the vertical axes.
    pub y_label: String,
    /// From the top down.
    pub panels: Vec<Panel>,
    /// What is drawn in every panel, the most important first.
    pub series: Vec<Series>,
    /// Places on the horizontal axis that get a thin vertical line; a series with neither line nor marker names them
    /// in the legend.
    pub marks: Vec<f64>,
    /// Names beside points, each in the first panel that shows its point.
    pub labels: Vec<Label>,
}

/// A name for one point.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The point, in the axes' numbers.
    pub at: (f64, f64),
    /// What stands beside it.
    pub text: String,
}

/// A part of the vertical range.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// What part it is.
    pub title: String,
    /// Its vertical axis.
    pub y: Axis,
    /// Its share of the height, beside the other panels' shares.
    pub weight: f64,
    /// Which of the chart's series it shows; `None` for all.
    pub shows: Option<Range<usize>>,
}

/// Points that belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend; not in the legend when empty.
    pub label: String,
    /// Its colour.
    pub ink: Ink,
    /// How its points are joined.
    pub line: Line,
    /// How its points are marked.
    pub marker: Marker,
    /// Whether it stands back behind the others.
    pub faint: bool,
    /// Places in the axes' numbers, in the order in which they are joined.
    pub points: Vec<(f64, f64)>,
    /// Indices of points that no line leads to from the point before.
    pub breaks: Vec<usize>,
    /// Lines from here to there that say how far a point may be off.
    pub bars: Vec<[(f64, f64); 2]>,
    /// Indices of points whose marker is hollow.
    pub hollow: Vec<usize>,
    /// Of each point what a reader is told who points at it; fewer than points where the rest tells nothing.
    pub tips: Vec<String>,
    /// Intervals at places, drawn as a band: place, lower end, upper end. Intervals of one piece are joined.
    pub band: Vec<Vec<(f64, f64, f64)>>,
    /// What a reader shows and hides together; `None` for what always shows.
    pub owner: Option<usize>,
}

impl Series {
    /// A line across the axis at this height, without markers.
    pub(crate) fn level(x: &Axis, label: String, ink: Ink, line: Line, height: f64) -> Self {
        let points = vec![(x.min, height), (x.max, height)];
        Self { label, ink, line, marker: Marker::None, points, ..Self::default() }
    }
}

impl Series {
    /// Its points in pieces, each joined to one line.
    pub(crate) fn lines(&self) -> Vec<&[(f64, f64)]> {
        let ends = self.breaks.iter().copied().chain([self.points.len()]);
        let mut from = 0;
        let piece = |to: usize| {
            let piece = self.points.get(from..to).unwrap_or_default();
            from = to.max(from);
            piece
        };
        ends.map(piece).filter(|piece| !piece.is_empty()).collect()
    }
}

/// A colour by its role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ink {
    /// As the text.
    #[default]
    Text,
    /// Between the text and the grid.
    Muted,
    /// A colour of its own; colours repeat after the sixth.
    Colour(usize),
}

/// How points are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Line {
    /// Not at all.
    #[default]
    None,
    /// A solid line.
    Solid,
    /// A dashed line.
    Dashed,
    /// A dotted line.
    Dotted,
}

/// How points are marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Marker {
    /// Not at all.
    #[default]
    None,
    /// A small, translucent disc: one of many.
    Dot,
    /// A filled circle.
    Disc,
    /// A filled square.
    Square,
    /// A filled triangle.
    Triangle,
    /// A hollow circle.
    Ring,
    /// A hollow square.
    HollowSquare,
    /// A hollow triangle.
    HollowTriangle,
    /// A hollow square around another series' marker.
    Frame,
    /// A circle around another series' marker.
    Halo,
}

impl Marker {
    /// The same shape, not filled.
    pub fn hollow(self) -> Self {
        match self {
            Self::Disc => Self::Ring,
            Self::Square => Self::HollowSquare,
            Self::Triangle => Self::HollowTriangle,
            other => other,
        }
    }
}

/// The whole range of a share, below the part of it that is worth a closer look: five points below `best`, in percent.
pub(crate) fn panels(best: Option<f64>) -> Vec<Panel> {
    let full = Panel {
        title: "full range, 0 to 100 %".to_owned(),
        y: Axis::percent(0.0, 100.0, 20.0),
        weight: 2.0,
        shows: None,
    };
    let Some(best) = best else { return vec![full] };
    let top = (best + 0.1).ceil().clamp(5.0, 100.0);
    let title = format!("closer look, {} to {top} %", top - 5.0);
    vec![Panel { title, y: Axis::percent(top - 5.0, top, 1.0), weight: 3.0, shows: None }, full]
}

/// The same for `accuracies`, in percent, that may differ by little: where three of four are at most about two points below
/// the best, the closer look is at those two.
pub(crate) fn panels_near(accuracies: &[f64]) -> Vec<Panel> {
    let best = accuracies.iter().copied().reduce(f64::max);
    let mut panels = panels(best);
    if let (Some(best), Some(closer)) = (best, panels.first_mut()) {
        let top = ((2.0 * (best + 0.1)).ceil() / 2.0).clamp(2.0, 100.0);
        let bottom = top - 2.0;
        let near = accuracies.iter().filter(|accuracy| **accuracy >= bottom).count();
        if 4 * near >= 3 * accuracies.len() {
            closer.title = format!("closer look, {bottom} to {top} %");
            closer.y = Axis::percent(bottom, top, 0.5);
        }
    }
    panels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closer_look_holds_the_best_and_stays_within_100() {
        for (best, bottom, top) in [(98.99, 95.0, 100.0), (100.0, 95.0, 100.0), (89.5, 85.0, 90.0), (1.0, 0.0, 5.0)] {
            let panels = panels(Some(best));
            assert_eq!((panels[0].y.min, panels[0].y.max), (bottom, top));
            assert_eq!((panels[1].y.min, panels[1].y.max), (0.0, 100.0));
        }
        assert_eq!(panels(None).len(), 1);
    }

    #[test]
    fn the_closer_look_is_closer_where_nearly_all_are_close() {
        let closer = |accuracies: &[f64]| {
            let panels = panels_near(accuracies);
            assert_eq!((panels.len(), panels[1].y.max), (2, 100.0));
            (panels[0].y.min, panels[0].y.max)
        };
        assert_eq!(closer(&[99.3, 98.7, 97.5, 11.0]), (97.5, 99.5));
        assert_eq!(closer(&[99.45, 98.7, 98.0]), (98.0, 100.0), "a tenth of a point above the best is in it, too");
        assert_eq!(closer(&[99.3, 98.7, 97.4, 11.0]), (95.0, 100.0), "two of four are far away");
        assert_eq!(closer(&[0.5]), (0.0, 2.0));
        assert_eq!(
            crate::axis::tests::labels(&panels_near(&[99.3])[0].y),
            ["97.5 %", "98 %", "98.5 %", "99 %", "99.5 %"]
        );
        assert_eq!(panels_near(&[]).len(), 1);
    }
}
