//! What differs between the configs of runs, key by key.

use crate::folder::experiment_text;
use crate::{Error, config::refuse};
use std::collections::BTreeMap;
use std::path::Path;

/// A key that is not the same in all runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key, dotted, such as `prune.schedule.final`.
    pub key: String,
    /// Its value as TOML, one a run; `None` where the run's config does not have the key.
    pub values: Vec<Option<String>>,
}

/// The keys that differ between the runs in these folders, in alphabetic order.
///
/// # Errors
/// When a folder is no run, or its config is no TOML.
pub fn differences<P: AsRef<Path>>(runs: &[P]) -> Result<Vec<Difference>, Error> {
    let texts = runs.iter().map(|run| experiment_text(run.as_ref())).collect::<Result<Vec<_>, _>>()?;
    let mut configs = Vec::new();
    for (place, text) in &texts {
        // As text, not as a config: what another version wrote can be compared, too.
        let table: toml::Table = toml::from_str(text).map_err(|error| refuse(place, error.to_string()))?;
        let mut keys = BTreeMap::new();
        flatten("", &table, &mut keys);
        configs.push(keys);
    }
    Ok(between(&configs))
}

fn between(configs: &[BTreeMap<String, String>]) -> Vec<Difference> {
    let keys: std::collections::BTreeSet<&String> = configs.iter().flat_map(BTreeMap::keys).collect();
    let differences = keys.into_iter().map(|key| {
        let values = configs.iter().map(|config| config.get(key).cloned()).collect();
        Difference { key: key.clone(), values }
    });
    differences.filter(|found| found.values.windows(2).any(|pair| pair[0] != pair[1])).collect()
}

fn flatten(above: &str, table: &toml::Table, keys: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, keys),
            value => {
                keys.insert(key, value.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> BTreeMap<String, String> {
        let mut keys = BTreeMap::new();
        flatten("", &toml::from_str(text).expect("TOML"), &mut keys);
        keys
    }

    #[test]
    fn equal_keys_are_left_out_and_missing_ones_are_nothing() {
        let a = keys("seed = 1\n[prune]\ncriterion = \"l1\"\nschedule = { kind = \"cubic\", final = 0.9 }\n");
        let b = keys(
            "seed = 1\nthreads = 2\n[prune]\ncriterion = \"random\"\nschedule = { kind = \"cubic\", final = 0.9 }\n",
        );
        let found = between(&[a.clone(), b, a.clone()]);
        let of = |key: &str, values: [Option<&str>; 3]| Difference {
            key: key.into(),
            values: values.iter().map(|value| value.map(str::to_owned)).collect(),
        };
        let expected = [
            of("prune.criterion", [Some("\"l1\""), Some("\"random\""), Some("\"l1\"")]),
            of("threads", [None, Some("2"), None]),
        ];
        assert_eq!(found, expected);
        assert!(between(&[a.clone(), a]).is_empty());
    }

    #[test]
    fn lists_are_values() {
        let found = between(&[keys("a.b = [0.5, 0.9]"), keys("a.b = [0.5]\nc = true")]);
        let values: Vec<_> = found.iter().map(|found| (found.key.as_str(), found.values[0].as_deref())).collect();
        assert_eq!(values, [("a.b", Some("[0.5, 0.9]")), ("c", None)]);
    }
}
