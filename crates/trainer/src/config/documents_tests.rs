//! The documents on `[prune]`, `[train]`, `[data]` and `[model]` against the sections themselves.

use crate::ExperimentConfig;
use std::collections::BTreeSet;

const OPTIONS: &str = include_str!("../../../../docs/options.md");
const TRAINING: &str = include_str!("../../../../docs/training.md");
const OWN: &str = include_str!("../../../../docs/own.md");
const PYTORCH: &str = include_str!("../../../../docs/pytorch.md");

const MODEL: &str = "name = \"p\"\nmodel = { kind = \"lenet\", width = 1 }\n";
const PRUNE: &str = "schedule = { kind = \"one-shot\", sparsity = 0.5 }\nevery = { epochs = 1 }\n";
const TRAIN: &str = "length = { epochs = 1 }\n";

/// A config with these lines in `[prune]`.
fn parse(lines: &str) -> Result<ExperimentConfig, String> {
    read(&format!("{MODEL}[train]\n{TRAIN}[prune]\n{lines}"))
}

/// A config with these lines in `[train]`.
fn parse_train(lines: &str) -> Result<ExperimentConfig, String> {
    read(&format!("{MODEL}[train]\n{lines}"))
}

/// A config with these lines in `[data]`.
fn parse_data(lines: &str) -> Result<ExperimentConfig, String> {
    read(&format!("{MODEL}[train]\n{TRAIN}[data]\n{lines}"))
}

/// A config with this model.
fn parse_model(model: &str) -> Result<ExperimentConfig, String> {
    read(&format!("name = \"p\"\nmodel = {model}\n[train]\n{TRAIN}"))
}

fn read(text: &str) -> Result<ExperimentConfig, String> {
    ExperimentConfig::parse("p", text, &[]).map_err(|error| error.to_string())
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

/// Keys of a section and what a page writes of them: every key stands in the page's first table and no other, and every value
/// there can be written.
fn check(page: &str, base: &str, least: usize, parse: impl Fn(&str) -> Result<ExperimentConfig, String>) {
    let error = parse("nonsense = 1").expect_err("unknown");
    let (_, expected) = error.split_once("expected one of").expect("serde names them");
    let known: BTreeSet<&str> = code(expected.lines().next().expect("a line")).collect();
    let named: BTreeSet<&str> = rows(page).iter().flat_map(|row| code(row[0])).collect();
    assert_eq!(named, known);
    let (mut key, mut tried) = (String::new(), 0);
    for row in rows(page) {
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
    assert!(tried >= least, "only {tried} values");
}

#[test]
fn the_tables_of_options_name_every_key_and_no_other_with_values_that_can_be_written() {
    check(OPTIONS, PRUNE, 36, parse);
    check(TRAINING, TRAIN, 20, parse_train);
    check(OWN, "", 15, parse_data);
}

#[test]
fn the_table_of_the_other_keys_names_every_key_outside_of_the_sections_with_values_that_can_be_written() {
    let (_, others) = TRAINING.split_once("## The other keys of a config").expect("a section");
    let error = read(&format!("nonsense = 1\n{MODEL}[train]\n{TRAIN}")).expect_err("unknown");
    let elsewhere = ["data", "model", "train", "prune"];
    let named = rows(others).into_iter().flat_map(|row| code(row[0])).map(|key| key.split('.').next().expect("a key"));
    assert_eq!(named.chain(elsewhere).collect::<BTreeSet<_>>(), expected(&error));
    for row in rows(others).iter().filter(|row| row[0] != "`name`") {
        let key = code(row[0]).next().expect("a key");
        for value in code(row[1]) {
            let rewinds = "[retrain]\nrewind_to = { steps = 1 }\n";
            let text = format!(
                "{MODEL}[train]\n{TRAIN}[prune]\n{PRUNE}{}",
                if value.contains("rewind") { rewinds } else { "" }
            );
            let change = format!("{key}={value}");
            ExperimentConfig::parse("p", &text, &[change]).unwrap_or_else(|error| panic!("{key} = {value}: {error}"));
        }
    }
}

/// What an error says that is expected, in backticks.
fn expected(error: &str) -> BTreeSet<&str> {
    code(error.split_once("expected one of").expect("serde names them").1.lines().next().expect("a line")).collect()
}

#[test]
fn the_tables_of_models_and_layers_name_every_kind_and_no_other() {
    let (_, models) = OWN.split_once("## Models").expect("a section");
    let written: Vec<&str> = rows(models).iter().flat_map(|row| code(row[0])).collect();
    for model in written.iter().filter(|model| !model.contains("..")) {
        parse_model(model).unwrap_or_else(|error| panic!("{model}: {error}"));
    }
    let kind = |model: &&str| model.split('"').nth(1).expect("a kind").to_owned();
    let named: BTreeSet<String> = written.iter().map(kind).collect();
    let unknown = parse_model("{ kind = \"nonsense\" }").expect_err("unknown");
    assert_eq!(named.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected(&unknown));

    let (_, layers) = models.split_once("| `op` | keys |").expect("a table");
    let table = format!("| `op` | keys |{layers}");
    let named: BTreeSet<&str> = rows(&table).iter().flat_map(|row| code(row[0])).collect();
    let unknown = parse_model("{ kind = \"layers\", layers = [{ op = \"nonsense\" }] }").expect_err("unknown");
    assert_eq!(named, expected(&unknown));
    let (_, example) = models.split_once("```toml\n").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    let own = read(&format!("name = \"p\"\n{example}[train]\n{TRAIN}")).expect("the example can be written");
    own.model.graph([3, 32, 32], 10).expect("and is a network");
}

#[test]
fn the_config_column_beside_pytorch_can_be_written() {
    let mut tried = 0;
    for row in rows(PYTORCH) {
        for setting in code(row[1]).filter(|setting| setting.contains(" = ")) {
            let lines = match setting.split(' ').next() {
                Some("kind") => format!("every = {{ epochs = 1 }}\nschedule = {{ {setting}, prunes = 2 }}"),
                // A key of the whole config, not of the section.
                Some("start") => continue,
                _ => format!("{PRUNE}{setting}"),
            };
            if let Err(error) = parse(&lines) {
                panic!("{setting}: {error}");
            }
            tried += 1;
        }
    }
    assert!(tried >= 9, "only {tried} settings");
}
