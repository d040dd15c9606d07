//! Runs an experiment: config -> data -> train <-> prune -> test -> checkpoint, resumable at any point.
//!
//! [`ExperimentConfig`] is what a person types, [`Experiment`] what it means, [`Plan`] what a run will do. [`run()`],
//! [`resume()`], [`test()`] and [`Probe`] are the verbs; a session, inside, walks the plan.

mod average;
mod budget;
mod checkpoint;
pub mod config;
mod coupled;
pub mod data;
pub mod device;
mod engine;
mod error;
mod evaluate;
mod experiment;
mod export;
mod files;
mod folder;
mod fork;
pub mod inference;
pub mod inspect;
pub mod learning_rate;
mod measure;
mod memory;
mod model;
mod models;
mod module_weights;
mod observer;
pub mod optimizer;
pub mod plan;
mod pruning;
mod remask;
mod run;
mod scores;
mod scoring;
pub mod seed;
mod sensitivity;
mod session;
mod size;
mod start;
mod state;
mod sweep;
mod teacher;
mod tensor_file;
mod told;
mod trained_on;
mod training;

pub use config::ExperimentConfig;
pub use config::words::of_json as json_fault;
pub use error::Error;
pub use experiment::Experiment;
pub use files::{read_text, write_file};
pub use folder::{RunFolder, RunState, is_finished};
pub use fork::{CellPlaces, STARTS, run_cell, start_of};
pub use memory::{peak_memory, take_peak};
pub use model::Model;
pub use models::{LayerConfig, ModelConfig, Net, OpConfig, Pair};
pub use module_weights::weights_of;
pub use observer::{Observer, Probing, Silent, StageView, Tick};
pub use plan::Plan;
pub use pruning::Pruning;
pub use run::{Facts, Place, ResumeOptions, TestRequest, check_inputs, resume, run, test};
pub use secateur_pruner::Measure;
pub use sensitivity::{Probe, SensitivityRequest};
pub use session::Outcome;
pub use sweep::{Cell, CellFile, Method, Sweep, SweepConfig};
pub use told::{InputHashes, told};
