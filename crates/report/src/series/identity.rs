//! What makes runs one series: that their logs tell the same of them, apart from seed, target and machine. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::event::{RunStarted, words};
use crate::report::ReportInput;

/// Keys that are named.
const KEYS: usize = 2;
/// Letters of a value that are shown.
const LETTERS: usize = 40;
/// The setting of a schedule that says how far it goes: runs of one series may differ in it.
const ENDS: [&str; 2] = ["final", "sparsity"];

/// Everything that the result depends on, but for the seed, how far the run prunes, and the device; `None` where the log does not
/// tell it, so that the run is like no other.
pub(super) fn identity(started: &RunStarted) -> Option<RunStarted> {
    let mut same = started.clone();
    if !same.is_known() {
        return None;
    }
    same.seed = 0;
    same.device.clear();
    if let Some(method) = &mut same.method {
        method.schedule = method.schedule.clone().without(&ENDS);
    }
    Some(same)
}

/// What tells each of these runs from the others, `train.batch_size = 32`; empty words where nothing does, or where some are
/// unknown.
pub(super) fn differing(all: &[&ReportInput]) -> Vec<String> {
    let known: Option<Vec<_>> = all.iter().map(|run| identity(&run.record.started).map(|same| keys(&same))).collect();
    let Some(maps) = known else { return vec![String::new(); all.len()] };
    let order: BTreeSet<&String> = maps.iter().flat_map(BTreeMap::keys).collect();
    let values = |key: &String| maps.iter().map(|map| map.get(key)).collect::<BTreeSet<_>>().len();
    let mut found: Vec<_> = order.into_iter().map(|key| (values(key), key)).filter(|(values, _)| *values > 1).collect();
    // What tells the most of them apart comes first; of equals, what a config says before what follows from it.
    found.sort_by_key(|(values, key)| (std::cmp::Reverse(*values), !key.contains('.') || key.starts_with("images.")));
    let words = |map: &BTreeMap<String, String>| {
        let named = found.iter().take(KEYS).map(|(_, key)| match map.get(*key) {
            Some(value) => format!("{key} = {}", shortened(value)),
            None => format!("no {key}"),
        });
        let more = found.len().checked_sub(KEYS).filter(|more| *more > 0).map(|more| format!("{more} more"));
        named.chain(more).collect::<Vec<_>>().join(", ")
    };
    maps.iter().map(words).collect()
}

/// The keys of the config that a log tells, dotted, with their values; what is no key of the config has the log's name.
fn keys(started: &RunStarted) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Ok(Value::Object(all)) = serde_json::to_value(started) else { return found };
    for (name, value) in &all {
        match (name.as_str(), value) {
            ("settings", Value::Object(sections)) => {
                sections.iter().for_each(|(name, value)| flat(name, value, &mut found));
            }
            ("method", Value::Object(method)) => {
                for (name, value) in method {
                    match name.as_str() {
                        "prune" | "retrain" => flat(name, value, &mut found),
                        name => flat(&format!("prune.{name}"), value, &mut found),
                    }
                }
            }
            ("optimizer" | "lr_schedule" | "batch_size", value) => flat(&format!("train.{name}"), value, &mut found),
            ("split_seed", value) => flat("data.split_seed", value, &mut found),
            ("layers", _) => {}
            (name, value) => flat(name, value, &mut found),
        }
    }
    found
}

fn flat(name: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(inner, value)| flat(&format!("{name}.{inner}"), value, found)),
        Value::Null => {}
        value => {
            found.insert(name.to_owned(), words(value));
        }
    }
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
    use crate::event::Choice;
    use crate::fixture;

    fn runs(changes: &[fn(&mut RunStarted)]) -> Vec<ReportInput> {
        let run = |change: &fn(&mut RunStarted)| {
            let mut run = fixture::input("a", fixture::record(&fixture::l1_events(1)));
            change(&mut run.record.started);
            run
        };
        changes.iter().map(run).collect()
    }

    fn told(changes: &[fn(&mut RunStarted)]) -> Vec<String> {
        let runs = runs(changes);
        differing(&runs.iter().collect::<Vec<_>>())
    }

    fn schedule(started: &mut RunStarted, name: &str, value: f64) {
        let method = started.method.as_mut().expect("it prunes");
        method.schedule = method.schedule.clone().with(name, value);
    }

    #[test]
    fn settings_are_named_as_the_config_names_them() {
        assert_eq!(told(&[|_| (), |run| run.batch_size = 64]), ["train.batch_size = 128", "train.batch_size = 64"]);
        let optimizer: fn(&mut RunStarted) = |run| run.optimizer = Choice::of_kind("sgd").with("lr", 0.1);
        let expected = "train.optimizer.lr = 0.1, no train.optimizer.momentum";
        assert_eq!(told(&[|_| (), optimizer])[1], expected);
        assert_eq!(told(&[|_| (), |run| schedule(run, "initial", 0.5)])[1], "prune.schedule.initial = 0.5");
        assert_eq!(told(&[|_| (), |run| run.split_seed = Some(7)])[1], "data.split_seed = 7");
        assert_eq!(told(&[|_| (), |_| ()]), ["", ""]);
    }

    #[test]
    fn seed_end_and_device_are_no_part_of_it_and_what_is_unknown_is_like_nothing() {
        let runs = runs(&[
            |_| (),
            |run| run.seed = 9,
            |run| run.device = "wgpu".into(),
            |run| schedule(run, "final", 0.7),
            |run| run.settings = None,
        ]);
        let all: Vec<_> = runs.iter().map(|run| identity(&run.record.started)).collect();
        assert!(all[0].is_some() && all[..4].iter().all(|other| *other == all[0]));
        assert_eq!(all[4], None);
        assert_eq!(differing(&[&runs[0], &runs[4]]), ["", ""], "unknown settings are not no settings");
    }

    #[test]
    fn what_parts_the_most_comes_first_and_long_values_are_cut() {
        let long = |run: &mut RunStarted| run.name = "x".repeat(99);
        let three: [fn(&mut RunStarted); 3] = [
            |run| run.batch_size = 1,
            |run| {
                run.batch_size = 2;
                schedule(run, "a", 2.0);
            },
            |run| {
                run.batch_size = 3;
                schedule(run, "a", 2.0);
            },
        ];
        assert_eq!(told(&three)[2], "train.batch_size = 3, prune.schedule.a = 2");
        assert_eq!(told(&[long, |_| ()])[0].len(), "name = ".len() + LETTERS + "...".len());
    }
}
