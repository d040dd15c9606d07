//! What is wrong with a config, in the words of whoever types one: serde's own name Rust types, and repeat values of any length.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// What serde calls the types of a config, and what a person writes for them.
const EXPECTED: [(&str, &str); 26] = [
    ("internally tagged enum ModelConfig", "a table such as { kind = \"lenet\", width = 5 }"),
    ("internally tagged enum OptimizerConfig", "a table such as { kind = \"adam\", lr = 1e-3 }"),
    ("internally tagged enum LrSchedule", "a table such as { kind = \"cosine\" }"),
    ("internally tagged enum Schedule", "a table such as { kind = \"cubic\", final = 0.9, prunes = 10 }"),
    ("internally tagged enum Granularity", "a table such as { kind = \"filter\" }"),
    ("internally tagged enum RegrowConfig", "a table such as { kind = \"rigl\", every = { steps = 100 } }"),
    ("internally tagged enum Normalisation", "a table such as { kind = \"training\" }"),
    ("struct Augment", "a table such as { crop = 4, flip = true }"),
    ("struct UntilConfig", "a table such as { within = 0.5 }"),
    ("struct DataConfig", "a table such as { dir = \"datasets/mnist\" }"),
    ("struct TrainConfig", "a table such as { length = { epochs = 2 } }"),
    ("struct RetrainConfig", "a table such as { kind = \"fine-tune\" }"),
    ("struct CheckpointConfig", "a table such as { every_steps = 500 }"),
    ("struct EarlyStop", "a table such as { patience = 3 }"),
    ("struct AverageConfig", "a table such as { decay = 0.999 }"),
    ("usize", "a whole number from 0"),
    ("u64", "a whole number from 0"),
    ("u32", "a whole number from 0"),
    ("i64", "a whole number"),
    ("f64", "a number"),
    ("f32", "a number"),
    ("a boolean", "true or false"),
    ("a string", "text in quotes"),
    ("path string", "text in quotes"),
    ("a sequence", "a list such as [1, 2]"),
    ("string or map", "a word in quotes, or a length such as { epochs = 1 }"),
];
/// The same of words, and of lengths, which are words with a number.
const WORDS: (&str, &str) = (
    "invalid type: unit variant, expected string only",
    "found another kind of value, expected a word in quotes, or a length such as { epochs = 1 }",
);
/// Most characters of a value, a key or a line that a message repeats.
const SHORT: usize = 80;
/// Most characters of a message that is not built here.
const LONG: usize = 600;

/// The first characters of what may be as long as a file.
pub(crate) fn short(text: &str) -> String {
    cut(text, SHORT)
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// What is wrong with this text, which is no `T`: its line, the key, and the line itself.
pub(crate) fn of_text<T: DeserializeOwned>(text: &str, error: &toml::de::Error) -> String {
    // A table knows the key, the text knows the line.
    let of_table = toml::from_str::<Table>(text).ok();
    let of_table = of_table.and_then(|table| Some((table.clone(), table.try_into::<T>().err()?)));
    let why = match &of_table {
        Some((table, of_table)) => self::of_table::<T>(table, of_table),
        None => plain(error.message(), ""),
    };
    let Some(span) = error.span() else { return why };
    let before = &text[..text.floor_char_boundary(span.start.min(text.len()))];
    let line = before.matches('\n').count();
    let column = before.chars().rev().take_while(|letter| *letter != '\n').count();
    let content: String =
        text.lines().nth(line).unwrap_or_default().chars().skip(column.saturating_sub(SHORT / 2)).collect();
    format!("line {}, column {}: {why}\n  {}", line + 1, column + 1, short(content.trim()))
}

/// What is wrong with this table, which is no `T`.
pub(super) fn of_table<T: DeserializeOwned>(table: &Table, error: &toml::de::Error) -> String {
    plain(error.message(), &whole_key::<T>(table, error))
}

/// What is wrong with a text that should be JSON of some kind.
pub fn of_json(error: &serde_json::Error) -> String {
    let (text, place) = (error.to_string(), format!(" at line {} column {}", error.line(), error.column()));
    let why = plain(text.strip_suffix(&place).unwrap_or(&text), "");
    format!("line {}, column {}: {why}", error.line(), error.column())
}

/// The dotted key of a table's error, also where serde names only the table of a `kind` around it: the key without which the
/// error is gone.
fn whole_key<T: DeserializeOwned>(table: &Table, error: &toml::de::Error) -> String {
    let key = key(error);
    let names_it = ["unknown field", "missing field"].into_iter().any(|own| error.message().starts_with(own));
    let mut without = table.clone();
    let Some(of_kind) = inner(&mut without, &key).filter(|own| own.contains_key("kind") && !names_it) else {
        return key;
    };
    let names: Vec<String> = of_kind.keys().filter(|name| *name != "kind").cloned().collect();
    let faulty = names.iter().find(|name| {
        let mut without = table.clone();
        inner(&mut without, &key).and_then(|own| own.remove(*name));
        let left = without.try_into::<T>().err();
        left.is_none_or(|left| left.message() != error.message() || self::key(&left) != key)
    });
    faulty.map_or(key.clone(), |name| below(&key, name))
}

/// The dotted key of a table's error; empty at the top.
fn key(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let key = text.trim_end().rsplit('\n').next().and_then(|line| line.strip_prefix("in `")?.strip_suffix('`'));
    key.unwrap_or_default().to_owned()
}

/// A message of serde in plain words, with the dotted key that it is about; empty where that is not known.
pub(crate) fn plain(message: &str, key: &str) -> String {
    let place = if key.is_empty() { String::new() } else { format!("`{}`: ", short(key)) };
    if message == WORDS.0 {
        return format!("{place}{}", WORDS.1);
    }
    if let Some((name, known)) = unknown(message, "unknown field `") {
        let known = if known.starts_with("there are no") { "expected no other key here".to_owned() } else { known };
        return format!("unknown key `{}`{}; {known}", short(&below(key, &name)), hint(&name, &known));
    }
    if let Some((name, known)) = unknown(message, "unknown variant `") {
        return format!("{place}found `{}`{}; {known}", short(&name), hint(&name, &known));
    }
    if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return format!("the key `{}` is missing", below(key, name));
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid length ").and_then(|rest| rest.split_once(", expected "))
    {
        return format!("{place}found {found} values, expected {}", type_in_words(expected));
    }
    if let Some(found) = message.strip_prefix("wanted exactly 1 element, ") {
        let found = if found.starts_with("more") { "several keys" } else { "no key" };
        return format!("{place}found {found}, expected exactly one, such as {{ epochs = 1 }}");
    }
    let kind = ["invalid type: ", "invalid value: "].into_iter().find_map(|prefix| message.strip_prefix(prefix));
    if let Some((found, expected)) = kind.and_then(|rest| rest.rsplit_once(", expected ")) {
        return format!("{place}found {}, expected {}", value(found), type_in_words(expected));
    }
    let percent = message.strip_prefix("sparsity is ").and_then(|rest| rest.split(',').next()?.parse::<f64>().ok());
    if let Some(percent) = percent.filter(|share| (2.0..100.0).contains(share)) {
        return format!("{place}{message}; for {percent} % write {}", (percent * 1e6).round() / 1e8);
    }
    format!("{place}{}", cut(message, LONG))
}

/// A name that is not known, and serde's words on those that are.
fn unknown(message: &str, prefix: &str) -> Option<(String, String)> {
    let rest = message.strip_prefix(prefix)?;
    let end = rest.rfind("`, expected ").or_else(|| rest.rfind("`, there are no "))?;
    Some((rest[..end].to_owned(), rest[end + 3..].to_owned()))
}

fn below(key: &str, name: &str) -> String {
    if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") }
}

/// The known name that is meant, where one is near.
fn hint(name: &str, known: &str) -> String {
    near(name, known.split('`').skip(1).step_by(2)).map_or(String::new(), |own| format!(", did you mean `{own}`?"))
}

/// The one of these names that is likely meant by another one.
pub(crate) fn near<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (changes, own) = names.map(|own| (distance(name, own), own)).min()?;
    (changes <= 1.max(name.chars().count().min(own.chars().count()) / 3)).then_some(own)
}

/// Letters to be changed, left out, put in, or swapped with their neighbour, until one word is the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(SHORT).collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1);
            least = least.min(rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]));
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// A value as serde names it, as it is typed.
fn value(found: &str) -> String {
    match found {
        "sequence" => return "a list".into(),
        "map" => return "a table".into(),
        _ => {}
    }
    let bare =
        ["string ", "integer ", "floating point ", "boolean "].into_iter().find_map(|kind| found.strip_prefix(kind));
    short(bare.unwrap_or(found).trim_matches('`'))
}

fn type_in_words(expected: &str) -> String {
    let known = EXPECTED.into_iter().find(|(theirs, _)| *theirs == expected);
    let count = expected.strip_prefix("an array of length ").or_else(|| expected.strip_suffix(" elements in sequence"));
    if let Some(count) = count {
        return format!("a list of {count} numbers");
    }
    let of_rust = ["struct ", "internally tagged enum ", "enum "].into_iter().any(|kind| expected.starts_with(kind));
    match known {
        Some((_, ours)) => ours.to_owned(),
        None if of_rust => "a table".to_owned(),
        None => expected.strip_prefix("wanted ").unwrap_or(expected).to_owned(),
    }
}

/// How to replace the table whose kind `changes` changed, where keys of the kind before are left over.
pub(super) fn left_over<T: DeserializeOwned>(
    table: &Table,
    error: &toml::de::Error,
    changes: &[String],
) -> Option<String> {
    let key = key(error);
    let of_kind = |change: &String| change.split_once('=').is_some_and(|(own, _)| own.trim() == format!("{key}.kind"));
    changes.iter().find(|change| of_kind(change))?;
    let (mut table, mut removed, mut missing) = (table.clone(), vec![], String::new());
    let mut error = Some(error.clone());
    while let Some(own) = error.filter(|own| self::key(own) == key) {
        if let Some((name, _)) = unknown(own.message(), "unknown field `") {
            inner(&mut table, &key)?.remove(&name)?;
            removed.push(format!("`{}`", short(&below(&key, &name))));
        } else {
            let name = own.message().strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
            missing = name.map_or(String::new(), |name| format!(", {name} = ..."));
            break;
        }
        error = table.clone().try_into::<T>().err();
    }
    if removed.is_empty() {
        return None;
    }
    let whole = Value::Table(inner(&mut table, &key)?.clone()).to_string();
    let whole = whole.strip_suffix(" }").map_or(whole.clone(), |open| format!("{open}{missing} }}"));
    Some(format!(
        "{} left over from another kind of `{key}`; replace the whole table: --set '{key}={}'",
        match removed.len() {
            1 => format!("{} is", removed[0]),
            _ => format!("{} are", removed.join(", ")),
        },
        cut(&whole, LONG)
    ))
}

fn inner<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Table> {
    key.split('.').try_fold(table, |table, part| table.get_mut(part)?.as_table_mut())
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
