//! The checklist on the page.

use super::html::{Table, escape};
use crate::audit::Item;

/// The section; what is met and what is not, in words, not in colours alone.
pub(super) fn section(items: &[Item]) -> String {
    let met = items.iter().filter(|item| item.met).count();
    let mut table = Table::new("words checklist", &["", "recommendation", "what was found"]);
    for item in items {
        let (class, word) = if item.met { ("met", "✓ met") } else { ("unmet", "✗ not met") };
        table.row(class, [word.to_owned(), escape(item.asked), escape(&item.found)]);
    }
    format!(
        "<section id=\"audit\">\n<h2>What this report can be trusted with</h2>\n<p>It meets {met} of {} recommendations for \
         comparing pruning methods (after Blalock et al., <cite>What is the State of Neural Network Pruning?</cite>, MLSys \
         2020). Each line is computed from the runs.</p>\n{}<p class=\"note\">Also as <a href=\"audit.csv\">audit.csv</a> and \
         <a href=\"audit.json\">audit.json</a>.</p>\n</section>\n",
        items.len(),
        table.html()
    )
}
