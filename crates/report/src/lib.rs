//! The record of a run and its pictures: append-only event log, curves, SVG and PNG, HTML page, CSV.
//!
//! ```text
//! RunLog -> log.jsonl -> read_log -> RunRecord -> curve_table            (a terminal)
//!                                              -> Report, write_report   (index.html, *.svg, *.png, curve.csv)
//! ```
//!
//! Nothing here computes an accuracy: what the log does not say is not shown.

mod chart;
mod clip;
mod cost;
mod cost_chart;
mod csv;
mod curve;
mod draw;
mod error;
pub mod event;
mod family;
mod files;
mod log;
mod number;
mod page;
mod read;
mod record;
mod render;
mod report;
mod rows;
mod sensitivity;
mod table;

pub use chart::{Axis, Chart, Ink, Label, Line, Marker, Panel, Series, Tick};
pub use csv::curve_csv;
pub use curve::{Curve, CurvePoint, Measure, curve_chart, learning_chart};
pub use draw::Layout;
pub use error::Error;
pub use event::{Event, Timing};
pub use log::RunLog;
pub use read::read_log;
pub use record::{Control, Measurement, Point, RunRecord, State, Summary, Test};
pub use render::{png, svg};
pub use report::{Report, ReportInput, write_report};
pub use sensitivity::{
    LayerPoint, LayerSensitivity, Sensitivity, lost, sensitivity_chart, sensitivity_csv, sensitivity_json,
    sensitivity_table, sensitivity_toml, write_sensitivity,
};
pub use table::curve_table;

#[cfg(test)]
extern crate self as secateur_report;
#[cfg(test)]
#[path = "../tests/fixture/mod.rs"]
mod fixture;
