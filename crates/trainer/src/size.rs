//! What is left of a model, counted from the values that live.

use crate::Experiment;
use crate::state::Weights;
use secateur_pruner::MaskSet;
use secateur_report::event;
use secateur_sparse::{Network, Parameters, Survey};

/// What is left of the experiment's model with these parameters under these masks.
pub(crate) fn size(parameters: &[Weights], masks: &MaskSet, experiment: &Experiment) -> event::Size {
    let survey = survey(parameters, masks, experiment.network());
    let cost = survey.cost();
    event::Size {
        pruned: masks.pruned() as u64,
        prunable: experiment.prunable_elements() as u64,
        nonzero: cost.nonzero as u64,
        parameters: cost.parameters as u64,
        remaining_macs: cost.remaining_macs as u64,
        macs: cost.macs as u64,
        dead_units: survey.dead_units() as u64,
    }
}

fn survey(parameters: &[Weights], masks: &MaskSet, network: &Network) -> Survey {
    let mut survey = Survey::new(network);
    let find = |name: String| parameters.iter().find(|own| own.name == name);
    for (place, Parameters { name, shape, .. }) in network.parameters().enumerate() {
        if let Some(bias) = find(format!("{name}.bias")) {
            survey.biases(place, bias.kept.iter().filter(|value| **value != 0.0).count());
        }
        let Some(weight) = find(format!("{name}.weight")) else { continue };
        let (rows, columns) = (shape[0].max(1), shape[1..].iter().product::<usize>().max(1));
        // burn keeps linear weights `[in, out]`.
        let linear = shape.len() == 2;
        let mut tell = |index: usize, value: f32| match (value != 0.0, linear) {
            (false, _) => {}
            (true, true) => survey.weight(place, index % rows, index / rows),
            (true, false) => survey.weight(place, index / columns, index % columns),
        };
        match masks.get(&weight.name) {
            Some(mask) => mask.indices().zip(&weight.kept).for_each(|(index, value)| tell(index, *value)),
            None => weight.kept.iter().enumerate().for_each(|(index, value)| tell(index, *value)),
        }
    }
    survey
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export;
    use crate::models::ModelConfig;
    use secateur_pruner::{Mask, Parameter};

    #[test]
    fn what_lives_costs_what_the_whole_network_costs() {
        for model in [ModelConfig::Lenet { width: 1 }, ModelConfig::Lenet300 {}] {
            // Of the second layer on every third weight stays, and none of unit 0 of the third.
            let keeps = |layer: usize, row: usize, index: usize| {
                (layer == 0 || index.is_multiple_of(3)) && (layer != 2 || row != 0)
            };
            let mut place = 0;
            let network = model.initial(1).filled(|layer| {
                let columns = layer.weight.len() / layer.bias.len();
                for (index, value) in layer.weight.iter_mut().enumerate() {
                    if !keeps(place, index / columns, index) {
                        *value = 0.0;
                    }
                }
                place += 1;
                Ok::<(), secateur_sparse::Error>(())
            });
            let network = network.expect("only values changed");
            let whole = export::parameters(&network);
            let mask = |own: &Weights| Mask::from_fn(&own.shape, |index| own.kept[index] != 0.0);
            let masks = whole.iter().filter(|own| own.name.ends_with(".weight") && !own.name.starts_with("conv2"));
            let masks = MaskSet::new(masks.map(|own| (own.name.clone(), mask(own))).collect());
            let kept = whole
                .into_iter()
                .map(|Weights { name, shape, kept }| Weights::of(Parameter { name, shape, values: kept }, &masks));
            let survey = survey(&kept.collect::<Vec<_>>(), &masks, &network);
            assert_eq!((survey.cost(), survey.dead_units()), (network.cost(), network.dead_units()), "{model}");
            assert!(survey.dead_units() > 0, "{model}");
        }
    }
}
