//! Decides which weights live (score -> select -> mask) and makes any burn module mask-aware.
//!
//! The deciding half is pure and works on slices: [`score`], [`select`], [`couple`], [`Schedule`]. The other half meets burn:
//! [`mask_selected`], [`set_masks`], [`forget_pruned`], [`fold_masks`]; [`prune`] joins the two, [`choose`] does so without
//! a module.
//!
//! What a criterion needs is in its type: [`Criterion`] needs weights; [`Saliency`] is made from [`Gradients`], from
//! [`Activations`], from a [`Movement`], or by a module that [`synflow`] and [`grasp`] may compute with, and [`prune_by`]
//! takes it.

mod activations;
mod attach;
mod coupled;
mod criterion;
mod error;
mod flow;
mod focus;
mod gradients;
mod granularity;
mod lamp;
mod layers;
mod mask;
mod masked;
mod movement;
mod optimizer_state;
mod pattern;
mod prune;
mod regrow;
mod saliency;
mod schedule;
mod scope;
mod score_file;
mod select;
mod sparsity;
mod target;
mod tiling;
mod unit_group;

pub use activations::Activations;
pub use attach::{fold_masks, mask_selected};
pub use coupled::choose_coupled;
pub use criterion::{Criterion, score};
pub use error::Error;
pub use flow::{grasp, in_rounds, prune_by, prune_in_rounds, synflow};
pub use focus::focus;
pub use gradients::Gradients;
pub use granularity::{Granularity, GroupScore, Layout};
pub use layers::layouts;
pub use mask::{Mask, MaskSet};
pub use masked::{
    Masked, Parameter, attach_masks, attach_straight_through, masks, move_masks, parameters, set_masks, set_parameters,
    stored,
};
pub use movement::Movement;
pub use optimizer_state::{OptimizerState, StateTensor, forget_pruned};
pub use pattern::Selection;
pub use prune::{Rule, choose, choose_by, choose_on, prune};
pub use regrow::{Exchange, exchange, growth, shuffle};
pub use saliency::{Saliency, lamp, ordered};
pub use schedule::{Schedule, Targets};
pub use scope::{Scope, Terms};
pub use select::{Request, Scores, planned, select};
pub use sparsity::Sparsity;
pub use target::{Amount, Measure, Measured, Sizes, Target};
pub use tiling::Tiling;
pub use unit_group::{Member, UnitGroup, couple};

/// The code of the page for those who come from PyTorch.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/pytorch.md")]
struct FromPyTorch;
