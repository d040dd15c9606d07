//! Which folders are runs: those that are named, and all below a folder that is none itself.

use super::name;
use secateur_trainer::RunFolder;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders below a named one are looked through so deep.
const DEEPEST: usize = 6;

/// A folder that may be a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// What it is called in the report: its name, or its path where another one has the same name.
    pub(crate) label: String,
    /// Why it is none.
    pub(crate) fault: Option<String>,
}

/// What is named, and what lies below it, each once: in the order of the arguments, and by name below one.
pub(crate) fn found(named: &[PathBuf]) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    for path in named {
        let mut below = Vec::new();
        let fault = walk(path, 0, &mut below).err();
        if below.is_empty() {
            let fault = fault.unwrap_or_else(|| {
                format!(
                    "no run here: found no {} in it or below, wanted a folder that `secateur run` made",
                    RunFolder::MARKS.join(", ")
                )
            });
            all.push(Found { path: path.clone(), label: String::new(), fault: Some(fault) });
        }
        all.extend(below.into_iter().map(|path| Found { path, label: String::new(), fault: None }));
    }
    let mut seen = Vec::new();
    all.retain(|found| {
        let real = fs::canonicalize(&found.path).unwrap_or_else(|_| found.path.clone());
        let new = !seen.contains(&real);
        seen.push(real);
        new
    });
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    all.iter().for_each(|found| *count.entry(name(&found.path)).or_default() += 1);
    for found in &mut all {
        let short = name(&found.path);
        let whole = found.fault.is_some() || count.get(&short).is_some_and(|count| *count > 1);
        found.label = if whole { found.path.display().to_string() } else { short };
    }
    all
}

/// Adds `path` if it is a run, or empty, else the runs below it. Hidden folders are runs in the making; links are not followed.
fn walk(path: &Path, depth: usize, runs: &mut Vec<PathBuf>) -> Result<(), String> {
    if RunFolder::MARKS.iter().any(|mark| path.join(mark).is_file()) {
        runs.push(path.to_owned());
        return Ok(());
    }
    if depth == DEEPEST {
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(|error| format!("no run here: cannot look into the folder: {error}"))?;
    let folder = |entry: fs::DirEntry| {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        (!hidden && entry.file_type().is_ok_and(|kind| kind.is_dir())).then(|| entry.path())
    };
    let entries: Vec<_> = entries.filter_map(Result::ok).collect();
    if entries.is_empty() && depth > 0 {
        // Nothing was left there by somebody, who will look for it in the report.
        runs.push(path.to_owned());
    }
    let mut below: Vec<_> = entries.into_iter().filter_map(folder).collect();
    below.sort();
    // One that cannot be opened below holds nothing that was asked for by name.
    below.iter().for_each(|path| drop(walk(path, depth + 1, runs)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_below_a_folder_and_named_as_shortly_as_can_be() {
        let dir = tempfile::tempdir().expect("a folder");
        let place = |path: &str| dir.path().join(path);
        for run in ["a/one", "a/deep/two", "b/one", ".hidden/three", "a/one/checkpoints/step-1"] {
            fs::create_dir_all(place(run)).expect("a folder");
        }
        for file in ["a/one/log.jsonl", "a/deep/two/experiment.toml", "b/one/manifest.json", ".hidden/three/log.jsonl"]
        {
            fs::write(place(file), "").expect("a file");
        }
        fs::write(place("a/one/checkpoints/step-1/log.jsonl"), "").expect("a file");
        fs::create_dir(place("empty")).expect("a folder");
        let all = found(&[place("a"), place("b/one"), place("a/one"), place("empty"), place("missing")]);
        let labels: Vec<_> = all.iter().map(|found| (found.label.clone(), found.fault.is_some())).collect();
        let whole = |path: &str| place(path).display().to_string();
        let expected = [
            ("two".to_owned(), false),
            (whole("a/one"), false),
            (whole("b/one"), false),
            (whole("empty"), true),
            (whole("missing"), true),
        ];
        assert_eq!(labels, expected);
        assert!(all[3].fault.as_ref().is_some_and(|why| why.contains("found no log.jsonl, experiment.toml")));
    }
}
