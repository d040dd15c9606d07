//! The section of the page on the models themselves.

use super::{LayerOverlap, ModelView, Overlap, Pair, Verdict, Views, panels};
use crate::number::{fraction, grouped, percent, times};
use crate::page::html::{Table, escape};

/// The section as HTML that needs nothing beside it but the page's style; empty when there is nothing to say.
pub fn section(views: &Views) -> String {
    if views.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "<section class=\"views\" id=\"models\">\n<h2>The trained models</h2>\n<p>Read from the runs' final model files and computed anew, \
         not copied from their logs. Nothing was chosen by what stands here.</p>\n",
    );
    for note in &views.notes {
        out.push_str(&format!("<p class=\"note\">{}</p>\n", escape(note)));
    }
    out.extend(views.models.iter().map(model));
    out.extend(views.overlaps.iter().map(overlap));
    out.push_str("</section>\n");
    out
}

fn model(view: &ModelView) -> String {
    let mut out = format!("<article>\n<h3>{}</h3>\n", escape(&view.run));
    let size = &view.size;
    let sparsity = match size.prunable {
        0 => "never pruned".to_owned(),
        _ => {
            format!("{} sparse ({} pruned)", percent(size.pruned, size.prunable), fraction(size.pruned, size.prunable))
        }
    };
    let left = fraction(size.nonzero, size.parameters);
    out.push_str(&format!("<p>{}, seed {}: {sparsity}, {left} parameters left.</p>\n", escape(&view.model), view.seed));
    for warning in &view.warnings {
        out.push_str(&format!("<p><mark>warning</mark> {}</p>\n", escape(warning)));
    }
    out.push_str(&compared(view));
    if !view.layers.is_empty() {
        out.push_str(&panels::weights(&view.layers));
    }
    out.push_str(&view.filters.as_ref().map_or(String::new(), panels::filters));
    out.push_str(&view.answers.as_ref().map_or(String::new(), panels::answers));
    out.push_str("</article>\n");
    out
}

/// What the model answers now, beside what the log says.
fn compared(view: &ModelView) -> String {
    let (Some(answers), Some(verdict)) = (&view.answers, view.verdict()) else { return String::new() };
    let (correct, total) = (answers.confusion.correct(), answers.confusion.total());
    let now = format!("{} of the test images are right ({})", percent(correct, total), fraction(correct, total));
    let logged = view.logged.map_or(String::new(), |logged| fraction(logged.correct, logged.total));
    match verdict {
        Verdict::Same => format!("<p>{now}, as the log says.</p>\n"),
        Verdict::Rounding => format!(
            "<p>{now}; the log says {logged}. {} answers are so close to another that rounding may turn them round.</p>\n",
            grouped(answers.close)
        ),
        Verdict::NotLogged => format!("<p>{now}; the log has no test of this network.</p>\n"),
        Verdict::Differs => format!(
            "<p><mark>warning</mark> {now}, but the log says {logged}: the model file, the test images or the log are not \
             what they were when the run ended.</p>\n"
        ),
    }
}

fn overlap(own: &Overlap) -> String {
    let seeds: Vec<String> = own.seeds.iter().map(u64::to_string).collect();
    let mut out = format!(
        "<article>\n<h3>Do seeds keep the same weights? {}</h3>\n<p>Final masks of seeds {}, each pair compared{}.</p>\n",
        escape(&own.series),
        seeds.join(", "),
        if own.left_out == 0 { String::new() } else { format!("; {} more are left out", grouped(own.left_out)) }
    );
    let mut table = Table::new("", &["parameter", "kept", "overlap", "lowest", "highest", "by chance", "over chance"]);
    for layer in &own.layers {
        table.row("", cells(layer));
    }
    let note = "Overlap: weights that both masks keep, over those that at least one keeps, as a mean over the pairs. By chance: \
                what masks of the same sizes share when they are drawn at random. Neurons have no fixed places, so two \
                networks may be alike and share few weights.";
    out.push_str(&format!("{}<p class=\"note\">{note}</p>\n</article>\n", table.html()));
    out
}

fn cells(layer: &LayerOverlap) -> [String; 7] {
    let share = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{:.2} %", 100.0 * value));
    let [low, mean, high] = layer.iou().map_or([None; 3], |own| own.map(Some));
    let bar = mean.map_or(String::new(), |mean| format!("<i class=\"bar\" style=\"width:{:.1}%\"></i>", 100.0 * mean));
    let over = mean.zip(layer.chance()).filter(|(_, chance)| *chance > 0.0);
    let both: u64 = layer.pairs.iter().map(|pair: &Pair| pair.both).sum();
    let shared = format!("<small>{} shared in {} pairs</small>", grouped(both), layer.pairs.len());
    [
        escape(&layer.name),
        share(layer.density()),
        format!("{}{shared}{bar}", share(mean)),
        share(low),
        share(high),
        share(layer.chance()),
        over.map_or("-".to_owned(), |(mean, chance)| times(mean / chance)),
    ]
}
