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
    // The last of the exchanges, of a share of 0, is none.
    let first = ["1:train 6@0/20", "1:exchange 0.150", "1:train 14@6/20"];
    assert_eq!(words(&moving)[4..7], first);
    let trainings: Vec<bool> = moving.trainings().map(|training| training.chooses).collect();
    assert_eq!(trainings, [true, false, true, false, true], "masks are the last ones' own");
    assert!(moving.trainings().all(|training| training.closes == training.chooses));
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
    assert!(fading.trainings().all(|own| own.closes), "what follows is another network");
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

#[test]
fn a_training_that_rewinds_has_the_dense_trainings_rate_at_every_step() {
    let cosine = |restart| LrSchedule::Cosine { warmup: Length::Steps(2), floor: 0.0, restart };
    // Its fifth fall comes right after the dense training's end.
    let step = |restart| LrSchedule::Step { every: Length::Steps(4), factor: 0.5, restart };
    for (restart, own) in [
        ("never", cosine(Restart::Never)),
        ("cycle", cosine(Restart::Cycle)),
        ("never", step(Restart::Never)),
        ("cycle", step(Restart::Cycle)),
    ] {
        for kind in ["rewind-weights", "rewind-lr"] {
            let schedule = format!("train.lr_schedule={}", toml::Value::try_from(own).expect("TOML"));
            let rewind = format!("retrain={{kind=\"{kind}\", rewind_to={{steps=7}}, final={{steps=16}}}}");
            let plan = plan(&[&schedule, &rewind, "prune.every={ steps = 13 }"]);
            let rate = |training: &Training, step| training.rate(step, &own, plan.epoch_steps);
            let trainings: Vec<&Training> = plan.trainings().collect();
            let dense: Vec<f64> = trainings
                .iter()
                .zip(plan.stages.iter().filter(|own| matches!(own.stage, Stage::Train(_))))
                .filter(|(_, planned)| planned.cycle == 0)
                .flat_map(|(training, _)| (0..training.steps).map(|step| rate(training, step)))
                .collect();
            assert_eq!(dense.len(), 20);
            for (training, length) in trainings[trainings.len() - 2..].iter().zip([13, 16]) {
                assert_eq!(training.steps, length);
                let own: Vec<f64> = (0..length).map(|step| rate(training, step)).collect();
                assert_eq!(own[..13], dense[7..], "{restart} {kind}");
                if length == 13 {
                    continue;
                }
                // Three steps come after the dense training's end.
                assert_eq!(training.steps_after_schedule(), if restart == "cycle" { 3 } else { 0 });
                if restart == "cycle" {
                    assert_eq!(own[13..], [dense[19]; 3], "it stays what it was at the last dense step");
                } else {
                    // The schedule spans the run, so it goes on falling.
                    assert!(own[12] > own[13] && own[15] > 0.0, "{own:?}");
                }
            }
        }
    }
}

#[test]
fn readme_s_config_rewinds_into_its_dense_schedule() {
    // Three dense epochs of cosine, rewound to step 100, and three epochs after the last prune.
    let plan = plan(&[
        "train={ length = { epochs = 3 }, batch_size = 10, optimizer = { kind = \"adam\", lr = 1.0 }, lr_schedule = { kind = \"cosine\" } }",
        "retrain={ kind = \"rewind-weights\", rewind_to = { steps = 10 }, final = { epochs = 3 } }",
    ]);
    let last = *plan.trainings().last().expect("a training");
    assert_eq!((last.steps, last.schedule_from, last.schedule_total, last.steps_after_schedule()), (30, 10, 30, 10));
    let schedule = LrSchedule::Cosine { warmup: Length::Steps(0), floor: 0.0, restart: Restart::Cycle };
    let rates: Vec<f64> = (0..30).map(|step| last.rate(step, &schedule, plan.epoch_steps)).collect();
    assert!(rates.iter().all(|rate| *rate > 0.0) && rates[20..].iter().all(|rate| *rate == rates[19]));
}

#[test]
fn what_fades_goes_on_where_the_training_before_it_ended() {
    let rewound = ["prune.gsm={ steps = 4 }", "retrain={ kind = \"rewind-lr\", rewind_to = { epochs = 1 } }"];
    let fading = plan(&rewound);
    assert_eq!(words(&fading)[2..6], ["1:train 4@0/4", "1:prune 0.5", "1:pruned", "1:train 3@10/20"]);
    let across = plan(&[&rewound[..], &["train.lr_schedule={ kind = \"cosine\", restart = \"never\" }"]].concat());
    let trainings: Vec<String> = words(&across).into_iter().filter(|word| word.contains("train ")).collect();
    let expected = ["0:train 20@0/34", "1:train 4@20/34", "1:train 3@10/34", "2:train 4@13/34", "2:train 3@10/34"];
    assert_eq!(trainings, expected);
}

#[test]
fn a_part_of_a_training_knows_the_rates_of_the_steps_before_it() {
    use crate::learning_rate::{LrSchedule, Restart};
    let cosine = LrSchedule::Cosine { warmup: Length::Steps(4), floor: 0.0, restart: Restart::Cycle };
    let whole =
        Training { steps: 20, lr: 0.1, schedule_from: 0, schedule_total: 20, chooses: true, closes: true, focus: None };
    let all: Vec<f64> = (0..20).map(|step| whole.rate(step, &cosine, 10)).collect();
    let piece = whole.piece(12, 20);
    // Seven steps up to its third: four of them are of the part before it.
    assert_eq!(piece.rates_to(2, 7, &cosine, 10), all[8..15]);
    assert_eq!(whole.rates_to(9, 10, &cosine, 10), all[..10]);
}
