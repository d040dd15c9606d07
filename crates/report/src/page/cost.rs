//! What networks cost to store and to run, on the page: charts over all sizes of a model, and a run's tables.

use super::html::{Table, escape, value};
use super::series::{points, top_1};
use super::{figure, files};
use crate::compare::Verdict;
use crate::cost::{calls, cost_table, how_timed, shown};
use crate::error::Error;
use crate::event::Latency;
use crate::family::{Better, Cheaper, Family, Rival};
use crate::interval;
use crate::number::{grouped, kilobytes, milliseconds, percent, short_percent, times};
use crate::record::{Measurement, Point, RunRecord};
use crate::series::RunSeries;

/// The charts of a family, each with a sentence on what it shows.
pub(super) fn section(family: &Family<'_, '_>, index: usize) -> Result<String, Error> {
    let mut out = format!("<section id=\"cost-{index}\">\n<h2>What accuracy costs: {}</h2>\n", escape(&family.title));
    out.push_str(
        "<p>Left is cheaper, up is better. Each line is a series, trained after every prune; framed beside it is its own \
         network before the first prune, which had trained for fewer steps. Squares are dense networks; a grey one was trained otherwise than every \
         series here, the others as one is but for the size of its model: pruning pays where its line passes above or left of these. \
         Ringed: no other network is both cheaper and more accurate.</p>\n",
    );
    let rivals = family.rivals();
    if rivals.is_empty() {
        out.push_str(
            "<p class=\"note\">No small dense network stands beside these runs. Report them together with a run of \
             another size and <code>prune.enabled = false</code> to see what one of equal cost reaches.</p>\n",
        );
    }
    for drawn in &family.figures {
        out.push_str(&figure(&drawn.chart)?);
        out.push_str(&format!("<p class=\"files\">{} {}</p>\n", escape(&drawn.note), files(&drawn.stem)));
    }
    out.push_str(&equal_cost(family, &rivals));
    out.push_str("</section>\n");
    Ok(out)
}

/// A row a dense network: the best pruned one that costs no more, by each cost.
fn equal_cost(family: &Family<'_, '_>, rivals: &[Rival<'_, '_>]) -> String {
    if rivals.is_empty() {
        return String::new();
    }
    let costs: Vec<_> = family.figures.iter().map(|figure| figure.cost.name()).collect();
    let mut headings = vec!["dense network", "top-1"];
    headings.extend(costs.iter().map(String::as_str));
    let mut table = Table::new("names", &headings);
    let model = |series: &RunSeries<'_>| series.runs[0].record.started.model.clone();
    for Rival { series, pruned } in rivals {
        let cells = pruned.iter().map(|cheaper| match cheaper {
            Cheaper::Nothing => "-".to_owned(),
            Cheaper::NotComparable(why) => format!("not comparable<small>{}</small>", escape(why)),
            Cheaper::Best(Better { series, pool, sparsity, found }) => {
                let difference = found.spread.as_ref().map_or("-".to_owned(), points);
                let said = match &found.verdict {
                    Verdict::NotComparable(why) => why,
                    Verdict::Above => "significantly above",
                    Verdict::Below => "significantly below",
                    Verdict::Same => "no significant difference",
                };
                let at = format!("{}, {} % sparse", model(series), short_percent(*sparsity));
                let (said, at, name) = (escape(said), escape(&at), escape(&series.label));
                let top_1 = escape(&interval::words(pool));
                format!(
                    "{difference}<small>{said}</small><small>{top_1}</small><small>{at}</small><small>{name}</small>"
                )
            }
        });
        let name = value(&model(series), Some(&series.label));
        table.row(&format!("s{}", series.id), [name, top_1(&series.dense)].into_iter().chain(cells));
    }
    format!(
        "<h3>Against a dense network of equal cost</h3>\n{}<p class=\"note\">A column for each cost: of the pruned networks of \
         another size that cost no more than the dense one in the row, the one that is furthest above it, in points of top-1. Both were \
         trained alike but for the size of the model, tested after as many steps, and are compared seed by seed; else they are not \
         comparable. Significant: p below 0.05 in a paired t-test over three seeds or more, and more test images than \
         McNemar's exact test leaves to luck, corrected by Holm's method for all that cost no more. The highest of several means on test is \
         biased upwards. A dash: none costs as little.</p>\n",
        table.html()
    )
}

/// Headings of what [`overview`] adds to the table of runs; none where nothing was measured.
pub(super) fn overview_headings(records: &[&RunRecord]) -> &'static [&'static str] {
    if records.iter().any(|record| last(record).is_some()) { &["file", "measured speed-up"] } else { &[] }
}

/// A run's file and measured speed-up at the last cycle that was measured and has not collapsed.
pub(super) fn overview(record: &RunRecord) -> [String; 2] {
    let none = || "-".to_owned();
    let Some((point, Measurement { measured, inference })) = last(record) else { return [none(), none()] };
    let at = point.size().map_or_else(none, |size| percent(size.pruned, size.prunable));
    let file = measured
        .files
        .first()
        .map(|file| format!("{}<small>at {at} sparsity</small>", value(&kilobytes(file.bytes), Some(&file.precision))));
    let calls = shown([record]).into_iter().rev();
    let latencies = calls.filter_map(|call| call.find(inference.as_ref()?));
    let speedup = |latency: &Latency| (times(latency.speedup()), grouped(latency.batch));
    let speedups: String = latencies
        .map(speedup)
        .enumerate()
        .map(|(index, (speedup, batch))| match index {
            0 => format!("{speedup}<small>batch {batch}</small>"),
            _ => format!("<small>{speedup} at batch {batch}</small>"),
        })
        .collect();
    [file.unwrap_or_else(none), if speedups.is_empty() { none() } else { speedups }]
}

fn last(record: &RunRecord) -> Option<(Point<'_>, &Measurement)> {
    record
        .points()
        .into_iter()
        .rev()
        .find_map(|point| point.measured.filter(|_| !point.is_collapsed()).map(|measured| (point, measured)))
}

/// The tables of a run; nothing where nothing was measured.
pub(super) fn tables(record: &RunRecord) -> String {
    let Some(costs) = cost_table(record) else { return String::new() };
    let headings: Vec<_> = costs.headings.iter().map(String::as_str).collect();
    let mut table = Table::new("", &headings);
    for (cells, note) in costs.rows {
        table.row(note, cells.iter().map(|cell| value(&cell.value, cell.fraction.as_deref())));
    }
    let timed = how_timed(record).map_or(String::new(), |how| format!(" {}", escape(&how)));
    format!(
        "<h4>What it costs to store and to run</h4>\n{}<p class=\"note\">File: the sparse model file. *Theoretical: \
         dense MACs over those left, as trained, and after compaction. Batch: the median time of one call of the \
         inference engine with so many images, below it the run's dense network in our own dense kernels; measured: how \
         many times faster that is. Memory: what the engine holds, weights and buffers.{timed}</p>\n{}{}",
        table.html(),
        times_table(record),
        facts_table(record)
    )
}

/// Every call that was timed, where the table above does not show them all.
fn times_table(record: &RunRecord) -> String {
    let calls = calls(record);
    if calls.len() <= shown([record]).len() {
        return String::new();
    }
    let headings: Vec<_> = calls.iter().map(ToString::to_string).collect();
    let mut table =
        Table::new("", &[&["cycle"], &headings.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    for point in record.points() {
        let Some(inference) = point.measured.and_then(|measurement| measurement.inference.as_ref()) else { continue };
        let cells = calls.iter().map(|call| {
            call.find(inference).map_or("-".to_owned(), |latency| {
                let dense = format!("dense {}", milliseconds(latency.dense_ms));
                let speedup = format!("<small>{}</small>", times(latency.speedup()));
                format!("{}{speedup}", value(&milliseconds(latency.sparse_ms), Some(&dense)))
            })
        });
        table.row("", std::iter::once(point.cycle.to_string()).chain(cells));
    }
    super::layers::folded("Every call that was timed", "Median times of one call, and how many times faster.", table)
}

/// Every file, and what compaction changes.
fn facts_table(record: &RunRecord) -> String {
    let measured = || record.points().into_iter().filter_map(|point| Some((point.cycle, &point.measured?.measured)));
    let mut precisions: Vec<&str> = Vec::new();
    for file in measured().flat_map(|(_, measured)| &measured.files) {
        if !precisions.contains(&file.precision.as_str()) {
            precisions.push(&file.precision);
        }
    }
    let names: Vec<_> = precisions.iter().map(|precision| format!("{precision} file, bytes")).collect();
    let mut headings = vec!["cycle"];
    headings.extend(names.iter().map(String::as_str));
    headings.extend(["units", "parameters", "nonzero", "MACs", "MACs left", "largest change of a logit"]);
    let mut table = Table::new("", &headings);
    for (cycle, measured) in measured() {
        let files = precisions.iter().map(|precision| {
            let file = measured.files.iter().find(|file| file.precision == *precision);
            file.map_or("-".to_owned(), |file| grouped(file.bytes))
        });
        let compacted = &measured.compacted;
        let counts =
            [compacted.units, compacted.parameters, compacted.nonzero, compacted.macs, compacted.remaining_macs];
        let delta = if compacted.max_logit_delta.is_nan() {
            "not a number".to_owned()
        } else {
            format!("{:.1e}", compacted.max_logit_delta)
        };
        let cells = std::iter::once(cycle.to_string()).chain(files).chain(counts.map(grouped));
        table.row("", cells.chain([delta]));
    }
    super::layers::folded(
        "The network after compaction",
        "Without units that are dead, or whose answer is always the same and was folded into biases.",
        table,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::families;
    use crate::fixture::{self, measured::measured};
    use crate::group::groups;
    use crate::report::ReportInput;

    fn runs() -> [ReportInput; 2] {
        [measured(fixture::l1_events(1), 5), measured(fixture::dense_events_to(1, 9869), 2)]
            .map(|lines| fixture::input("runs/a", fixture::measured::record(&lines)))
    }

    fn section_of(runs: &[ReportInput]) -> String {
        let groups = groups(runs);
        section(&families(&groups)[0], 0).expect("a section")
    }

    #[test]
    fn a_dense_network_meets_the_best_that_costs_no_more() {
        let runs = runs();
        let html = section_of(&runs);
        let row = "<th scope=\"row\">lenet k=2<small>dense</small></th><td>98.69<small>one seed</small></td>";
        assert!(html.contains(row), "{html}");
        let macs = "<td>-0.27, one pair<small>one seed in common, a verdict takes 3</small><small>98.42 % (one seed; its test \
                    images alone: 98.16 to 98.65)</small><small>lenet k=5, 95 % sparse</small><small>l1-global</small></td></tr>";
        assert!(html.contains(macs), "731,350 MACs of 799,872: {html}");
        assert!(!html.contains("No small dense network"));
        let alone = section_of(&runs[..1]);
        assert!(alone.contains("No small dense network") && !alone.contains("equal cost</h3>"));
    }

    #[test]
    fn two_seeds_are_not_called_one() {
        let mut two = runs().to_vec();
        two.extend(
            [measured(fixture::l1_events(2), 5), measured(fixture::dense_events_to(2, 9879), 2)]
                .map(|lines| fixture::input("runs/b", fixture::measured::record(&lines))),
        );
        let html = section_of(&two);
        let (_, table) = html.split_once("equal cost</h3>").expect("a table");
        // 98.42 and 98.29 against 98.69 and 98.79.
        assert!(table.contains("<td>-0.39, 2 pairs: -0.50 to -0.27<small>two seeds in common"), "{table}");
        assert!(table.contains("98.74<small>2 seeds, 98.69 to 98.79</small>"), "{table}");
        assert!(
            table.contains("98.36 % (2 seeds, 98.29 to 98.42)")
                && !table.contains("one seed")
                && !table.contains("one pair"),
            "{table}"
        );
        let third = [measured(fixture::l1_events(3), 5), measured(fixture::dense_events_to(3, 9872), 2)];
        let third = third.map(|lines| fixture::input("runs/c", fixture::measured::record(&lines)));
        let three = section_of(&[two.clone(), third.to_vec()].concat());
        assert!(three.contains("<td>-0.44 ± 0.38, 3 pairs<small>significantly below</small>"), "{three}");
        // Trained otherwise, nothing is said of them.
        two.iter_mut().skip(1).step_by(2).for_each(|run| run.record.started.batch_size = 64);
        let html = section_of(&two);
        assert!(html.contains("<td>not comparable<small>other training</small></td>"), "{html}");
    }

    #[test]
    fn nothing_measured_passes_as_markup_and_every_element_is_closed() {
        let mut runs = runs();
        let evil = "<img src=x>";
        for run in &mut runs {
            run.record.started.model = format!("{evil} {}", run.record.started.model);
            for test in &mut run.record.tests {
                let Some(measurement) = &mut test.measured else { continue };
                measurement.measured.files[0].precision = evil.into();
                measurement.measured.compacted.max_logit_delta = f64::NAN;
                measurement.inference.as_mut().expect("timed").instruction_set = evil.into();
            }
        }
        let html = section_of(&runs) + &tables(&runs[0].record);
        let html = html + &overview(&runs[0].record).concat();
        assert!(!html.contains("<img") && html.contains("&lt;img src=x&gt; file"));
        assert!(html.contains("<td>not a number</td>"));
        for name in ["section", "table", "tr", "td", "th", "details", "figure", "div", "svg", "p", "small"] {
            let opened = html.matches(&format!("<{name}>")).count() + html.matches(&format!("<{name} ")).count();
            assert_eq!(opened, html.matches(&format!("</{name}>")).count(), "{name}");
        }
    }
}
