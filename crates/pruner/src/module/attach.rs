//! The two ends of pruning a module: masks for all parameters that a selection names, and a plain module at the end.

use super::masked::Path;
use crate::{Error, Selection, attach_masks, masks};
use burn::module::{Module, ModuleVisitor, Param, Reparameterization, Reparameterizer};
use burn::tensor::Tensor;

/// Attaches a mask that keeps everything to each parameter that the selection chooses.
///
/// Patterns meet the paths of parameters such as `block1.conv.weight`. Running statistics of a normalisation are no
/// parameters and are never chosen.
///
/// # Errors
/// When a pattern chooses nothing, or the module has masks already.
pub fn mask_selected<M: Module>(module: M, selection: &Selection) -> Result<M, Error> {
    if let Some((name, _)) = masks(&module).iter().next() {
        return Err(Error::AlreadyMasked { name: name.into() });
    }
    let names = maskable(&module);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    attach_masks(module, &selection.choose(&names)?)
}

/// The same module with its masks folded in: parameters are ordinary ones again, pruned weights are `+0.0`, ids and what
/// trains stay as they were.
///
/// Nothing holds the zeros at zero from here on, so this comes last. burn folds every reparameterization at once; an
/// adapter that is attached beside the masks is merged, too.
pub fn fold_masks<M: Module>(module: M) -> M {
    module.materialize()
}

/// Paths of the float parameters that can have a mask, in the module's order.
fn maskable<M: Module>(module: &M) -> Vec<String> {
    // A buffer is visited like a parameter, but drops what is attached to it: that tells them apart. A parameter that
    // carries an adapter already keeps that one, and is left out, too.
    let mut finder = FindProbes { found: vec![], path: Path::default() };
    module.clone().apply_reparameterization(AttachProbes).visit(&mut finder);
    finder.found
}

/// A reparameterization that changes nothing and holds nothing.
#[derive(Module, Debug)]
struct Probe {}

impl Reparameterization for Probe {
    const NAME: &'static str = "probe";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        base
    }
}

struct AttachProbes;

impl Reparameterizer for AttachProbes {
    type Reparam = Probe;

    fn reparameterize<const D: usize>(
        &mut self,
        _: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Probe>) {
        (param, Some(Probe {}))
    }
}

struct FindProbes {
    found: Vec<String>,
    path: Path,
}

impl ModuleVisitor for FindProbes {
    fn enter_module(&mut self, name: &str, kind: &str) {
        if name == Probe::NAME && kind == "Reparameterization" {
            self.found.push(self.path.name());
        }
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }
}
