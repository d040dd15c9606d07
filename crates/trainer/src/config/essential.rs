//! What a config says that its defaults do not say: by this, and by nothing else, runs are told from each other. A key that
//! is added to the program later, with a default that changes nothing, renames no run. A default that changes has to rename
//! all of them, see [`SALT`].

use super::ExperimentConfig;
use crate::models::ModelConfig;
use sha2::{Digest, Sha256};
use toml::{Table, Value};

/// Hashed before a config, and to be changed with any default: what a config leaves out then means something else, and its
/// runs must not have the names of those before. Empty as long as no default has changed.
const SALT: &str = "";

impl ExperimentConfig {
    /// The config without every key that could be left out: without it, it reads the same.
    pub(crate) fn essential(&self) -> Table {
        let mut whole = Table::try_from(self).expect("every configuration is representable in TOML");
        // What follows from other keys may be left out as well.
        self.clone().filled_in().reduce(&mut whole, &[]);
        whole
    }

    /// Takes what can be left out from the table below `path`.
    fn reduce(&self, whole: &mut Table, path: &[String]) {
        let Some(table) = below(whole, path) else { return };
        for key in table.keys().cloned().collect::<Vec<_>>() {
            let Some(value) = below(whole, path).and_then(|table| table.remove(&key)) else { continue };
            if whole.clone().try_into::<Self>().is_ok_and(|read| read.filled_in() == *self) {
                continue;
            }
            let has_keys = value.is_table();
            if let Some(table) = below(whole, path) {
                table.insert(key.clone(), value);
            }
            if has_keys {
                self.reduce(whole, &[path, &[key]].concat());
            }
        }
    }

    /// Eight hexadecimal digits that tell runs apart by what their results depend on; of the data folder only its own name
    /// counts, not where it lies, and so of a model that is a file, whose content counts.
    pub(crate) fn digest(&self) -> String {
        let mut facts = self.clone();
        facts.data.dir = facts.data.dir.file_name().unwrap_or_default().into();
        if let ModelConfig::File { path, sha256: Some(_), .. } = &mut facts.model {
            *path = Default::default();
        }
        if let Some(own) = facts.train.distillation.as_mut().filter(|own| own.sha256.is_some()) {
            own.path = own.path.as_ref().map(|_| Default::default());
        }
        facts.seed = 0;
        facts.threads = 0;
        facts.measure = Default::default();
        let text = toml::to_string(&facts.essential()).expect("a table is TOML");
        Sha256::digest(format!("{SALT}{text}")).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The table at a path.
fn below<'a>(table: &'a mut Table, path: &[String]) -> Option<&'a mut Table> {
    path.iter().try_fold(table, |table, key| table.get_mut(key).and_then(Value::as_table_mut))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        name = "small"
        model = { kind = "lenet", width = 1 }
        train = { length = { epochs = 2 }, optimizer = { kind = "sgd", lr = 0.1, momentum = 0.9 } }
        [prune]
        schedule = { kind = "one-shot", sparsity = 0.9 }
        every = { steps = 10 }
    "#;

    fn config(changes: &[&str]) -> ExperimentConfig {
        let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
        ExperimentConfig::parse("small", TEXT, &changes).expect("valid")
    }

    #[test]
    fn what_could_be_left_out_is_left_out() {
        // The learning rate of 0.1 is sgd's own.
        let expected = r#"name = "small"

[model]
kind = "lenet"
width = 1

[prune.every]
steps = 10

[prune.schedule]
kind = "one-shot"
sparsity = 0.9

[train.length]
epochs = 2

[train.optimizer]
kind = "sgd"
momentum = 0.9
"#;
        assert_eq!(toml::to_string(&config(&[]).essential()).expect("TOML"), expected);
    }

    #[test]
    fn a_default_that_is_spelled_out_renames_no_run() {
        let plain = config(&[]).digest();
        for change in [
            "seed=7",
            "threads=3",
            "measure.enabled=false",
            "prune.criterion=l1",
            "prune.scope=global",
            "checkpoint.keep=3",
            "prune.exclude=[]",
            "train.optimizer.nesterov=false",
            "data.dir=/elsewhere/mnist",
            "data.split_seed=1",
        ] {
            assert_eq!(config(&[change]).digest(), plain, "{change}");
        }
        for change in [
            "prune.criterion=l2",
            "prune.scope=layerwise",
            "checkpoint.keep=4",
            "train.optimizer.lr=0.2",
            "data.dir=datasets/fashion-mnist",
            "data.split_seed=2",
            "train.keep=last",
        ] {
            assert_ne!(config(&[change]).digest(), plain, "{change}");
        }
        // Runs of this name are there: it has to stay, whatever keys are added.
        assert_eq!(plain, "af906887");
    }

    /// What every key is that a config leaves out, of each kind that has keys of its own.
    fn defaults() -> String {
        let mut text = format!("{:#?}\n", config(&[]));
        for change in [
            "train.optimizer={ kind = \"adam\" }",
            "train.optimizer={ kind = \"adamw\" }",
            "train.optimizer={ kind = \"sgd\" }",
            "train.lr_schedule={ kind = \"step\", every = { steps = 1 }, factor = 0.5 }",
            "train.lr_schedule={ kind = \"cosine\" }",
        ] {
            let train = config(&[change]).train;
            text += &format!("{:#?}\n{:#?}\n", train.optimizer, train.lr_schedule);
        }
        for change in [
            "prune.schedule={ kind = \"linear\", final = 0.5, prunes = 2 }",
            "prune.schedule={ kind = \"cubic\", final = 0.5, prunes = 2 }",
            "prune.schedule={ kind = \"polynomial\", final = 0.5, power = 2.0, prunes = 2 }",
            "prune.schedule={ kind = \"exponential\", final = 0.5, prunes = 2 }",
            "prune.schedule={ kind = \"cosine\", final = 0.5, prunes = 2 }",
            "prune.schedule={ kind = \"one-cycle\", final = 0.5, prunes = 2 }",
            "prune.schedule={ kind = \"list\", sparsities = [0.5] }",
        ] {
            text += &format!("{:#?}\n", config(&[change]).prune.expect("prunes").schedule);
        }
        for change in [
            "prune.regrow={ kind = \"set\", every = { steps = 1 } }",
            "prune.regrow={ kind = \"rigl\", every = { steps = 1 } }",
            "prune.regrow={ kind = \"surgery\", every = { steps = 1 } }",
            "prune.until={ within = 1.0 }",
        ] {
            let prune = config(&[change]).prune.expect("prunes");
            text += &format!("{:#?}\n{:#?}\n", prune.regrow, prune.until);
        }
        // What follows from other keys.
        for change in [
            "prune.criterion=wanda",
            "prune.criterion=synflow",
            "prune.granularity={ kind = \"n-of-m\", n = 2, m = 4 }",
        ] {
            let prune = config(&[change]).prune.expect("prunes");
            text += &format!("{change}: {} {} {}\n", prune.scope(), prune.rounds(), prune.least());
        }
        text
    }

    #[test]
    fn a_default_that_changes_renames_the_runs_that_leave_it_out() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/defaults.txt");
        let (found, known) = (defaults(), std::fs::read_to_string(file).expect("readable"));
        assert!(
            found == known,
            "the defaults are no longer those of {file}. For a new key that changes nothing, write them there. Where a \
             default has another value, change SALT, too: else runs that do different things have one name. They are\n{found}"
        );
    }
}
