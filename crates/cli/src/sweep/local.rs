//! Tasks side by side on this machine.

use super::{Launcher, Places, State, Task, command, is_done};
use crate::{HALTED, INTERRUPTED};
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use secateur_report::regular;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Runs so many tasks at a time, each with its share of the cores.
pub(crate) struct Local {
    places: Places,
    jobs: usize,
    threads: usize,
    tasks: Vec<Task>,
    states: Vec<State>,
    running: Vec<(usize, Child)>,
    cancelled: bool,
}

impl Local {
    /// `jobs` tasks at a time, each with so many `threads`.
    pub(crate) fn new(places: Places, jobs: usize, threads: usize) -> Self {
        Self { places, jobs, threads, tasks: vec![], states: vec![], running: vec![], cancelled: false }
    }

    fn start(&mut self, place: usize) -> Result<()> {
        let task = &self.tasks[place];
        let log = match regular::check(&task.log) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => OpenOptions::new().create(true).append(true).open(&task.log),
        };
        let log = log.with_context(|| format!("{}: cannot write", task.log.display()))?;
        // The program that is running, even if its file was replaced meanwhile.
        let program = if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() };
        let child = Command::new(program.context("cannot find the program's own file")?)
            .arg0("secateur")
            .args(command(&self.places, self.threads, &task.name))
            .args(["--parent", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A signal from the terminal is for the sweep, which passes it on once: a second would end a run at once.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", task.name))?;
        self.running.push((place, child));
        self.states[place] = State::Running;
        Ok(())
    }

    /// Notes which children have ended, and how.
    fn reap(&mut self) -> Result<()> {
        let mut rest = vec![];
        for (place, mut child) in std::mem::take(&mut self.running) {
            let Some(status) = child.try_wait()? else {
                rest.push((place, child));
                continue;
            };
            self.states[place] = match status.code() {
                _ if is_done(&self.tasks[place]) => State::Done,
                Some(code) if code == i32::from(INTERRUPTED) => State::Waiting,
                // It was told twice, or before it could listen: it goes on from its last checkpoint.
                Some(code) if code == i32::from(HALTED) && self.cancelled => State::Waiting,
                None if self.cancelled => State::Waiting,
                Some(code) => State::Failed(format!("exit code {code}")),
                None => State::Failed("killed by a signal".into()),
            };
            // A run that a stranger stopped is not begun again by itself: the next sweep goes on with it.
            if self.states[place] == State::Waiting && !self.cancelled {
                self.states[place] = State::Failed("stopped from outside, its state is saved".into());
            }
        }
        self.running = rest;
        Ok(())
    }
}

impl Launcher for Local {
    fn submit(&mut self, tasks: &[Task]) -> Result<()> {
        self.tasks = tasks.to_vec();
        self.states = tasks.iter().map(|task| if is_done(task) { State::Done } else { State::Waiting }).collect();
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<State>> {
        self.reap()?;
        for place in 0..self.tasks.len() {
            if self.states[place] != State::Waiting || self.cancelled {
                continue;
            }
            match self.tasks[place].after.map(|after| &self.states[after]) {
                Some(State::Failed(_) | State::Blocked) => self.states[place] = State::Blocked,
                Some(State::Waiting | State::Running) => {}
                Some(State::Done) | None if self.running.len() < self.jobs => {
                    if let Err(error) = self.start(place) {
                        self.states[place] = State::Failed(format!("{error:#}"));
                    }
                }
                Some(State::Done) | None => {}
            }
        }
        Ok(self.states.clone())
    }

    fn cancel(&mut self) -> Result<()> {
        self.cancelled = true;
        for (_, child) in &self.running {
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // One that has just ended is not there any more.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        Ok(())
    }
}
