//! One prune of a module: score its masked parameters, select, set the masks.

use crate::{Criterion, Error, Mask, MaskSet, Scope, Scores, Sparsity, masks, parameters, score, select, set_masks};
use burn::module::Module;
use std::borrow::Cow;

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

/// The masks that prune by a rule, within the `old` ones; `kept` gives the values that the old mask of a parameter keeps,
/// in order. Pure: numbers in, bits out.
///
/// # Errors
/// When a masked weight is not finite, or the sparsity is below what is pruned already.
///
/// # Panics
/// When there are not as many values as a mask keeps.
pub fn choose<'a>(kept: impl Fn(&str, &Mask) -> Cow<'a, [f32]>, old: &MaskSet, rule: Rule) -> Result<MaskSet, Error> {
    let mut layers = Vec::new();
    for (place, (name, within)) in old.iter().enumerate() {
        let scores = score(rule.criterion, name, &kept(name, within), within, place, rule.seed)?;
        layers.push(Scores { name, shape: within.shape(), scores, within });
    }
    select(&layers, rule.scope, rule.sparsity)
}

/// Prunes the masked parameters of a module; call [`crate::attach_masks`] once before, and
/// [`crate::forget_pruned`] on the optimizer after.
///
/// Returns the module and its new masks, which lie within the old ones.
///
/// # Errors
/// When a masked weight is not finite, or the sparsity is below what is pruned already.
pub fn prune<M: Module>(module: M, rule: Rule) -> Result<(M, MaskSet), Error> {
    let values = parameters(&module);
    let kept = |name: &str, mask: &Mask| {
        let own = values.iter().find(|own| own.name == name).expect("a mask belongs to a parameter");
        Cow::Owned(mask.gather(&own.values))
    };
    let new = choose(kept, &masks(&module), rule)?;
    Ok((set_masks(module, &new)?, new))
}
