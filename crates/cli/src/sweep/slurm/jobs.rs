//! What of a sweep was submitted, in a file beside its scripts, held against what the queue says.

use anyhow::{Context, Result};
use secateur_trainer::{read_text, write_file};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::SystemTime;

/// The arrays of jobs that a sweep has in the queue.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Jobs {
    #[serde(skip)]
    path: PathBuf,
    /// What the names of the arrays begin with; no other sweep's do.
    prefix: String,
    /// Arrays that were ever submitted.
    count: u64,
    arrays: Vec<Array>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Array {
    /// Its name in the queue.
    job: String,
    /// Its number; missing when nobody was left to write it down.
    id: Option<String>,
    /// The runs, by their index.
    runs: Vec<String>,
}

impl Jobs {
    /// Reads the file; where there is none, nothing was submitted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(path: PathBuf) -> Result<Self> {
        if !path.exists() {
            let mut hash = DefaultHasher::new();
            (&path, std::process::id(), SystemTime::now()).hash(&mut hash);
            return Ok(Self { prefix: format!("secateur-{:08x}", hash.finish() as u32), path, ..Self::default() });
        }
        let read: Self = serde_json::from_str(&read_text(&path)?).with_context(|| {
            format!("{}: no list of jobs. Where the queue holds none of this sweep, remove the file", path.display())
        })?;
        Ok(Self { path, ..read })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.arrays.is_empty()
    }

    /// Notes an array that is about to be submitted; returns its name.
    pub(super) fn announce(&mut self, runs: Vec<String>) -> Result<String> {
        let job = format!("{}-{}", self.prefix, self.count);
        self.count += 1;
        self.arrays.push(Array { job: job.clone(), id: None, runs });
        self.write()?;
        Ok(job)
    }

    /// Notes the number of the array that was announced last.
    pub(super) fn submitted(&mut self, id: &str) -> Result<()> {
        if let Some(last) = self.arrays.last_mut() {
            last.id = Some(id.to_owned());
        }
        self.write()
    }

    /// The job of each run that is in the queue; forgets the arrays that have left it.
    pub(super) fn in_queue(&mut self, queue: &Queue) -> Result<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        for array in &mut self.arrays {
            let id = array.id.take().or_else(|| queue.number(&array.job));
            for (index, run) in array.runs.iter().enumerate() {
                let job = id.as_ref().map(|id| format!("{id}_{index}"));
                if let Some(job) = job.filter(|job| queue.state(job).is_some()) {
                    found.insert(run.clone(), job);
                }
            }
            array.id = id;
        }
        self.arrays.retain(|array| array.runs.iter().any(|run| found.contains_key(run)));
        self.write()?;
        Ok(found)
    }

    /// The job of a run in an array whose number was never noted, as when `sbatch` submits and says that it failed.
    pub(super) fn unnumbered(&self, run: &str, queue: &Queue) -> Option<String> {
        let mut arrays = self.arrays.iter().filter(|array| array.id.is_none());
        arrays.find_map(|array| {
            let index = array.runs.iter().position(|own| own == run)?;
            let job = format!("{}_{index}", queue.number(&array.job)?);
            queue.state(&job).map(|_| job)
        })
    }

    fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("a list of jobs is plain data")?;
        Ok(write_file(&self.path, text.as_bytes())?)
    }
}

/// What `squeue` says: `<array>_<index> <state> <name>`, a line each.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// State and name of each job.
    jobs: BTreeMap<String, (String, String)>,
}

impl Queue {
    pub(super) fn parse(said: &str) -> Self {
        let job = |line: &str| {
            let mut words = line.split_whitespace().map(str::to_owned);
            Some((words.next()?, (words.next()?, words.next().unwrap_or_default())))
        };
        Self { jobs: said.lines().filter_map(job).collect() }
    }

    /// The state of a job; `None` where it is not in the queue.
    pub(super) fn state(&self, job: &str) -> Option<&str> {
        self.jobs.get(job).map(|(state, _)| state.as_str())
    }

    /// The number of the array of this name.
    fn number(&self, name: &str) -> Option<String> {
        let (job, _) = self.jobs.iter().find(|(_, (_, own))| own == name)?;
        job.split('_').next().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_submitted_is_found_in_the_queue_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("jobs.json");
        let runs = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut jobs = Jobs::read(path.clone()).expect("none yet");
        assert!(jobs.is_empty());
        jobs.announce(runs(&["a", "b"])).expect("written");
        jobs.submitted("7").expect("written");
        jobs.announce(runs(&["c"])).expect("written");
        jobs.submitted("8").expect("written");
        // The process ended between submitting and writing down the number.
        let lost = jobs.announce(runs(&["d", "e"])).expect("written");
        let queue =
            Queue::parse(&format!("7_1 RUNNING x\n9_0 PENDING {lost}\n9_1 PENDING {lost}\n10_0 RUNNING other\n"));
        let mut jobs = Jobs::read(path.clone()).expect("written before");
        assert_eq!(jobs.unnumbered("e", &queue).as_deref(), Some("9_1"));
        assert_eq!(jobs.unnumbered("a", &queue), None, "its number was noted");
        let found = jobs.in_queue(&queue).expect("written");
        let expected = [("b", "7_1"), ("d", "9_0"), ("e", "9_1")];
        assert_eq!(found.iter().map(|(run, job)| (run.as_str(), job.as_str())).collect::<Vec<_>>(), expected);
        let numbered = Jobs::read(path.clone()).expect("written before");
        assert_eq!(numbered.unnumbered("d", &queue), None, "its number is known now");
        // The array that has left the queue is forgotten, names are not used again.
        let mut jobs = Jobs::read(path.clone()).expect("written before");
        assert_eq!(jobs.arrays.len(), 2);
        assert_ne!(jobs.announce(runs(&["c"])).expect("written"), lost);
        std::fs::write(&path, "{").expect("written");
        assert!(format!("{:#}", Jobs::read(path).expect_err("torn")).contains("no list of jobs"));
    }
}
