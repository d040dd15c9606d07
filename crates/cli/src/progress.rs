//! What a person sees while a run goes: a bar on a terminal, plain lines otherwise; all of it on stderr.

use crate::say::say;
use indicatif::{ProgressBar, ProgressStyle};
use secateur_report::Timing;
use secateur_report::event::{Event, Inference, Latency, LayerPath, Measured, Score, Stage};
use secateur_trainer::plan::Stage as Planned;
use secateur_trainer::{Observer, StageView, Tick};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Shows a run's progress.
pub(crate) struct Progress {
    /// `None` when stderr is no terminal.
    bar: Option<ProgressBar>,
    /// The first step that was seen to end, and when.
    timed: Option<(u64, Instant)>,
    /// Steps that were done before this session.
    from: Option<u64>,
    steps: u64,
    place: String,
    last_line: Instant,
}

/// Between two plain lines of a long epoch.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Seconds and steps of this session before the time that is left is told: the first steps are slower than the rest.
const SETTLED: (f64, u64) = (4.0, 20);
/// Columns of the bar with its percentage, and what a terminal's echo of Ctrl-C takes.
const BESIDE: usize = 12 + 6 + 4;

impl Progress {
    /// Shows nothing before the first stage.
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = terminal.then(|| {
            let style =
                ProgressStyle::with_template("{bar:12.green} {percent:>3}% {wide_msg}").expect("a valid template");
            ProgressBar::new(1).with_style(style.progress_chars("━╸─"))
        });
        let now = Instant::now();
        Self { bar, timed: None, from: None, steps: 0, place: String::new(), last_line: now }
    }

    fn say(&self, line: &str) {
        self.beside_the_bar(|| say!("{line}"));
    }

    fn beside_the_bar(&self, speak: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(speak),
            None => speak(),
        }
    }

    /// Seconds that are left.
    fn left(&mut self, step: u64) -> Option<f64> {
        let now = Instant::now();
        // The first step warms caches and threads up; what follows tells the speed.
        let (from, since) = *self.timed.get_or_insert((step, now));
        estimate((now - since).as_secs_f64(), step.saturating_sub(from), self.steps.saturating_sub(step))
    }
}

/// Seconds that `steps` more take, by those that `done` steps took; `None` before that has settled.
fn estimate(seconds: f64, done: u64, steps: u64) -> Option<f64> {
    (seconds >= SETTLED.0 && done >= SETTLED.1).then(|| seconds / done as f64 * steps as f64)
}

/// What is known of a step, as a line of at most `columns`; the least needed is left out first.
fn line(place: &str, tick: &Tick, left: Option<f64>, columns: usize) -> String {
    // In the order in which they are shown; the number says what goes first.
    let mut parts = vec![
        (9, place.to_owned()),
        (2, format!("epoch {}", tick.epoch)),
        (1, format!("step {}/{}", tick.stage_step, tick.stage_steps)),
        (5, format!("loss {:.4}", tick.loss)),
        (4, format!("accuracy {:.2} %", 100.0 * tick.accuracy)),
        (3, format!("{:.0} images/s", tick.images_per_s)),
    ];
    parts.extend(left.map(|left| (8, format!("{} left", clock(left)))));
    loop {
        let line = parts.iter().map(|(_, part)| part.as_str()).collect::<Vec<_>>().join(", ");
        let least = (1..parts.len()).min_by_key(|part| parts[*part].0);
        match least {
            Some(least) if line.chars().count() > columns => drop(parts.remove(least)),
            _ => return line.chars().take(columns).collect(),
        }
    }
}

/// How far the images of a split are scored, and where in the run that is.
fn scored(place: &str, split: &str, seen: usize, total: usize) -> String {
    let separator = if place.is_empty() { "" } else { ", " };
    format!("{place}{separator}{split} {seen}/{total}")
}

impl Observer for Progress {
    fn stage(&mut self, at: &StageView<'_>) {
        self.from.get_or_insert(at.step);
        self.steps = at.steps;
        let what = match &at.planned.stage {
            Planned::Train(_) => "train",
            Planned::Prune(_) => "prune",
            Planned::Test(_) => "test",
            Planned::Remember => "remember",
            Planned::Rewind => "rewind",
            Planned::Reinitialise => "draw weights anew",
            Planned::Exchange(_) | Planned::Choose(_) => "move masks",
            Planned::Judge => "judge",
            Planned::Refine => "refine",
            Planned::Settle => "settle",
        };
        self.place = format!("cycle {}/{} {what}, {:.1} % sparse", at.planned.cycle, at.cycles, 100.0 * at.sparsity);
        if let Some(bar) = &self.bar {
            bar.set_length(at.steps.max(1));
            bar.set_position(at.step);
            bar.set_message(self.place.clone());
        }
    }

    fn step(&mut self, tick: &Tick) {
        let left = self.left(tick.step);
        match &self.bar {
            Some(bar) => {
                let columns = usize::from(console::Term::stderr().size().1).saturating_sub(BESIDE);
                bar.set_position(tick.step);
                bar.set_message(line(&self.place, tick, left, columns));
            }
            None if self.last_line.elapsed() >= LINE_EVERY || self.from == Some(tick.step - 1) => {
                say!("{}", line(&self.place, tick, left, usize::MAX));
                self.last_line = Instant::now();
            }
            None => {}
        }
    }

    fn evaluating(&mut self, split: &str, seen: usize, total: usize) {
        let line = scored(&self.place, split, seen, total);
        match &self.bar {
            Some(bar) => bar.set_message(line),
            // Before the first stage a teacher may have much to answer.
            None if self.last_line.elapsed() >= LINE_EVERY => {
                say!("{line}");
                self.last_line = Instant::now();
            }
            None => {}
        }
    }

    fn measuring(&mut self) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}, file, compaction and times", self.place));
        }
    }

    fn event(&mut self, event: &Event, timing: Option<Timing>) {
        let speed = timing
            .as_ref()
            .and_then(|timing| timing.images_per_s)
            .map_or(String::new(), |speed| format!(", {speed:.0} images/s"));
        match event {
            Event::RunStarted(started) => self.say(&format!(
                "{}: {} on {}, {} parameters, {} steps, {} prunes, seed {}, device {}",
                started.name,
                started.model,
                started.dataset,
                started.parameters,
                started.planned_steps,
                started.planned_prunes,
                started.seed,
                started.device
            )),
            Event::SessionStarted(_) => {}
            Event::EpochEnded(epoch) => {
                let validation = epoch.validation.map_or(String::new(), |score| {
                    format!(", validation {}{}", percent(score), if epoch.best { " (best)" } else { "" })
                });
                self.say(&format!(
                    "cycle {}, epoch {}: train {}, loss {:.4}{validation}{speed}",
                    epoch.cycle,
                    epoch.epoch,
                    percent(epoch.train),
                    epoch.train.loss
                ));
            }
            Event::StoppedEarly(stop) => {
                self.say(&format!("cycle {}: stopped early, {} steps saved", stop.cycle, stop.steps_saved));
            }
            Event::Pruned(pruned) => self.say(&format!(
                "cycle {}: pruned {} of {} weights ({:.2} %), {} dead units",
                pruned.cycle,
                pruned.pruned,
                pruned.prunable,
                100.0 * pruned.pruned as f64 / pruned.prunable.max(1) as f64,
                pruned.dead_units
            )),
            Event::MasksMoved(moved) => self.beside_the_bar(|| {
                let living = moved.prunable - moved.pruned;
                tracing::info!("cycle {}: {} of {living} living weights are new", moved.cycle, moved.regrown);
            }),
            Event::Judged(judged) => self.say(&format!(
                "cycle {}: target {:.2} %, validation {}, wanted {:.2} %: {}",
                judged.cycle,
                100.0 * judged.target,
                percent(judged.validation),
                100.0 * judged.wanted,
                if judged.holds { "holds" } else { "does not hold, back to the last that did" }
            )),
            Event::LayersCompiled(compiled) => self.beside_the_bar(|| {
                let layers: Vec<_> = compiled.layers.iter().map(path).collect();
                tracing::info!("cycle {}, {}: {}", compiled.cycle, compiled.instruction_set, layers.join(", "));
            }),
            Event::Tested(tested) => {
                let when = match tested.stage {
                    Stage::Dense => "dense",
                    Stage::JustPruned => "just pruned",
                    Stage::Retrained => "retrained",
                };
                self.say(&format!("cycle {}: test {when} {}", tested.cycle, percent(tested.score)));
            }
            // The last table says it of every cycle.
            Event::Measured(measured) => self.beside_the_bar(|| {
                tracing::info!("{}", cost(measured, timing.and_then(|timing| timing.inference).as_ref()));
            }),
            Event::RunEnded(_) => {
                if let Some(bar) = &self.bar {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn percent(score: Score) -> String {
    format!("{:.2} %", 100.0 * score.accuracy())
}

/// `conv2 sparse (43 of 864 weights, 12 of 16 units)`.
fn path(layer: &LayerPath) -> String {
    let LayerPath { name, path, kept, total, units, all_units } = layer;
    format!("{name} {path} ({kept} of {total} weights, {units} of {all_units} units)")
}

/// `cycle 4: f16 file 89600 bytes, batch 1, 1 thread: 6.10x`.
fn cost(measured: &Measured, inference: Option<&Inference>) -> String {
    let files = measured.files.iter().map(|file| format!("{} file {} bytes", file.precision, file.bytes));
    let latencies = inference.into_iter().flat_map(|inference| &inference.latencies);
    let times = latencies.map(|latency| {
        let Latency { batch, threads, .. } = latency;
        format!(
            "batch {batch}, {threads} {}: {:.2}x",
            if *threads == 1 { "thread" } else { "threads" },
            latency.speedup()
        )
    });
    format!("cycle {}: {}", measured.cycle, files.chain(times).collect::<Vec<_>>().join(", "))
}

/// `1:05:09` or `05:09`.
pub(crate) fn clock(seconds: f64) -> String {
    let whole = seconds.round().clamp(0.0, 1e9) as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes:02}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::{BESIDE, LayerPath, Tick, clock, estimate, line, path, scored};

    #[test]
    fn times_read_like_a_clock() {
        assert_eq!([clock(0.4), clock(65.0), clock(3_909.0)], ["00:00", "01:05", "1:05:09"]);
    }

    #[test]
    fn the_time_that_is_left_is_told_once_it_has_settled() {
        assert_eq!(estimate(0.5, 1, 9_000), None, "the first step says nothing");
        assert_eq!([estimate(3.9, 1_000, 10), estimate(60.0, 19, 10)], [None, None]);
        assert_eq!(estimate(10.0, 1_000, 2_000), Some(20.0));
    }

    #[test]
    fn a_line_fits_its_terminal_and_keeps_what_matters() {
        let tick = Tick {
            epoch: 123,
            step: 123_456,
            stage_step: 12_345,
            stage_steps: 98_765,
            loss: 0.123_45,
            accuracy: 0.987_6,
            images_per_s: 123_456.0,
        };
        let place = "cycle 10/12 draw weights anew, 98.5 % sparse";
        let whole = line(place, &tick, Some(3_909.0), usize::MAX);
        assert_eq!(
            whole,
            "cycle 10/12 draw weights anew, 98.5 % sparse, epoch 123, step 12345/98765, loss 0.1235, accuracy 98.76 %, \
             123456 images/s, 1:05:09 left"
        );
        for columns in 0..200 {
            assert!(line(place, &tick, Some(3_909.0), columns).chars().count() <= columns);
        }
        let narrow = line("cycle 3/12 train, 98.5 % sparse", &tick, Some(65.0), 80 - BESIDE);
        assert_eq!(narrow, "cycle 3/12 train, 98.5 % sparse, loss 0.1235, 01:05 left");
        assert!(!line(place, &tick, None, usize::MAX).contains("left"));
    }

    #[test]
    fn images_that_are_scored_are_told_with_their_place_in_the_run_if_it_has_begun() {
        assert_eq!(scored("", "teacher", 128, 60_000), "teacher 128/60000");
        assert_eq!(scored("cycle 2/6 test, 50.0 % sparse", "test", 5, 10), "cycle 2/6 test, 50.0 % sparse, test 5/10");
    }

    #[test]
    fn a_layer_is_told_with_its_path_and_what_it_works_on() {
        let (name, path_taken) = ("conv2".to_owned(), "sparse".to_owned());
        let layer = LayerPath { name, path: path_taken, kept: 43, total: 864, units: 12, all_units: 16 };
        assert_eq!(path(&layer), "conv2 sparse (43 of 864 weights, 12 of 16 units)");
    }
}
