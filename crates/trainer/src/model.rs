//! Opens whatever holds a trained network: a run, a model file, a safetensors file, or an ONNX model.

use crate::config::Source;
use crate::data::{CENTRED, Dataset, MNIST, Split};
use crate::folder::RunFolder;
use crate::run::{named, trained};
use crate::tensor_file::TensorReader;
use crate::{Error, Experiment, ModelConfig, data, export, files, folder, trained_on};
use secateur_graph::{Graph, Op, Role};
use secateur_sparse::file::{self, HEAD, Info, Precision, Scale, check_head};
use secateur_sparse::import::{self, Imported};
use secateur_sparse::infer::{self, Engine, Options};
use secateur_sparse::{Ranges, Trained};
use std::io::Read;
use std::path::Path;

/// Most numbers of an image between two layers, with the zeros that a convolution adds around it: whoever asks a model
/// holds many images and their answers.
const WIDEST: usize = 1 << 22;

/// A trained network, with what is known about it.
#[derive(Clone, Debug)]
pub struct Model {
    /// The network, pruned weights as zeros.
    pub network: Trained,
    /// Its name, and what the byte of a pixel means.
    pub info: Info,
    /// How the file holds its values; `None` where that is f32 without further ado.
    pub precision: Option<Precision>,
    /// The experiment that it comes from, when it was opened as a run.
    pub experiment: Option<Experiment>,
    /// The run's folder, when it was opened as one.
    pub run: Option<RunFolder>,
    /// What its header says as safetensors beside its tensors: which images it was trained on, and what it sees of a byte.
    pub notes: Vec<(&'static str, String)>,
}

impl Model {
    /// Opens a run's folder (its final model, or a checkpoint by name), a `.secateur` file, a safetensors file (one whose header
    /// tells its graph, as [`crate::run()`] leaves it, or one of a LeNet as PyTorch writes it), or an ONNX model.
    ///
    /// # Errors
    /// When there is no such thing, it is damaged, or nothing tells what network it holds.
    pub fn open(path: &Path, checkpoint: Option<&str>) -> Result<Self, Error> {
        let refuse = |why: &str| Error::Run { path: path.to_owned(), why: why.into() };
        if path.is_dir() {
            let experiment = folder::read_experiment(path)?;
            let checkpoint = named(path, &experiment, checkpoint)?;
            let (parameters, masks) = trained(path, &experiment, checkpoint.as_deref())?;
            let network = export::network(experiment.graph(), &parameters, &masks)?;
            // By its model, not by its run: a file's size is the same for equal networks.
            let scales = folder::read_manifest(path).map_or(vec![], |own| own.scales);
            let classes = experiment.data().class_names.clone();
            let notes = export::notes(&trained_on::of_run(path), &scales, &classes);
            let info = info(&experiment.config().model.to_string(), scales, classes);
            return Ok(Self {
                network,
                info,
                precision: None,
                experiment: Some(experiment),
                run: Some(RunFolder::at(path)),
                notes,
            });
        }
        if checkpoint.is_some() {
            return Err(refuse("found a file, wanted a run's folder, since a checkpoint is asked for"));
        }
        RunFolder::check_model_file(path)?;
        match path.extension().and_then(|end| end.to_str()) {
            Some("safetensors") => {
                let file = TensorReader::open(path)?;
                let (name, network) = told(&file)?;
                check_width(&network).map_err(|why| refuse(&why))?;
                let scales = export::noted_scales(file.note(export::SCALES));
                let classes = export::noted_classes(file.note(export::CLASSES), network.classes());
                let notes = export::notes(&trained_on::of_file(path), &scales, &classes);
                let info = info(&name, scales, classes);
                Ok(Self { network, info, precision: None, experiment: None, run: None, notes })
            }
            Some("secateur") => {
                let file = file::decode(&whole(path)?).map_err(|error| refuse(&error.to_string()))?;
                let file::Model { network, info, precision, .. } = file;
                check_width(&network).map_err(|why| refuse(&why))?;
                // Which images it was trained on, a model file does not tell.
                let notes = export::notes(&[], &info.scales, &info.classes);
                Ok(Self { network, info, precision: Some(precision), experiment: None, run: None, notes })
            }
            Some("onnx") => imported(path, &[]),
            _ if !path.exists() => Err(refuse("no such file or folder")),
            _ => Err(refuse("expected a run's folder, or a .secateur, .safetensors or .onnx file")),
        }
    }

    /// An ONNX model whose input has these sides, where it leaves some open.
    ///
    /// # Errors
    /// When it is no such model, or says other sides.
    pub fn open_onnx(path: &Path, sides: &[usize]) -> Result<Self, Error> {
        if path.extension().is_none_or(|end| end != "onnx") {
            let why = "expected an .onnx file, whose input the sides are for".to_owned();
            return Err(Error::Run { path: path.to_owned(), why });
        }
        imported(path, sides)
    }

    /// An engine for calls of so many images, one that computes with bytes where the file has the ranges of
    /// the values.
    ///
    /// # Errors
    /// When the network cannot be computed in the memory that the options allow.
    pub fn engine(&self, options: &Options) -> Result<Engine, infer::Error> {
        Engine::over(&self.network, &self.info.ranges, options)
    }

    /// Whether its images are ink in shades of grey, white on black, as MNIST has them, and not pictures: those of IDX files and
    /// drawn ones; where no run tells, images of MNIST's shape.
    pub fn takes_ink(&self) -> bool {
        let input = self.network.input();
        input[0] == 1
            && match &self.experiment {
                Some(own) => match own.config().data.source {
                    Source::Idx | Source::Synthetic => true,
                    Source::Cifar10 | Source::Cifar100 | Source::Npz | Source::ImageFolder => false,
                },
                None => input == MNIST.shape,
            }
    }

    /// The data in a folder, all of it, as the model takes it.
    ///
    /// # Errors
    /// When it cannot be loaded, or has other channels than the model takes.
    pub fn load_data(&self, dir: &Path) -> Result<Dataset, Error> {
        let run = self.experiment.as_ref().map(|own| &own.config().data);
        Ok(data::load_for_model(dir, run, &self.info.scales)?)
    }

    /// Checks that data is the data of the run that the model comes from; of a model that is only a file nothing is known.
    ///
    /// # Errors
    /// When it is other data.
    pub fn check_data(&self, dataset: &Dataset) -> Result<(), Error> {
        let Some(run) = &self.run else { return Ok(()) };
        folder::check_data(run.path(), &folder::read_manifest(run.path())?, &folder::files(dataset))
    }

    /// The images of a split as the network takes them, `[image][pixel]`, `range` of them.
    pub fn images(&self, split: &Split, range: std::ops::Range<usize>) -> Vec<f32> {
        let indices: Vec<u32> = range.map(|image| image as u32).collect();
        split.gather(&indices).pixels
    }
}

/// The network of an ONNX model, for an input of these sides where any are told. What is left out of it is told as a warning.
fn imported(path: &Path, sides: &[usize]) -> Result<Model, Error> {
    let refuse = |why: String| Error::Run { path: path.to_owned(), why };
    let Imported { network, name, notes, remarks } =
        import::onnx_of(path.parent().unwrap_or(Path::new("")), &files::read(path)?, sides)
            .map_err(|error| refuse(error.to_string()))?;
    let graph = &network.graph;
    let [input, output] = [graph.input(), graph.output()].map(|value| graph.shape(value).to_vec());
    if ![1, 3].contains(&input.len()) || output.len() != 1 {
        return Err(refuse(format!(
            "found a network from {input:?} to {output:?}, expected one from [channels, rows, columns] or [features] to [classes]"
        )));
    }
    check_width(&network).map_err(&refuse)?;
    remarks.iter().for_each(|own| tracing::warn!("{}: {own}", path.display()));
    let note = |key: &str| notes.get(key).map(String::as_str);
    let (mut scales, classes) =
        (export::noted_scales(note(export::SCALES)), export::noted_classes(note(export::CLASSES), network.classes()));
    if scales.is_empty() && network.rows().is_some() {
        // Numbers that choose rows are what they are.
        scales.push(Scale { divisor: 1.0, shift: 0.0 });
    }
    if scales.is_empty() && input.len() == 3 {
        tracing::warn!(
            "{}: the model does not say how pictures are normalised (`{}` in its metadata), so a byte b of one is taken as b / 255 - 0.5",
            path.display(),
            export::SCALES
        );
    }
    let notes = export::notes(&[], &scales, &classes);
    let info = info(&name, scales, classes);
    Ok(Model { network, info, precision: None, experiment: None, run: None, notes })
}

/// The bytes of a model file, which is read as a whole only when it is as long as its head says.
fn whole(path: &Path) -> Result<Vec<u8>, Error> {
    let file = files::open(path)?;
    let length = file.metadata().map_err(Error::io(path, "read"))?.len();
    let mut head = Vec::with_capacity(HEAD);
    file.take(HEAD as u64).read_to_end(&mut head).map_err(Error::io(path, "read"))?;
    check_head(&head, length).map_err(|error| Error::Run { path: path.to_owned(), why: error.to_string() })?;
    files::read(path)
}

/// What a file says of a model that sees bytes by these scales, those of earlier versions where none are told, and whose classes
/// have these names.
pub(crate) fn info(name: &str, mut scales: Vec<Scale>, classes: Vec<String>) -> Info {
    if scales.is_empty() {
        scales.push(CENTRED);
    }
    Info { name: name.to_owned(), scales, classes, ranges: Ranges::default() }
}

/// Refuses a network whose layers take or give too many numbers for an image.
fn check_width(network: &Trained) -> Result<(), String> {
    let widest = widest(network);
    if widest > WIDEST {
        return Err(format!("a layer takes or gives {widest} numbers for an image, expected at most {WIDEST}"));
    }
    Ok(())
}

/// The most numbers that a layer takes, padding included, or gives for an image.
fn widest(network: &Trained) -> usize {
    let graph = &network.graph;
    let values = std::iter::once(graph.input()).chain(graph.nodes().iter().map(|node| node.output));
    let padded = graph.nodes().iter().filter_map(|node| {
        let window = match &node.op {
            Op::Conv2d(conv) => conv.window,
            Op::Pool(pool) => pool.window,
            _ => return None,
        };
        let &[channels, rows, columns] = graph.shape(node.inputs[0]) else { return None };
        let [rows, columns] = window.padded([rows, columns])?;
        Some(channels.saturating_mul(rows).saturating_mul(columns))
    });
    values.map(|value| graph.shape(value).iter().product()).chain(padded).max().unwrap_or(0)
}

/// The network that a safetensors file holds: what its header tells, or the reference model that has these tensors.
fn told(file: &TensorReader) -> Result<(String, Trained), Error> {
    if let Some(name) = file.names().find(|name| name.ends_with(".crow_indices")) {
        return Err(file.refuse(format!(
            "found `{name}`: these are compressed sparse rows, as `secateur export --csr` writes them for PyTorch; expected \
             dense tensors, such as the run's model.safetensors, or a .secateur file"
        )));
    }
    let (name, graph) = match export::noted_model(file)? {
        Some(noted) => noted,
        None => reference(file)?,
    };
    if ![1, 3].contains(&graph.shape(graph.input()).len()) || graph.shape(graph.output()).len() != 1 {
        let found = [graph.input(), graph.output()].map(|value| graph.shape(value).to_vec());
        let why = format!("found a network from {:?} to {:?}, expected one from images to classes", found[0], found[1]);
        return Err(file.refuse(why));
    }
    let mut weights = secateur_graph::Weights::default();
    for own in graph.parameters() {
        let name = &own.name;
        let values = file.f32(name, &own.shape)?;
        let values = values.ok_or_else(|| file.refuse(format!("`{name}`: found no such tensor")))?;
        let fits = |value: &f32| match &graph.nodes()[own.node].op {
            Op::BatchNorm(norm) if own.role == Role::Variance => value.is_finite() && norm.takes_variance(*value),
            _ => value.is_finite(),
        };
        if let Some(place) = values.iter().position(|value| !fits(value)) {
            return Err(file.refuse(format!(
                "`{name}`: value {place} is {}, expected {}",
                values[place],
                match own.role {
                    Role::Variance => "a variance above 0",
                    Role::Weight | Role::Bias | Role::Scale | Role::Shift | Role::Mean | Role::Table => "a number",
                }
            )));
        }
        weights.insert(name, values);
    }
    Ok((name, Trained { graph, weights }))
}

/// The reference model that these tensors are, by their shapes.
fn reference(file: &TensorReader) -> Result<(String, Graph), Error> {
    // The largest tensor tells the width: the file has as many bytes, so no small file asks for a large network.
    let width = match file.shape("fc1.weight") {
        Some(&[neurons, inputs]) if neurons / 120 == inputs / 400 => neurons / 120,
        _ => 0,
    };
    let known = [ModelConfig::Lenet300 {}, ModelConfig::Lenet5 {}, ModelConfig::Lenet { width }];
    let mut found: Vec<(String, Vec<usize>)> = vec![];
    for name in file.names() {
        let shape = file.shape(name).ok_or_else(|| file.refuse(format!("`{name}`: wanted a tensor of f32")))?;
        found.push((name.to_owned(), shape.to_vec()));
    }
    let is = |model: ModelConfig| {
        let graph = model.graph(MNIST.shape, MNIST.classes).ok()?;
        let mut expected = export::shapes(&graph);
        expected.sort();
        (expected == found).then_some((model, graph))
    };
    let (model, graph) = known.into_iter().find_map(is).ok_or_else(|| {
        let listed: Vec<String> = found.iter().map(|(name, shape)| format!("{name} {shape:?}")).collect();
        file.refuse(format!(
            "its header tells no graph, as a run's model.safetensors and `secateur export` have it, and no reference model \
             (lenet, lenet-300-100, lenet-5) has these tensors: {}",
            listed.join(", ")
        ))
    })?;
    Ok((model.to_string(), graph))
}
