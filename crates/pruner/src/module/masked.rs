//! Makes any burn module mask-aware, through burn's reparameterization of parameters: an ordinary layer calls
//! `Param::val()` and gets the weight with its pruned elements at `+0.0`.
//!
//! What a visitor or the optimizer sees is the *base*, the stored tensor; the base of a pruned weight could drift under
//! momentum, so [`set_masks`] zeroes it, and [`crate::forget_pruned`] zeroes its optimizer state.
//!
//! Behind a straight-through mask a pruned weight has a *shadow* instead: it counts as zero and its base goes on receiving
//! the gradient that it would have, so that a later choice of masks can bring it back ([`attach_straight_through`]).

use crate::{Error, Mask, MaskSet};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, Reparameterization, Reparameterizer};
use burn::tensor::{Bool, Tensor, TensorData};
use std::collections::BTreeSet;

/// The mask of one parameter on the device, one byte an element: true where it is pruned.
#[derive(Module, Debug)]
pub struct Masked {
    pruned: Param<Tensor<1, Bool>>,
    /// Whether gradients pass as if nothing were pruned.
    #[module(skip)]
    straight_through: bool,
}

/// Path of the mask's bits below the path of its parameter.
const BITS: &str = ".mask.pruned";

impl Reparameterization for Masked {
    const NAME: &'static str = "mask";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        // Filling, not multiplying: a pruned weight is +0.0 whatever stands below, infinities and NaN included. Not so behind
        // a straight-through mask: what stands below trains on, and one that is not finite is NaN here, so that it shows.
        let pruned = self.pruned.val().reshape(base.shape());
        if self.straight_through {
            // The sum is exactly the masked weight, and its gradient is the base's.
            let away = base.clone().detach().mask_fill(pruned.bool_not(), 0.0);
            return base - away;
        }
        base.mask_fill(pruned, 0.0)
    }
}

/// Attaches a mask that keeps everything to each of the `names` parameters (full paths, such as `fc1.weight`).
///
/// # Errors
/// When a parameter has a mask already, or a name is not a float parameter of the module.
pub fn attach_masks<M: Module>(module: M, names: &[&str]) -> Result<M, Error> {
    attach(module, names, false)
}

/// [`attach_masks`] with masks that gradients pass straight through: a pruned weight counts as zero and is trained on as if
/// it did not (Guo et al., "Dynamic network surgery for efficient DNNs", 2016). Move such masks with [`move_masks`], which
/// leaves what is stored alone; [`stored`] reads it.
///
/// # Errors
/// When a parameter has a mask already, or a name is not a float parameter of the module.
pub fn attach_straight_through<M: Module>(module: M, names: &[&str]) -> Result<M, Error> {
    attach(module, names, true)
}

fn attach<M: Module>(module: M, names: &[&str], straight_through: bool) -> Result<M, Error> {
    if let Some((name, _)) = masks(&module).iter().next() {
        return Err(Error::AlreadyMasked { name: name.into() });
    }
    let known: Vec<String> = parameters(&module).into_iter().map(|parameter| parameter.name).collect();
    if let Some(name) = names.iter().find(|name| !known.iter().any(|own| own == *name)) {
        return Err(Error::NoMatch { pattern: (*name).into(), known });
    }
    Ok(module.apply_reparameterization(Attach { names: names.iter().copied().collect(), straight_through }))
}

struct Attach<'a> {
    names: BTreeSet<&'a str>,
    straight_through: bool,
}

impl Reparameterizer for Attach<'_> {
    type Reparam = Masked;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Masked>) {
        let masked = self.names.contains(path).then(|| {
            let none =
                TensorData::new(vec![false; param.lazy_shape().num_elements()], [param.lazy_shape().num_elements()]);
            let pruned = Param::initialized(Default::default(), Tensor::from_data(none, &param.lazy_device()));
            Masked { pruned, straight_through: self.straight_through }
        });
        (param, masked)
    }
}

/// Sets the bits of all attached masks and zeroes the base of every pruned weight.
///
/// # Errors
/// When the set and the module's masked parameters differ in names or shapes; the module is lost then, the error says
/// what to mend.
pub fn set_masks<M: Module>(module: M, set: &MaskSet) -> Result<M, Error> {
    check_set(&module, set)?;
    Ok(module.map(&mut SetBits { set, zeroes: true, path: Path::default() }))
}

/// Sets the bits of all attached masks and leaves what is stored as it is.
///
/// # Errors
/// When the set and the module's masked parameters differ in names or shapes.
pub fn move_masks<M: Module>(module: M, set: &MaskSet) -> Result<M, Error> {
    check_set(&module, set)?;
    Ok(module.map(&mut SetBits { set, zeroes: false, path: Path::default() }))
}

/// Refuses a set that is not of the module's masks.
fn check_set<M: Module>(module: &M, set: &MaskSet) -> Result<(), Error> {
    let attached = masks(module);
    for (name, mask) in set.iter() {
        let own = attached.get(name).ok_or_else(|| Error::UnknownMask {
            name: name.into(),
            known: attached.iter().map(|(name, _)| name.to_owned()).collect(),
        })?;
        if own.shape() != mask.shape() {
            let (found, wanted) = (mask.shape().to_vec(), own.shape().to_vec());
            return Err(Error::MaskShape { name: name.into(), found, wanted });
        }
    }
    if let Some((name, _)) = attached.iter().find(|(name, _)| set.get(name).is_none()) {
        return Err(Error::MissingMask { name: name.into() });
    }
    Ok(())
}

struct SetBits<'a> {
    set: &'a MaskSet,
    /// Whether what is stored of a pruned weight becomes zero.
    zeroes: bool,
    path: Path,
}

impl ModuleMapper for SetBits<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(mask) = self.set.get(&self.path.name()).filter(|_| self.zeroes) else { return param };
        replace(param, |value| {
            let pruned = Tensor::<1, Bool>::from_data(pruned_data(mask), &value.device()).reshape(value.shape());
            value.mask_fill(pruned, 0.0)
        })
    }

    fn map_bool<const D: usize>(&mut self, param: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        let path = self.path.name();
        let Some(mask) = path.strip_suffix(BITS).and_then(|name| self.set.get(name)) else { return param };
        param.map(|value| Tensor::from_data(pruned_data(mask), &value.device()))
    }
}

/// Changes the stored value of a parameter outside of any gradient, and keeps its id and training state.
pub(crate) fn replace<const D: usize>(
    param: Param<Tensor<D>>,
    change: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Param<Tensor<D>> {
    param.map(|value| {
        let (tracked, trains) = (value.is_autodiff(), value.is_require_grad());
        let changed = change(if tracked { value.inner() } else { value });
        if tracked { Tensor::from_inner(changed).set_require_grad(trains) } else { changed }
    })
}

fn pruned_data(mask: &Mask) -> TensorData {
    let pruned: Vec<bool> = (0..mask.total()).map(|index| !mask.keeps(index)).collect();
    TensorData::new(pruned, [mask.total()])
}

/// The masks attached to a module, in the module's order; empty when there are none.
pub fn masks<M: Module>(module: &M) -> MaskSet {
    let mut reader = ReadMasks { found: vec![], shape: vec![], path: Path::default() };
    module.visit(&mut reader);
    MaskSet::new(reader.found)
}

struct ReadMasks {
    found: Vec<(String, Mask)>,
    shape: Vec<usize>,
    path: Path,
}

impl ModuleVisitor for ReadMasks {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // A parameter is visited just before its own mask.
        self.shape = param.lazy_shape().to_vec();
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        let path = self.path.name();
        if let Some(name) = path.strip_suffix(BITS) {
            let pruned: Vec<bool> = param.val().into_data().iter::<bool>().collect();
            self.found.push((name.to_owned(), Mask::from_fn(&self.shape, |index| !pruned[index])));
        }
    }
}

/// A parameter's effective values on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Path in the module, such as `fc1.weight`.
    pub name: String,
    /// Shape as the module has it: the weights of burn's linear layers are `[in, out]`, of its convolutions `[out, in, height, width]`.
    pub shape: Vec<usize>,
    /// Values, row-major; pruned ones are `+0.0`.
    pub values: Vec<f32>,
}

/// Every float parameter of the module with its mask applied, in the module's order.
pub fn parameters<M: Module>(module: &M) -> Vec<Parameter> {
    read(module, true)
}

/// Every float parameter of the module as it is stored, in the module's order: those behind straight-through masks with
/// their shadows.
pub fn stored<M: Module>(module: &M) -> Vec<Parameter> {
    read(module, false)
}

fn read<M: Module>(module: &M, masked: bool) -> Vec<Parameter> {
    let mut reader = ReadParameters { found: vec![], masked, path: Path::default() };
    module.visit(&mut reader);
    reader.found
}

struct ReadParameters {
    found: Vec<Parameter>,
    /// Whether masks are applied.
    masked: bool,
    path: Path,
}

impl ModuleVisitor for ReadParameters {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.base().into_data();
        let (shape, values) = (data.shape().to_vec(), data.iter::<f32>().collect());
        self.found.push(Parameter { name: self.path.name(), shape, values });
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        // A visitor sees the base of a masked parameter first, its mask just after.
        let path = self.path.name();
        let (Some(name), Some(last)) = (path.strip_suffix(BITS), self.found.last_mut()) else { return };
        if !self.masked {
            return;
        }
        assert_eq!(name, last.name, "a mask is visited right after its parameter");
        for (value, pruned) in last.values.iter_mut().zip(param.val().into_data().iter::<bool>()) {
            if pruned {
                *value = 0.0;
            }
        }
    }
}

/// Stores `values` in the module's parameters; attached masks and their bits stay as they are.
///
/// # Errors
/// When names or shapes differ from the module's own, in either direction.
pub fn set_parameters<M: Module>(module: M, values: &[Parameter]) -> Result<M, Error> {
    let own = parameters(&module);
    let missing = |name: &str| Error::State { name: name.into(), found: "nothing".into(), wanted: "a tensor".into() };
    for parameter in &own {
        let given = values.iter().find(|given| given.name == parameter.name).ok_or_else(|| missing(&parameter.name))?;
        if given.shape != parameter.shape || given.values.len() != parameter.values.len() {
            let (found, wanted) = (format!("shape {:?}", given.shape), format!("shape {:?}", parameter.shape));
            return Err(Error::State { name: given.name.clone(), found, wanted });
        }
    }
    if let Some(extra) = values.iter().find(|given| !own.iter().any(|parameter| parameter.name == given.name)) {
        let (found, wanted) = ("a tensor".into(), "nothing: the module has no such parameter".into());
        return Err(Error::State { name: extra.name.clone(), found, wanted });
    }
    Ok(module.map(&mut WriteParameters { values, path: Path::default() }))
}

struct WriteParameters<'a> {
    values: &'a [Parameter],
    path: Path,
}

impl ModuleMapper for WriteParameters<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let Some(given) = self.values.iter().find(|given| given.name == name) else { return param };
        replace(param, |value| {
            let data = TensorData::new(given.values.clone(), given.shape.clone());
            Tensor::from_data(data, &value.device())
        })
    }
}

/// The path of the parameter that a traversal is at.
#[derive(Default)]
pub(crate) struct Path(Vec<String>);

impl Path {
    pub(crate) fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    pub(crate) fn exit(&mut self) {
        self.0.pop();
    }

    pub(crate) fn name(&self) -> String {
        self.0.join(".")
    }
}
