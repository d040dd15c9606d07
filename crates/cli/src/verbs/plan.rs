//! `secateur plan`: what a run would do, as a table.

use super::{Done, experiment, print};
use crate::args::PlanArgs;
use anyhow::Result;
use secateur_trainer::plan::{Stage, Training};
use secateur_trainer::{Experiment, Measure};
use std::fmt::Write;

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
    for planned in &plan.stages {
        let mut steps = String::new();
        let stage = match &planned.stage {
            Stage::Train(Training { steps: length, .. }) => {
                until += length;
                steps = length.to_string();
                "train"
            }
            Stage::Prune(target) => {
                sparsity = target.get();
                left = experiment.kept(*target).map_or_else(|| "by scores".into(), |kept| kept.to_string());
                "prune"
            }
            Stage::Test(_) => "test",
            Stage::Remember => "remember",
            Stage::Rewind => "rewind",
        };
        line(format!(
            "{:>5}  {stage:<10} {steps:>9}  {until:>9}  {:>8.2} %  {left:>11}",
            planned.cycle,
            100.0 * sparsity
        ));
    }
    out
}
