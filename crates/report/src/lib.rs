//! The record of a run and its pictures: append-only event log, curves, SVG and PNG, HTML page, CSV.

pub mod event;
