//! A cell as its own process reads it: what was worked out once for the whole sweep, a file for each run.

use super::Sweep;
use crate::files::{read_text, write_file};
use crate::{Error, Experiment, ExperimentConfig};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One run of a sweep, on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellFile {
    /// Whether it is a dense training that cells begin with.
    pub shared: bool,
    /// Name of the run that it begins with, when that is shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// What is typed to repeat the run alone.
    pub command: Vec<String>,
    /// Text of the base config.
    pub base: String,
    /// The config, with all changes.
    pub config: ExperimentConfig,
}

impl Sweep {
    /// The runs of the sweep with their names, shared starts first.
    pub fn files(&self) -> impl Iterator<Item = (String, CellFile)> {
        let base = self.config.base.display().to_string();
        let file = move |experiment: &Experiment, changes: &[String], start: Option<usize>, shared| {
            let mut command = vec!["secateur".to_owned(), "run".to_owned(), base.clone()];
            command.extend(changes.iter().flat_map(|change| ["--set".to_owned(), change.clone()]));
            let start = start.map(|start| self.starts[start].run_name());
            let config = experiment.config().clone();
            (experiment.run_name(), CellFile { shared, start, command, base: self.base.clone(), config })
        };
        let starts = self.starts.iter().map(|start| (start, &[][..], None, true));
        let cells = self.cells.iter().map(|cell| (&cell.experiment, &cell.changes[..], cell.start, false));
        starts.chain(cells).map(move |(experiment, changes, start, shared)| file(experiment, changes, start, shared))
    }
}

impl CellFile {
    /// Writes the file, unless it is there with this content.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = toml::to_string(self).expect("a cell is representable in TOML");
        if read_text(path).is_ok_and(|found| found == text) {
            return Ok(());
        }
        write_file(path, text.as_bytes())
    }

    /// Reads the file of the run of this name.
    ///
    /// # Errors
    /// When it cannot be read, or is that of another run.
    pub fn read(path: &Path, name: &str) -> Result<(Self, Experiment), Error> {
        let refuse = |why: String| Error::Run { path: path.to_owned(), why };
        let file: Self =
            toml::from_str(&read_text(path)?).map_err(|error| refuse(format!("no cell of a sweep: {error}")))?;
        let experiment = Experiment::new(file.config.clone())?;
        let found = experiment.run_name();
        if found != name {
            return Err(refuse(format!("expected the run `{name}`, found `{found}`; start the sweep again")));
        }
        Ok((file, experiment))
    }
}
