//! A series of runs as it is drawn in charts of accuracy: the mean as a line, its interval as a band, each seed as a dot.
//! Pure.

use crate::chart::{Ink, Line, Marker, Series};
use crate::number::{grouped, percent, times};
use crate::pareto::front;
use crate::record::{Control, State};
use crate::series::{Pool, RunSeries, Sample};
use crate::statistics::Spread;

/// Seeds are drawn one by one only up to so many dots a series: more would be a smear, and the band says how far they lie apart.
const MOST_DOTS: usize = 400;

/// A series with what is drawn of it.
pub(crate) struct Drawn {
    /// The mean and its band.
    pub(crate) line: Series,
    /// Each seed; nothing where there is one only.
    pub(crate) dots: Series,
    /// The means, in the order of the line.
    pub(crate) means: Vec<Mean>,
}

/// A mean on a chart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mean {
    pub(crate) owner: usize,
    pub(crate) at: (f64, f64),
    pub(crate) n: usize,
    pub(crate) collapsed: bool,
}

/// What accuracy is drawn against: where a network stands, and what a reader is told of it besides.
pub(crate) trait Across {
    /// The place of a seed's network on the horizontal axis; `None` where the log does not say.
    fn x(&self, sample: &Sample<'_>) -> Option<f64>;
    /// What the chart is about, of a mean; empty where the tip says it anyway.
    fn words(&self, pool: &Pool<'_>) -> String;
}

/// The series, with `pools` as its points. A point of one seed is hollow where `seeds_differ`, that is where others have more.
pub(crate) fn drawn<'p, 'a: 'p>(
    series: &RunSeries<'a>,
    label: String,
    pools: impl Iterator<Item = &'p Pool<'a>>,
    across: &dyn Across,
    seeds_differ: bool,
) -> Drawn {
    let (ink, line, marker) = look(series);
    let owner = Some(series.id);
    let mut main = Series { label, ink, line, marker, owner, ..Series::default() };
    let mut dots = Series { ink, marker: Marker::Dot, owner, ..Series::default() };
    let (mut means, mut piece) = (Vec::new(), Vec::new());
    for pool in pools {
        // A seed counts where both of its numbers are known.
        let places = pool.samples.iter().filter_map(|sample| Some((across.x(sample)?, sample.top_1()?)));
        let places: Vec<_> = places.collect();
        let of = |number: fn(&(f64, f64)) -> f64| Spread::of(&places.iter().map(number).collect::<Vec<_>>());
        let (Some(x), Some(y)) = (of(|place| place.0), of(|place| place.1)) else { continue };
        if y.n == 1 && seeds_differ {
            main.hollow.push(main.points.len());
        }
        main.points.push((x.mean, y.mean));
        main.tips.push(tip(series, pool, &y, &across.words(pool)));
        means.push(Mean { owner: series.id, at: (x.mean, y.mean), n: y.n, collapsed: pool.is_collapsed() });
        match y.interval() {
            Some(interval) => {
                let (low, high) = on_scale(interval);
                piece.push((x.mean, low, high));
            }
            None => main.band.extend((!piece.is_empty()).then(|| std::mem::take(&mut piece))),
        }
        if y.n > 1 {
            dots.points.extend(places);
        }
    }
    main.band.extend((!piece.is_empty()).then_some(piece));
    if dots.points.len() > MOST_DOTS {
        dots.points.clear();
    }
    Drawn { line: main, dots, means }
}

/// What is drawn of an interval of accuracies, in percent: few seeds give one that goes on where no accuracy can be. Tables
/// say it as it is.
pub(crate) fn on_scale((low, high): (f64, f64)) -> (f64, f64) {
    (low.clamp(0.0, 100.0), high.clamp(0.0, 100.0))
}

/// Colour, line and marker of a series: controls look unlike results.
pub(crate) fn look(series: &RunSeries<'_>) -> (Ink, Line, Marker) {
    // Colours repeat after the sixth; then the shape tells.
    let second = series.colour / 6 % 2 == 1;
    match series.control {
        Control::Pruned => {
            (Ink::Colour(series.colour), Line::Solid, if second { Marker::Square } else { Marker::Disc })
        }
        Control::Random => {
            (Ink::Muted, if series.colour.is_multiple_of(2) { Line::Dashed } else { Line::Dotted }, Marker::Triangle)
        }
        Control::Dense => (Ink::Text, Line::Dashed, Marker::Square),
    }
}

/// What a series is called in a legend: its kind, its name, how many seeds it has, whether some of it is still to come.
pub(crate) fn legend_label(series: &RunSeries<'_>, seeds_matter: bool) -> String {
    let kind = if series.control == Control::Random { "random control: " } else { "" };
    let seeds = match series.seeds().len() {
        1 if !seeds_matter => String::new(),
        1 => ", one seed".to_owned(),
        seeds => format!(", {seeds} seeds"),
    };
    let open = series.runs.iter().filter(|run| run.record.state() == State::Unfinished).count();
    let state = match (open, series.runs.len()) {
        (0, _) => String::new(),
        (1, 1) => " (unfinished)".to_owned(),
        (open, _) => format!(" ({open} unfinished)"),
    };
    format!("{kind}{}{seeds}{state}", series.label)
}

/// Whether any series has a point of more than one seed.
pub(crate) fn has_seeds<'a>(all: impl IntoIterator<Item = &'a RunSeries<'a>>) -> bool {
    all.into_iter().any(|series| series.pools.iter().chain([&series.dense]).any(|pool| pool.samples.len() > 1))
}

/// Rings around the means that no other beats in both directions, a series of rings an owner; `left_is_better` says which
/// way. One owner alone has nobody to beat. Collapsed networks are no choice, and single seeds are none where others have more of them.
pub(crate) fn halos(means: &[Mean], left_is_better: bool) -> Vec<Series> {
    if means.iter().all(|mean| mean.owner == means[0].owner) {
        return Vec::new();
    }
    let several = means.iter().any(|mean| mean.n > 1);
    let fit: Vec<_> = means.iter().filter(|mean| !mean.collapsed && (mean.n > 1 || !several)).collect();
    let points: Vec<_> = fit.iter().map(|Mean { at: (x, y), .. }| (if left_is_better { *x } else { -x }, *y)).collect();
    let on = front(&points);
    let mut rings: Vec<Series> = Vec::new();
    let ring =
        |owner, label: &str| Series { label: label.to_owned(), marker: Marker::Halo, owner, ..Series::default() };
    for (mean, _) in fit.iter().zip(on).filter(|(_, on)| *on) {
        let owner = Some(mean.owner);
        match rings.iter_mut().find(|ring| ring.owner == owner) {
            Some(ring) => ring.points.push(mean.at),
            None => rings.push(Series { points: vec![mean.at], ..ring(owner, "") }),
        }
    }
    if !rings.is_empty() {
        let whose = if several { "of the means" } else { "of single seeds" };
        rings.insert(0, ring(None, &format!("ringed: Pareto front {whose}")));
    }
    rings
}

/// What a reader is told of a mean.
fn tip(series: &RunSeries<'_>, pool: &Pool<'_>, top_1: &Spread, words: &str) -> String {
    let what =
        if pool.target > 0.0 { format!("target {}", series.unit.words(pool.target)) } else { "dense".to_owned() };
    let mut lines = vec![series.label.clone(), format!("{what}: top-1 {}", in_words(top_1))];
    if !words.is_empty() {
        lines.push(words.to_owned());
    }
    if let [only] = &pool.samples[..]
        && let Some(size) = only.point.size()
    {
        lines.push(format!(
            "sparsity {}, compression {}, {} MACs left",
            percent(size.pruned, size.prunable),
            times(size.compression_ratio()),
            grouped(size.remaining_macs)
        ));
    } else if let Some(sparsity) = pool.sparsity().filter(|_| pool.target > 0.0) {
        let compression = pool.spread(|sample| Some(sample.point.size()?.compression_ratio()));
        let macs = pool.spread(|sample| Some(sample.point.size()?.remaining_macs as f64));
        if let (Some(compression), Some(macs)) = (compression, macs) {
            let (compression, macs) = (times(compression.mean), grouped(macs.mean.round() as u64));
            lines.push(format!("sparsity {:.2} %, compression {compression}, {macs} MACs left", 100.0 * sparsity));
        }
    }
    if let Some(just) = pool.spread(Sample::just_pruned) {
        lines.push(format!("just pruned {:.2} %", just.mean));
    }
    lines.join("\n")
}

/// `98.93 ± 0.12 % (3 seeds, 98.88 to 98.98)`, or `98.93 % (one seed)`.
pub(crate) fn in_words(spread: &Spread) -> String {
    match spread.half_width {
        Some(half) => {
            let Spread { n, mean, min, max, .. } = spread;
            format!("{mean:.2} ± {half:.2} % ({n} seeds, {min:.2} to {max:.2})")
        }
        None => format!("{:.2} % (one seed)", spread.mean),
    }
}
