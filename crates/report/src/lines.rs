//! A series of runs as it is drawn in charts of accuracy: the mean as a line, its interval as a band, each seed as a dot.
//! Pure.

use std::collections::BTreeSet;

use crate::chart::{Ink, Line, Marker, Series};
use crate::interval::{self, Interval, Kind, split};
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
    /// Each seed of targets at which some seeds collapsed and some did not: these have no mean on the line.
    pub(crate) split: Series,
    /// The means, in the order of the line, and the seeds of `split`.
    pub(crate) means: Vec<Mean>,
    /// Where its own network before the first prune stands.
    pub(crate) unpruned: Option<(f64, f64)>,
    /// What the intervals that are drawn say.
    pub(crate) kinds: BTreeSet<Kind>,
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
    let mut apart = Series { ink, marker: marker.hollow(), owner, ..Series::default() };
    let (mut means, mut kinds, mut unpruned) = (Vec::new(), BTreeSet::new(), None);
    let mut piece: (Option<Kind>, Vec<(f64, f64, f64)>) = (None, Vec::new());
    for pool in pools {
        // A seed counts where both of its numbers are known.
        let places = pool.samples.iter().filter_map(|sample| Some((across.x(sample)?, sample.top_1()?)));
        let places: Vec<_> = places.collect();
        let of = |number: fn(&(f64, f64)) -> f64| Spread::of(&places.iter().map(number).collect::<Vec<_>>());
        let (Some(x), Some(y)) = (of(|place| place.0), of(|place| place.1)) else { continue };
        let words = tip(series, pool, &across.words(pool));
        if split(pool).is_some() {
            // A mean of what collapsed and what did not is where no seed is.
            main.breaks.push(main.points.len());
            let seed = |at: &(f64, f64)| Mean { owner: series.id, at: *at, n: 1, collapsed: true };
            means.extend(places.iter().map(seed));
            apart.tips.extend(places.iter().map(|_| words.clone()));
            apart.points.extend(places);
            main.band.extend((!piece.1.is_empty()).then(|| std::mem::take(&mut piece).1));
            continue;
        }
        if y.n == 1 && seeds_differ {
            main.hollow.push(main.points.len());
        }
        main.points.push((x.mean, y.mean));
        main.tips.push(words);
        if pool.target == 0.0 && series.control != Control::Dense {
            // It had trained for a shorter time than what comes after it: a line from here would show what training brings.
            unpruned = Some((x.mean, y.mean));
            main.breaks.push(main.points.len());
        }
        means.push(Mean { owner: series.id, at: (x.mean, y.mean), n: y.n, collapsed: pool.is_collapsed() });
        if x.max > x.min {
            main.bars.push([(x.min, y.mean), (x.max, y.mean)]);
        }
        let interval = Interval::of(pool);
        kinds.extend(interval.map(|interval| interval.kind));
        let band = interval.filter(|interval| interval.kind != Kind::TestImages);
        // A band says one thing, and begins anew behind the unpruned network as its line does.
        if piece.0 != band.map(|interval| interval.kind) || main.breaks.last() == Some(&(main.points.len() - 1)) {
            main.band.extend((!piece.1.is_empty()).then(|| std::mem::take(&mut piece).1));
        }
        piece.0 = band.map(|interval| interval.kind);
        match (band, interval) {
            (Some(Interval { low, high, .. }), _) => piece.1.push((x.mean, low, high)),
            (None, Some(Interval { low, high, .. })) => main.bars.push([(x.mean, low), (x.mean, high)]),
            (None, None) => {}
        }
        if y.n > 1 {
            dots.points.extend(places);
        }
    }
    main.band.extend((!piece.1.is_empty()).then_some(piece.1));
    if dots.points.len() > MOST_DOTS {
        dots.points.clear();
    }
    Drawn { line: main, dots, split: apart, means, unpruned, kinds }
}

/// What a chart says below its lines: what bands and bars are, whose seeds stand alone, and which points are unpruned.
pub(crate) fn legend_notes<'d>(all: impl Iterator<Item = &'d Drawn> + Clone, frames: &str) -> Vec<Series> {
    let note = |label: &str| Series { label: label.to_owned(), ink: Ink::Muted, ..Series::default() };
    let kinds: BTreeSet<Kind> = all.clone().flat_map(|drawn| drawn.kinds.iter().copied()).collect();
    let mut notes: Vec<_> = kinds.into_iter().map(|kind| note(kind.legend())).collect();
    if all.clone().any(|drawn| !drawn.split.points.is_empty()) {
        notes.push(Series { marker: Marker::Ring, ..note("single seeds, of which some collapsed") });
    }
    if all.clone().any(|drawn| drawn.unpruned.is_some()) {
        notes.push(Series { marker: Marker::Frame, ink: Ink::Text, ..note(frames) });
    }
    notes.extend(all.filter_map(|drawn| {
        let points = vec![drawn.unpruned?];
        Some(Series { marker: Marker::Frame, owner: drawn.line.owner, points, ..Series::default() })
    }));
    notes
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
    let open = series.runs.iter().filter(|run| run.state == State::Unfinished).count();
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
fn tip(series: &RunSeries<'_>, pool: &Pool<'_>, words: &str) -> String {
    let what = match series.control {
        _ if pool.target > 0.0 => format!("target {}", series.unit.words(pool.target)),
        Control::Dense => "dense".to_owned(),
        _ => "before the first prune".to_owned(),
    };
    let mut lines = vec![series.label.clone(), format!("{what}: top-1 {}", interval::words(pool))];
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
