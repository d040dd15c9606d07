//! What a `[prune]` section means, on the reference models.

use super::*;
use crate::config::ExperimentConfig;
use crate::models::ModelConfig;
use secateur_pruner::{couple, score};

fn pruning(lines: &str) -> Result<Pruning, Error> {
    let text = format!(
        "name = \"p\"\nmodel = {{ kind = \"lenet\", width = 1 }}\ntrain = {{ length = {{ steps = 1 }} }}\n\
         [prune]\nevery = {{ steps = 1 }}\n{lines}"
    );
    let config = ExperimentConfig::parse("p", &text, &[])?;
    Pruning::new(&config.prune.expect("given"), &ModelConfig::Lenet { width: 1 }.network())
}

/// Masks of a prune of the model's first weights, from full ones.
fn prune(own: &Pruning, target: f64) -> MaskSet {
    let values = export::parameters(&ModelConfig::Lenet { width: 1 }.initial(1));
    let find = |name: &str| values.iter().find(|own| own.name == name).expect("a parameter of the model");
    let full = own.masked().iter().map(|own| (own.name.clone(), Mask::full(&find(&own.name).shape)));
    let scores = |_, name: &str, mask: &Mask| {
        let kept = mask.gather(&find(name).kept);
        score(own.criterion(name).and_then(CriterionConfig::of_weights).expect("of weights"), name, &kept, mask, 0, 1)
    };
    let target = Sparsity::new(target).expect("in range");
    own.choose(scores, &MaskSet::new(full.collect()), target).expect("masks")
}

const ONE_SHOT: &str = "schedule = { kind = \"one-shot\", sparsity = 0.5 }\n";

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
    let network = ModelConfig::Lenet { width: 1 }.network();
    let costs = network.layer_costs();
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
            let cost = |(name, mask): (&str, &Mask)| mask.kept() as u64 * positions(&network, &costs, name);
            let (left, budget) = (masks.iter().map(cost).sum::<u64>() as f64, share * network.cost().macs as f64);
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
        let largest = own.competitors.iter().map(|layer| own.along(layer)).max().expect("layers compete");
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
            let wanted = match own.request(target).amount {
                Amount::Macs(macs) => macs,
                _ => target.count(own.sizes.prunable) as u64,
            };
            if macs {
                assert!(gone >= wanted, "{case}: {gone} of {wanted}\n{lines}");
            } else {
                assert!(gone.abs_diff(wanted) <= largest / 2, "{case}: {gone}, expected about {wanted}\n{lines}");
            }
            masks = new;
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
fn what_filters_can_lose_at_most_is_what_masks_of_the_fewest_units_lose() {
    let filters = "granularity = { kind = \"filter\" }\nexclude = [\"fc3.*\"]\nscope = \"global\"\n";
    for (more, units) in [("", [1, 1, 1, 1]), ("layers = [{ pattern = \"conv1.weight\", floor = 0.5 }]", [3, 1, 1, 1])]
    {
        let own = pruning(&format!("{ONE_SHOT}{filters}{more}")).expect("valid");
        // The first units of each layer stay.
        let outputs = ["conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight"];
        let masks = own.masked().iter().map(|masked| {
            let mask = match outputs.iter().position(|name| *name == masked.name) {
                Some(layer) if layer < 2 => {
                    let stride: usize = masked.shape[1..].iter().product();
                    Mask::from_fn(&masked.shape, |index| index / stride < units[layer])
                }
                Some(layer) => Mask::from_fn(&masked.shape, |index| index % masked.shape[1] < units[layer]),
                None => Mask::full(&masked.shape),
            };
            (masked.name.clone(), mask)
        });
        let masks = couple(&MaskSet::new(masks.collect()), &own.couplings).expect("fits");
        assert_eq!(own.range(own.targets().shares[0]), [0, masks.pruned() as u64], "{more}");
    }
}

#[test]
fn targets_of_every_measure_are_met() {
    let left = |schedule: &str, scope: &str| {
        let own = pruning(&format!("schedule = {schedule}\nscope = \"{scope}\"")).expect("valid");
        let target = *own.targets().shares.last().expect("a prune");
        let masks = prune(&own, target.get());
        if let Some(kept) = own.kept(target).expect("possible") {
            assert_eq!(masks.kept(), kept, "{schedule} {scope}");
        }
        masks
    };
    for scope in ["output", "global", "global-normalised", "erk", "mac-aware"] {
        // 236 biases are always left.
        let kept = left("{ kind = \"one-shot\", sparsity = { kept = 3000 } }", scope).kept();
        assert_eq!(kept, 3_000 - 236, "{scope}");
        let macs = left("{ kind = \"cubic\", final = { macs = 0.1 }, prunes = 3 }", scope);
        let network = ModelConfig::Lenet { width: 1 }.network();
        let cost = |(name, mask): (&str, &Mask)| mask.kept() as u64 * positions(&network, &network.layer_costs(), name);
        let spent: u64 = macs.iter().map(cost).sum();
        let budget = network.cost().macs as u64 / 10;
        assert!(spent <= budget && spent + 676 > budget, "{scope}: {spent} of {budget}");
    }
    let layerwise = left("{ kind = \"one-shot\", sparsity = { compression = 20.0 } }", "layerwise").kept();
    assert!(layerwise.abs_diff(60_074 / 20 - 236) <= 3, "{layerwise}");
}

#[test]
fn layers_may_have_terms_of_their_own() {
    let terms = "layers = [{ pattern = \"conv1.*\", floor = 0.5 }, { pattern = \"fc3.weight\", sparsity = 0.1 }]";
    let own = pruning(&format!("scope = \"global\"\nschedule = {{ kind = \"one-shot\", sparsity = 0.98 }}\n{terms}"));
    let masks = prune(&own.expect("valid"), 0.98);
    assert_eq!(masks.pruned(), Sparsity::new(0.98).expect("in range").count(59_838));
    assert!(masks.get("conv1.weight").expect("masked").kept() >= 27);
    assert_eq!(masks.get("fc3.weight").expect("masked").kept(), 840 - 84);
}

#[test]
fn what_makes_no_sense_is_named() {
    let one_shot = |more: &str| format!("{ONE_SHOT}{more}");
    for (lines, wanted) in [
        (one_shot("granularity = { kind = \"filter\" }"), "the neurons of `fc3` are the answers"),
        (one_shot("granularity = { kind = \"n-of-m\", n = 5, m = 4 }"), "`prune.granularity`: n is 5"),
        (
            one_shot("granularity = { kind = \"channel\" }\nscope = \"output\""),
            "`prune.scope`: output compares single weights",
        ),
        (one_shot("granularity = { kind = \"n-of-m\", n = 1, m = 4 }"), "wanted 0.75, which is what 1:4 leaves"),
        (one_shot("granularity = { kind = \"n-of-m\", n = 3, m = 4 }"), "wanted a sparsity of at most 0.25"),
        (one_shot("granularity = { kind = \"channel\" }\ninclude = [\"*\"]"), "`conv1.bias` cannot be pruned"),
        (one_shot("group_score = \"mean\""), "`prune.group_score`: element has no groups"),
        (one_shot("layers = [{ pattern = \"conv9.*\", floor = 0.1 }]"), "`conv9.*` matches no parameter"),
        (one_shot("layers = [{ pattern = \"conv1.*\" }]"), "`conv1.*` has no terms"),
        (one_shot("layers = [{ pattern = \"fc1.*\", criterion = \"random\" }]"), "has a criterion of its own"),
        (one_shot("granularity = { kind = \"n-of-m\", n = 2, m = 4 }\nmin_kept = 1"), "`prune.min_kept`"),
        (
            "schedule = { kind = \"one-shot\", sparsity = 0.99 }\ngranularity = { kind = \"block\", outputs = 16, inputs = 16 }"
                .into(),
            "but what each layer keeps",
        ),
        (one_shot("layers = [{ pattern = \"*\", floor = 1.5 }]"), "wanted 0 <= floor"),
        (one_shot("layers = [{ pattern = \"*\", floor = 0.1, sparsity = 0.5 }]"), "one or the other"),
        (one_shot("scope = \"erk\"\nlayers = [{ pattern = \"*\", floor = 0.6 }]"), "from 0 to"),
        ("schedule = { kind = \"one-shot\", sparsity = { kept = 200 } }".into(), "236 of 60074 parameters may not"),
        ("schedule = { kind = \"one-shot\", sparsity = { macs = 0.0 } }".into(), "wanted a share above 0"),
        ("schedule = { kind = \"one-shot\", sparsity = { weight = 1 } }".into(), "{ compression = 20.0 }"),
        (one_shot("criterion = \"scores\""), "`prune.scores`: the criterion `scores` needs a file"),
        (one_shot("scores = \"a.safetensors\""), "wanted the criterion `scores`"),
        (one_shot("criterion = \"grasp\"\nscope = \"global-normalised\""), "scores of grasp have a sign"),
        (one_shot("rounds = 0"), "`prune.rounds`: found 0"),
        (one_shot("calibration = 0"), "`prune.calibration`: found 0"),
        (one_shot("gsm = { epochs = 1 }\nscope = \"erk\""), "`prune.gsm`: weights compete"),
        (one_shot("regrow = { kind = \"set\", every = { steps = 0 } }"), "`prune.regrow`: every is 0"),
        (one_shot("regrow = { kind = \"set\", every = { steps = 9 }, share = 2.0 }"), "share is 2, wanted"),
        (one_shot("regrow = { kind = \"rigl\", every = { steps = 9 }, until = 0.0 }"), "until is 0, wanted"),
        (one_shot("regrow = { kind = \"surgery\", every = { steps = 9 } }\nshuffle = true"), "surgery chooses"),
        (
            one_shot(
                "regrow = { kind = \"set\", every = { steps = 9 } }\ngranularity = { kind = \"filter\" }\nexclude = [\"fc3.*\"]",
            ),
            "masks grow by single weights, found granularity filter",
        ),
        (
            "scope = \"mac-aware\"\nschedule = { kind = \"dense-sparse-dense\", sparsity = 0.3 }".into(),
            "goes with the scopes layerwise, global and erk",
        ),
    ] {
        let found = pruning(&lines).expect_err(&lines).to_string();
        assert!(found.contains(wanted), "{lines}: {found}");
    }
}

#[test]
fn a_layer_is_emptied_only_when_the_config_says_so() {
    let least = |lines: &str| {
        let schedule = "schedule = { kind = \"one-shot\", sparsity = 0.9999 }\nscope = \"global\"\n";
        let masks = prune(&pruning(&format!("{schedule}{lines}")).expect("valid"), 0.9999);
        masks.iter().map(|(_, mask)| mask.kept()).min()
    };
    assert_eq!([least(""), least("min_kept = 0"), least("min_kept = 1")], [Some(1), Some(0), Some(1)]);
    let prune_config = |kind: &str| {
        let lines = format!("schedule = {{ kind = \"one-shot\", sparsity = 0.9 }}\n{kind}");
        pruning(&lines).expect("valid").request.min_kept
    };
    let blocks = "granularity = { kind = \"block\", outputs = 4, inputs = 4 }\n";
    assert_eq!([prune_config(""), prune_config(blocks), prune_config(&format!("{blocks}min_kept = 0"))], [1, 1, 0]);
}
