//! Filters with what belongs to them, on the reference models.

use super::super::positions;
use super::super::tests::{ONE_SHOT, prune, pruning};
use super::*;
use crate::models::{ModelConfig, testing};
use secateur_pruner::{Mask, couple};

#[test]
fn a_filter_takes_its_bias_and_what_reads_it_along() {
    let own = pruning(&format!(
        "{ONE_SHOT}scope = \"layerwise\"\ngranularity = {{ kind = \"filter\" }}\nexclude = [\"fc3.*\"]"
    ))
    .expect("valid");
    let names: Vec<&str> = own.masked().iter().map(|own| own.name.as_str()).collect();
    let wanted = [
        "conv1.weight",
        "conv1.bias",
        "conv2.weight",
        "conv2.bias",
        "fc1.weight",
        "fc1.bias",
        "fc2.weight",
        "fc2.bias",
        "fc3.weight",
    ];
    assert_eq!(names, wanted, "fc3's bias stays whole");
    let masks = prune(&own, 0.5);
    let kept = |name: &str| masks.get(name).expect("masked").kept();
    // About the same share of the 6, 16, 120 and 84 units; fc1 reads 25 pixels of a channel.
    let units = ["conv1.bias", "conv2.bias", "fc1.bias", "fc2.bias"].map(kept);
    let [one, two, three, four] = units;
    assert_eq!(kept("conv1.weight"), one * 9);
    assert_eq!(kept("conv2.weight"), two * one * 9);
    assert_eq!(kept("fc1.weight"), three * two * 25);
    assert_eq!(kept("fc2.weight"), four * three);
    assert_eq!(kept("fc3.weight"), 10 * four);
    let shares = [6, 16, 120, 84].iter().zip(units).map(|(all, kept)| kept as f64 / f64::from(*all));
    assert!(shares.clone().all(|share| (share - 0.71).abs() < 0.06), "{:?}", shares.collect::<Vec<_>>());
}

#[test]
fn targets_of_whole_filters_count_what_goes_along() {
    let filters = "granularity = { kind = \"filter\" }\nexclude = [\"fc3.*\"]\n";
    let (graph, _) = testing::model(ModelConfig::Lenet { width: 1 }, 1);
    for scope in ["layerwise", "global", "global-normalised", "erk", "mac-aware"] {
        let of = |target: &str, more: &str| {
            let schedule = format!("schedule = {{ kind = \"one-shot\", sparsity = {target} }}\nscope = \"{scope}\"\n");
            let own = pruning(&format!("{schedule}{filters}{more}")).expect(target);
            prune(&own, own.targets().shares[0].get())
        };
        // The largest unit is a channel of conv2: fc1 reads 25 pixels of it for 120 neurons.
        let half = (54 + 1 + 25 * 120) as f64 / 2.0;
        for share in [0.2, 0.5, 0.9] {
            let masks = of(&share.to_string(), "");
            let off = (masks.pruned() as f64 - share * masks.total() as f64).abs();
            assert!(off <= half, "{scope} {share}: off by {off}");
        }
        // Of all parameters, those that cannot go among them.
        let kept = 60_074 - of("{ kept = 30_000 }", "").pruned();
        assert!((kept as f64 - 30_000.0).abs() <= half, "{scope}: {kept}");
        for share in [0.5, 0.1] {
            let masks = of(&format!("{{ macs = {share} }}"), "");
            let cost = |(name, mask): (&str, &Mask)| mask.kept() as u64 * positions(&graph, name);
            let (left, budget) = (masks.iter().map(cost).sum::<u64>() as f64, share * graph.macs() as f64);
            // A filter of conv1 takes 9 weights at 676 positions along, and 16 times 9 at 121 that read it.
            let largest = (9 * 676 + 16 * 9 * 121) as f64;
            assert!(left <= budget && left > budget - largest, "{scope} {share}: {left} of {budget}");
        }
        let floor = of("0.5", "layers = [{ pattern = \"fc2.weight\", floor = 0.6 }]");
        let fc2 = floor.get("fc2.weight").expect("masked");
        assert!(fc2.kept() as f64 >= 0.6 * fc2.total() as f64, "{scope}: {fc2:?}");
        let floor = "layers = [{ pattern = \"fc1.weight\", floor = 0.5 }]";
        let refused =
            format!("schedule = {{ kind = \"one-shot\", sparsity = 0.9 }}\nscope = \"{scope}\"\n{filters}{floor}");
        let error = pruning(&refused).expect_err("fc1 holds most of the weights").to_string();
        assert!(error.contains("with what goes along") && error.contains("comes nearest"), "{scope}: {error}");
    }
}

/// Numbers that are the same in every run.
fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |end| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    }
}

#[test]
fn runs_of_filters_that_a_plan_accepts_never_fail_and_stay_near_their_targets() {
    let mut next = numbers(7);
    let mut accepted = 0;
    for case in 0..60 {
        let one_of = |all: &[&str], next: &mut dyn FnMut(u64) -> u64| all[next(all.len() as u64) as usize].to_owned();
        let scope = one_of(&["layerwise", "global", "global-normalised", "erk", "mac-aware"], &mut next);
        let group_score = one_of(&["l1", "l2", "mean", "first"], &mut next);
        let prunes = 1 + next(5);
        let last = [0.3, 0.6, 0.8, 0.9, 0.96, 0.99][next(6) as usize];
        let last = if next(4) == 0 { format!("{{ macs = {:.2} }}", 1.0 - last) } else { format!("{last}") };
        let kind = one_of(&["linear", "cubic", "cosine", "exponential"], &mut next);
        let layers = one_of(
            &[
                "",
                "",
                "layers = [{ pattern = \"fc1.weight\", floor = 0.1 }]",
                "layers = [{ pattern = \"conv2.weight\", ceiling = 0.5 }]",
                "layers = [{ pattern = \"fc2.weight\", sparsity = 0.7 }]",
            ],
            &mut next,
        );
        let lines = format!(
            "schedule = {{ kind = {kind:?}, final = {last}, prunes = {prunes} }}\nscope = {scope:?}\n\
             group_score = {group_score:?}\ngranularity = {{ kind = \"filter\" }}\nexclude = [\"fc3.*\"]\n{layers}"
        );
        let Ok(own) = pruning(&lines) else { continue };
        accepted += 1;
        let macs = own.targets().measure == Measure::Macs;
        let largest = own.goal(own.targets().shares[0]).step;
        let full = own.masked().iter().map(|own| (own.name.clone(), Mask::full(&own.shape)));
        let mut masks = MaskSet::new(full.collect());
        for target in own.targets().shares.clone() {
            // Weights move between prunes, and small layers have large scores.
            let scores = |place: usize, _: &str, mask: &Mask| {
                Ok((0..mask.kept()).map(|_| next(1 << 20) as f32 / (1 + place * place) as f32).collect())
            };
            let new = own.choose(scores, &masks, target).expect(&lines);
            assert!(new.is_within(&masks), "{case}: masks grew back\n{lines}");
            let gone: u64 = own
                .masked()
                .iter()
                .map(|own_mask| {
                    let mask = new.get(&own_mask.name).expect("masked");
                    own.cost(own_mask) * (mask.total() - mask.kept()) as u64
                })
                .sum();
            let wanted = own.goal(target).wanted;
            if macs {
                assert!(gone >= wanted, "{case}: {gone} of {wanted}\n{lines}");
            } else {
                assert!(gone.abs_diff(wanted) <= largest / 2, "{case}: {gone}, expected about {wanted}\n{lines}");
            }
            masks = new;
            own.check_masks(&masks, target).expect("masks of a run go on");
        }
    }
    assert!(accepted > 30, "only {accepted} of the configs were accepted");
}

#[test]
fn what_filters_cannot_reach_is_refused_with_what_comes_nearest() {
    let filters = "granularity = { kind = \"filter\" }\nexclude = [\"fc3.*\"]\n";
    for scope in ["layerwise", "global", "global-normalised", "erk", "mac-aware"] {
        let of = |more: &str| pruning(&format!("scope = {scope:?}\n{filters}{more}"));
        // Half of fc1 stays: of its 120 neurons and of conv2's 16 channels the root of it each.
        let floor =
            "schedule = { kind = \"one-shot\", sparsity = 0.9 }\nlayers = [{ pattern = \"fc1.weight\", floor = 0.5 }]";
        let error = of(floor).expect_err("half of fc1 stays").to_string();
        assert!(error.contains("from 0 to 34253; 34253 comes nearest, which is 57.03 %"), "{error}");
        let least = "schedule = { kind = \"one-shot\", sparsity = 0.1 }\nlayers = [{ pattern = \"fc1.weight\", ceiling = 0.2 }]";
        let error = of(least).expect_err("fc1 has to give more").to_string();
        assert!(error.contains("comes nearest"), "{error}");
    }
}

#[test]
fn masks_that_have_lost_more_filters_than_a_target_leaves_are_refused() {
    let lines = "schedule = { kind = \"one-shot\", sparsity = 0.9 }\ngranularity = { kind = \"filter\" }\nexclude = [\"fc3.*\"]";
    let own = pruning(lines).expect("valid");
    let masks = prune(&own, 0.9);
    let half = Sparsity::new(0.5).expect("in range");
    let error = own.check_masks(&masks, half).expect_err("masks never grow back").to_string();
    assert!(error.contains("are pruned already") && error.contains("with what goes along"), "{error}");
    own.check_masks(&masks, own.targets().shares[0]).expect("the same target");
}

#[test]
fn what_filters_can_lose_at_most_is_what_masks_of_the_fewest_units_lose() {
    let filters = "granularity = { kind = \"filter\" }\nexclude = [\"fc3.*\"]\nscope = \"global\"\n";
    for (more, units) in [("", [1, 1, 1, 1]), ("layers = [{ pattern = \"conv1.weight\", floor = 0.5 }]", [3, 1, 1, 1])]
    {
        let own = pruning(&format!("{ONE_SHOT}{filters}{more}")).expect("valid");
        // The first units of each layer stay.
        let outputs = ["conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight"];
        let masks = own.masked().iter().map(|masked| {
            let mask = match outputs.iter().position(|name| *name == masked.name) {
                Some(layer) => {
                    let stride: usize = masked.shape[1..].iter().product();
                    Mask::from_fn(&masked.shape, |index| index / stride < units[layer])
                }
                None => Mask::full(&masked.shape),
            };
            (masked.name.clone(), mask)
        });
        let masks = couple(&MaskSet::new(masks.collect()), &own.groups).expect("fits");
        assert_eq!(own.range(own.targets().shares[0]), [0, masks.pruned() as u64], "{more}");
    }
}

#[test]
fn the_last_layer_keeps_its_units_without_being_excluded() {
    let filters =
        |more: &str| pruning(&format!("{ONE_SHOT}granularity = {{ kind = \"filter\" }}\n{more}")).expect("valid");
    let (own, excluded) = (filters(""), filters("exclude = [\"fc3.*\"]"));
    assert_eq!((own.pinned(), excluded.pinned()), (&["fc3.weight".to_owned()][..], &[][..]));
    assert_eq!(prune(&own, 0.5), prune(&excluded, 0.5));
    let biases = filters("include = [\"*\"]");
    assert_eq!(biases.pinned(), ["fc3.weight", "fc3.bias"].map(str::to_owned)[..1].to_vec());
    assert!(prune(&biases, 0.5).get("fc3.bias").is_none());
    assert!(pruning(ONE_SHOT).expect("valid").pinned().is_empty(), "single weights of it may go");
}
