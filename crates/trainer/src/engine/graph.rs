//! Secateur's own kernels on the CPU, for graphs that are no chain of LeNet's kind: branches, batch normalisation, any window.

use super::Engine;
use super::own::{borrowed, counters, fields, images, layer_paths, time};
use crate::data::Split;
use crate::evaluate::Tally;
use crate::state::{Moment, State, Weights};
use crate::{Error, Experiment};
use secateur_graph::Parameter;
use secateur_pruner::MaskSet;
use secateur_report::event;
use secateur_sparse::train::{GraphTrainer, Kept, Options, Tensor};
use secateur_sparse::{Optimizer, Update};
use std::collections::BTreeMap;

/// A native trainer of a graph, and what the masks keep.
pub(crate) struct OfGraph {
    trainer: GraphTrainer,
    experiment: Experiment,
    /// By parameter, where a mask prunes anything.
    kept: BTreeMap<String, Kept>,
    options: Options,
    optimizer: Optimizer,
}

impl OfGraph {
    pub(super) fn new(
        experiment: &Experiment,
        update: Update,
        options: Options,
        state: State,
        masks: &MaskSet,
    ) -> Result<Self, Error> {
        let optimizer = update.optimizer;
        let kept = kept(experiment, masks)?;
        let tensors = tensors(experiment, &optimizer, &state, &kept)?;
        let trainer = GraphTrainer::new(experiment.graph(), |name| tensors[name], update, time(&state), options)?;
        Ok(Self { trainer, experiment: experiment.clone(), kept, options, optimizer })
    }

    /// Every parameter, and its moments when they are wanted.
    fn export(&self, with_moments: bool) -> (Vec<Weights>, Vec<Moment>) {
        let (mut parameters, mut moments) = (vec![], vec![]);
        for own in self.experiment.graph().parameters() {
            let kept = self.kept.get(&own.name);
            let fields = if with_moments && !own.role.is_buffer() { fields(&self.optimizer) } else { &[] };
            let length = kept.map_or(own.len(), Kept::kept);
            let mut values: Vec<Vec<f32>> = (0..=fields.len()).map(|_| vec![0.0; length]).collect();
            self.trainer.export(&own.name, borrowed(&mut values, kept));
            let mut values = values.into_iter();
            let first = values.next().unwrap_or_default();
            for (field, kept) in fields.iter().zip(values) {
                moments.push(Moment { parameter: own.name.clone(), field: (*field).to_owned(), kept });
            }
            parameters.push(Weights { name: own.name.clone(), shape: own.shape.clone(), kept: first });
        }
        (parameters, moments)
    }
}

impl Engine for OfGraph {
    fn step(&mut self, split: &Split, indices: &[u32], lr: f64, tally: &mut Tally) -> Result<f64, Error> {
        let (rows, labels) = (split.rows(indices), split.labels(indices));
        let logits = self.trainer.forward(images(&rows));
        let loss = tally.add(&logits, &labels);
        if loss.is_finite() {
            self.trainer.backward(&labels, lr);
        }
        Ok(loss)
    }

    fn recalibrate(&mut self, split: &Split, batches: &[&[u32]]) {
        for (number, indices) in batches.iter().enumerate() {
            self.trainer.recalibrate(images(&split.rows(indices)), number);
        }
    }

    fn logits(&mut self, split: &Split, indices: &[u32]) -> Vec<f32> {
        self.trainer.predict(images(&split.rows(indices)))
    }

    fn parameters(&self) -> Vec<Weights> {
        self.export(false).0
    }

    fn state(&self) -> Result<State, Error> {
        let time = self.trainer.time();
        let (parameters, mut moments) = self.export(time > 0);
        moments.sort_by(|a, b| (&a.parameter, &a.field).cmp(&(&b.parameter, &b.field)));
        let trained = self.experiment.graph().parameters().iter().filter(|own| !own.role.is_buffer());
        let counters = counters(time, trained.map(|own| (own.name.as_str(), own.shape.len())));
        Ok(State { parameters, moments, counters, shadows: false })
    }

    fn set(&mut self, state: State, masks: &MaskSet) -> Result<(), Error> {
        self.kept = kept(&self.experiment, masks)?;
        let tensors = tensors(&self.experiment, &self.optimizer, &state, &self.kept)?;
        self.trainer.set(|name| tensors[name], time(&state));
        Ok(())
    }

    fn focus(&mut self, active: Option<usize>) {
        assert!(active.is_none(), "an experiment that asks for it on this device is refused");
    }

    fn paths(&self) -> Option<(String, Vec<event::LayerPath>)> {
        Some((self.options.instruction_set.name().to_owned(), layer_paths(self.trainer.paths())))
    }
}

/// What the masks keep of each parameter of which they prune anything.
fn kept(experiment: &Experiment, masks: &MaskSet) -> Result<BTreeMap<String, Kept>, Error> {
    let mut found = BTreeMap::new();
    for own in experiment.graph().parameters() {
        let Some(mask) = masks.get(&own.name).filter(|mask| mask.kept() < mask.total()) else { continue };
        if mask.total() != own.len() {
            return Err(Error::Foreign { name: own.name.clone(), wanted: own.len() });
        }
        found.insert(own.name.clone(), Kept::new(own.len(), &mask.to_bytes()));
    }
    Ok(found)
}

/// A state as the trainer takes it over, by name.
fn tensors<'a>(
    experiment: &Experiment,
    optimizer: &Optimizer,
    state: &'a State,
    kept: &'a BTreeMap<String, Kept>,
) -> Result<BTreeMap<String, Tensor<'a>>, Error> {
    let fields = fields(optimizer);
    let stepped = time(state) > 0;
    let parameters = experiment.graph().parameters();
    let trained = |name: &str| parameters.iter().any(|own| own.name == name && !own.role.is_buffer());
    let known = |own: &Moment| fields.contains(&own.field.as_str()) && trained(&own.parameter);
    if let Some(own) = state.moments.iter().find(|own| !known(own)) {
        return Err(Error::ForeignMoment { name: format!("{}/{}", own.parameter, own.field) });
    }
    let tensor = |own: &Parameter| -> Result<Tensor<'a>, Error> {
        let name = &own.name;
        let kept = kept.get(name);
        let wanted = kept.map_or(own.len(), Kept::kept);
        let values = state.parameters.iter().find(|found| found.name == *name && found.kept.len() == wanted);
        let values = values.ok_or_else(|| Error::Foreign { name: name.clone(), wanted })?;
        let moment = |place: usize| -> Result<&'a [f32], Error> {
            // An optimizer that has not stepped remembers nothing, and of buffers it never does.
            let Some(field) = fields.get(place).filter(|_| stepped && !own.role.is_buffer()) else { return Ok(&[]) };
            let mut all = state.moments.iter();
            let found =
                all.find(|found| found.parameter == *name && found.field == *field && found.kept.len() == wanted);
            let missing = || Error::Foreign { name: format!("{name}/{field}"), wanted };
            found.map(|found| found.kept.as_slice()).ok_or_else(missing)
        };
        Ok(Tensor { values: &values.kept, moments: [moment(0)?, moment(1)?], kept })
    };
    parameters.iter().map(|own| Ok((own.name.clone(), tensor(own)?))).collect()
}
