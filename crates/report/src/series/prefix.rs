//! What all series of a report are called alike, and a reader need not read every time. Pure.

use std::collections::BTreeSet;

use super::RunSeries;

/// Takes the words that all names begin with out of the labels. A report of one experiment keeps its name.
pub(crate) fn shorten<'s, 'a: 's>(all: impl Iterator<Item = &'s mut RunSeries<'a>>) {
    let all: Vec<_> = all.collect();
    let names: BTreeSet<&str> = all.iter().map(|series| series.runs[0].record.started.name.as_str()).collect();
    let length = shared(&names).len();
    for series in all {
        series.label = series.name[length..].to_owned();
    }
}

/// The longest beginning, up to a dash, that all names share and that leaves something of each; nothing of a single name.
fn shared<'n>(names: &BTreeSet<&'n str>) -> &'n str {
    let (Some(first), true) = (names.first(), names.len() > 1) else { return "" };
    let ends = first.char_indices().rev().filter(|(_, letter)| *letter == '-').map(|(end, _)| &first[..=end]);
    let leaves_words = |prefix: &&str| {
        let rest = |name: &&str| name.strip_prefix(prefix).is_some_and(|rest| rest.contains(char::is_alphanumeric));
        names.iter().all(rest)
    };
    ends.into_iter().find(leaves_words).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_all_share_end_at_a_dash_and_leave_something() {
        for (names, expected) in [
            (vec!["sweep-mnist-global", "sweep-mnist-layerwise", "sweep-mnist-dense"], "sweep-mnist-"),
            (vec!["sweep-mnist", "sweep-mnist-dense"], "sweep-"),
            (vec!["sweep-", "sweep-dense"], ""),
            (vec!["a-", "a--b"], ""),
            (vec!["global-a", "global-b", "dense"], ""),
            (vec!["globally", "global"], ""),
            (vec!["ä-b", "ä-ö"], "ä-"),
            (vec!["sweep-mnist-global"], ""),
            (vec!["sweep-mnist-global", "sweep-mnist-global"], ""),
            (vec![], ""),
        ] {
            assert_eq!(shared(&names.iter().copied().collect()), expected, "{names:?}");
        }
    }
}
