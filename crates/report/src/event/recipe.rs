//! How a run trains and prunes, as data: what two runs have to share before their results are averaged or compared.
//!
//! ```text
//! {"kind":"cubic","final":0.99,"initial":0.0,"prunes":20}      a choice of a log of version 2
//! "cubic to 0.99 in 20 prunes"                                 the same in one of version 1: words, which nothing compares
//! ```

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RunStarted;

/// Settings by the keys of the config.
pub type Settings = BTreeMap<String, Value>;

/// One of several kinds, such as a schedule or an optimizer, with every setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Choice {
    /// The kind and its settings.
    Known {
        /// The kind, such as `cubic` or `adam`.
        kind: String,
        /// Every setting of that kind, defaults spelled out.
        #[serde(flatten)]
        settings: Settings,
    },
    /// As logs of version 1 have it: words for people, from which nothing is concluded.
    Words(String),
}

impl Choice {
    /// A kind that has no settings, or none that are of interest.
    pub fn of_kind(kind: &str) -> Self {
        Self::Known { kind: kind.into(), settings: Settings::new() }
    }

    /// Whether it is told as data.
    pub fn is_known(&self) -> bool {
        matches!(self, Self::Known { .. })
    }

    /// The kind, or the words of an old log.
    pub fn kind(&self) -> &str {
        match self {
            Self::Known { kind, .. } => kind,
            Self::Words(words) => words,
        }
    }

    /// A setting; `None` where there is none of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Known { settings, .. } => settings.get(name),
            Self::Words(_) => None,
        }
    }

    /// The same with another value of one setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Self::Known { settings, .. } = &mut self {
            settings.insert(name.into(), value.into());
        }
        self
    }

    /// The same without some settings.
    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        if let Self::Known { settings, .. } = &mut self {
            names.iter().for_each(|name| {
                settings.remove(*name);
            });
        }
        self
    }
}

/// `cubic, final 0.99, initial 0, prunes 20`; nested settings as JSON.
impl fmt::Display for Choice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => out.write_str(words),
            Self::Known { kind, settings } => {
                out.write_str(kind)?;
                settings.iter().try_for_each(|(name, value)| write!(out, ", {name} {}", words(value)))
            }
        }
    }
}

/// A value as people write it.
pub(crate) fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            // `1.0` and `1` are one number to a reader.
            number.as_f64().filter(|_| number.is_f64()).map_or(number.to_string(), |number| number.to_string())
        }
        Value::Array(values) => format!("[{}]", values.iter().map(words).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let fields: Vec<_> = map.iter().map(|(name, value)| format!("{} {name}", words(value))).collect();
            fields.join(" ")
        }
        value => value.to_string(),
    }
}

/// How a run prunes, in the words of its config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// Criterion, such as `l1`, `random` or `snip`.
    pub criterion: String,
    /// What is pruned as one, such as single weights (`element`) or filters. Logs of the first builds, which pruned elements only,
    /// lack it.
    #[serde(default = "element")]
    pub granularity: Choice,
    /// Scope, such as `layerwise` or `global`.
    pub scope: String,
    /// Schedule with every number.
    pub schedule: Choice,
    /// What the schedule's targets are a fraction of; `None` in logs of version 1, which do not say.
    pub target_of: Option<Unit>,
    /// How masks move between prunes; `None` where they do not.
    pub regrow: Option<Choice>,
    /// The accuracy budget, if there is one.
    pub until: Option<Settings>,
    /// What follows a prune: `fine-tune`, `rewind-weights`, `rewind-lr` or `reinitialise`, with its settings.
    pub retrain: Choice,
    /// SHA-256 of the file of scores that weights are pruned by, in hexadecimal; `None` where there is none.
    pub scores_sha256: Option<String>,
    /// What else the config's section `prune` says; `None` in logs of version 1.
    #[serde(rename = "prune")]
    pub others: Option<Settings>,
}

fn element() -> Choice {
    Choice::of_kind("element")
}

impl Method {
    /// Whether it is told as data, whole.
    fn is_known(&self) -> bool {
        self.granularity.is_known()
            && self.schedule.is_known()
            && self.retrain.is_known()
            && self.target_of.is_some()
            && self.others.is_some()
    }
}

/// What a target is a fraction of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The prunable parameters.
    Prunable,
    /// All parameters, as a ratio or a count of those that stay.
    Parameters,
    /// The multiply-accumulates.
    Macs,
    /// A log of version 1 does not say.
    #[serde(skip)]
    Unknown,
}

impl RunStarted {
    /// Whether everything that the result depends on is told as data. Logs of version 1 tell it in words, or not at all; what
    /// they lack can be filled in from the config beside them.
    pub fn is_known(&self) -> bool {
        self.optimizer.is_known()
            && self.lr_schedule.is_some()
            && self.settings.is_some()
            && self.method.as_ref().is_none_or(Method::is_known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_choice_is_written_as_it_is_read() {
        for (text, shown) in [
            (r#"{"kind":"cubic","final":0.99,"initial":0.0,"prunes":20}"#, "cubic, final 0.99, initial 0, prunes 20"),
            (r#"{"kind":"one-shot","sparsity":{"kept":500}}"#, "one-shot, sparsity 500 kept"),
            (r#"{"kind":"adam","betas":[0.9,0.999],"lr":1e-5}"#, "adam, betas [0.9, 0.999], lr 0.00001"),
            (r#"{"kind":"element"}"#, "element"),
            (r#""cubic to 0.9 in 2 prunes""#, "cubic to 0.9 in 2 prunes"),
        ] {
            let choice: Choice = serde_json::from_str(text).expect(text);
            assert_eq!(choice.to_string(), shown);
            assert_eq!(serde_json::to_value(&choice).expect("plain"), serde_json::from_str::<Value>(text).expect(text));
        }
        assert!(serde_json::from_str::<Choice>("3").is_err());
    }

    #[test]
    fn words_of_an_old_log_have_no_settings() {
        let words = Choice::Words("cubic to 0.9".into());
        assert!(!words.is_known() && words.get("final").is_none() && words.clone().with("final", 0.9) == words);
        let cubic = Choice::of_kind("cubic").with("final", 0.9).with("initial", 0.5);
        assert_eq!(cubic.get("final"), Some(&json!(0.9)));
        assert_eq!(cubic.without(&["final"]), Choice::of_kind("cubic").with("initial", 0.5));
    }
}
