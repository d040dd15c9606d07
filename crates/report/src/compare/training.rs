//! Whether two runs were trained alike, whatever they prune. Pure.

use serde_json::Value;

use super::same_data;
use crate::event::RunStarted;
use crate::record::RunRecord;

/// Settings of the section `train` in which a run and its control may differ: how training is cut into stages, which the number
/// of steps and the learning rates say, and how layers are computed.
const STAGES: [&str; 2] = ["length", "paths"];
/// Logged learning rates may differ by this part of the highest: between two steps that a log tells, its line is exact to a
/// hundredth of it.
const RATES_APART: f64 = 0.02;

/// In what a dense network may differ from its control, besides how it prunes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum But {
    Nothing,
    /// Another size of the model.
    Size,
    /// Another number of steps.
    Steps,
}

/// Whether a run is trained as another one is: as many steps, on the same images in the same batches, by the same optimizer at the
/// same learning rates, from the same start. Learning rates are compared up to a step, or as far as both logs go.
pub(crate) fn trained_alike(control: &RunRecord, run: &RunRecord, step: u64, but: But) -> bool {
    settings_alike(&control.started, &run.started, but) && same_rates(control, run, step)
}

/// Whether their logs begin alike. What a log does not tell is not the same.
pub(super) fn settings_alike(control: &RunStarted, run: &RunStarted, but: But) -> bool {
    let training = |run: &RunStarted| {
        let mut settings = run.settings.clone().unwrap_or_default();
        settings.retain(|section, _| !["test", "prune", "retrain"].contains(&section.as_str()));
        if let Some(Value::Object(train)) = settings.get_mut("train") {
            train.retain(|key, _| !STAGES.contains(&key.as_str()));
        }
        settings
    };
    let retraining = |run: &RunStarted| {
        let rate = match &run.method {
            Some(method) => method.retrain.get("lr").cloned(),
            None => run.settings.as_ref().and_then(|all| all.get("retrain")?.get("lr").cloned()),
        };
        rate.filter(|_| run.planned_prunes > 0 || run.method.is_none())
    };
    let size = |run: &RunStarted| (run.model.clone(), run.parameters);
    control.is_known()
        && run.is_known()
        && control.dataset == run.dataset
        && (but == But::Size || size(control) == size(run))
        && control.images == run.images
        && same_data(control, run).is_ok()
        && (control.classes, control.batch_size) == (run.classes, run.batch_size)
        && (&control.optimizer, &control.lr_schedule) == (&run.optimizer, &run.lr_schedule)
        && control.start_sha256 == run.start_sha256
        && (but == But::Steps || control.planned_steps == run.planned_steps)
        && retraining(control) == retraining(run)
        && training(control) == training(run)
}

/// Whether both were trained at the same learning rates up to a step. Logs of earlier builds do not tell all of them: there the
/// schedules are the same where training is cut into the same stages, or nothing depends on how it is.
fn same_rates(control: &RunRecord, run: &RunRecord, step: u64) -> bool {
    let (Some(one), Some(two)) = (rates(control, step), rates(run, step)) else {
        return !depends_on_stages(&run.started) || stages(&control.started) == stages(&run.started);
    };
    let (Some(&(last, _)), Some(&(other, _))) = (one.last(), two.last()) else { return true };
    let end = step.min(last).min(other);
    let upto = |rates: &[(u64, f64)]| rates.iter().copied().filter(|(at, _)| *at <= end).collect::<Vec<_>>();
    let highest = one.iter().chain(&two).map(|(_, rate)| *rate).fold(0.0, f64::max);
    let near = |points: &[(u64, f64)], line: &[(u64, f64)]| {
        points.iter().all(|&(at, rate)| (rate - value(line, at)).abs() <= RATES_APART * highest)
    };
    near(&upto(&one), &two) && near(&upto(&two), &one)
}

/// Steps and their learning rates up to the end of the epoch in which `step` is; `None` where an epoch does not tell them.
fn rates(record: &RunRecord, step: u64) -> Option<Vec<(u64, f64)>> {
    let ends_before = record.epochs.iter().filter(|epoch| epoch.step < step).count();
    let epochs = &record.epochs[..record.epochs.len().min(ends_before + 1)];
    let told = epochs.iter().all(|epoch| !epoch.learning_rates.is_empty());
    told.then(|| epochs.iter().flat_map(|epoch| epoch.learning_rates.iter().copied()).collect())
}

/// A line through the points at a step; not a number outside of it.
fn value(line: &[(u64, f64)], at: u64) -> f64 {
    let next = line.partition_point(|(step, _)| *step < at);
    match (next.checked_sub(1).map(|before| line[before]), line.get(next)) {
        (_, Some(&(step, rate))) if step == at => rate,
        (Some((from, low)), Some(&(to, high))) => low + (high - low) * (at - from) as f64 / (to - from) as f64,
        _ => f64::NAN,
    }
}

/// Whether the learning rates of a run depend on where its training is cut: where the schedule starts again, or is walked again.
fn depends_on_stages(run: &RunStarted) -> bool {
    let Some(schedule) = &run.lr_schedule else { return true };
    let never = schedule.get("restart").and_then(Value::as_str) == Some("never");
    let rewinds = run.method.as_ref().is_some_and(|method| method.retrain.kind().starts_with("rewind"));
    schedule.kind() != "constant" && (!never || rewinds)
}

/// How training is cut into stages: lengths of the dense training and of those after each prune, and what follows a prune.
fn stages(run: &RunStarted) -> [Option<Value>; 3] {
    let setting = |section: &str, key: &str| run.settings.as_ref()?.get(section)?.get(key).cloned();
    let (every, retrain) = match &run.method {
        Some(method) => (
            method.others.as_ref().and_then(|others| others.get("every").cloned()),
            serde_json::to_value(&method.retrain).ok(),
        ),
        None => (setting("prune", "every"), run.settings.as_ref().and_then(|all| all.get("retrain").cloned())),
    };
    [setting("train", "length"), every, retrain]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Choice, Settings};
    use crate::fixture;
    use serde_json::json;

    /// A run that prunes and a dense one of as many steps, both along a cosine.
    fn runs(restart: &str, retrain: &str) -> [RunRecord; 2] {
        let mut runs = [fixture::l1_events(1), fixture::dense_events(1)].map(|events| fixture::record(&events));
        for run in &mut runs {
            let started = &mut run.started;
            started.lr_schedule = Some(Choice::of_kind("cosine").with("restart", restart));
            started.settings = Some(settings(&json!({ "train": { "length": { "epochs": 4 } } })));
        }
        let method = runs[0].started.method.as_mut().expect("it prunes");
        method.retrain = Choice::of_kind(retrain);
        method.others = Some(settings(&json!({ "every": { "epochs": 4 } })));
        runs
    }

    fn settings(value: &Value) -> Settings {
        serde_json::from_value(value.clone()).expect("an object")
    }

    fn alike(runs: &[RunRecord; 2], step: u64) -> bool {
        trained_alike(&runs[1], &runs[0], step, But::Nothing)
    }

    /// As if each epoch had walked a straight line down, anew after so many of them.
    fn log_rates(run: &mut RunRecord, epochs: usize) {
        let rate = |epoch: usize| 0.05 * (1.0 - epoch as f64 / epochs as f64);
        for (index, epoch) in run.epochs.iter_mut().enumerate() {
            let at = index % epochs;
            epoch.learning_rates = vec![(epoch.step - 429, rate(at)), (epoch.step, rate(at + 1))];
        }
    }

    #[test]
    fn a_schedule_that_starts_again_is_the_same_where_it_starts_again_at_the_same_steps() {
        let mut runs = runs("cycle", "fine-tune");
        assert!(settings_alike(&runs[1].started, &runs[0].started, But::Nothing));
        runs.iter_mut().for_each(|run| log_rates(run, 4));
        assert!(alike(&runs, 13_760));
        // Without a section `prune` a dense run walks its cosine once.
        log_rates(&mut runs[1], 32);
        assert!(!alike(&runs, 13_760) && !alike(&runs, 3_440));
        // Cut elsewhere, the same line is told by other steps.
        runs.iter_mut().for_each(|run| log_rates(run, 32));
        runs[0].epochs[0].learning_rates =
            vec![(1, 0.05), (200, 0.05 - 0.05 * 199.0 / 13_731.0), (430, 0.05 * 31.0 / 32.0)];
        assert!(alike(&runs, 13_760));
        runs[0].epochs[31].learning_rates[0].1 = 0.04;
        assert!(!alike(&runs, 13_760) && alike(&runs, 13_330), "what comes after the step does not count");
    }

    #[test]
    fn logs_that_do_not_tell_the_rates_have_the_same_stages_or_a_schedule_that_needs_none() {
        for (restart, retrain, without, with) in [
            ("cycle", "fine-tune", false, true),
            ("never", "fine-tune", true, true),
            ("never", "rewind-lr", false, true),
            ("cycle", "rewind-weights", false, true),
        ] {
            let mut runs = runs(restart, retrain);
            assert_eq!(alike(&runs, 13_760), without, "{restart}, {retrain}: a dense run without a section `prune`");
            let all = runs[1].started.settings.as_mut().expect("known");
            all.extend(settings(&json!({ "prune": { "every": { "epochs": 4 } }, "retrain": { "kind": retrain } })));
            assert_eq!(alike(&runs, 13_760), with, "{restart}, {retrain}: the same config with `enabled = false`");
            // One log alone tells them.
            log_rates(&mut runs[0], 4);
            assert_eq!(alike(&runs, 13_760), with);
        }
        let mut constant = runs("cycle", "rewind-weights");
        constant.iter_mut().for_each(|run| run.started.lr_schedule = Some(Choice::of_kind("constant")));
        assert!(alike(&constant, 13_760));
    }
}
