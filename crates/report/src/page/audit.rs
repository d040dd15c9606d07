//! The checklist on the page.

use super::html::{Table, escape};
use crate::audit::{Item, State, counts};

/// The section; what is met and what is not, in words, not in colours alone.
pub(super) fn section(items: &[Item]) -> String {
    let mut table = Table::new("words checklist", &["", "recommendation", "what was found"]);
    for item in items {
        let (class, sign) = match item.state {
            State::Met => ("met", "✓"),
            State::NotMet => ("unmet", "✗"),
            State::NoData => ("open", "–"),
        };
        table.row(class, [format!("{sign} {}", item.state.words()), escape(item.asked), escape(&item.found)]);
    }
    format!(
        "<section id=\"audit\">\n<h2>What this report can be trusted with</h2>\n<p>{}, for \
         comparing pruning methods (after Blalock et al., <cite>What is the State of Neural Network Pruning?</cite>, MLSys \
         2020). Each line is computed from the runs.</p>\n{}<p class=\"note\">Also as <a href=\"audit.csv\">audit.csv</a> and \
         <a href=\"audit.json\">audit.json</a>.</p>\n</section>\n",
        counts(items),
        table.html()
    )
}
