//! Values of a wrong kind in a person's words: what serde calls them says nothing to whoever types a config.

/// What serde says, and what was wanted.
const WANTED: [(&str, &str); 7] = [
    ("internally tagged enum ModelConfig", "a table such as { kind = \"lenet\", width = 5 }"),
    ("internally tagged enum OptimizerConfig", "a table such as { kind = \"adam\", lr = 1e-3 }"),
    ("internally tagged enum LrSchedule", "a table such as { kind = \"cosine\" }"),
    ("internally tagged enum Schedule", "a table such as { kind = \"cubic\", final = 0.9, prunes = 10 }"),
    ("internally tagged enum Granularity", "a table such as { kind = \"filter\" }"),
    ("internally tagged enum RegrowConfig", "a table such as { kind = \"rigl\", every = { steps = 100 } }"),
    ("struct UntilConfig", "a table such as { within = 0.5 }"),
];
/// The same of words, and of lengths, which are words with a number.
const WORDS: (&str, &str) = (
    "invalid type: unit variant, expected string only",
    "found another kind of value, wanted a word in quotes, or a length such as { epochs = 1 }",
);

/// An error of serde's with those words.
pub(super) fn in_words(error: &str) -> String {
    let mut words = error.replace(WORDS.0, WORDS.1);
    for (theirs, ours) in WANTED {
        words = words.replace(&format!("expected {theirs}"), &format!("wanted {ours}"));
    }
    words.replace("invalid type: ", "found ")
}

#[cfg(test)]
mod tests {
    use crate::ExperimentConfig;

    const SMOKE: &str = include_str!("../../../../configs/smoke.toml");

    #[test]
    fn a_value_of_a_wrong_kind_is_told_with_an_example() {
        for (change, wanted) in [
            ("model=\"lenet\"", "found string \"lenet\", wanted a table such as { kind = \"lenet\", width = 5 }"),
            ("train.optimizer=3", "wanted a table such as { kind = \"adam\""),
            ("train.lr_schedule=\"cosine\"", "wanted a table such as { kind = \"cosine\" }"),
            ("prune.schedule=0.9", "wanted a table such as { kind = \"cubic\""),
            ("prune.granularity=\"filter\"", "wanted a table such as { kind = \"filter\" }"),
            ("prune.regrow=\"set\"", "wanted a table such as { kind = \"rigl\""),
            ("prune.until=0.5", "wanted a table such as { within = 0.5 }"),
            ("prune.every=3", "a length such as { epochs = 1 }"),
            ("prune.criterion=3", "wanted a word in quotes"),
            ("seed=\"one\"", "found string \"one\", expected u64"),
        ] {
            let error = ExperimentConfig::parse("smoke.toml", SMOKE, &[change.to_owned()]).expect_err(change);
            let error = error.to_string();
            assert!(error.contains(wanted) && !error.contains("enum"), "{change}: {error}");
        }
    }
}
