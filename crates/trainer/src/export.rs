//! The final model as a file that other programs read: safetensors in PyTorch's names, shapes and layout.

use crate::models::transpose;
use crate::tensor_file::TensorFile;
use crate::{Error, Experiment};
use secateur_pruner::Parameter;
use secateur_sparse::{Network, Parameters};
use std::path::Path;

/// The network as safetensors: `<layer>.weight` (`[out, in, height, width]` or `[out, in]`) and `<layer>.bias`, so that
/// PyTorch's `load_state_dict` takes it as it is.
pub(crate) fn safetensors(network: &Network) -> Vec<u8> {
    let mut file = TensorFile::default();
    for Parameters { name, shape, weight, bias } in network.parameters() {
        file.add_f32(format!("{name}.weight"), &shape, weight);
        file.add_f32(format!("{name}.bias"), &[bias.len()], bias);
    }
    file.to_bytes(Some(("format", "pt")))
}

/// Reads what [`safetensors`] wrote, for this experiment's model.
///
/// # Errors
/// When the bytes are no such file, or hold another model.
pub(crate) fn read(path: &Path, bytes: &[u8], experiment: &Experiment) -> Result<Network, Error> {
    let file = TensorFile::from_bytes(path, bytes)?;
    let fill = |name: &str, shape: &[usize], values: &mut Vec<f32>| match file.f32(name) {
        Some((found, read)) if found == shape => {
            *values = read;
            Ok(())
        }
        found => {
            let found = found.map_or("no such f32 tensor".into(), |(found, _)| format!("shape {found:?}"));
            Err(Error::Run { path: path.to_owned(), why: format!("`{name}`: found {found}, wanted shape {shape:?}") })
        }
    };
    experiment.network().filled(|layer| {
        fill(&format!("{}.weight", layer.name), &layer.shape, layer.weight)?;
        fill(&format!("{}.bias", layer.name), &[layer.bias.len()], layer.bias)
    })
}

/// The network with these parameters, which are in burn's layout; `shape` gives the layers around them.
///
/// # Panics
/// When a parameter is missing, or has another size than the network's.
pub(crate) fn network(parameters: &[Parameter], shape: &Network) -> Network {
    let values = |layer: &str, field: &str| {
        let own =
            |own: &&Parameter| own.name.strip_prefix(layer).and_then(|rest| rest.strip_prefix('.')) == Some(field);
        &parameters.iter().find(own).expect("the parameters belong to a network of this shape").values
    };
    let filled = shape.filled(|layer| {
        let weight = values(layer.name, "weight");
        *layer.weight = match layer.shape[..] {
            [outputs, inputs] => transpose(weight, inputs, outputs),
            _ => weight.clone(),
        };
        layer.bias.clone_from(values(layer.name, "bias"));
        Ok::<(), secateur_sparse::Error>(())
    });
    filled.expect("only values changed")
}

/// The network's parameters in burn's layout, in the model's order.
pub(crate) fn parameters(network: &Network) -> Vec<Parameter> {
    let mut found = Vec::new();
    for Parameters { name, shape, weight, bias } in network.parameters() {
        let (shape, weight) = match shape[..] {
            [outputs, inputs] => (vec![inputs, outputs], transpose(weight, outputs, inputs)),
            _ => (shape, weight.to_vec()),
        };
        found.push(Parameter { name: format!("{name}.weight"), shape, values: weight });
        found.push(Parameter { name: format!("{name}.bias"), shape: vec![bias.len()], values: bias.to_vec() });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ExperimentConfig;

    #[test]
    fn reading_is_the_inverse_of_writing_and_other_models_are_refused() {
        let experiment = |model: &str| {
            let text = format!("name = \"x\"\nmodel = {model}\ntrain = {{ length = {{ steps = 1 }} }}");
            Experiment::new(ExperimentConfig::parse("x", &text, &[]).expect("valid")).expect("meant")
        };
        let small = experiment("{ kind = \"lenet\", width = 1 }");
        let network = small.config().model.initial(3);
        let bytes = safetensors(&network);
        assert_eq!(read(Path::new("m"), &bytes, &small).expect("own bytes"), network);
        let error = read(Path::new("m"), &bytes, &experiment("{ kind = \"lenet\", width = 2 }")).expect_err("wider");
        assert!(error.to_string().contains("`conv1.weight`: found shape [6, 1, 3, 3], wanted shape [12, 1, 3, 3]"));
        assert!(read(Path::new("m"), &bytes[..bytes.len() - 1], &small).is_err());
    }
}
