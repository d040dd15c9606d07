//! The state of a network in training, outside of what computes it: plain tensors by name, in PyTorch's layout. Of a
//! parameter that has a mask only the kept values are held, so that a state shrinks as its network does.

use secateur_pruner::{Mask, MaskSet, OptimizerState, Parameter, StateTensor};
use std::collections::BTreeMap;

/// The values of a parameter that live.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weights {
    /// Path in the module, such as `fc1.weight`.
    pub name: String,
    /// Shape of the whole parameter: linear weights are `[out, in]`, convolutions `[out, in, height, width]`.
    pub shape: Vec<usize>,
    /// Values, row-major; where the parameter has a mask, those that it keeps. The others are `+0.0`.
    pub kept: Vec<f32>,
}

/// What an optimizer remembers of the values of a parameter that live.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moment {
    /// Path of the parameter.
    pub parameter: String,
    /// Field of the optimizer's state, such as `momentum.moment_1`.
    pub field: String,
    /// One number for each value that the parameter's [`Weights`] hold. The others are `+0.0`.
    pub kept: Vec<f32>,
}

/// Everything that a step changes. It belongs to the masks that held when it was taken, unless it has shadows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    /// Every parameter, in the model's order.
    pub parameters: Vec<Weights>,
    /// The tensors of the optimizer, ordered by parameter and field.
    pub moments: Vec<Moment>,
    /// The counters of the optimizer, by parameter and field.
    pub counters: BTreeMap<(String, String), u64>,
    /// Whether pruned weights have shadows, values that go on being trained: then parameters and moments are whole.
    pub shadows: bool,
}

impl Weights {
    /// What the mask keeps of a whole parameter.
    pub(crate) fn of(whole: Parameter, masks: &MaskSet) -> Self {
        let Parameter { name, shape, values } = whole;
        let kept = gather(values, masks.get(&name));
        Self { name, shape, kept }
    }

    /// The whole parameter, zeros included.
    pub(crate) fn whole(self, masks: &MaskSet) -> Parameter {
        let values = scatter(self.kept, masks.get(&self.name));
        Parameter { name: self.name, shape: self.shape, values }
    }
}

impl State {
    /// What the masks keep of a whole state.
    pub(crate) fn of(parameters: Vec<Parameter>, optimizer: OptimizerState, masks: &MaskSet) -> Self {
        Self::gathered(parameters, optimizer, masks, false)
    }

    /// The state of these parameters, of which the masks keep what they hold, before the optimizer has stepped. Where
    /// pruned weights have shadows, these are zero.
    pub(crate) fn fresh(parameters: Vec<Weights>, masks: &MaskSet, shadows: bool) -> Self {
        let whole = |own: Weights| Weights::of(own.whole(masks), &MaskSet::default());
        let parameters = if shadows { parameters.into_iter().map(whole).collect() } else { parameters };
        Self { parameters, shadows, ..Self::default() }
    }

    /// A whole state with the shadows of what is pruned.
    pub(crate) fn with_shadows(parameters: Vec<Parameter>, optimizer: OptimizerState) -> Self {
        Self::gathered(parameters, optimizer, &MaskSet::default(), true)
    }

    fn gathered(parameters: Vec<Parameter>, optimizer: OptimizerState, masks: &MaskSet, shadows: bool) -> Self {
        let moment = |StateTensor { parameter, field, values, .. }: StateTensor| {
            let kept = gather(values, masks.get(&parameter));
            Moment { parameter, field, kept }
        };
        Self {
            parameters: parameters.into_iter().map(|whole| Weights::of(whole, masks)).collect(),
            moments: optimizer.tensors.into_iter().map(moment).collect(),
            counters: optimizer.counters,
            shadows,
        }
    }

    /// The values that live of the parameter of this name.
    pub(crate) fn living(&self, name: &str) -> &[f32] {
        self.parameters.iter().find(|own| own.name == name).map_or(&[], |own| &own.kept)
    }

    /// The whole state, zeros or shadows included.
    pub(crate) fn whole(self, masks: &MaskSet) -> (Vec<Parameter>, OptimizerState) {
        let none = MaskSet::default();
        let masks = if self.shadows { &none } else { masks };
        let shapes: BTreeMap<String, Vec<usize>> =
            self.parameters.iter().map(|own| (own.name.clone(), own.shape.clone())).collect();
        let tensor = |Moment { parameter, field, kept }: Moment| {
            let values = scatter(kept, masks.get(&parameter));
            let shape = shapes.get(&parameter).cloned().unwrap_or_default();
            StateTensor { parameter, field, shape, values }
        };
        let tensors = self.moments.into_iter().map(tensor).collect();
        let parameters = self.parameters.into_iter().map(|own| own.whole(masks)).collect();
        (parameters, OptimizerState { tensors, counters: self.counters })
    }

    /// Goes over to new masks: what they prune is forgotten, what they bring back starts at zero. Shadows stay.
    pub(crate) fn carry(&mut self, old: &MaskSet, new: &MaskSet) {
        if self.shadows {
            return;
        }
        carry(&mut self.parameters, old, new);
        for own in &mut self.moments {
            carry_one(&own.parameter, &mut own.kept, old, new);
        }
    }
}

/// Goes over to new masks: what they prune is forgotten, what they bring back is zero.
pub(crate) fn carry(parameters: &mut [Weights], old: &MaskSet, new: &MaskSet) {
    for own in parameters {
        carry_one(&own.name, &mut own.kept, old, new);
    }
}

fn carry_one(parameter: &str, kept: &mut Vec<f32>, old: &MaskSet, new: &MaskSet) {
    if let (Some(old), Some(new)) = (old.get(parameter), new.get(parameter)) {
        *kept = new.carry(old, kept);
    }
}

fn gather(values: Vec<f32>, mask: Option<&Mask>) -> Vec<f32> {
    match mask {
        Some(mask) => mask.gather(&values),
        None => values,
    }
}

fn scatter(kept: Vec<f32>, mask: Option<&Mask>) -> Vec<f32> {
    match mask {
        Some(mask) => mask.scatter(&kept),
        None => kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(keeps: fn(usize) -> bool) -> MaskSet {
        MaskSet::new(vec![("fc.weight".into(), Mask::from_fn(&[2, 2], keeps))])
    }

    #[test]
    fn whole_kept_and_narrowed_states_are_the_same_where_they_live() {
        let whole = |weight: [f32; 4], moment: [f32; 4]| {
            let values = |name: &str, values: &[f32], shape: &[usize]| Parameter {
                name: name.into(),
                shape: shape.to_vec(),
                values: values.to_vec(),
            };
            let parameters = vec![values("fc.weight", &weight, &[2, 2]), values("fc.bias", &[0.5, 0.0], &[2])];
            let (parameter, field) = ("fc.weight".to_owned(), "velocity".to_owned());
            let moment = StateTensor { parameter, field, shape: vec![2, 2], values: moment.to_vec() };
            let counters = [(("fc.weight".to_owned(), "time".to_owned()), 3)].into();
            (parameters, OptimizerState { tensors: vec![moment], counters })
        };
        let (all, three, one) = (masks(|_| true), masks(|index| index != 0), masks(|index| index == 2));
        let (parameters, optimizer) = whole([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]);
        let mut state = State::of(parameters.clone(), optimizer.clone(), &all);
        assert_eq!(state.clone().whole(&all), (parameters, optimizer));
        state.carry(&all, &three);
        assert_eq!(state.parameters[0].kept, [2.0, 3.0, 4.0]);
        assert_eq!(state.parameters[1].kept, [0.5, 0.0], "what has no mask stays whole");
        assert_eq!(state.clone().whole(&three), whole([0.0, 2.0, 3.0, 4.0], [0.0, 6.0, 7.0, 8.0]));
        state.carry(&three, &one);
        assert_eq!(state.clone().whole(&one), whole([0.0, 0.0, 3.0, 0.0], [0.0, 0.0, 7.0, 0.0]));
        state.carry(&one, &three);
        assert_eq!(state.parameters[0].kept, [0.0, 3.0, 0.0], "what comes back starts at zero");
        assert_eq!(state.moments[0].kept, [0.0, 7.0, 0.0]);
    }
}
