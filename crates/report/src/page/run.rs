//! A run on the page: what it was, how it went, how to repeat it.

use super::budget::Budget;
use super::html::{self, Table, escape};
use super::{cost, figure, judged, layers};
use crate::draw::Layout;
use crate::error::Error;
use crate::event::{Method, SessionStarted};
use crate::learning::learning_chart;
use crate::number::{duration, grouped, percent};
use crate::record::{Control, RunRecord, State};
use crate::render::svg;
use crate::report::ReportInput;
use crate::rows::{HEADINGS, rows};

/// A run with its place on the page.
pub(super) struct Placed<'a> {
    pub(super) run: &'a ReportInput,
    /// The class of its series.
    pub(super) class: String,
    /// What the table of runs leads to.
    pub(super) id: String,
    /// The first run with the same config, which shows it.
    pub(super) same_config: String,
}

/// A run in a line that opens.
pub(super) fn section(placed: &Placed<'_>, open: bool, budget: Budget) -> Result<String, Error> {
    let Placed { run, class, id, .. } = placed;
    let record = &run.record;
    let last = record.summary().last.map_or("no test yet".to_owned(), |score| percent(score.correct, score.total));
    let open = if open { " open" } else { "" };
    let mut out = format!(
        "<details class=\"run {class}\" id=\"open{id}\"{open}>\n<summary>{}<small>{}, seed {}: {last}</small></summary>\n<div id=\"run{id}\">\n",
        escape(&run.label),
        kind(record),
        record.started.seed
    );
    out.push_str(&facts(run));
    out.push_str(&origin(placed, budget));
    out.push_str("<h4>Curve</h4>\n");
    out.push_str(&curve(record, budget));
    out.push_str(&judged::table(record));
    if budget.whole {
        out.push_str(&cost::tables(record));
    }
    if let Some(chart) = learning_chart(&run.label, record, budget.learning) {
        if budget.whole {
            out.push_str(&figure(&chart)?);
        } else {
            out.push_str(&format!("<figure class=\"small\">{}</figure>\n", svg(&chart, Layout::Narrow)?));
        }
    }
    if budget.whole {
        out.push_str(&layers::densities(record));
        out.push_str(&layers::paths(record));
    } else {
        out.push_str(
            "<p class=\"note\">Of so many runs a part is shown. All cycles, the layers and the costs of this one: \
             <code>secateur report</code> with its folder alone.</p>\n",
        );
    }
    out.push_str("</div>\n</details>\n");
    Ok(out)
}

/// How to repeat a run, where its log is, and its config.
fn origin(Placed { run, id, same_config, .. }: &Placed<'_>, budget: Budget) -> String {
    let origin = &run.origin;
    let mut out = if run.reproduce.is_empty() {
        "<p class=\"note\">The command that made it is not known.</p>\n".to_owned()
    } else {
        format!("<p>To repeat it:</p>\n<pre><code>{}</code></pre>\n", escape(&run.reproduce))
    };
    let changed = match run.reproduce.split_whitespace().any(|word| word == "--set" || word.starts_with("--set=")) {
        true => " What the command sets with <code>--set</code> comes on top of it.",
        false => "",
    };
    if !origin.config.is_empty() && same_config != id {
        out.push_str(&format!(
            "<p class=\"note\">Its config is <a href=\"#run{same_config}\">this run's</a>.{changed}</p>\n"
        ));
    } else if !origin.config.is_empty() {
        let shown: String = origin.config.chars().take(budget.config).collect();
        let cut = if shown.len() < origin.config.len() { "\n# the rest is in its config.toml" } else { "" };
        let note = match changed {
            "" => String::new(),
            changed => format!("<p class=\"note\">As it was written.{changed}</p>\n"),
        };
        out.push_str(&format!(
            "<details>\n<summary>Its config</summary>\n{note}<pre><code>{}{cut}</code></pre>\n</details>\n",
            escape(&shown)
        ));
    }
    let mut facts: Vec<(&str, &str)> = Vec::new();
    if !origin.log.is_empty() {
        facts.push(("log", &origin.log));
    }
    facts.extend(origin.surroundings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    if !facts.is_empty() {
        let facts: String = facts
            .iter()
            .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value)))
            .collect();
        out.push_str(&format!("<details>\n<summary>Where it ran</summary>\n<dl>\n{facts}</dl>\n</details>\n"));
    }
    out
}

/// A row a run; its name leads to its section.
pub(super) fn overview(runs: &[Placed<'_>]) -> String {
    let headings = ["run", "kind", "seed", "state", "sparsity", "last top-1", "highest top-1"];
    let records: Vec<_> = runs.iter().map(|placed| &placed.run.record).collect();
    let costs = cost::overview_headings(&records);
    let mut table = Table::new("names", &[&headings[..], costs].concat());
    for Placed { run, class, id, .. } in runs {
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
            class,
            [
                format!("<a href=\"#run{id}\">{}</a>", escape(&run.label)),
                kind(&run.record).to_owned(),
                run.record.started.seed.to_string(),
                state(run),
                summary.size.map_or("-".into(), |size| percent(size.pruned, size.prunable)),
                summary.last.map_or_else(none, score),
                best.unwrap_or("-".into()),
            ]
            .into_iter()
            .chain(cost::overview(&run.record).into_iter().take(costs.len())),
        );
    }
    format!(
        "<h3>Runs</h3>\n{}<p class=\"note\">Highest top-1: where the run's own curve is highest, one network with one seed; \
         nothing was chosen by it. Every test is a row of <a href=\"curve.csv\">curve.csv</a>.</p>\n",
        table.html()
    )
}

fn kind(record: &RunRecord) -> &'static str {
    match record.control() {
        Control::Pruned => "pruned",
        Control::Random => "random control",
        // Whose control it is depends on what stands beside it.
        Control::Dense => "dense",
    }
}

fn state(run: &ReportInput) -> String {
    let record = &run.record;
    match run.state {
        State::Finished => "finished".to_owned(),
        State::NoModel => {
            "<mark>no model</mark> <small>the final model is gone; <code>secateur resume</code> restores it</small>"
                .to_owned()
        }
        State::Unfinished => format!(
            "<mark>unfinished</mark> <small>at step {} of {}</small>",
            grouped(record.step()),
            grouped(record.started.planned_steps)
        ),
    }
}

fn facts(run: &ReportInput) -> String {
    let record = &run.record;
    let started = &record.started;
    let images = &started.images;
    let method = started.method.as_ref().map_or("none".to_owned(), |method| {
        let Method { criterion, granularity, scope, schedule, regrow, retrain, .. } = method;
        let kind = if granularity.kind() == "element" { String::new() } else { format!(" by {granularity}") };
        let regrow = regrow.as_ref().map_or(String::new(), |regrow| format!("; masks move by {regrow}"));
        format!("{criterion}{kind}, {scope}; {schedule}{regrow}; then {retrain}")
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
        ("training", {
            let rate = started.lr_schedule.as_ref().map_or(String::new(), |rate| format!("; learning rate {rate}"));
            format!("{}{rate}; {} images a step", started.optimizer, grouped(started.batch_size))
        }),
        ("steps", steps),
        ("device", started.device.clone()),
    ];
    if let Some(sessions) = sessions(&record.sessions) {
        facts.push(("sessions", sessions));
    }
    if record.elapsed_ms > 0 {
        facts.push(("time", duration(record.elapsed_ms)));
    }
    if let Some(ended) = &record.ended {
        facts.push(("model file", format!("{} bytes, SHA-256 {}", grouped(ended.model_bytes), ended.model_sha256)));
    }
    let mut out = format!("<dl>\n<dt>state</dt><dd>{}</dd>\n", state(run));
    for (name, fact) in facts {
        out.push_str(&format!("<dt>{name}</dt><dd>{}</dd>\n", escape(&fact)));
    }
    out.push_str("</dl>\n");
    out
}

/// Where and by which program the run was worked on: one that went on elsewhere names each of its sessions. Nothing where the log
/// does not say.
fn sessions(all: &[SessionStarted]) -> Option<String> {
    let place = |own: &SessionStarted| {
        let set = own.instruction_set.as_ref().map_or(String::new(), |set| format!(", {set}"));
        let program =
            own.commit.as_ref().map_or(own.secateur.clone(), |commit| format!("{}, commit {commit}", own.secateur));
        let (device, threads, processor) = (&own.device, own.threads, own.processor.as_ref().unwrap_or(&own.platform));
        format!("device {device}{set}, {threads} threads, {processor}; Secateur {program}")
    };
    let mut places: Vec<(u64, String)> = all.iter().map(|own| (own.step, place(own))).collect();
    let count = places.len();
    places.dedup_by(|later, earlier| later.1 == earlier.1);
    match places.as_slice() {
        [] => None,
        [(_, only)] if count == 1 => Some(only.clone()),
        [(_, only)] => Some(format!("{count}, all with {only}")),
        several => {
            let told: Vec<_> =
                several.iter().map(|(step, place)| format!("from step {}: {place}", grouped(*step))).collect();
            Some(format!("{count}, which differ; {}", told.join(" | ")))
        }
    }
}

fn curve(record: &RunRecord, budget: Budget) -> String {
    let rows = rows(record);
    if rows.is_empty() {
        return "<p>There is no test yet.</p>\n".to_owned();
    }
    let picked = budget.pick(rows.len());
    let thinned = if picked.len() < rows.len() {
        format!(" {} of {} cycles are shown; all are in <a href=\"curve.csv\">curve.csv</a>.", picked.len(), rows.len())
    } else {
        String::new()
    };
    let mut rows: Vec<_> = rows.into_iter().map(Some).collect();
    let mut table = Table::new("", &HEADINGS);
    for row in picked.into_iter().filter_map(|place| rows[place].take()) {
        let [first, rest @ ..] = row.cells.map(|cell| html::value(&cell.value, cell.fraction.as_deref()));
        let note = if row.note.is_empty() { String::new() } else { format!("<br><mark>{}</mark>", row.note) };
        table.row(row.note, std::iter::once(format!("{first}{note}")).chain(rest));
    }
    format!(
        "{}<p class=\"note\">Sparsity: zeros among the prunable parameters. Whole model and compression: over all \
         parameters, biases included. *Theoretical: dense MACs over those left, not a measured time. vs unpruned: points \
         of top-1 from this run's own cycle 0, which trained for fewer steps. Peak memory: the most that the process had resident since the last test \
         of the cycle before. Collapsed: right at most twice as often as a guess.{thinned}</p>\n",
        table.html()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_told_apart_where_they_differ() {
        let at = |step, device: &str| SessionStarted {
            step,
            device: device.into(),
            secateur: "0.1.0".into(),
            platform: "x86_64 linux".into(),
            threads: 2,
            ..SessionStarted::default()
        };
        let told = |device: &str| format!("device {device}, 2 threads, x86_64 linux; Secateur 0.1.0");
        assert_eq!(sessions(&[]), None);
        assert_eq!(sessions(&[at(0, "cpu")]), Some(told("cpu")));
        assert_eq!(sessions(&[at(0, "cpu"), at(5, "cpu")]), Some(format!("2, all with {}", told("cpu"))));
        let expected = format!("3, which differ; from step 0: {} | from step 1 500: {}", told("cpu"), told("flex"));
        let found = sessions(&[at(0, "cpu"), at(5, "cpu"), at(1500, "flex")]).expect("told");
        assert_eq!(found, expected.replace("1 500", &grouped(1500)));
    }
}
