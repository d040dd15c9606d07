//! A grid of runs from one file: a base config, methods, axes, seeds and the controls that belong to them.
//!
//! Each cell is an ordinary run whose folder is named by what defines it. Cells that begin with the same dense training
//! share one: see [`crate::start_of`] and [`crate::run_cell`].

mod axes;
mod cell;
mod controls;

pub use cell::CellFile;

use crate::config::words;
use crate::files::read_text;
use crate::{Error, Experiment, ExperimentConfig, data, fork};
use axes::Changes;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::path::{Path, PathBuf};

/// A sweep as a person writes it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepConfig {
    /// Name of the sweep; the cells' names begin with it.
    pub name: String,
    /// The config that every cell changes. Relative to where the program runs.
    pub base: PathBuf,
    /// Seeds of every cell.
    pub seeds: Vec<u64>,
    /// Whether the dense controls are run: for each cell that prunes one with the same training settings and number of
    /// steps, `prune.enabled = false`.
    #[serde(default = "yes")]
    pub dense: bool,
    /// Whether the random control is run: the base with `prune.criterion = "random"`, over all axes.
    #[serde(default = "yes")]
    pub random: bool,
    /// Keys of the config, dotted, each with the values that it takes; every combination is a cell.
    #[serde(default)]
    pub axes: toml::Table,
    /// Methods that are compared, each over all axes; left out, the base alone.
    #[serde(default)]
    pub methods: Vec<Method>,
}

/// A method: a name and what it changes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// Name; letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Keys of the config, dotted, with their values.
    #[serde(default)]
    pub set: toml::Table,
}

/// One run of a sweep.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What is run.
    pub experiment: Experiment,
    /// Changes to the base, as `--set` takes them.
    pub changes: Vec<String>,
    /// Index in [`Sweep::starts`] of the dense training that it begins with, when that is shared.
    pub start: Option<usize>,
}

/// A sweep that makes sense.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// As typed.
    pub config: SweepConfig,
    /// Text of the base config.
    pub base: String,
    /// Dense trainings that more than one cell begins with.
    pub starts: Vec<Experiment>,
    /// The cells: the dense controls, the random one, then the methods; by seed within each.
    pub cells: Vec<Cell>,
    /// What is not as the file might be read: axes that a control does not follow, cells that are the same run.
    pub notes: Vec<String>,
}

/// More cells than that are a typing error.
const MOST_CELLS: usize = 10_000;

/// Cells that differ by their seed only.
struct Family {
    /// Name of the method or control.
    group: String,
    /// The values of the axes.
    point: Changes,
    /// All changes to the base but name and seed.
    changes: Changes,
    /// With the first seed.
    experiment: Experiment,
}

/// Why a text is no sweep.
fn why(place: &str, text: &str, error: &toml::de::Error) -> String {
    let run = toml::from_str::<toml::Table>(text)
        .is_ok_and(|table| table.contains_key("model") && !table.contains_key("base"));
    if run {
        return format!(
            "found the config of one run, expected a sweep, which names such a file as its `base`; run it with: secateur run \
             {place}"
        );
    }
    words::of_text::<SweepConfig>(text, error)
}

impl Sweep {
    /// Reads a sweep's file and the base config that it names, and makes its cells.
    ///
    /// # Errors
    /// When a file cannot be read, a key is unknown, or a cell makes no sense.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = read_text(path)?;
        let place = path.display().to_string();
        let mut config: SweepConfig = toml::from_str(&text)
            .map_err(|error| Error::Config { place: place.clone(), why: why(&place, &text, &error) })?;
        // Where the command is typed, or else beside the sweep's file or above it.
        if let Some(found) = data::located(&config.base, path, None) {
            config.base = found;
        }
        let base = read_text(&config.base)?;
        Self::new(&place, config, base)
    }

    /// The cells of a sweep; `place` names it in errors, `base` is the text of its base config.
    ///
    /// # Errors
    /// When a cell makes no sense, or a key is an axis and fixed by a method.
    pub fn new(place: &str, config: SweepConfig, base: String) -> Result<Self, Error> {
        let refuse = |why: String| Error::Config { place: place.into(), why };
        check(&config).map_err(&refuse)?;
        let table = toml::from_str(&base).map_err(|error| Error::Config {
            place: config.base.display().to_string(),
            why: words::of_text::<toml::Table>(&base, &error),
        })?;
        let points = axes::points(&config.axes, MOST_CELLS).map_err(&refuse)?;
        let (maker, mut notes) = (Maker { place, config: &config, table }, vec![]);
        let mut families = vec![];
        for method in methods(&config) {
            let fixed = Changes::of(&method.set);
            for point in &points {
                families.push(maker.family(&method.name, point, fixed.then(point))?);
            }
            if families.len() * config.seeds.len() > MOST_CELLS {
                return Err(refuse(format!("there are more than {MOST_CELLS} cells")));
            }
        }
        // After the methods: what is wrong with an axis is told of them, not of a control.
        if config.random {
            families = [controls::random(&maker, &points, &mut notes)?, families].into_iter().flatten().collect();
        }
        if config.dense {
            families = [controls::dense(&maker, &families)?, families].into_iter().flatten().collect();
        }
        let (cells, starts) = with_seeds(&config, merge(families, &mut notes))?;
        let mut names = BTreeSet::new();
        if let Some(twice) = cells.iter().find(|cell| !names.insert(cell.experiment.run_name())) {
            let name = twice.experiment.run_name();
            return Err(refuse(format!("two cells have the name `{name}`, expected other values or names")));
        }
        Ok(Self { config, base, starts, cells, notes })
    }
}

/// What does not depend on the base.
fn check(config: &SweepConfig) -> Result<(), String> {
    if config.seeds.is_empty() {
        return Err("`seeds` is empty, expected at least one".into());
    }
    let mut seeds = BTreeSet::new();
    if let Some(twice) = config.seeds.iter().find(|seed| !seeds.insert(**seed)) {
        return Err(format!("`seeds` has {twice} twice: two cells are the same run"));
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = config.methods.iter().find(|method| !names.insert(&method.name)) {
        return Err(format!("two methods have the name `{}`, expected different ones", twice.name));
    }
    if let Some(own) = config.methods.iter().find(|method| ["dense", "random"].contains(&&*method.name)) {
        return Err(format!(
            "a method has the name `{}`, which is a control's; expected another, such as `{}-own`",
            own.name, own.name
        ));
    }
    let mut keys = config.axes.keys().chain(config.methods.iter().flat_map(|method| method.set.keys()));
    if let Some(own) = keys.find(|key| ["name", "seed"].contains(&key.trim())) {
        return Err(format!(
            "`{own}` is neither an axis nor a method's to set: `name`, the methods' names and `seeds` say it"
        ));
    }
    for (place, (axis, values)) in config.axes.iter().enumerate() {
        let values: Vec<_> = values.as_array().into_iter().flatten().collect();
        let undone = |other: &&String| values.iter().any(|value| axes::decides(axis, value, other));
        if let Some(other) = config.axes.keys().skip(place + 1).find(undone) {
            return Err(format!(
                "the axes `{axis}` and `{other}` set the same key, and the second would undo the first. Expected each key in \
                 one axis: leave it out of the values of the other"
            ));
        }
    }
    for method in &config.methods {
        for (key, value) in &method.set {
            if let Some(axis) = config.axes.keys().find(|axis| axes::decides(key, value, axis)) {
                return Err(format!(
                    "method `{}` sets `{key}`, and `{axis}` is an axis: one of them would undo the other. Expected each value \
                     to be said once, by the method or by the axis",
                    method.name
                ));
            }
        }
    }
    Ok(())
}

/// The methods; the base alone where there are none.
fn methods(config: &SweepConfig) -> Vec<Method> {
    let base = Method { name: "base".into(), set: toml::Table::new() };
    if config.methods.is_empty() { vec![base] } else { config.methods.clone() }
}

/// Makes families of cells out of changes to the base.
struct Maker<'a> {
    /// Names the sweep in errors.
    place: &'a str,
    config: &'a SweepConfig,
    /// The base config.
    table: toml::Table,
}

impl Maker<'_> {
    /// The cells of one method or control with these changes.
    fn family(&self, group: &str, point: &Changes, changes: Changes) -> Result<Family, Error> {
        let written = written(self.config, group, self.config.seeds[0], &changes);
        let place = self.config.base.display().to_string();
        let mut config = ExperimentConfig::changed(&place, self.table.clone(), &written)?;
        config.locate_data(&self.config.base);
        let experiment =
            Experiment::new(config).map_err(|error| self.refuse(format!("with {}: {error}", written.join(", "))))?;
        Ok(Family { group: group.to_owned(), point: point.clone(), changes, experiment })
    }

    fn refuse(&self, why: String) -> Error {
        Error::Config { place: self.place.to_owned(), why }
    }
}

/// The changes of a cell, as `--set` takes them.
fn written(config: &SweepConfig, group: &str, seed: u64, changes: &Changes) -> Vec<String> {
    [vec![format!("name=\"{}-{group}\"", config.name), format!("seed={seed}")], changes.written()].concat()
}

/// Keeps one of the families that are the same runs.
fn merge(families: Vec<Family>, notes: &mut Vec<String>) -> Vec<Family> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut merged: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut kept = vec![];
    for family in families {
        match known.entry(controls::identity(&family.experiment)) {
            Entry::Occupied(first) => *merged.entry((family.group, first.get().clone())).or_default() += 1,
            Entry::Vacant(free) => {
                free.insert(family.group.clone());
                kept.push(family);
            }
        }
    }
    notes.extend(merged.into_iter().map(|((group, first), count)| {
        format!(
            "`{group}` has {count} combinations of values that are the same run as one of `{first}`: it is run once"
        )
    }));
    kept
}

/// The families with each seed, and the dense trainings that more than one cell begins with.
fn with_seeds(config: &SweepConfig, families: Vec<Family>) -> Result<(Vec<Cell>, Vec<Experiment>), Error> {
    let (mut cells, mut starts, mut indices) = (vec![], vec![], BTreeMap::new());
    for Family { group, changes, experiment, .. } in families {
        let start = fork::start_of(&experiment)?;
        // Worked out once, for all seeds.
        let _ = (experiment.run_name(), start.as_ref().map(Experiment::run_name));
        for &seed in &config.seeds {
            let start = start.as_ref().map(|start| {
                let start = start.with_seed(seed);
                *indices.entry(start.run_name()).or_insert_with(|| {
                    starts.push((start, 0));
                    starts.len() - 1
                })
            });
            if let Some(start) = start {
                starts[start].1 += 1;
            }
            let changes = written(config, &group, seed, &changes);
            cells.push(Cell { experiment: experiment.with_seed(seed), changes, start });
        }
    }
    // A start is shared by two cells or more.
    let mut next = 0;
    let shared = starts.iter().map(|(_, users)| (*users > 1).then(|| (next, next += 1).0)).collect::<Vec<_>>();
    cells.iter_mut().for_each(|cell| cell.start = cell.start.and_then(|start| shared[start]));
    Ok((cells, starts.into_iter().filter(|(_, users)| *users > 1).map(|(start, _)| start).collect()))
}

fn yes() -> bool {
    true
}

#[cfg(test)]
#[path = "sweep_tests.rs"]
mod tests;
