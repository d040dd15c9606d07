//! The series of a report as a table for a terminal.

use crate::compare::{against_dense, dense_control, random_control};
use crate::group::{Group, groups};
use crate::number::times;
use crate::record::Control;
use crate::report::ReportInput;
use crate::series::{Pool, RunSeries};
use crate::statistics::Spread;
use crate::table::align;

const HEADINGS: [&str; 9] =
    ["series", "target", "seeds", "top-1", "lowest", "highest", "compression", "vs dense", "vs random"];

/// Mean top-1 of every series at every target, in one aligned table for each model and data set, with what its columns mean
/// below it. Nothing where no run has a test of a pruned network.
pub fn series_table(runs: &[ReportInput]) -> String {
    let mut out = String::new();
    for group in groups(runs) {
        let mut lines = vec![HEADINGS.map(str::to_owned).to_vec()];
        for series in &group.series {
            let dense = Some(&series.dense).filter(|pool| !pool.samples.is_empty());
            lines.extend(dense.into_iter().chain(series.trained()).map(|pool| line(&group, series, pool)));
        }
        if lines.len() > 1 {
            out.push_str(&format!("{}\n\n", group.title));
            align(&mut out, &lines, &[]);
            out.push_str(
                "\ntop-1: percent on test, mean ± half of the 95 % t-interval over the seeds. vs: points from the control,\n\
                 the mean over the seeds that both have; in brackets how many.\n",
            );
        }
    }
    out
}

fn line(group: &Group<'_>, series: &RunSeries<'_>, pool: &Pool<'_>) -> Vec<String> {
    let top_1 = pool.top_1();
    let none = || "-".to_owned();
    let edge = |of: fn(&Spread) -> f64| top_1.as_ref().map_or_else(none, |spread| format!("{:.2}", of(spread)));
    let difference = |spread: Option<Spread>| {
        spread.map_or_else(none, |spread| match spread.half_width {
            Some(half) => format!("{:+.2} ± {half:.2} ({})", spread.mean, spread.n),
            None => format!("{:+.2} (1)", spread.mean),
        })
    };
    let dense = dense_control(series, &group.series).filter(|control| control.id != series.id);
    let random = random_control(series, pool, &group.series).filter(|_| series.control != Control::Dense);
    let compression = pool.spread(|sample| Some(sample.point.size()?.compression_ratio()));
    vec![
        series.name.clone(),
        if pool.target > 0.0 { series.unit.words(pool.target) } else { "dense".to_owned() },
        pool.samples.len().to_string(),
        top_1.as_ref().map_or_else(none, |spread| match spread.half_width {
            Some(half) => format!("{:.2} ± {half:.2}", spread.mean),
            None => format!("{:.2}", spread.mean),
        }),
        edge(|spread| spread.min),
        edge(|spread| spread.max),
        compression.map_or_else(none, |spread| times(spread.mean)),
        difference(dense.and_then(|control| against_dense(pool, &control.dense))),
        difference(random.map(|(_, spread)| spread)),
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
        assert_eq!(lines[2], "series target seeds top-1 lowest highest compression vs dense vs random");
        let at_half = "l1-global 50 % 3 98.86 ± 0.32 98.73 98.99 1.96x -0.20 ± 0.32 (3) +0.38 ± 0.00 (3)";
        assert!(lines.contains(&at_half.to_owned()), "{table}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("random-global")).count(), 8);
        assert!(lines.contains(&"dense dense 3 99.06 ± 0.00 99.06 99.06 1.00x - -".to_owned()), "{table}");
        assert_eq!(series_table(&[]), "");
    }
}
