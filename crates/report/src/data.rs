//! A table of plain values, for people who go on with their own tools: as CSV and as JSON.

use crate::csv::{number, text};
use crate::statistics::Spread;

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Count(u64),
    /// JSON has no word for what is not finite: it is nothing there, and in a CSV.
    Number(f64),
    Flag(bool),
    /// What does not apply or is not known.
    None,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<Option<f64>> for Value {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Self::None, Self::Number)
    }
}

/// Named columns and rows of as many cells.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Data {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Data {
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|&column| column.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Value>) {
        assert_eq!(cells.len(), self.columns.len(), "a cell a column");
        self.rows.push(cells);
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A heading, and a line a row.
    pub(crate) fn csv(&self) -> String {
        let mut out = self.columns.join(",") + "\n";
        for row in &self.rows {
            let cells = row.iter().map(|cell| match cell {
                Value::Text(words) => text(words),
                Value::Count(count) => count.to_string(),
                Value::Number(value) if value.is_finite() => number(*value),
                Value::Flag(flag) => flag.to_string(),
                Value::Number(_) | Value::None => String::new(),
            });
            out.push_str(&cells.collect::<Vec<_>>().join(","));
            out.push('\n');
        }
        out
    }

    /// An array of objects, one a row, their keys in the order of the columns.
    pub(crate) fn json(&self) -> String {
        let quoted = |words: &str| serde_json::Value::from(words).to_string();
        let object = |row: &Vec<Value>| {
            let fields = self.columns.iter().zip(row).map(|(column, cell)| {
                let value = match cell {
                    Value::Text(words) => quoted(words),
                    Value::Count(count) => count.to_string(),
                    Value::Number(value) => serde_json::Value::from(*value).to_string(),
                    Value::Flag(flag) => flag.to_string(),
                    Value::None => "null".to_owned(),
                };
                format!("{}:{value}", quoted(column))
            });
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        };
        format!("[\n{}\n]\n", self.rows.iter().map(object).collect::<Vec<_>>().join(",\n"))
    }
}

/// Mean, deviation, half of the 95 % interval, lowest and highest; the numbers times `scale`.
pub(crate) fn cells(spread: Option<Spread>, scale: f64) -> [Value; 5] {
    let Some(Spread { mean, deviation, half_width, min, max, .. }) = spread else { return [const { Value::None }; 5] };
    [Some(mean), deviation, half_width, Some(min), Some(max)].map(|value| value.map(|value| scale * value).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let mut data = Data::new(&["name", "n", "mean", "open", "none"]);
        data.row(vec!["a, \"b\"".into(), 3_usize.into(), Value::Number(0.5), Value::Flag(true), Value::None]);
        data.row(vec!["ü".into(), 0_usize.into(), Value::Number(f64::NAN), Value::Flag(false), Some(1.0).into()]);
        assert_eq!(data.csv(), "name,n,mean,open,none\n\"a, \"\"b\"\"\",3,0.5,true,\nü,0,,false,1\n");
        let json: serde_json::Value = serde_json::from_str(&data.json()).expect("JSON");
        let expected = serde_json::json!([
            { "name": "a, \"b\"", "n": 3, "mean": 0.5, "open": true, "none": null },
            { "name": "ü", "n": 0, "mean": null, "open": false, "none": 1.0 },
        ]);
        assert_eq!(json, expected);
        assert_eq!(Data::new(&["a"]).json(), "[\n\n]\n");
    }
}
