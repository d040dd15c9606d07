//! What a chart is drawn on: lines, shapes and words at fractional places. The drawing knows no format; each format is one
//! implementation.

/// A place in CSS pixels from the upper left.
pub(crate) type Place = (f64, f64);

/// Which part of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Its beginning.
    Left,
    /// Its middle.
    Center,
    /// Its end.
    Right,
}

/// Colour, opacity and width of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stroke {
    pub(crate) ink: u32,
    pub(crate) opacity: f64,
    pub(crate) width: f64,
    /// Lengths of a dash and of the gap behind it; `None` for a whole line.
    pub(crate) dash: Option<(f64, f64)>,
}

/// A picture that grows. What a surface cannot do is told when the picture is taken from it.
pub(crate) trait Surface {
    /// A line through `points`.
    fn path(&mut self, points: &[Place], stroke: Stroke);
    /// Lines from here to there, each for itself.
    fn segments(&mut self, segments: &[[Place; 2]], stroke: Stroke);
    /// A filled shape.
    fn polygon(&mut self, points: &[Place], ink: u32, opacity: f64);
    /// A filled circle.
    fn disc(&mut self, center: Place, radius: f64, ink: u32);
    /// The line around a circle.
    fn ring(&mut self, center: Place, radius: f64, stroke: Stroke);
    /// Discs, `stroke.width` across.
    fn dots(&mut self, centers: &[Place], stroke: Stroke);
    /// Words whose middle line is at the height of `place`.
    fn text(&mut self, text: &str, place: Place, size: f64, ink: u32, align: Align);
    /// Words that read from below, around `place`.
    fn upright(&mut self, text: &str, place: Place, size: f64, ink: u32);
    /// What follows belongs to `owner`, and a reader may hide it. `None`: to the chart.
    fn owned_by(&mut self, owner: Option<usize>);
    /// What a reader is told who points at `place`. A surface that nobody points at leaves it out.
    fn tip(&mut self, place: Place, text: &str);
}
