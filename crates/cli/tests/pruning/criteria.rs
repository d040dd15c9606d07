//! Criteria that need more than weights.

use super::*;
use std::collections::BTreeSet;

#[test]
fn every_criterion_prunes_exactly_and_differently() {
    let mut seen = BTreeSet::new();
    for criterion in ["l1", "random", "lamp", "snip", "taylor", "grasp", "synflow", "wanda"] {
        let out = tempfile::tempdir().expect("a folder");
        // Over two batches, so that a sum of squares is not the square of a sum.
        let run =
            run(out.path(), &[&format!("prune.criterion={criterion}"), "prune.calibration=128", "prune.scope=global"]);
        let kept: u64 = kept(&run).iter().map(|(_, kept, _)| kept).sum();
        assert_eq!(kept, 59_838 - 53_854, "{criterion}");
        assert!(seen.insert(masks(&run)), "{criterion} chose what another one chose");
        let facts = facts_of(&run, "run_started");
        assert_eq!(facts[0]["method"]["criterion"], criterion);
    }
}

#[test]
fn snip_prunes_a_fresh_network_and_keeps_what_it_needs() {
    // On a network that was never trained magnitude says nothing of the task; both learn, at 90 %.
    let out = tempfile::tempdir().expect("a folder");
    let run = run(out.path(), &["prune.criterion=snip", "train.length={ steps = 0 }", "prune.every={ epochs = 3 }"]);
    assert!(accuracy(&run, "retrained") > 0.9);
}

#[test]
fn synflow_in_rounds_leaves_no_layer_empty_where_one_round_does() {
    let left = |rounds: &str| {
        let out = tempfile::tempdir().expect("a folder");
        let schedule = "prune.schedule={ kind = \"one-shot\", sparsity = 0.999 }";
        let run = run(
            out.path(),
            &[
                "prune.criterion=synflow",
                "prune.min_kept=0",
                schedule,
                rounds,
                "train.length={ steps = 0 }",
                "prune.every={ steps = 1 }",
            ],
        );
        kept(&run).iter().map(|(_, kept, _)| *kept).min()
    };
    assert_eq!(left("prune.rounds=1"), Some(0));
    assert!(left("prune.rounds=100").expect("layers") > 0);
}

#[test]
fn movement_is_accumulated_survives_a_kill_and_has_its_own_choice() {
    let movement =
        ["prune.criterion=movement", "device=flex", "data.synthetic_train=500", "train.length={ steps = 30 }"];
    let magnitude = ["device=flex", "data.synthetic_train=500", "train.length={ steps = 30 }"];
    let [one, other] = [&movement[..], &magnitude].map(|changes| {
        let out = tempfile::tempdir().expect("a folder");
        masks(&run(out.path(), changes))
    });
    assert_ne!(one, other);
    survives_kills(&movement);
    let said = fail(&["plan", "configs/smoke.toml", "--set", "prune.criterion=movement"]);
    assert!(said.contains("`prune.criterion`: movement takes every step's gradients"), "{said}");
}

#[test]
fn scores_come_from_a_file_that_is_checked() {
    let out = tempfile::tempdir().expect("a folder");
    let file = out.path().join("scores.safetensors");
    let runs = out.path().join("runs");
    std::fs::create_dir(&runs).expect("a folder");
    // Rising with the index: the first weights of every layer go.
    let shapes = [
        ("conv1.weight", vec![6, 1, 3, 3]),
        ("conv2.weight", vec![16, 6, 3, 3]),
        ("fc1.weight", vec![120, 400]),
        ("fc2.weight", vec![84, 120]),
        ("fc3.weight", vec![10, 84]),
    ];
    let bytes = |count: usize| (0..count).flat_map(|index| (index as f32).to_le_bytes()).collect::<Vec<u8>>();
    let write = |shapes: &[(&str, Vec<usize>)]| {
        let data: Vec<_> = shapes.iter().map(|(name, shape)| (*name, shape, bytes(shape.iter().product()))).collect();
        let view =
            |shape: &[usize], data| safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), data);
        let views = data.iter().map(|(name, shape, data)| (*name, view(shape, data).expect("fits")));
        std::fs::write(&file, safetensors::serialize(views, None).expect("fits")).expect("room");
    };
    write(&shapes);
    let given = format!("prune.scores={}", file.display());
    let changes = ["prune.criterion=scores", &given, "prune.scope=layerwise", "prune.every={ steps = 1 }"];
    let path = run(&runs, &changes);
    for (name, bits) in masks(&path) {
        let total: usize = shapes.iter().find(|(own, _)| name.ends_with(own)).expect("a layer").1.iter().product();
        let pruned = (total as f64 * 0.9).round() as usize;
        let keeps = |index: usize| bits[index / 8] >> (index % 8) & 1 == 1;
        assert!((0..total).all(|index| keeps(index) == (index >= pruned)), "{name}");
    }
    // Another file is not taken for the one that the run began with, nor one that lacks a layer for scores.
    write(&shapes[1..]);
    go_back(&path, 0);
    assert!(fail(&["resume", text(&path)]).contains("started with another file"));
    let fresh = tempfile::tempdir().expect("a folder");
    let typed = with(fresh.path(), &changes);
    let said = fail(&typed.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.contains("`conv1.weight` has nothing, wanted scores of shape [6, 1, 3, 3]"), "{said}");
    assert_eq!(only_run(fresh.path()), None, "nothing is left behind");
}

#[test]
fn a_layer_may_have_a_criterion_of_its_own() {
    let own = |layers: &str| {
        let out = tempfile::tempdir().expect("a folder");
        let layers = format!("prune.layers={layers}");
        let changes = ["prune.scope=layerwise", "prune.every={ steps = 1 }", &layers];
        masks(&run(out.path(), &changes))
    };
    let (plain, mixed) = (own("[]"), own("[{ pattern = \"fc1.*\", criterion = \"wanda\" }]"));
    let differing: Vec<&str> =
        plain.iter().zip(&mixed).filter(|(a, b)| a != b).map(|((name, _), _)| name.as_str()).collect();
    assert_eq!(differing, ["mask/fc1.weight"]);
}
