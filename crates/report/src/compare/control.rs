//! Which controls belong to a series: those that had the same training. A wrong one is worse than none. Pure.

use super::training::{But, settings_alike, trained_alike};
use super::{Comparison, comparable, judge};
use crate::event::Tested;
use crate::interval::split;
use crate::record::Control;
use crate::report::ReportInput;
use crate::series::{Pool, RunSeries, Sample};
use crate::statistics::Spread;

/// What is said where there is no control.
const NO_DENSE: &str = "no dense control of equal steps";
const NO_RANDOM: &str = "no random control of equal steps";

/// Settings of the section `prune` that say how long is trained after a prune.
const LENGTHS: [&str; 2] = ["every", "gsm"];

/// A control, and how far a series is from it.
#[derive(Clone, Copy)]
pub(crate) struct Against<'s, 'a> {
    pub(crate) series: &'s RunSeries<'a>,
    /// Seeds that both have.
    pub(crate) pairs: usize,
    /// The series minus the control in points of top-1, over these seeds; `None` where some of either's collapsed and others did
    /// not.
    pub(crate) spread: Option<Spread>,
}

impl<'s, 'a> Against<'s, 'a> {
    /// Of each seed of the pool that has a control, the difference and whether the control collapsed.
    fn of(series: &'s RunSeries<'a>, pool: &Pool<'_>, pairs: &[(f64, bool)]) -> Option<Self> {
        let collapsed = pairs.iter().filter(|(_, collapsed)| *collapsed).count();
        let whole = split(pool).is_none() && (collapsed == 0 || collapsed == pairs.len());
        let spread = Spread::of(&pairs.iter().map(|(points, _)| *points).collect::<Vec<_>>());
        (!pairs.is_empty()).then_some(Self { series, pairs: pairs.len(), spread: spread.filter(|_| whole) })
    }
}

/// Whether a run is a dense one of the same seed that is trained as another run is, as far as both logs go.
pub(crate) fn is_dense_control(control: &ReportInput, run: &ReportInput) -> bool {
    control.record.started.seed == run.record.started.seed && trains_as(control, run)
}

/// The same, of any seed.
fn trains_as(control: &ReportInput, run: &ReportInput) -> bool {
    control.record.control() == Control::Dense && trained_alike(&control.record, &run.record, u64::MAX, But::Nothing)
}

/// Whether a series' dense control is among these runs, and has not ended yet.
pub(crate) fn is_awaited(series: &RunSeries<'_>, runs: &[&ReportInput]) -> bool {
    runs.iter().any(|run| run.record.ended.is_none() && trains_as(run, series.runs[0]))
}

/// Why a dense series is the control of no other one: `2.67 times the steps`, or `other training`. `None` where it is the control
/// of one, where nothing is pruned, and for a series that prunes.
pub(crate) fn no_control(dense: &RunSeries<'_>, all: &[RunSeries<'_>]) -> Option<String> {
    if dense.control != Control::Dense || all.iter().all(|series| series.control == Control::Dense) {
        return None;
    }
    let pruned = || all.iter().filter(|series| series.control != Control::Dense);
    if pruned().any(|series| trains_as_series(dense, series, But::Nothing)) {
        return None;
    }
    let started = |series: &RunSeries<'_>| series.runs[0].record.started.clone();
    let own = started(dense);
    let longer = pruned().map(started).filter(|other| settings_alike(&own, other, But::Steps));
    let ratios = longer.map(|other| own.planned_steps as f64 / other.planned_steps.max(1) as f64);
    let nearest = ratios.min_by(|a, b| a.ln().abs().total_cmp(&b.ln().abs()));
    let told = nearest.map(|ratio| format!("{ratio:.2}")).filter(|ratio| ratio != "1.00");
    Some(told.map_or_else(|| "other training".to_owned(), |ratio| format!("{ratio} times the steps")))
}

/// Whether any run of a dense series is trained as one of another series is. Its runs differ by seed only, so that it is looked at
/// the logs of all of them only where the first ones begin alike.
pub(crate) fn trains_as_series(dense: &RunSeries<'_>, other: &RunSeries<'_>, but: But) -> bool {
    let first = |series: &RunSeries<'_>| series.runs[0].record.started.clone();
    settings_alike(&first(dense), &first(other), but)
        && dense
            .runs
            .iter()
            .any(|control| other.runs.iter().any(|run| trained_alike(&control.record, &run.record, u64::MAX, but)))
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
            let test = dense_at(control, sample)?;
            let collapsed = test.score.is_collapsed(control.record.started.classes);
            Some((sample.top_1()? - 100.0 * test.score.accuracy(), collapsed))
        });
        Against::of(other, pool, &differences.collect::<Vec<_>>())
    };
    most(all.iter().filter(|other| other.control == Control::Dense).filter_map(against)).ok_or(NO_DENSE)
}

/// The test of a dense control's network after as many steps as the sample's; `None` where the run is not its control, or was not
/// tested then.
pub(crate) fn dense_at<'c>(control: &'c ReportInput, sample: &Sample<'_>) -> Option<&'c Tested> {
    dense_test(control, sample, But::Nothing).ok()
}

/// The same of a control that may differ in something; why there is none.
fn dense_test<'c>(control: &'c ReportInput, sample: &Sample<'_>, but: But) -> Result<&'c Tested, &'static str> {
    let record = &control.record;
    let step = sample.point.trained.ok_or("not trained after its prune")?.step;
    if record.control() != Control::Dense || !trained_alike(record, &sample.run.record, step, but) {
        return Err("other training");
    }
    let test = record.points().iter().filter_map(|point| point.trained).rfind(|test| test.step == step);
    test.ok_or("the dense one was not tested after as many steps")
}

/// Pruned networks of another size against the dense one of this series, seed by seed: trained as it is but for the size of their
/// model, and tested after as many steps. All these comparisons are made together.
pub(crate) fn against_other_size(pools: &[&Pool<'_>], dense: &RunSeries<'_>) -> Vec<Comparison> {
    let against = |pool: &&Pool<'_>| {
        if let Some(why) = super::collapsed(pool, &dense.dense) {
            return Comparison::not_comparable(None, why);
        }
        let (mut differences, mut why) = (Vec::new(), "no seed in common");
        for sample in &pool.samples {
            let Some(control) = dense.runs.iter().find(|run| run.record.started.seed == sample.seed) else { continue };
            match (dense_test(control, sample, But::Size), sample.point.trained) {
                (Ok(two), Some(one)) => differences.push(super::difference(one, two)),
                (Err(found), _) => why = found,
                (Ok(_), None) => {}
            }
        }
        if differences.is_empty() {
            return Comparison::not_comparable(None, why.to_owned());
        }
        Comparison::paired(&differences)
    };
    let mut all: Vec<_> = pools.iter().map(against).collect();
    judge(&mut all);
    all
}

/// How far the networks of a pool are from randomly pruned ones: of the same seed, pruned as much in the same groups of weights, and
/// trained as they are, before and after the prune, and for as many steps. A control of the same scope comes first, then the one with
/// the most seeds. Why there is none.
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
            let length =
                |of: &Option<crate::event::Settings>, key: &str| of.as_ref().and_then(|of| of.get(key).cloned());
            (&own.granularity, &own.retrain) == (&control.granularity, &control.retrain)
                && LENGTHS.iter().all(|key| length(&own.others, key) == length(&control.others, key))
                && (own.scope == control.scope) == same_scope
        };
        let others = all.iter().filter(|other| other.control == Control::Random && other.id != series.id).filter(fits);
        most(others.filter_map(|other| {
            let beside = other.at(series.unit, pool.target)?;
            let differences = pool.samples.iter().filter_map(|sample| {
                let control = beside.samples.iter().find(|control| control.seed == sample.seed)?;
                let (step, other) = (sample.point.trained?.step, control.point.trained?.step);
                let alike = trained_alike(&control.run.record, &sample.run.record, step, But::Nothing);
                (alike && step == other && comparable(sample, control, series.unit).is_ok()).then_some(())?;
                Some((sample.top_1()? - control.top_1()?, control.point.is_collapsed()))
            });
            Against::of(other, pool, &differences.collect::<Vec<_>>())
        }))
    };
    controls(true).or_else(|| controls(false)).ok_or(NO_RANDOM)
}

/// That with the most seeds, of equals the first.
fn most<'s, 'a: 's>(all: impl Iterator<Item = Against<'s, 'a>>) -> Option<Against<'s, 'a>> {
    all.reduce(|best, next| if next.pairs > best.pairs { next } else { best })
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
