//! A grid of runs from one file: a base config, methods, axes, seeds and the controls that belong to them.
//!
//! Each cell is an ordinary run whose folder is named by what defines it. Cells that begin with the same dense training
//! share one: see [`crate::start_of`] and [`crate::run_cell`].

use crate::{Error, Experiment, ExperimentConfig, fork};
use serde::Deserialize;
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
    /// Whether the dense control is run: the base with `prune.enabled = false`, over the axes that are not of pruning.
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
    /// Place in [`Sweep::starts`] of the dense training that it begins with, when that is shared.
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
    /// The cells: the dense control, the random one, then the methods; by seed within each.
    pub cells: Vec<Cell>,
}

/// More cells than that are a typing error.
const MOST_CELLS: usize = 10_000;

impl Sweep {
    /// Reads a sweep's file and the base config that it names, and makes its cells.
    ///
    /// # Errors
    /// When a file cannot be read, a key is unknown, or a cell makes no sense.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
        let place = path.display().to_string();
        let config: SweepConfig = toml::from_str(&text)
            .map_err(|error| Error::Config { place: place.clone(), why: error.to_string().trim_end().into() })?;
        let base = std::fs::read_to_string(&config.base).map_err(Error::io(&config.base, "read"))?;
        Self::new(&place, config, base)
    }

    /// The cells of a sweep; `place` names it in errors, `base` is the text of its base config.
    ///
    /// # Errors
    /// When a cell makes no sense, or two are the same run.
    pub fn new(place: &str, config: SweepConfig, base: String) -> Result<Self, Error> {
        let refuse = |why: String| Error::Config { place: place.into(), why };
        if config.seeds.is_empty() {
            return Err(refuse("`seeds` is empty, wanted at least one".into()));
        }
        let points = points(&config.axes).map_err(&refuse)?;
        // What only says how to prune makes no other dense network.
        let training = config.axes.iter().filter(|(key, _)| !["prune", "retrain"].contains(&section(key)));
        let dense = self::points(&training.map(|(key, values)| (key.clone(), values.clone())).collect());
        let dense = dense.map_err(&refuse)?;
        let mut cells: Vec<Cell> = vec![];
        for (name, fixed, pruned) in groups(&config) {
            for point in if pruned { &points } else { &dense } {
                for seed in &config.seeds {
                    let named = format!("name=\"{}-{name}\"", config.name);
                    let changes = [&[named, format!("seed={seed}")], &fixed[..], point].concat();
                    let parsed = ExperimentConfig::parse(&config.base.display().to_string(), &base, &changes)?;
                    // Cells of one model share its network: every process that runs a cell reads the whole sweep.
                    let experiment = Experiment::among(cells.iter().rev().map(|cell| &cell.experiment), parsed);
                    let experiment =
                        experiment.map_err(|error| refuse(format!("with {}: {error}", changes.join(", "))))?;
                    cells.push(Cell { experiment, changes, start: None });
                    if cells.len() > MOST_CELLS {
                        return Err(refuse(format!("there are more than {MOST_CELLS} cells")));
                    }
                }
            }
        }
        let mut names: Vec<String> = cells.iter().map(|cell| cell.experiment.run_name()).collect();
        names.sort();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(refuse(format!("two cells are the same run, `{}`: wanted other values or names", twice[0])));
        }
        let starts = share(&mut cells)?;
        Ok(Self { config, base, starts, cells })
    }
}

/// The section that a dotted key is of.
fn section(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}

/// The groups of cells: name, changes, and whether they prune.
fn groups(config: &SweepConfig) -> Vec<(String, Vec<String>, bool)> {
    let mut groups = vec![];
    if config.dense {
        groups.push(("dense".to_owned(), vec!["prune.enabled=false".to_owned()], false));
    }
    if config.random {
        groups.push(("random".to_owned(), vec!["prune.criterion=\"random\"".to_owned()], true));
    }
    let written = |(key, value): (&String, &toml::Value)| format!("{key}={value}");
    for method in &config.methods {
        groups.push((method.name.clone(), method.set.iter().map(written).collect(), true));
    }
    if config.methods.is_empty() {
        groups.push(("base".to_owned(), vec![], true));
    }
    groups
}

/// Every combination of the axes' values, as changes.
fn points(axes: &toml::Table) -> Result<Vec<Vec<String>>, String> {
    let mut points = vec![vec![]];
    for (key, values) in axes {
        let values = values.as_array().filter(|values| !values.is_empty());
        let values = values.ok_or_else(|| format!("axis `{key}` is no list of values, wanted at least one"))?;
        let more = |point: &Vec<String>| -> Vec<Vec<String>> {
            values.iter().map(|value| [&point[..], &[format!("{key}={value}")]].concat()).collect()
        };
        points = points.iter().flat_map(more).collect();
        if points.len() > MOST_CELLS {
            return Err(format!("the axes have more than {MOST_CELLS} combinations"));
        }
    }
    Ok(points)
}

/// Finds the dense trainings that more than one cell begins with.
fn share(cells: &mut [Cell]) -> Result<Vec<Experiment>, Error> {
    let mut found: Vec<(Experiment, Vec<usize>)> = vec![];
    for (place, cell) in cells.iter().enumerate() {
        let Some(start) = fork::start_of(&cell.experiment)? else { continue };
        match found.iter_mut().find(|(own, _)| own.run_name() == start.run_name()) {
            Some((_, users)) => users.push(place),
            None => found.push((start, vec![place])),
        }
    }
    found.retain(|(_, users)| users.len() > 1);
    for (place, (_, users)) in found.iter().enumerate() {
        users.iter().for_each(|user| cells[*user].start = Some(place));
    }
    Ok(found.into_iter().map(|(start, _)| start).collect())
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"
        name = "b"
        model = { kind = "lenet", width = 1 }
        train = { length = { epochs = 2 } }
        [prune]
        schedule = { kind = "one-shot", sparsity = 0.9 }
        every = { epochs = 1 }
    "#;

    fn sweep(text: &str) -> Result<Sweep, Error> {
        let config: SweepConfig =
            toml::from_str(text).map_err(|error| Error::Config { place: "s".into(), why: error.to_string() })?;
        Sweep::new("s", config, BASE.into())
    }

    #[test]
    fn a_grid_has_every_combination_and_its_controls() {
        let text = r#"
            name = "s"
            base = "b.toml"
            seeds = [1, 2]
            [axes]
            "prune.schedule.sparsity" = [0.5, 0.9, 0.95]
            [[methods]]
            name = "global"
            set = { "prune.scope" = "global" }
            [[methods]]
            name = "erk"
            set = { "prune.scope" = "erk" }
        "#;
        let grid = sweep(text).expect("valid");
        // Dense has no sparsity: two seeds; random and two methods have three sparsities each.
        assert_eq!(grid.cells.len(), 2 + 3 * 3 * 2);
        let names = |cell: &Cell| cell.experiment.config().name.clone();
        assert_eq!(grid.cells.iter().filter(|cell| names(cell) == "s-dense").count(), 2);
        let random: Vec<_> = grid.cells.iter().filter(|cell| names(cell) == "s-random").collect();
        assert_eq!(random.len(), 6);
        assert!(random.iter().all(|cell| cell.changes.contains(&"prune.criterion=\"random\"".into())));
        // One dense training a seed is shared by all ten cells of it.
        assert_eq!(grid.starts.len(), 2);
        for cell in &grid.cells {
            let start = &grid.starts[cell.start.expect("shared")];
            assert_eq!(start.config().seed, cell.experiment.config().seed);
        }
        let without = sweep("name = \"s\"\nbase = \"b\"\nseeds = [1]\ndense = false\nrandom = false").expect("valid");
        assert_eq!((without.cells.len(), without.starts.len()), (1, 0), "nobody shares with itself");
    }

    #[test]
    fn the_dense_control_follows_the_axes_that_change_training() {
        let axes = "[axes]\n\"train.batch_size\" = [32, 64]\n\"prune.schedule.sparsity\" = [0.5, 0.9]";
        let grid = sweep(&format!("name = \"s\"\nbase = \"b\"\nseeds = [1, 2]\n{axes}")).expect("valid");
        let dense = grid.cells.iter().filter(|cell| cell.experiment.config().name == "s-dense");
        let sizes: Vec<_> = dense.map(|cell| cell.experiment.config().train.batch_size).collect();
        assert_eq!(sizes, [32, 32, 64, 64]);
        assert_eq!(grid.cells.len(), 4 + 2 * 2 * 4);
    }

    #[test]
    fn what_cannot_be_shared_is_not() {
        let grid = sweep(
            "name = \"s\"\nbase = \"b\"\nseeds = [1]\n[axes]\n\"train.length\" = [{ epochs = 1 }, { epochs = 2 }]\n\
             \"retrain.kind\" = [\"fine-tune\", \"rewind-weights\"]",
        )
        .expect("valid");
        let start = |length: u64, kind: &str| {
            let cell = grid.cells.iter().find(|cell| {
                let config = cell.experiment.config();
                config.name == "s-base"
                    && config.train.length == crate::config::Length::Epochs(length)
                    && config.retrain.kind.to_string() == kind
            });
            cell.expect("there").start
        };
        assert!(start(1, "fine-tune").is_some() && start(1, "fine-tune") != start(2, "fine-tune"));
        assert_eq!(start(1, "rewind-weights"), None, "it has to remember weights on the way");
    }

    #[test]
    fn faults_are_named() {
        for (text, wanted) in [
            ("name = \"s\"\nbase = \"b\"\nseeds = []", "`seeds` is empty"),
            ("name = \"s\"\nbase = \"b\"\nseeds = [1]\ncolour = 1", "unknown field `colour`"),
            (
                "name = \"s\"\nbase = \"b\"\nseeds = [1]\n[axes]\n\"train.batch_size\" = 1",
                "axis `train.batch_size` is no list",
            ),
            ("name = \"s\"\nbase = \"b\"\nseeds = [1]\n[axes]\n\"train.batch_size\" = [0]", "train.batch_size=0"),
            ("name = \"s\"\nbase = \"b\"\nseeds = [1, 1]", "two cells are the same run"),
            ("name = \"s\"\nbase = \"b\"\nseeds = [1]\n[axes]\n\"colour\" = [1]", "unknown field `colour`"),
        ] {
            let found = sweep(text).expect_err(text).to_string();
            assert!(found.contains(wanted), "{text}: {found}");
        }
    }
}
