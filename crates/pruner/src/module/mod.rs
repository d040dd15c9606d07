//! The half that meets burn: masks in modules, and scores from what a module computes.

mod activations;
mod attach;
mod flow;
mod focus;
mod gradients;
mod layers;
mod masked;
mod movement;
mod optimizer_state;
mod prune;
mod saliency;
mod score_file;

pub use activations::Activations;
pub use attach::{fold_masks, mask_selected};
pub use flow::{grasp, in_rounds, prune_by, prune_in_rounds, synflow};
pub use focus::focus;
pub use gradients::Gradients;
pub use layers::layouts;
pub use masked::{
    Masked, Parameter, attach_masks, attach_straight_through, masks, move_masks, parameters, set_masks, set_parameters,
    stored,
};
pub use movement::Movement;
pub use optimizer_state::{OptimizerState, StateTensor, forget_pruned};
pub use prune::prune;
pub use saliency::{Saliency, lamp, ordered};
