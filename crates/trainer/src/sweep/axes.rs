//! Keys of a config with values, dotted: what axes and methods change, and when two of them say the same thing.

use toml::{Table, Value};

/// Changes to a config, in the order in which they are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Changes(Vec<(String, String)>);

impl Changes {
    /// The changes that a table of dotted keys asks for.
    pub(super) fn of(table: &Table) -> Self {
        Self(table.iter().map(|(key, value)| (key.trim().to_owned(), value.to_string())).collect())
    }

    /// One change.
    pub(super) fn one(key: &str, value: &str) -> Self {
        Self(vec![(key.to_owned(), value.to_owned())])
    }

    /// These, then the others.
    pub(super) fn then(&self, others: &Self) -> Self {
        Self([&self.0[..], &others.0].concat())
    }

    /// Those whose key this chooses.
    pub(super) fn only(&self, chosen: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(key, _)| chosen(key)).cloned().collect())
    }

    /// As `--set` takes them.
    pub(super) fn written(&self) -> Vec<String> {
        self.0.iter().map(|(key, value)| format!("{key}={value}")).collect()
    }
}

/// Every combination of the axes' values.
///
/// # Errors
/// When an axis has no values, or there are more than `most` combinations.
pub(super) fn points(axes: &Table, most: usize) -> Result<Vec<Changes>, String> {
    let mut points = vec![Changes::default()];
    for (key, values) in axes {
        let values = values.as_array().filter(|values| !values.is_empty());
        let values = values.ok_or_else(|| format!("axis `{key}` is no list of values, expected at least one"))?;
        if points.len() * values.len() > most {
            return Err(format!("the axes have more than {most} combinations"));
        }
        let more = |point: &Changes| -> Vec<Changes> {
            values.iter().map(|value| point.then(&Changes::one(key.trim(), &value.to_string()))).collect()
        };
        points = points.iter().flat_map(more).collect();
    }
    Ok(points)
}

/// The section that a dotted key is of.
pub(super) fn section(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}

/// Whether a dotted key is this one or a part of it.
pub(super) fn is_within(key: &str, whole: &str) -> bool {
    key.trim().strip_prefix(whole.trim()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether to set `key` to this value is to say anything about `other`: it is the same key, a part of it, or a table that
/// holds it.
pub(super) fn decides(key: &str, value: &Value, other: &str) -> bool {
    if is_within(key, other) {
        return true;
    }
    let Some(rest) = other.trim().strip_prefix(key.trim()).and_then(|rest| rest.strip_prefix('.')) else {
        return false;
    };
    // A value that is no table leaves nothing that the other could be put into.
    rest.split('.')
        .try_fold(value, |value, part| value.as_table().map_or(Some(value), |table| table.get(part)))
        .is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_say_the_same_thing_are_found() {
        let value = |text: &str| toml::from_str::<Table>(&format!("v = {text}")).expect("TOML").remove("v").expect("v");
        for (key, text, other, expected) in [
            ("prune.scope", "\"erk\"", "prune.scope", true),
            ("prune.scope", "\"erk\"", "prune.score", false),
            ("prune.schedule.final", "0.9", "prune.schedule", true),
            ("prune.schedule", "{ kind = \"cubic\", final = 0.9 }", "prune.schedule.final", true),
            ("prune.schedule", "{ kind = \"cubic\", prunes = 3 }", "prune.schedule.final", false),
            ("prune", "{ schedule = { final = { macs = 0.5 } } }", "prune.schedule.final.macs", true),
            ("prune", "{ schedule = { final = 0.5 } }", "prune.schedule.final.macs", true),
            ("prune.schedule", "{ final = 0.5 }", "prune.schedule_final", false),
        ] {
            assert_eq!(decides(key, &value(text), other), expected, "{key} = {text}, {other}");
        }
    }
}
