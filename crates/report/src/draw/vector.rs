//! An SVG, written as it is drawn. Places keep one decimal; what belongs to a series stands in a group of its class, so
//! that a page can hide it; points that say something carry it as a title, which every browser shows.

use std::fmt::Write;

use super::BACKGROUND;
use super::surface::{Align, Place, Stroke, Surface};
use super::words::FONT;

/// How far from a point a reader's pointer still means it.
const REACH: f64 = 8.0;
/// From the middle line of a text to its letters' feet, in parts of its size.
const FEET: f64 = 0.35;

/// The text of an SVG, without its end.
pub(crate) struct Vector {
    out: String,
    owner: Option<usize>,
    /// What a reader can point at; comes last, on top of all else.
    tips: String,
}

impl Vector {
    pub(crate) fn new((width, height): (u32, u32)) -> Self {
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{FONT}\">\n"
        );
        let _ = writeln!(out, "<rect width=\"{width}\" height=\"{height}\" fill=\"#{BACKGROUND:06X}\"/>");
        Self { out, owner: None, tips: String::new() }
    }

    pub(crate) fn finish(mut self) -> String {
        self.owned_by(None);
        if !self.tips.is_empty() {
            self.out += "<g fill=\"none\" pointer-events=\"all\">\n";
            self.out += &self.tips;
            self.out += "</g>\n";
        }
        self.out + "</svg>\n"
    }

    fn stroked(&mut self, shape: &str, Stroke { ink, opacity, width, dash }: Stroke) {
        let _ = write!(self.out, "<{shape} fill=\"none\" stroke=\"#{ink:06X}\" stroke-width=\"{}\"", number(width));
        if opacity < 1.0 {
            let _ = write!(self.out, " stroke-opacity=\"{opacity}\"");
        }
        if let Some((on, off)) = dash {
            let _ = write!(self.out, " stroke-dasharray=\"{} {}\"", number(on), number(off));
        }
        self.out.push_str("/>\n");
    }
}

impl Surface for Vector {
    fn path(&mut self, points: &[Place], stroke: Stroke) {
        if points.len() > 1 {
            let shape = format!("path d=\"{}\"", lines(points));
            self.stroked(&shape, stroke);
        }
    }

    fn segments(&mut self, segments: &[[Place; 2]], stroke: Stroke) {
        if !segments.is_empty() {
            let shape: String = segments.iter().map(|segment| lines(segment)).collect();
            self.stroked(&format!("path d=\"{shape}\""), stroke);
        }
    }

    fn polygon(&mut self, points: &[Place], ink: u32, opacity: f64) {
        let opacity = if opacity < 1.0 { format!(" fill-opacity=\"{opacity}\"") } else { String::new() };
        let _ = writeln!(self.out, "<path d=\"{}Z\" fill=\"#{ink:06X}\"{opacity}/>", lines(points));
    }

    fn disc(&mut self, (x, y): Place, radius: f64, ink: u32) {
        let [x, y, r] = [x, y, radius].map(number);
        let _ = writeln!(self.out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" fill=\"#{ink:06X}\"/>");
    }

    fn ring(&mut self, (x, y): Place, radius: f64, stroke: Stroke) {
        let [x, y, r] = [x, y, radius].map(number);
        self.stroked(&format!("circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\""), stroke);
    }

    fn dots(&mut self, centers: &[Place], stroke: Stroke) {
        if centers.is_empty() {
            return;
        }
        // A line without length and with round ends is a disc; all of them are one element.
        let mut shape = "path stroke-linecap=\"round\" d=\"".to_owned();
        for &(x, y) in centers {
            let _ = write!(shape, "M{} {}h0", number(x), number(y));
        }
        shape.push('"');
        self.stroked(&shape, stroke);
    }

    fn text(&mut self, text: &str, (x, y): Place, size: f64, ink: u32, align: Align) {
        let anchor = match align {
            Align::Left => "",
            Align::Center => " text-anchor=\"middle\"",
            Align::Right => " text-anchor=\"end\"",
        };
        let [x, y, size] = [x, y + FEET * size, size].map(number);
        let text = escape(text);
        let _ = writeln!(
            self.out,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{anchor} fill=\"#{ink:06X}\">{text}</text>"
        );
    }

    fn upright(&mut self, text: &str, (x, y): Place, size: f64, ink: u32) {
        let [x, y, size] = [x + FEET * size, y, size].map(number);
        let text = escape(text);
        let _ = writeln!(
            self.out,
            "<text transform=\"translate({x} {y}) rotate(-90)\" font-size=\"{size}\" text-anchor=\"middle\" \
             fill=\"#{ink:06X}\">{text}</text>"
        );
    }

    fn owned_by(&mut self, owner: Option<usize>) {
        if self.owner == owner {
            return;
        }
        if self.owner.is_some() {
            self.out.push_str("</g>\n");
        }
        if let Some(owner) = owner {
            let _ = writeln!(self.out, "<g class=\"s{owner}\">");
        }
        self.owner = owner;
    }

    fn tip(&mut self, (x, y): Place, text: &str) {
        let class = self.owner.map_or("tip".to_owned(), |owner| format!("tip s{owner}"));
        let [x, y, r] = [x, y, REACH].map(number);
        let _ = writeln!(
            self.tips,
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{r}\"><title>{}</title></circle>",
            escape(text)
        );
    }
}

/// `M1 2L3.5 4H9`. A point on the straight line between its neighbours, level or upright, says nothing and is left out.
fn lines(points: &[Place]) -> String {
    let tenths = |&(x, y): &Place| ((10.0 * x).round() as i64, (10.0 * y).round() as i64);
    let mut corners: Vec<(i64, i64)> = Vec::with_capacity(points.len());
    for point in points.iter().map(tenths) {
        if let [.., before, last] = corners[..] {
            let level = before.1 == last.1 && last.1 == point.1 && (before.0 <= last.0) == (last.0 <= point.0);
            let upright = before.0 == last.0 && last.0 == point.0 && (before.1 <= last.1) == (last.1 <= point.1);
            if level || upright {
                corners.pop();
            }
        }
        corners.push(point);
    }
    let mut out = String::with_capacity(corners.len() * 12);
    let mut before = None;
    for (x, y) in corners {
        let number = |tenths: i64| number(tenths as f64 / 10.0);
        let _ = match before {
            None => write!(out, "M{} {}", number(x), number(y)),
            Some((_, last)) if last == y => write!(out, "H{}", number(x)),
            Some((last, _)) if last == x => write!(out, "V{}", number(y)),
            Some(_) => write!(out, "L{} {}", number(x), number(y)),
        };
        before = Some((x, y));
    }
    out
}

/// One decimal, and none where it is 0.
fn number(value: f64) -> String {
    let tenths = (10.0 * value).round() as i64;
    if tenths % 10 == 0 { (tenths / 10).to_string() } else { (tenths as f64 / 10.0).to_string() }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_shortly() {
        for (points, expected) in [
            (vec![(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (2.0, 3.0), (2.0, 1.0), (0.5, 0.5)], "M0 0H2V3V1L0.5 0.5"),
            (vec![(1.0, 1.0), (1.04, 1.0), (2.0, 2.0)], "M1 1H1L2 2"),
            (vec![(0.0, 0.0), (2.0, 0.0), (1.0, 0.0)], "M0 0H2H1"),
        ] {
            assert_eq!(lines(&points), expected);
        }
    }

    #[test]
    fn what_is_owned_is_one_group_and_tips_stand_on_top() {
        let mut vector = Vector::new((10, 20));
        let stroke = Stroke { ink: 0x0072B2, opacity: 0.5, width: 1.25, dash: None };
        vector.owned_by(Some(3));
        vector.tip((1.0, 2.0), "a < b");
        vector.path(&[(0.0, 0.04), (1.25, 2.0)], stroke);
        vector.owned_by(Some(3));
        vector.dots(&[(1.0, 1.0), (2.0, 2.5)], stroke);
        vector.owned_by(None);
        vector.path(&[(0.0, 0.0), (9.0, 0.0)], Stroke { opacity: 1.0, dash: Some((7.0, 5.0)), ..stroke });
        vector.text("<x>", (5.0, 6.5), 10.0, 0, Align::Right);
        let svg = vector.finish();
        let lines: Vec<_> = svg.lines().collect();
        assert!(lines[0].starts_with("<svg") && lines[0].contains("viewBox=\"0 0 10 20\""), "{svg}");
        assert_eq!(lines[2], "<g class=\"s3\">");
        let drawn = "d=\"M0 0L1.3 2\" fill=\"none\" stroke=\"#0072B2\" stroke-width=\"1.3\" stroke-opacity=\"0.5\"/>";
        assert!(lines[3].ends_with(drawn), "{svg}");
        assert!(lines[4].contains("d=\"M1 1h0M2 2.5h0\""), "{svg}");
        assert_eq!(lines[5], "</g>");
        let text = "<text x=\"5\" y=\"10\" font-size=\"10\" text-anchor=\"end\" fill=\"#000000\">&lt;x&gt;</text>";
        assert!(lines[6].ends_with("stroke-width=\"1.3\" stroke-dasharray=\"7 5\"/>"), "{svg}");
        assert_eq!(lines[7], text);
        assert_eq!(lines[8], "<g fill=\"none\" pointer-events=\"all\">");
        assert_eq!(lines[9], "<circle class=\"tip s3\" cx=\"1\" cy=\"2\" r=\"8\"><title>a &lt; b</title></circle>");
        assert_eq!(lines[10..], ["</g>", "</svg>"]);
    }
}
