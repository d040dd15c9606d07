//! Which series a reader shows: a box to tick for each. The style alone hides what belongs to a series, so that it works
//! without a script, too.

use super::html::escape;
use crate::chart::Ink;
use crate::group::Group;
use crate::lines::{legend_label, look};
use crate::series::RunSeries;

/// Rules for the style: what carries the class of a series is hidden while its box is not ticked.
pub(super) fn rules(groups: &[Group<'_>]) -> String {
    let ids = groups.iter().flat_map(|group| &group.series).map(|series| series.id);
    ids.map(|id| format!("body:has(#show-s{id}:not(:checked)) .s{id} {{ display: none; }}\n")).collect()
}

/// The boxes of a group; nothing where there is no choice.
pub(super) fn boxes(group: &Group<'_>) -> String {
    if group.series.len() < 2 {
        return String::new();
    }
    let label = |series: &RunSeries<'_>| {
        let id = series.id;
        let name = escape(&legend_label(series, true));
        let swatch = swatch(series);
        format!("<label><input type=\"checkbox\" id=\"show-s{id}\" checked>{swatch}{name}</label>\n")
    };
    let labels: String = group.series.iter().map(label).collect();
    format!("<fieldset class=\"filter\">\n<legend>Show in charts and tables</legend>\n{labels}</fieldset>\n")
}

/// A spot in the colour that a series has in the charts.
pub(super) fn swatch(series: &RunSeries<'_>) -> String {
    let colour = match look(series).0 {
        Ink::Colour(index) => format!("var(--c{})", index % 6),
        Ink::Muted => "var(--muted)".to_owned(),
        Ink::Text => "var(--text)".to_owned(),
    };
    format!("<i class=\"swatch\" style=\"background:{colour}\"></i>")
}
