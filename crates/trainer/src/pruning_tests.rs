//! What a `[prune]` section means, on the reference models.

use super::*;
use crate::config::ExperimentConfig;
use crate::models::{ModelConfig, testing};
use secateur_pruner::score;

pub(super) fn pruning(lines: &str) -> Result<Pruning, Error> {
    let text = format!(
        "name = \"p\"\nmodel = {{ kind = \"lenet\", width = 1 }}\ntrain = {{ length = {{ steps = 1 }} }}\n\
         [prune]\nevery = {{ steps = 1 }}\n{lines}"
    );
    let config = ExperimentConfig::parse("p", &text, &[])?;
    Pruning::new(&config.prune.expect("given"), &testing::model(ModelConfig::Lenet { width: 1 }, 1).0)
}

/// Masks of a prune of the model's first weights, from full ones.
pub(super) fn prune(own: &Pruning, target: f64) -> MaskSet {
    let values = {
        let (graph, weights) = testing::model(ModelConfig::Lenet { width: 1 }, 1);
        crate::export::parameters(&graph, &weights)
    };
    let find = |name: &str| values.iter().find(|own| own.name == name).expect("a parameter of the model");
    let full = own.masked().iter().map(|own| (own.name.clone(), Mask::full(&find(&own.name).shape)));
    let scores = |_, name: &str, mask: &Mask| {
        let kept = mask.gather(&find(name).kept);
        score(own.criterion(name).and_then(CriterionConfig::of_weights).expect("of weights"), name, &kept, mask, 0, 1)
    };
    let target = Sparsity::new(target).expect("in range");
    own.choose(scores, &MaskSet::new(full.collect()), target).expect("masks")
}

pub(super) const ONE_SHOT: &str = "schedule = { kind = \"one-shot\", sparsity = 0.5 }\n";

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
        let (graph, _) = testing::model(ModelConfig::Lenet { width: 1 }, 1);
        let cost = |(name, mask): (&str, &Mask)| mask.kept() as u64 * positions(&graph, name);
        let spent: u64 = macs.iter().map(cost).sum();
        let budget = graph.macs() as u64 / 10;
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
        (
            "schedule = { kind = \"one-shot\", sparsity = 0.9 }\ngranularity = { kind = \"filter\" }\nround_to = 100".into(),
            "comes nearest, which is",
        ),
        (one_shot("granularity = { kind = \"filter\" }\nround_to = 120"), "`prune.round_to`: found 120, with which no filter could go"),
        (one_shot("granularity = { kind = \"filter\" }\ninclude = [\"fc3.*\"]"), "the units of `fc3.weight` stay, since it is one of the network's outputs"),
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
