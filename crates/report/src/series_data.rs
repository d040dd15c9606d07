//! What the series say, as tables of plain values: of each series and target, of each pair of series at one target.

use crate::compare::{Against, contests, vs_dense, vs_random};
use crate::cost::shown;
use crate::data::{Data, Value, cells};
use crate::group::Group;
use crate::interval::{Interval, split};
use crate::record::Control;
use crate::series::schedule;
use crate::series::{Pool, RunSeries, Sample};

const SERIES: [&str; 55] = [
    "group",
    "dataset",
    "model",
    "series",
    "control",
    "criterion",
    "granularity",
    "scope",
    "schedule",
    "retrain",
    "target_of",
    "target",
    "n",
    "seeds",
    "collapsed",
    "step_mean",
    "accuracy_mean",
    "accuracy_deviation",
    "accuracy_half_width_95",
    "accuracy_min",
    "accuracy_max",
    "accuracy_interval",
    "accuracy_low",
    "accuracy_high",
    "just_pruned_mean",
    "just_pruned_deviation",
    "just_pruned_half_width_95",
    "just_pruned_min",
    "just_pruned_max",
    "sparsity_mean",
    "compression_ratio_mean",
    "nonzero_mean",
    "parameters",
    "remaining_macs_mean",
    "macs",
    "theoretical_speedup_mean",
    "file_precision",
    "file_bytes_mean",
    "single_ms_mean",
    "single_speedup_mean",
    "batch",
    "batch_ms_mean",
    "batch_speedup_mean",
    "dense_control",
    "vs_dense_pairs",
    "vs_dense_mean",
    "vs_dense_half_width_95",
    "vs_dense_min",
    "vs_dense_max",
    "random_control",
    "vs_random_pairs",
    "vs_random_mean",
    "vs_random_half_width_95",
    "vs_random_min",
    "vs_random_max",
];

/// A row a series and target; dense networks have the target 0. Accuracies are shares.
pub(crate) fn series_data(groups: &[Group<'_>]) -> Data {
    let mut data = Data::new(&SERIES);
    for group in groups {
        for series in &group.series {
            let dense = Some(&series.dense).filter(|pool| !pool.samples.is_empty());
            for pool in dense.into_iter().chain(&series.pools) {
                data.row(row(group, series, pool));
            }
        }
    }
    data
}

fn row(group: &Group<'_>, series: &RunSeries<'_>, pool: &Pool<'_>) -> Vec<Value> {
    let started = &series.runs[0].record.started;
    let method = started.method.as_ref();
    let words =
        |of: &dyn Fn(&crate::event::Method) -> String| method.map_or(Value::None, |method| Value::Text(of(method)));
    let mean = |of: &dyn Fn(&Sample<'_>) -> Option<f64>| Value::from(pool.spread(of).map(|spread| spread.mean));
    let size = |of: fn(&crate::event::Size) -> f64| mean(&|sample| Some(of(&sample.point.size()?)));
    let seeds: Vec<_> = pool.samples.iter().map(|sample| sample.seed.to_string()).collect();
    let file = |sample: &Sample<'_>| sample.point.measured?.measured.files.first().cloned();
    let calls = shown(series.runs.iter().map(|run| &run.record));
    let single = calls.iter().find(|call| call.batch == 1);
    let batch = calls.iter().find(|call| call.batch > 1);
    let latency = |call: Option<&crate::cost::Call>, of: fn(&crate::event::Latency) -> f64| {
        mean(&|sample| Some(of(call?.find(sample.point.measured?.inference.as_ref()?)?)))
    };
    let collapsed = pool.samples.iter().filter(|sample| sample.point.is_collapsed()).count();
    let mut out = vec![
        group.title.as_str().into(),
        started.dataset.as_str().into(),
        started.model.as_str().into(),
        series.name.as_str().into(),
        kind(series.control).into(),
        words(&|method| method.criterion.clone()),
        words(&|method| method.granularity.to_string()),
        words(&|method| method.scope.clone()),
        words(&|method| schedule(method, series.unit)),
        words(&|method| method.retrain.kind().to_owned()),
        series.unit.name().into(),
        Value::Number(pool.target),
        pool.top_1().map_or(0, |spread| spread.n).into(),
        Value::Text(seeds.join(" ")),
        collapsed.into(),
        pool.steps().into(),
    ];
    // Where some seeds collapsed and others did not, a mean is one of neither.
    let [mean_of_all, deviation, half_width, min, max] = cells(pool.top_1(), 0.01);
    out.extend(match split(pool) {
        Some(_) => [Value::None, Value::None, Value::None, min, max],
        None => [mean_of_all, deviation, half_width, min, max],
    });
    out.extend(match Interval::of(pool) {
        Some(Interval { kind, low, high }) => {
            [kind.name().into(), Value::Number(0.01 * low), Value::Number(0.01 * high)]
        }
        None => [const { Value::None }; 3],
    });
    out.extend(cells(pool.spread(Sample::just_pruned), 0.01));
    out.extend([
        size(|size| size.sparsity()),
        size(|size| size.compression_ratio()),
        size(|size| size.nonzero as f64),
        Value::Count(started.parameters),
        size(|size| size.remaining_macs as f64),
        Value::Count(started.macs),
        size(|size| size.theoretical_speedup()),
        pool.samples.iter().find_map(file).map_or(Value::None, |file| Value::Text(file.precision)),
        mean(&|sample| Some(file(sample)?.bytes as f64)),
        latency(single, |latency| latency.sparse_ms),
        latency(single, |latency| latency.speedup()),
        batch.map_or(Value::None, |call| Value::Count(call.batch)),
        latency(batch, |latency| latency.sparse_ms),
        latency(batch, |latency| latency.speedup()),
    ]);
    for control in [vs_dense(series, pool, &group.series), vs_random(series, pool, &group.series)] {
        out.extend(difference(control.ok()));
    }
    out
}

fn difference(control: Option<Against<'_, '_>>) -> [Value; 6] {
    let Some(Against { series, pairs, spread }) = control else { return [const { Value::None }; 6] };
    let [mean, _, half_width, min, max] = cells(spread, 0.01);
    [series.name.as_str().into(), pairs.into(), mean, half_width, min, max]
}

fn kind(control: Control) -> &'static str {
    match control {
        Control::Pruned => "pruned",
        Control::Random => "random",
        Control::Dense => "dense",
    }
}

/// A row for each two series at one target: the first minus the second, seed by seed, and what that says.
pub(crate) fn differences_data(groups: &[Group<'_>]) -> Data {
    let mut data = Data::new(&[
        "group",
        "target_of",
        "target",
        "series",
        "other",
        "pairs",
        "difference_mean",
        "difference_deviation",
        "difference_half_width_95",
        "difference_min",
        "difference_max",
        "p",
        "p_holm",
        "verdict",
        "reason",
    ]);
    for group in groups {
        for contest in contests(&group.series) {
            for (a, b, found) in contest.comparisons() {
                let mut row = vec![
                    group.title.as_str().into(),
                    contest.unit.name().into(),
                    Value::Number(contest.target),
                    a.series.name.as_str().into(),
                    b.series.name.as_str().into(),
                    found.spread.map_or(0, |spread| spread.n).into(),
                ];
                row.extend(cells(found.spread, 0.01));
                row.extend([found.p.into(), found.corrected.into()]);
                row.extend([found.verdict.words(), found.verdict.reason()].map(Value::from));
                data.row(row);
            }
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, measured::measured};
    use crate::group::groups;
    use crate::report::ReportInput;

    fn rows(data: &Data) -> Vec<serde_json::Value> {
        serde_json::from_str(&data.json()).expect("JSON")
    }

    fn runs() -> Vec<ReportInput> {
        let mut runs = Vec::new();
        for seed in 1..=3 {
            for events in [fixture::l1_events(seed), fixture::random_events(seed), fixture::dense_events(seed)] {
                runs.push(fixture::input("a", fixture::measured::record(&measured(events, 5))));
            }
        }
        runs
    }

    #[test]
    fn a_row_says_what_the_logs_say() {
        let runs = runs();
        let rows = rows(&series_data(&groups(&runs)));
        assert_eq!(rows.len(), 8 + 8 + 1, "dense networks and seven targets, twice, and the dense control");
        let row = rows.iter().find(|row| row["series"] == "l1-global" && row["target"] == 0.5).expect("a row");
        for (column, value) in [
            ("control", serde_json::json!("pruned")),
            ("model", "lenet k=5".into()),
            ("criterion", "l1".into()),
            ("target_of", "prunable".into()),
            ("n", 3.into()),
            ("seeds", "1 2 3".into()),
            ("collapsed", 0.into()),
            ("step_mean", 3440.0.into()),
            ("parameters", 1_501_850.into()),
            ("nonzero_mean", 765_050.0.into()),
            ("file_precision", "f16".into()),
            ("batch", 128.into()),
            ("dense_control", "dense".into()),
            ("vs_dense_pairs", 3.into()),
            ("random_control", "random-global".into()),
            ("vs_random_pairs", 3.into()),
        ] {
            assert_eq!(row[column], value, "{column}");
        }
        let number = |column: &str| row[column].as_f64().expect(column);
        // 9899, 9886 and 9873 of 10,000 against 9906, and against 9861, 9848 and 9835.
        for (column, value) in [
            ("accuracy_mean", 0.9886),
            ("accuracy_deviation", 0.0013),
            ("accuracy_min", 0.9873),
            ("accuracy_max", 0.9899),
            ("just_pruned_mean", 0.9854),
            ("sparsity_mean", 0.5),
            ("vs_dense_mean", -0.002),
            ("vs_random_mean", 0.0038),
        ] {
            assert!((number(column) - value).abs() < 1e-9, "{column}: {}", number(column));
        }
        let dense = rows.iter().find(|row| row["series"] == "dense").expect("a row");
        assert_eq!((&dense["control"], &dense["dense_control"]), (&"dense".into(), &serde_json::Value::Null));
        let last = rows.iter().find(|row| row["series"] == "l1-global" && row["target"] == 0.995).expect("a row");
        assert_eq!(last["collapsed"], 3);
    }

    #[test]
    fn seeds_of_which_some_collapsed_leave_means_and_differences_empty() {
        let mut runs = runs();
        runs[3].record.tests[2].tested.score.correct = 1_135;
        let groups = groups(&runs);
        let rows = rows(&series_data(&groups));
        let row = rows.iter().find(|row| row["series"] == "l1-global" && row["target"] == 0.5).expect("a row");
        for column in [
            "accuracy_mean",
            "accuracy_deviation",
            "accuracy_half_width_95",
            "vs_dense_mean",
            "vs_dense_half_width_95",
            "vs_dense_min",
            "vs_random_mean",
        ] {
            assert!(row[column].is_null(), "{column}: {}", row[column]);
        }
        assert_eq!((&row["collapsed"], &row["n"], &row["vs_dense_pairs"]), (&1.into(), &3.into(), &3.into()));
        assert_eq!((row["accuracy_min"].as_f64(), &row["accuracy_interval"]), (Some(0.1135), &"min-max".into()));
        let rows = self::rows(&differences_data(&groups));
        let row = &rows[0];
        assert_eq!(
            (&row["verdict"], &row["reason"]),
            (&"not comparable".into(), &"1 of 3 seeds of one of them collapsed".into())
        );
        assert!(row["difference_mean"].is_null() && row["p"].is_null(), "{row}");
    }

    #[test]
    fn each_two_series_have_a_row_a_target() {
        let runs = runs();
        let rows = rows(&differences_data(&groups(&runs)));
        assert_eq!(rows.len(), 7);
        let row = &rows[0];
        assert_eq!(
            (&row["series"], &row["other"], &row["pairs"]),
            (&"l1-global".into(), &"random-global".into(), &3.into())
        );
        assert_eq!((&row["verdict"], &row["p_holm"], &row["reason"]), (&"above".into(), &row["p"], &"".into()));
        // At 99.5 % both have collapsed to the same.
        let same = (&rows[6]["difference_mean"], &rows[6]["verdict"]);
        assert_eq!(same, (&0.0.into(), &"no significant difference".into()));
    }
}
