//! Writes a report: the pictures and numbers of some runs, in one folder, to be read offline.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::chart::Chart;
use crate::csv::curve_csv;
use crate::curve::{Curve, Measure, curve_chart};
use crate::draw::Layout;
use crate::error::Error;
use crate::family::families;
use crate::files::write_whole;
use crate::number::grouped;
use crate::page::page;
use crate::record::RunRecord;
use crate::render::{png, svg};

/// A run to report on.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportInput {
    /// What the run is called in the report, such as its folder.
    pub label: String,
    /// What its log says.
    pub record: RunRecord,
    /// The command that repeats it.
    pub reproduce: String,
}

/// Runs that may share a chart: the same model, the same data, the same test images.
pub(crate) struct Group<'a> {
    pub(crate) title: String,
    pub(crate) runs: Vec<&'a ReportInput>,
    /// File name without its extension, and the chart; empty while no run has a test.
    pub(crate) charts: Vec<(String, Chart)>,
}

/// A report in memory: the page and the table as they are, and charts, of which a picture is drawn when it is asked for.
#[derive(Clone, Debug)]
pub struct Report {
    page: String,
    /// File names without their extensions, and the charts.
    charts: Vec<(String, Chart)>,
    csv: String,
}

const PAGE: &str = "index.html";
const TABLE: &str = "curve.csv";

impl Report {
    /// The report of `runs`.
    ///
    /// # Errors
    /// When there is no run, or a chart of the page cannot be drawn.
    pub fn of(runs: &[ReportInput]) -> Result<Self, Error> {
        if runs.is_empty() {
            return Err(Error::NoRuns);
        }
        let (groups, families) = (groups(runs), families(runs));
        let page = page(&groups, &families)?;
        let curves = groups.into_iter().flat_map(|group| group.charts);
        let costs = families.into_iter().flat_map(|family| family.figures).map(|figure| (figure.stem, figure.chart));
        Ok(Self { page, charts: curves.chain(costs).collect(), csv: curve_csv(runs) })
    }

    /// The page.
    pub fn page(&self) -> &str {
        &self.page
    }

    /// Names of its files, the page first: lower-case letters and digits of ASCII, dashes, and one dot.
    pub fn names(&self) -> Vec<String> {
        let pictures = self.charts.iter().flat_map(|(stem, _)| ["svg", "png"].map(|kind| format!("{stem}.{kind}")));
        std::iter::once(PAGE.to_owned()).chain(pictures).chain([TABLE.to_owned()]).collect()
    }

    /// The bytes of a file; `None` where `name` is none of [`names`](Self::names).
    ///
    /// # Errors
    /// When a picture cannot be drawn or encoded; names the chart.
    pub fn file(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        if name == PAGE {
            return Ok(Some(self.page.clone().into_bytes()));
        }
        if name == TABLE {
            return Ok(Some(self.csv.clone().into_bytes()));
        }
        let Some((stem, kind)) = name.rsplit_once('.') else { return Ok(None) };
        let Some((_, chart)) = self.charts.iter().find(|(other, _)| other == stem) else { return Ok(None) };
        match kind {
            "svg" => svg(chart, Layout::Wide).map(|text| Some(text.into_bytes())),
            "png" => png(chart, Layout::Wide).map(Some),
            _ => Ok(None),
        }
    }
}

/// Writes `index.html`, `accuracy-vs-sparsity.svg` and `.png`, `accuracy-vs-compression.svg` and `.png`, and
/// `curve.csv` to `out_dir`, which is created where it is missing, and returns the paths, the page first.
///
/// Runs of different models or data sets are never drawn into one of these: where there are several such groups, the
/// names of their pictures end with the group's. A run without a test is named in the page.
///
/// Where a log says what the networks cost, `accuracy-vs-time-batch-N`, `accuracy-vs-bytes` and `accuracy-vs-macs` come
/// beside them; those show all sizes of a model on one data set together.
///
/// # Errors
/// When there is no run, a chart cannot be drawn, or the system refuses a file, which is named.
pub fn write_report(runs: &[ReportInput], out_dir: impl AsRef<Path>) -> Result<Vec<PathBuf>, Error> {
    let out_dir = out_dir.as_ref();
    // All of it is made before any of it is written: a report that fails leaves the old one as it was.
    let report = Report::of(runs)?;
    let mut files = Vec::new();
    for name in report.names() {
        let bytes = report.file(&name)?.expect("its own names are its files");
        files.push((name, bytes));
    }

    fs::create_dir_all(out_dir).map_err(Error::io("create the folder", out_dir))?;
    let paths: Vec<_> = files.iter().map(|(name, _)| out_dir.join(name)).collect();
    // The page comes last, so that what it links to is there.
    for (path, (_, bytes)) in paths.iter().zip(&files).rev() {
        write_whole(path, bytes)?;
    }
    Ok(paths)
}

/// The runs by what they may be compared with, in the order in which each group first appears.
fn groups(runs: &[ReportInput]) -> Vec<Group<'_>> {
    let mut groups: Vec<(_, Group<'_>)> = Vec::new();
    for run in runs {
        let started = &run.record.started;
        let key = (&started.dataset, &started.model, started.parameters, started.images.test);
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, group)) => group.runs.push(run),
            None => {
                let images = grouped(started.images.test);
                let title = format!("{} on {}, {images} test images", started.model, started.dataset);
                groups.push((key, Group { title, runs: vec![run], charts: Vec::new() }));
            }
        }
    }
    let alone = groups.len() == 1;
    let mut used = BTreeMap::new();
    for ((dataset, model, ..), group) in &mut groups {
        let mut suffix = if alone { String::new() } else { format!("-{}", slug(&format!("{dataset} {model}"))) };
        // Groups that differ in what a file name cannot say are numbered.
        let count = used.entry(suffix.clone()).and_modify(|count| *count += 1).or_insert(1);
        if *count > 1 {
            suffix.push_str(&format!("--{count}"));
        }
        let curves: Vec<_> = group.runs.iter().map(|run| Curve::of(&run.label, &run.record)).collect();
        for (name, measure) in [("sparsity", Measure::Sparsity), ("compression", Measure::Compression)] {
            if let Some(chart) = curve_chart(&group.title, &curves, measure) {
                group.charts.push((format!("accuracy-vs-{name}{suffix}"), chart));
            }
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// `lenet k=5` as `lenet-k-5`: letters and digits of ASCII, single dashes between them.
pub(crate) fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn input(label: &str, events: &[crate::Event]) -> ReportInput {
        ReportInput { label: label.into(), record: fixture::record(events), reproduce: format!("secateur run {label}") }
    }

    fn names(runs: &[ReportInput]) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let paths = write_report(runs, dir.path().join("new/report")).expect("a report");
        assert!(paths.iter().all(|path| path.is_file()));
        paths.iter().map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn one_group_has_plain_names() {
        let runs = [input("a", &fixture::l1_events(1)), input("b", &fixture::random_events(1))];
        let expected = [
            "index.html",
            "accuracy-vs-sparsity.svg",
            "accuracy-vs-sparsity.png",
            "accuracy-vs-compression.svg",
            "accuracy-vs-compression.png",
            "curve.csv",
        ];
        assert_eq!(names(&runs), expected);
    }

    #[test]
    fn models_are_not_mixed() {
        let mut runs = [1, 2, 3].map(|n| input(&format!("run-{n}"), &fixture::l1_events(n)));
        runs[1].record.started.dataset = "fashion-mnist".into();
        runs[2].record.started.images.test = 1000;
        let groups = groups(&runs);
        let titles: Vec<_> = groups.iter().map(|group| (group.title.as_str(), group.runs.len())).collect();
        let expected = [
            ("lenet k=1 on mnist, 10,000 test images", 1),
            ("lenet k=1 on fashion-mnist, 10,000 test images", 1),
            ("lenet k=1 on mnist, 1,000 test images", 1),
        ];
        assert_eq!(titles, expected);
        let names = names(&runs);
        for name in ["-mnist-lenet-k-1.svg", "-fashion-mnist-lenet-k-1.png", "-mnist-lenet-k-1--2.svg"] {
            assert!(names.contains(&format!("accuracy-vs-sparsity{name}")), "{names:?}");
        }
    }

    #[test]
    fn a_run_without_a_test_is_named() {
        let mut run = input("runs/young", &fixture::l1_events(1));
        run.record.tests.clear();
        run.record.ended = None;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let paths = write_report(&[run], dir.path()).expect("a report");
        assert_eq!(paths.len(), 2, "no chart of nothing");
        let page = fs::read_to_string(&paths[0]).expect("the page");
        assert!(page.contains("runs/young") && page.contains("There is no test yet"));
    }

    #[test]
    fn nothing_to_report_is_an_error_and_so_is_a_folder_that_cannot_be() {
        assert!(matches!(write_report(&[], "/tmp"), Err(Error::NoRuns)));
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("file");
        fs::write(&file, "").expect("a file");
        let error = write_report(&[input("a", &fixture::l1_events(1))], &file).expect_err("not a folder").to_string();
        assert!(error.contains(&file.display().to_string()), "{error}");
    }

    #[test]
    fn in_memory_only_its_own_names_are_files() {
        let report = Report::of(&[input("a", &fixture::l1_events(1))]).expect("a report");
        for name in report.names() {
            assert!(report.file(&name).expect("it is drawn").is_some_and(|bytes| !bytes.is_empty()), "{name}");
        }
        for name in ["", ".", "accuracy-vs-sparsity", "accuracy-vs-sparsity.gif", "accuracy-vs-nothing.svg", "../a.svg"]
        {
            assert!(report.file(name).expect("nothing is drawn").is_none(), "{name}");
        }
    }

    #[test]
    fn the_same_runs_give_the_same_bytes() {
        let runs = [input("a", &fixture::l1_events(1)), input("b", &fixture::dense_events(1))];
        let dir = tempfile::tempdir().expect("a temporary folder");
        let bytes = |folder: &str| {
            let paths = write_report(&runs, dir.path().join(folder)).expect("a report");
            paths.iter().map(|path| fs::read(path).expect("a file")).collect::<Vec<_>>()
        };
        assert!(bytes("one") == bytes("two"));
    }
}
