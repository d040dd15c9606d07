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

/// Which of the texts around these middles are written beside each other in a picture of this width: none touches another
/// one. The first and the last stay as long as there is room for both, since they say how far the axis goes.
pub(super) fn apart(texts: &[(f64, &str)], size: f64, picture: f64) -> Vec<usize> {
    // Less than half a letter apart, two numbers read as one.
    let gap = 0.5 * size;
    let ends = |place: usize| {
        let (middle, text) = texts[place];
        let half = width_of(text, size) / 2.0;
        (middle - half, middle + half)
    };
    let follows = |left: usize, right: usize| ends(left).1 + gap <= ends(right).0;
    let mut inside = (0..texts.len()).filter(|&place| ends(place).0 >= 0.0 && ends(place).1 <= picture);
    let mut kept: Vec<usize> = inside.next().into_iter().collect();
    let mut last = None;
    for place in inside {
        last = Some(place);
        if kept.last().is_some_and(|&before| follows(before, place)) {
            kept.push(place);
        }
    }
    if let Some(last) = last.filter(|last| kept.last() != Some(last) && follows(kept[0], *last)) {
        while kept.last().is_some_and(|&before| !follows(before, last)) {
            kept.pop();
        }
        kept.push(last);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_stay_and_what_is_between_them_gives_way() {
        crate::render::load_font();
        let width = width_of("10,000", 16.0);
        let at = |distance: f64| [0, 1, 2, 3].map(|n| (100.0 + f64::from(n) * distance, "10,000"));
        assert_eq!(apart(&at(width + 8.1), 16.0, 900.0), [0, 1, 2, 3]);
        assert_eq!(apart(&at(width + 7.9), 16.0, 900.0), [0, 3], "the one before the last gives way to it");
        assert_eq!(apart(&at(width / 3.0), 16.0, 900.0), [0], "no room for both ends");
        assert_eq!(apart(&at(width + 8.1), 16.0, 100.0 + width), [0], "outside of the picture");
        assert_eq!(apart(&[], 16.0, 900.0), [0; 0]);
    }
}
