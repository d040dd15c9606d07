//! The record of a run and its pictures: append-only event log, curves, SVG and PNG, HTML page, CSV.
//!
//! ```text
//! RunLog -> log.jsonl -> read_log -> RunRecord -> curve_table            (a terminal)
//!                                              -> Report, write_report   (index.html, *.svg, *.png, curve.csv)
//! ```
//!
//! Nothing here computes an accuracy. What the log does not say is not shown, but for the [`views`] of trained models, which
//! somebody else fills in and which are compared with the log.

mod accuracy_chart;
mod apart;
mod audit;
mod axis;
mod chart;
mod clip;
mod compare;
mod cores;
mod cost;
mod cost_chart;
mod csv;
mod data;
mod density_chart;
mod digest;
mod draw;
mod error;
pub mod event;
mod family;
mod files;
mod group;
mod interval;
mod learning;
mod lines;
mod log;
mod number;
mod page;
mod pareto;
mod read;
mod record;
pub mod regular;
mod render;
mod report;
mod rows;
mod sensitivity;
mod series;
mod series_data;
mod series_table;
pub mod side_by_side;
mod statistics;
mod steps_chart;
mod table;
mod target;
mod tensorboard;
pub mod views;

pub use axis::{Axis, Tick};
pub use chart::{Chart, Ink, Label, Line, Marker, Panel, Series};
pub use cores::on_all_cores;
pub use csv::curve_csv;
pub use digest::log_digest;
pub use draw::Layout;
pub use error::Error;
pub use event::{Event, Timing};
pub use log::{RunLog, check_log_to};
pub use page::LivePage;
pub use read::read_log;
pub use record::{Control, Measurement, Point, RunRecord, State, Summary, Test};
pub use render::{png, svg};
pub use report::{Origin, Refused, Report, ReportInput, write_report};
pub use sensitivity::{
    LayerPoint, LayerSensitivity, Sensitivity, lost, sensitivity_chart, sensitivity_csv, sensitivity_json,
    sensitivity_table, sensitivity_toml, write_sensitivity,
};
pub use series_table::series_table;
pub use table::curve_table;
pub use tensorboard::write_tensorboard;

#[cfg(test)]
extern crate self as secateur_report;
#[cfg(test)]
#[path = "../tests/fixture/mod.rs"]
mod fixture;
