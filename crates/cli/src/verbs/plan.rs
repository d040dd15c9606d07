//! `secateur plan`: what a run would do, as a table.

use super::{Done, experiment, print};
use crate::args::PlanArgs;
use anyhow::Result;
use secateur_trainer::plan::{Planned, Stage, Training};
use secateur_trainer::{Experiment, Measure, Pruning};
use std::fmt::Write;
use std::iter::Peekable;

/// Prints the plan, once everything is checked that a run reads before it begins.
pub(crate) fn plan(args: &PlanArgs) -> Result<Done> {
    let (experiment, _) = experiment(&args.config, Some(&args.place))?;
    secateur_trainer::check_inputs(&experiment)?;
    print(&table(&experiment))?;
    experiment.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(Done::Whole)
}

/// The plan as aligned text.
fn table(experiment: &Experiment) -> String {
    let (plan, graph, config) = (experiment.plan(), experiment.graph(), experiment.config());
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{}", text.trim_end()).expect("strings take all");
    line(format!("run        {}", experiment.run_name()));
    line(format!(
        "model      {}, {} parameters, {} MACs an image",
        config.model,
        graph.parameter_count(),
        graph.macs()
    ));
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
            prune.scope(),
            prune.criterion,
            prune.schedule,
            experiment.prunable_elements()
        ));
        line(format!("prunable   {}", experiment.prunable().join(" ")));
        let stay = experiment.pruning().map_or(&[][..], Pruning::pinned);
        if !stay.is_empty() {
            let names = stay.join(" ");
            line(format!(
                "stay       {names}: units that are answers, or of groups, lose only what they read of units that are gone"
            ));
        }
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
    line(format!(
        "{:>5}  {:<8} {:>8}  {:>8}  {:>10}  {:>9}  {}",
        "cycle", "stage", "steps", "until", share, "weights", "learning rate"
    ));
    let (mut until, mut sparsity, mut left) = (0, 0.0, "all".to_owned());
    let mut stages = plan.stages.iter().peekable();
    while let Some(planned) = stages.next() {
        let (mut steps, mut note) = (String::new(), String::new());
        let stage = match &planned.stage {
            Stage::Train(training) => {
                let parts = parts(training, &mut stages);
                let length: u64 = parts.iter().map(|own| own.steps).sum();
                until += length;
                steps = length.to_string();
                note = rates(&parts.iter().map(|own| experiment.rates(own)).collect::<Vec<_>>());
                if parts.len() > 1 {
                    note += &format!("  masks move {} times", parts.len() - 1);
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
            "{:>5}  {stage:<8} {steps:>8}  {until:>8}  {:>8.2} %  {left:>9}  {note}",
            planned.cycle,
            100.0 * sparsity
        ));
    }
    out
}

/// The learning rate at the first and last step of a training, and what it rises to between them, in words.
fn rates(parts: &[[f64; 3]]) -> String {
    let (first, last) = (parts.first().map_or(0.0, |own| own[0]), parts.last().map_or(0.0, |own| own[2]));
    let highest = parts.iter().map(|own| own[1]).fold(first.max(last), f64::max);
    let [first_word, highest_word, last_word] = [first, highest, last].map(|rate| format!("{rate:.2e}"));
    if highest_word != first_word && highest_word != last_word {
        return format!("{first_word} up to {highest_word}, to {last_word}");
    }
    if first_word == last_word { first_word } else { format!("{first_word} to {last_word}") }
}

/// The parts of a training that is cut where masks move.
fn parts<'a>(first: &'a Training, rest: &mut Peekable<impl Iterator<Item = &'a Planned>>) -> Vec<&'a Training> {
    let mut parts = vec![first];
    while rest.next_if(|planned| matches!(planned.stage, Stage::Exchange(_) | Stage::Choose(_))).is_some() {
        if let Some(Planned { stage: Stage::Train(more), .. }) =
            rest.next_if(|planned| matches!(planned.stage, Stage::Train(_)))
        {
            parts.push(more);
        }
    }
    parts
}
