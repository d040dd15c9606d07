//! Plans as lists of words.

use super::*;

fn plan(changes: &[&str]) -> Plan {
    let text = r#"
        name = "p"
        model = { kind = "lenet", width = 1 }
        train = { length = { epochs = 2 }, batch_size = 10, optimizer = { kind = "adam", lr = 1.0 } }
        [prune]
        schedule = { kind = "list", sparsities = [0.5, 0.9] }
        every = { steps = 3 }
    "#;
    let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
    let config = ExperimentConfig::parse("p", text, &changes).expect("valid");
    let targets = [0.5, 0.9].map(|share| Sparsity::new(share).expect("in range"));
    Plan::new(&config, 95, &targets).expect("a plan")
}

/// Each stage as a word: `0:train 20@0/20`.
fn words(plan: &Plan) -> Vec<String> {
    let word = |planned: &Planned| {
        let what = match &planned.stage {
            Stage::Train(t) => format!("train {}@{}/{}", t.steps, t.schedule_from, t.schedule_total),
            Stage::Prune(target) => format!("prune {}", target.get()),
            Stage::Test(event::Stage::Dense) => "dense".into(),
            Stage::Test(event::Stage::JustPruned) => "pruned".into(),
            Stage::Test(event::Stage::Retrained) => "retrained".into(),
            Stage::Remember => "remember".into(),
            Stage::Rewind => "rewind".into(),
            Stage::Reinitialise => "redraw".into(),
            Stage::Exchange(share) => format!("exchange {share:.3}"),
            Stage::Choose(target) => format!("choose {}", target.get()),
            Stage::Judge => "judge".into(),
            Stage::Refine => "refine".into(),
            Stage::Settle => "settle".into(),
        };
        format!("{}:{what}", planned.cycle)
    };
    plan.stages.iter().map(word).collect()
}

#[test]
fn epochs_and_steps_mix() {
    let plan = plan(&["retrain.final={epochs=1}"]);
    assert_eq!(plan.epoch_steps, 10, "95 images in batches of 10 make 9 full ones and a half");
    let expected = [
        "0:train 20@0/20",
        "0:dense",
        "1:prune 0.5",
        "1:pruned",
        "1:train 3@0/3",
        "1:retrained",
        "2:prune 0.9",
        "2:pruned",
        "2:train 10@0/10",
        "2:retrained",
    ];
    assert_eq!(words(&plan), expected);
    assert_eq!((plan.steps(), plan.prunes()), (33, 2));
}

#[test]
fn one_schedule_may_span_the_run() {
    let plan = plan(&["train.lr_schedule={kind=\"cosine\", restart=\"never\"}", "test.every_cycles=2"]);
    let expected = [
        "0:train 20@0/26",
        "0:dense",
        "1:prune 0.5",
        "1:train 3@20/26",
        "2:prune 0.9",
        "2:pruned",
        "2:train 3@23/26",
        "2:retrained",
    ];
    assert_eq!(words(&plan), expected);
}

#[test]
fn the_dense_control_trains_the_same_and_prunes_nothing() {
    let control = plan(&["prune.enabled=false"]);
    assert_eq!(
        words(&control),
        ["0:train 20@0/20", "0:dense", "1:train 3@0/3", "1:retrained", "2:train 3@0/3", "2:retrained"]
    );
    assert_eq!(control.steps(), plan(&[]).steps());
}

#[test]
fn training_is_cut_where_masks_move() {
    let moving =
        plan(&["prune.every={ steps = 20 }", "prune.regrow={ kind = \"set\", every = { steps = 6 }, until = 0.6 }"]);
    let first = ["1:train 6@0/20", "1:exchange 0.150", "1:train 6@6/20", "1:exchange 0.000", "1:train 8@12/20"];
    assert_eq!(words(&moving)[4..9], first);
    let trainings: Vec<bool> = moving.trainings().map(|training| training.chooses).collect();
    assert_eq!(trainings, [true, false, false, true, false, false, true], "masks are the last ones' own");
    // The control trains the same steps in one piece.
    let control = plan(&[
        "prune.enabled=false",
        "prune.every={ steps = 20 }",
        "prune.regrow={ kind = \"set\", every = { steps = 6 } }",
    ]);
    assert_eq!(control.steps(), moving.steps());
    assert_eq!(words(&control)[2], "1:train 20@0/20");
    let surgery = plan(&["prune.every={ steps = 20 }", "prune.regrow={ kind = \"surgery\", every = { steps = 15 } }"]);
    assert_eq!(words(&surgery)[5], "1:choose 0.5");
}

#[test]
fn weights_fade_before_a_prune_and_a_budget_is_judged() {
    let fading = plan(&["prune.gsm={ steps = 4 }"]);
    assert_eq!(words(&fading)[2..5], ["1:train 4@0/4", "1:prune 0.5", "1:pruned"]);
    let focus: Vec<Option<f64>> = fading.trainings().map(|own| own.focus.map(|target| target.get())).collect();
    assert_eq!(focus, [None, Some(0.5), None, Some(0.9), None]);
    let budget = plan(&["prune.until={ within = 1.0, refinements = 1 }"]);
    let wanted = [
        "0:train 20@0/20",
        "0:judge",
        "1:prune 0.5",
        "1:train 3@0/3",
        "1:judge",
        "2:prune 0.9",
        "2:train 3@0/3",
        "2:judge",
        "3:refine",
        "3:train 3@0/3",
        "3:judge",
        "3:settle",
    ];
    assert_eq!(words(&budget), wanted);
    let control = plan(&["prune.until={ within = 1.0, refinements = 1 }", "prune.enabled=false"]);
    assert_eq!(words(&control)[1..4], ["0:dense", "1:train 3@0/3", "1:retrained"]);
}

#[test]
fn lottery_tickets_remember_and_rewind() {
    let tickets = plan(&["retrain.kind=rewind-weights", "retrain.rewind_to={steps=5}", "prune.every={steps=15}"]);
    let expected = [
        "0:train 5@0/20",
        "0:remember",
        "0:train 15@5/20",
        "0:dense",
        "1:prune 0.5",
        "1:pruned",
        "1:rewind",
        "1:train 15@5/20",
        "1:retrained",
        "2:prune 0.9",
        "2:pruned",
        "2:rewind",
        "2:train 15@5/20",
        "2:retrained",
    ];
    assert_eq!(words(&tickets), expected);
    let rates = plan(&["retrain.kind=rewind-lr", "retrain.rewind_to={epochs=1}"]);
    assert_eq!(words(&rates)[4], "1:train 3@10/20");
    let from_the_start = plan(&["retrain.kind=rewind-weights"]);
    assert_eq!(words(&from_the_start)[..2], ["0:remember", "0:train 20@0/20"]);
}
