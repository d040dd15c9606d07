//! A sweep under way: its tasks, who runs them, and what is shown of them.
//!
//! A task is a cell or a shared start, run by a process of its own. Who starts those processes is a [`Launcher`]; whether a
//! task is done is read from its run folder, so that a sweep that was stopped goes on where it was.

pub(crate) mod board;
pub(crate) mod local;
pub(crate) mod slurm;

use anyhow::{Context, Result, bail};
use secateur_report::regular;
use secateur_trainer::{Experiment, STARTS, Sweep, is_finished};
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
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

    /// The file of the run of this name, as the process that runs it reads it.
    pub(crate) fn cell(&self, name: &str) -> PathBuf {
        self.out.join(CELLS).join(format!("{name}.toml"))
    }

    /// Makes the folders, and writes down what each run is; the sweep has them to itself for as long as the answer lives.
    ///
    /// # Errors
    /// When they cannot be written, or another sweep works in them.
    pub(crate) fn open(&self, sweep: &Sweep) -> Result<File> {
        for folder in [self.out.clone(), self.starts(), self.logs(), self.out.join(CELLS)] {
            fs::create_dir_all(&folder).with_context(|| format!("{}: cannot create", folder.display()))?;
        }
        let path = self.out.join(".sweep.lock");
        let lock = regular::create(&path).with_context(|| format!("{}: cannot create", path.display()))?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            bail!("another `secateur sweep` works in {}; wait for it or stop it first", self.out.display());
        }
        for (name, file) in sweep.files() {
            file.write(&self.cell(&name))?;
        }
        Ok(lock)
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
        let mut cells = vec![];
        let mut needed = vec![false; sweep.starts.len()];
        for cell in &sweep.cells {
            let task = self.task(&cell.experiment, &self.out, None);
            let start = cell.start.filter(|_| !task.run.exists());
            if let Some(start) = start {
                needed[start] = true;
            }
            cells.push((task, start));
        }
        let (mut places, mut tasks) = (vec![None; sweep.starts.len()], vec![]);
        for (index, start) in sweep.starts.iter().enumerate().filter(|(index, _)| needed[*index]) {
            places[index] = Some(tasks.len());
            tasks.push(self.task(start, &self.starts(), None));
        }
        let after = |start: Option<usize>| start.and_then(|start| places[start]);
        tasks.extend(cells.into_iter().map(|(task, start)| Task { after: after(start), ..task }));
        tasks
    }
}

/// Whether a task's run has finished.
pub(crate) fn is_done(task: &Task) -> bool {
    is_finished(&task.run)
}

/// Folder of what each run of a sweep is.
const CELLS: &str = ".cells";

/// The command that runs one task of a sweep.
pub(crate) fn command(places: &Places, threads: usize, name: &str) -> Vec<OsString> {
    let threads = threads.to_string();
    let words = ["--threads", &threads, "--name", name].map(OsString::from);
    ["sweep-cell".into(), "--out".into(), places.out.clone().into()].into_iter().chain(words).collect()
}
