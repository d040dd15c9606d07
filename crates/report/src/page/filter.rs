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

/// The boxes of all groups, which stay in sight; nothing where there is no choice.
pub(super) fn boxes(groups: &[Group<'_>]) -> String {
    if groups.iter().map(|group| group.series.len()).sum::<usize>() < 2 {
        return String::new();
    }
    let label = |title: &str, series: &RunSeries<'_>| {
        let (id, swatch) = (series.id, swatch(series));
        // What it is told by when another run has come and the numbers are others.
        let own = escape(&format!("{title}: {}", series.name));
        let name = escape(&legend_label(series, true));
        format!(
            "<label><input type=\"checkbox\" id=\"show-s{id}\" data-name=\"{own}\" checked>{swatch}{name}</label>\n"
        )
    };
    let set = |group: &Group<'_>| {
        let labels: String = group.series.iter().map(|series| label(&group.title, series)).collect();
        format!("<fieldset>\n<legend>{}</legend>\n{labels}</fieldset>\n", escape(&group.title))
    };
    let sets: String = groups.iter().map(set).collect();
    format!("<details id=\"filter\">\n<summary>Choose the series to show</summary>\n{sets}</details>\n")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::group::groups;

    #[test]
    fn every_series_has_a_box_and_a_rule_that_hides_what_is_its() {
        let runs = [fixture::l1_events(1), fixture::random_events(1)].map(|events| fixture::record(&events));
        let runs = runs.map(|record| fixture::input("a", record));
        let groups = groups(&runs);
        let (boxes, rules) = (boxes(&groups), rules(&groups));
        for id in 0..2 {
            assert!(boxes.contains(&format!("<input type=\"checkbox\" id=\"show-s{id}\" data-name=\"")), "{boxes}");
            assert!(
                rules.contains(&format!("body:has(#show-s{id}:not(:checked)) .s{id} {{ display: none; }}")),
                "{rules}"
            );
        }
        assert!(boxes.contains("random control: random-global"));
        assert_eq!(super::boxes(&crate::group::groups(&runs[..1])), "", "one series is no choice");
    }
}
