//! Masks that move: SET, RigL, surgery, dense-sparse-dense, and weights that fade before they go.

use super::*;

const SPARSE: [&str; 3] = ["train.length={ steps = 0 }", "prune.every={ epochs = 4 }", "prune.scope=erk"];

#[test]
fn set_and_rigl_exchange_weights_at_one_density() {
    let mut chosen = vec![];
    for kind in ["set", "rigl"] {
        let out = tempfile::tempdir().expect("a folder");
        let regrow = format!("prune.regrow={{ kind = \"{kind}\", every = {{ steps = 20 }} }}");
        let run = run(out.path(), &[&SPARSE[..], &[&regrow]].concat());
        let moves = facts_of(&run, "masks_moved");
        // 4 epochs of 32 steps; masks move until 96.
        assert_eq!(moves.iter().map(|own| own["step"].as_u64().expect("a step")).collect::<Vec<_>>(), [20, 40, 60, 80]);
        for own in &moves {
            assert_eq!(own["pruned"].as_u64(), Some(53_854), "{own}");
        }
        let came = |place: usize| moves[place]["regrown"].as_u64().expect("a count");
        // At most a share of what lives, falling along a cosine; dropped weights may come back.
        assert!(came(0) > came(3) && came(3) > 0 && came(0) < 59_838 / 10 * 3 / 10, "{moves:?}");
        // Each layer has as many weights as the prune left it.
        let before = kept(&run);
        for (name, bits) in masks(&run) {
            let now: u64 = bits.iter().map(|byte| u64::from(byte.count_ones())).sum();
            let (_, kept, _) = before.iter().find(|(own, ..)| name.ends_with(own)).expect("a layer");
            assert_eq!(now, *kept, "{name}");
        }
        assert!(accuracy(&run, "retrained") > 0.8);
        chosen.push(masks(&run));
    }
    assert_ne!(chosen[0], chosen[1]);
}

#[test]
fn a_run_whose_masks_move_survives_kills() {
    let rigl = "prune.regrow={ kind = \"rigl\", every = { steps = 10 } }";
    survives_kills(&[&SPARSE[..], &[rigl]].concat());
}

#[test]
fn surgery_brings_weights_back_from_their_shadows() {
    let surgery = "prune.regrow={ kind = \"surgery\", every = { steps = 5 }, until = 0.5 }";
    let list = "prune.schedule={ kind = \"list\", sparsities = [0.5, 0.9] }";
    let short = ["data.synthetic_train=640", "train.length={ steps = 10 }", "prune.every={ steps = 20 }"];
    let changes =
        [&short[..], &["device=flex", surgery, list, "train.optimizer={ kind = \"adam\", lr = 0.01 }"]].concat();
    let out = tempfile::tempdir().expect("a folder");
    let path = run(out.path(), &changes);
    let moves = facts_of(&path, "masks_moved");
    assert_eq!(moves.len(), 4);
    assert!(moves.iter().any(|own| own["regrown"].as_u64() > Some(0)), "{moves:?}");
    assert_eq!(moves[3]["pruned"].as_u64(), Some(53_854));
    // What was tested and what was written down is the masked network.
    let last = facts_of(&path, "tested").pop().expect("a test");
    assert!(last["size"]["nonzero"].as_u64() <= Some(60_074 - 53_854), "{last}");
    let wanted = format!("({} of {})", last["score"]["correct"], last["score"]["total"]);
    assert!(succeed(&["test", text(&path)]).contains(&wanted));
    let newest = checkpoints(&path).pop().expect("a checkpoint");
    assert!(succeed(&["test", text(&path), "--checkpoint", &newest]).contains(&wanted));
    survives_kills(&changes);
    let said = fail(&["plan", "configs/smoke.toml", "--set", surgery]);
    assert!(said.contains("`prune.regrow`: surgery takes every step's gradients"), "{said}");
}

#[test]
fn surgery_that_begins_with_a_file_keeps_shadows_and_survives_kills() {
    let short =
        ["device=flex", "data.synthetic_train=640", "train.length={ steps = 20 }", "prune.every={ steps = 20 }"];
    let first = tempfile::tempdir().expect("a folder");
    let half = "prune.schedule={ kind = \"one-shot\", sparsity = 0.5 }";
    let model = run(first.path(), &[&short[..], &[half]].concat()).join("model.safetensors");
    let start = format!("start={}", model.display());
    let surgery = "prune.regrow={ kind = \"surgery\", every = { steps = 5 } }";
    for zeros in ["start_zeros=values", "start_zeros=pruned"] {
        let changes = [&short[..], &[surgery, &start, zeros]].concat();
        let out = tempfile::tempdir().expect("a folder");
        let path = run(out.path(), &changes);
        // What was pruned at the last choice is not lost: its values went on being trained.
        let (_, state) = newest_state(&path);
        let file = safetensors::SafeTensors::deserialize(&state).expect("a state");
        let weight = file.tensor("parameter/fc1.weight").expect("a weight");
        let zero = weight.data().chunks(4).filter(|bytes| *bytes == [0; 4]).count();
        assert_eq!(weight.shape().iter().product::<usize>() * 4, weight.data().len());
        assert!(zero < weight.data().len() / 4 / 2, "{zero} zeros of {}", weight.data().len() / 4);
        survives_kills(&changes);
    }
}

#[test]
fn dense_sparse_dense_ends_dense() {
    let out = tempfile::tempdir().expect("a folder");
    let schedule = "prune.schedule={ kind = \"dense-sparse-dense\", sparsity = 0.5 }";
    let path = run(out.path(), &[schedule]);
    let pruned: Vec<u64> =
        facts_of(&path, "pruned").iter().map(|own| own["pruned"].as_u64().expect("a count")).collect();
    assert_eq!(pruned, [29_919, 0]);
    // What came back is trained, but for what reads units that never answer.
    let last = facts_of(&path, "tested").pop().expect("a test");
    assert!(last["size"]["nonzero"].as_u64() > Some(29_919 + 10_000), "{last}");
}

#[test]
fn a_falling_list_grows_by_gradients_and_keeps_what_lives() {
    let out = tempfile::tempdir().expect("a folder");
    let schedule = "prune.schedule={ kind = \"list\", sparsities = [0.9, 0.8], falling = true }";
    let path = run(out.path(), &[schedule, "prune.every={ steps = 10 }"]);
    let pruned: Vec<u64> =
        facts_of(&path, "pruned").iter().map(|own| own["pruned"].as_u64().expect("a count")).collect();
    assert_eq!(pruned, [53_854, 47_870]);
}

#[test]
fn weights_fade_before_they_go() {
    let sgd = "train.optimizer={ kind = \"sgd\", lr = 0.05, momentum = 0.9, weight_decay = 0.01 }";
    let base =
        ["device=flex", sgd, "data.synthetic_train=640", "train.length={ steps = 20 }", "prune.every={ steps = 0 }"];
    let lost = |gsm: &[&str]| {
        let out = tempfile::tempdir().expect("a folder");
        let path = run(out.path(), &[&base[..], gsm].concat());
        let moves = facts_of(&path, "tested");
        let correct = |stage: &str| {
            let test = moves.iter().find(|test| test["stage"] == stage).expect("a test");
            test["score"]["correct"].as_f64().expect("a count")
        };
        correct("dense") - correct("just_pruned")
    };
    let (without, with) = (lost(&[]), lost(&["prune.gsm={ steps = 60 }"]));
    assert!(with < without, "a prune after fading costs {with} answers, at once {without}");
    let said = fail(&["plan", "configs/smoke.toml", "--set", "device=flex", "--set", "prune.gsm={ steps = 9 }"]);
    assert!(said.contains("wanted sgd with a momentum and a weight_decay above 0"), "{said}");
}
