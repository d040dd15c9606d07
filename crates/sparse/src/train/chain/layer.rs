//! A layer in training: which form it has, and where its weights stand in the original network.

use super::conv::Conv;
use super::linear::Linear;
use super::origin::Origin;
use super::places::Places;
use super::sparse_conv::SparseConv;
use super::sparse_linear::SparseLinear;
use super::spec::{Kind, Spec};
use super::units::Units;
use super::{Backward, Context, LayerPath, LayerState, Options, Sizes, Tensor, TensorMut};
use crate::Update;
use crate::kernels::conv::Codes;
use crate::kernels::sparse_linear::Pattern;
use crate::lanes::{Lanes, panels};
use crate::train::Path;
use crate::train::param::{Param, Params};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Layer {
    /// What is computed of the original.
    spec: Spec,
    origin: Origin,
    places: Places,
    form: Form,
    codes: Vec<Codes>,
}

#[derive(Debug)]
enum Form {
    Conv(Conv),
    SparseConv(SparseConv),
    Linear(Linear),
    SparseLinear(SparseLinear),
}

impl Layer {
    /// The layer with some of its units, in this state of all of it.
    pub(super) fn new(original: Spec, units: Units, state: &LayerState<'_>, update: &Update, options: Options) -> Self {
        let inputs = units.columns.len() / original.taps();
        let spec = original.narrowed(inputs, units.rows.len());
        let origin = Origin::new(original, units, state, &update.optimizer);
        let index = |row: usize, column: usize| origin.index(row, column);
        let keeps = |row: usize, column: usize| state.weight.keeps(index(row, column));
        let crossover = match spec.kind {
            Kind::Conv(_) => options.crossovers.conv,
            Kind::Linear => options.crossovers.linear,
        };
        let path = if density(&spec, keeps) < crossover { Path::Sparse } else { Path::Dense };
        let sizes = Sizes { inputs: spec.inputs, outputs: spec.outputs };
        let places = match (spec.kind, path) {
            (Kind::Conv(shape), Path::Dense) => Places::Conv(shape),
            (Kind::Linear, Path::Dense) => Places::Linear(sizes),
            (_, Path::Sparse) => Places::Pattern(Arc::new(Pattern::new(spec.outputs, spec.columns(), keeps))),
        };
        let mut weight = Param::zeros(places.vectors(), update.held(true));
        places.each(|place, row, column| read(&state.weight, index(row, column), &mut weight, place));
        let mut bias = Param::zeros(panels(spec.outputs), update.held(false));
        for unit in 0..spec.outputs {
            read(&state.bias, origin.bias_index(unit), &mut bias, unit);
        }
        let params = Params { weight, bias };
        let form = match (spec.kind, &places) {
            (Kind::Conv(shape), Places::Pattern(pattern)) => {
                Form::SparseConv(SparseConv::new(shape, spec.rectified, Arc::clone(pattern), params))
            }
            (Kind::Linear, Places::Pattern(pattern)) => {
                Form::SparseLinear(SparseLinear::new(sizes, spec.rectified, Arc::clone(pattern), params))
            }
            (Kind::Conv(shape), _) => Form::Conv(Conv::new(shape, spec.rectified, params)),
            (Kind::Linear, _) => Form::Linear(Linear::new(sizes, spec.rectified, params)),
        };
        Self { spec, origin, places, form, codes: vec![] }
    }

    /// Numbers that it reads for each image.
    pub(super) fn inputs(&self) -> usize {
        match self.spec.kind {
            Kind::Conv(shape) => shape.image(),
            Kind::Linear => self.spec.inputs,
        }
    }

    /// Numbers that it gives for each image.
    pub(super) fn outputs(&self) -> usize {
        self.spec.outputs * self.spec.positions()
    }

    /// Whether the gradient of its outputs has to be stopped where they are zero; a convolution does that itself.
    pub(super) fn leaves_rectifying_to_the_next(&self) -> bool {
        self.spec.rectified && self.spec.kind == Kind::Linear
    }

    pub(super) fn forward(&mut self, at: &Context<'_>, x: &[Lanes], y: &mut [Lanes], training: bool) {
        if matches!(self.spec.kind, Kind::Conv(_)) {
            self.codes.resize(if training { y.len() } else { 0 }, [0; 4]);
        }
        match &mut self.form {
            Form::Conv(conv) => conv.forward(at, x, y, &mut self.codes),
            Form::SparseConv(conv) => conv.forward(at, x, y, &mut self.codes),
            Form::Linear(linear) => linear.forward(at, x, y),
            Form::SparseLinear(linear) => linear.forward(at, x, y),
        }
    }

    pub(super) fn backward(&mut self, at: &Context<'_>, step: Backward<'_>) {
        match &mut self.form {
            Form::Conv(conv) => conv.backward(at, step, &self.codes),
            Form::SparseConv(conv) => conv.backward(at, step, &self.codes),
            Form::Linear(linear) => linear.backward(at, step),
            Form::SparseLinear(linear) => linear.backward(at, step),
        }
    }

    /// Writes its weight, or its bias.
    pub(super) fn export(&self, is_weight: bool, mut tensor: TensorMut<'_>) {
        let Params { weight, bias } = match &self.form {
            Form::Conv(conv) => &conv.params,
            Form::SparseConv(conv) => &conv.params,
            Form::Linear(linear) => &linear.params,
            Form::SparseLinear(linear) => &linear.params,
        };
        if is_weight {
            self.places.each(|place, row, column| {
                let (value, moments) = weight.get(place);
                tensor.write(self.origin.index(row, column), value, moments);
            });
        } else {
            for unit in 0..self.spec.outputs {
                let (value, moments) = bias.get(unit);
                tensor.write(self.origin.bias_index(unit), value, moments);
            }
        }
        self.origin.export(is_weight, &mut tensor);
    }

    /// Its parameters.
    pub(super) fn params(&mut self) -> [&mut Param; 2] {
        let Params { weight, bias } = match &mut self.form {
            Form::Conv(conv) => &mut conv.params,
            Form::SparseConv(conv) => &mut conv.params,
            Form::Linear(linear) => &mut linear.params,
            Form::SparseLinear(linear) => &mut linear.params,
        };
        [weight, bias]
    }

    pub(super) fn path(&self) -> LayerPath {
        let original = &self.origin.spec;
        let (path, kept) = match &self.places {
            Places::Pattern(pattern) => (Path::Sparse, pattern.len()),
            Places::Conv(_) | Places::Linear(_) => (Path::Dense, self.spec.weights()),
        };
        let (total, units, all_units) = (original.weights(), self.spec.outputs, original.outputs);
        LayerPath { name: original.name.clone(), path, kept, total, units, all_units }
    }
}

/// The share of a layer's weights that is kept.
fn density(spec: &Spec, keeps: impl Fn(usize, usize) -> bool) -> f64 {
    let kept = (0..spec.outputs).map(|row| (0..spec.columns()).filter(|column| keeps(row, *column)).count());
    kept.sum::<usize>() as f64 / spec.weights().max(1) as f64
}

/// Takes the value at `index` of a tensor over.
fn read(tensor: &Tensor<'_>, index: usize, param: &mut Param, place: usize) {
    match tensor.at(index) {
        Some((value, moments)) => param.set(place, value, moments),
        None => param.prune(place),
    }
}
