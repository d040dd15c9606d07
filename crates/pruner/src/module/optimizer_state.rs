//! The optimizer's memory by parameter name on the host: what a checkpoint keeps, and what a prune has to forget.
//!
//! burn keys optimizer state by parameter id and hands it out as a burnpack record only; this room translates.

use super::masked::Path;
use crate::{Error, MaskSet, masks};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::tensor::{Bytes, DType, Tensor};
use burn_pack::{Reader, Scalar, Writer};
use std::collections::BTreeMap;

/// State of an optimizer: tensors such as Adam's moments, and counters such as its time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimizerState {
    /// Tensors, ordered by parameter and field.
    pub tensors: Vec<StateTensor>,
    /// Counters by parameter and field.
    pub counters: BTreeMap<(String, String), u64>,
}

/// One tensor of an optimizer's state.
#[derive(Clone, Debug, PartialEq)]
pub struct StateTensor {
    /// Path of the parameter that it belongs to.
    pub parameter: String,
    /// Field of the state, such as `momentum.moment_1`.
    pub field: String,
    /// Shape, the parameter's own.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub values: Vec<f32>,
}

/// Zeroes the optimizer's state of every pruned weight, so that nothing of the past leaks into it.
///
/// # Errors
/// When burn cannot hand its state out or take it back.
pub fn forget_pruned<M: Module>(optimizer: ModuleOptimizer, module: &M) -> Result<ModuleOptimizer, Error> {
    let mut state = OptimizerState::read(&optimizer)?;
    state.forget_pruned(&masks(module));
    state.write(optimizer, module)
}

impl OptimizerState {
    /// Zeroes what is remembered of every pruned weight.
    pub fn forget_pruned(&mut self, masks: &MaskSet) {
        for tensor in &mut self.tensors {
            if let Some(mask) = masks.get(&tensor.parameter).filter(|mask| mask.shape() == tensor.shape) {
                mask.zero_pruned(&mut tensor.values);
            }
        }
    }

    /// Copies the optimizer's state to the host.
    ///
    /// # Errors
    /// When the state holds anything but f32 tensors and counters.
    pub fn read(optimizer: &ModuleOptimizer) -> Result<Self, Error> {
        let record = optimizer.to_record();
        if record.is_empty() {
            return Ok(Self::default());
        }
        let reader = Reader::from_bytes(record.into_bytes().map_err(foreign)?).map_err(foreign)?;
        let names = reader.metadata().clone();
        let split = |key: &str| -> Result<(String, String), Error> {
            let (id, field) = key.split_once('.').ok_or_else(|| foreign(format!("`{key}` has no field")))?;
            let name = names.get(id).ok_or_else(|| foreign(format!("`{key}` belongs to no parameter")))?;
            Ok((name.clone(), field.to_owned()))
        };
        let mut state = Self::default();
        for (key, value) in reader.scalars() {
            let counter =
                u64::try_from(*value).map_err(|_| foreign(format!("`{key}` is {value:?}, wanted a counter")))?;
            state.counters.insert(split(key)?, counter);
        }
        for tensor in reader.into_tensors().map_err(foreign)? {
            let (key, dtype, shape, _, bytes) = tensor.into_parts().map_err(foreign)?;
            if dtype != DType::F32 {
                return Err(foreign(format!("`{key}` holds {dtype:?}, wanted F32")));
            }
            let (parameter, field) = split(&key)?;
            let values = bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
            state.tensors.push(StateTensor { parameter, field, shape: shape.to_vec(), values });
        }
        state.tensors.sort_by(|a, b| (&a.parameter, &a.field).cmp(&(&b.parameter, &b.field)));
        Ok(state)
    }

    /// Gives the optimizer this state, for the parameters of `module`.
    ///
    /// # Errors
    /// When the state names a parameter that the module lacks, or a tensor has another shape than its parameter.
    pub fn write<M: Module>(self, optimizer: ModuleOptimizer, module: &M) -> Result<ModuleOptimizer, Error> {
        let mut ids = ReadIds { found: BTreeMap::new(), path: Path::default() };
        module.visit(&mut ids);
        let own = |name: &str, field: &str| {
            ids.found.get(name).ok_or_else(|| Error::State {
                name: format!("{name}.{field}"),
                found: "optimizer state".into(),
                wanted: "nothing: the module has no such parameter".into(),
            })
        };
        let mut tensors = Vec::with_capacity(self.tensors.len());
        for StateTensor { parameter, field, shape, values } in self.tensors {
            let (id, wanted) = own(&parameter, &field)?;
            if shape != *wanted || values.len() != wanted.iter().product::<usize>() {
                let (found, wanted) = (format!("shape {shape:?}"), format!("shape {wanted:?}"));
                return Err(Error::State { name: format!("{parameter}.{field}"), found, wanted });
            }
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let name = format!("{id}.{field}");
            tensors.push(burn_pack::Tensor::new(name, DType::F32, shape, Some(*id), Bytes::from_bytes_vec(bytes)));
        }
        let mut writer = Writer::new(tensors);
        for ((parameter, field), counter) in &self.counters {
            let (id, _) = own(parameter, field)?;
            writer = writer.with_scalar(&format!("{id}.{field}"), Scalar::UInt(*counter));
        }
        for (name, (id, _)) in &ids.found {
            writer = writer.with_metadata(&id.to_string(), name);
        }
        let record = OptimizerRecord::from_bytes(writer.into_bytes().map_err(foreign)?).map_err(foreign)?;
        Ok(optimizer.load_record(record))
    }
}

struct ReadIds {
    found: BTreeMap<String, (u64, Vec<usize>)>,
    path: Path,
}

impl ModuleVisitor for ReadIds {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.insert(self.path.name(), (param.id.val(), param.lazy_shape().to_vec()));
    }
}

fn foreign(error: impl std::fmt::Display) -> Error {
    Error::Optimizer(error.to_string())
}
