//! The engine, compaction and pruning without training for Python: `secateur._engine`, which the package `secateur` shows.

mod images;
mod model;
mod pruning;

use pyo3::prelude::*;

/// What `secateur` is made of.
#[pymodule]
mod _engine {
    #[pymodule_export]
    use super::model::{Model, load};
    #[pymodule_export]
    use super::pruning::{choose_masks, prune};
}

/// A fault that Python sees as a `ValueError`.
fn refused(error: impl std::fmt::Display) -> PyErr {
    pyo3::exceptions::PyValueError::new_err(error.to_string())
}
