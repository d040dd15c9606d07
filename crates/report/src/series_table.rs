//! The series of a report as a table for a terminal.

use crate::compare::{Against, no_control, vs_dense, vs_random};
use crate::group::{Group, groups};
use crate::interval::{Interval, split};
use crate::number::{short_percent, times};
use crate::record::Control;
use crate::report::ReportInput;
use crate::series::{Pool, RunSeries};
use crate::table::{align, wrapped};

const HEADINGS: [&str; 7] = ["target", "seeds", "top-1", "interval", "ratio", "vs dense", "vs random"];

/// What the columns mean.
const MEANING: &str = "top-1: percent on test, the mean over the seeds; interval of it: the 95 % t-interval from three seeds on, \
                       lowest to highest of two or where some collapsed, that of the test images (95 %, Wilson) for one. ratio: \
                       compression. vs: points from the control of equal steps, the mean over the seeds that both have; in brackets how many \
                       where these are fewer. other training: a dense network that is no control of these.";

/// Mean top-1 of every series at every target, in one table for each model and data set that fits 80 columns, with what its
/// columns mean below it. Nothing where no run has a test of a pruned network.
pub fn series_table(runs: &[ReportInput]) -> String {
    let mut out = String::new();
    for group in groups(runs) {
        let (mut lines, mut names) = (vec![HEADINGS.map(str::to_owned).to_vec()], Vec::new());
        for series in &group.series {
            let dense = Some(&series.dense).filter(|pool| !pool.samples.is_empty());
            let before = lines.len();
            lines.extend(dense.into_iter().chain(series.trained()).map(|pool| line(&group, series, pool)));
            if lines.len() > before {
                let mark = no_control(series, &group.series).map_or(String::new(), |why| format!(", {why}"));
                names.push((before, format!("{}{}{mark}", series.name, unit(series))));
            }
        }
        if lines.len() > 1 {
            out.push_str(&format!("{}\n\n", group.title));
            let mut table = String::new();
            align(&mut table, &lines, &[]);
            for (row, line) in table.lines().enumerate() {
                // A series' name stands above its rows: it may be as long as it likes.
                for (_, name) in names.iter().filter(|(first, _)| *first == row) {
                    out.push_str(&format!("{}\n", wrapped(name)));
                }
                out.push_str(&format!("{line}\n"));
            }
            out.push_str(&format!("\n{}\n", wrapped(MEANING)));
        }
    }
    out
}

/// What a series' targets are of, where these are not its prunable parameters.
fn unit(series: &RunSeries<'_>) -> String {
    let words = series.unit.words(0.5);
    words.strip_prefix("50 %").filter(|of| !of.is_empty()).map_or(String::new(), |of| format!(", targets in %{of}"))
}

fn line(group: &Group<'_>, series: &RunSeries<'_>, pool: &Pool<'_>) -> Vec<String> {
    let top_1 = pool.top_1();
    let none = || "-".to_owned();
    let (seeds, split) = (pool.samples.len(), split(pool));
    let difference = |against: Option<Against<'_, '_>>| {
        against.and_then(|against| against.spread).map_or_else(none, |spread| {
            let half = spread.half_width.map_or(String::new(), |half| format!(" ± {half:.2}"));
            let pairs = if spread.n < seeds { format!(" ({})", spread.n) } else { String::new() };
            format!("{:+.2}{half}{pairs}", spread.mean)
        })
    };
    let dense = vs_dense(series, pool, &group.series).ok();
    let random = vs_random(series, pool, &group.series).ok();
    let compression = pool.spread(|sample| Some(sample.point.size()?.compression_ratio()));
    vec![
        match series.control {
            _ if pool.target > 0.0 => format!("{} %", short_percent(pool.target)),
            Control::Dense => "dense".to_owned(),
            _ => "unpruned".to_owned(),
        },
        seeds.to_string(),
        top_1.as_ref().filter(|_| split.is_none()).map_or_else(none, |spread| format!("{:.2}", spread.mean)),
        match (split, Interval::of(pool)) {
            (Some((collapsed, all)), _) => format!("{collapsed} of {all} collapsed"),
            (None, Some(interval)) => interval.words(),
            (None, None) => none(),
        },
        compression.map_or_else(none, |spread| times(spread.mean)),
        difference(dense),
        difference(random),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn every_series_has_a_line_a_target() {
        let mut runs = Vec::new();
        for seed in 1..=3 {
            for events in [fixture::l1_events(seed), fixture::random_events(seed), fixture::dense_events(seed)] {
                runs.push(fixture::input("a", fixture::record(&events)));
            }
        }
        let table = series_table(&runs);
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<_> = table.lines().map(words).collect();
        assert_eq!(lines[0], "lenet k=1 on mnist, 10,000 test images");
        assert_eq!(lines[2], "target seeds top-1 interval ratio vs dense vs random");
        assert_eq!(lines[3..5], ["l1-global", "unpruned 3 98.90 98.90 to 98.90 1.00x - -"]);
        assert_eq!(lines[5], "50 % 3 98.86 98.54 to 99.18 1.96x -0.20 ± 0.32 +0.38 ± 0.00");
        assert_eq!(lines.iter().filter(|line| line.starts_with("50 %")).count(), 2);
        assert!(lines.contains(&"dense 3 99.06 99.06 to 99.06 1.00x - -".to_owned()), "{table}");
        assert_eq!(series_table(&[]), "");
    }

    #[test]
    fn final_tables_fit_80_columns() {
        let mut runs = Vec::new();
        for seed in 1..=3 {
            for events in [fixture::l1_events(seed), fixture::random_events(seed), fixture::dense_events(seed)] {
                let mut run = fixture::input("a", fixture::measured::record(&fixture::measured::measured(events, 20)));
                run.record.started.name = format!("{}-of-a-long-name", run.record.started.name).repeat(6);
                runs.push(run);
            }
        }
        // Some collapsed, some without a control, one that is open.
        runs[0].record.tests.iter_mut().for_each(|test| test.tested.score.correct = 1_000);
        runs[2].record.started.planned_steps *= 3;
        runs[3].record.ended = None;
        runs[3].record.tests.pop();
        runs.pop();
        for table in runs.iter().map(|run| crate::curve_table(&run.record)).chain([series_table(&runs)]) {
            for line in table.lines() {
                assert!(line.chars().count() <= 80, "{}: {line}\n{table}", line.chars().count());
            }
        }
    }
}
