//! `secateur plan`: what a run would do, as a table.

use super::{Done, experiment, print};
use crate::args::PlanArgs;
use anyhow::Result;
use secateur_trainer::plan::{Planned, Stage, Training};
use secateur_trainer::{Experiment, Measure};
use std::fmt::Write;
use std::iter::Peekable;

/// Prints the plan.
pub(crate) fn plan(args: &PlanArgs) -> Result<Done> {
    let (experiment, _) = experiment(&args.config, None)?;
    print(&table(&experiment))?;
    Ok(Done::Whole)
}

/// The plan as aligned text.
fn table(experiment: &Experiment) -> String {
    let (plan, cost, config) = (experiment.plan(), experiment.network().cost(), experiment.config());
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{}", text.trim_end()).expect("strings take all");
    line(format!("run        {}", experiment.run_name()));
    line(format!("model      {}, {} parameters, {} MACs an image", config.model, cost.parameters, cost.macs));
    line(format!(
        "training   {}, batch {}, {} steps an epoch",
        config.train.optimizer, config.train.batch_size, plan.epoch_steps
    ));
    if let Some(prune) = config.prune.as_ref().filter(|prune| prune.enabled) {
        let kind = match prune.granularity.to_string() {
            single if single == "element" => String::new(),
            other => format!(" by {other}"),
        };
        line(format!(
            "pruning    {} {}{kind}, {}, of {} weights",
            prune.scope,
            prune.criterion,
            prune.schedule,
            experiment.prunable_elements()
        ));
        line(format!("prunable   {}", experiment.prunable().join(" ")));
    }
    if let Some(start) = &config.start {
        line(format!("start      {}", start.display()));
    }
    let images = experiment.images();
    line(format!("images     {} train, {} validation, {} test", images.train, images.validation, images.test));
    line(format!("in all     {} steps, {} prunes", plan.steps(), plan.prunes()));
    line(String::new());
    let in_macs = experiment.pruning().is_some_and(|pruning| pruning.targets().measure == Measure::Macs);
    let share = if in_macs { "MACs gone" } else { "sparsity" };
    line(format!("{:>5}  {:<10} {:>9}  {:>9}  {:>10}  {:>11}", "cycle", "stage", "steps", "until", share, "weights"));
    let (mut until, mut sparsity, mut left) = (0, 0.0, "all".to_owned());
    let mut stages = plan.stages.iter().peekable();
    while let Some(planned) = stages.next() {
        let (mut steps, mut note) = (String::new(), String::new());
        let stage = match &planned.stage {
            Stage::Train(training) => {
                let (length, moves) = whole(training, &mut stages);
                until += length;
                steps = length.to_string();
                if moves > 0 {
                    note = format!("  masks move {moves} times");
                }
                if training.focus.is_some() { "fade" } else { "train" }
            }
            Stage::Prune(target) => {
                sparsity = target.get();
                left = experiment.kept(*target).map_or_else(|| "by scores".into(), |kept| kept.to_string());
                "prune"
            }
            Stage::Test(_) => "test",
            Stage::Remember => "remember",
            Stage::Rewind => "rewind",
            Stage::Reinitialise => "redraw",
            Stage::Exchange(_) | Stage::Choose(_) => continue,
            Stage::Judge => "judge",
            Stage::Refine => {
                left = "by search".into();
                "refine"
            }
            Stage::Settle => "settle",
        };
        line(format!(
            "{:>5}  {stage:<10} {steps:>9}  {until:>9}  {:>8.2} %  {left:>11}{note}",
            planned.cycle,
            100.0 * sparsity
        ));
    }
    out
}

/// The steps of a training that is cut where masks move, and how often they do.
fn whole<'a>(first: &Training, rest: &mut Peekable<impl Iterator<Item = &'a Planned>>) -> (u64, usize) {
    let (mut steps, mut moves) = (first.steps, 0);
    while rest.next_if(|planned| matches!(planned.stage, Stage::Exchange(_) | Stage::Choose(_))).is_some() {
        moves += 1;
        if let Some(Planned { stage: Stage::Train(more), .. }) =
            rest.next_if(|planned| matches!(planned.stage, Stage::Train(_)))
        {
            steps += more.steps;
        }
    }
    (steps, moves)
}
