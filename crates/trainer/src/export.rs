//! The final model as a file that other programs read: safetensors in PyTorch's names, shapes and layout.

use crate::folder::Manifest;
use crate::state::Weights;
use crate::tensor_file::{TensorFile, TensorReader};
use crate::trained_on::{self, TrainedOn};
use crate::{Error, Experiment};
use secateur_graph::Graph;
use secateur_pruner::{Mask, MaskSet};
use secateur_sparse::Trained;
use secateur_sparse::export::{GRAPH, graph_from_json, graph_to_json};
use secateur_sparse::file::{Scale, wrong_class_names};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// Key of a model's header in safetensors under which the scales of its input are told, as JSON, where they are not the default.
pub(crate) const SCALES: &str = "secateur.scales";

/// Key under which the names of its classes are told, as JSON, where they have some.
pub(crate) const CLASSES: &str = "secateur.classes";

/// Key of a model's header in safetensors under which the model's name is told.
const MODEL: &str = "secateur.model";

/// What the header of a run's final model tells beside its tensors: the model, by name and as a graph, and what
/// [`notes`] says.
pub(crate) fn model_notes(experiment: &Experiment, manifest: &Manifest) -> Vec<(&'static str, String)> {
    let mut all = notes(&manifest.trained_on, &manifest.scales, &experiment.data().class_names);
    all.push((GRAPH, graph_to_json(experiment.graph())));
    all.push((MODEL, experiment.config().model.to_string()));
    all
}

/// The model that a header tells, by name and as a graph; `None` where it tells none.
///
/// # Errors
/// When what it tells is no graph.
pub(crate) fn noted_model(file: &TensorReader) -> Result<Option<(String, Graph)>, Error> {
    let Some(text) = file.note(GRAPH) else { return Ok(None) };
    let graph = graph_from_json(text).map_err(|error| file.refuse(format!("`{GRAPH}` of the header: {error}")))?;
    let name = file.note(MODEL).unwrap_or("a graph").chars().take(80).collect();
    Ok(Some((name, graph)))
}

/// What a model's header in safetensors tells beside its tensors: which splits it was trained on, what it sees of a byte and
/// what its classes are called, where that is known.
pub(crate) fn notes(trained_on: &[TrainedOn], scales: &[Scale], classes: &[String]) -> Vec<(&'static str, String)> {
    let splits = trained_on::note(trained_on).map(|splits| (trained_on::NOTE, splits));
    let scales = (!scales.is_empty()).then(|| (SCALES, serde_json::to_string(scales).expect("plain data")));
    let classes = (!classes.is_empty()).then(|| (CLASSES, serde_json::to_string(classes).expect("plain data")));
    splits.into_iter().chain(scales).chain(classes).collect()
}

/// The scales that a note under [`SCALES`] tells; none where it does not, or they make no sense.
pub(crate) fn noted_scales(note: Option<&str>) -> Vec<Scale> {
    let noted: Option<Vec<Scale>> = note.and_then(|text| serde_json::from_str(text).ok());
    noted.filter(|scales| scales.len() <= 1 << 16).unwrap_or_default()
}

/// The names of so many classes that a note under [`CLASSES`] tells; none where it does not, or they make no sense.
pub(crate) fn noted_classes(note: Option<&str>, classes: usize) -> Vec<String> {
    let noted: Option<Vec<String>> = note.and_then(|text| serde_json::from_str(text).ok());
    noted.filter(|names| wrong_class_names(names, classes).is_none()).unwrap_or_default()
}

/// Writes the model as safetensors: `<layer>.weight` (`[out, in, height, width]` or `[out, in]`), `<layer>.bias` and so on, so
/// that PyTorch's `load_state_dict` takes it as it is. Pruned weights are zeros. `notes` go into the header.
///
/// # Errors
/// What `out` says.
pub(crate) fn write(
    parameters: &[Weights],
    masks: &MaskSet,
    own_notes: &[(&'static str, String)],
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut file = TensorFile::default();
    for own in parameters {
        let mask = masks.get(&own.name);
        file.add_f32_later(own.name.clone(), &own.shape, move || whole(own, mask));
    }
    let mut notes = BTreeMap::from([("format", "pt".to_owned())]);
    notes.extend(own_notes.iter().cloned());
    file.write(&notes, out)
}

/// All values of a parameter.
fn whole(own: &Weights, mask: Option<&Mask>) -> Vec<f32> {
    mask.map_or_else(|| own.kept.clone(), |mask| mask.scatter(&own.kept))
}

/// Reads what [`write`] wrote, for this experiment's model: its parameters, and a mask for the zeros of each that may be
/// pruned.
///
/// # Errors
/// When the file cannot be read, is no such file, or holds another model.
pub(crate) fn read(path: &Path, experiment: &Experiment) -> Result<(Vec<Weights>, MaskSet), Error> {
    let file = TensorReader::open(path)?;
    let (mut parameters, mut masks) = (vec![], vec![]);
    for (name, shape) in shapes(experiment.graph()) {
        let mut kept = file
            .f32(&name, &shape)?
            .ok_or_else(|| file.refuse(format!("`{name}`: found no such f32 tensor, wanted shape {shape:?}")))?;
        check_values(path, &name, &kept)?;
        if experiment.prunes() && experiment.prunable().contains(&name.as_str()) {
            let mask = Mask::from_fn(&shape, |index| kept[index] != 0.0);
            kept = mask.gather(&kept);
            masks.push((name.clone(), mask));
        }
        parameters.push(Weights { name, shape, kept });
    }
    Ok((parameters, MaskSet::new(masks)))
}

/// Refuses parameters that hold what is no number.
///
/// # Errors
/// When one does, with its name and position.
pub(crate) fn check_finite(path: &Path, parameters: &[Weights]) -> Result<(), Error> {
    parameters.iter().try_for_each(|own| check_values(path, &own.name, &own.kept))
}

fn check_values(path: &Path, name: &str, values: &[f32]) -> Result<(), Error> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => {
            let why = format!("`{name}`: value {index} is {}, expected finite numbers", values[index]);
            Err(Error::Run { path: path.to_owned(), why })
        }
        None => Ok(()),
    }
}

/// Names and shapes of the graph's parameters, in its order.
pub(crate) fn shapes(graph: &Graph) -> Vec<(String, Vec<usize>)> {
    graph.parameters().iter().map(|own| (own.name.clone(), own.shape.clone())).collect()
}

/// The graph's network with these parameters, pruned weights as zeros.
///
/// # Errors
/// When a parameter is missing.
pub(crate) fn network(graph: &Graph, parameters: &[Weights], masks: &MaskSet) -> Result<Trained, Error> {
    let mut weights = secateur_graph::Weights::default();
    for own in graph.parameters() {
        let found = parameters.iter().find(|found| found.name == own.name);
        let found = found.ok_or_else(|| Error::Foreign { name: own.name.clone(), wanted: own.len() })?;
        weights.insert(&own.name, whole(found, masks.get(&own.name)));
    }
    Ok(Trained { graph: graph.clone(), weights })
}

/// Weights as parameters in the graph's order, all of their values.
pub(crate) fn parameters(graph: &Graph, weights: &secateur_graph::Weights) -> Vec<Weights> {
    let one = |own: &secateur_graph::Parameter| {
        let (name, shape) = (own.name.clone(), own.shape.clone());
        Weights { name, shape, kept: weights.get(&own.name).to_vec() }
    };
    graph.parameters().iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ExperimentConfig;
    use secateur_pruner::Parameter;
    use std::fs;

    fn experiment(model: &str) -> Experiment {
        let text = format!(
            "name = \"x\"\nmodel = {model}\ntrain = {{ length = {{ steps = 1 }} }}\n\
             [prune]\nschedule = {{ kind = \"one-shot\", sparsity = 0.5 }}\nevery = {{ steps = 1 }}"
        );
        Experiment::on_data(ExperimentConfig::parse("x", &text, &[]).expect("valid"), crate::data::MNIST)
            .expect("meant")
    }

    #[test]
    fn reading_is_the_inverse_of_writing_and_other_models_are_refused() {
        let small = experiment("{ kind = \"lenet\", width = 1 }");
        let whole = small.initial(3);
        let masks = small.prunable().into_iter().map(|name| {
            let own = whole.iter().find(|own| own.name == name).expect("prunable names are the model's");
            (name.to_owned(), Mask::from_fn(&own.shape, |index| index % 3 == 0 && own.kept[index] != 0.0))
        });
        let masks = MaskSet::new(masks.collect());
        let kept: Vec<Weights> = whole
            .into_iter()
            .map(|Weights { name, shape, kept }| Weights::of(Parameter { name, shape, values: kept }, &masks))
            .collect();
        let mut bytes = vec![];
        write(&kept, &masks, &[], &mut bytes).expect("into memory");

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");
        fs::write(&path, &bytes).expect("written");
        assert_eq!(read(&path, &small).expect("own bytes"), (kept, masks));
        let error = read(&path, &experiment("{ kind = \"lenet\", width = 2 }")).expect_err("wider");
        assert!(error.to_string().contains("`conv1.weight`: found shape [6, 1, 3, 3], wanted shape [12, 1, 3, 3]"));
        fs::write(&path, &bytes[..bytes.len() - 1]).expect("written");
        assert!(read(&path, &small).is_err());
    }
}
