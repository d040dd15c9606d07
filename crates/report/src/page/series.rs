//! The tables of series on the page: all of them at a glance, who leads where, and every number.

use super::budget::pick;
use super::filter::swatch;
use super::html::{Table, escape, value};
use super::layers::folded;
use crate::compare::{Against, Comparison, Contest, Entry, Verdict, contests, no_control, vs_dense, vs_random};
use crate::group::Group;
use crate::interval::{Interval, split};
use crate::number::{fraction, grouped, percent, times};
use crate::series::{Pool, RunSeries, Sample};
use crate::statistics::Spread;

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
            let leads = contest.leader().is_some_and(|leader| leader.series.id == series.id);
            let verdict = verdicts(contest).into_iter().find(|(id, _)| *id == series.id).map(|(_, verdict)| verdict);
            match verdict {
                _ if leads => cell = format!("<strong>{cell}</strong>"),
                Some(Verdict::Same) => cell = format!("<em>≈</em> {cell}"),
                Some(Verdict::NotComparable(_)) => cell = format!("<em>?</em> {cell}"),
                // Nothing is above the leader.
                Some(Verdict::Above | Verdict::Below) | None => {}
            }
            if entry.pool.is_collapsed() { format!("{cell}<small><mark>collapsed</mark></small>") } else { cell }
        };
        let name = format!("{}{}", swatch(series), escape(&series.label));
        let mark = no_control(series, &group.series).map_or(String::new(), |why| format!("<small>{why}</small>"));
        let cells = [name + &mark, top_1(&series.dense)].into_iter().chain(shown.iter().map(cell));
        table.row(&format!("s{}", series.id), cells);
    }
    format!(
        "<h3>At a glance</h3>\n{}<p class=\"note\">Top-1 on test in percent after training, by target sparsity: mean ± half \
         of the 95 % t-interval, and the seeds. <strong>Bold</strong>: of the series that can all be compared over three seeds or more, \
         the highest mean over these seeds among those that no series is significantly above. Beside a bold one <em>≈</em>: no \
         significant difference from it; <em>?</em>: not comparable with it, the next table says why; without a mark: significantly \
         below it. A column without a bold one has no marks. Of two seeds the \
         lowest and the highest stand below; fewer than three lead nothing. Other training, or so many times the steps: a dense network \
         that is the control of none of these. Where some seeds collapsed and others did not, there is no \
         mean: how many stands there. Unpruned: before the first prune, and of a dense network at its end. All targets: <a href=\"series.csv\">series.csv</a>, <a href=\"series.json\">series.json</a>.</p>\n",
        table.html()
    )
}

/// `98.93 ± 0.12`, below it the seeds.
fn accuracy(spread: Option<&Spread>) -> String {
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
pub(super) fn top_1(pool: &Pool<'_>) -> String {
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

/// Each series at the target but the leader, by its number, and what is said of it beside the leader.
fn verdicts(contest: &Contest<'_, '_>) -> Vec<(usize, Verdict)> {
    contest.beside_leader().into_iter().map(|(entry, found)| (entry.series.id, found.verdict)).collect()
}

/// A row a target with a leader.
fn leaders(shown: &[&Contest<'_, '_>], all: usize) -> String {
    let led: Vec<_> = shown.iter().filter(|contest| contest.leader().is_some()).collect();
    if led.is_empty() {
        return String::new();
    }
    let headings = ["sparsity", "leader", "no significant difference", "significantly below", "not comparable"];
    let mut table = Table::new("words", &headings);
    let mut most = 0;
    for contest in &led {
        let Some(leader) = contest.leader() else { continue };
        let found = contest.beside_leader();
        most = most.max(contest.comparisons().filter(|(_, _, found)| found.corrected.is_some()).count());
        let list = |fits: fn(&Verdict) -> bool| {
            let names =
                found.iter().filter(|(_, found)| fits(&found.verdict)).map(|(entry, found)| beside(entry, found));
            let names: Vec<_> = names.collect();
            if names.is_empty() { "-".to_owned() } else { escape(&names.join("; ")) }
        };
        let name = format!("{}<small>{}</small>", escape(&leader.series.label), top_1(leader.pool));
        let target = contest.unit.words(contest.target);
        let columns = [
            list(|verdict| *verdict == Verdict::Same),
            list(|verdict| *verdict == Verdict::Below),
            list(|verdict| matches!(verdict, Verdict::NotComparable(_))),
        ];
        table.row("", [target, name].into_iter().chain(columns));
    }
    let more = if all > shown.len() { " More targets: " } else { " All pairs: " };
    format!(
        "<h3>Who leads where</h3>\n{}<p class=\"note\">In brackets: points of top-1 from the leader, the mean of the \
         differences seed by seed ± half of its 95 % t-interval, and the number of pairs. {}{more}<a \
         href=\"differences.csv\">differences.csv</a>, <a href=\"differences.json\">differences.json</a>.</p>\n",
        table.html(),
        rule(most)
    )
}

/// `l2-global (-0.52 ± 0.31, 3 pairs)`, or why it is not compared.
fn beside(entry: &Entry<'_, '_>, found: &Comparison) -> String {
    let words = match (&found.verdict, &found.spread) {
        (Verdict::NotComparable(why), Some(spread)) => format!("{}; {why}", points(spread)),
        (Verdict::NotComparable(why), None) => why.clone(),
        (_, Some(spread)) => points(spread),
        (_, None) => "-".to_owned(),
    };
    format!("{} ({words})", entry.series.label)
}

/// When a difference is significant, where so many comparisons at most are made at one target.
fn rule(most: usize) -> String {
    let corrected = match most {
        0 | 1 => String::new(),
        most => format!(
            ", corrected by Holm's method for all comparisons at the same sparsity (up to {}): where none differs, any is called \
             significant with a probability of at most 5 %",
            grouped(most as u64)
        ),
    };
    format!(
        "Significant: p below 0.05 in a paired t-test over three seeds or more, and more test images than McNemar's exact test \
         leaves to luck{corrected}. Sparsities are not corrected for each other. The best of several means is biased upwards \
         (selection on test), and all of it holds for these test images."
    )
}

/// `-0.52 ± 0.31, 3 pairs`, `-0.52, 2 pairs: -0.60 to -0.44` or `-0.52, one pair`.
pub(super) fn points(spread: &Spread) -> String {
    let Spread { n, mean, min, max, .. } = spread;
    match spread.half_width {
        Some(half) => format!("{mean:+.2} ± {half:.2}, {n} pairs"),
        None if *n > 1 => format!("{mean:+.2}, {n} pairs: {min:+.2} to {max:+.2}"),
        None => format!("{mean:+.2}, one pair"),
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
            "Top-1 on test, in percent: mean ± half of the 95 % t-interval, from three seeds on, or how many of the seeds collapsed; lowest and highest of the seeds. vs dense: points \
             from the dense control after as many steps, trained by the same optimizer at the same rates on the same images; vs random: \
             from the random control that is trained so and prunes as much. Both are means over the seeds that both have. steps: how long it had trained when it was tested. Means of sizes.{thinned}"
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
    let difference = |against: Result<Against<'_, '_>, &'static str>| match against {
        Ok(Against { spread: None, .. }) => "-<small>some seeds collapsed</small>".to_owned(),
        Ok(Against { series, spread: Some(spread), .. }) => {
            format!("{}<small>{}</small>", escape(&points(&spread)), escape(&series.label))
        }
        Err(why) => format!("-<small>{why}</small>"),
    };
    let dense = vs_dense(series, pool, &group.series);
    let random = vs_random(series, pool, &group.series);
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
    use crate::report::ReportInput;

    #[test]
    fn the_rule_is_said_where_something_is_compared() {
        assert!(!rule(1).contains("Holm") && rule(6).contains("(up to 6)"));
        let runs = |of_random: &[u64]| {
            let pruned = [1, 2, 3].map(fixture::l1_events);
            let events = pruned.into_iter().chain(of_random.iter().map(|&seed| fixture::random_events(seed)));
            events.map(|events| fixture::input("a", fixture::record(&events))).collect::<Vec<_>>()
        };
        let page = |of_random: &[u64]| tables(&groups(&runs(of_random))[0]);
        let compared = page(&[1, 2, 3]);
        assert!(compared.contains("Who leads where") && compared.contains("random-global (-0.38 ± 0.00, 3 pairs)"));
        assert!(compared.contains("no dense control of equal steps"), "{compared}");
        let strangers = page(&[4, 5, 6]);
        assert!(!strangers.contains("Who leads where"), "no seed in common, no leader: {strangers}");
        assert!(!strangers.contains("<em>≈</em> 9"), "and no sign for equal: {strangers}");
    }

    #[test]
    fn a_difference_over_two_seeds_is_not_called_one_pair() {
        let mut runs = Vec::new();
        for seed in [1, 2] {
            for events in [fixture::l1_events(seed), fixture::random_events(seed), fixture::dense_events(seed)] {
                runs.push(fixture::input("a", fixture::record(&events)));
            }
        }
        let page = |runs: &[ReportInput]| tables(&groups(runs)[0]);
        let two = page(&runs);
        // 98.99 and 98.86 against 99.06 %, against 98.61 and 98.48 %.
        for text in ["<td>-0.14, 2 pairs: -0.20 to -0.07<small>", "<td>+0.38, 2 pairs: +0.38 to +0.38<small>"] {
            assert!(two.contains(text), "{text}: {two}");
        }
        assert!(!two.contains("one pair"), "{two}");
        let one = page(&runs[..3]);
        assert!(one.contains("<td>-0.07, one pair<small>") && !one.contains("2 pairs"), "{one}");
    }

    #[test]
    fn seeds_of_which_some_collapsed_have_no_mean_difference() {
        let mut runs = Vec::new();
        for seed in 1..=3 {
            for events in [fixture::l1_events(seed), fixture::random_events(seed), fixture::dense_events(seed)] {
                runs.push(fixture::input("a", fixture::record(&events)));
            }
        }
        // At 50 %.
        runs[3].record.tests[2].tested.score.correct = 1_135;
        let page = tables(&groups(&runs)[0]);
        assert!(page.contains("-<small>some seeds collapsed</small>"), "{page}");
        let (_, leaders) = page.split_once("Who leads where").expect("other targets have a leader");
        assert!(!leaders.contains("1 of 3"), "it leads nothing: {leaders}");
        let (glance, _) = page.split_once("Who leads where").expect("as before");
        assert!(glance.contains("<td>1 of 3<small>seeds collapsed</small>"), "neither bold nor marked: {glance}");
    }
}
