//! Runs an experiment: config -> data -> train <-> prune -> test -> checkpoint, resumable at any point.

pub mod data;
pub mod seed;
