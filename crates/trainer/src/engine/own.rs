//! Secateur's own kernels on the CPU.

use super::{Engine, State};
use crate::data::{GREY, Split};
use crate::evaluate::Tally;
use crate::{Error, Experiment};
use secateur_pruner::{MaskSet, OptimizerState, Parameter, StateTensor};
use secateur_report::event;
use secateur_sparse::train::{Images, LayerState, Options, Path, Tensor, TensorMut, Trainer};
use secateur_sparse::{InstructionSet, Optimizer, Parameters};

/// A native trainer, and what it takes to speak of its layers by name.
pub(crate) struct Own {
    trainer: Trainer,
    experiment: Experiment,
    options: Options,
    optimizer: Optimizer,
}

impl Own {
    pub(super) fn new(
        experiment: &Experiment,
        (threads, instruction_set): (usize, InstructionSet),
        state: &State,
        masks: &MaskSet,
    ) -> Result<Self, Error> {
        let optimizer = experiment.config().train.optimizer.native();
        let paths = experiment.config().train.paths.into();
        let options = Options { threads, instruction_set, paths, compact: true };
        let trainer = trainer(experiment, options, optimizer, state, masks)?;
        Ok(Self { trainer, experiment: experiment.clone(), options, optimizer })
    }

    /// Every parameter, and the moments of each as (field, values) when they are wanted.
    fn export(&self, with_moments: bool) -> (Vec<Parameter>, Vec<StateTensor>) {
        let (mut parameters, mut tensors) = (vec![], vec![]);
        let fields = if with_moments { fields(&self.optimizer) } else { &[] };
        for (place, Parameters { name, shape, weight, bias }) in self.experiment.network().parameters().enumerate() {
            let weight_shape = match shape[..] {
                [outputs, inputs] => vec![inputs, outputs],
                _ => shape,
            };
            let room = |length: usize| -> Vec<Vec<f32>> { (0..=fields.len()).map(|_| vec![0.0; length]).collect() };
            let (mut weights, mut biases) = (room(weight.len()), room(bias.len()));
            self.trainer.export(place, borrowed(&mut weights), borrowed(&mut biases));
            for (field, shape, values) in [("weight", weight_shape, weights), ("bias", vec![bias.len()], biases)] {
                let own = format!("{name}.{field}");
                let mut values = values.into_iter();
                let first = values.next().unwrap_or_default();
                for (field, values) in fields.iter().zip(values) {
                    let (parameter, field) = (own.clone(), (*field).to_owned());
                    tensors.push(StateTensor { parameter, field, shape: shape.clone(), values });
                }
                parameters.push(Parameter { name: own, shape, values: first });
            }
        }
        (parameters, tensors)
    }
}

impl Engine for Own {
    fn step(&mut self, split: &Split, indices: &[u32], lr: f64, tally: &mut Tally) -> f64 {
        let (rows, labels) = split.pick(indices);
        let logits = self.trainer.forward(Images { rows: &rows, table: &GREY });
        let loss = tally.add(&logits, &labels);
        if loss.is_finite() {
            self.trainer.backward(&labels, lr);
        }
        loss
    }

    fn logits(&mut self, split: &Split, indices: &[u32]) -> Vec<f32> {
        let (rows, _) = split.pick(indices);
        self.trainer.predict(Images { rows: &rows, table: &GREY })
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.export(false).0
    }

    fn state(&self) -> Result<State, Error> {
        let time = self.trainer.time();
        // An optimizer that has not stepped remembers nothing, in burn's eyes, too.
        let (parameters, mut tensors) = self.export(time > 0);
        tensors.sort_by(|a, b| (&a.parameter, &a.field).cmp(&(&b.parameter, &b.field)));
        let mut optimizer = OptimizerState { tensors, ..OptimizerState::default() };
        if time > 0 {
            for own in &parameters {
                optimizer.counters.insert((own.name.clone(), RANK.into()), own.shape.len() as u64);
                optimizer.counters.insert((own.name.clone(), TIME.into()), time);
            }
        }
        Ok(State { parameters, optimizer })
    }

    fn set(&mut self, state: &State, masks: &MaskSet) -> Result<(), Error> {
        self.trainer = trainer(&self.experiment, self.options, self.optimizer, state, masks)?;
        Ok(())
    }

    fn paths(&self) -> Option<(String, Vec<event::LayerPath>)> {
        let path = |own: secateur_sparse::train::LayerPath| event::LayerPath {
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
        let layers = self.trainer.paths().into_iter().map(path).collect();
        Some((self.options.instruction_set.name().to_owned(), layers))
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
fn borrowed(rooms: &mut [Vec<f32>]) -> TensorMut<'_> {
    let mut rooms = rooms.iter_mut().map(Vec::as_mut_slice);
    let mut next = || rooms.next().unwrap_or_default();
    TensorMut { values: next(), moments: [next(), next()], inputs_first: true }
}

fn trainer(
    experiment: &Experiment,
    options: Options,
    optimizer: Optimizer,
    state: &State,
    masks: &MaskSet,
) -> Result<Trainer, Error> {
    let fields = fields(&optimizer);
    let bits: Vec<(&str, Vec<u8>)> = masks.iter().map(|(name, mask)| (name, mask.to_bytes())).collect();
    let tensor = |name: String, length: usize| -> Result<Tensor<'_>, Error> {
        let own = state.parameters.iter().find(|own| own.name == name && own.values.len() == length);
        let own = own.ok_or_else(|| Error::Foreign { name: name.clone(), wanted: length })?;
        let moment = |place: usize| {
            let found = state.optimizer.tensors.iter().find(|own| {
                own.parameter == name && fields.get(place) == Some(&own.field.as_str()) && own.values.len() == length
            });
            found.map_or(&[][..], |own| own.values.as_slice())
        };
        let kept = bits.iter().find(|(own, _)| *own == name).map(|(_, bits)| bits.as_slice());
        Ok(Tensor { values: &own.values, moments: [moment(0), moment(1)], kept, inputs_first: true })
    };
    let mut states = vec![];
    for own in experiment.network().parameters() {
        let weight = tensor(format!("{}.weight", own.name), own.weight.len())?;
        let bias = tensor(format!("{}.bias", own.name), own.bias.len())?;
        states.push(LayerState { weight, bias });
    }
    let time = state.optimizer.counters.iter().filter(|((_, field), _)| field == TIME).map(|(_, time)| *time).max();
    // SGD has no clock of its own; that it has stepped is all that it needs to know.
    let time = time.unwrap_or(u64::from(!state.optimizer.tensors.is_empty()));
    Ok(Trainer::new(experiment.network(), &states, optimizer, time, options)?)
}
