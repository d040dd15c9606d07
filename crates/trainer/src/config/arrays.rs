//! Refuses arrays where a table belongs: serde takes `until = [0.5]` for a table whose fields are given in order.

use super::words;
use toml::{Table, Value};

/// Keys whose values are arrays.
const ARRAYS: [&str; 16] = [
    "include",
    "exclude",
    "layers",
    "sparsities",
    "betas",
    "hidden",
    "inputs",
    "kernel",
    "stride",
    "padding",
    "dilation",
    "size",
    "shape",
    "synthetic_shape",
    "mean",
    "std",
];

/// The first array under another key.
pub(super) fn check(table: &Table) -> Result<(), String> {
    within("", table)
}

fn within(above: &str, table: &Table) -> Result<(), String> {
    for (key, value) in table {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match value {
            Value::Array(_) if !ARRAYS.contains(&key.as_str()) => {
                let meant = words::near(key, ARRAYS.into_iter()).map(|own| format!("; did you mean `{own}`?"));
                return Err(format!(
                    "`{path}`: found an array, expected a table such as {{ key = value }}, or a single value{}",
                    meant.unwrap_or_default()
                ));
            }
            Value::Array(values) => values.iter().try_for_each(|own| one(&path, own))?,
            Value::Table(table) => within(&path, table)?,
            Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
        }
    }
    Ok(())
}

/// A value of an array.
fn one(path: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::Array(_) => Err(format!("`{path}`: found an array within an array, expected a single value or a table")),
        Value::Table(table) => within(path, table),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::ExperimentConfig;

    const SMOKE: &str = include_str!("../../../../configs/smoke.toml");

    #[test]
    fn an_array_is_no_table() {
        let parse = |change: &str| ExperimentConfig::parse("smoke.toml", SMOKE, &[change.to_owned()]);
        for (change, wanted) in [
            ("prune.until=[0.5]", "`prune.until`: found an array"),
            ("model=[\"lenet\", 5]", "`model`: found an array"),
            ("model={ kind = \"layers\", layer = [] }", "or a single value; did you mean `layers`?"),
            ("checkpoint=[100, 3]", "`checkpoint`: found an array"),
            ("prune.layers=[{ pattern = \"a\", floor = [0.5] }]", "`prune.layers.floor`: found an array"),
            ("prune.include=[[\"*\"]]", "`prune.include`: found an array within an array"),
        ] {
            let error = parse(change).expect_err(change).to_string();
            assert!(error.contains(wanted) && error.contains("smoke.toml"), "{change}: {error}");
        }
        for change in [
            "prune.schedule={ kind = \"list\", sparsities = [0.5, { kept = 100 }] }",
            "train.optimizer={ kind = \"adam\", betas = [0.9, 0.99] }",
            "prune.layers=[{ pattern = \"fc1.*\", floor = 0.5 }]",
        ] {
            parse(change).expect(change);
        }
        let text = SMOKE.replace("[prune]", "[prune]\nuntil = [0.5]");
        let error = ExperimentConfig::parse("smoke.toml", &text, &[]).expect_err("an array").to_string();
        assert!(error.contains("`prune.until`: found an array"), "{error}");
    }
}
