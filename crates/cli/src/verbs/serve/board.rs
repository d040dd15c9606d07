//! What is shown now: a page that is made by one thread, and handed out to all others without waiting for the next.

use super::library::Library;
use crate::say::say;
use secateur_report::{LivePage, Report};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two looks at the logs.
const PAUSE: Duration = Duration::from_millis(300);
/// What is older than this, since nobody asked for it, is looked at again before it is handed out.
const STALE: Duration = Duration::from_secs(10);
/// How long an answer waits for such a look.
const PATIENCE: Duration = Duration::from_secs(5);

/// The page of one instant, with its pictures.
pub(super) struct Shown {
    /// What the page is told by.
    pub(super) version: String,
    /// The page.
    pub(super) html: Arc<[u8]>,
    report: Report,
    /// Files that were asked for: drawing a picture takes longer than an answer may.
    files: Mutex<BTreeMap<String, Arc<[u8]>>>,
}

impl Shown {
    fn of(library: &Library) -> Self {
        let (runs, refused) = (library.runs(), library.refused());
        let mut notes = Vec::new();
        if runs.is_empty() && refused.is_empty() {
            notes.push(format!("There is no run in {} yet.", library.dir().display()));
        }
        let report = Report::with(&runs, &refused, library.views()).or_else(|error| {
            notes.push(error.to_string());
            Report::of(&[])
        });
        let report = report.expect("a report of nothing has no chart that could fail");
        let LivePage { version, html } = report.live_page(&notes);
        Self { version, html: html.into_bytes().into(), report, files: Mutex::default() }
    }

    /// A page that says why there is none.
    fn fault(why: &str) -> Self {
        say!("the runs could not be shown: {why}");
        let report = Report::of(&[]).expect("a report of nothing has no chart that could fail");
        let note = format!(
            "The runs could not be shown, by a fault of Secateur's: {why}. They are read anew at the next look."
        );
        let LivePage { version, html } = report.live_page(&[note]);
        Self { version, html: html.into_bytes().into(), report, files: Mutex::default() }
    }

    /// A file that stands beside the page; `None` for a name that is none of the report's.
    pub(super) fn file(&self, name: &str) -> Result<Option<Arc<[u8]>>, secateur_report::Error> {
        let mut files = lock(&self.files);
        if let Some(bytes) = files.get(name) {
            return Ok(Some(Arc::clone(bytes)));
        }
        let Some(bytes) = self.report.file(name)? else { return Ok(None) };
        let bytes: Arc<[u8]> = bytes.into();
        files.insert(name.to_owned(), Arc::clone(&bytes));
        Ok(Some(bytes))
    }
}

/// Hands out what is shown, and has it made anew while somebody asks.
pub(super) struct Board {
    state: Mutex<State>,
    turn: Condvar,
}

struct State {
    shown: Arc<Shown>,
    looked: Instant,
    asked: bool,
}

impl Board {
    /// Looks for the first time.
    pub(super) fn new(library: &mut Library) -> Self {
        library.refresh();
        let state = State { shown: Arc::new(Shown::of(library)), looked: Instant::now(), asked: false };
        Self { state: Mutex::new(state), turn: Condvar::new() }
    }

    /// What is shown now. Asking has the logs looked at again, for the next one who asks.
    pub(super) fn shown(&self) -> Arc<Shown> {
        let mut state = lock(&self.state);
        state.asked = true;
        self.turn.notify_all();
        if state.looked.elapsed() > STALE {
            let waited = self.turn.wait_timeout_while(state, PATIENCE, |state| state.looked.elapsed() > STALE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Arc::clone(&state.shown)
    }

    /// Looks at the logs whenever somebody has asked, for ever.
    pub(super) fn keep(&self, mut library: Library) {
        loop {
            let waited = self.turn.wait_while(lock(&self.state), |state| !state.asked);
            waited.unwrap_or_else(PoisonError::into_inner).asked = false;
            let began = Instant::now();
            let shown = guarded(|| {
                // Models come after the first page, for which nobody has to wait.
                let changed = library.refresh() | library.look();
                changed.then(|| Arc::new(Shown::of(&library)))
            });
            let shown = shown.unwrap_or_else(|why| {
                // Begins anew: what it knew may be half of what it was to be.
                library = Library::new(library.dir().to_owned());
                Some(Arc::new(Shown::fault(&why)))
            });
            let took = began.elapsed();
            let mut state = lock(&self.state);
            state.looked = Instant::now();
            if let Some(shown) = shown {
                state.shown = shown;
            }
            self.turn.notify_all();
            drop(state);
            // Runs are training beside this: most of the time is theirs.
            std::thread::sleep(PAUSE.max(4 * took));
        }
    }
}

/// What `look` gives, or with which words it panicked: the thread that reads the logs goes on.
fn guarded<T>(look: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(look)).map_err(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        words.unwrap_or("a panic without words").to_owned()
    })
}

/// What another thread left is whole, even if it panicked: nothing is changed in steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_while_runs_are_read_is_shown_and_not_left_as_an_old_page() {
        assert_eq!(guarded(|| 1), Ok(1));
        let why = guarded(|| -> () { panic!("index {} of 3", 7) }).expect_err("it panicked");
        assert_eq!(why, "index 7 of 3");
        let html = Shown::fault(&why).html.to_vec();
        assert!(String::from_utf8(html).expect("text").contains("could not be shown, by a fault of Secateur"));
    }
}
