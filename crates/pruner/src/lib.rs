//! Decides which weights live (score -> select -> mask) and makes any burn module mask-aware.
//!
//! The deciding half is pure and works on slices: [`score`], [`select`], [`Schedule`]. The other half meets burn:
//! [`attach_masks`], [`set_masks`], [`forget_pruned`]; [`prune`] joins the two, [`choose`] does so without a module.

mod criterion;
mod error;
mod mask;
mod masked;
mod optimizer_state;
mod pattern;
mod prune;
mod schedule;
mod select;
mod sparsity;

pub use criterion::{Criterion, score};
pub use error::Error;
pub use mask::{Mask, MaskSet};
pub use masked::{Masked, Parameter, attach_masks, masks, parameters, set_masks, set_parameters};
pub use optimizer_state::{OptimizerState, StateTensor, forget_pruned};
pub use pattern::Selection;
pub use prune::{Rule, choose, prune};
pub use schedule::Schedule;
pub use select::{Scope, Scores, select};
pub use sparsity::Sparsity;
