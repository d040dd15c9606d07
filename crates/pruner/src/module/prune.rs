//! One prune of a module: score its masked parameters, select, set the masks.

use super::layers::module_terms;
use crate::{Error, Mask, MaskSet, Rule, choose_on, masks, parameters, set_masks};
use burn::module::Module;
use std::borrow::Cow;

/// Prunes the masked parameters of a module; call [`crate::attach_masks`] once before, and
/// [`crate::forget_pruned`] on the optimizer after.
///
/// Returns the module and its new masks, which lie within the old ones. Axes are those of the layers that the parameters
/// belong to ([`crate::layouts`]).
///
/// # Errors
/// When the module has no masks, a masked weight is not finite, the target cannot be reached, or the rule goes by the axes
/// of a layer that is unknown or of a grouped convolution.
pub fn prune<M: Module>(module: M, rule: Rule) -> Result<(M, MaskSet), Error> {
    let (values, old) = (parameters(&module), attached(&module)?);
    let kept = |name: &str, mask: &Mask| {
        let own = values.iter().find(|own| own.name == name).expect("a mask belongs to a parameter");
        Cow::Owned(mask.gather(&own.values))
    };
    let new = choose_on(kept, &old, rule, module_terms(&module, &old, &rule.request())?)?;
    Ok((set_masks(module, &new)?, new))
}

/// The masks of a module.
///
/// # Errors
/// When it has none: whoever prunes it has forgotten to attach them.
pub(crate) fn attached<M: Module>(module: &M) -> Result<MaskSet, Error> {
    let found = masks(module);
    if found.iter().next().is_none() { Err(Error::NoMasks) } else { Ok(found) }
}
