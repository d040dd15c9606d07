//! What stands apart, on the page.

use super::html::{Table, escape};
use crate::apart::{Apart, What};

/// The section; nothing where everything is shown with everything else.
pub(super) fn section(apart: &[Apart]) -> String {
    if apart.is_empty() {
        return String::new();
    }
    let mut table = Table::new("words", &["run", "", "why"]);
    for Apart { label, what, why } in apart {
        table.row(
            if *what == What::Refused { "unmet" } else { "" },
            [escape(label), what.words().to_owned(), escape(why)],
        );
    }
    let refused = apart.iter().filter(|apart| apart.what == What::Refused).count();
    let refused = match refused {
        0 => "Everything that was given is on this page; these runs are not averaged with the rest.".to_owned(),
        1 => "One folder that was given is not shown; runs that are shown and stand apart follow.".to_owned(),
        many => format!("{many} folders that were given are not shown; runs that are shown and stand apart follow."),
    };
    format!("<section id=\"apart\">\n<h2>Not shown, and why</h2>\n<p>{refused}</p>\n{}</section>\n", table.html())
}
