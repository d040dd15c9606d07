//! An accuracy budget: prune further for as long as validation stays near the dense control, then halve the last step.
//!
//! Every network that held is kept as a checkpoint of its own until the run ends, so that the run can go back to it, and so
//! that the dense one can be tested beside the last one, when nothing is left to be chosen.

use crate::Error;
use crate::checkpoint::{Checkpoint, Snapshot};
use crate::config::PruneConfig;
use crate::plan::Stage;
use crate::session::Session;
use crate::{Experiment, export};
use secateur_pruner::Sparsity;
use secateur_report::event::{self, Event, Judged};
use serde::{Deserialize, Serialize};
use std::fs;

/// What a search knows so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    /// Share of right answers that validation has to bear.
    pub wanted: f64,
    /// The highest target that held; 0 for the dense network.
    pub held: f64,
    /// The cycle of the network that held.
    pub cycle: u64,
    /// The lowest target that did not hold.
    pub failed: Option<f64>,
    /// The checkpoints of the dense network and of the last one that held.
    pub checkpoints: [String; 2],
    /// The target of the try that is going on.
    pub target: f64,
}

/// Snapshots of networks that held which are kept: all of them, since the first and the last are needed.
const ALL: usize = usize::MAX;

impl Session<'_> {
    /// Scores validation, keeps the network if it holds, and goes back to the one before and on to refinements if not.
    pub(crate) fn judge(&mut self, cycle: u64) -> Result<(), Error> {
        let score = self.score("validation", &self.dataset.validation);
        let mut search = match self.cursor.search.take() {
            Some(search) => search,
            None => {
                let wanted = wanted(self.experiment, score.accuracy());
                if wanted <= self.experiment.data().chance() {
                    let (dense, asked) = (100.0 * score.accuracy(), 100.0 * wanted);
                    tracing::warn!(
                        "the accuracy budget asks for {asked:.2} %, which guessing reaches: the dense network has {dense:.2} % on \
                         validation"
                    );
                }
                Search { wanted, ..Search::default() }
            }
        };
        let holds = cycle == 0 || score.accuracy() >= search.wanted;
        if holds {
            let name = self.keep()?;
            let [dense, last] = &mut search.checkpoints;
            if cycle == 0 {
                dense.clone_from(&name);
            }
            *last = name;
            (search.held, search.cycle) = (search.target, cycle);
        } else {
            search.failed = Some(search.target);
        }
        let (target, wanted) = (search.target, search.wanted);
        self.cursor.search = Some(search);
        let judged = Judged { cycle, step: self.cursor.step, target, validation: score, wanted, holds };
        self.record(&Event::Judged(judged), Some(self.timing(None)))?;
        if !holds {
            self.take_up_last()?;
            // What the schedule would still ask for is out of reach.
            self.skip_to(|stage| matches!(stage, Stage::Refine | Stage::Settle));
        }
        Ok(())
    }

    /// The target of a refinement; `None` when every target held, and there is nothing to refine.
    pub(crate) fn refinement(&self) -> Option<Sparsity> {
        let search = self.cursor.search.as_ref()?;
        Sparsity::new((search.held + search.failed?) / 2.0).ok()
    }

    /// Passes over what is left of the search, up to its settling.
    pub(crate) fn skip_refinements(&mut self) {
        self.skip_to(|stage| *stage == Stage::Settle);
    }

    /// Makes the next stage of this kind the one to come.
    fn skip_to(&mut self, wanted: fn(&Stage) -> bool) {
        let stages = &self.experiment.plan().stages;
        let mut rest = (self.cursor.stage + 1)..stages.len();
        let to = rest.find(|place| wanted(&stages[*place].stage)).unwrap_or(stages.len());
        // The walk goes one on after every stage.
        self.cursor.stage = to - 1;
    }

    /// Tests the dense network and the last one that held, which the run ends with.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        let Some(search) = self.cursor.search.clone() else { return Ok(()) };
        let [dense, _] = &search.checkpoints;
        self.take_up(dense)?;
        self.test(0, event::Stage::Dense)?;
        if search.cycle > 0 {
            self.take_up_last()?;
            self.test(search.cycle, event::Stage::Retrained)?;
        }
        Ok(())
    }

    /// Forgets the networks that were kept; the run has ended.
    pub(crate) fn forget_kept(&self) -> Result<(), Error> {
        let kept = self.folder.kept();
        if kept.exists() {
            fs::remove_dir_all(&kept).map_err(Error::io(&kept, "remove"))?;
        }
        Ok(())
    }

    /// Saves the network beside the checkpoints; returns the name.
    fn keep(&mut self) -> Result<String, Error> {
        self.folder.still_here()?;
        let kept = self.folder.kept();
        if !kept.exists() {
            fs::create_dir(&kept).map_err(Error::io(&kept, "create"))?;
        }
        let state = self.engine.state()?;
        self.cursor.count(&state);
        let (cursor, masks) = (&self.cursor, &self.masks);
        let remembered = self.remembered.as_deref();
        Snapshot { cursor, state: &state, masks, remembered, best: None, average: None }.save(&kept, ALL)
    }

    fn take_up_last(&mut self) -> Result<(), Error> {
        let search = self.cursor.search.clone().unwrap_or_default();
        self.take_up(&search.checkpoints[1])
    }

    /// Goes back to a network that was kept; where in the plan the run is stays as it is.
    fn take_up(&mut self, name: &str) -> Result<(), Error> {
        let found = Checkpoint::load(&self.folder.kept().join(name), &export::shapes(self.experiment.graph()))?;
        let Checkpoint { state, masks, remembered, .. } = found;
        (self.masks, self.remembered) = (masks, remembered);
        self.set(state)
    }
}

/// The share of right answers that a network needs; `dense` is that of the run's own dense network.
fn wanted(experiment: &Experiment, dense: f64) -> f64 {
    let until = experiment.config().prune.as_ref().and_then(PruneConfig::budget);
    until.map_or(0.0, |until| until.control.map_or(dense, |control| control / 100.0) - until.within / 100.0)
}
