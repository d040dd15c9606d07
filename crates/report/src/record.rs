//! What a log says, in memory, and the curve that it draws. Pure: no files, no formatting.

use std::collections::BTreeMap;

use crate::event::{
    EpochEnded, Event, Inference, Judged, LayersCompiled, MasksMoved, Measured, Pruned, RunEnded, RunStarted, Score,
    SessionStarted, Size, Stage, StoppedEarly, Tested, Timing,
};

/// A run as its log tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// What is run.
    pub started: RunStarted,
    /// The processes that worked on it, and where; empty where the log does not say.
    pub sessions: Vec<SessionStarted>,
    /// The epochs trained so far.
    pub epochs: Vec<EpochEnded>,
    /// The training stages that stopped early.
    pub stops: Vec<StoppedEarly>,
    /// The prunes so far.
    pub prunes: Vec<Pruned>,
    /// The changes of the masks between prunes so far.
    pub moves: Vec<MasksMoved>,
    /// What validation said to the cycles of an accuracy budget so far.
    pub judged: Vec<Judged>,
    /// How the layers are computed as of the last line; `None` where the log does not say.
    pub compiled: Option<LayersCompiled>,
    /// The tests so far.
    pub tests: Vec<Test>,
    /// The end; `None` while the run is unfinished.
    pub ended: Option<RunEnded>,
    /// Whether the log's own checksum was compared; `false` while the run is unfinished, and for logs of earlier builds.
    pub checked: bool,
    /// Time spent so far, in milliseconds; 0 when no line has a clock reading.
    pub elapsed_ms: u64,
}

/// A test, with what the log says beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// The facts.
    pub tested: Tested,
    /// Peak resident memory of the process since the test before, in bytes; `None` where the log does not say.
    pub peak_memory_bytes: Option<u64>,
    /// How the layers were computed; `None` where the log does not say.
    pub compiled: Option<LayersCompiled>,
    /// What the tested network costs to store and to run; `None` where the log does not say.
    pub measured: Option<Measurement>,
}

/// What a cycle's network costs to store and to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The facts.
    pub measured: Measured,
    /// The readings; `None` where the engine was not timed.
    pub inference: Option<Inference>,
}

/// One cycle of the curve. Holds at least one test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point<'a> {
    /// The cycle; 0 is the dense model.
    pub cycle: u64,
    /// The prune that opened the cycle; `None` for cycle 0.
    pub pruned: Option<&'a Pruned>,
    /// The test right after the prune.
    pub just_pruned: Option<&'a Tested>,
    /// The test after training: the dense one in cycle 0, the retrained one later. `None` when the cycle has not been
    /// retrained, since the run is still going or its plan ends with a prune.
    pub trained: Option<&'a Tested>,
    /// The highest reading of the resident memory, in bytes, from the last test of the cycle before to the last one of
    /// this; `None` where the log has no reading.
    pub peak_memory_bytes: Option<u64>,
    /// How the layers were computed at the cycle's last test; `None` where the log does not say.
    pub compiled: Option<&'a LayersCompiled>,
    /// What the cycle's network costs to store and to run; `None` where the log does not say.
    pub measured: Option<&'a Measurement>,
    /// Classes that an answer chooses from.
    pub classes: u64,
}

/// What a run is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// A result: prunes by a criterion.
    Pruned,
    /// Prunes nothing: the dense control of what is trained as it is.
    Dense,
    /// The random control: prunes as much, at random.
    Random,
}

/// Whether a run has finished, as its folder says: the log alone does not know whether the final model is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It came to its end, and its final model is the one that its log names.
    Finished,
    /// It came to its end, and its final model is gone.
    NoModel,
    /// It is still going, or was interrupted.
    Unfinished,
}

/// A run in one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The experiment's name.
    pub name: String,
    /// Steps trained so far.
    pub step: u64,
    /// Steps planned; early stops make a finished run end below it.
    pub planned_steps: u64,
    /// Size at the last test; `None` before the first.
    pub size: Option<Size>,
    /// Score of the last test, just pruned or trained.
    pub last: Option<Score>,
    /// The highest trained score on the curve with its size, the sparsest where several share it. A description of
    /// the curve: nothing was chosen by it.
    pub best: Option<(Score, Size)>,
    /// Time spent so far, in milliseconds.
    pub elapsed_ms: u64,
}

impl RunRecord {
    /// A run that has just started.
    pub fn new(started: RunStarted) -> Self {
        Self {
            started,
            sessions: Vec::new(),
            epochs: Vec::new(),
            stops: Vec::new(),
            prunes: Vec::new(),
            moves: Vec::new(),
            judged: Vec::new(),
            compiled: None,
            tests: Vec::new(),
            ended: None,
            checked: false,
            elapsed_ms: 0,
        }
    }

    /// Takes in what the log's next line says.
    pub fn add(&mut self, event: Event, timing: Option<Timing>) {
        match event {
            Event::RunStarted(started) => self.started = started,
            Event::SessionStarted(session) => self.sessions.push(session),
            Event::EpochEnded(epoch) => self.epochs.push(epoch),
            Event::StoppedEarly(stop) => self.stops.push(stop),
            Event::Pruned(pruned) => self.prunes.push(pruned),
            Event::MasksMoved(moved) => self.moves.push(moved),
            Event::Judged(judged) => self.judged.push(judged),
            Event::LayersCompiled(compiled) => self.compiled = Some(compiled),
            Event::Tested(tested) => {
                let peak_memory_bytes = timing.as_ref().and_then(|timing| timing.peak_memory_bytes);
                let compiled = self.compiled.clone();
                self.tests.push(Test { tested, peak_memory_bytes, compiled, measured: None });
            }
            Event::Measured(measured) => {
                let inference = timing.as_ref().and_then(|timing| timing.inference.clone());
                // It belongs to the test before it; the reader refuses a log in which that is of another cycle.
                if let Some(test) = self.tests.last_mut().filter(|test| test.tested.cycle == measured.cycle) {
                    test.measured = Some(Measurement { measured, inference });
                }
            }
            Event::RunEnded(ended) => self.ended = Some(ended),
        }
        if let Some(timing) = timing {
            self.elapsed_ms = timing.elapsed_ms;
        }
    }

    /// The curve: the dense test, then each later cycle that has a test, in the order of the cycles. Where a cycle was
    /// tested twice at the same stage, the later test counts.
    pub fn points(&self) -> Vec<Point<'_>> {
        let mut points = BTreeMap::new();
        for Test { tested, peak_memory_bytes, compiled, measured } in &self.tests {
            let cycle = tested.cycle;
            let point = points.entry(cycle).or_insert_with(|| Point {
                cycle,
                pruned: self.prunes.iter().rfind(|pruned| pruned.cycle == cycle),
                just_pruned: None,
                trained: None,
                peak_memory_bytes: None,
                compiled: None,
                measured: None,
                classes: self.started.classes,
            });
            match tested.stage {
                Stage::Dense | Stage::Retrained => point.trained = Some(tested),
                Stage::JustPruned => point.just_pruned = Some(tested),
            }
            point.peak_memory_bytes = point.peak_memory_bytes.max(*peak_memory_bytes);
            point.compiled = compiled.as_ref();
            point.measured = measured.as_ref().or(point.measured);
        }
        points.into_values().collect()
    }

    /// The dense test, before any prune.
    pub fn dense(&self) -> Option<&Tested> {
        self.tests.iter().map(|test| &test.tested).rfind(|tested| tested.stage == Stage::Dense)
    }

    /// What the run is compared as.
    pub fn control(&self) -> Control {
        match &self.started.method {
            None => Control::Dense,
            // Masks that move choose by more than chance, whatever they started from. A log of version 1 does not say whether
            // they will: it shows that they did not once it has ended.
            Some(method) if method.criterion == "random" && method.regrow.is_none() && self.moves.is_empty() => {
                let says = self.started.is_known() || self.ended.is_some();
                if says { Control::Random } else { Control::Pruned }
            }
            Some(_) => Control::Pruned,
        }
    }

    /// Steps trained so far, as the last event says.
    pub fn step(&self) -> u64 {
        let last = [
            self.epochs.last().map(|e| e.step),
            self.prunes.last().map(|e| e.step),
            self.moves.last().map(|e| e.step),
            self.judged.last().map(|e| e.step),
            self.compiled.as_ref().map(|e| e.step),
            self.tests.last().map(|e| e.tested.step),
            self.ended.as_ref().map(|e| e.step),
        ];
        last.into_iter().flatten().max().unwrap_or(0)
    }

    /// The run in one line.
    pub fn summary(&self) -> Summary {
        let points = self.points();
        let trained = points.iter().filter_map(|point| point.trained);
        let best = trained.max_by(|a, b| a.score.accuracy().total_cmp(&b.score.accuracy()));
        let last = self.tests.last().map(|test| &test.tested);
        Summary {
            name: self.started.name.clone(),
            step: self.step(),
            planned_steps: self.started.planned_steps,
            size: last.map(|test| test.size),
            last: last.map(|test| test.score),
            best: best.map(|test| (test.score, test.size)),
            elapsed_ms: self.elapsed_ms,
        }
    }
}

impl Point<'_> {
    /// What is left of the model in this cycle.
    pub fn size(&self) -> Option<Size> {
        self.trained.or(self.just_pruned).map(|test| test.size)
    }

    /// Whether the cycle was pruned and has no retrained test.
    pub fn is_open(&self) -> bool {
        self.trained.is_none()
    }

    /// Whether the model has collapsed: after training, right at most twice as often as a guess. Before the
    /// retrained test is there, the just-pruned one says nothing about it.
    pub fn is_collapsed(&self) -> bool {
        self.trained.is_some_and(|test| test.score.is_collapsed(self.classes))
    }
}

impl Score {
    /// Whether at most twice as many images are right as a guess among so many classes would get. Among two or fewer nothing
    /// is: a guess gets half of them, and twice that is all.
    pub fn is_collapsed(&self, classes: u64) -> bool {
        classes > 2 && self.correct.saturating_mul(classes) <= self.total.saturating_mul(2)
    }
}

impl Event {
    /// The event's name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RunStarted(_) => "run_started",
            Self::SessionStarted(_) => "session_started",
            Self::EpochEnded(_) => "epoch_ended",
            Self::StoppedEarly(_) => "stopped_early",
            Self::Pruned(_) => "pruned",
            Self::MasksMoved(_) => "masks_moved",
            Self::Judged(_) => "judged",
            Self::LayersCompiled(_) => "layers_compiled",
            Self::Tested(_) => "tested",
            Self::Measured(_) => "measured",
            Self::RunEnded(_) => "run_ended",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_curve_pairs_both_tests_of_a_cycle() {
        let record = fixture::record(&fixture::l1_events(1));
        let points = record.points();
        let cycles: Vec<_> = points.iter().map(|point| point.cycle).collect();
        assert_eq!(cycles, (0..=7).collect::<Vec<_>>());
        assert_eq!(points[0].trained.map(|t| t.score.correct), Some(9890));
        assert_eq!((points[0].pruned, points[0].just_pruned), (None, None));
        let last = points[7];
        assert_eq!(last.pruned.map(|p| p.target), Some(0.995));
        assert_eq!(last.just_pruned.map(|t| t.score.correct), Some(1028));
        assert_eq!(last.trained.map(|t| t.score.correct), Some(1135));
        assert!(last.is_collapsed() && !points[6].is_collapsed() && !last.is_open());
    }

    #[test]
    fn collapse_is_a_matter_of_how_many_classes_there_are() {
        let score = |correct| Score { correct, total: 1_000, loss: 1.0 };
        for (correct, classes, collapsed) in [
            (19, 100, true),
            (20, 100, true),
            (21, 100, false),
            (200, 10, true),
            (201, 10, false),
            (500, 2, false),
            (0, 2, false),
            (666, 3, true),
            (667, 3, false),
        ] {
            assert_eq!(score(correct).is_collapsed(classes), collapsed, "{correct} of 1,000, {classes} classes");
        }
        let mut record = fixture::record(&fixture::l1_events(1));
        record.started.classes = 100;
        assert!(record.points().iter().all(|point| !point.is_collapsed()), "11.35 % of 100 classes");
        record.tests.last_mut().expect("a test").tested.score.correct = 190;
        assert!(record.points()[7].is_collapsed());
        record.tests.last_mut().expect("a test").tested.score.correct = 210;
        assert!(!record.points()[7].is_collapsed());
    }

    #[test]
    fn a_cycle_without_retraining_is_shown_and_open() {
        let mut record = fixture::record(&fixture::l1_events(1));
        record.ended = None;
        record.tests.pop();
        let points = record.points();
        assert!(points[7].is_open() && !points[7].is_collapsed());
        assert_eq!(points[7].size().map(|size| size.sparsity() > 0.99), Some(true));
    }

    #[test]
    fn a_cycle_takes_the_higher_peak_and_the_newer_paths() {
        let mut record = fixture::record(&fixture::l1_events(1));
        assert!(record.points().iter().all(|point| point.peak_memory_bytes.is_none()), "no reading, no peak");
        // The dense test, then both tests of cycles 1 and 2.
        for (test, peak) in record.tests.iter_mut().zip([Some(70), Some(90), Some(80), None, Some(60)]) {
            test.peak_memory_bytes = peak;
        }
        let points = record.points();
        let peaks: Vec<_> = points.iter().map(|point| point.peak_memory_bytes).take(4).collect();
        assert_eq!(peaks, [Some(70), Some(90), Some(60), None]);
        let cycles: Vec<_> = points.iter().map(|point| point.compiled.map(|compiled| compiled.cycle)).collect();
        assert_eq!(cycles, (0..=7).map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn controls_are_told_by_their_method() {
        let control = |events: &[Event]| fixture::record(events).control();
        assert_eq!(control(&fixture::l1_events(1)), Control::Pruned);
        assert_eq!(control(&fixture::random_events(1)), Control::Random);
        assert_eq!(control(&fixture::dense_events(1)), Control::Dense);
    }

    #[test]
    fn the_summary_has_the_last_and_the_best() {
        let summary = fixture::record(&fixture::l1_events(1)).summary();
        assert_eq!(summary.last.map(|score| score.correct), Some(1135));
        assert_eq!(summary.best.map(|(score, size)| (score.correct, size.pruned)), Some((9899, 29_472)));
        let empty = RunRecord::new(fixture::record(&fixture::dense_events(1)).started).summary();
        assert_eq!((empty.last, empty.best, empty.step), (None, None, 0));
    }
}
