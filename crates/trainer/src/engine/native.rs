//! Secateur's own kernels on the CPU.

use super::Engine;
use crate::data::{Rows, Split};
use crate::evaluate::Tally;
use crate::state::{Moment, State, Weights};
use crate::{Error, Experiment};
use secateur_graph::Parameter;
use secateur_pruner::MaskSet;
use secateur_report::event;
use secateur_sparse::train::{Images, Kept, LayerPath, Options, Path, Tensor, TensorMut, Trainer};
use secateur_sparse::{Optimizer, Update};
use std::collections::BTreeMap;

/// A native trainer, and what the masks keep.
pub(super) struct Native {
    trainer: Trainer,
    experiment: Experiment,
    /// By parameter, where a mask prunes anything.
    kept: BTreeMap<String, Kept>,
    options: Options,
    optimizer: Optimizer,
}

impl Native {
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
        let trainer = Trainer::new(experiment.graph(), |name| tensors[name], update, time(&state), options)?;
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

impl Engine for Native {
    fn step(
        &mut self,
        split: &Split,
        indices: &[u32],
        teacher: &[f32],
        lr: f64,
        tally: &mut Tally,
    ) -> Result<f64, Error> {
        let (rows, labels) = (split.rows(indices), split.labels(indices));
        let logits = self.trainer.forward(images(&rows));
        let loss = tally.add(&logits, &labels);
        if loss.is_finite() {
            self.trainer.backward(&labels, teacher, lr);
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
        // An optimizer that has not stepped remembers nothing, in burn's eyes, too.
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

/// How layers compute, as the log tells it.
fn layer_paths(paths: Vec<LayerPath>) -> Vec<event::LayerPath> {
    let path = |own: LayerPath| event::LayerPath {
        name: own.name,
        path: match own.path {
            Path::Dense => "dense".into(),
            Path::Sparse => "sparse".into(),
        },
        kept: own.kept as u64,
        total: own.total as u64,
        units: own.units as u64,
        all_units: own.all_units as u64,
    };
    paths.into_iter().map(path).collect()
}

/// The optimizer's counters after so many updates, for parameters with so many axes; none before the first.
fn counters<'a>(time: u64, parameters: impl Iterator<Item = (&'a str, usize)>) -> BTreeMap<(String, String), u64> {
    let both = |(name, axes): (&str, usize)| {
        [((name.to_owned(), RANK.to_owned()), axes as u64), ((name.to_owned(), TIME.to_owned()), time)]
    };
    parameters.filter(|_| time > 0).flat_map(both).collect()
}

fn images<'a>(rows: &'a Rows<'a>) -> Images<'a> {
    match rows {
        Rows::Bytes(rows, tables) => Images::Bytes { rows, tables },
        Rows::Floats(rows) => Images::Floats { rows },
    }
}

/// burn's names of what its optimizers remember, so that a checkpoint can be taken up by either engine.
const RANK: &str = "__rank";
const TIME: &str = "momentum.time";

fn fields(optimizer: &Optimizer) -> &'static [&'static str] {
    match optimizer {
        Optimizer::Adam { .. } => &["momentum.moment_1", "momentum.moment_2"],
        Optimizer::Sgd { momentum, .. } if *momentum > 0.0 => &["momentum.velocity"],
        Optimizer::Sgd { .. } => &[],
    }
}

/// Values first, then as many moments as there are.
fn borrowed<'a>(rooms: &'a mut [Vec<f32>], kept: Option<&'a Kept>) -> TensorMut<'a> {
    let mut rooms = rooms.iter_mut().map(Vec::as_mut_slice);
    let mut next = || rooms.next().unwrap_or_default();
    TensorMut { values: next(), moments: [next(), next()], kept }
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

/// Updates that the optimizer has made.
fn time(state: &State) -> u64 {
    let time = state.counters.iter().filter(|((_, field), _)| field == TIME).map(|(_, time)| *time).max();
    // SGD has no clock of its own; that it has stepped is all that it needs to know.
    time.unwrap_or(u64::from(!state.moments.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExperimentConfig;

    #[test]
    fn moments_that_do_not_fit_are_an_error_and_not_zeros() {
        let text = "name = \"x\"\nmodel = { kind = \"lenet\", width = 1 }\ntrain = { length = { steps = 1 } }";
        let config = ExperimentConfig::parse("x", text, &[]).expect("valid");
        let (experiment, optimizer) =
            (Experiment::on_data(config.clone(), crate::data::MNIST).expect("meant"), config.train.optimizer.native());
        let kept = kept(&experiment, &MaskSet::default()).expect("no masks");
        let parameters = experiment.initial(1);
        let moment = |own: &Weights, field: &str| Moment {
            parameter: own.name.clone(),
            field: field.to_owned(),
            kept: vec![0.5; own.kept.len()],
        };
        let moments = parameters.iter().flat_map(|own| fields(&optimizer).iter().map(move |field| moment(own, field)));
        let whole = State { moments: moments.collect(), parameters, ..State::default() };
        let check = |state: &State| tensors(&experiment, &optimizer, state, &kept).map(drop);
        check(&whole).expect("every moment");
        check(&State { moments: vec![], ..whole.clone() }).expect("an optimizer that has not stepped");
        let counters = BTreeMap::from([(("conv1.weight".to_owned(), TIME.to_owned()), 3)]);
        let error = check(&State { moments: vec![], counters, ..whole.clone() }).expect_err("it has").to_string();
        assert!(error.contains("`conv1.weight/momentum.moment_1` of 54 values"), "{error}");
        let mut one_less = whole.clone();
        one_less.moments.remove(3);
        let error = check(&one_less).expect_err("one is missing").to_string();
        assert!(error.contains("conv1.bias/momentum.moment_2"), "{error}");
        let mut short = whole.clone();
        short.moments[0].kept.pop();
        let error = check(&short).expect_err("too short").to_string();
        assert!(error.contains("`conv1.weight/momentum.moment_1` of 54 values"), "{error}");
        let mut unknown = whole.clone();
        unknown.moments.push(Moment { parameter: "conv9.weight".into(), ..whole.moments[0].clone() });
        let error = check(&unknown).expect_err("of no parameter").to_string();
        assert!(error.contains("`conv9.weight/momentum.moment_1`, which"), "{error}");
        let mut foreign = whole;
        foreign.moments[0].field = "momentum.velocity".into();
        let error = check(&foreign).expect_err("of SGD").to_string();
        assert!(error.contains("`conv1.weight/momentum.velocity`, which the optimizer"), "{error}");
    }
}
