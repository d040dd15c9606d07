//! The same numbers as tables, for people who plot with their own tools.

use super::{ModelView, Views};
use crate::data::{Data, Value};

/// The tables, by the names of their files.
pub(crate) fn data(views: &Views) -> Vec<(&'static str, Data)> {
    let tables = [
        ("models-weights", weights(views)),
        ("models-answers", answers(views)),
        ("models-mistakes", mistakes(views)),
        ("models-masks", masks(views)),
    ];
    tables.into_iter().filter(|(_, data)| !data.is_empty()).collect()
}

/// What names a model in each of its rows.
fn model(view: &ModelView) -> Vec<Value> {
    vec![view.run.as_str().into(), view.seed.into()]
}

/// A row a bin that is not empty.
fn weights(views: &Views) -> Data {
    let mut data = Data::new(&["run", "seed", "parameter", "moment", "kept", "total", "low", "high", "count"]);
    for view in &views.models {
        for layer in &view.layers {
            for (moment, own) in &layer.moments {
                for (bin, count) in own.counts().iter().enumerate().filter(|(_, count)| **count > 0) {
                    let mut row = model(view);
                    row.extend([layer.name.as_str().into(), moment.words().into()]);
                    row.extend([own.total().into(), layer.total.into()]);
                    row.extend([own.border(bin), own.border(bin + 1)].map(|border| Some(border).into()));
                    row.push((*count).into());
                    data.row(row);
                }
            }
        }
    }
    data
}

/// A row a pair of classes; of more classes than a table shows, of the pairs that occur.
fn answers(views: &Views) -> Data {
    let mut data = Data::new(&["run", "seed", "true", "given", "count"]);
    for view in &views.models {
        let Some(answers) = &view.answers else { continue };
        for (truth, given, count) in answers.confusion.pairs() {
            let mut row = model(view);
            row.extend([truth.into(), given.into(), count.into()]);
            data.row(row);
        }
    }
    data
}

/// A row a mistake that is shown.
fn mistakes(views: &Views) -> Data {
    let mut data = Data::new(&["run", "seed", "image", "true", "given", "confidence"]);
    for view in &views.models {
        for own in view.answers.iter().flat_map(|answers| &answers.mistakes) {
            let mut row = model(view);
            row.extend([own.image.into(), own.truth.into(), own.given.into(), Some(own.confidence).into()]);
            data.row(row);
        }
    }
    data
}

/// A row a pair of runs and parameter.
fn masks(views: &Views) -> Data {
    let mut data =
        Data::new(&["series", "parameter", "seed_a", "seed_b", "kept_a", "kept_b", "both", "total", "iou", "chance"]);
    for series in &views.overlaps {
        for layer in &series.layers {
            for pair in &layer.pairs {
                let mut row = vec![series.series.as_str().into(), layer.name.as_str().into()];
                row.extend(pair.seeds.into_iter().chain(pair.kept).chain([pair.both, pair.total]).map(Value::from));
                row.extend([pair.iou().into(), pair.chance().into()]);
                data.row(row);
            }
        }
    }
    data
}
