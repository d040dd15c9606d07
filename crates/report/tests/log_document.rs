//! `docs/log.md` says every kind of event and every field that the code knows, and its examples are lines of a log.

use std::collections::BTreeSet;

use secateur_report::Event;
use secateur_report::event::Entry;
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../../docs/log.md");

/// The kinds of events, as the code names them when it is asked for one that there is not.
fn kinds() -> BTreeSet<String> {
    let error = serde_json::from_str::<Event>(r#"{"event":"?"}"#).expect_err("no such event").to_string();
    let (_, names) = error.split_once("expected one of ").unwrap_or_else(|| panic!("a list of names: {error}"));
    let names: BTreeSet<String> = names.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(names.len() > 5 && names.contains("run_started"), "{error}");
    names
}

/// The section of each kind of event: its name and its text.
fn sections() -> Vec<(&'static str, &'static str)> {
    let parts = DOCUMENT.split("\n## `").skip(1);
    parts.map(|part| part.split_once("`\n").expect("a heading")).collect()
}

/// Names of fields, at every depth.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                found.insert(name.clone());
                fields(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

#[test]
fn every_kind_of_event_has_its_section_and_no_other_has() {
    let documented: BTreeSet<String> = sections().iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(documented, kinds());
    assert_eq!(sections().len(), documented.len(), "each once");
}

#[test]
fn an_example_is_a_line_of_a_log_and_its_fields_are_explained() {
    let common = DOCUMENT.split("\n## `").next().expect("what holds for every line");
    for (name, text) in sections() {
        let (explained, example) = text.split_once("```json\n").unwrap_or_else(|| panic!("{name} has no example"));
        let (example, rest) = example.split_once("\n```").expect("it ends");
        let entry: Entry = serde_json::from_str(example).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Written as it is read: no field is missing, none is one that the code does not know.
        assert_eq!(serde_json::to_string(&entry).expect("a line"), example);
        assert_eq!(entry.event.name(), name);
        let mut names = BTreeSet::new();
        fields(&serde_json::from_str(example).expect("JSON"), &mut names);
        for field in names {
            let own = explained.contains(&format!("`{field}`")) || rest.contains(&format!("`{field}`"));
            let dotted = [rest, common].iter().any(|text| text.contains(&format!("`timing.{field}`")));
            assert!(own || dotted || common.contains(&format!("`{field}`")), "{name}: nothing says what `{field}` is");
        }
    }
}
