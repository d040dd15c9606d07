//! How the settings of experiments differ, key by key. Pure.
//!
//! Settings are TOML as the trainer writes it: every key on a line of its own below the heading of its table.

use std::collections::{BTreeMap, BTreeSet};

/// Keys that are named.
const KEYS: usize = 2;
/// Letters of a value that are shown.
const LETTERS: usize = 40;

/// What tells each of these settings from the others, `train.batch_size = 32`; empty words where nothing does, or where
/// some are unknown.
pub(super) fn differing(all: &[&str]) -> Vec<String> {
    let read: Vec<_> = all.iter().map(|text| keys(text)).collect();
    let mut order: Vec<&String> = Vec::new();
    for (key, _) in read.iter().flatten() {
        if !order.contains(&key) {
            order.push(key);
        }
    }
    let maps: Vec<BTreeMap<&String, &String>> =
        read.iter().map(|keys| keys.iter().map(|(key, value)| (key, value)).collect()).collect();
    if maps.iter().any(BTreeMap::is_empty) {
        return vec![String::new(); all.len()];
    }
    let values = |key: &String| maps.iter().map(|map| map.get(key)).collect::<BTreeSet<_>>().len();
    let mut found: Vec<_> = order.into_iter().map(|key| (values(key), key)).filter(|(values, _)| *values > 1).collect();
    // What tells the most of them apart comes first; of equals, what the settings say first.
    found.sort_by_key(|(values, _)| std::cmp::Reverse(*values));
    let words = |map: &BTreeMap<&String, &String>| {
        let named = found.iter().take(KEYS).map(|(_, key)| match map.get(key) {
            Some(value) => format!("{key} = {}", shortened(value)),
            None => format!("no {key}"),
        });
        let more = found.len().checked_sub(KEYS).filter(|more| *more > 0).map(|more| format!("{more} more"));
        named.chain(more).collect::<Vec<_>>().join(", ")
    };
    maps.iter().map(words).collect()
}

/// Dotted keys with their values, as they are written.
fn keys(text: &str) -> Vec<(String, String)> {
    let (mut table, mut tables) = (String::new(), BTreeMap::<String, usize>::new());
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("[[").and_then(|line| line.strip_suffix("]]")) {
            // A list of tables: each has its number.
            let count = tables.entry(name.to_owned()).or_default();
            *count += 1;
            table = format!("{name}[{count}].");
        } else if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'))
            && !line.contains(',')
        {
            table = format!("{name}.");
        } else if let Some((key, value)) = line.split_once(" = ") {
            found.push((format!("{table}{key}"), value.to_owned()));
        } else if let Some((_, value)) = found.last_mut().filter(|_| !line.is_empty()) {
            // A value over several lines.
            value.push_str(&format!(" {line}"));
        }
    }
    found
}

fn shortened(value: &str) -> String {
    if value.chars().count() <= LETTERS {
        return value.to_owned();
    }
    value.chars().take(LETTERS).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_carry_their_tables() {
        let text = "a = 1\n\n[b]\nc = \"x = y\"\nd = [\n  1,\n  2,\n]\n\n[[b.e]]\nf = 1\n\n[[b.e]]\nf = 2\n";
        let found: Vec<_> = keys(text).into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
        assert_eq!(found, ["a: 1", "b.c: \"x = y\"", "b.d: [ 1, 2, ]", "b.e[1].f: 1", "b.e[2].f: 2"]);
    }

    #[test]
    fn what_parts_the_most_comes_first() {
        let all = ["a = 1\nb = 1\n", "a = 2\nb = 2\n", "a = 2\nb = 3\n"];
        assert_eq!(differing(&all), ["b = 1, a = 1", "b = 2, a = 2", "b = 3, a = 2"]);
        assert_eq!(differing(&["a = 1", "a = 1"]), ["", ""]);
        assert_eq!(differing(&["a = 1", ""]), ["", ""], "unknown settings are not no settings");
        let long = format!("a = \"{}\"", "x".repeat(99));
        assert_eq!(differing(&[&long, "a = 1"])[0].len(), "a = ".len() + LETTERS + "...".len());
    }
}
