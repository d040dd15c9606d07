//! Faults of configs, as they are told.

use super::{SHORT, distance, short};
use crate::ExperimentConfig;

const SMOKE: &str = include_str!("../../../../configs/smoke.toml");

fn change(changes: &[&str]) -> String {
    let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
    ExperimentConfig::parse("smoke.toml", SMOKE, &changes).expect_err("a fault").to_string()
}

#[test]
fn a_value_of_a_wrong_kind_is_told_with_an_example() {
    for (own, expected) in [
        ("model=\"lenet\"", "`model`: found \"lenet\", expected a table such as { kind = \"lenet\", width = 5 }"),
        ("train.optimizer=3", "`train.optimizer`: found 3, expected a table such as { kind = \"adam\""),
        ("train.lr_schedule=\"cosine\"", "expected a table such as { kind = \"cosine\" }"),
        ("prune.schedule=0.9", "expected a table such as { kind = \"cubic\""),
        ("prune.granularity=\"filter\"", "expected a table such as { kind = \"filter\" }"),
        ("prune.regrow=\"set\"", "expected a table such as { kind = \"rigl\""),
        ("prune.until=0.5", "expected a table such as { within = 0.5 }"),
        ("prune.every=3", "a length such as { epochs = 1 }"),
        ("prune.criterion=3", "expected a word in quotes"),
        ("seed=\"one\"", "`seed`: found \"one\", expected a whole number from 0"),
        ("seed=-1", "`seed`: found -1, expected a whole number from 0"),
        ("train.batch_size=1.5", "`train.batch_size`: found 1.5, expected a whole number from 0"),
        ("data=3", "`data`: found 3, expected a table such as { dir = "),
        ("measure=3", "`measure`: found 3, expected a table"),
        ("prune.enabled=1", "`prune.enabled`: found 1, expected true or false"),
        ("name=3", "`name`: found 3, expected text in quotes"),
        (
            "train.lr_schedule={kind=\"step\", every=3}",
            "`train.lr_schedule.every`: found 3, expected a word in quotes, or",
        ),
        ("train.optimizer={kind=\"adam\", lr=\"a\"}", "`train.optimizer.lr`: found \"a\", expected a number"),
        (
            "train.optimizer={kind=\"adam\", lr=1e-3, betas=[1, 2, 3]}",
            "`train.optimizer.betas`: found 3 values, expected a",
        ),
        (
            "train.optimizer={kind=\"adam\", lr=1e-3, betas=0.9}",
            "`train.optimizer.betas`: found 0.9, expected a list of 2",
        ),
        ("train.length={epochs=1, steps=2}", "`train.length`: found several keys, expected exactly one, such as"),
        ("train.length={}", "`train.length`: found no key, expected exactly one, such as"),
        ("model.width=-1", "`model.width`: found -1, expected a whole number from 0"),
    ] {
        let error = change(&[own]);
        assert!(error.contains(expected), "{own}: {error}");
        for rust in [
            "enum", "struct", "usize", "u64", "f64", "variant", "field", "Config", "map", "sequence", "element",
            "array",
        ] {
            assert!(!error.replace(own, "").contains(rust), "{own}: {error}");
        }
    }
}

#[test]
fn what_is_meant_is_guessed_of_keys_and_values() {
    for (own, expected) in [
        ("modle.width=2", "unknown key `modle`, did you mean `model`? expected one of"),
        ("prune.criterian=\"l1\"", "unknown key `prune.criterian`, did you mean `criterion`?"),
        ("prune.scope=gloabl", "`prune.scope`: found `gloabl`, did you mean `global`? expected one of"),
        ("train.length={ epoch = 1 }", "did you mean `epochs`?"),
        ("model.kind=lennet", "did you mean `lenet`?"),
    ] {
        let error = change(&[own]).replace("?;", "?");
        assert!(error.contains(expected), "{own}: {error}");
    }
    let error = change(&["colour=1"]);
    assert!(error.contains("unknown key `colour`; expected one of `name`") && !error.contains("did you"), "{error}");
    assert_eq!([distance("gloabl", "global"), distance("abc", "axc"), distance("", "abc")], [1, 1, 3]);
}

#[test]
fn a_fault_of_the_text_is_told_with_its_line() {
    let text = SMOKE.replacen("[prune]", "[prune]\nscoppe = \"global\"", 1);
    let line = 1 + text.lines().position(|line| line.starts_with("scoppe")).expect("written");
    let error = ExperimentConfig::parse("my.toml", &text, &[]).expect_err("a fault").to_string();
    let expected = format!("my.toml: line {line}, column 1: unknown key `prune.scoppe`, did you mean `scope`?");
    assert!(error.starts_with(&expected) && error.contains("\n  scoppe = \"global\""), "{error}");
    let error = ExperimentConfig::parse("torn.toml", "a = 1\nname = ", &[]).expect_err("torn").to_string();
    assert!(error.contains("torn.toml: line 2"), "{error}");
}

#[test]
fn a_fault_of_json_is_told_in_the_same_words() {
    let error = serde_json::from_str::<Vec<usize>>("[1,\n\"two\"]").expect_err("text");
    assert_eq!(super::of_json(&error), "line 2, column 5: found \"two\", expected a whole number from 0");
}

#[test]
fn a_share_in_percent_is_told_how_to_be_written() {
    let error = change(&["prune.schedule={ kind = \"list\", sparsities = [0.5, 99] }"]);
    assert!(error.contains("sparsity is 99") && error.contains("for 99 % write 0.99"), "{error}");
}

#[test]
fn long_values_are_told_short() {
    let long = "x".repeat(100_000);
    for error in [
        change(&[&format!("prune.scope={long}")]),
        change(&[&format!("{long}=1")]),
        change(&[&format!("seed=\"{long}\"")]),
        ExperimentConfig::parse("a.toml", &format!("name = [{}", "[".repeat(100_000)), &[])
            .expect_err("deep")
            .to_string(),
        ExperimentConfig::parse("a.toml", &format!("name = \"{long}\"\n{long} = 3"), &[])
            .expect_err("long")
            .to_string(),
    ] {
        assert!(error.len() < 2_000, "{} bytes: {}", error.len(), &error[..2_000]);
    }
    assert_eq!(short(&long).len(), SHORT + 3);
}

#[test]
fn keys_of_another_kind_are_told_with_the_table_to_write() {
    let error = change(&["model.kind=lenet-300-100"]);
    let expected = "`model.width` is left over from another kind of `model`; replace the whole table: --set \
                    'model={ kind = \"lenet-300-100\" }'";
    assert!(error.contains(expected), "{error}");
    let written = ExperimentConfig::parse("smoke.toml", SMOKE, &["model={ kind = \"lenet-300-100\" }".to_owned()]);
    assert!(written.is_ok(), "what is told can be written");
}

#[test]
fn a_sweep_is_no_config_of_a_run_and_is_told_so() {
    let text = "name = \"s\"\nbase = \"b.toml\"\nseeds = [1]\n";
    for changes in [vec![], vec!["seed=2".to_owned()]] {
        let error = ExperimentConfig::parse("my.toml", text, &changes).expect_err("a sweep").to_string();
        assert!(error.contains("a sweep") && error.contains("secateur sweep my.toml"), "{error}");
    }
}
