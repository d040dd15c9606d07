//! A sweep under way: its tasks, who runs them, and what is shown of them.
//!
//! A task is a cell or a shared start, run by a process of its own. Who starts those processes is a [`Launcher`]; whether a
//! task is done is read from its run folder, so that a sweep that was stopped goes on where it was.

pub(crate) mod board;
pub(crate) mod local;
pub(crate) mod slurm;

use anyhow::Result;
use secateur_trainer::{Experiment, STARTS, Sweep, is_finished};
use std::path::{Path, PathBuf};

/// A run of a sweep, as a process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Task {
    /// Name of its run folder.
    pub(crate) name: String,
    /// The folder.
    pub(crate) run: PathBuf,
    /// Place of the task that has to be done before.
    pub(crate) after: Option<usize>,
    /// What it says.
    pub(crate) log: PathBuf,
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    /// Not begun, or stopped with its state saved.
    Waiting,
    /// Being run.
    Running,
    /// Its run has finished.
    Done,
    /// It ended before its run did, with this reason.
    Failed(String),
    /// The start that it shares with others failed, so that it was not begun.
    Blocked,
}

/// Who runs tasks. Another engine is another implementation.
pub(crate) trait Launcher {
    /// Takes the tasks on, those that are done already excepted; a task's `after` stands before it.
    ///
    /// # Errors
    /// When the engine does not take them.
    fn submit(&mut self, tasks: &[Task]) -> Result<()>;

    /// How far each task is, and sets going what can be.
    ///
    /// # Errors
    /// When the engine does not answer.
    fn poll(&mut self) -> Result<Vec<State>>;

    /// Asks everything that is running to save its state and end; nothing else is begun.
    ///
    /// # Errors
    /// When the engine does not answer.
    fn cancel(&mut self) -> Result<()>;
}

/// Where a sweep keeps what is not a cell's.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) out: PathBuf,
}

impl Places {
    pub(crate) fn starts(&self) -> PathBuf {
        self.out.join(STARTS)
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.out.join(".logs")
    }

    pub(crate) fn scripts(&self) -> PathBuf {
        self.out.join(".slurm")
    }

    fn task(&self, experiment: &Experiment, folder: &Path, after: Option<usize>) -> Task {
        let name = experiment.run_name();
        Task { run: folder.join(&name), after, log: self.logs().join(format!("{name}.log")), name }
    }

    /// The tasks of a sweep: shared starts first. A start that all its cells have left behind is no task.
    pub(crate) fn tasks(&self, sweep: &Sweep) -> Vec<Task> {
        let begun = |cell: &secateur_trainer::Cell| self.out.join(cell.experiment.run_name()).exists();
        let mut places = vec![None; sweep.starts.len()];
        let mut tasks = vec![];
        for (place, start) in sweep.starts.iter().enumerate() {
            if sweep.cells.iter().any(|cell| cell.start == Some(place) && !begun(cell)) {
                places[place] = Some(tasks.len());
                tasks.push(self.task(start, &self.starts(), None));
            }
        }
        for cell in &sweep.cells {
            let after = cell.start.and_then(|start| places[start]).filter(|_| !begun(cell));
            tasks.push(self.task(&cell.experiment, &self.out, after));
        }
        tasks
    }
}

/// Whether a task's run has finished.
pub(crate) fn is_done(task: &Task) -> bool {
    is_finished(&task.run)
}

/// The command that runs one task of a sweep.
pub(crate) fn command(sweep: &Path, places: &Places, threads: usize, name: &str) -> Vec<String> {
    let (file, out) = (sweep.display().to_string(), places.out.display().to_string());
    ["sweep-cell", &file, "--out", &out, "--threads", &threads.to_string(), "--name", name].map(str::to_owned).to_vec()
}
