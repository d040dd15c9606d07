//! The report as one HTML page that needs nothing beside it: styles and pictures are inside, and it opens offline.

use crate::curve::learning_chart;
use crate::draw::Layout;
use crate::error::Error;
use crate::family::Family;
use crate::number::{duration, grouped, percent};
use crate::record::{Control, RunRecord, State};
use crate::render::svg;
use crate::report::{Group, ReportInput};
use crate::rows::{HEADINGS, rows};
use crate::views::{self, Views};

mod cost;
pub(crate) mod html;
mod layers;
mod live;

use html::{Table, escape};

pub use live::LivePage;

const STYLE: &str = include_str!("page/style.css");

/// The whole page.
pub(crate) fn page(groups: &[Group<'_>], families: &[Family<'_>], views: &Views) -> Result<String, Error> {
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Secateur report</title>\n\
         <style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>How small, at what accuracy?</h1>\n",
        views::STYLE
    );
    out.push_str(
        "<p>Accuracy is raw top-1 on the test split, which is only ever reported on: choices, such as the best epoch \
         or an early stop, were made on the validation split, not on test. Each line is one run with one seed. \
         <strong>One seed is an anecdote:</strong> a few tenths of a point between two runs may be luck.</p>\n</header>\n",
    );
    for family in families {
        out.push_str(&cost::section(family)?);
    }
    for group in groups {
        out.push_str(&group_section(group)?);
    }
    out.push_str(&views::section(views));
    out.push_str("<footer>Numbers on the trained models come from their files, all others from the runs' logs; every test is a row of <a href=\"curve.csv\">curve.csv</a>.</footer>\n");
    out.push_str("</main>\n</body>\n</html>\n");
    Ok(out)
}

fn group_section(group: &Group<'_>) -> Result<String, Error> {
    let mut out = format!("<section>\n<h2>{}</h2>\n", escape(&group.title));
    for (stem, chart) in &group.charts {
        out.push_str(&figure(chart)?);
        out.push_str(&format!("<p class=\"files\">{}</p>\n", files(stem)));
    }
    out.push_str(&overview(&group.runs));
    for run in &group.runs {
        out.push_str(&run_section(run)?);
    }
    out.push_str("</section>\n");
    Ok(out)
}

/// Where a chart lies as a file.
fn files(stem: &str) -> String {
    format!("This chart as <a href=\"{stem}.svg\">SVG</a> or <a href=\"{stem}.png\">PNG</a>.")
}

/// A chart twice, for wide and for narrow screens; the style shows one of them.
fn figure(chart: &crate::chart::Chart) -> Result<String, Error> {
    let label = escape(&format!("{}: {}", chart.title, chart.subtitle));
    let (wide, narrow) = (svg(chart, Layout::Wide)?, svg(chart, Layout::Narrow)?);
    Ok(format!(
        "<figure role=\"img\" aria-label=\"{label}\">\n<div class=\"wide\">{wide}</div>\n\
         <div class=\"narrow\">{narrow}</div>\n</figure>\n"
    ))
}

fn overview(runs: &[&ReportInput]) -> String {
    let headings = ["run", "kind", "seed", "state", "sparsity", "last top-1", "best top-1"];
    let costs = cost::overview_headings(runs);
    let mut table = Table::new("names", &[&headings[..], costs].concat());
    for run in runs {
        let summary = run.record.summary();
        let score = |score: crate::event::Score| {
            html::value(
                &percent(score.correct, score.total),
                Some(&crate::number::fraction(score.correct, score.total)),
            )
        };
        let none = || "no test yet".to_owned();
        let best = summary.best.map(|(best, size)| {
            format!("{}<small>at {} sparsity</small>", score(best), percent(size.pruned, size.prunable))
        });
        table.row(
            "",
            [
                escape(&run.label),
                kind(&run.record).to_owned(),
                run.record.started.seed.to_string(),
                state(&run.record),
                summary.size.map_or("-".into(), |size| percent(size.pruned, size.prunable)),
                summary.last.map_or_else(none, score),
                best.unwrap_or("-".into()),
            ]
            .into_iter()
            .chain(cost::overview(&run.record).into_iter().take(costs.len())),
        );
    }
    format!("<h3>Runs</h3>\n{}", table.html())
}

fn kind(record: &RunRecord) -> &'static str {
    match record.control() {
        Control::Pruned => "pruned",
        Control::Random => "random control",
        Control::Dense => "dense control",
    }
}

fn state(record: &RunRecord) -> String {
    match record.state() {
        State::Finished => "finished".to_owned(),
        State::Unfinished => format!(
            "<mark>unfinished</mark> <small>at step {} of {}</small>",
            grouped(record.step()),
            grouped(record.started.planned_steps)
        ),
    }
}

fn run_section(run: &ReportInput) -> Result<String, Error> {
    let record = &run.record;
    let mut out = format!("<article>\n<h3>{}</h3>\n", escape(&run.label));
    out.push_str(&facts(record));
    out.push_str(&format!("<p>To repeat it:</p>\n<pre><code>{}</code></pre>\n", escape(&run.reproduce)));
    out.push_str("<h4>Curve</h4>\n");
    out.push_str(&curve(record));
    out.push_str(&cost::tables(record));
    if let Some(chart) = learning_chart(&run.label, record) {
        out.push_str(&figure(&chart)?);
    }
    out.push_str(&layers::densities(record));
    out.push_str(&layers::paths(record));
    out.push_str("</article>\n");
    Ok(out)
}

fn facts(record: &RunRecord) -> String {
    let started = &record.started;
    let images = &started.images;
    let method = started.method.as_ref().map_or("none: a dense control".to_owned(), |method| {
        let kind = if method.granularity == "element" { String::new() } else { format!(" by {}", method.granularity) };
        format!("{}{kind}, {}; {}; then {}", method.criterion, method.scope, method.schedule, method.retrain)
    });
    let early: u64 = record.stops.iter().map(|stop| stop.steps_saved).fold(0, u64::saturating_add);
    let steps = format!("{} trained of {} planned", grouped(record.step()), grouped(started.planned_steps));
    let steps = match record.stops.len() {
        0 => steps,
        1 => format!("{steps}; {} saved by an early stop", grouped(early)),
        stops => format!("{steps}; {} saved by {stops} early stops", grouped(early)),
    };
    let mut facts = vec![
        ("experiment", format!("{}, seed {}", started.name, started.seed)),
        (
            "model",
            format!(
                "{}: {} parameters, {} of them prunable, {} MACs an image",
                started.model,
                grouped(started.parameters),
                grouped(started.prunable),
                grouped(started.macs)
            ),
        ),
        (
            "data",
            format!(
                "{}: {} images to train on, {} to choose on, {} to report on",
                started.dataset,
                grouped(images.train),
                grouped(images.validation),
                grouped(images.test)
            ),
        ),
        ("pruning", method),
        ("prunes", format!("{} done of {} planned", record.prunes.len(), grouped(started.planned_prunes))),
        ("training", format!("{}; {} images a step", started.optimizer, grouped(started.batch_size))),
        ("steps", steps),
        ("device", started.device.clone()),
    ];
    if record.elapsed_ms > 0 {
        facts.push(("time", duration(record.elapsed_ms)));
    }
    if let Some(ended) = &record.ended {
        facts.push(("model file", format!("{} bytes, SHA-256 {}", grouped(ended.model_bytes), ended.model_sha256)));
    }
    let mut out = format!("<dl>\n<dt>state</dt><dd>{}</dd>\n", state(record));
    for (name, fact) in facts {
        out.push_str(&format!("<dt>{name}</dt><dd>{}</dd>\n", escape(&fact)));
    }
    out.push_str("</dl>\n");
    out
}

fn curve(record: &RunRecord) -> String {
    let rows = rows(record);
    if rows.is_empty() {
        return "<p>There is no test yet.</p>\n".to_owned();
    }
    let mut table = Table::new("", &HEADINGS);
    for row in rows {
        let [first, rest @ ..] = row.cells.map(|cell| html::value(&cell.value, cell.fraction.as_deref()));
        let note = if row.note.is_empty() { String::new() } else { format!("<br><mark>{}</mark>", row.note) };
        table.row(row.note, std::iter::once(format!("{first}{note}")).chain(rest));
    }
    format!(
        "{}<p class=\"note\">Sparsity: zeros among the prunable parameters. Whole model and compression: over all \
         parameters, biases included. *Theoretical: dense MACs over those left, not a measured time. vs dense: points \
         of top-1 from this run's own cycle 0. Peak memory: the most that the process had resident since the last test \
         of the cycle before. Collapsed: right at most twice as often as a guess.</p>\n",
        table.html()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn run(label: &str) -> ReportInput {
        let record = fixture::record(&fixture::l1_events(7));
        ReportInput { label: label.into(), record, reproduce: "secateur run <config>".into() }
    }

    fn page_of(run: &ReportInput) -> String {
        let group = Group { title: "lenet on mnist".into(), runs: vec![run], charts: Vec::new() };
        page(&[group], &[], &Views::default()).expect("a page")
    }

    #[test]
    fn the_page_says_what_was_run_and_how_to_repeat_it() {
        let page = page_of(&run("runs/l1"));
        for text in [
            "runs/l1",
            "seed 7",
            "60,074 parameters, 58,944 of them prunable, 199,968 MACs",
            "55,000 images to train on, 5,000 to choose on, 10,000 to report on",
            "l1, global; 50, 75, 90, 95, 98, 99, 99.5 %; then fine-tune",
            "sgd, learning rate 0.05, momentum 0.9; 128 images a step",
            "13,760 trained of 14,190 planned; 430 saved by an early stop",
            "secateur run &lt;config&gt;",
            "9,821 / 10,000",
            "29,472 / 58,944",
            "<mark>collapsed</mark>",
            "conv1.weight",
            "Which path computed each layer",
            "One seed is an anecdote",
        ] {
            assert!(page.contains(text), "{text}");
        }
    }

    #[test]
    fn a_cycle_shows_its_peak_memory_or_a_dash() {
        let mut run = run("a");
        assert!(page_of(&run).contains(">peak memory</th>"));
        assert!(!page_of(&run).contains(" MiB</td>"));
        let dashes = page_of(&run).matches("<td>-</td></tr>").count();
        run.record.tests[0].peak_memory_bytes = Some(412 << 20);
        let page = page_of(&run);
        assert_eq!(page.matches("<td>412 MiB</td></tr>").count(), 1);
        assert_eq!((dashes, page.matches("<td>-</td></tr>").count()), (8, 7), "a row a cycle");
    }

    #[test]
    fn the_page_needs_nothing_beside_it() {
        let page = page_of(&run("a")).replace("http://www.w3.org/2000/svg", "");
        for text in ["http:", "https:", "<script", "<link", "@import", "src="] {
            assert!(!page.contains(text), "{text}");
        }
    }

    #[test]
    fn what_a_user_named_cannot_become_markup() {
        let mut run = run("<script>alert(1)</script>");
        let evil = "\"><img src=x onerror='1'>&".to_owned();
        run.record.started.name = evil.clone();
        run.record.started.optimizer = evil.clone();
        run.record.started.device = evil.clone();
        run.record.prunes[0].layers[0].name = evil.clone();
        let compiled = run.record.tests[0].compiled.as_mut().expect("the fixture says how it computes");
        compiled.instruction_set = evil.clone();
        compiled.layers[0].name = evil.clone();
        compiled.layers[1].path = evil.clone();
        run.reproduce = evil;
        let page = page_of(&run);
        assert!(!page.contains("<script") && !page.contains("<img"), "escaped");
        assert!(page.contains("&quot;&gt;&lt;img src=x onerror=&#39;1&#39;&gt;&amp;"));
    }

    #[test]
    fn every_element_is_closed() {
        let page = page_of(&run("a"));
        for name in ["section", "article", "table", "tr", "td", "th", "dl", "details", "figure", "div", "svg", "main"] {
            let opened = page.matches(&format!("<{name}>")).count() + page.matches(&format!("<{name} ")).count();
            assert_eq!(opened, page.matches(&format!("</{name}>")).count(), "{name}");
        }
    }
}
