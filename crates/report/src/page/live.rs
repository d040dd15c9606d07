//! The page as a server shows it: the same, with a script that keeps it as new as its runs.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::html::escape;

const SCRIPT: &str = include_str!("live.js");
const STYLE: &str = "#live { position: fixed; right: 12px; bottom: 12px; margin: 0; padding: 3px 10px; border-radius: 6px; \
                     background: var(--card); border: 1px solid var(--line); color: var(--muted); font-size: 0.8rem; }\n\
                     #live.lost { background: var(--mark); color: var(--mark-text); }\n\
                     @media print { #live { display: none; } }\n";

/// A page that keeps itself up to date: it asks its server for `version`, and for itself when that is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivePage {
    /// What the page's content is told by: another content, another version.
    pub version: String,
    /// The page.
    pub html: String,
}

impl LivePage {
    /// The page with its script, and with `notes` before all else, such as which runs cannot be shown.
    pub(crate) fn of(page: &str, notes: &[String]) -> Self {
        let mut hasher = DefaultHasher::new();
        (page, notes).hash(&mut hasher);
        let version = format!("{:016x}", hasher.finish());
        let notes: String =
            notes.iter().map(|note| format!("<p class=\"note\"><mark>note</mark> {}</p>\n", escape(note))).collect();
        let html = page
            // An icon of nothing: browsers ask a server for one otherwise.
            .replacen("</style>", &format!("{STYLE}</style>\n<link rel=\"icon\" href=\"data:,\">"), 1)
            .replacen("<main>\n", &format!("<main>\n{notes}"), 1)
            .replacen(
                "</body>",
                &format!(
                    "<p id=\"live\" role=\"status\" aria-live=\"off\" data-version=\"{version}\">live</p>\n\
                     <script>\n{SCRIPT}</script>\n</body>"
                ),
                1,
            );
        Self { version, html }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_the_notes_and_the_version_are_in_their_places() {
        let report = crate::Report::of(&[]).expect("a report of nothing");
        let live = LivePage::of(report.page(), &["run <b>: torn".to_owned()]);
        let parts =
            ["#live {", "</style>", "<main>", "run &lt;b&gt;: torn", "</main>", &live.version, SCRIPT, "</body>"];
        let places = parts.map(|part| live.html.find(part).unwrap_or_else(|| panic!("{part} is missing")));
        assert!(places.is_sorted(), "{places:?}");
        assert!(!SCRIPT.contains("</script"), "a script ends at the first of these");
    }

    #[test]
    fn another_content_has_another_version() {
        let of = |page: &str, notes: &[String]| LivePage::of(page, notes).version;
        let versions = [of("a", &[]), of("b", &[]), of("a", &["n".into()])];
        assert!(versions[0] != versions[1] && versions[0] != versions[2]);
        assert_eq!(versions[0], of("a", &[]));
    }
}
