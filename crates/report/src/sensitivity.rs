//! How much pruning each layer bears: what was measured when one layer alone was pruned and nothing retrained, as data, and
//! the files and texts made from it. Nothing is measured here.

mod chart;
mod csv;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::draw::Layout;
use crate::error::Error;
use crate::event::Score;
use crate::files::write_whole;
use crate::render::{png, svg};

pub use chart::sensitivity_chart;
pub use csv::sensitivity_csv;
pub use text::{sensitivity_table, sensitivity_toml};

/// What was measured of a trained network, all of it on validation images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitivity {
    /// Name of the run's folder.
    pub run: String,
    /// Name of the checkpoint; `None` for the final model.
    pub checkpoint: Option<String>,
    /// The model, such as `lenet k=5`.
    pub model: String,
    /// Name of the dataset.
    pub dataset: String,
    /// Classes that an answer chooses from.
    pub classes: u64,
    /// Seed of the run.
    pub seed: u64,
    /// What counted as important.
    pub criterion: String,
    /// What went as one.
    pub granularity: String,
    /// The network before any of this.
    pub before: Score,
    /// The sparsities that were asked of every layer, rising.
    pub sparsities: Vec<f64>,
    /// Points of top-1 that a layer may lose, where that was asked.
    pub within_points: Option<f64>,
    /// The sparsity, in `[0, 1)`, of all that may be pruned when every layer is at its [`LayerSensitivity::within`].
    pub together: Option<f64>,
    /// The layers, in the model's order.
    pub layers: Vec<LayerSensitivity>,
}

/// What one layer bears while the others stay as they are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerSensitivity {
    /// Name of the parameter, such as `fc1.weight`.
    pub name: String,
    /// The parameters whose filters go with its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coupled: Vec<String>,
    /// Its weights.
    pub weights: u64,
    /// Those that were pruned before any of this.
    pub pruned: u64,
    /// The sparsities that were asked of it, rising; those below what was pruned before are left out.
    pub points: Vec<LayerPoint>,
    /// The highest sparsity that loses no more than [`Sensitivity::within_points`]; `None` where that was not asked, or the
    /// layer had no weight left.
    pub within: Option<LayerPoint>,
}

/// A layer at one sparsity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LayerPoint {
    /// The sparsity that was asked for, `[0, 1)`.
    pub sparsity: f64,
    /// Weights of the layer that were zero then.
    pub pruned: u64,
    /// The score of the whole network.
    pub score: Score,
}

impl Sensitivity {
    /// Points of top-1 that are lost with this score; below 0 where it is better than before.
    pub fn lost(&self, score: &Score) -> f64 {
        lost(&self.before, score)
    }
}

/// Points of top-1 between two scores on the same images; below 0 where the later one is better.
pub fn lost(before: &Score, after: &Score) -> f64 {
    // Counts first: as many right answers give exactly 0.
    100.0 * (before.correct as f64 - after.correct as f64) / before.total.max(1) as f64
}

impl LayerSensitivity {
    /// The layer at this sparsity of the grid.
    pub(crate) fn at(&self, sparsity: f64) -> Option<&LayerPoint> {
        self.points.iter().find(|point| point.sparsity == sparsity)
    }

    /// The share that was pruned before.
    pub(crate) fn sparsity(&self) -> f64 {
        self.pruned as f64 / self.weights.max(1) as f64
    }
}

/// `0.5 points`, `1 point`.
fn in_points(points: f64) -> String {
    format!("{points} {}", if points == 1.0 { "point" } else { "points" })
}

/// Everything as JSON.
///
/// # Panics
/// Never: all of it is plain data.
pub fn sensitivity_json(found: &Sensitivity) -> String {
    serde_json::to_string_pretty(found).expect("plain data") + "\n"
}

/// Writes `sensitivity.svg`, `.png`, `.csv` and `.json` to `out_dir`, which is created where it is missing, and returns the
/// paths.
///
/// # Errors
/// When the chart cannot be drawn, or the system refuses a file, which is named.
pub fn write_sensitivity(found: &Sensitivity, out_dir: impl AsRef<Path>) -> Result<Vec<PathBuf>, Error> {
    let (out_dir, chart) = (out_dir.as_ref(), sensitivity_chart(found));
    let files = [
        ("svg", svg(&chart, Layout::Wide)?.into_bytes()),
        ("png", png(&chart, Layout::Wide)?),
        ("csv", sensitivity_csv(found).into_bytes()),
        ("json", sensitivity_json(found).into_bytes()),
    ];
    fs::create_dir_all(out_dir).map_err(Error::io("create the folder", out_dir))?;
    let write = |(ending, bytes): &(&str, Vec<u8>)| {
        let path = out_dir.join(format!("sensitivity.{ending}"));
        write_whole(&path, bytes).map(|()| path)
    };
    files.iter().map(write).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn score(correct: u64) -> Score {
        Score { correct, total: 1_000, loss: 0.5 }
    }

    fn point(sparsity: f64, weights: u64, correct: u64) -> LayerPoint {
        LayerPoint { sparsity, pruned: (sparsity * weights as f64).round() as u64, score: score(correct) }
    }

    /// Two layers of 54 and 480 weights, the second of which had lost 240 before; 980 of 1,000 images were right.
    pub(crate) fn example() -> Sensitivity {
        let conv = LayerSensitivity {
            name: "conv1.weight".into(),
            coupled: vec![],
            weights: 54,
            pruned: 0,
            points: vec![point(0.0, 54, 980), point(0.5, 54, 975), point(0.9, 54, 610)],
            within: Some(point(0.623, 54, 972)),
        };
        let fc = LayerSensitivity {
            name: "fc1.weight".into(),
            coupled: vec![],
            weights: 480,
            pruned: 240,
            points: vec![point(0.5, 480, 980), point(0.9, 480, 981)],
            within: Some(point(0.9, 480, 981)),
        };
        Sensitivity {
            run: "example-1a2b3c4d-s1".into(),
            checkpoint: None,
            model: "lenet k=1".into(),
            dataset: "mnist".into(),
            classes: 10,
            seed: 1,
            criterion: "l1".into(),
            granularity: "element".into(),
            before: score(980),
            sparsities: vec![0.0, 0.5, 0.9],
            within_points: Some(1.0),
            together: Some(0.87),
            layers: vec![conv, fc],
        }
    }

    #[test]
    fn what_is_lost_is_counted_in_points() {
        let found = example();
        assert_eq!([980, 975, 610, 981].map(|correct| found.lost(&score(correct))), [0.0, 0.5, 37.0, -0.1]);
    }

    #[test]
    fn all_files_are_written_and_the_same_bytes_twice() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let read = |folder: &str| {
            let paths = write_sensitivity(&example(), dir.path().join(folder)).expect("written");
            let bytes = paths.iter().map(|path| fs::read(path).expect("a file"));
            (paths.iter().map(|path| path.file_name().expect("named").to_owned()).collect::<Vec<_>>(), bytes.collect())
        };
        let (names, one): (Vec<_>, Vec<Vec<u8>>) = read("new/one");
        assert_eq!(names, ["sensitivity.svg", "sensitivity.png", "sensitivity.csv", "sensitivity.json"]);
        assert!(one == read("two").1);
        let json: serde_json::Value = serde_json::from_slice(&one[3]).expect("JSON");
        assert_eq!(json["layers"][0]["points"][1]["score"]["correct"], 975);
        assert_eq!(json["layers"][1]["within"]["sparsity"], 0.9);
        fs::write(dir.path().join("file"), "").expect("a file");
        let error = write_sensitivity(&example(), dir.path().join("file")).expect_err("no folder").to_string();
        assert!(error.contains("file"), "{error}");
    }
}
