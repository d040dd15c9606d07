//! Which series a reader shows: a box to tick for each. The style alone hides what belongs to a series, so that it works
//! without a script, too.

use std::collections::BTreeMap;

use super::html::escape;
use crate::chart::Ink;
use crate::group::{Group, suffix};
use crate::lines::{legend_label, look};
use crate::series::RunSeries;

/// Rules for the style: what carries the class of a series is hidden while its box is not ticked.
fn rules(named: &[(&RunSeries<'_>, String)]) -> String {
    let rule = |(series, box_id): &(&RunSeries<'_>, String)| {
        format!("body:has(#{box_id}:not(:checked)) .s{} {{ display: none; }}\n", series.id)
    };
    named.iter().map(rule).collect()
}

/// The series with the ids of their boxes: made from names, so that a page that is made again while runs come and go keeps
/// what its reader chose.
fn named<'g, 'a>(groups: &'g [Group<'a>]) -> Vec<(&'g RunSeries<'a>, String)> {
    let mut used = BTreeMap::new();
    let all = groups.iter().flat_map(|group| group.series.iter().map(move |series| (group, series)));
    all.map(|(group, series)| {
        (series, format!("show{}", suffix(&mut used, &format!("{} {}", group.title, series.name))))
    })
    .collect()
}

/// The boxes of all groups, which stay in sight; nothing where there is no choice.
pub(super) fn boxes(groups: &[Group<'_>]) -> String {
    if groups.iter().map(|group| group.series.len()).sum::<usize>() < 2 {
        return String::new();
    }
    let named = named(groups);
    let label = |series: &RunSeries<'_>| {
        let id = named.iter().find(|(other, _)| other.id == series.id).map_or("", |(_, id)| id.as_str());
        let name = escape(&legend_label(series, true));
        let swatch = swatch(series);
        format!("<label><input type=\"checkbox\" id=\"{id}\" checked>{swatch}{name}</label>\n")
    };
    let set = |group: &Group<'_>| {
        let labels: String = group.series.iter().map(label).collect();
        format!("<fieldset>\n<legend>{}</legend>\n{labels}</fieldset>\n", escape(&group.title))
    };
    let sets: String = groups.iter().map(set).collect();
    let rules = rules(&named);
    format!(
        "<style>\n{rules}</style>\n<details id=\"filter\">\n<summary>Choose the series to show</summary>\n{sets}</details>\n"
    )
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
        let boxes = boxes(&groups);
        for (id, name) in ["l1-global", "random-global"].into_iter().enumerate() {
            let name = format!("show-lenet-k-1-on-mnist-10-000-test-images-{name}");
            assert!(boxes.contains(&format!("<input type=\"checkbox\" id=\"{name}\" checked>")), "{boxes}");
            assert!(boxes.contains(&format!("body:has(#{name}:not(:checked)) .s{id} {{ display: none; }}")), "{boxes}");
        }
        assert!(boxes.contains("random control: random-global"));
        assert_eq!(super::boxes(&crate::group::groups(&runs[..1])), "", "one series is no choice");
    }
}
