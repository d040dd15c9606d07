//! What a pruned network owes to its weights, and what to the choice of its masks.

use super::*;

#[test]
fn shuffled_masks_keep_their_counts() {
    let once = |changes: &[&str]| {
        let out = tempfile::tempdir().expect("a folder");
        let path = run(out.path(), &[&["prune.every={ steps = 1 }"], changes].concat());
        (kept(&path), masks(&path))
    };
    let ((counts, chosen), (shuffled_counts, shuffled)) = (once(&[]), once(&["prune.shuffle=true"]));
    assert_eq!(counts, shuffled_counts);
    assert!(chosen.iter().zip(&shuffled).all(|(a, b)| a != b));
}

#[test]
fn weights_are_drawn_anew_and_masks_stay() {
    let once = |kind: &str| {
        let out = tempfile::tempdir().expect("a folder");
        let path = run(out.path(), &["prune.every={ steps = 0 }", &format!("retrain.kind={kind}")]);
        let accuracies = ["just_pruned", "retrained"].map(|stage| accuracy(&path, stage));
        (masks(&path), accuracies)
    };
    let (tuned_masks, tuned) = once("fine-tune");
    let (drawn_masks, drawn) = once("reinitialise");
    assert_eq!(tuned_masks, drawn_masks);
    assert_eq!(tuned[0], drawn[0], "what was pruned is the same network");
    assert!(drawn[1] < tuned[1], "{drawn:?} {tuned:?}: fresh weights have not learned");
}

#[test]
fn a_run_may_rewind_to_any_step() {
    let out = tempfile::tempdir().expect("a folder");
    let rewind = ["retrain.kind=rewind-weights", "retrain.rewind_to={ steps = 7 }", "prune.every={ steps = 0 }"];
    let path = run(out.path(), &rewind);
    // Back at step 7 of the training: worse than the dense end of it.
    assert!(accuracy(&path, "retrained") < accuracy(&path, "dense"));
    let said = fail(&[
        "plan",
        "configs/smoke.toml",
        "--set",
        "retrain.kind=reinitialise",
        "--set",
        "retrain.rewind_to={ steps = 7 }",
    ]);
    assert!(said.contains("`retrain.rewind_to`"), "{said}");
}

#[test]
fn a_network_that_collapses_is_told_of_when_it_does() {
    let out = tempfile::tempdir().expect("a folder");
    let said = |sparsity: &str| {
        let schedule = format!("prune.schedule={{ kind = \"one-shot\", sparsity = {sparsity} }}");
        let args = with(out.path(), &[&schedule, "retrain.final={ steps = 1 }"]);
        let output = output(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).contains("the network has collapsed")
    };
    assert!(said("0.9999") && !said("0.3"));
}
