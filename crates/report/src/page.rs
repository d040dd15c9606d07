//! The report as one HTML page that needs nothing beside it: styles, pictures and a small script are inside, and it opens
//! offline. All numbers are there without the script.

use std::collections::BTreeMap;

use crate::apart::Apart;
use crate::audit::{Item, counts};
use crate::chart::Chart;
use crate::draw::Layout;
use crate::error::Error;
use crate::family::Family;
use crate::group::{Figure, Group, suffix};
use crate::render::svg;
use crate::series::RunSeries;
use crate::views::{self, Views};

mod apart;
mod audit;
mod budget;
mod cost;
mod filter;
pub(crate) mod html;
mod judged;
mod layers;
mod live;
mod run;
mod series;

use budget::Budget;
use html::escape;
use run::Placed;

pub use live::LivePage;

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// What a page shows.
pub(crate) struct Parts<'p, 'a> {
    pub(crate) groups: &'p [Group<'a>],
    pub(crate) families: &'p [Family<'p, 'a>],
    pub(crate) audit: &'p [Item],
    pub(crate) apart: &'p [Apart],
    pub(crate) views: &'p Views,
}

/// The whole page.
pub(crate) fn page(parts: &Parts<'_, '_>) -> Result<String, Error> {
    let Parts { groups, families, audit, apart, views } = parts;
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Secateur report</title>\n\
         <style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>How small, at what accuracy?</h1>\n",
        views::STYLE
    );
    out.push_str(&lead(parts));
    out.push_str("</header>\n");
    out.push_str(&filter::boxes(groups));
    let runs: Vec<_> = groups.iter().flat_map(|group| &group.runs).collect();
    let cycles = runs.iter().map(|run| run.record.tests.len()).sum();
    let budget = Budget::of(runs.len(), cycles);
    for (index, group) in groups.iter().enumerate() {
        out.push_str(&group_section(group, index)?);
    }
    for (index, family) in families.iter().enumerate() {
        out.push_str(&cost::section(family, index)?);
    }
    out.push_str(&views::section(views));
    out.push_str(&audit::section(audit));
    out.push_str(&apart::section(apart));
    out.push_str(&runs_section(groups, budget)?);
    out.push_str(
        "<footer>Numbers on the trained models come from their files, all others from the runs' logs. Tables for other tools: <a href=\"series.csv\">series.csv</a>, \
         <a href=\"differences.csv\">differences.csv</a>, <a href=\"curve.csv\">curve.csv</a>.</footer>\n",
    );
    out.push_str(&format!("</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"));
    Ok(out)
}

/// What the page holds, how to read it, and where things are.
fn lead(parts: &Parts<'_, '_>) -> String {
    let runs: usize = parts.groups.iter().map(|group| group.runs.len()).sum();
    let series: usize = parts.groups.iter().map(|group| group.series.len()).sum();
    let several = crate::lines::has_seeds(parts.groups.iter().flat_map(|group| &group.series));
    let count = |number: usize, one: &str, many: &str| match number {
        1 => format!("one {one}"),
        number => format!("{number} {many}"),
    };
    let seeds = if several {
        "Lines are means over seeds, thin dots single seeds. Bands: the 95 % t-interval (Student) of three seeds or more, the \
         lowest to the highest of two. Bars: of one seed alone, what its test images leave open (95 %, Wilson). Where some seeds \
         collapsed and others did not, each stands for itself."
    } else {
        "Each line is one run with one seed; bars: what its test images leave open (95 %, Wilson). <strong>One seed is an anecdote:</strong> a few tenths of a point between two \
         runs may be luck."
    };
    let mut links = Vec::new();
    let mut link = |id: String, words: String| links.push(format!("<a href=\"#{id}\">{words}</a>"));
    for (index, group) in parts.groups.iter().enumerate() {
        link(format!("group-{index}"), escape(&group.title));
    }
    for (index, family) in parts.families.iter().enumerate() {
        link(format!("cost-{index}"), format!("what accuracy costs: {}", escape(&family.title)));
    }
    if !parts.views.is_empty() {
        link("models".to_owned(), "the trained models".to_owned());
    }
    link("audit".to_owned(), counts(parts.audit));
    if !parts.apart.is_empty() {
        link("apart".to_owned(), "not shown, and why".to_owned());
    }
    link("runs".to_owned(), "runs".to_owned());
    let first = parts.groups.iter().flat_map(|group| &group.series).next();
    let shared = first.and_then(|series| series.name.strip_suffix(&series.label)).filter(|shared| !shared.is_empty());
    let shared = shared.map_or(String::new(), |shared| {
        format!(" All names of series begin with <code>{}</code>, which is left out here.", escape(shared))
    });
    format!(
        "<p>Top-1 on the test split of {} in {}. The test split is only ever reported on: choices, such as the best epoch or \
         an early stop, were made on the validation split. {seeds}{shared}</p>\n<nav>{}</nav>\n",
        count(runs, "run", "runs"),
        count(series, "series", "series"),
        links.join(" · ")
    )
}

fn group_section(group: &Group<'_>, index: usize) -> Result<String, Error> {
    let mut out = format!("<section id=\"group-{index}\">\n<h2>{}</h2>\n", escape(&group.title));
    out.push_str(&series::tables(group));
    for drawn in &group.figures {
        out.push_str(&captioned(drawn)?);
    }
    if !group.densities.is_empty() {
        out.push_str("<details>\n<summary>What each series keeps of each layer</summary>\n");
        for drawn in &group.densities {
            out.push_str(&captioned(drawn)?);
        }
        out.push_str("</details>\n");
    }
    if group.figures.is_empty() {
        out.push_str("<p>There is no test yet.</p>\n");
    }
    out.push_str("</section>\n");
    Ok(out)
}

fn captioned(Figure { stem, chart, note }: &Figure) -> Result<String, Error> {
    let files = stem.as_ref().map_or(String::new(), |stem| files(stem));
    Ok(format!("{}<p class=\"files\">{note} {files}</p>\n", figure(chart)?))
}

/// All runs, each in a line that opens.
fn runs_section(groups: &[Group<'_>], budget: Budget) -> Result<String, Error> {
    let mut all: Vec<Placed<'_>> = Vec::new();
    let (mut configs, mut used) = (BTreeMap::new(), BTreeMap::new());
    for group in groups {
        for &run in &group.runs {
            let mine =
                |series: &&RunSeries<'_>| series.runs.iter().chain(&series.spare).any(|of| std::ptr::eq(*of, run));
            let class = group.series.iter().find(mine).map_or(String::new(), |series| format!("s{}", series.id));
            // Made from its name, so that a page that is made again while runs come and go keeps what its reader opened.
            let id = suffix(&mut used, &run.label);
            let same_config = configs.entry(run.origin.config.as_str()).or_insert_with(|| id.clone()).clone();
            all.push(Placed { run, class, id, same_config });
        }
    }
    let mut out = format!("<section id=\"runs\">\n<h2>Every run</h2>\n{}", run::overview(&all));
    for placed in &all {
        out.push_str(&run::section(placed, all.len() == 1, budget)?);
    }
    Ok(out + "</section>\n")
}

/// Where a chart lies as a file.
fn files(stem: &str) -> String {
    format!("This chart as <a href=\"{stem}.svg\">SVG</a> or <a href=\"{stem}.png\">PNG</a>.")
}

/// A chart twice, for wide and for narrow screens; the style shows one of them.
fn figure(chart: &Chart) -> Result<String, Error> {
    let label = escape(&format!("{}: {}", chart.title, chart.subtitle));
    let (wide, narrow) = (svg(chart, Layout::Wide)?, svg(chart, Layout::Narrow)?);
    Ok(format!(
        "<figure role=\"img\" aria-label=\"{label}\">\n<div class=\"wide\">{wide}</div>\n\
         <div class=\"narrow\">{narrow}</div>\n</figure>\n"
    ))
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
