//! Which controls belong to a series: those that had the same training. A wrong one is worse than none. Pure.

use serde_json::Value;

use super::{comparable, same_data};
use crate::event::RunStarted;
use crate::record::Control;
use crate::report::ReportInput;
use crate::series::{Pool, RunSeries, Sample};
use crate::statistics::Spread;

/// What is said where there is no control.
const NO_DENSE: &str = "no dense control of equal steps";
const NO_RANDOM: &str = "no random control of equal steps";

/// Settings of the section `train` in which a run and its control may differ: how training is cut into stages, which the number
/// of steps and the learning rates say, and how layers are computed.
const STAGES: [&str; 2] = ["length", "paths"];

/// A control, and how far a series is from it.
#[derive(Clone, Copy)]
pub(crate) struct Against<'s, 'a> {
    pub(crate) series: &'s RunSeries<'a>,
    /// The series minus the control in points of top-1, over the seeds that both have.
    pub(crate) spread: Spread,
}

/// Whether a run is trained as another one is: as many steps, on the same images in the same batches, by the same optimizer at the
/// same learning rates, from the same start. What a log does not tell is not the same.
pub(crate) fn belongs(control: &RunStarted, run: &RunStarted) -> bool {
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
    control.is_known()
        && run.is_known()
        && (&control.dataset, &control.model, control.parameters) == (&run.dataset, &run.model, run.parameters)
        && control.images == run.images
        && same_data(control, run).is_ok()
        && (control.classes, control.batch_size) == (run.classes, run.batch_size)
        && (&control.optimizer, &control.lr_schedule) == (&run.optimizer, &run.lr_schedule)
        && control.start_sha256 == run.start_sha256
        && control.planned_steps == run.planned_steps
        && retraining(control) == retraining(run)
        && training(control) == training(run)
}

/// How far the networks of a pool are from dense ones of equal steps: of the same seed, trained as they are, and tested after
/// as many steps. Of several controls the one with the most seeds counts, then the first. Why there is none.
pub(crate) fn vs_dense<'s, 'a>(
    series: &RunSeries<'_>,
    pool: &Pool<'_>,
    all: &'s [RunSeries<'a>],
) -> Result<Against<'s, 'a>, &'static str> {
    if series.control == Control::Dense || pool.target == 0.0 {
        return Err("");
    }
    let against = |other: &'s RunSeries<'a>| {
        let differences = pool.samples.iter().filter_map(|sample| {
            let control = other.runs.iter().find(|run| run.record.started.seed == sample.seed)?;
            Some(sample.top_1()? - 100.0 * dense_at(control, sample)?)
        });
        Some(Against { series: other, spread: Spread::of(&differences.collect::<Vec<_>>())? })
    };
    most(all.iter().filter(|other| other.control == Control::Dense).filter_map(against)).ok_or(NO_DENSE)
}

/// Top-1 in `[0, 1]` of a dense control's network after as many steps as the sample's; `None` where the run is not its control, or
/// was not tested then.
pub(crate) fn dense_at(control: &ReportInput, sample: &Sample<'_>) -> Option<f64> {
    let (record, step) = (&control.record, sample.point.trained?.step);
    if record.control() != Control::Dense || !belongs(&record.started, &sample.run.record.started) {
        return None;
    }
    let test = record.points().iter().filter_map(|point| point.trained).rfind(|test| test.step == step)?;
    Some(test.score.accuracy())
}

/// How far the networks of a pool are from randomly pruned ones: of the same seed, pruned as much in the same groups of weights, and
/// trained as they are. A control of the same scope comes first, then the one with the most seeds. Why there is none.
pub(crate) fn vs_random<'s, 'a>(
    series: &RunSeries<'_>,
    pool: &Pool<'_>,
    all: &'s [RunSeries<'a>],
) -> Result<Against<'s, 'a>, &'static str> {
    if series.control == Control::Dense || pool.target == 0.0 {
        return Err("");
    }
    let method = |series: &RunSeries<'_>| series.runs[0].record.started.method.clone();
    let own = method(series);
    let controls = |same_scope: bool| {
        let fits = |other: &&RunSeries<'_>| {
            let (Some(own), Some(control)) = (&own, method(other)) else { return false };
            own.granularity == control.granularity && (own.scope == control.scope) == same_scope
        };
        let others = all.iter().filter(|other| other.control == Control::Random && other.id != series.id).filter(fits);
        most(others.filter_map(|other| {
            let beside = other.at(series.unit, pool.target)?;
            let differences = pool.samples.iter().filter_map(|sample| {
                let control = beside.samples.iter().find(|control| control.seed == sample.seed)?;
                let belongs = belongs(&control.run.record.started, &sample.run.record.started);
                (belongs && comparable(sample, control, series.unit).is_ok()).then_some(())?;
                Some(sample.top_1()? - control.top_1()?)
            });
            Some(Against { series: other, spread: Spread::of(&differences.collect::<Vec<_>>())? })
        }))
    };
    controls(true).or_else(|| controls(false)).ok_or(NO_RANDOM)
}

/// That with the most seeds, of equals the first.
fn most<'s, 'a: 's>(all: impl Iterator<Item = Against<'s, 'a>>) -> Option<Against<'s, 'a>> {
    all.reduce(|best, next| if next.spread.n > best.spread.n { next } else { best })
}
