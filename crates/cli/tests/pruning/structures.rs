//! Weights that go together: N of M, blocks, filters and channels, pruned and trained on.

use super::*;
use safetensors::SafeTensors;

/// A weight of the final model with its shape, `[out, in, ..]`.
fn weight(bytes: &[u8], name: &str) -> (Vec<usize>, Vec<bool>) {
    let file = SafeTensors::deserialize(bytes).expect("a model");
    let tensor = file.tensor(name).expect("a weight");
    let lives = tensor.data().chunks_exact(4).map(|value| value.iter().any(|byte| *byte != 0)).collect();
    (tensor.shape().to_vec(), lives)
}

/// Asserts that `fits` of the lives of every group of `of(out, in, rest)` that has the same number.
fn every_group(
    bytes: &[u8],
    name: &str,
    of: impl Fn(usize, usize, usize) -> usize,
    fits: impl Fn(usize, usize) -> bool,
) {
    let (shape, lives) = weight(bytes, name);
    let rest: usize = shape[2..].iter().product();
    let mut groups = std::collections::BTreeMap::<usize, (usize, usize)>::new();
    for (index, lives) in lives.iter().enumerate() {
        let (output, input) = (index / rest / shape[1], index / rest % shape[1]);
        let (left, all) = groups.entry(of(output, input, index % rest)).or_default();
        (*left, *all) = (*left + usize::from(*lives), *all + 1);
    }
    for (group, (left, all)) in groups {
        assert!(fits(left, all), "group {group} of {name} keeps {left} of {all}");
    }
}

const LAYERS: [&str; 4] = ["conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight"];

#[test]
fn two_of_four_stay_along_the_input_axis() {
    let out = tempfile::tempdir().expect("a folder");
    let half = "prune.schedule={ kind = \"one-shot\", sparsity = 0.5 }";
    let run = run(out.path(), &["prune.granularity={ kind = \"n-of-m\", n = 2, m = 4 }", half]);
    let bytes = model(&run);
    for name in LAYERS.iter().chain(&["fc3.weight"]) {
        let group = |output, input, rest| (output * 1_000 + input / 4) * 100 + rest;
        every_group(&bytes, name, group, |left, all| left == all.min(2));
    }
}

#[test]
fn blocks_and_channels_go_whole_and_as_many_as_asked() {
    for scope in ["layerwise", "global", "erk", "mac-aware", "global-normalised"] {
        let scope = format!("prune.scope={scope:?}");
        let half = "prune.schedule={ kind = \"one-shot\", sparsity = 0.5 }";
        let whole = |left, all| left == 0 || left == all;
        let near = |run: &Path, largest: u64| {
            let pruned = facts_of(run, "pruned").pop().expect("a prune");
            let [gone, all] = ["pruned", "prunable"].map(|key| pruned[key].as_u64().expect("a count"));
            assert!(gone.abs_diff(all / 2) <= 5 * largest, "{scope}: {gone} of {all}");
        };
        let out = tempfile::tempdir().expect("a folder");
        let block = "prune.granularity={ kind = \"block\", outputs = 4, inputs = 2 }";
        let own = run(out.path(), &[block, half, &scope]);
        near(&own, 8);
        let group = |output, input, rest| (output / 4 * 1_000 + input / 2) * 100 + rest;
        LAYERS.iter().for_each(|name| every_group(&model(&own), name, group, whole));

        let out = tempfile::tempdir().expect("a folder");
        let own = run(out.path(), &["prune.granularity={ kind = \"channel\" }", half, &scope]);
        near(&own, 144);
        LAYERS.iter().for_each(|name| every_group(&model(&own), name, |_, input, _| input, whole));
    }
}

#[test]
fn filters_go_with_what_belongs_to_them_and_the_run_survives_kills() {
    let filter = "prune.granularity={ kind = \"filter\" }";
    let cubic = "prune.schedule={ kind = \"cubic\", final = 0.8, prunes = 3 }";
    let out = tempfile::tempdir().expect("a folder");
    let own = run(out.path(), &[filter, "prune.exclude=[\"fc3.*\"]", cubic]);
    let bytes = model(&own);
    let mut before: Option<Vec<bool>> = None;
    for name in LAYERS {
        let (shape, lives) = weight(&bytes, name);
        let per: usize = shape[1..].iter().product();
        let units: Vec<bool> = lives.chunks(per).map(|unit| unit.iter().any(|lives| *lives)).collect();
        let (_, bias) = weight(&bytes, &name.replace("weight", "bias"));
        assert!(units.iter().zip(&bias).all(|(unit, bias)| *unit || !bias), "{name}: a bias outlives its filter");
        if let Some(before) = before {
            // Inputs of a unit that is gone: one channel, or its pixels.
            let (inputs, rest) = (shape[1], shape[2..].iter().product::<usize>());
            let spread = inputs / before.len();
            for (index, lives) in lives.iter().enumerate() {
                assert!(!lives || before[index / rest % inputs / spread], "{name} reads a filter that is gone");
            }
        }
        before = Some(units);
    }
    let pruned = facts_of(&own, "pruned").pop().expect("a prune");
    let [gone, all] = ["pruned", "prunable"].map(|key| pruned[key].as_u64().expect("a count") as f64);
    assert!((gone / all - 0.8).abs() < 0.03, "{gone} of {all}");
    survives_kills(&[filter, "prune.exclude=[\"fc3.*\"]", cubic]);
}

#[test]
fn filters_of_a_second_prune_are_found_and_the_run_is_resumed() {
    let filter = "prune.granularity={ kind = \"filter\" }";
    let list = "prune.schedule={ kind = \"list\", sparsities = [0.35, 0.525] }";
    let changes = [filter, "prune.scope=global", "prune.criterion=l1", list];
    let out = tempfile::tempdir().expect("a folder");
    for (pruned, target) in facts_of(&run(out.path(), &changes), "pruned").iter().zip([0.35, 0.525]) {
        let [gone, all] = ["pruned", "prunable"].map(|key| pruned[key].as_u64().expect("a count") as f64);
        // The largest unit is a channel of conv2, with what reads it 3,055 of 60,064 weights.
        assert!((gone - target * all).abs() <= 1_528.0, "{gone} of {all} at {target}");
    }
    survives_kills(&changes);
}
