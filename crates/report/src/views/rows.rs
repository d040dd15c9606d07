//! The same numbers as CSV, for people who plot with their own tools.

use super::{ModelView, Views};
use crate::csv::text;

/// The tables that have rows, by the names of their files.
pub(crate) fn files(views: &Views) -> Vec<(String, Vec<u8>)> {
    let tables = [
        ("models-weights.csv", "run,seed,parameter,moment,kept,total,low,high,count", weights(views)),
        ("models-answers.csv", "run,seed,true,given,count", answers(views)),
        ("models-mistakes.csv", "run,seed,image,true,given,confidence", mistakes(views)),
        ("models-masks.csv", "series,parameter,seed_a,seed_b,kept_a,kept_b,both,total,iou,chance", masks(views)),
    ];
    let filled = tables.into_iter().filter(|(.., rows)| !rows.is_empty());
    filled.map(|(name, heading, rows)| (name.to_owned(), format!("{heading}\n{rows}").into_bytes())).collect()
}

/// What names a model in each of its rows.
fn model(view: &ModelView) -> String {
    format!("{},{}", text(&view.run), view.seed)
}

/// A row a bin that is not empty.
fn weights(views: &Views) -> String {
    let mut out = String::new();
    for view in &views.models {
        for layer in &view.layers {
            for (moment, own) in &layer.moments {
                let about = format!(
                    "{},{},{},{},{}",
                    model(view),
                    text(&layer.name),
                    text(moment.words()),
                    own.total(),
                    layer.total
                );
                for (bin, count) in own.counts().iter().enumerate().filter(|(_, count)| **count > 0) {
                    out.push_str(&format!("{about},{},{},{count}\n", own.border(bin), own.border(bin + 1)));
                }
            }
        }
    }
    out
}

/// A row a pair of classes, zeros included.
fn answers(views: &Views) -> String {
    let mut out = String::new();
    for view in &views.models {
        let Some(answers) = &view.answers else { continue };
        for truth in 0..answers.confusion.classes() {
            for given in 0..answers.confusion.classes() {
                let count = answers.confusion.count(truth, given);
                out.push_str(&format!("{},{truth},{given},{count}\n", model(view)));
            }
        }
    }
    out
}

/// A row a mistake that is shown.
fn mistakes(views: &Views) -> String {
    let mut out = String::new();
    for view in &views.models {
        for own in view.answers.iter().flat_map(|answers| &answers.mistakes) {
            let (image, truth, given) = (own.image, own.truth, own.given);
            out.push_str(&format!("{},{image},{truth},{given},{}\n", model(view), own.confidence));
        }
    }
    out
}

/// A row a pair of runs and parameter.
fn masks(views: &Views) -> String {
    let mut out = String::new();
    let share = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    for series in &views.overlaps {
        for layer in &series.layers {
            for pair in &layer.pairs {
                let ([a, b], [kept_a, kept_b]) = (pair.seeds, pair.kept);
                let about = format!("{},{},{a},{b},{kept_a},{kept_b}", text(&series.series), text(&layer.name));
                let (iou, chance) = (share(pair.iou()), share(pair.chance()));
                out.push_str(&format!("{about},{},{},{iou},{chance}\n", pair.both, pair.total));
            }
        }
    }
    out
}
