//! Decides which weights live (score -> select -> mask) and makes any burn module mask-aware.
//!
//! The deciding half is pure and works on slices: [`score`], [`select`], [`couple`], [`Schedule`]. The other half meets burn:
//! [`mask_selected`], [`set_masks`], [`forget_pruned`], [`fold_masks`]; [`prune`] joins the two, [`choose`] does so without
//! a module.
//!
//! What a criterion needs is in its type: [`Criterion`] needs weights; [`Saliency`] is made from [`Gradients`], from
//! [`Activations`], from a [`Movement`], or by a module that [`synflow`] and [`grasp`] may compute with, and [`prune_by`]
//! takes it.
//!
//! Without the feature `burn`, which is on by default, there is the deciding half alone, for models that are no burn modules.

mod choose;
mod coupled;
mod criterion;
mod error;
mod granularity;
mod lamp;
mod mask;
#[cfg(feature = "burn")]
mod module;
mod pattern;
mod regrow;
mod schedule;
mod scope;
mod select;
mod sparsity;
mod target;
mod tiling;
mod unit_group;

pub use choose::{Rule, choose, choose_by, choose_on};
pub use coupled::choose_coupled;
pub use criterion::{Criterion, score};
pub use error::Error;
pub use granularity::{Granularity, GroupScore, Layout};
pub use mask::{Mask, MaskSet};
#[cfg(feature = "burn")]
pub use module::*;
pub use pattern::Selection;
pub use regrow::{Exchange, exchange, growth, shuffle};
pub use schedule::{Schedule, Targets};
pub use scope::{Scope, Terms};
pub use select::{Request, Scores, planned, select};
pub use sparsity::Sparsity;
pub use target::{Amount, Measure, Measured, Sizes, Target};
pub use tiling::Tiling;
pub use unit_group::{Member, UnitGroup, couple};

/// The code of the page for those who come from PyTorch.
#[cfg(all(doctest, feature = "burn"))]
#[doc = include_str!("../../../docs/pytorch.md")]
struct FromPyTorch;
