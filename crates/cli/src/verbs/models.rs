//! What the verbs on models share: the words typed for them, the images that answers are compared on.

use crate::args::Values;
use anyhow::{Context, Result, bail};
use secateur_sparse::file::Precision;
use secateur_sparse::infer::Options;
use secateur_sparse::{Ranges, Trained};
use secateur_trainer::data::{Dataset, Split};
use secateur_trainer::{Model, inference};
use std::path::Path;

/// Images made up where no data is at hand, at most, and the numbers that they and their answers have together, at most.
const MADE_UP: usize = 256;
const NUMBERS: usize = 1 << 26;
/// Training images that ranges are taken over, at most.
const TRAINING: usize = 1024;

impl Values {
    pub(super) fn precision(self) -> Precision {
        match self {
            Self::F32 => Precision::F32,
            Self::F16 => Precision::F16,
            Self::Int8 => Precision::Int8,
        }
    }
}

/// The precision in the words of the command line.
pub(super) fn precision_word(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::F16 => "f16",
        Precision::Int8 => "int8",
    }
}

/// The data in the folder that is named, or else of the model's own experiment, checked against the run and the model; `None` where
/// there is neither.
pub(super) fn dataset(model: &Model, data: Option<&Path>, other_data: bool) -> Result<Option<Dataset>> {
    let found = match (data, &model.experiment) {
        (Some(dir), _) => Some(model.load_data(dir).with_context(|| format!("--data {}", dir.display()))?),
        (None, Some(experiment)) => match experiment.load_data() {
            Ok(dataset) => Some(dataset),
            Err(error) => {
                tracing::warn!("the run's data is not at hand, so images are made up: {error}");
                None
            }
        },
        (None, None) => None,
    };
    if let Some(dataset) = found.as_ref().filter(|_| !other_data) {
        model.check_data(dataset).context("another data set on purpose takes --other-data")?;
    }
    if let Some(dataset) = &found {
        let (found, expected) = (dataset.train.shape(), model.network.input());
        // A network of features takes the numbers of an image in their order.
        let is_flat = expected[1..] == [1, 1] && expected[0] == found.iter().product::<usize>();
        if found != expected && !is_flat {
            bail!(
                "the data's images are {found:?}, channels, rows and columns; expected {expected:?}, as the model takes"
            );
        }
        let classes = model.network.classes();
        let labels = |split: &Split| (0..split.len()).map(|image| split.label(image)).max();
        let largest = [&dataset.train, &dataset.validation, dataset.test_split()].into_iter().filter_map(labels).max();
        if let Some(largest) = largest.filter(|own| usize::from(*own) >= classes) {
            bail!("the data has the label {largest}, expected 0 to {}, as the model answers", classes - 1);
        }
    }
    Ok(found)
}

/// Images that answers are compared on.
pub(super) struct Images {
    /// What they are, for people.
    pub(super) name: String,
    /// `[image][pixel]`, as the network takes them.
    pub(super) pixels: Vec<f32>,
    /// The classes, where they are known.
    pub(super) labels: Vec<u16>,
    /// What they are of the training part, for people, and some of its images as the network takes them; none where no data is
    /// at hand.
    pub(super) training: (String, Vec<f32>),
}

impl Images {
    /// The test split of the folder that is named, or else of the model's own experiment; made-up images where there is
    /// neither.
    pub(super) fn of(model: &Model, data: Option<&Path>, other_data: bool) -> Result<Self> {
        if let Some(dataset) = dataset(model, data, other_data)? {
            return Ok(Self::test(model, &dataset));
        }
        let pixels: usize = model.network.input().iter().product();
        let classes = model.network.classes();
        let count = (NUMBERS / (pixels + classes)).clamp(1, MADE_UP);
        let pixels = inference::made_up(&model.network, count);
        let name = format!("{count} made-up images");
        Ok(Self { name, pixels, labels: vec![], training: Default::default() })
    }

    pub(super) fn test(model: &Model, dataset: &Dataset) -> Self {
        let split = dataset.test_split();
        let labels = (0..split.len()).map(|image| split.label(image)).collect();
        let name = format!("{} test images of {}", split.len(), dataset.name);
        let count = dataset.train.len().min(TRAINING);
        let pixels = model.images(&dataset.train, 0..count);
        let training = (format!("{count} training images of {}", dataset.name), pixels);
        Self { name, pixels: model.images(split, 0..split.len()), labels, training }
    }

    /// The ranges of a network's values over the training images, and what these are; `None` where there are none, and for a chain
    /// that computes faster with floats.
    pub(super) fn ranges(&self, network: &Trained) -> Result<Option<(Ranges, &str)>> {
        let (name, pixels) = &self.training;
        if pixels.is_empty() || !network.suits_bytes() {
            return Ok(None);
        }
        Ok(Some((Ranges::of_network(network, pixels, &Options::new(1))?, name)))
    }

    /// Share of the answers that are right, where that is known.
    pub(super) fn accuracy(&self, logits: &[f32], classes: usize) -> Option<f64> {
        let answers = logits.chunks_exact(classes).map(inference::answer);
        let right = answers.zip(&self.labels).filter(|(answer, label)| *answer == usize::from(**label)).count();
        (!self.labels.is_empty()).then(|| right as f64 / self.labels.len() as f64)
    }
}
