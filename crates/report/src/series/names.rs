//! Names by which a reader tells the series of a group apart. Pure.

use super::RunSeries;
use super::settings::differing;
use crate::target::shape;

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
        series.runs[0].record.started.method.as_ref().map_or("dense".to_owned(), |method| {
            format!("{} {} {}, {}", method.criterion, method.scope, method.granularity, kind(&method.schedule))
        })
    };
    alike.iter().map(method).collect()
}

fn by_settings(alike: &[&RunSeries<'_>]) -> Vec<String> {
    differing(&alike.iter().map(|series| series.runs[0].origin.settings.as_str()).collect::<Vec<_>>())
}

fn by_first_run(alike: &[&RunSeries<'_>]) -> Vec<String> {
    alike.iter().map(|series| series.runs[0].label.clone()).collect()
}

/// A schedule without its numbers and without a mark where they stood: `cubic in 5 prunes`, `listed sparsities`.
fn kind(schedule: &str) -> String {
    let shape = shape(schedule);
    let words: Vec<&str> = shape.split(' ').collect();
    let is_gap = |place: usize| words.get(place) == Some(&"#");
    let kept = words.iter().enumerate().filter(|&(place, word)| {
        let of_gap =
            matches!(*word, "to" | "by") && is_gap(place + 1) || *word == "times" && place > 0 && is_gap(place - 1);
        !is_gap(place) && !of_gap
    });
    let kept = kept.map(|(_, word)| *word).collect::<Vec<_>>().join(" ");
    if kept.contains(char::is_alphabetic) {
        kept.trim_end_matches(',').to_owned()
    } else {
        "listed sparsities".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::report::ReportInput;
    use crate::series::series;

    const SETTINGS: &str =
        "name = \"rv-global\"\n\n[train]\nbatch_size = 32\nepochs = 4\n\n[train.stop]\npatience = 3\n";

    fn names(runs: &[ReportInput]) -> Vec<String> {
        series(&runs.iter().collect::<Vec<_>>(), 0).into_iter().map(|series| series.name).collect()
    }

    /// Runs of one name and method, each with these changes of its settings.
    fn runs(changes: &[&[(&str, &str)]]) -> Vec<ReportInput> {
        let run = |(index, changes): (usize, &&[(&str, &str)])| {
            let mut run = fixture::input(&format!("rv-global-{index}-s1"), fixture::record(&fixture::l1_events(1)));
            run.record.started.name = "rv-global".into();
            run.record.started.method.as_mut().expect("a method").schedule = "7 listed sparsities".into();
            run.origin.settings = changes.iter().fold(SETTINGS.to_owned(), |text, (from, to)| text.replace(from, to));
            run
        };
        changes.iter().enumerate().map(run).collect()
    }

    #[test]
    fn settings_that_differ_are_named() {
        let names = |changes: &[&[(&str, &str)]]| names(&runs(changes));
        assert_eq!(
            names(&[&[], &[("size = 32", "size = 64")]]),
            ["rv-global (train.batch_size = 32)", "rv-global (train.batch_size = 64)"]
        );
        let one_is_enough = [("size = 32", "size = 64"), ("patience = 3\n", "")];
        assert_eq!(
            names(&[&[], &one_is_enough]),
            [
                "rv-global (train.batch_size = 32, train.stop.patience = 3)",
                "rv-global (train.batch_size = 64, no train.stop.patience)"
            ]
        );
        let three = [("size = 32", "size = 64"), ("epochs = 4", "epochs = 5"), ("patience = 3", "patience = 9")];
        assert_eq!(
            names(&[&[], &three])[1],
            "rv-global (train.batch_size = 64, train.epochs = 5, 1 more)",
            "two keys at most"
        );
    }

    #[test]
    fn the_method_comes_first_and_only_where_it_differs() {
        let mut runs = runs(&[&[], &[], &[("size = 32", "size = 64")]]);
        runs[0].record.started.method.as_mut().expect("a method").criterion = "l2".into();
        runs[2].origin.settings = SETTINGS.replace("size = 32", "size = 64");
        let expected = [
            "rv-global (l2 global element, listed sparsities)",
            "rv-global (l1 global element, listed sparsities; train.batch_size = 32)",
            "rv-global (l1 global element, listed sparsities; train.batch_size = 64)",
        ];
        assert_eq!(names(&runs), expected);
    }

    #[test]
    fn where_settings_do_not_tell_the_first_run_does() {
        let mut runs = runs(&[&[], &[]]);
        runs[1].record.started.optimizer = "adam".into();
        assert_eq!(names(&runs), ["rv-global (rv-global-0-s1)", "rv-global (rv-global-1-s1)"]);
        runs[1].origin.settings.clear();
        assert_eq!(names(&runs), ["rv-global (rv-global-0-s1)", "rv-global (rv-global-1-s1)"], "unknown settings");
    }

    #[test]
    fn a_kind_of_schedule_has_neither_numbers_nor_marks() {
        for (schedule, expected) in [
            ("7 listed sparsities", "listed sparsities"),
            ("50, 75, 90 %", "listed sparsities"),
            ("one-shot to 0.9", "one-shot"),
            ("cubic to 0.98 in 5 prunes", "cubic in 5 prunes"),
            ("cubic to 0.03 of the MACs in 8 prunes", "cubic of the MACs in 8 prunes"),
            ("polynomial of power 3 to 0.9 in 5 prunes", "polynomial of power 3 in 5 prunes"),
            ("0.2 of what remains, 5 times", "of what remains"),
            ("dense-sparse-dense by 0.5", "dense-sparse-dense"),
        ] {
            assert_eq!(kind(schedule), expected);
        }
    }
}
