//! The runs below a folder, read anew only where a log has changed. Looks at folders and logs, and writes nothing.

use crate::verbs::report::{input, name};
use secateur_report::views::Views;
use secateur_report::{Refused, ReportInput, State};
use secateur_trainer::{RunFolder, inspect};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many folders below the served one a run may lie: a walk through more would take too long to be done every second.
const DEPTH: usize = 3;

/// What is known of the runs below a folder.
pub(super) struct Library {
    dir: PathBuf,
    runs: BTreeMap<PathBuf, Known>,
    /// The finished runs whose models were looked into, and what they look like.
    looked: Vec<PathBuf>,
    views: Views,
}

struct Known {
    seen: Seen,
    /// The run, or why it cannot be shown.
    run: Result<ReportInput, String>,
}

/// What a log is told by without reading it: it only ever grows, or is cut and grows again.
#[derive(Clone, Copy, PartialEq)]
struct Seen {
    bytes: u64,
    modified: Option<SystemTime>,
    /// The final model's: it is compared with the log.
    model: Option<(u64, Option<SystemTime>)>,
}

impl Library {
    /// The runs below `dir`, none of them read yet.
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, runs: BTreeMap::new(), looked: vec![], views: Views::default() }
    }

    /// Reads the logs that are new or have changed, and forgets those that are gone; returns whether there were any.
    pub(super) fn refresh(&mut self) -> bool {
        let mut logs = BTreeMap::new();
        find(&self.dir, DEPTH, &mut logs);
        let before = self.runs.len();
        self.runs.retain(|run, _| logs.contains_key(run));
        let mut changed = self.runs.len() != before;
        for (run, seen) in logs {
            if self.runs.get(&run).is_some_and(|known| known.seen == seen) {
                continue;
            }
            // Looked at before it is read: what is appended meanwhile makes it another one at the next look.
            let read = input(&run, self.label(&run)).map_err(|error| format!("{error:#}"));
            self.runs.insert(run, Known { seen, run: read });
            changed = true;
        }
        changed
    }

    /// Looks into the models of finished runs, where others have finished since; returns whether there were any. This takes
    /// longer than an answer may.
    pub(super) fn look(&mut self) -> bool {
        let known = self.runs.iter().filter_map(|(path, known)| Some((path, known.run.as_ref().ok()?)));
        let finished: Vec<_> = known.filter(|(_, run)| run.state == State::Finished).collect();
        if finished.iter().map(|(path, _)| *path).eq(&self.looked) {
            return false;
        }
        let runs =
            finished.iter().map(|(path, run)| inspect::Run { label: &run.label, folder: path, record: &run.record });
        let runs: Vec<_> = runs.collect();
        let views = if runs.is_empty() { Views::default() } else { inspect::views(&runs, inspect::Choice::default()) };
        (self.looked, self.views) = (finished.into_iter().map(|(path, _)| path.clone()).collect(), views);
        true
    }

    /// What the models of finished runs looked like when somebody looked.
    pub(super) fn views(&self) -> &Views {
        &self.views
    }

    /// The runs that can be shown, by their paths.
    pub(super) fn runs(&self) -> Vec<ReportInput> {
        self.runs.values().filter_map(|known| known.run.as_ref().ok()).cloned().collect()
    }

    /// The runs that cannot be shown, and why.
    pub(super) fn refused(&self) -> Vec<Refused> {
        let refused = |(run, known): (&PathBuf, &Known)| {
            let why = known.run.as_ref().err()?.clone();
            Some(Refused { label: self.label(run), why })
        };
        self.runs.iter().filter_map(refused).collect()
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A run's path below the folder; the folder's own name where it is the run.
    fn label(&self, run: &Path) -> String {
        match run.strip_prefix(&self.dir) {
            Ok(below) if !below.as_os_str().is_empty() => below.display().to_string(),
            _ => name(run),
        }
    }
}

/// Collects the folders with a log. Links are not followed: what lies outside the folder is not served.
fn find(dir: &Path, depth: usize, found: &mut BTreeMap<PathBuf, Seen>) {
    if let Ok(facts) = fs::symlink_metadata(RunFolder::at(dir).log())
        && facts.is_file()
    {
        let model = fs::symlink_metadata(RunFolder::at(dir).model()).ok();
        let model = model.map(|facts| (facts.len(), facts.modified().ok()));
        found.insert(dir.to_owned(), Seen { bytes: facts.len(), modified: facts.modified().ok(), model });
        return;
    }
    if depth == 0 {
        return;
    }
    // A folder that cannot be read, or went away meanwhile, has no runs to show.
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find(&entry.path(), depth - 1, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: &str = concat!(
        r#"{"v":1,"event":"run_started","name":"n","seed":1,"model":"lenet k=1","dataset":"mnist","#,
        r#""images":{"train":2,"validation":0,"test":2},"batch_size":1,"optimizer":"sgd","method":null,"#,
        r#""planned_steps":2,"planned_prunes":0,"parameters":4,"prunable":4,"macs":4,"layers":[],"device":"cpu"}"#,
        "\n"
    );

    fn add(dir: &Path, name: &str, log: &str) -> PathBuf {
        let run = dir.join(name);
        fs::create_dir_all(&run).expect("a folder");
        fs::write(run.join("manifest.json"), r#"{"command":["secateur","run","a.toml"]}"#).expect("a manifest");
        fs::write(run.join("log.jsonl"), log).expect("a log");
        run
    }

    fn labels(library: &Library) -> Vec<String> {
        library.runs().into_iter().map(|run| run.label).collect()
    }

    #[test]
    fn runs_come_change_and_go() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut library = Library::new(dir.path().to_owned());
        assert!(!library.refresh() && library.runs().is_empty());
        let run = add(dir.path(), "sweep/a", STARTED);
        add(dir.path(), "b", STARTED);
        assert!(library.refresh());
        assert_eq!(labels(&library), ["b", "sweep/a"]);
        assert!(!library.refresh(), "nothing has changed");
        let stop = r#"{"v":1,"event":"stopped_early","cycle":0,"step":1,"steps_saved":1}"#;
        // The second line is still being written.
        fs::write(run.join("log.jsonl"), format!("{STARTED}{stop}\n{}", &stop[..30])).expect("it grew");
        assert!(library.refresh());
        assert_eq!(library.runs()[1].record.stops.len(), 1);
        fs::remove_dir_all(run).expect("removed");
        assert!(library.refresh());
        assert_eq!(labels(&library), ["b"]);
    }

    #[test]
    fn what_cannot_be_shown_is_said_and_hides_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        add(dir.path(), "good", STARTED);
        add(dir.path(), "empty", "");
        add(dir.path(), "broken", "{\"v\":1}\n");
        let mut library = Library::new(dir.path().to_owned());
        library.refresh();
        assert_eq!(labels(&library), ["good"]);
        let [broken, empty] = &library.refused()[..] else { panic!("{:?}", library.refused()) };
        assert!(broken.label == "broken" && broken.why.contains("line 1"), "{broken:?}");
        assert!(empty.label == "empty" && empty.why.contains("no complete line"), "{empty:?}");
    }

    #[test]
    fn a_run_may_be_served_alone_and_hidden_or_deep_folders_are_passed_by() {
        let dir = tempfile::tempdir().expect("a folder");
        let run = add(dir.path(), "run", STARTED);
        let mut library = Library::new(run);
        library.refresh();
        assert_eq!(labels(&library), ["run"]);
        add(dir.path(), ".half", STARTED);
        add(dir.path(), "a/b/c", STARTED);
        add(dir.path(), "a/b/d/e", STARTED);
        let mut library = Library::new(dir.path().to_owned());
        library.refresh();
        assert_eq!(labels(&library), ["a/b/c", "run"]);
    }

    #[test]
    fn links_lead_nowhere() {
        let (dir, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let run = add(outside.path(), "run", STARTED);
        std::os::unix::fs::symlink(&run, dir.path().join("folder")).expect("a link");
        fs::create_dir(dir.path().join("own")).expect("a folder");
        std::os::unix::fs::symlink(run.join("log.jsonl"), dir.path().join("own/log.jsonl")).expect("a link");
        let mut library = Library::new(dir.path().to_owned());
        library.refresh();
        assert!(library.runs().is_empty());
    }
}
