//! How wide words are, measured in the compiled-in font, and words cut to fit.

use plotters::prelude::IntoFont;

/// The family under which the compiled-in font is registered; in an SVG, the reader's own font of that kind.
pub(crate) const FONT: &str = "sans-serif";

/// A reader's own font may be this much wider than the compiled-in one.
const FONT_SPREAD: f64 = 1.12;

/// Width of a text at scale 1, in the wider of the fonts that a reader may have.
pub(super) fn width_of(text: &str, size: f64) -> f64 {
    let width = (FONT, size).into_font().box_size(text).map_or(0, |(width, _)| width);
    f64::from(width) * FONT_SPREAD
}

/// The text, its middle left out where it is wider than `room`: the ends of a path tell runs apart.
pub(super) fn fit(text: &str, size: f64, room: f64) -> String {
    let width = width_of(text, size);
    if width <= room {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    // Letters are about as wide as each other: what surely fits is not far below this.
    let most = ((chars.len() as f64 * room / width) as usize + 4).min(chars.len());
    let shorter = (4..most).rev().map(|kept| {
        let (head, tail) = (kept / 3, kept - kept / 3);
        let tail = &chars[chars.len() - tail..];
        chars[..head].iter().chain(&['.', '.', '.']).chain(tail).collect::<String>()
    });
    let mut fitting = shorter.skip_while(|text| width_of(text, size) > room);
    fitting.next().unwrap_or_else(|| "...".to_owned())
}
