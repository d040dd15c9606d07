//! A report: the pictures and numbers of some runs, in memory or in one folder, to be read offline.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::apart::apart;
use crate::audit::{audit, audit_data};
use crate::chart::Chart;
use crate::cores::on_all_cores;
use crate::csv::curve_csv;
use crate::draw::Layout;
use crate::error::Error;
use crate::family::families;
use crate::files::write_whole;
use crate::group::groups;
use crate::page::{LivePage, Parts, page};
use crate::record::{RunRecord, State};
use crate::render::{png, svg};
use crate::series_data::{differences_data, series_data};
use crate::views::{self, Views};

/// A run to report on.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportInput {
    /// What the run is called in the report, such as its folder.
    pub label: String,
    /// What its log says.
    pub record: RunRecord,
    /// Whether it has finished.
    pub state: State,
    /// The command that repeats it; empty where it is not known.
    pub reproduce: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a run comes from, as its folder tells it. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// Where its log is.
    pub log: String,
    /// Its config as somebody wrote it.
    pub config: String,
    /// The program and what it ran on, such as `secateur` and `platform`, by name.
    pub surroundings: BTreeMap<String, String>,
}

/// A folder that was to be reported on and cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The folder, as it was named or found.
    pub label: String,
    /// What was found there, and what was wanted.
    pub why: String,
}

/// A report in memory: the page and the tables as they are, and charts, of which a picture is drawn when it is asked for.
#[derive(Clone, Debug)]
pub struct Report {
    page: String,
    /// File names without their extensions, and the charts.
    charts: Vec<(String, Chart)>,
    /// Names and contents.
    tables: Vec<(String, String)>,
}

const PAGE: &str = "index.html";

impl Report {
    /// The report of `runs`; of none it has no chart and empty tables.
    ///
    /// # Errors
    /// When a chart of the page cannot be drawn.
    pub fn of(runs: &[ReportInput]) -> Result<Self, Error> {
        Self::with(runs, &[], &Views::default())
    }

    /// The report of `runs`, which names what else was to be shown and why it is not, and shows what the trained models look
    /// like; their numbers become `models-*.csv` and `.json`.
    ///
    /// # Errors
    /// When a chart of the page cannot be drawn.
    pub fn with(runs: &[ReportInput], refused: &[Refused], views: &Views) -> Result<Self, Error> {
        let groups = groups(runs);
        let families = families(&groups);
        let (items, apart) = (audit(&groups), apart(&groups, refused));
        let page = page(&Parts { groups: &groups, families: &families, audit: &items, apart: &apart, views })?;
        let mut tables = Vec::new();
        let own = [
            ("series", series_data(&groups)),
            ("differences", differences_data(&groups)),
            ("audit", audit_data(&items)),
        ];
        for (stem, data) in own.into_iter().chain(views::data(views)) {
            tables.extend([(format!("{stem}.csv"), data.csv()), (format!("{stem}.json"), data.json())]);
        }
        tables.push(("curve.csv".to_owned(), curve_csv(runs)));
        let costs = families.into_iter().flat_map(|family| family.figures).map(|figure| (figure.stem, figure.chart));
        let costs: Vec<_> = costs.collect();
        let figures = groups.into_iter().flat_map(|group| group.figures.into_iter().chain(group.densities));
        let charts = figures.filter_map(|figure| Some((figure.stem?, figure.chart))).chain(costs).collect();
        Ok(Self { page, charts, tables })
    }

    /// The page.
    pub fn page(&self) -> &str {
        &self.page
    }

    /// The page for a server, which keeps itself as new as the runs; `notes` stand before all else.
    pub fn live_page(&self, notes: &[String]) -> LivePage {
        LivePage::of(&self.page, notes)
    }

    /// Names of its files, the page first: lower-case letters and digits of ASCII, dashes, and one dot.
    pub fn names(&self) -> Vec<String> {
        let pictures = self.charts.iter().flat_map(|(stem, _)| ["svg", "png"].map(|kind| format!("{stem}.{kind}")));
        let tables = self.tables.iter().map(|(name, _)| name.clone());
        std::iter::once(PAGE.to_owned()).chain(pictures).chain(tables).collect()
    }

    /// The bytes of a file; `None` where `name` is none of [`names`](Self::names).
    ///
    /// # Errors
    /// When a picture cannot be drawn or encoded; names the chart.
    pub fn file(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        if name == PAGE {
            return Ok(Some(self.page.clone().into_bytes()));
        }
        if let Some((_, text)) = self.tables.iter().find(|(other, _)| other == name) {
            return Ok(Some(text.clone().into_bytes()));
        }
        let Some((stem, kind)) = name.rsplit_once('.') else { return Ok(None) };
        let Some((_, chart)) = self.charts.iter().find(|(other, _)| other == stem) else { return Ok(None) };
        match kind {
            "svg" => svg(chart, Layout::Wide).map(|text| Some(text.into_bytes())),
            "png" => png(chart, Layout::Wide).map(Some),
            _ => Ok(None),
        }
    }

    /// All files with their names, the page first.
    ///
    /// # Errors
    /// When a picture cannot be drawn or encoded; names the chart.
    pub fn files(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let names = self.names();
        // Pixels take most of the time, and each picture is drawn for itself.
        let all = on_all_cores(&names, |name| self.file(name).map(|bytes| bytes.expect("its own names are its files")));
        names.into_iter().zip(all).map(|(name, bytes)| Ok((name, bytes?))).collect()
    }

    /// Writes all files to `out_dir`, which is created where it is missing, and returns their paths, the page first.
    ///
    /// # Errors
    /// When a picture cannot be drawn, or the system refuses a file, which is named.
    pub fn write(&self, out_dir: impl AsRef<Path>) -> Result<Vec<PathBuf>, Error> {
        let out_dir = out_dir.as_ref();
        // All of it is made before any of it is written: a report that fails leaves the old one as it was.
        let files = self.files()?;
        fs::create_dir_all(out_dir).map_err(Error::io("create the folder", out_dir))?;
        let paths: Vec<_> = files.iter().map(|(name, _)| out_dir.join(name)).collect();
        // The page comes last, so that what it links to is there.
        for (path, (_, bytes)) in paths.iter().zip(&files).rev() {
            write_whole(path, bytes)?;
        }
        Ok(paths)
    }
}

/// Writes the report of `runs`: `index.html`, the charts as `.svg` and `.png`, the tables `series`, `differences` and
/// `audit` as `.csv` and `.json`, and `curve.csv`. Returns the paths, the page first.
///
/// Charts are `accuracy-vs-sparsity`, `accuracy-vs-compression`, `accuracy-just-pruned` and `sparsity-over-steps`, and
/// `layers-NAME` for the first series. Runs of different models or data sets are never drawn into one of these: where there
/// are several such groups, the names of their pictures end with the group's. `accuracy-vs-parameters`, `accuracy-vs-macs`
/// and, where a log says what the networks cost, `accuracy-vs-bytes` and `accuracy-vs-time-batch-N` show all sizes of a model
/// on one data set together.
///
/// # Errors
/// When there is no run, a chart cannot be drawn, or the system refuses a file, which is named.
pub fn write_report(runs: &[ReportInput], out_dir: impl AsRef<Path>) -> Result<Vec<PathBuf>, Error> {
    if runs.is_empty() {
        return Err(Error::NoRuns);
    }
    Report::of(runs)?.write(out_dir)
}

/// `lenet k=5` as `lenet-k-5`: letters and digits of ASCII, single dashes between them.
pub(crate) fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
