//! The tables of series on the page: all of them at a glance, who leads where, and every number.

use super::budget::pick;
use super::filter::swatch;
use super::html::{Table, escape, value};
use super::layers::folded;
use crate::compare::{Contest, against_dense, contests, dense_control, random_control};
use crate::group::Group;
use crate::interval::{Interval, split};
use crate::lines::steps_mark;
use crate::number::{fraction, grouped, percent, times};
use crate::record::Control;
use crate::series::{Pool, RunSeries, Sample};
use crate::statistics::{Sign, Spread};

/// Targets that a table at a glance has room for.
const COLUMNS: usize = 8;
/// Rows of the table of every number.
const ROWS: usize = 600;

/// The tables of a group; nothing where nothing was pruned and tested.
pub(super) fn tables(group: &Group<'_>) -> String {
    let contests = contests(&group.series);
    // Of one run alone its own table says it all.
    if contests.is_empty() || group.runs.len() == 1 {
        return String::new();
    }
    let shown = columns(&contests);
    glance(group, &shown) + &leaders(&shown, contests.len()) + &numbers(group)
}

/// The targets that most series share, from the lowest to the highest.
fn columns<'c, 's, 'a>(contests: &'c [Contest<'s, 'a>]) -> Vec<&'c Contest<'s, 'a>> {
    let mut sizes: Vec<usize> = contests.iter().map(|contest| contest.entries.len()).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    let mut picked: Vec<usize> = Vec::new();
    for size in sizes {
        let of_size = contests.iter().enumerate().filter(|(_, contest)| contest.entries.len() == size);
        let places: Vec<usize> = of_size.map(|(place, _)| place).collect();
        let room = COLUMNS - picked.len();
        // The widest shared ones alone, unless these are too few for a table.
        if room < 2 || picked.len() >= 3 {
            break;
        }
        picked.extend(pick(places.len(), room).into_iter().map(|row| places[row]));
    }
    picked.sort_unstable();
    picked.into_iter().map(|place| &contests[place]).collect()
}

/// A row a series, a column a target.
fn glance(group: &Group<'_>, shown: &[&Contest<'_, '_>]) -> String {
    let targets: Vec<_> = shown.iter().map(|contest| contest.unit.words(contest.target)).collect();
    let mut headings = vec!["series", "unpruned"];
    headings.extend(targets.iter().map(String::as_str));
    let mut table = Table::new("names", &headings);
    for series in &group.series {
        let cell = |contest: &&Contest<'_, '_>| {
            let Some(entry) = contest.entries.iter().find(|entry| entry.series.id == series.id) else {
                return String::new();
            };
            let mut cell = top_1(entry.pool);
            match contest.leader() {
                Some(leader) if leader.series.id == series.id => cell = format!("<strong>{cell}</strong>"),
                Some(_) if contest.near().any(|near| near.series.id == series.id) => {
                    cell = format!("<em>≈</em> {cell}");
                }
                _ => {}
            }
            if entry.pool.is_collapsed() { format!("{cell}<small><mark>collapsed</mark></small>") } else { cell }
        };
        let name = format!("{}{}", swatch(series), escape(&series.label));
        let mark = steps_mark(series, &group.series).map_or(String::new(), |mark| format!("<small>{mark}</small>"));
        let cells = [name + &mark, top_1(&series.dense)].into_iter().chain(shown.iter().map(cell));
        table.row(&format!("s{}", series.id), cells);
    }
    format!(
        "<h3>At a glance</h3>\n{}<p class=\"note\">Top-1 on test in percent after training, by target sparsity: mean ± half \
         of the 95 % t-interval, and the seeds. <strong>Bold</strong>: the highest mean over more than one seed. \
         <em>≈</em>: not told apart from it by the seeds that both have. Of two seeds the \
         lowest and the highest stand below; a single seed leads nothing. Where some seeds collapsed and others did not, there is no \
         mean: how many stands there. Unpruned: before the first prune, and of a dense control at its end. All targets: <a href=\"series.csv\">series.csv</a>, <a href=\"series.json\">series.json</a>.</p>\n",
        table.html()
    )
}

/// `98.93 ± 0.12`, below it the seeds.
pub(super) fn accuracy(spread: Option<&Spread>) -> String {
    let Some(spread) = spread else { return "-".to_owned() };
    match spread.half_width {
        Some(half) => format!("{:.2} ± {half:.2}<small>{} seeds</small>", spread.mean, spread.n),
        None if spread.n > 1 => {
            let Spread { n, mean, min, max, .. } = spread;
            format!("{mean:.2}<small>{n} seeds, {min:.2} to {max:.2}</small>")
        }
        None => format!("{:.2}<small>one seed</small>", spread.mean),
    }
}

/// The same of a target, where some seeds may have collapsed and some not: these have no mean in common. An interval that goes
/// on where no accuracy can be ends there.
fn top_1(pool: &Pool<'_>) -> String {
    let (Some(spread), Some(interval)) = (pool.top_1(), Interval::of(pool)) else { return "-".to_owned() };
    if let Some((collapsed, all)) = split(pool) {
        return format!("{collapsed} of {all}<small>seeds collapsed</small><small>{}</small>", interval.words());
    }
    match spread.interval() {
        Some((low, high)) if low < 0.0 || high > 100.0 => {
            format!("{:.2}<small>95 %: {}</small><small>{} seeds</small>", spread.mean, interval.words(), spread.n)
        }
        _ => accuracy(Some(&spread)),
    }
}

/// A row a target with a leader.
fn leaders(shown: &[&Contest<'_, '_>], all: usize) -> String {
    let led: Vec<_> = shown.iter().filter(|contest| contest.leader().is_some()).collect();
    if led.is_empty() {
        return String::new();
    }
    let mut table = Table::new("words", &["sparsity", "highest mean", "not told apart from it", "below it"]);
    let mut comparisons = 0;
    for contest in &led {
        let Some(leader) = contest.leader() else { continue };
        let difference = |entry: &crate::compare::Entry<'_, '_>| match &entry.from_leader {
            Some(spread) => format!("{} ({})", entry.series.label, points(spread)),
            None => format!("{} (no seed in common)", entry.series.label),
        };
        comparisons += contest
            .entries
            .iter()
            .filter(|entry| entry.from_leader.is_some_and(|spread| spread.half_width.is_some()))
            .count();
        let near: Vec<_> = contest.near().map(difference).collect();
        let below =
            contest.entries.iter().filter(|entry| entry.from_leader.is_some_and(|spread| spread.sign() == Sign::Below));
        let below: Vec<_> = below.map(difference).collect();
        let list = |names: Vec<String>| if names.is_empty() { "-".to_owned() } else { escape(&names.join("; ")) };
        let name = format!("{}<small>{}</small>", escape(&leader.series.label), top_1(leader.pool));
        let target = contest.unit.words(contest.target);
        table.row("", [target, name, list(near), list(below)]);
    }
    let more = if all > shown.len() { " More targets: " } else { " All pairs: " };
    format!(
        "<h3>Who leads where</h3>\n{}<p class=\"note\">In brackets: points of top-1 from the leader, the mean of the \
         differences seed by seed ± half of its 95 % t-interval, and the number of pairs. {}The highest of several means on \
         test flatters a little.{more}<a href=\"differences.csv\">differences.csv</a>, <a href=\"differences.json\">differences.json</a>.</p>\n",
        table.html(),
        luck(comparisons)
    )
}

/// How far to trust that many comparisons; nothing where there is none.
fn luck(comparisons: usize) -> String {
    let made = match comparisons {
        0 => return String::new(),
        1 => "One comparison was made at 95 %".to_owned(),
        more => format!("{} comparisons were made at 95 % each", grouped(more as u64)),
    };
    format!("{made}: of twenty such, about one misleads by luck. ")
}

/// `-0.52 ± 0.31, 3 pairs`.
fn points(spread: &Spread) -> String {
    match spread.half_width {
        Some(half) => format!("{:+.2} ± {half:.2}, {} pairs", spread.mean, spread.n),
        None => format!("{:+.2}, one pair", spread.mean),
    }
}

/// A row a series and target.
fn numbers(group: &Group<'_>) -> String {
    let headings = [
        "series",
        "target",
        "seeds",
        "steps",
        "top-1",
        "lowest",
        "highest",
        "just pruned",
        "sparsity",
        "compression",
        "MACs left",
        "vs dense",
        "vs random",
    ];
    let mut table = Table::new("names", &headings);
    let all: Vec<_> =
        group.series.iter().flat_map(|series| series.pools.iter().map(move |pool| (series, pool))).collect();
    for place in pick(all.len(), ROWS) {
        let (series, pool) = all[place];
        let note = if pool.is_collapsed() { format!("s{} collapsed", series.id) } else { format!("s{}", series.id) };
        table.row(&note, row(group, series, pool));
    }
    let thinned = if all.len() > ROWS {
        format!(
            " {ROWS} of {} rows are shown; all are in <a href=\"series.csv\">series.csv</a>.",
            grouped(all.len() as u64)
        )
    } else {
        String::new()
    };
    folded(
        "Every series at every target",
        &format!(
            "Top-1 on test, in percent: mean ± half of the 95 % t-interval, from three seeds on, or how many of the seeds collapsed; lowest and highest of the seeds. vs dense, vs \
             random: points from the control, the mean over the seeds that both have. steps: how long it had trained when it was tested. Means of sizes.{thinned}"
        ),
        table,
    )
}

fn row(group: &Group<'_>, series: &RunSeries<'_>, pool: &Pool<'_>) -> Vec<String> {
    let top_1 = pool.top_1();
    let edge = |of: fn(&Spread) -> f64| top_1.as_ref().map_or("-".to_owned(), |spread| format!("{:.2}", of(spread)));
    let size = pool.samples.iter().find_map(|sample| sample.point.size());
    let mean =
        |of: fn(&crate::event::Size) -> f64| pool.spread(|sample| Some(of(&sample.point.size()?))).map(|s| s.mean);
    let count = |of: fn(&crate::event::Size) -> f64| mean(of).map_or(0, |mean| mean.round() as u64);
    let (sparsity, compression, macs) = match size {
        Some(size) => (
            value(
                &percent(count(|size| size.pruned as f64), size.prunable),
                Some(&fraction(count(|size| size.pruned as f64), size.prunable)),
            ),
            value(
                &times(mean(|size| size.compression_ratio()).unwrap_or(f64::NAN)),
                Some(&fraction(size.parameters, count(|size| size.nonzero as f64))),
            ),
            value(&grouped(count(|size| size.remaining_macs as f64)), Some(&format!("of {}", grouped(size.macs)))),
        ),
        None => ("-".to_owned(), "-".to_owned(), "-".to_owned()),
    };
    // Where some seeds collapsed, a mean difference is as little of any of them as a mean is.
    let difference = |control: Option<(&RunSeries<'_>, Spread)>| match control.filter(|_| split(pool).is_none()) {
        Some((control, spread)) => {
            format!("{}<small>{}</small>", escape(&points(&spread)), escape(&control.label))
        }
        None => "-".to_owned(),
    };
    let dense = dense_control(series, &group.series);
    let dense = dense.and_then(|control| Some((control, against_dense(pool, &control.dense)?)));
    let random = random_control(series, pool, &group.series).filter(|_| series.control != Control::Dense);
    vec![
        format!("{}{}", swatch(series), escape(&series.label)),
        series.unit.words(pool.target),
        pool.samples.len().to_string(),
        pool.steps().map_or("-".to_owned(), |steps| grouped(steps.round() as u64)),
        self::top_1(pool).split("<small>").next().unwrap_or("-").replace(" of ", " / "),
        edge(|spread| spread.min),
        edge(|spread| spread.max),
        accuracy(pool.spread(Sample::just_pruned).as_ref()).split("<small>").next().unwrap_or("-").to_owned(),
        sparsity,
        compression,
        macs,
        difference(dense),
        difference(random),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::group::groups;

    #[test]
    fn comparisons_are_counted_and_none_is_not_mentioned() {
        assert_eq!(luck(0), "");
        assert_eq!(luck(1), "One comparison was made at 95 %: of twenty such, about one misleads by luck. ");
        assert_eq!(luck(21), "21 comparisons were made at 95 % each: of twenty such, about one misleads by luck. ");
        let runs = |of_random: &[u64]| {
            let pruned = [1, 2, 3].map(fixture::l1_events);
            let events = pruned.into_iter().chain(of_random.iter().map(|&seed| fixture::random_events(seed)));
            events.map(|events| fixture::input("a", fixture::record(&events))).collect::<Vec<_>>()
        };
        let page = |of_random: &[u64]| tables(&groups(&runs(of_random))[0]);
        let compared = page(&[1, 2, 3]);
        assert!(compared.contains("7 comparisons were made at 95 % each: of twenty such"), "{compared}");
        let strangers = page(&[4, 5]);
        assert!(strangers.contains("Who leads where"), "{strangers}");
        assert!(
            !strangers.contains("comparison") && !strangers.contains("luck"),
            "no pair, no comparison: {strangers}"
        );
    }
}
