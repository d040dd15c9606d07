//! Which layers are pruned alone, and on which terms. The way of the whole verb is tested in `crates/cli/tests`.

use super::*;
use crate::config::ExperimentConfig;
use crate::models::{ModelConfig, testing};

fn experiment(prune: &str) -> Experiment {
    let text = format!(
        "name = \"s\"\nmodel = {{ kind = \"lenet\", width = 1 }}\ntrain = {{ length = {{ steps = 1 }} }}\n{prune}"
    );
    Experiment::on_data(ExperimentConfig::parse("s", &text, &[]).expect("valid"), crate::data::MNIST).expect("meant")
}

fn section(lines: &str) -> Experiment {
    experiment(&format!(
        "[prune]\nschedule = {{ kind = \"one-shot\", sparsity = 0.5 }}\nevery = {{ steps = 1 }}\n{lines}"
    ))
}

/// What is kept of each mask when each layer alone is pruned to `target` from the first weights.
fn alone(experiment: &Experiment, target: f64) -> Vec<(String, MaskSet)> {
    let (graph, weights) = testing::model(ModelConfig::Lenet { width: 1 }, 1);
    let parameters = crate::export::parameters(&graph, &weights);
    let layers = layers(experiment, None).expect("layers");
    let masks = with_masks(&parameters, &MaskSet::default(), &layers);
    let scores = |_, name: &str, mask: &Mask| {
        let own = parameters.iter().find(|own| own.name == name).expect("a parameter");
        score(Criterion::L1, name, &mask.gather(&own.kept), mask, 0, 1)
    };
    let target = Sparsity::new(target).expect("in range");
    layers.into_iter().map(|own| (own.name, own.pruning.choose(scores, &masks, target).expect("masks"))).collect()
}

#[test]
fn every_layer_is_pruned_alone_and_exactly() {
    for experiment in [experiment(""), section("scope = \"global\"\nlayers = [{ pattern = \"fc?.*\", floor = 0.5 }]")] {
        let found = alone(&experiment, 0.9);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight", "fc3.weight"]);
        for (name, masks) in &found {
            for (other, mask) in masks.iter() {
                let wanted = if other == name { Sparsity::new(0.9).expect("in range").count(mask.total()) } else { 0 };
                assert_eq!(mask.total() - mask.kept(), wanted, "{other} while {name} is pruned");
            }
        }
    }
}

#[test]
fn the_run_s_own_names_and_granularity_hold() {
    let own = section("granularity = { kind = \"filter\" }\nexclude = [\"conv1.*\"]\ncriterion = \"l2\"");
    let found = alone(&own, 0.5);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["conv2.weight", "fc1.weight", "fc2.weight"]);
    // Half of the 16 filters go, with their biases and the 25 pixels each that fc1 reads of them; nothing else does.
    let of = |name: &str| found[0].1.get(name).map(Mask::kept);
    assert_eq!([of("conv2.weight"), of("conv2.bias"), of("fc1.weight")], [Some(8 * 54), Some(8), Some(8 * 25 * 120)]);
    assert_eq!([of("fc2.weight"), of("conv1.weight")], [Some(120 * 84), None]);
    assert_eq!(base(&own).criterion.to_string(), "l2");
}

#[test]
fn what_fixes_a_sparsity_is_left_out() {
    let own = section("granularity = { kind = \"n-of-m\", n = 2, m = 4 }");
    assert_eq!(base(&own).granularity, Granularity::Element {});
    let found = alone(&own, 0.8);
    assert_eq!(found[0].1.get("conv1.weight").map(Mask::kept), Some(54 - 43));
}

#[test]
fn a_criterion_that_takes_more_than_weights_is_refused_and_not_replaced() {
    for name in ["snip", "wanda", "synflow"] {
        let own = section(&format!("criterion = \"{name}\""));
        let error = layers(&own, None).err().expect("takes more").to_string();
        assert!(error.contains(name) && error.contains("add `--criterion l1`"), "{error}");
        let asked = layers(&own, Some(CriterionConfig::L2)).expect("asked for");
        assert!(asked.iter().all(|layer| layer.criterion == Criterion::L2));
    }
    let own = section("scope = \"layerwise\"\nlayers = [{ pattern = \"fc1.*\", criterion = \"lamp\" }]");
    let found: Vec<_> = layers(&own, None).expect("layers").into_iter().map(|layer| layer.criterion).collect();
    assert_eq!(found, [Criterion::L1, Criterion::L1, Criterion::Lamp, Criterion::L1, Criterion::L1]);
    assert!(layers(&experiment(""), None).expect("layers").iter().all(|layer| layer.criterion == Criterion::L1));
}
