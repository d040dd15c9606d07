//! The documents on `[prune]` against the section itself.

use crate::ExperimentConfig;
use std::collections::BTreeSet;

const OPTIONS: &str = include_str!("../../../../docs/options.md");
const PYTORCH: &str = include_str!("../../../../docs/pytorch.md");

fn parse(lines: &str) -> Result<ExperimentConfig, String> {
    let text = format!(
        "name = \"p\"\nmodel = {{ kind = \"lenet\", width = 1 }}\ntrain = {{ length = {{ epochs = 1 }} }}\n[prune]\n{lines}"
    );
    ExperimentConfig::parse("p", &text, &[]).map_err(|error| error.to_string())
}

/// What stands in backticks.
fn code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Cells of the rows of the first table.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let table = page.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    table.skip(2).map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn the_table_of_options_names_every_key_and_no_other() {
    let error = parse("nonsense = 1").expect_err("unknown");
    let (_, expected) = error.split_once("expected one of").expect("serde names them");
    let known: BTreeSet<&str> = code(expected.lines().next().expect("a line")).collect();
    let named: BTreeSet<&str> = rows(OPTIONS).iter().flat_map(|row| code(row[0])).collect();
    assert_eq!(named, known);
}

#[test]
fn every_value_in_the_table_of_options_can_be_written() {
    let base = "schedule = { kind = \"one-shot\", sparsity = 0.5 }\nevery = { epochs = 1 }\n";
    let (mut key, mut tried) = (String::new(), 0);
    for row in rows(OPTIONS) {
        if let Some(own) = code(row[0]).next() {
            own.clone_into(&mut key);
        }
        for value in code(row[1]).filter(|value| !value.contains("..") && key != "schedule") {
            let others: Vec<&str> = base.lines().filter(|line| !line.starts_with(&format!("{key} "))).collect();
            let lines = format!("{}\n{key} = {value}\n", others.join("\n"));
            if let Err(error) = parse(&lines) {
                panic!("{key} = {value}: {error}");
            }
            tried += 1;
        }
    }
    assert!(tried > 35, "only {tried} values");
}

#[test]
fn the_config_column_beside_pytorch_can_be_written() {
    let mut tried = 0;
    for row in rows(PYTORCH) {
        for setting in code(row[1]).filter(|setting| setting.contains(" = ")) {
            let base = "every = { epochs = 1 }\n";
            let one_shot = "schedule = { kind = \"one-shot\", sparsity = 0.5 }\n";
            let lines = match setting.split(' ').next() {
                Some("kind") => format!("{base}schedule = {{ {setting}, prunes = 2 }}"),
                // A key of the whole config, not of the section.
                Some("start") => continue,
                _ => format!("{base}{one_shot}{setting}"),
            };
            if let Err(error) = parse(&lines) {
                panic!("{setting}: {error}");
            }
            tried += 1;
        }
    }
    assert!(tried >= 9, "only {tried} settings");
}
