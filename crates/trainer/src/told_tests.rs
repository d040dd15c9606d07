//! Whatever of a config changes a result is in the first line of the log.

use super::*;
use secateur_report::Event;
use secateur_report::event::Entry;
use serde_json::json;

const TEXT: &str = r#"
    name = "small"
    model = { kind = "lenet", width = 1 }
    train = { length = { epochs = 2 } }
    [prune]
    schedule = { kind = "cubic", final = 0.9, prunes = 2 }
    every = { steps = 10 }
"#;

fn started(changes: &[&str]) -> RunStarted {
    let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
    let experiment =
        Experiment::on_data(ExperimentConfig::parse("small", TEXT, &changes).expect("TOML"), crate::data::MNIST)
            .expect("valid");
    experiment.started("mnist", InputHashes::default())
}

#[test]
fn every_number_of_the_method_and_the_optimizer_is_told() {
    let told = started(&["train.optimizer={ kind=\"adam\", betas=[0.8, 0.99] }"]);
    let method = told.method.as_ref().expect("it prunes");
    let expected = json!({ "kind": "cubic", "initial": 0.0, "final": 0.9, "prunes": 2 });
    assert_eq!(serde_json::to_value(&method.schedule).expect("plain"), expected);
    let expected = json!({ "kind": "adam", "lr": 0.001, "betas": [0.8, 0.99], "epsilon": 1e-8, "weight_decay": 0.0 });
    assert_eq!(serde_json::to_value(&told.optimizer).expect("plain"), expected);
    assert_eq!((method.target_of, told.classes, told.split_seed), (Some(Unit::Prunable), 10, Some(1)));
    assert!(told.is_known());
    // What is read is what was written.
    let entry = Entry { v: 2, event: Event::RunStarted(told.clone()), timing: None };
    let line = serde_json::to_string(&entry).expect("a line");
    assert_eq!(serde_json::from_str::<Entry>(&line).expect("a line").event, Event::RunStarted(told));
}

#[test]
fn the_unit_of_a_target_is_that_of_its_words() {
    let unit = |target: &str| {
        let told = started(&[&format!("prune.schedule={{ kind=\"one-shot\", sparsity={target} }}")]);
        told.method.and_then(|method| method.target_of)
    };
    assert_eq!(unit("0.5"), Some(Unit::Prunable));
    assert_eq!(unit("{ compression = 2.0 }"), Some(Unit::Parameters));
    assert_eq!(unit("{ kept = 9000 }"), Some(Unit::Parameters));
    assert_eq!(unit("{ macs = 0.5 }"), Some(Unit::Macs));
}

#[test]
fn whatever_changes_a_result_changes_what_is_told_and_nothing_else_does() {
    let plain = started(&[]);
    for change in [
        "train.lr_schedule={ kind=\"cosine\" }",
        "train.keep=\"last\"",
        "train.length={ epochs = 3 }",
        "train.early_stop={ patience = 3 }",
        "train.label_smoothing=0.1",
        "train.max_gradient_norm=1.0",
        "train.average={ decay = 0.99 }",
        "train.optimizer={ kind=\"adam\", epsilon=1e-7 }",
        "data.validation=4000",
        "data.split_seed=2",
        "prune.every={ steps = 11 }",
        "prune.schedule.initial=0.1",
        "prune.min_kept=3",
        "prune.calibration=9",
        "prune.exclude=[\"fc3.*\"]",
        "prune.regrow={ kind=\"rigl\", every={ steps = 2 } }",
        "prune.until={ within = 0.5 }",
        "prune.shuffle=true",
        "prune.granularity={ kind=\"n-of-m\", n=2, m=4 }",
        "retrain.lr=0.1",
        "test.every_cycles=2",
    ] {
        let change: &[&str] = if change.contains("n-of-m") {
            &[change, "prune.schedule={ kind=\"one-shot\", sparsity=0.5 }"]
        } else {
            &[change]
        };
        assert_ne!(started(change), plain, "{change:?}");
    }
    for change in ["data.dir=elsewhere", "threads=2", "checkpoint.keep=9", "measure.enabled=false"] {
        assert_eq!(started(&[change]), plain, "{change}");
    }
}

#[test]
fn a_dense_control_is_told_without_what_it_does_not_do() {
    let dense = |change: &str| started(&["prune.enabled=false", change]);
    assert_eq!(dense("prune.criterion=random"), dense("prune.criterion=snip"));
    assert!(dense("seed=1").method.is_none());
    for change in ["prune.every={ steps = 11 }", "retrain.lr=0.1"] {
        assert_ne!(dense(change), dense("seed=1"), "{change}: another plan, another rate");
    }
}
