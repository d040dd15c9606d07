//! The pictures of a model: histograms as SVG, filters and mistakes as small images, the confusion matrix as a table whose
//! cells are shaded. Colours that a dark screen turns are named in `style.css`; the shades let the page's ground through.

use super::{Answers, Filters, Histogram, LayerWeights, Mistake, Moment};
use crate::number::{fraction, grouped, percent};
use crate::page::html::{Table, escape};

/// Width of a bin and height of the bars, in units of the picture.
const BIN: usize = 6;
const HEIGHT: f64 = 60.0;

/// A row of histograms a layer.
pub(super) fn weights(layers: &[LayerWeights]) -> String {
    let mut out = String::from("<h4>Weights of each layer</h4>\n");
    for layer in layers {
        // Where the weights began is drawn into what became of them.
        let start = layer.moments.iter().find(|(moment, _)| *moment == Moment::Start).map(|(_, own)| own.bound());
        let name = escape(&layer.name);
        out.push_str("<div class=\"moments\">\n");
        for (moment, own) in &layer.moments {
            let live = match moment {
                Moment::End => {
                    let all = fraction(layer.kept, layer.total);
                    format!("{} kept, {all}", percent(layer.kept, layer.total))
                }
                _ => format!("{} weights", grouped(own.total())),
            };
            let band = start.filter(|_| *moment != Moment::Start);
            let picture = histogram(own, band, &format!("{} {}: {live}", layer.name, moment.words()));
            out.push_str(&format!(
                "<figure><figcaption><b>{name}</b> {}<small>{live}</small></figcaption>{picture}</figure>\n",
                moment.words()
            ));
        }
        out.push_str("</div>\n");
    }
    out.push_str(
        "<p class=\"note\">Each histogram has its own axes: as wide as its largest weight, as high as its fullest bin. The \
         grey band is where all of the layer's weights lay before training. Pruned weights are not counted.</p>\n",
    );
    out
}

fn histogram(own: &Histogram, band: Option<f32>, label: &str) -> String {
    let width = BIN * own.counts().len();
    let middle = width as f64 / 2.0;
    let mut out =
        format!("<svg viewBox=\"0 0 {width} {}\" role=\"img\" aria-label=\"{}\">", HEIGHT + 16.0, escape(label));
    let most = own.counts().iter().copied().max().unwrap_or(0);
    if most == 0 {
        out.push_str(&format!("<text x=\"{middle}\" y=\"36\" text-anchor=\"middle\">no weight is left</text></svg>"));
        return out;
    }
    if let Some(band) = band.filter(|band| *band > 0.0 && own.bound() > 0.0) {
        let half = (middle * f64::from(band) / f64::from(own.bound())).min(middle);
        out.push_str(&format!(
            "<rect class=\"band\" x=\"{:.1}\" y=\"0\" width=\"{:.1}\" height=\"{HEIGHT}\"/>",
            middle - half,
            2.0 * half
        ));
    }
    let mut path = String::new();
    for (bin, count) in own.counts().iter().enumerate().filter(|(_, count)| **count > 0) {
        // A bin with one weight in it is not an empty one: half a unit shows at any size.
        let height = (HEIGHT * *count as f64 / most as f64).max(0.5);
        path.push_str(&format!("M{} {HEIGHT}v-{height:.1}h{}v{height:.1}z", BIN * bin, BIN - 1));
    }
    out.push_str(&format!("<path class=\"bars\" d=\"{path}\"/><path class=\"axis\" d=\"M0 {HEIGHT}h{width}\"/>"));
    let y = HEIGHT + 13.0;
    let bound = number(own.bound());
    out.push_str(&format!(
        "<text x=\"0\" y=\"{y}\">-{bound}</text><text x=\"{middle}\" y=\"{y}\" text-anchor=\"middle\">0</text>\
         <text x=\"{width}\" y=\"{y}\" text-anchor=\"end\">{bound}</text></svg>"
    ));
    if own.outside() > 0 {
        out.push_str(&format!("<small><mark>{} are no finite numbers</mark></small>", grouped(own.outside())));
    }
    out
}

/// A size with three digits that say something.
fn number(value: f32) -> String {
    match value {
        v if v >= 1000.0 || (v > 0.0 && v < 0.001) => format!("{v:.1e}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

/// The first layer's filters beside each other.
pub(super) fn filters(own: &Filters) -> String {
    let layer = escape(&own.layer);
    let mut out = format!("<h4>Filters of {layer}</h4>\n<div class=\"filters\">\n");
    for filter in &own.shown {
        let kept = fraction(filter.kept, filter.total);
        // Large filters have small pixels: they are given more room.
        let class = if filter.picture.width() > 8 { " class=\"large\"" } else { "" };
        out.push_str(&format!(
            "<figure{class}><img class=\"holes\" alt=\"filter {}: {kept} kept\" src=\"{}\"><figcaption>{kept}</figcaption></figure>\n",
            filter.index,
            filter.picture.address()
        ));
    }
    let some = if (own.shown.len() as u64) < own.count {
        format!(" Shown are {} of {} filters, those that keep most.", own.shown.len(), grouped(own.count))
    } else {
        String::new()
    };
    let scale = number(own.scale);
    let (square, shades, pruned) = match own.channels {
        3 => (
            "a weight of each channel, as red, green and blue",
            format!("half as bright as can be is 0, fully bright {scale}, dark -{scale}"),
            "where all three are pruned",
        ),
        _ => ("a weight", format!("middle grey is 0, white {scale}, black -{scale}"), "pruned"),
    };
    out.push_str(&format!(
        "</div>\n<p class=\"note\">Each square is {square}, below a filter is how many it keeps: {shades}; \
         <i class=\"holes\"></i> is {pruned}.{some}</p>\n"
    ));
    out
}

/// The confusion matrix and the worst mistakes.
pub(super) fn answers(own: &Answers) -> String {
    let mut out = String::from("<h4>Which class is taken for which</h4>\n");
    out.push_str(&confusion(own));
    if own.mistakes.is_empty() {
        out.push_str("<p>No answer is wrong.</p>\n");
        return out;
    }
    out.push_str("<h4>Wrong answers that it is most sure of</h4>\n<div class=\"mistakes\">\n");
    out.extend(own.mistakes.iter().map(|mistake| self::mistake(own, mistake)));
    out.push_str("</div>\n");
    out
}

/// Pairs that are shown of more classes.
const PAIRS: usize = 20;

/// The pairs of classes that are confused most often, of too many classes for a table of all pairs.
fn most_confused(answers: &Answers) -> String {
    let own = &answers.confusion;
    let mut table = Table::new("", &["true", "taken for", "times", "of the true class"]);
    let mistakes = own.mistakes();
    for (truth, given, count) in mistakes.iter().take(PAIRS) {
        let share = percent(*count, own.of_class(*truth));
        table.row("", [answers.name(*truth), answers.name(*given), grouped(*count), share]);
    }
    let right = percent(own.correct(), own.total());
    format!(
        "{}<p class=\"note\">{right} of {} answers in {} classes are right. Of {} pairs of classes that were confused, the most \
         frequent {}.</p>\n",
        table.html(),
        grouped(own.total()),
        grouped(own.classes() as u64),
        grouped(mistakes.len() as u64),
        PAIRS.min(mistakes.len())
    )
}

impl Answers {
    /// What a class is called, as HTML.
    fn name(&self, class: usize) -> String {
        self.names.get(class).map_or_else(|| class.to_string(), |name| escape(name))
    }
}

fn confusion(answers: &Answers) -> String {
    let own = &answers.confusion;
    if !own.is_small() {
        return most_confused(answers);
    }
    let classes: Vec<String> = (0..own.classes()).map(|class| class.to_string()).collect();
    let mut headings = vec!["true"];
    headings.extend(classes.iter().map(String::as_str));
    headings.push("right");
    let mut table = Table::new("confusion", &headings);
    for (truth, name) in classes.iter().enumerate() {
        let cells = (0..own.classes()).map(|given| {
            let count = own.count(truth, given);
            // Right answers by their share of the class; mistakes by their root, so that the rare ones show, too.
            let (class, share) = match truth == given {
                true => ("right", count as f64 / own.of_class(truth).max(1) as f64),
                false => ("wrong", (count as f64 / own.worst().max(1) as f64).sqrt()),
            };
            if count == 0 {
                return "<span>0</span>".to_owned();
            }
            format!("<span class=\"{class}\" style=\"--share:{share:.2}\">{count}</span>")
        });
        let right = percent(own.count(truth, truth), own.of_class(truth));
        // Columns are too narrow for names: their numbers stand before the names of the rows.
        let name = match answers.names.is_empty() {
            true => name.clone(),
            false => format!("{name} {}", answers.name(truth)),
        };
        table.row("", std::iter::once(name).chain(cells).chain([right]));
    }
    let given = (0..own.classes()).map(|given| format!("<span>{}</span>", own.given(given)));
    let right = percent(own.correct(), own.total());
    table.row("sum", std::iter::once("all".to_owned()).chain(given).chain([right]));
    format!(
        "{}<p class=\"note\">A row is the true class, a column the class given; the last row counts the answers, the last \
         column is the share of a class that was right. Blue is right, orange is wrong, the fuller the more.</p>\n",
        table.html()
    )
}

fn mistake(answers: &Answers, own: &Mistake) -> String {
    let Mistake { image, truth, given, confidence, picture } = own;
    let [truth, given] = [truth, given].map(|class| answers.name(*class));
    let sure = sure(*confidence);
    let image = grouped(*image);
    format!(
        "<figure><img alt=\"test image {image}\" src=\"{}\"><figcaption>is {truth}, taken for {given}<small>{sure} sure</small>\
         <small>image {image}</small></figcaption></figure>\n",
        picture.address()
    )
}

/// A confidence in percent, which rounding does not make a certainty.
fn sure(confidence: f64) -> String {
    let percent = 100.0 * confidence;
    if percent >= 99.995 { "over 99.99 %".to_owned() } else { format!("{percent:.2} %") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::{Confusion, tests::view};

    #[test]
    fn bars_stand_where_the_weights_are() {
        let svg = histogram(&Histogram::of(&[-1.0, 0.5, 0.5, 0.5, 0.5]), Some(0.25), "<x>");
        assert!(svg.contains("aria-label=\"&lt;x&gt;\"") && svg.contains("viewBox=\"0 0 240 76\""), "{svg}");
        // A quarter as high at the left end, and a full bar in the bin that begins at a half.
        assert!(svg.contains("d=\"M0 60v-15.0h5v15.0zM180 60v-60.0h5v60.0z\""), "{svg}");
        assert!(svg.contains("<rect class=\"band\" x=\"90.0\" y=\"0\" width=\"60.0\""), "{svg}");
        assert!(svg.contains(">-1.00</text>") && svg.contains(">1.00</text>"), "{svg}");
        assert!(histogram(&Histogram::of(&[]), None, "").contains("no weight is left"));
        assert!(histogram(&Histogram::of(&[1.0, f32::NAN]), None, "").contains("1 are no finite numbers"));
    }

    #[test]
    fn a_band_is_no_wider_than_its_picture() {
        let svg = histogram(&Histogram::of(&[0.1]), Some(9.0), "");
        assert!(svg.contains("x=\"0.0\" y=\"0\" width=\"240.0\""), "{svg}");
    }

    #[test]
    fn sizes_and_confidences_keep_their_digits() {
        for (value, text) in [(0.0, "0.000"), (0.05, "0.050"), (1.234, "1.23"), (0.000_12, "1.2e-4"), (4e3, "4.0e3")] {
            assert_eq!(number(value), text);
        }
        assert_eq!((sure(0.5), sure(0.999_94), sure(1.0)), ("50.00 %".into(), "99.99 %".into(), "over 99.99 %".into()));
    }

    #[test]
    fn classes_are_called_by_their_names() {
        let mut own = view(1).answers.expect("answers");
        own.names = (0..10).map(|class| format!("<{class}>")).collect();
        let html = answers(&own);
        assert!(
            html.contains("<th scope=\"row\">3 &lt;3&gt;</th>")
                && html.contains("is &lt;4&gt;, taken for &lt;9&gt;<small>"),
            "{html}"
        );
        let mut confusion = Confusion::new(50);
        confusion.add(7, 49);
        let many = Answers { confusion, names: (0..50).map(|class| format!("c{class}")).collect(), ..own };
        assert!(answers(&many).contains("<th scope=\"row\">c7</th><td>c49</td><td>1</td>"), "{}", answers(&many));
    }

    #[test]
    fn the_matrix_shows_each_count_once() {
        let view = view(1);
        let html = confusion(&view.answers.expect("answers"));
        // 100 cells, the sums below them, and the count of every pair.
        assert_eq!(html.matches("<span").count(), 110);
        assert!(html.contains("<span class=\"right\" style=\"--share:0.90\">90</span>"), "{html}");
        assert!(html.contains("<span class=\"wrong\" style=\"--share:1.00\">10</span>"), "{html}");
        assert!(html.contains("<td>90.00 %</td>"), "{html}");
    }
}
