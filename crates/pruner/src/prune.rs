//! One prune of a module: score its masked parameters, select, set the masks.

use crate::{Criterion, Error, MaskSet, Scope, Scores, Sparsity, masks, parameters, score, select, set_masks};
use burn::module::Module;

/// How to choose what goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// What is important.
    pub criterion: Criterion,
    /// Who competes.
    pub scope: Scope,
    /// Share of the masked parameters' elements that is zero afterwards.
    pub sparsity: Sparsity,
    /// Names the random numbers of a random criterion.
    pub seed: u64,
}

/// Prunes the masked parameters of a module; call [`crate::attach_masks`] once before, and
/// [`crate::forget_pruned`] on the optimizer after.
///
/// Returns the module and its new masks, which lie within the old ones.
///
/// # Errors
/// When a masked weight is not finite, or the sparsity is below what is pruned already.
pub fn prune<M: Module>(module: M, rule: Rule) -> Result<(M, MaskSet), Error> {
    let old = masks(&module);
    let values = parameters(&module);
    let mut layers = Vec::new();
    for (place, (name, within)) in old.iter().enumerate() {
        let own = values.iter().find(|own| own.name == name).expect("a mask is attached to a parameter of the module");
        let scores = score(rule.criterion, name, &own.values, place, rule.seed)?;
        layers.push(Scores { name, shape: &own.shape, scores, within });
    }
    let new = select(&layers, rule.scope, rule.sparsity)?;
    Ok((set_masks(module, &new)?, new))
}
