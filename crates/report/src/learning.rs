//! How a run learned: accuracy and loss of training and validation after each epoch, and the learning rate. Pure.

use crate::axis::Axis;
use crate::chart::{Chart, Ink, Line, Marker, Panel, Series, panels};
use crate::event::{EpochEnded, Score};
use crate::record::RunRecord;

/// How much of a run is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Detail {
    /// Points of a line, about.
    pub(crate) points: usize,
    /// Epochs that get a marker and a tip, if there are no more than these: more would touch each other.
    pub(crate) markers: usize,
}

/// Prunes that get a vertical line.
const MOST_MARKS: usize = 40;

/// The chart. `None` before the first epoch's end.
///
/// Of a long run every n-th epoch is drawn, and the last one always: no averages, so that what is drawn happened.
pub(crate) fn learning_chart(subject: &str, record: &RunRecord, detail: Detail) -> Option<Chart> {
    let every = record.epochs.len().div_ceil(detail.points.max(1)).max(1);
    let last = record.epochs.len().checked_sub(1)?;
    let shown = record.epochs.iter().enumerate().filter(|(index, _)| index % every == 0 || *index == last);
    let epochs: Vec<&EpochEnded> = shown.map(|(_, epoch)| epoch).collect();
    let few = epochs.len() <= detail.markers;
    let accuracy = |score: &Score| 100.0 * score.accuracy();
    let loss = |score: &Score| score.loss;
    let validation =
        |of: fn(&Score) -> f64| line("validation, after each epoch", &epochs, few, |e| e.validation.as_ref(), of);
    let train = |of: fn(&Score) -> f64| Series {
        ink: Ink::Muted,
        line: Line::Dashed,
        marker: Marker::None,
        tips: Vec::new(),
        ..line("training, running over the epoch", &epochs, few, |e| Some(&e.train), of)
    };
    let accuracies = [validation(accuracy), train(accuracy)];
    let losses = [validation(loss), train(loss)].map(|series| Series { label: String::new(), ..series });
    let (rate, rate_title) = rates(&record.epochs, every, detail);
    let highest = |series: &[Series]| series.iter().flat_map(|s| &s.points).map(|point| point.1).reduce(f64::max);
    let best = highest(&accuracies);
    let panel = |title: &str, y: Axis, weight, shows| Panel { title: title.to_owned(), y, weight, shows: Some(shows) };
    // Accuracies are told by the first panels' titles; the others are named, too.
    let mut all_panels: Vec<_> = panels(best).into_iter().map(|panel| Panel { shows: Some(0..2), ..panel }).collect();
    for panel in &mut all_panels {
        panel.title = format!("top-1 accuracy, {}", panel.title);
    }
    all_panels.push(panel("loss, nats", Axis::from_zero(highest(&losses).unwrap_or(1.0), 4.0), 2.0, 2..4));
    let fastest = rate.points.iter().map(|point| point.1).chain(rate.band.iter().flatten().map(|end| end.2));
    let fastest = fastest.reduce(f64::max).unwrap_or(1.0);
    all_panels.push(panel(&rate_title, Axis::from_zero(fastest, 2.0), 1.2, 4..5));
    let mut series: Vec<_> = accuracies.into_iter().chain(losses).chain([rate]).collect();
    let marks: Vec<_> = record.prunes.iter().map(|prune| prune.step as f64).collect();
    let marks = if marks.len() > MOST_MARKS { Vec::new() } else { marks };
    if !marks.is_empty() {
        series.push(Series { label: "vertical lines: prunes".to_owned(), ink: Ink::Muted, ..Series::default() });
    }
    series.iter_mut().filter(|series| series.points.is_empty() && series.line != Line::None).for_each(|series| {
        // What a run does not hold out has no line and no name.
        series.label.clear();
    });
    Some(Chart {
        title: "While training".to_owned(),
        subtitle: subject.to_owned(),
        x: Axis::steps(record.step() as f64),
        y_label: String::new(),
        panels: all_panels,
        series,
        marks,
        labels: Vec::new(),
    })
}

/// The learning rate, and what its panel is called: a line through the steps at which it turns; of a long run the range
/// over each `every` epochs. What an earlier build's log says, its value at the ends of epochs, is no line.
fn rates(all: &[EpochEnded], every: usize, detail: Detail) -> (Series, String) {
    let turns = |epochs: &[EpochEnded]| -> Vec<(f64, f64)> {
        let rates = epochs.iter().flat_map(|epoch| &epoch.learning_rates);
        rates.map(|&(step, rate)| (step as f64, rate)).filter(|point| point.1.is_finite()).collect()
    };
    let points = turns(all);
    let series = Series { label: "learning rate".to_owned(), ink: Ink::Colour(2), ..Series::default() };
    if points.is_empty() {
        let shown = all.iter().enumerate().filter(|(index, _)| index % every == 0 || index + 1 == all.len());
        let points =
            shown.map(|(_, epoch)| (epoch.step as f64, epoch.learning_rate)).filter(|point| point.1.is_finite());
        let series = Series { marker: Marker::Dot, points: points.collect(), ..series };
        return (series, "learning rate, at the ends of epochs alone".to_owned());
    }
    if points.len() <= 4 * detail.points {
        return (Series { line: Line::Solid, points, ..series }, "learning rate".to_owned());
    }
    let range = |epochs: &[EpochEnded]| {
        let points = turns(epochs);
        let (first, last) = (points.first()?.0, points.last()?.0);
        let (low, high) = points.iter().fold((f64::MAX, 0.0_f64), |(low, high), at| (low.min(at.1), high.max(at.1)));
        Some([(first, low, high), (last, low, high)])
    };
    let band = all.chunks(every).filter_map(range).flatten().collect();
    (Series { band: vec![band], ..series }, format!("learning rate, lowest to highest of each {every} epochs"))
}

fn line(
    label: &str,
    epochs: &[&EpochEnded],
    few: bool,
    score: fn(&EpochEnded) -> Option<&Score>,
    of: fn(&Score) -> f64,
) -> Series {
    let scored = || epochs.iter().filter_map(|epoch| Some((*epoch, score(epoch)?)));

    let drawn = scored().filter(|(_, score)| of(score).is_finite());
    let tip = |(epoch, score): (&EpochEnded, &Score)| {
        let best = if epoch.best { ", the best of its stage" } else { "" };
        format!(
            "epoch {}, cycle {}{best}\ntop-1 {:.2} %, loss {:.4}\nlearning rate {}",
            epoch.epoch,
            epoch.cycle,
            100.0 * score.accuracy(),
            score.loss,
            epoch.learning_rate
        )
    };
    Series {
        label: label.to_owned(),
        ink: Ink::Colour(0),
        line: Line::Solid,
        marker: if few { Marker::Disc } else { Marker::None },
        points: drawn.clone().map(|(epoch, score)| (epoch.step as f64, of(score))).collect(),
        tips: if few { drawn.map(tip).collect() } else { Vec::new() },
        ..Series::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    const WHOLE: Detail = Detail { points: 1000, markers: 60 };

    #[test]
    fn each_panel_has_its_own_lines_and_every_prune_is_marked() {
        let record = fixture::record(&fixture::l1_events(1));
        let chart = learning_chart("s", &record, WHOLE).expect("a chart");
        let shows: Vec<_> = chart.panels.iter().map(|panel| panel.shows.clone().expect("its own")).collect();
        assert_eq!(shows, [0..2, 0..2, 2..4, 4..5]);
        assert_eq!((chart.marks.len(), chart.series.len()), (7, 6));
        assert!(chart.series[..5].iter().all(|series| series.points.len() == 32));
        let epoch = &record.epochs[3];
        let place = |y: f64| (epoch.step as f64, y);
        let validation = epoch.validation.expect("held out");
        assert_eq!(chart.series[0].points[3], place(100.0 * validation.accuracy()));
        assert_eq!(chart.series[1].points[3], place(100.0 * epoch.train.accuracy()));
        assert_eq!(chart.series[2].points[3], place(validation.loss));
        assert_eq!(chart.series[3].points[3], place(epoch.train.loss));
        assert_eq!(chart.series[4].points[3], place(0.05));
        assert!(chart.series[0].tips[3].contains("epoch 4, cycle 0"), "{}", chart.series[0].tips[3]);
        assert_eq!(learning_chart("s", &RunRecord::new(record.started), WHOLE), None);
    }

    #[test]
    fn the_learning_rate_has_its_true_shape() {
        let mut record = fixture::record(&fixture::l1_events(1));
        let chart = learning_chart("s", &record, WHOLE).expect("a chart");
        assert_eq!(
            (chart.series[4].line, chart.series[4].marker),
            (Line::None, Marker::Dot),
            "an old log draws no line"
        );
        assert_eq!(chart.panels[3].title, "learning rate, at the ends of epochs alone");
        // Starts anew every four epochs at 0.002, and falls to nothing: no epoch ends at 0.002.
        for (index, epoch) in record.epochs.iter_mut().enumerate() {
            let rate = |epochs: usize| 0.002 * (1.0 - epochs as f64 / 4.0);
            epoch.learning_rate = rate(index % 4 + 1);
            epoch.learning_rates = vec![(epoch.step - 429, rate(index % 4)), (epoch.step, rate(index % 4 + 1))];
        }
        let chart = learning_chart("s", &record, WHOLE).expect("a chart");
        let rate = &chart.series[4];
        assert_eq!((rate.line, rate.points.len(), rate.points[0]), (Line::Solid, 64, (1.0, 0.002)));
        assert_eq!(rate.points.iter().filter(|point| point.1 == 0.002).count(), 8, "one start a training");
        assert_eq!((chart.panels[3].title.as_str(), chart.panels[3].y.max), ("learning rate", 0.002));
        let long = learning_chart("s", &record, Detail { points: 10, markers: 0 }).expect("a chart");
        let band = &long.series[4].band[0];
        assert_eq!((band.len(), band[0]), (16, (1.0, 0.0, 0.002)), "{band:?}");
        assert_eq!(long.panels[3].title, "learning rate, lowest to highest of each 4 epochs");
    }

    #[test]
    fn a_long_run_is_thinned_and_keeps_its_end() {
        let record = fixture::record(&fixture::l1_events(1));
        let chart = learning_chart("s", &record, Detail { points: 10, markers: 0 }).expect("a chart");
        assert_eq!(chart.series[0].points.len(), 9, "every fourth of 32, and the last");
        assert_eq!((chart.series[0].marker, chart.series[0].tips.len()), (Marker::None, 0));
        assert_eq!(chart.series[0].points.last().map(|point| point.0), Some(record.epochs[31].step as f64));
    }

    #[test]
    fn what_is_not_held_out_or_not_finite_is_not_drawn() {
        let mut record = fixture::record(&fixture::l1_events(1));
        for epoch in &mut record.epochs {
            epoch.validation = None;
            epoch.train.loss = f64::NAN;
        }
        let chart = learning_chart("s", &record, WHOLE).expect("a chart");
        let counts: Vec<_> = chart.series.iter().map(|series| series.points.len()).collect();
        assert_eq!(counts, [0, 32, 0, 0, 32, 0]);
        assert!(chart.series[0].label.is_empty() && !chart.series[1].label.is_empty());
    }
}
