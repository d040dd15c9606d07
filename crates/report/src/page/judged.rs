//! The tries of an accuracy budget on the page.

use super::html::{Table, value};
use crate::number::{fraction, percent, short_percent};
use crate::record::RunRecord;

/// A row a try; nothing for a run without a budget.
pub(super) fn table(record: &RunRecord) -> String {
    if record.judged.is_empty() {
        return String::new();
    }
    let mut table = Table::new("", &["cycle", "step", "tried", "on validation", "wanted", "what came of it"]);
    for tried in &record.judged {
        let score = &tried.validation;
        let came = match (tried.cycle, tried.holds) {
            (0, _) => "the dense network",
            (_, true) => "held: went on from it",
            (_, false) => "did not hold: went back",
        };
        table.row(
            if tried.holds { "" } else { "collapsed" },
            [
                tried.cycle.to_string(),
                crate::number::grouped(tried.step),
                format!("{} %", short_percent(tried.target)),
                value(&percent(score.correct, score.total), Some(&fraction(score.correct, score.total))),
                format!("{:.2} %", 100.0 * tried.wanted),
                came.to_owned(),
            ],
        );
    }
    format!(
        "<h4>What the accuracy budget tried</h4>\n{}<p class=\"note\">Judged on validation images alone; the test split was \
         read when nothing was left to choose.</p>\n",
        table.html()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Judged, Score};
    use crate::fixture;

    #[test]
    fn every_try_says_what_came_of_it() {
        let mut record = fixture::record(&fixture::l1_events(1));
        assert_eq!(table(&record), "");
        let tries = [(0, 0.0, 4900, true), (1, 0.9, 4895, true), (2, 0.95, 4800, false)];
        record.judged = tries
            .map(|(cycle, target, correct, holds)| {
                let validation = Score { correct, total: 5000, loss: 0.1 };
                Judged { cycle, step: 1000 * cycle, target, validation, wanted: 0.975, holds }
            })
            .into();
        let html = table(&record);
        for text in [
            "<td>90 %</td><td>97.90 %<small>4,895 / 5,000</small></td><td>97.50 %</td><td>held: went on from it</td>",
            "<td>95 %</td><td>96.00 %<small>4,800 / 5,000</small></td><td>97.50 %</td><td>did not hold: went back</td>",
            "<td>the dense network</td>",
        ] {
            assert!(html.contains(text), "{text}: {html}");
        }
    }
}
