//! What a run does to masks and weights between its trainings: prune, exchange, choose anew, rewind, draw anew.

use crate::scoring::{Scoring, full};
use crate::session::Session;
use crate::state::{State, carry};
use crate::{Error, data, seed};
use secateur_pruner::{Mask, MaskSet, Sparsity};
use secateur_report::event::{self, Event};

impl Session<'_> {
    /// Prunes to a target; where that is below the one `before`, masks grow instead.
    pub(crate) fn prune(&mut self, cycle: u64, before: Sparsity, target: Sparsity) -> Result<(), Error> {
        let state = self.engine.state()?;
        let scoring = self.scoring();
        let masks = if target < before {
            scoring.grow(&state, &self.masks, target)?
        } else {
            let within = if state.shadows { &full(&self.masks) } else { &self.masks };
            scoring.prune(&state, within, cycle, target)?
        };
        if let Some(search) = &mut self.cursor.search {
            search.target = target.get();
        }
        self.take(state, masks)?;
        self.recalibrate();
        let layers = self.masks.iter().map(|(name, mask)| event::LayerDensity {
            name: name.to_owned(),
            kept: mask.kept() as u64,
            total: mask.total() as u64,
        });
        let pruned = event::Pruned {
            cycle,
            step: self.cursor.step,
            target: target.get(),
            pruned: self.masks.pruned() as u64,
            prunable: self.masks.total() as u64,
            dead_units: self.size().dead_units,
            layers: layers.collect(),
        };
        self.record(&Event::Pruned(pruned), Some(self.timing(None)))?;
        self.record_paths(cycle)
    }

    /// Works the running statistics out anew by the batches that the current epoch begins with, if the config asks for it.
    fn recalibrate(&mut self) {
        let config = self.experiment.config();
        let batches = config.prune.as_ref().map_or(0, |prune| prune.recalibrate);
        if batches == 0 {
            return;
        }
        let (train, epoch) = (&self.dataset.train, self.cursor.step / self.experiment.plan().epoch_steps);
        let order = data::order(train.len(), config.seed, epoch);
        let batches: Vec<&[u32]> = order.chunks(config.train.batch_size).take(batches as usize).collect();
        self.engine.recalibrate(train, &batches);
    }

    /// Exchanges a share of each layer's living weights for others.
    pub(crate) fn exchange(&mut self, cycle: u64, share: f64) -> Result<(), Error> {
        let state = self.engine.state()?;
        let masks = self.scoring().exchange(&state, &self.masks, share)?;
        self.move_masks(cycle, state, masks)
    }

    /// Chooses the masks anew from weights and shadows.
    pub(crate) fn choose_anew(&mut self, cycle: u64, target: Sparsity) -> Result<(), Error> {
        let state = self.engine.state()?;
        let masks = self.scoring().prune(&state, &full(&self.masks), cycle, target)?;
        self.move_masks(cycle, state, masks)
    }

    fn move_masks(&mut self, cycle: u64, state: State, masks: MaskSet) -> Result<(), Error> {
        let fresh = |(name, mask): (&str, &Mask)| self.masks.get(name).map_or(0, |old| mask.fresh(old)) as u64;
        let regrown = masks.iter().map(fresh).sum();
        let (pruned, prunable) = (masks.pruned() as u64, masks.total() as u64);
        self.take(state, masks)?;
        let moved = event::MasksMoved { cycle, step: self.cursor.step, regrown, pruned, prunable };
        self.record(&Event::MasksMoved(moved), Some(self.timing(None)))
    }

    /// Goes over to new masks, with everything that belongs to the old ones.
    fn take(&mut self, mut state: State, masks: MaskSet) -> Result<(), Error> {
        state.carry(&self.masks, &masks);
        // Of what is remembered nothing else will be asked for again: where weights are rewound, masks never grow back.
        carry(self.remembered.as_deref_mut().unwrap_or_default(), &self.masks, &masks);
        self.masks = masks;
        self.set(state)
    }

    fn scoring(&self) -> Scoring<'_> {
        Scoring {
            experiment: self.experiment,
            images: &self.dataset.train,
            device: &self.device,
            given: self.scores.as_ref(),
            step: self.cursor.step,
        }
    }

    /// Sets the kept weights back to the remembered ones.
    pub(crate) fn rewind(&mut self) -> Result<(), Error> {
        let parameters = self.remembered.clone().ok_or_else(|| {
            let why = "no checkpoint holds the weights that this stage rewinds to; start the run over".into();
            Error::Run { path: self.folder.checkpoints(), why }
        })?;
        self.set(State::fresh(parameters, &self.masks, self.experiment.has_shadows()))
    }

    /// Draws the weights anew, from numbers that no cycle before has seen; the masks stay.
    pub(crate) fn reinitialise(&mut self, cycle: u64) -> Result<(), Error> {
        let number = seed::stream(self.experiment.config().seed, "reinitialise", cycle).next_u64();
        let mut parameters = self.experiment.initial(number);
        for own in &mut parameters {
            if let Some(mask) = self.masks.get(&own.name) {
                own.kept = mask.gather(&own.kept);
            }
        }
        self.set(State::fresh(parameters, &self.masks, self.experiment.has_shadows()))
    }
}
