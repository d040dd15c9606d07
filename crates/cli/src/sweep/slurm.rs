//! Tasks as jobs of a Slurm cluster: one array for the shared starts, and for the cells of each start one array that waits
//! for it.
//!
//! A job that is preempted, requeued or out of time gets SIGTERM, saves its state, and is put back into the queue; one that
//! is killed is put back, too, and goes on from its last checkpoint.

use super::{Launcher, Places, State, Task, command, is_done};
use crate::INTERRUPTED;
use crate::shell::quoted;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Polls for which a job may be in no list and its run not be finished, before it counts as failed: queue and file system
/// need not agree at once.
const PATIENCE: u32 = 3;

/// How often a job that was killed is put back into the queue.
const MOST_RESTARTS: u32 = 10;

/// Submits with `sbatch`, follows with `squeue` and `sacct`, ends with `scancel`.
pub(crate) struct Slurm {
    sweep: PathBuf,
    places: Places,
    threads: usize,
    /// Arguments for `sbatch` of the user's own, such as a partition.
    options: Vec<String>,
    tasks: Vec<Task>,
    /// Each task's job, `<array>_<index>`; `None` for what was done before.
    jobs: Vec<Option<String>>,
    /// Polls in a row in which a task was missing.
    missing: Vec<u32>,
}

impl Slurm {
    pub(crate) fn new(sweep: PathBuf, places: Places, threads: usize, options: Vec<String>) -> Self {
        Self { sweep, places, threads, options, tasks: vec![], jobs: vec![], missing: vec![] }
    }

    /// Submits one array of tasks, which waits for the job `after`.
    fn array(&mut self, members: &[usize], after: Option<&str>) -> Result<()> {
        if members.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = members.iter().map(|place| self.tasks[*place].name.as_str()).collect();
        let script = self.places.scripts().join(format!("{}.sh", names[0]));
        fs::write(&script, self.script(&names)?).with_context(|| format!("{}: cannot write", script.display()))?;
        let mut sbatch = Command::new("sbatch");
        sbatch.arg("--parsable").arg(format!("--array=0-{}", members.len() - 1));
        if let Some(after) = after {
            sbatch.arg(format!("--dependency=afterok:{after}")).arg("--kill-on-invalid-dep=yes");
        }
        let said = answer(sbatch.args(&self.options).arg(&script))?;
        let id = said.trim().split(';').next().unwrap_or_default().to_owned();
        if id.is_empty() || !id.chars().all(|letter| letter.is_ascii_digit()) {
            bail!("sbatch said {said:?}, wanted the number of a job");
        }
        for (index, place) in members.iter().enumerate() {
            self.jobs[*place] = Some(format!("{id}_{index}"));
        }
        Ok(())
    }

    /// The script of an array.
    fn script(&self, names: &[&str]) -> Result<String> {
        let program = std::env::current_exe().context("cannot find the program's own file")?;
        let folder = std::env::current_dir().context("cannot find the current folder")?;
        let all: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let (logs, stopped) = (self.places.logs(), self.stopped());
        let words = command(&self.sweep, &self.places, self.threads, "NAME");
        let words: Vec<String> =
            words.iter().map(|word| if word == "NAME" { "\"$name\"".to_owned() } else { quoted(word) }).collect();
        let mut text = String::from("#!/bin/bash\n");
        for option in [
            "--job-name=secateur".to_owned(),
            format!("--cpus-per-task={}", self.threads),
            "--requeue".into(),
            "--open-mode=append".into(),
            "--output=/dev/null".into(),
            // A minute before its time is out a job is told, so that it can save.
            "--signal=B:TERM@60".into(),
        ] {
            writeln!(text, "#SBATCH {option}")?;
        }
        writeln!(text, "cd {}", quoted(&folder.display().to_string()))?;
        writeln!(text, "names=({})", all.join(" "))?;
        writeln!(text, "name=${{names[$SLURM_ARRAY_TASK_ID]}}")?;
        writeln!(
            text,
            "{} {} >> {}/\"$name\".log 2>&1 &",
            quoted(&program.display().to_string()),
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

    /// The state of every job in the queue, by name; pending arrays are spread out.
    fn queue(&self) -> Result<BTreeMap<String, String>> {
        let arrays: Vec<&str> = self.jobs.iter().flatten().filter_map(|job| job.split('_').next()).collect();
        if arrays.is_empty() {
            return Ok(BTreeMap::new());
        }
        let said = answer(Command::new("squeue").args(["--noheader", "--array", "--format=%F_%K %T"]).arg("--me"))?;
        let pair =
            |line: &str| line.trim().split_once(' ').map(|(job, state)| (job.to_owned(), state.trim().to_owned()));
        Ok(said.lines().filter_map(pair).filter(|(job, _)| arrays.iter().any(|own| job.starts_with(*own))).collect())
    }

    /// Why a job that is in no queue ended, if the cluster keeps accounts.
    fn reason(&self, job: &str) -> String {
        let said = answer(Command::new("sacct").args(["--noheader", "--parsable2", "--format=State", "--jobs", job]));
        let state = said.ok().and_then(|said| said.lines().next().map(str::to_owned)).unwrap_or_default();
        if state.is_empty() { format!("job {job} ended") } else { format!("job {job}: {state}") }
    }
}

impl Launcher for Slurm {
    fn submit(&mut self, tasks: &[Task]) -> Result<()> {
        let scripts = self.places.scripts();
        fs::create_dir_all(&scripts).with_context(|| format!("{}: cannot create", scripts.display()))?;
        let _ = fs::remove_file(self.stopped());
        self.tasks = tasks.to_vec();
        (self.jobs, self.missing) = (vec![None; tasks.len()], vec![0; tasks.len()]);
        let open = |after: Option<usize>| -> Vec<usize> {
            (0..tasks.len()).filter(|place| tasks[*place].after == after && !is_done(&tasks[*place])).collect()
        };
        // What waits for nothing goes first: the starts, and the cells that were begun before.
        self.array(&open(None), None)?;
        let awaited: std::collections::BTreeSet<usize> = tasks.iter().filter_map(|task| task.after).collect();
        for start in awaited {
            let job = self.jobs[start].clone();
            self.array(&open(Some(start)), job.as_deref())?;
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<State>> {
        let queue = self.queue()?;
        let mut states = vec![];
        for place in 0..self.tasks.len() {
            let job = self.jobs[place].as_deref();
            let queued = job.and_then(|job| queue.get(job)).map(String::as_str);
            states.push(match (is_done(&self.tasks[place]), queued) {
                (true, _) => State::Done,
                (false, Some("PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "SUSPENDED" | "CONFIGURING")) => State::Waiting,
                (false, Some(_)) => State::Running,
                (false, None) => {
                    self.missing[place] += 1;
                    match job {
                        Some(job) if self.missing[place] >= PATIENCE => State::Failed(self.reason(job)),
                        _ => State::Running,
                    }
                }
            });
            if queued.is_some() {
                self.missing[place] = 0;
            }
        }
        Ok(states)
    }

    fn cancel(&mut self) -> Result<()> {
        fs::write(self.stopped(), "").context("cannot write that the sweep stops")?;
        let arrays: std::collections::BTreeSet<&str> =
            self.jobs.iter().flatten().filter_map(|job| job.split('_').next()).collect();
        if arrays.is_empty() {
            return Ok(());
        }
        answer(Command::new("scancel").args(["--batch", "--signal=TERM"]).args(&arrays))?;
        answer(Command::new("scancel").arg("--state=PENDING").args(&arrays)).map(drop)
    }
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

fn absolute(path: &Path) -> Result<String> {
    Ok(std::path::absolute(path).with_context(|| format!("{}: no path", path.display()))?.display().to_string())
}
