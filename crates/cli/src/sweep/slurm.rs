//! Tasks as jobs of a Slurm cluster: one array for the shared starts, and for the cells of each start one array that waits
//! for it.
//!
//! A job that is preempted, requeued or out of time gets SIGTERM, saves its state, and is put back into the queue; one that
//! is killed is put back, too, and goes on from its last checkpoint. What was submitted is written down before and after
//! (`jobs.rs`), so that a sweep that was killed asks the queue and submits nothing twice.

mod jobs;

use super::{Launcher, Places, State, Task, command, is_done};
use crate::INTERRUPTED;
use crate::say::say;
use crate::shell::quoted;
use anyhow::{Context, Result, bail};
use jobs::{Jobs, Queue};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Polls for which a job may be in no list and its run not be finished, before it counts as failed: queue and file system
/// need not agree at once.
const PATIENCE: u32 = 3;

/// How often a job that was killed is put back into the queue.
const MOST_RESTARTS: u32 = 10;

/// Failing answers of the cluster in a row that are put up with, and the pause between two where nothing else goes on.
const MOST_FAILURES: u32 = 150;
const PAUSE: Duration = Duration::from_secs(2);

/// Submits with `sbatch`, follows with `squeue` and `sacct`, ends with `scancel`.
pub(crate) struct Slurm {
    places: Places,
    threads: usize,
    /// Arguments for `sbatch` of the user's own, such as a partition.
    options: Vec<String>,
    tasks: Vec<Task>,
    states: Vec<State>,
    /// Each task's job, `<array>_<index>`; `None` for what was done before.
    jobs: Vec<Option<String>>,
    /// Whether a task's job may end by no fault of its own, so that it is submitted once more: an earlier sweep submitted
    /// it, or its shared start was submitted once more.
    again: Vec<bool>,
    /// Polls in a row in which a task was missing.
    missing: Vec<u32>,
    record: Jobs,
    /// With a queue that does not answer.
    patience: Patience,
    /// With an `sbatch` that fails while the sweep goes on.
    submitting: Patience,
    cancelled: bool,
    /// Whether a signal asked for the end.
    stop: Arc<AtomicBool>,
}

impl Slurm {
    pub(crate) fn new(places: Places, threads: usize, options: Vec<String>, stop: Arc<AtomicBool>) -> Self {
        Self {
            places,
            threads,
            options,
            tasks: vec![],
            states: vec![],
            jobs: vec![],
            again: vec![],
            missing: vec![],
            record: Jobs::default(),
            patience: Patience::default(),
            submitting: Patience::default(),
            cancelled: false,
            stop,
        }
    }

    /// Submits one array of tasks, which waits for the job `after`.
    fn array(&mut self, members: &[usize], after: Option<&str>) -> Result<()> {
        if members.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = members.iter().map(|place| self.tasks[*place].name.as_str()).collect();
        let script = self.places.scripts().join(format!("{}.sh", names[0]));
        fs::write(&script, self.script(&names)?).with_context(|| format!("{}: cannot write", script.display()))?;
        // Before it is submitted: should this process end right after, the queue still knows the array by its name.
        let job = self.record.announce(names.iter().map(|name| (*name).to_owned()).collect())?;
        let mut sbatch = Command::new("sbatch");
        sbatch.arg("--parsable").arg(format!("--array=0-{}", members.len() - 1));
        if let Some(after) = after {
            sbatch.arg(format!("--dependency=afterok:{after}")).arg("--kill-on-invalid-dep=yes");
        }
        let said = answer(sbatch.args(&self.options).arg(format!("--job-name={job}")).arg(&script)).context(
            "a job could not be submitted; those that were go on. The same command again asks the queue first, and submits \
             what is missing",
        )?;
        let id = said.trim().split(';').next().unwrap_or_default().to_owned();
        if id.is_empty() || !id.chars().all(|letter| letter.is_ascii_digit()) {
            bail!("expected the number of a job from sbatch, found {said:?}");
        }
        self.record.submitted(&id)?;
        for (index, place) in members.iter().enumerate() {
            self.jobs[*place] = Some(format!("{id}_{index}"));
        }
        Ok(())
    }

    /// Takes on the jobs that an earlier sweep submitted, as far as they are in the queue.
    fn take_on(&mut self) -> Result<()> {
        if self.record.is_empty() {
            return Ok(());
        }
        let queue = loop {
            match queue() {
                Ok(queue) => break queue,
                Err(error) => self.patience.failed(&error)?,
            }
            if self.stop.load(Ordering::Relaxed) {
                bail!(
                    "stopped before the queue has answered; jobs of this sweep go on, and the same command follows them"
                );
            }
            std::thread::sleep(PAUSE);
        };
        self.patience = Patience::default();
        let known = self.record.in_queue(&queue)?;
        for (place, task) in self.tasks.iter().enumerate() {
            if let Some(job) = known.get(&task.name).filter(|_| self.states[place] != State::Done) {
                (self.jobs[place], self.again[place]) = (Some(job.clone()), true);
            }
        }
        let count = self.again.iter().filter(|again| **again).count();
        if count > 0 {
            say!("{count} jobs of this sweep are in the queue already, and are followed");
        }
        Ok(())
    }

    /// The script of an array.
    fn script(&self, names: &[&str]) -> Result<String> {
        let program = std::env::current_exe().context("cannot find the program's own file")?;
        let folder = std::env::current_dir().context("cannot find the current folder")?;
        let all: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let (logs, stopped) = (self.places.logs(), self.stopped());
        let words = command(&self.places, self.threads, "NAME").into_iter().map(|word| written(Path::new(&word)));
        let words = words.collect::<Result<Vec<_>>>()?;
        let words: Vec<String> =
            words.iter().map(|word| if word == "NAME" { "\"$name\"".to_owned() } else { quoted(word) }).collect();
        let mut text = String::from("#!/bin/bash\n");
        for option in [
            format!("--cpus-per-task={}", self.threads),
            "--requeue".into(),
            "--open-mode=append".into(),
            "--output=/dev/null".into(),
            // A minute before its time is out a job is told, so that it can save.
            "--signal=B:TERM@60".into(),
        ] {
            writeln!(text, "#SBATCH {option}")?;
        }
        writeln!(text, "cd {}", quoted(&written(&folder)?))?;
        writeln!(text, "names=({})", all.join(" "))?;
        writeln!(text, "name=${{names[$SLURM_ARRAY_TASK_ID]}}")?;
        writeln!(
            text,
            "{} {} >> {}/\"$name\".log 2>&1 &",
            quoted(&written(&program)?),
            words.join(" "),
            quoted(&absolute(&logs)?)
        )?;
        text.push_str(
            "run=$!\ntrap 'kill -TERM $run 2> /dev/null' TERM\nwait $run; code=$?\n\
             while kill -0 $run 2> /dev/null; do wait $run; code=$?; done\n",
        );
        // Stopped with its state saved or killed, and not by the sweep: it goes on some other time. One that is
        // killed again and again has another reason.
        let stopped = quoted(&absolute(&stopped)?);
        writeln!(text, "again=$((${{SLURM_RESTART_COUNT:-0}} < {MOST_RESTARTS}))")?;
        writeln!(text, "if [ $code = {INTERRUPTED} ] || {{ [ $code -gt 128 ] && [ $again = 1 ]; }}; then")?;
        writeln!(text, "    [ -e {stopped} ] || {{ scontrol requeue $SLURM_JOB_ID; sleep 60; }}\nfi")?;
        text.push_str("exit $code\n");
        Ok(text)
    }

    /// The file that says that the sweep itself stops its jobs.
    fn stopped(&self) -> PathBuf {
        self.places.scripts().join("stopped")
    }

    /// Why a job that is in no queue ended, if the cluster keeps accounts.
    fn reason(&self, job: &str) -> String {
        let said = answer(Command::new("sacct").args(["--noheader", "--parsable2", "--format=State", "--jobs", job]));
        let state = said.ok().and_then(|said| said.lines().next().map(str::to_owned)).unwrap_or_default();
        if state.is_empty() { format!("job {job} ended") } else { format!("job {job}: {state}") }
    }

    /// How far a task is that is in no queue.
    fn gone(&mut self, place: usize, queue: &Queue) -> Result<State> {
        if is_done(&self.tasks[place]) {
            return Ok(State::Done);
        }
        self.missing[place] += 1;
        let Some(job) = self.jobs[place].clone().filter(|_| self.missing[place] >= PATIENCE) else {
            return Ok(State::Running);
        };
        let start = self.tasks[place].after.map(|start| &self.states[start]);
        if matches!(start, Some(State::Failed(_) | State::Blocked)) {
            return Ok(State::Blocked);
        }
        if self.again[place] && !self.cancelled {
            // It may have been told to stop when the earlier sweep was, or its start was lost.
            return self.resubmit(place, queue);
        }
        Ok(State::Failed(self.reason(&job)))
    }

    /// Submits a task once more, behind its start where that has not finished.
    fn resubmit(&mut self, place: usize, queue: &Queue) -> Result<State> {
        let start = self.tasks[place].after.filter(|start| self.states[*start] != State::Done);
        let after = match start {
            // It has to be submitted once more itself, or has finished and nobody has seen it yet.
            Some(start) if self.missing[start] > 0 => return Ok(State::Waiting),
            Some(start) => self.jobs[start].clone(),
            None => None,
        };
        // An `sbatch` that failed may have submitted nevertheless.
        match self.record.unnumbered(&self.tasks[place].name, queue) {
            Some(job) => self.jobs[place] = Some(job),
            None => {
                if let Err(error) = self.array(&[place], after.as_deref()) {
                    return self.submitting.failed(&error).map(|()| State::Waiting);
                }
            }
        }
        self.submitting = Patience::default();
        (self.again[place], self.missing[place]) = (false, 0);
        // What waited for its old job is dropped by the queue.
        for (own, task) in self.tasks.iter().enumerate().filter(|(_, task)| task.after == Some(place)) {
            self.again[own] |= self.jobs[own].is_some() && !is_done(task);
        }
        Ok(State::Waiting)
    }
}

impl Launcher for Slurm {
    fn submit(&mut self, tasks: &[Task]) -> Result<()> {
        let scripts = self.places.scripts();
        fs::create_dir_all(&scripts).with_context(|| format!("{}: cannot create", scripts.display()))?;
        let _ = fs::remove_file(self.stopped());
        self.tasks = tasks.to_vec();
        self.states = tasks.iter().map(|task| if is_done(task) { State::Done } else { State::Waiting }).collect();
        (self.jobs, self.missing) = (vec![None; tasks.len()], vec![0; tasks.len()]);
        self.again = vec![false; tasks.len()];
        self.record = Jobs::read(scripts.join("jobs.json"))?;
        self.take_on()?;
        let is_open = |own: &Self, place: usize| own.states[place] != State::Done && own.jobs[place].is_none();
        // What waits for nothing goes first: the starts, and the cells that were begun before.
        let mut waiting = std::collections::BTreeMap::<Option<usize>, Vec<usize>>::new();
        for place in (0..tasks.len()).filter(|place| is_open(self, *place)) {
            waiting.entry(tasks[place].after).or_default().push(place);
        }
        for (start, members) in waiting {
            let job = start.and_then(|start| self.jobs[start].clone());
            self.array(&members, job.as_deref())?;
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<State>> {
        if self.jobs.iter().all(Option::is_none) {
            return Ok(self.states.clone());
        }
        let queue = match queue() {
            Ok(queue) => queue,
            // Nothing is known to have changed.
            Err(error) => return self.patience.failed(&error).map(|()| self.states.clone()),
        };
        self.patience = Patience::default();
        for place in 0..self.tasks.len() {
            if matches!(self.states[place], State::Done | State::Failed(_) | State::Blocked) {
                continue;
            }
            let queued = self.jobs[place].as_ref().and_then(|job| queue.state(job));
            self.states[place] = match queued {
                Some("PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "SUSPENDED" | "CONFIGURING") => State::Waiting,
                Some(_) => State::Running,
                None => self.gone(place, &queue)?,
            };
            if queued.is_some() {
                self.missing[place] = 0;
            }
        }
        Ok(self.states.clone())
    }

    fn cancel(&mut self) -> Result<()> {
        self.cancelled = true;
        fs::write(self.stopped(), "").context("cannot write that the sweep stops")?;
        let arrays: BTreeSet<&str> = self.jobs.iter().flatten().filter_map(|job| job.split('_').next()).collect();
        if arrays.is_empty() {
            return Ok(());
        }
        answer(Command::new("scancel").args(["--batch", "--signal=TERM"]).args(&arrays))?;
        answer(Command::new("scancel").arg("--state=PENDING").args(&arrays)).map(drop)
    }
}

/// How often in a row the cluster did not answer.
#[derive(Debug, Default)]
struct Patience {
    failures: u32,
}

impl Patience {
    /// Puts up with a failing answer; the first is told.
    fn failed(&mut self, error: &anyhow::Error) -> Result<()> {
        self.failures += 1;
        if self.failures >= MOST_FAILURES {
            bail!(
                "{error:#}, {} times in a row. Jobs that were submitted go on; the same command again follows them, and submits \
                 none twice",
                self.failures
            );
        }
        if self.failures == 1 {
            say!("warning: {error:#}; jobs go on, it is asked again");
        }
        Ok(())
    }
}

/// The jobs that are in the queue; pending arrays are spread out.
fn queue() -> Result<Queue> {
    let said = answer(Command::new("squeue").args(["--noheader", "--array", "--format=%F_%K %T %j", "--me"]))?;
    Ok(Queue::parse(&said))
}

/// Runs a command of the cluster's; its answer.
fn answer(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.output().with_context(|| format!("cannot run `{name}`; is this a host of a Slurm cluster?"))?;
    if !output.status.success() {
        bail!("`{name}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A path as the script of a job holds it.
fn written(path: &Path) -> Result<String> {
    let text = path.to_str();
    Ok(text.with_context(|| format!("{path:?}: expected a path in UTF-8, as the script of a job holds it"))?.to_owned())
}

fn absolute(path: &Path) -> Result<String> {
    written(&std::path::absolute(path).with_context(|| format!("{}: no path", path.display()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_does_not_answer_is_asked_again_but_not_for_ever() {
        let mut patience = Patience::default();
        let error = anyhow::anyhow!("`squeue` failed: timed out");
        for _ in 1..MOST_FAILURES {
            patience.failed(&error).expect("put up with");
        }
        let said = patience.failed(&error).expect_err("not for ever").to_string();
        assert!(said.contains("timed out, 150 times in a row") && said.contains("submits none twice"), "{said}");
    }
}
