//! Names by which a reader tells the series of a group apart. Pure.

use super::RunSeries;
use crate::target::shape;

/// Gives names to series that share one: by their method, then by their first run.
pub(super) fn name(all: &mut [RunSeries<'_>]) {
    let count = |all: &[RunSeries<'_>], name: &str| all.iter().filter(|series| series.name == name).count();
    let renamed = |all: &[RunSeries<'_>], with: &dyn Fn(&RunSeries<'_>) -> String| -> Vec<String> {
        let of = |series: &RunSeries<'_>| {
            if count(all, &series.name) > 1 {
                format!("{} ({})", series.name, with(series))
            } else {
                series.name.clone()
            }
        };
        all.iter().map(of).collect()
    };
    let method = |series: &RunSeries<'_>| {
        series.runs[0].record.started.method.as_ref().map_or("dense".to_owned(), |method| {
            format!("{} {} {}, {}", method.criterion, method.scope, method.granularity, shape(&method.schedule))
        })
    };
    let first = |series: &RunSeries<'_>| series.runs[0].label.clone();
    for with in [&method as &dyn Fn(&RunSeries<'_>) -> String, &first] {
        let names = renamed(all, with);
        all.iter_mut().zip(names).for_each(|(series, name)| series.name = name);
    }
}
