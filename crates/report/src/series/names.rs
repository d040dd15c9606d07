//! Names by which a reader tells the series of a group apart. Pure.

use super::RunSeries;
use super::identity::differing;
use crate::event::Method;
use crate::target::{Unit, unit};

/// Gives names to series that share one: by their method where that differs, then by their settings, then by their first run.
pub(super) fn name(all: &mut [RunSeries<'_>]) {
    let mut said: Vec<Vec<String>> = vec![Vec::new(); all.len()];
    let full = |series: &RunSeries<'_>, said: &[String]| match said {
        [] => series.name.clone(),
        said => format!("{} ({})", series.name, said.join("; ")),
    };
    let ways = [by_method, by_settings, by_first_run];
    for way in ways {
        let names: Vec<_> = all.iter().zip(&said).map(|(series, said)| full(series, said)).collect();
        for (place, name) in names.iter().enumerate() {
            let alike: Vec<usize> = (0..all.len()).filter(|&other| names[other] == *name).collect();
            // Each set of namesakes once, at the first of it.
            if alike.len() > 1 && alike[0] == place {
                let found = way(&alike.iter().map(|&place| &all[place]).collect::<Vec<_>>());
                // What is the same of all says nothing.
                if found.iter().any(|words| *words != found[0]) {
                    alike.into_iter().zip(found).filter(|(_, words)| !words.is_empty()).for_each(|(place, words)| {
                        said[place].push(words);
                    });
                }
            }
        }
    }
    for (series, said) in all.iter_mut().zip(&said) {
        series.name = full(series, said);
    }
}

fn by_method(alike: &[&RunSeries<'_>]) -> Vec<String> {
    let method = |series: &&RunSeries<'_>| {
        let started = &series.runs[0].record.started;
        started.method.as_ref().map_or("dense".to_owned(), |method| {
            let Method { criterion, scope, granularity, .. } = method;
            format!("{criterion} {scope} {granularity}, {}", schedule(method, unit(started)))
        })
    };
    alike.iter().map(method).collect()
}

fn by_settings(alike: &[&RunSeries<'_>]) -> Vec<String> {
    differing(&alike.iter().map(|series| series.runs[0]).collect::<Vec<_>>())
}

fn by_first_run(alike: &[&RunSeries<'_>]) -> Vec<String> {
    alike.iter().map(|series| series.runs[0].label.clone()).collect()
}

/// A schedule without how far it goes: `cubic in 5 prunes`, `cubic of the MACs in 5 prunes`.
pub(crate) fn schedule(method: &Method, unit: Unit) -> String {
    let of = match unit {
        Unit::Parameters => " of all parameters",
        Unit::Macs => " of the MACs",
        Unit::Prunable | Unit::Unknown => "",
    };
    let prunes = method.schedule.get("prunes").map_or(String::new(), |prunes| format!(" in {prunes} prunes"));
    format!("{}{of}{prunes}", method.schedule.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Choice, RunStarted};
    use crate::fixture;
    use crate::report::ReportInput;
    use crate::series::series;

    fn names(runs: &[ReportInput]) -> Vec<String> {
        series(&runs.iter().collect::<Vec<_>>(), 0).into_iter().map(|series| series.name).collect()
    }

    /// Runs of one name and method, each changed.
    fn runs(changes: &[fn(&mut RunStarted)]) -> Vec<ReportInput> {
        let run = |(index, change): (usize, &fn(&mut RunStarted))| {
            let mut run = fixture::input(&format!("rv-global-{index}-s1"), fixture::record(&fixture::l1_events(1)));
            run.record.started.name = "rv-global".into();
            change(&mut run.record.started);
            run
        };
        changes.iter().enumerate().map(run).collect()
    }

    #[test]
    fn settings_that_differ_are_named() {
        assert_eq!(
            names(&runs(&[|_| (), |run| run.batch_size = 64])),
            ["rv-global (train.batch_size = 128)", "rv-global (train.batch_size = 64)"]
        );
        let initial = |run: &mut RunStarted| {
            let method = run.method.as_mut().expect("it prunes");
            method.schedule = method.schedule.clone().with("initial", 0.5);
        };
        assert_eq!(
            names(&runs(&[|_| (), initial])),
            ["rv-global (no prune.schedule.initial)", "rv-global (prune.schedule.initial = 0.5)"]
        );
        let many = |run: &mut RunStarted| {
            run.batch_size = 64;
            run.split_seed = Some(3);
            run.planned_steps = 1;
        };
        assert_eq!(
            names(&runs(&[|_| (), many]))[1],
            "rv-global (data.split_seed = 3, train.batch_size = 64, 1 more)",
            "two keys at most"
        );
    }

    #[test]
    fn the_method_comes_first_and_only_where_it_differs() {
        let l2 = |run: &mut RunStarted| run.method.as_mut().expect("a method").criterion = "l2".into();
        let expected = [
            "rv-global (l2 global element, list)",
            "rv-global (l1 global element, list; train.batch_size = 128)",
            "rv-global (l1 global element, list; train.batch_size = 64)",
        ];
        assert_eq!(names(&runs(&[l2, |_| (), |run| run.batch_size = 64])), expected);
    }

    #[test]
    fn where_settings_are_unknown_the_first_run_tells() {
        let unknown = |run: &mut RunStarted| run.settings = None;
        assert_eq!(names(&runs(&[|_| (), unknown])), ["rv-global (rv-global-0-s1)", "rv-global (rv-global-1-s1)"]);
    }

    #[test]
    fn a_schedule_is_named_without_how_far_it_goes() {
        let Some(mut method) = runs(&[|_| ()])[0].record.started.method.clone() else { panic!("it prunes") };
        method.schedule = Choice::of_kind("cubic").with("final", 0.98).with("prunes", 5);
        assert_eq!(schedule(&method, Unit::Prunable), "cubic in 5 prunes");
        assert_eq!(schedule(&method, Unit::Macs), "cubic of the MACs in 5 prunes");
        method.schedule = Choice::Words("cubic to 0.98 in 5 prunes".into());
        assert_eq!(schedule(&method, Unit::Unknown), "cubic to 0.98 in 5 prunes");
    }
}
