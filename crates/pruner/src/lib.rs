//! Decides which weights live (score -> select -> mask) and makes any burn module mask-aware.
//!
//! The deciding half is pure and works on slices: [`score`], [`select`], [`couple`], [`Schedule`]. The other half meets burn:
//! [`attach_masks`], [`set_masks`], [`forget_pruned`]; [`prune`] joins the two, [`choose`] does so without a module.

mod coupling;
mod criterion;
mod error;
mod granularity;
mod mask;
mod masked;
mod optimizer_state;
mod pattern;
mod prune;
mod schedule;
mod scope;
mod select;
mod sparsity;
mod target;

pub use coupling::{Coupling, couple};
pub use criterion::{Criterion, score};
pub use error::Error;
pub use granularity::{Granularity, GroupScore, Layout, Tiling};
pub use mask::{Mask, MaskSet};
pub use masked::{Masked, Parameter, attach_masks, masks, parameters, set_masks, set_parameters};
pub use optimizer_state::{OptimizerState, StateTensor, forget_pruned};
pub use pattern::Selection;
pub use prune::{Rule, choose, choose_on, prune};
pub use schedule::{Schedule, Targets};
pub use scope::{Scope, Terms};
pub use select::{Request, Scores, planned, select};
pub use sparsity::Sparsity;
pub use target::{Amount, Measure, Measured, Sizes, Target};
