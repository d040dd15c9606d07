//! What is left of a model, counted from the values that live.

use crate::Experiment;
use crate::state::Weights;
use secateur_graph::{Graph, Survey};
use secateur_pruner::MaskSet;
use secateur_report::event;

/// What is left of the experiment's model with these parameters under these masks.
pub(crate) fn size(parameters: &[Weights], masks: &MaskSet, experiment: &Experiment) -> event::Size {
    let survey = survey(parameters, masks, experiment.graph());
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

fn survey<'a>(parameters: &[Weights], masks: &MaskSet, graph: &'a Graph) -> Survey<'a> {
    let mut survey = Survey::new(graph);
    for (place, own) in graph.parameters().iter().enumerate() {
        let Some(found) = parameters.iter().find(|found| found.name == own.name) else { continue };
        let mut tell = |index: usize, value: f32| {
            if value != 0.0 {
                survey.tell(place, index);
            }
        };
        match masks.get(&own.name) {
            Some(mask) => mask.indices().zip(&found.kept).for_each(|(index, value)| tell(index, *value)),
            None => found.kept.iter().enumerate().for_each(|(index, value)| tell(index, *value)),
        }
    }
    survey
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export;
    use crate::models::{ModelConfig, testing};
    use secateur_pruner::{Mask, Parameter};

    #[test]
    fn what_lives_costs_what_the_whole_network_costs() {
        for model in [ModelConfig::Lenet { width: 1 }, ModelConfig::Lenet300 {}] {
            let (graph, mut weights) = testing::model(&model, 1);
            // Behind the first layer every third weight stays, and none of unit 0 of the third.
            let layers = graph.parameters().iter().filter(|own| own.shape.len() > 1).enumerate();
            for (layer, own) in layers {
                let columns = own.len() / own.shape[0];
                for (index, value) in weights.get_mut(&own.name).expect("there").iter_mut().enumerate() {
                    let keeps = (layer == 0 || index.is_multiple_of(3)) && (layer != 2 || index / columns != 0);
                    *value = if keeps { *value } else { 0.0 };
                }
            }
            let whole = export::parameters(&graph, &weights);
            let mask = |own: &Weights| Mask::from_fn(&own.shape, |index| own.kept[index] != 0.0);
            let masks = whole.iter().filter(|own| own.name.ends_with(".weight") && !own.name.starts_with("conv2"));
            let masks = MaskSet::new(masks.map(|own| (own.name.clone(), mask(own))).collect());
            let kept = whole
                .into_iter()
                .map(|Weights { name, shape, kept }| Weights::of(Parameter { name, shape, values: kept }, &masks));
            let (found, expected) = (survey(&kept.collect::<Vec<_>>(), &masks, &graph), Survey::of(&graph, &weights));
            assert_eq!((found.cost(), found.dead_units()), (expected.cost(), expected.dead_units()), "{model}");
            assert!(found.dead_units() > 0, "{model}");
        }
    }
}
