//! What is shown of a sweep: a table of all cells that is drawn anew on a terminal, a line a change elsewhere.

use super::{State, Task};
use crate::say::say;
use console::Term;
use secateur_report::read_log;
use std::time::{Duration, Instant};

/// How often the table is drawn anew.
const REDRAW: Duration = Duration::from_secs(1);

/// The table, and what of it is on the screen.
pub(crate) struct Board {
    term: Term,
    shown: usize,
    last: Vec<State>,
    drawn: Option<Instant>,
    wide: usize,
}

impl Board {
    pub(crate) fn new(tasks: &[Task]) -> Self {
        let wide = tasks.iter().map(|task| task.name.chars().count()).max().unwrap_or(0);
        Self { term: Term::stderr(), shown: 0, last: vec![State::Waiting; tasks.len()], drawn: None, wide }
    }

    /// Shows how far the tasks are; `last` draws all that is left to say.
    pub(crate) fn show(&mut self, tasks: &[Task], states: &[State], last: bool) {
        if !self.term.is_term() {
            for ((task, state), _) in tasks.iter().zip(states).zip(&self.last).filter(|((_, now), was)| now != was) {
                say!("{}", self.row(task, state));
            }
            self.last = states.to_vec();
            return;
        }
        if !last && self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        let rows = self.rows(tasks, states, last);
        // A terminal that went away is nobody's loss.
        let _ = self.term.clear_last_lines(self.shown);
        for row in &rows {
            let _ = self.term.write_line(&console::truncate_str(row, usize::from(self.term.size().1), "..."));
        }
        self.shown = rows.len();
    }

    /// All rows where they fit; else those that are running or failed, and as many others as fit.
    fn rows(&self, tasks: &[Task], states: &[State], last: bool) -> Vec<String> {
        let count = |wanted: fn(&State) -> bool| states.iter().filter(|state| wanted(state)).count();
        let head = format!(
            "{} of {} runs done, {} running, {} waiting, {} failed",
            count(|state| *state == State::Done),
            states.len(),
            count(|state| *state == State::Running),
            count(|state| *state == State::Waiting),
            count(|state| matches!(state, State::Failed(_) | State::Blocked))
        );
        let room = if last { usize::MAX } else { usize::from(self.term.size().0).saturating_sub(3).max(1) };
        let urgent = |state: &State| matches!(state, State::Running | State::Failed(_));
        let mut chosen: Vec<usize> = (0..tasks.len()).filter(|place| urgent(&states[*place])).take(room).collect();
        let rest: Vec<usize> = (0..tasks.len()).filter(|place| !urgent(&states[*place])).collect();
        let left = room.saturating_sub(chosen.len()).min(rest.len());
        chosen.extend(&rest[rest.len() - left..]);
        chosen.sort_unstable();
        let hidden = tasks.len() - chosen.len();
        let mut rows: Vec<String> = chosen.into_iter().map(|place| self.row(&tasks[place], &states[place])).collect();
        if hidden > 0 {
            rows.push(format!("and {hidden} more"));
        }
        rows.push(head);
        rows
    }

    fn row(&self, task: &Task, state: &State) -> String {
        let word = match state {
            State::Waiting => "waiting".to_owned(),
            State::Running => "running".to_owned(),
            State::Done => "done".to_owned(),
            State::Failed(why) => format!("failed: {why}, see {}", task.log.display()),
            State::Blocked => "not begun: its shared start failed".to_owned(),
        };
        format!("{:<wide$}  {word:<8}  {}", task.name, progress(task), wide = self.wide).trim_end().to_owned()
    }
}

/// How far a run is, by its log.
fn progress(task: &Task) -> String {
    let Ok(record) = read_log(task.run.join("log.jsonl")) else { return String::new() };
    let summary = record.summary();
    let sparsity = summary.size.map_or(String::new(), |size| format!("{:>8.2} %", 100.0 * size.sparsity()));
    let accuracy = summary.last.map_or(String::new(), |score| format!("top-1 {:.2} %", 100.0 * score.accuracy()));
    format!("{:>8}/{:<8} steps {sparsity}  {accuracy}", summary.step, summary.planned_steps)
}
